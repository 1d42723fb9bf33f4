"""Judged pairs of images as edges of a graph, whatever judged them.

Shapes: m pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.columns import Column, require_columns
from overlens.verdicts import EDITED


@dataclass(frozen=True, slots=True)
class Edges:
    """Judged pairs of images, in any order; a pair that stands more than once counts by its strongest verdict.

    Attributes:
        left: `(m,)` int32 global rows.
        right: `(m,)` int32 global rows, other than `left`.
        verdicts: `(m,)` uint8 rung codes; those above `EDITED` are kept out of groups.
        strengths: `(m,)` float32, how sure the verdict is within its rung, 0 to 1.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    verdicts: NDArray[np.uint8]
    strengths: NDArray[np.float32]

    def __post_init__(self) -> None:
        wanted: dict[str, Column] = {
            "left": (np.int32, ()),
            "right": (np.int32, ()),
            "verdicts": (np.uint8, ()),
            "strengths": (np.float32, ()),
        }
        require_columns(self, len(self.left), wanted)
        if (self.left == self.right).any():
            raise ValueError("an image is no pair with itself, but left equals right")
        if not ((self.strengths >= 0) & (self.strengths <= 1)).all():
            raise ValueError("strengths must be numbers from 0 to 1")

    def __len__(self) -> int:
        return len(self.left)

    def chosen(self, places: NDArray[np.bool_] | NDArray[np.intp]) -> "Edges":
        """Return the pairs at these places, in their order."""
        return Edges(self.left[places], self.right[places], self.verdicts[places], self.strengths[places])

    def verified(self) -> "Edges":
        """Return the verified pairs, strongest first, each once and with `left < right`."""
        left, right = np.minimum(self.left, self.right), np.maximum(self.left, self.right)
        order = np.lexsort((right, left, -self.strengths, self.verdicts))
        order = order[self.verdicts[order] <= EDITED]
        keys = left[order].astype(np.int64) << 32 | right[order]
        order = order[np.sort(np.unique(keys, return_index=True)[1])]
        return Edges(left[order], right[order], self.verdicts[order], self.strengths[order])
