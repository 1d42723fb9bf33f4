"""Find every pair of rows whose cosine similarity is at least `min_similarity`.

Exact and tiled: memory is two tiles, time grows with the square of the rows. No approximate index, as a missed pair is
a leaked test image. A float32 matrix product of the rows, or of a few coordinates that bound them (`heads`), only
proposes candidates, with a slack that is proven to lose none; the score that decides is the float64 dot product of the
stored rows in one fixed order, rounded to float32. So the pairs and scores depend on the rows and on nothing else. A
tile is searched in parts that stay in a core's cache, by one thread a core.

The slack. A dot product of d terms computed in float32, in any order and with or without fused multiply-add, is off by
at most gamma_d * |a| * |b|, where gamma_d = d*u / (1 - d*u) and u = 2^-24 (N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., SIAM 2002, section 3.1, equation 3.5, with the Cauchy-Schwarz inequality). Relative to
|a| * |b|, the fixed score is within u of the true one by its rounding to float32 and well within another u by its
float64 sum, so gamma_(d+2) covers the distance between the two. Products too small for normal float32 add at most d
times the smallest normal number.

Shapes: n and m rows, d dimensions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from overlens.cores import map_parts
from overlens.records import FloatRows, PairBlock
from overlens.search.heads import Basis, choose_basis
from overlens.search.rounding import largest_norm, score_slack
from overlens.search.tiles import Tile, plan_tiles

PART_ROWS = 512
"""Rows of a part of a tile, whose product stays in a core's cache; a block of pairs is one part's."""


def find_cosine_pairs(
    left: FloatRows,
    right: FloatRows | None,
    *,
    min_similarity: float,
    tile_rows: int = 8192,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PairBlock]:
    """Yield every pair with a score of at least `np.float32(min_similarity)`, each once, in no stated order.

    The score is the dot product of the rows as stored; rows that are off length 1 by the rounding of half precision are
    used as they are.

    Args:
        left: `(n, d)` float32 rows of length 1, in memory or memory-mapped.
        right: `(m, d)` float32 rows of the second dataset, or None for pairs within the first, where
            `left < right`.
        min_similarity: Smallest score to report; a pair at exactly this score counts.
        tile_rows: Rows of a tile, which are read and split at once; results do not depend on it.
        progress: Called after each tile with the number of pairs compared in it; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        Blocks of at most `PART_ROWS` squared pairs with float32 scores.

    Raises:
        ValueError: Rows are not float32 matrices of one width, or hold values that are not finite.
    """
    for name, rows in (("left", left), ("right", left if right is None else right)):
        if rows.ndim != 2 or rows.dtype != np.float32 or rows.shape[1] != left.shape[1]:
            raise ValueError(f"{name} must be float32 rows as wide as the left ones, got {rows.dtype} {rows.shape}")
    if not np.isfinite(min_similarity):
        raise ValueError(f"min_similarity is {min_similarity}; allowed is a number from -1 to 1, such as 0.9")
    tiles = plan_tiles(len(left), None if right is None else len(right), tile_rows=tile_rows)
    return _search(left, left if right is None else right, tiles, np.float32(min_similarity), progress)


def _search(
    left: FloatRows,
    right: FloatRows,
    tiles: Iterator[Tile],
    min_score: np.float32,
    progress: Callable[[int], None] | None,
) -> Iterator[PairBlock]:
    basis = choose_basis(left, right, float(min_score))
    upper, top = None, -1
    for tile in tiles:
        if upper is None or tile.left_start != top:
            upper, top = _Side.load(left[tile.left_start : tile.left_stop], basis), tile.left_start
        lower = upper if tile.is_diagonal else _Side.load(right[tile.right_start : tile.right_stop], basis)
        search = _PartSearch(upper, lower, tile, min_score, _floor(upper, lower, basis, min_score))
        n_lower = None if tile.is_diagonal else len(lower.rows)
        parts = plan_tiles(len(upper.rows), n_lower, tile_rows=PART_ROWS)
        yield from (block for block in map_parts(search, parts) if len(block.left))
        if progress is not None:
            progress(tile.n_comparisons)


@dataclass(frozen=True, slots=True)
class _Side:
    """The rows of one side of a tile, in memory, their heads, and the length of the longest."""

    rows: FloatRows
    heads: FloatRows
    longest: float

    @classmethod
    def load(cls, rows: FloatRows, basis: Basis | None) -> "_Side":
        loaded = np.ascontiguousarray(rows)
        longest = largest_norm(loaded)
        return cls(loaded, loaded if basis is None else basis.split(loaded), longest)


def _floor(upper: _Side, lower: _Side, basis: Basis | None, min_score: np.float32) -> np.float32:
    """Return the least bound that a pair of `min_score` may have."""
    longest = upper.longest, lower.longest
    slack = score_slack(upper.rows.shape[1], longest[0] * longest[1]) if basis is None else basis.slack(longest)
    # One step down, because the difference is rounded once more when it becomes a float32.
    return np.float32(np.nextafter(np.float32(float(min_score) - slack), np.float32(-np.inf)))


@dataclass(frozen=True, slots=True)
class _PartSearch:
    """Searches parts of one tile; called from several threads at once."""

    upper: _Side
    lower: _Side
    tile: Tile
    min_score: np.float32
    floor: np.float32

    def __call__(self, part: Tile) -> PairBlock:
        """Return the pairs of one part, by rows of the whole sets."""
        from overlens.search.kernels import list_reached, score_pairs

        bounds = (
            self.upper.heads[part.left_start : part.left_stop] @ self.lower.heads[part.right_start : part.right_stop].T
        )
        rows, columns = list_reached(bounds, self.floor, part.is_diagonal)
        rows, columns = rows + part.left_start, columns + part.right_start
        scores = score_pairs(self.upper.rows, self.lower.rows, rows, columns)
        kept = scores >= self.min_score
        first = (rows[kept] + self.tile.left_start).astype(np.int32)
        second = (columns[kept] + self.tile.right_start).astype(np.int32)
        return PairBlock(first, second, scores[kept])
