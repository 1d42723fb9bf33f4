"""Which pairs of two datasets are verified copies, and which were looked at and are none: what calibration learns from.

Two images of one group are copies, whether or not that very pair was looked at. Pairs within groups are listed in
bounded blocks, because a group of ten thousand equal pages has fifty million of them.

Shapes: n images in all, m judged pairs, k images of one dataset.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.signals import CHUNK_PAIRS
from overlens.groups.find import NO_GROUP
from overlens.roster import Roster
from overlens.same_number import list_same_pairs
from overlens.verdicts import EDITED

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
        others = None if first == second else self.groups_in(second)
        return list_same_pairs(self.groups_in(first), others, at_once=CHUNK_PAIRS)

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
