"""Which pairs of two datasets are verified copies, and which were looked at and are none: what calibration learns from.

Two images of one group are copies, whether or not that very pair was looked at. Pairs within groups are listed in
bounded blocks, because a group of ten thousand equal pages has fifty million of them.

Shapes: n images in all, m judged pairs, k images of one dataset.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.groups.find import NO_GROUP
from overlens.roster import Roster
from overlens.verdicts import EDITED

CHUNK_PAIRS = 4096  # two embeddings of 1,280 dimensions each: 40 MB

Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Judged:
    """What verification found.

    Attributes:
        roster: The datasets, in the order of the run.
        left: `(m,)` int32 global rows.
        right: `(m,)` int32 global rows.
        verdicts: `(m,)` uint8 rung codes; those above `EDITED`, 255 included, are no copies.
        group_of: `(n,)` int32, the group of each image, or `NO_GROUP`.
    """

    roster: Roster
    left: Rows
    right: Rows
    verdicts: NDArray[np.uint8]
    group_of: Rows

    def __post_init__(self) -> None:
        if not len(self.left) == len(self.right) == len(self.verdicts):
            raise ValueError(f"{len(self.left)} left, {len(self.right)} right rows, {len(self.verdicts)} verdicts")
        if len(self.group_of) != self.roster.n_images:
            raise ValueError(f"group_of is of {len(self.group_of)} images, the datasets have {self.roster.n_images}")

    def groups_in(self, dataset: str) -> Rows:
        """Return the group of each image of a dataset, `(k,)` int32."""
        number = self.roster.number_of(dataset)
        return self.group_of[self.roster.offsets[number] : self.roster.offsets[number + 1]]

    def copies(self, first: str, second: str) -> Iterator[tuple[Rows, Rows]]:
        """Yield rows of `first` and of `second` whose images are in one group, each pair once.

        Blocks have at most `CHUNK_PAIRS` pairs. Within one dataset the first row is the smaller.
        """
        return _list_copies(self.groups_in(first), None if first == second else self.groups_in(second))

    def refuted(self, first: str, second: str) -> tuple[Rows, Rows]:
        """Return rows of `first` and of `second` that were looked at, are no copies and share no group."""
        numbers = self.roster.number_of(first), self.roster.number_of(second)
        left, right = np.minimum(self.left, self.right), np.maximum(self.left, self.right)
        swapped = numbers[0] > numbers[1]
        ends = numbers[::-1] if swapped else numbers
        groups = self.group_of[left], self.group_of[right]
        chosen = (self.roster.dataset_of(left) == ends[0]) & (self.roster.dataset_of(right) == ends[1])
        chosen &= (self.verdicts > EDITED) & ((groups[0] != groups[1]) | (groups[0] == NO_GROUP))
        rows = self.roster.local(left[chosen]), self.roster.local(right[chosen])
        return (rows[1], rows[0]) if swapped else rows


def _list_copies(groups: Rows, others: Rows | None) -> Iterator[tuple[Rows, Rows]]:
    column = groups if others is None else others
    order = np.argsort(column, kind="stable").astype(np.int32)
    ordered = column[order]
    rows = np.flatnonzero(groups != NO_GROUP).astype(np.int32)
    starts = np.searchsorted(ordered, groups[rows], side="left")
    stops = np.searchsorted(ordered, groups[rows], side="right")
    if others is None:
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        starts = places[rows] + 1  # the later members of its own group: the order is stable
    counts = stops - starts
    ends = np.cumsum(counts)
    n_pairs = int(ends[-1]) if len(ends) else 0
    for first in range(0, n_pairs, CHUNK_PAIRS):
        # Cut by pairs and not by rows: one row of a large group has more pairs than a block.
        pairs = np.arange(first, min(first + CHUNK_PAIRS, n_pairs))
        owners = np.searchsorted(ends, pairs, side="right")
        yield rows[owners], order[starts[owners] + pairs - (ends - counts)[owners]]
