"""What people say of the pairs of a run by now, read again whenever somebody, in whatever process, said something.

Shapes: m listed pairs.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from overlens.decisions.records import Decision, Pair
from overlens.decisions.store import DecisionStore
from overlens.review.pairs import PairIndex
from overlens.review.sample import answers_of

_SETTLED_NS = 2_000_000_000
"""A file that changed longer ago than this shows any further change by its time."""

Mark = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What people say at a time.

    Attributes:
        latest: The decisions that count, those of other runs, too.
        codes: `(m,)` uint8 place in `ANSWERS` + 1, 0 for nothing.
    """

    latest: Mapping[Pair, Decision]
    codes: NDArray[np.uint8]


class AnswerReader:
    """Reads the answers; several threads may ask at once."""

    def __init__(self, store: DecisionStore, files: tuple[Path, ...], index: PairIndex) -> None:
        """Read from a store that keeps its decisions in some files."""
        self._store, self._files, self._index = store, files, index
        self._lock = Lock()
        self._known: tuple[Mark, Answers] | None = None

    def read(self) -> Answers:
        """Return what people say by now; raises StoreError if it cannot be read."""
        with self._lock:
            mark = tuple(map(_state_of, self._files))  # before it is read: what comes later is seen the next time
            if self._known is None or self._known[0] != mark or not _is_settled(mark):
                latest = self._store.latest()
                self._known = mark, Answers(latest, answers_of(self._index, latest))
            return self._known[1]


def _state_of(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # whoever reads it says why
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _is_settled(mark: Mark) -> bool:
    """Whether a further change of the files would show: their times are coarse, and two changes may share one."""
    return time.time_ns() - max(changed for changed, _ in mark) > _SETTLED_NS
