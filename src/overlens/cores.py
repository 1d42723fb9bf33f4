"""Who owns the cores: how many this process may use, and that libraries start no threads beside those of a pool."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


Part = TypeVar("Part")
Result = TypeVar("Result")

RESULTS_AT_ONCE = 64


def available_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_parts(
    function: Callable[[Part], Result],
    parts: Iterable[Part],
    *,
    weigh: Callable[[Result], int] = lambda _: 1,
    enough: int = RESULTS_AT_ONCE,
) -> Iterator[Result]:
    """Yield what a function that releases the GIL gives for each part, in their order, on all cores.

    Results wait to be taken until they weigh `enough` in sum, plus one result for each core; nothing runs while they
    are taken.
    """
    waiting = _Waiting(function, parts, weigh)
    n_cores = available_cores()
    with ThreadPoolExecutor(n_cores, thread_name_prefix="overlens-part") as pool:
        while True:
            waiting.room = enough
            with serial_products():
                gathered = list(chain.from_iterable(pool.map(waiting.gather, range(n_cores))))
            if not gathered:
                return
            yield from (result for _, result in sorted(gathered, key=lambda numbered: numbered[0]))


class _Waiting(Generic[Part, Result]):
    """Parts that wait for a thread. Each draws its next one itself, which costs microseconds, not a future apiece."""

    def __init__(
        self, function: Callable[[Part], Result], parts: Iterable[Part], weigh: Callable[[Result], int]
    ) -> None:
        self._function, self._weigh = function, weigh
        self._numbered = enumerate(parts)
        self._lock = Lock()
        self.room = 0

    def gather(self, _: int) -> list[tuple[int, Result]]:
        """Work on parts until results fill the room, and return these with their numbers."""
        gathered: list[tuple[int, Result]] = []
        while True:
            with self._lock:
                numbered = next(self._numbered, None) if self.room > 0 else None
            if numbered is None:
                return gathered
            result = self._function(numbered[1])
            gathered.append((numbered[0], result))
            with self._lock:
                self.room -= self._weigh(result)


@contextmanager
def serial_products() -> Iterator[None]:
    """Keep matrix products in the thread that asks for them, while a pool of threads has the cores."""
    with _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas"):
        yield


@cache
def _controller(has_scipy: bool) -> "ThreadpoolController":
    # Looking for the libraries takes some milliseconds, setting their threads takes none. numpy's is there by now.
    import numpy  # noqa: F401 - loads the library that is looked for
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
