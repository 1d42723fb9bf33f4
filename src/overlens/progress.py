"""How far a run has come, on stderr.

A stage counts images (or tiles, or files): done now, cached from an earlier run, failed. On a terminal it is a live bar
with speed and time left; elsewhere it is one line when the stage ends, and one every half minute before, so that logs
stay readable. What is timed inside something else that is timed counts there alone, so that the seconds of all
stages sum to those of the run.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


LOG_EVERY_S = 30.0


class Stage(Protocol):
    """One stage under way."""

    def advance(self, done: int = 0, *, cached: int = 0, failed: int = 0) -> None:
        """Count finished units; those of them that were under way no longer are."""
        ...

    def begin(self, n: int) -> None:
        """Count units that are nearly done: shown as progress, and finished by a later `advance`."""
        ...


class Progress:
    """Times the stages of a run and shows nothing; the base of what shows something."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner: list[float] = []
        self._rests: dict[str, str] = {}

    def name_rest(self, stage: str, title: str) -> None:
        """Count what a stage takes beside what is timed inside it under `title`, as its own name means all of it."""
        self._rests[stage] = title

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """Time a part of the run without showing it, but for what is timed inside; a title used twice adds up."""
        start = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            own = seconds - self._inner.pop()
            self.seconds[title] = self.seconds.get(title, 0.0) + own
            if self._inner:
                self._inner[-1] += seconds

    @contextmanager
    def stage(self, title: str, total: int, unit: str = "images") -> Iterator[Stage]:
        """Run a stage of `total` units under `title`, timed as `timed` does, or under the name of its rest."""
        counter = _Counter(title, total, unit)
        start = time.perf_counter()
        with self.timed(self._rests.get(title, title)):
            try:
                with self._shown(counter):
                    yield counter
            finally:
                counter.seconds = time.perf_counter() - start
        self._finished(counter)

    @contextmanager
    def _shown(self, counter: "_Counter") -> Iterator[None]:
        yield

    def _finished(self, counter: "_Counter") -> None:
        pass


class TerminalProgress(Progress):
    """Shows each stage on a rich console: a live bar on a terminal, else one line when it ends."""

    def __init__(self, console: "Console") -> None:
        super().__init__()
        self._console = console

    @contextmanager
    def _shown(self, counter: "_Counter") -> Iterator[None]:
        if not self._console.is_terminal:
            counter.watch = _every(LOG_EVERY_S, lambda: self._finished(counter))
            yield
            return
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._console, transient=True) as bars:
            bar = bars.add_task(counter.title, total=max(counter.total, 1), words="")
            counter.watch = lambda: bars.update(bar, completed=counter.finished, words=counter.words())
            yield

    def _finished(self, counter: "_Counter") -> None:
        self._console.print(f"{counter.title}: {counter.words()}", markup=False, highlight=False)


def _every(seconds: float, say: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `say` when it is called, but not more often than every so many seconds."""
    last = time.perf_counter()

    def watch() -> None:
        nonlocal last
        if time.perf_counter() - last >= seconds:
            last = time.perf_counter()
            say()

    return watch


class _Counter:
    def __init__(self, title: str, total: int, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = self.cached = self.failed = self.begun = 0
        self.seconds: float | None = None
        self.watch: Callable[[], None] = lambda: None
        self._start = time.perf_counter()

    @property
    def finished(self) -> int:
        return min(self.total, max(self.done + self.failed, self.begun) + self.cached)

    def begin(self, n: int) -> None:
        self.begun += n
        self.watch()

    def advance(self, done: int = 0, *, cached: int = 0, failed: int = 0) -> None:
        self.done += done
        self.cached += cached
        self.failed += failed
        self.watch()

    def words(self) -> str:
        seconds = time.perf_counter() - self._start if self.seconds is None else self.seconds
        parts = [f"{self.finished:,} of {self.total:,} {self.unit}"]
        parts += [f"{n:,} {word}" for n, word in ((self.cached, "cached"), (self.failed, "failed")) if n]
        n_new = max(self.done, self.begun)
        if n_new and seconds > 0:
            speed = n_new / seconds
            parts.append(f"{speed:,.{0 if speed >= 10 else 1}f} {self.unit}/s")
        return ", ".join([*parts, f"{seconds:.1f} s"])
