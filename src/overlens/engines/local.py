"""The engine of one machine: a few tasks at a time in threads of this process.

Two tasks in flight are enough to hide the gap between one shard's decoding and the next one's encoding; the work inside
a task brings its own threads. A failed task is tried again, unless the error is overlens' own verdict on the input.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from overlens.engines.base import Outcome, Result, Task
from overlens.errors import OverlensError


class LocalEngine:
    """Runs tasks in threads of this process.

    Args:
        max_in_flight: Tasks running at a time.
        max_tries: How often a task is tried before its error is its outcome.
    """

    def __init__(self, max_in_flight: int = 2, max_tries: int = 2) -> None:
        self._max_in_flight = max_in_flight
        self._max_tries = max_tries

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        """Yield one outcome for each task, in task order."""
        with ThreadPoolExecutor(self._max_in_flight, thread_name_prefix="overlens-task") as pool:
            waiting = iter(tasks)
            running: deque[Future[Outcome[Task, Result]]] = deque()
            try:
                for task in islice(waiting, self._max_in_flight):
                    running.append(pool.submit(self._run, function, task))
                while running:
                    outcome = running.popleft().result()
                    for task in islice(waiting, 1):
                        running.append(pool.submit(self._run, function, task))
                    yield outcome
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, function: Callable[[Task], Result], task: Task) -> Outcome[Task, Result]:
        error: Exception | None = None
        for n_tries in range(1, self._max_tries + 1):
            try:
                return Outcome(task, function(task), None, n_tries)
            except OverlensError as verdict:
                return Outcome(task, None, verdict, n_tries)
            except Exception as cause:
                error = cause
        return Outcome(task, None, error, self._max_tries)
