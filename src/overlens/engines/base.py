"""The seam between what is computed and where: an engine runs a function over small tasks.

It knows nothing of images. The task list follows from data and config, never from the number of workers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from overlens.errors import EngineError, OverlensError

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Task, Result]):
    """What became of one task: its result, or the error that its last try raised."""

    task: Task
    result: Result | None
    error: Exception | None
    n_tries: int

    def unwrap(self) -> Result:
        """Return the result; where there is none, raise the OverlensError that says why, or an EngineError."""
        if isinstance(self.error, OverlensError):
            raise self.error
        if self.error is not None or self.result is None:
            raise EngineError(f"a task failed {self.n_tries} times: {self.error!r}") from self.error
        return self.result


class Engine(Protocol):
    """Runs functions over tasks."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        """Yield one outcome for each task, in task order, with a bounded number of tasks in flight."""
        ...
