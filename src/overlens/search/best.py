"""How near is the most alike row of another set? One number for each row, exact.

From it follows how many images have a match at any threshold, without a search for each. Tiled: memory is two tiles,
their product, and a few numbers for each row. One pass serves both directions of two sets, and within one set only the
upper half is compared. A cosine score is the one that `overlens.search.cosine` reports for the pair (float64 dot
product, rounded to float32); the float32 matrix product only skips pairs, by the slack that is proven there. Distances
are counted on all bits. Time grows with the product of the rows.

Shapes: n and m rows, d dimensions, b bytes of a hash.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows, HashRows
from overlens.search.rounding import largest_norm, score_slack
from overlens.search.tiles import Tile, plan_tiles
from overlens.stacked import Rows

Scores = NDArray[np.float32]
Distances = NDArray[np.int32]
Lengths = NDArray[np.float64]
Progress = Callable[[int], None]

CACHE_ROWS = 4096


def best_cosine(left: Rows, right: Rows | None, *, tile_rows: int = 2048, progress: Progress | None = None) -> Scores:
    """Return for each left row its highest cosine similarity to any row of the other set, `(n,)` float32.

    Args:
        left: `(n, d)` float32 rows of length 1, in memory or memory-mapped, in one matrix or several.
        right: `(m, d)` float32 rows of the other set, or None to compare each left row with all other left rows.
        tile_rows: Rows of a tile; memory grows with its square, results do not depend on it.
        progress: Called after each tile with the number of pairs compared in it; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        The scores as `find_cosine_pairs` reports them; minus infinity where there is no row to compare with.

    Raises:
        ValueError: Rows are not float32 matrices of one width, or hold values that are not finite.
    """
    if right is not None:
        return best_cosines(left, right, tile_rows=tile_rows, progress=progress)[0]
    _require_rows(left, left, np.float32)
    best = np.full(len(left), -np.inf, np.float32)
    lengths = _measure_lengths(left, tile_rows)
    tiles = plan_tiles(len(left), None, tile_rows=tile_rows)
    _raise_cosines((left, left), (lengths, lengths), tiles, (best, best), progress)
    return best


def best_cosines(
    left: Rows, right: Rows, *, tile_rows: int = 2048, progress: Progress | None = None
) -> tuple[Scores, Scores]:
    """Return `best_cosine` of the left rows in the right ones and of the right rows in the left ones, in one pass."""
    _require_rows(left, right, np.float32)
    best = np.full(len(left), -np.inf, np.float32), np.full(len(right), -np.inf, np.float32)
    lengths = _measure_lengths(left, tile_rows), _measure_lengths(right, tile_rows)
    tiles = plan_tiles(len(left), len(right), tile_rows=tile_rows)
    _raise_cosines((left, right), lengths, tiles, best, progress)
    return best


def best_distance(
    left: HashRows, right: HashRows | None, *, tile_rows: int = 131_072, progress: Progress | None = None
) -> Distances:
    """Return for each left hash its smallest Hamming distance to any hash of the other set, `(n,)` int32, in bits.

    Args:
        left: `(n, b)` uint8 packed hashes.
        right: `(m, b)` uint8 packed hashes of the other set, or None to compare each left hash with all others.
        tile_rows: Rows of a tile; results do not depend on it.
        progress: Called after each tile with the number of pairs compared in it; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        Distances from 0 to 8 b; 8 b + 1, which is no distance, where there is no hash to compare with.

    Raises:
        ValueError: Hashes are not uint8 matrices of one width of at least one byte.
    """
    if right is not None:
        return best_distances(left, right, tile_rows=tile_rows, progress=progress)[0]
    _require_rows(left, left, np.uint8)
    tiles = plan_tiles(len(left), None, tile_rows=tile_rows)
    return np.minimum(*_find_distances((left, left), tiles, progress))


def best_distances(
    left: HashRows, right: HashRows, *, tile_rows: int = 131_072, progress: Progress | None = None
) -> tuple[Distances, Distances]:
    """Return `best_distance` of the left hashes in the right ones and of the right ones in the left, in one pass."""
    _require_rows(left, right, np.uint8)
    return _find_distances((left, right), plan_tiles(len(left), len(right), tile_rows=tile_rows), progress)


def _require_rows(left: Rows | HashRows, right: Rows | HashRows, dtype: type) -> None:
    for name, rows in (("left", left), ("right", right)):
        if rows.ndim != 2 or rows.dtype != dtype or rows.shape[1] != left.shape[1] or rows.shape[1] < 1:
            wanted = f"{np.dtype(dtype)} rows as wide as the left ones and not empty"
            raise ValueError(f"{name} must be {wanted}, got {rows.dtype} of shape {rows.shape}")


def _measure_lengths(rows: Rows, tile_rows: int) -> Lengths:
    """Return `(n,)` float64, a little more than the length of each row; raises ValueError at values not finite."""
    lengths = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), tile_rows):
        tile = rows[start : start + tile_rows]
        largest_norm(tile)
        lengths[start : start + tile_rows] = np.sqrt(np.einsum("ij,ij->i", tile, tile, dtype=np.float64))
    # The sums of lengths and scores may each be off by d + 1 roundings of float64: a product of two covers both.
    lengths *= 1 + (rows.shape[1] + 4) * 2.0**-52
    return lengths


def _raise_cosines(
    sides: tuple[Rows, Rows],
    lengths: tuple[Lengths, Lengths],
    tiles: Iterator[Tile],
    best: tuple[Scores, Scores],
    progress: Progress | None,
) -> None:
    left, top = np.empty((0, 0), np.float32), -1
    for tile in tiles:
        rows, columns = slice(tile.left_start, tile.left_stop), slice(tile.right_start, tile.right_stop)
        if tile.left_start != top:
            left, top = np.ascontiguousarray(sides[0][rows]), tile.left_start
        right = left if tile.is_diagonal else np.ascontiguousarray(sides[1][columns])
        scores = left @ right.T
        if tile.is_diagonal:
            np.fill_diagonal(scores, -np.inf)  # a row is not its own match
        _raise_tile(scores, (left, right), (lengths[0][rows], lengths[1][columns]), (best[0][rows], best[1][columns]))
        if progress is not None:
            progress(tile.n_comparisons)


def _raise_tile(
    scores: FloatRows, sides: tuple[FloatRows, FloatRows], lengths: tuple[Lengths, Lengths], best: tuple[Scores, Scores]
) -> None:
    from overlens.search.best_kernels import raise_best

    slack = score_slack(sides[0].shape[1], float(lengths[0].max() * lengths[1].max()))
    floors = tuple(_floors(scores.max(axis=axis), known, slack) for axis, known in ((1, best[0]), (0, best[1])))
    raise_best(scores, sides, lengths, floors, best)


def _floors(tops: Scores, known: Scores, slack: float) -> Scores:
    """Return what an approximate score must reach to be the best, `(r,)` float32.

    The best score is at least what is known and at least the highest approximate score less the slack; a pair whose
    approximate score is more than the slack below that cannot reach it.
    """
    reached = np.maximum(known, tops.astype(np.float64) - slack)
    # One step down, because the difference is rounded once more when it becomes a float32.
    return np.nextafter((reached - slack).astype(np.float32), np.float32(-np.inf))


def _find_distances(
    sides: tuple[HashRows, HashRows], tiles: Iterator[Tile], progress: Progress | None
) -> tuple[Distances, Distances]:
    from overlens.search.hamming import pack_words

    none = 8 * sides[0].shape[1] + 1
    best = np.full(len(sides[0]), none, np.int32), np.full(len(sides[1]), none, np.int32)
    for tile in tiles:
        rows, columns = slice(tile.left_start, tile.left_stop), slice(tile.right_start, tile.right_stop)
        words = pack_words(sides[0][rows])
        others = words if tile.is_diagonal else pack_words(sides[1][columns])
        _lower_tile(words, others, tile.is_diagonal, (best[0][rows], best[1][columns]))
        if progress is not None:
            progress(tile.n_comparisons)
    return best


def _lower_tile(
    words: NDArray[np.uint64],
    others: NDArray[np.uint64],
    is_diagonal: bool,
    best: tuple[Distances, Distances],
) -> None:
    """Compare every pair, in parts that stay in the processor's cache."""
    from overlens.search.best_kernels import lower_best

    for part in plan_tiles(len(words), None if is_diagonal else len(others), tile_rows=CACHE_ROWS):
        rows, columns = slice(part.left_start, part.left_stop), slice(part.right_start, part.right_stop)
        lower_best(
            words[rows], np.ascontiguousarray(others[columns].T), part.is_diagonal, (best[0][rows], best[1][columns])
        )
