"""Find every pair of rows whose cosine similarity is at least `min_similarity`.

Exact and tiled: memory is two tiles and their product, time grows with the square of the rows. No approximate index,
because a missed pair is a leaked test image. A float32 matrix product only proposes candidates, with a slack that is
proven to lose none; the score that decides is the float64 dot product of the stored rows in one fixed order, rounded to
float32. So the pairs and scores depend on the rows and on nothing else. numpy's BLAS owns the cores.

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
from numpy.typing import NDArray

from overlens.records import FloatRows, PairBlock
from overlens.search.tiles import Tile, plan_tiles

UNIT_ROUNDOFF = 2.0**-24
CHUNK_PAIRS = 262_144  # candidates scored at once: their columns take a few megabytes
_LONGEST_ROW = 1e15  # products of longer rows could overflow float32


def find_cosine_pairs(
    left: FloatRows,
    right: FloatRows | None,
    *,
    min_similarity: float,
    tile_rows: int = 2048,
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
        tile_rows: Rows of a tile; memory grows with its square, results do not depend on it.
        progress: Called after each tile with the number of pairs compared in it; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        Blocks of at most `CHUNK_PAIRS` pairs with float32 scores.

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


def largest_norm(rows: FloatRows) -> float:
    """Return the length of the longest of `(r, d)` float32 rows; raises ValueError at a value that is not finite."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    bad = np.flatnonzero(~(norms <= _LONGEST_ROW))
    if bad.size:
        raise ValueError(
            f"{bad.size} embedding rows, the first at {bad[0]} of its tile, are not finite or longer than "
            f"{_LONGEST_ROW:g}; rows of length 1 are expected: compute the embeddings again"
        )
    return float(norms.max(initial=0.0))


def score_slack(dimensions: int, norm_product: float) -> float:
    """Return how far a float32 matrix product can stand from the fixed score (see the head of this module).

    Args:
        dimensions: Terms of each dot product; below 2^24 - 2.
        norm_product: Product of the largest row lengths on both sides.
    """
    rounding = (dimensions + 2) * UNIT_ROUNDOFF
    smallest = float(np.finfo(np.float32).tiny)
    return rounding / (1 - rounding) * norm_product + dimensions * smallest


@dataclass(frozen=True, slots=True)
class _Side:
    """The rows of one side of a tile, in memory, and the length of the longest."""

    rows: FloatRows
    longest: float

    @classmethod
    def load(cls, rows: FloatRows, start: int, stop: int) -> "_Side":
        loaded = np.ascontiguousarray(rows[start:stop])
        return cls(loaded, largest_norm(loaded))


def _search(
    left: FloatRows,
    right: FloatRows,
    tiles: Iterator[Tile],
    min_score: np.float32,
    progress: Callable[[int], None] | None,
) -> Iterator[PairBlock]:
    upper, top = None, -1
    for tile in tiles:
        if upper is None or tile.left_start != top:
            upper, top = _Side.load(left, tile.left_start, tile.left_stop), tile.left_start
        lower = upper if tile.is_diagonal else _Side.load(right, tile.right_start, tile.right_stop)
        yield from _score_tile(upper, lower, tile, min_score)
        if progress is not None:
            progress(tile.n_comparisons)


def _propose(left: _Side, right: _Side, min_score: np.float32) -> NDArray[np.int64]:
    """Return the flat places `row * width + column` of every pair that may reach `min_score`, and perhaps more."""
    slack = score_slack(left.rows.shape[1], left.longest * right.longest)
    # One step down, because the difference is rounded once more when it becomes a float32.
    floor = np.nextafter(np.float32(float(min_score) - slack), np.float32(-np.inf))
    return np.flatnonzero(left.rows @ right.rows.T >= floor)


def _score_tile(left: _Side, right: _Side, tile: Tile, min_score: np.float32) -> Iterator[PairBlock]:
    from overlens.search.kernels import score_pairs

    candidates = _propose(left, right, min_score)
    for start in range(0, len(candidates), CHUNK_PAIRS):
        rows, columns = np.divmod(candidates[start : start + CHUNK_PAIRS], len(right.rows))
        if tile.is_diagonal:
            rows, columns = rows[rows < columns], columns[rows < columns]
        scores = score_pairs(left.rows, right.rows, rows, columns)
        kept = np.flatnonzero(scores >= min_score)
        if kept.size:
            first = (rows[kept] + tile.left_start).astype(np.int32)
            second = (columns[kept] + tile.right_start).astype(np.int32)
            yield PairBlock(first, second, scores[kept])
