"""How near is the most alike row of another set? One number for each row, exact.

From it follows how many images have a match at any threshold, without a search for each. Tiled: memory is two tiles and
a few numbers for each row. One pass serves both directions of two sets, and within one set only the upper half is
compared. A cosine score is the one that `overlens.search.cosine` reports for the pair; `overlens.search.nearest` skips
pairs that cannot be the best. Distances are counted on all bits. Time grows with the product of the rows.

Shapes: n and m rows, d dimensions, b bytes of a hash.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from overlens.records import HashRows
from overlens.search.nearest import list_nearest
from overlens.search.sides import TILE_ROWS
from overlens.search.tiles import Tile, plan_tiles
from overlens.stacked import Rows

Scores = NDArray[np.float32]
Distances = NDArray[np.int32]
Progress = Callable[[int], None]

CACHE_ROWS = 4096


def best_cosine(
    left: Rows, right: Rows | None, *, tile_rows: int = TILE_ROWS, progress: Progress | None = None
) -> Scores:
    """Return for each left row its highest cosine similarity to any row of the other set, `(n,)` float32.

    Args:
        left: `(n, d)` float32 rows of length 1, in memory or memory-mapped, in one matrix or several.
        right: `(m, d)` float32 rows of the other set, or None to compare each left row with all other left rows.
        tile_rows: Rows of a tile; results do not depend on it.
        progress: Called now and then with the number of pairs compared since; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        The scores as `find_cosine_pairs` reports them; minus infinity where there is no row to compare with.

    Raises:
        ValueError: Rows are not float32 matrices of one width, or hold values that are not finite.
    """
    if right is not None:
        return best_cosines(left, right, tile_rows=tile_rows, progress=progress)[0]
    _require_rows(left, left, np.float32)
    return list_nearest(left, None, k=1, tile_rows=tile_rows, progress=progress)[0].similarities()[:, 0]


def best_cosines(
    left: Rows, right: Rows, *, tile_rows: int = TILE_ROWS, progress: Progress | None = None
) -> tuple[Scores, Scores]:
    """Return `best_cosine` of the left rows in the right ones and of the right rows in the left ones, in one pass."""
    _require_rows(left, right, np.float32)
    one, other = list_nearest(left, right, k=1, tile_rows=tile_rows, progress=progress)
    return one.similarities()[:, 0], other.similarities()[:, 0]


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
