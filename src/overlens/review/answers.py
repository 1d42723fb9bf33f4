"""What people say of the pairs of a run by now, read on whenever somebody, in whatever process, said something.

Shapes: m listed pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from overlens.decisions.records import Decision, Pair, code_of
from overlens.decisions.store import DecisionStore, LogChanges, LogState
from overlens.review.pairs import PairIndex


@dataclass(frozen=True, slots=True)
class Answers:
    """What people say at a time.

    Attributes:
        state: How far the log was read.
        latest: The decisions that count, those of other runs, too, without what was shown.
        codes: `(m,)` uint8 place in `ANSWERS` + 1, 0 for nothing.
    """

    state: LogState
    latest: Mapping[Pair, Decision]
    codes: NDArray[np.uint8]

    @property
    def version(self) -> str:
        """A text that changes whenever somebody decides or takes back."""
        return f"{self.state.file}-{self.state.last}-{self.state.n_undone}"


class AnswerReader:
    """Reads the answers; several threads may ask at once."""

    def __init__(self, store: DecisionStore, index: PairIndex) -> None:
        self._store, self._index = store, index
        self._lock = Lock()
        self._of_pair: dict[Pair, list[Decision]] = {}  # those that hold, in the order of the log
        self._holding: dict[int, Pair] = {}
        self._known = self._nothing()

    def read(self) -> Answers:
        """Return what people say by now; raises StoreError if it cannot be read."""
        with self._lock:
            changes = self._store.changes(self._known.state)
            if changes.state.file != self._known.state.file:
                self._of_pair, self._holding, self._known = {}, {}, self._nothing()
            if changes.state != self._known.state:
                self._known = self._after(changes)
            return self._known

    def _nothing(self) -> Answers:
        return Answers(LogState(), {}, np.zeros(len(self._index.places), np.uint8))

    def _after(self, changes: LogChanges) -> Answers:
        gone = [self._holding.pop(number) for number in changes.undone & self._holding.keys()]
        for pair in gone:
            self._of_pair[pair] = [one for one in self._of_pair[pair] if one.number not in changes.undone]
        new = [one for one in changes.decisions if one.undone_at is None]
        for decision in new:
            self._of_pair.setdefault(decision.pair, []).append(decision)
            self._holding[decision.number] = decision.pair
        latest, codes = dict(self._known.latest), self._known.codes.copy()
        for pair in {*gone, *(one.pair for one in new)}:
            latest.pop(pair, None)
            if self._of_pair[pair]:
                latest[pair] = self._of_pair[pair][-1]
            codes[self._index.find(pair)] = code_of(latest[pair].answer) if pair in latest else 0
        return Answers(changes.state, latest, codes)
