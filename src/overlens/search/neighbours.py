"""Find the `k` most alike other rows of every row of one set, exactly.

More alike comes first, and of equally alike rows the lower row number, so the graph depends on the rows alone;
`overlens.search.nearest` finds it.

Shapes: n rows, d dimensions, k neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.search.nearest import list_nearest
from overlens.search.sides import TILE_ROWS
from overlens.stacked import Rows


@dataclass(frozen=True, slots=True)
class NeighbourGraph:
    """The nearest rows of every row, most alike first.

    Attributes:
        indices: `(n, k)` int32 row numbers; a row is not its own neighbour.
        similarities: `(n, k)` float32 cosine similarities, descending along each row.
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.indices.dtype != np.int32 or self.similarities.dtype != np.float32:
            raise ValueError(f"expected int32 and float32, got {self.indices.dtype} and {self.similarities.dtype}")
        if self.indices.ndim != 2 or self.indices.shape != self.similarities.shape:
            raise ValueError(f"indices {self.indices.shape} and similarities {self.similarities.shape} must agree")

    @property
    def k(self) -> int:
        """Number of neighbours of each row."""
        return int(self.indices.shape[1])


def find_nearest(
    rows: Rows, *, k: int, tile_rows: int = TILE_ROWS, progress: Callable[[int], None] | None = None
) -> NeighbourGraph:
    """Return the `k` most alike other rows of every row; ties go to the lower row number.

    Args:
        rows: `(n, d)` float32 rows of length 1, in memory or memory-mapped, in one matrix or several.
        k: Neighbours of each row, 1 to n - 1.
        tile_rows: Rows of a tile; the result does not depend on it.
        progress: Called now and then with the number of pairs compared since; these sum up to
            `count_comparisons(n, None)`.

    Raises:
        ValueError: `k` is out of range, or rows are not a float32 matrix of finite values.
    """
    if rows.ndim != 2 or rows.dtype != np.float32:
        raise ValueError(f"rows must be a matrix of float32, got {rows.dtype} of shape {rows.shape}")
    if not 1 <= k < len(rows):
        raise ValueError(f"k is {k} for {len(rows)} rows; allowed is 1 to {len(rows) - 1}: ask for fewer neighbours")
    if tile_rows < 1:
        raise ValueError(f"tile_rows is {tile_rows}; allowed is 1 or more, such as {TILE_ROWS}")
    lists, _ = list_nearest(rows, None, k=k, tile_rows=tile_rows, progress=progress)
    return NeighbourGraph(lists.numbers(), lists.similarities())
