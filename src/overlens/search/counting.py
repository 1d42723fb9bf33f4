"""How many pairs are there at every threshold? Exact counts without the pairs, in one pass.

Below a cosine of 0.8 or so the pairs of a collection run to millions, which nobody needs one by one. Every score counts
as the one that pair search reports: the float32 matrix product decides only where the proven slack of
`overlens.search.rounding` leaves no doubt on which side of a threshold a pair is, the few others are scored in the
fixed way. Distances are counted on all bits. Memory is two tiles and their product for each core; time grows with the
product of the rows.

Shapes: n and m rows, d dimensions, b bytes of a hash, t thresholds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.cores import map_parts
from overlens.records import FloatRows, HashRows
from overlens.search.hamming import pack_words
from overlens.search.rounding import largest_norm, score_slack
from overlens.search.tiles import Tile, plan_tiles

Counts = NDArray[np.int64]
Progress = Callable[[int], None]

CACHE_ROWS = 4096


def count_cosine_pairs(
    left: FloatRows,
    right: FloatRows | None,
    *,
    thresholds: Sequence[float],
    tile_rows: int = 2048,
    progress: Progress | None = None,
) -> Counts:
    """Return how many pairs `find_cosine_pairs` would report at each threshold, `(t,)` int64.

    Args:
        left: `(n, d)` float32 rows of length 1, in memory or memory-mapped.
        right: `(m, d)` float32 rows of the second dataset, or None for pairs within the first.
        thresholds: Smallest scores, two or more, in any order, each once; a pair at exactly a threshold counts.
        tile_rows: Rows of a tile; counts do not depend on it.
        progress: Called after each tile with the number of pairs compared in it.

    Raises:
        ValueError: Rows hold values that are not finite, or there are fewer than two thresholds.
    """
    limits, places = np.unique(np.asarray(thresholds, np.float32), return_inverse=True)
    if len(limits) < 2 or len(limits) != len(thresholds):
        raise ValueError(f"two thresholds or more are needed, each once, got {list(thresholds)}")
    count = _CosineCount(left, left if right is None else right, limits.astype(np.float64))
    counts = np.zeros(len(limits), np.int64)
    tiles = plan_tiles(len(left), None if right is None else len(right), tile_rows=tile_rows)
    for n_comparisons, found in map_parts(count, tiles):
        counts += found
        if progress is not None:
            progress(n_comparisons)
    at_least = np.cumsum(counts[::-1])[::-1]
    return np.asarray(at_least[places], np.int64)


@dataclass(frozen=True, slots=True)
class _CosineCount:
    """Counts the pairs of one tile between limits; called from several threads at once."""

    left: FloatRows
    right: FloatRows
    limits: NDArray[np.float64]

    def __call__(self, tile: Tile) -> tuple[int, Counts]:
        from overlens.search.count_kernels import count_scores

        upper = np.ascontiguousarray(self.left[tile.left_start : tile.left_stop])
        lower = upper if tile.is_diagonal else np.ascontiguousarray(self.right[tile.right_start : tile.right_stop])
        slack = score_slack(upper.shape[1], largest_norm(upper) * largest_norm(lower))
        counts = np.zeros(len(self.limits), np.int64)
        count_scores(upper @ lower.T, (upper, lower), self.limits, slack, tile.is_diagonal, counts)
        return tile.n_comparisons, counts


def count_hamming_pairs(
    left: HashRows, right: HashRows | None, *, tile_rows: int = CACHE_ROWS, progress: Progress | None = None
) -> Counts:
    """Return how many pairs differ in at most 0, 1, 2, ... 8 b bits, `(8 b + 1,)` int64.

    Args:
        left: `(n, b)` uint8 packed hashes.
        right: `(m, b)` uint8 packed hashes of the second dataset, or None for pairs within the first.
        tile_rows: Rows of a tile; counts do not depend on it.
        progress: Called after each tile with the number of pairs compared in it.
    """
    words = pack_words(left)
    count = _DistanceCount(words, words if right is None else pack_words(right))
    counts = np.zeros(8 * left.shape[1] + 1, np.int64)
    tiles = plan_tiles(len(words), None if right is None else len(count.right), tile_rows=tile_rows)
    for n_comparisons, found in map_parts(count, tiles):
        counts += found[: len(counts)]
        if progress is not None:
            progress(n_comparisons)
    return np.cumsum(counts)


@dataclass(frozen=True, slots=True)
class _DistanceCount:
    """Counts the pairs of one tile by their distance; called from several threads at once."""

    left: NDArray[np.uint64]
    right: NDArray[np.uint64]

    def __call__(self, tile: Tile) -> tuple[int, Counts]:
        from overlens.search.count_kernels import count_distances

        columns = np.ascontiguousarray(self.right[tile.right_start : tile.right_stop].T)
        counts = np.zeros(64 * self.left.shape[1] + 1, np.int64)
        count_distances(self.left[tile.left_start : tile.left_stop], columns, tile.is_diagonal, counts)
        return tile.n_comparisons, counts
