"""Find the `k` most alike other rows of every row of one set, exactly.

Tiled, one thread a core: memory is two tiles and their product for each, and the result. The float32 matrix product
only skips what cannot enter, by the proven slack of `overlens.search.rounding`; a row that may enter is scored in the
one fixed way (float64 dot product, rounded to float32). More alike comes first, and of equally alike rows the lower row
number, so the graph depends on the rows alone. Cost: the whole square is multiplied, where pair search needs half.

Shapes: n rows, d dimensions, k neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.cores import map_parts
from overlens.records import FloatRows
from overlens.search.rounding import largest_norm, score_slack
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
    rows: Rows, *, k: int, tile_rows: int = 2048, progress: Callable[[int], None] | None = None
) -> NeighbourGraph:
    """Return the `k` most alike other rows of every row; ties go to the lower row number.

    Args:
        rows: `(n, d)` float32 rows of length 1, in memory or memory-mapped, in one matrix or several.
        k: Neighbours of each row, 1 to n - 1.
        tile_rows: Rows of a tile; the result does not depend on it.
        progress: Called with the number of rows that are finished since the last call; these sum up to n.

    Raises:
        ValueError: `k` is out of range, or rows are not a float32 matrix of finite values.
    """
    if rows.ndim != 2 or rows.dtype != np.float32:
        raise ValueError(f"rows must be a matrix of float32, got {rows.dtype} of shape {rows.shape}")
    if not 1 <= k < len(rows):
        raise ValueError(f"k is {k} for {len(rows)} rows; allowed is 1 to {len(rows) - 1}: ask for fewer neighbours")
    if tile_rows < 1:
        raise ValueError(f"tile_rows is {tile_rows}; allowed is 1 or more, such as 2048")
    graph = NeighbourGraph(np.full((len(rows), k), -1, np.int32), np.full((len(rows), k), -np.inf, np.float32))
    starts = range(0, len(rows), tile_rows)
    for n_rows in map_parts(lambda start: _fill_rows(rows, start, tile_rows, graph), starts, enough=1):
        if progress is not None:
            progress(n_rows)
    return graph


def _fill_rows(rows: Rows, start: int, tile_rows: int, graph: NeighbourGraph) -> int:
    """Find the neighbours of a run of rows; each is one thread's. Return their number."""
    from overlens.search.kernels import update_nearest

    left = np.ascontiguousarray(rows[start : start + tile_rows])
    longest = largest_norm(left)
    places = slice(start, start + len(left))
    nearest = graph.indices[places], graph.similarities[places]
    floors = np.full(len(left), -np.inf)
    for other in range(0, len(rows), tile_rows):  # ascending, as the tie rule needs
        right = np.ascontiguousarray(rows[other : other + tile_rows])
        slack = score_slack(rows.shape[1], longest * largest_norm(right))
        tile = left @ right.T
        if other == 0:
            floors = _bound_weakest(tile, graph.k) - slack
        update_nearest(tile, (left, right), (start, other), floors, slack, nearest)
    return len(left)


def _bound_weakest(tile: FloatRows, k: int) -> NDArray[np.float64]:
    """Return the approximate score that at least `k` columns other than the row itself reach, `(r,)` float64."""
    if tile.shape[1] <= k:
        return np.full(len(tile), -np.inf)
    place = tile.shape[1] - 1 - k  # one more than k, because the row itself may be among them
    return np.partition(tile, place, axis=1)[:, place].astype(np.float64)
