"""Find every pair of packed hashes that differ in at most `max_distance_bits` bits.

Exact, at any hash width: every pair is compared by XOR and bit count on 64-bit words, tile by tile. The time grows with
the square of the rows (about a second for 100,000 hashes of 64 bits on one core), the memory does not grow: a first
pass counts the close pairs of a tile, a second writes them in bounded blocks, so that a thousand identical blank pages
cost time and never memory. Serial, and the kernels release the GIL.

Shapes: n and m rows, b bytes of a hash.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from overlens.records import HashRows, PairBlock
from overlens.search.tiles import Tile, plan_tiles

CHUNK_PAIRS = 262_144


def find_hamming_pairs(
    left: HashRows,
    right: HashRows | None,
    *,
    max_distance_bits: int,
    tile_rows: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PairBlock]:
    """Yield every pair at a distance of at most `max_distance_bits`, each once, in no stated order.

    Args:
        left: `(n, b)` uint8 packed hashes.
        right: `(m, b)` uint8 packed hashes of the second dataset, or None for pairs within the first, where
            `left < right`.
        max_distance_bits: Largest distance to report, inclusive; at least 0.
        tile_rows: Rows of a tile; results do not depend on it.
        progress: Called after each tile with the number of pairs compared in it; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        Blocks of at most `max(CHUNK_PAIRS, tile_rows)` pairs with int32 distances in bits.

    Raises:
        ValueError: Hashes are not uint8 matrices of one width, or `max_distance_bits` is negative.
    """
    for name, rows in (("left", left), ("right", left if right is None else right)):
        if rows.ndim != 2 or rows.dtype != np.uint8 or rows.shape[1] != left.shape[1]:
            raise ValueError(f"{name} must be uint8 hashes as wide as the left ones, got {rows.dtype} {rows.shape}")
    if max_distance_bits < 0:
        raise ValueError(f"max_distance_bits is {max_distance_bits}; allowed is 0 or more, such as 5")
    tiles = plan_tiles(len(left), None if right is None else len(right), tile_rows=tile_rows)
    return _search(left, left if right is None else right, tiles, max_distance_bits, progress)


def _search(
    left: HashRows,
    right: HashRows,
    tiles: Iterator[Tile],
    max_distance_bits: int,
    progress: Callable[[int], None] | None,
) -> Iterator[PairBlock]:
    for tile in tiles:
        words = _pack_words(left[tile.left_start : tile.left_stop])
        columns = np.ascontiguousarray(_pack_words(right[tile.right_start : tile.right_stop]).T)
        yield from _measure_tile(words, columns, tile, max_distance_bits)
        if progress is not None:
            progress(tile.n_comparisons)


def _pack_words(rows: HashRows) -> NDArray[np.uint64]:
    """Pad `(r, b)` bytes with zeros to whole 64-bit words, `(r, w)`; zeros add nothing to a distance."""
    padded = np.zeros((len(rows), -(-rows.shape[1] // 8) * 8), np.uint8)
    padded[:, : rows.shape[1]] = rows
    return padded.view(np.uint64)


def _measure_tile(
    words: NDArray[np.uint64], columns: NDArray[np.uint64], tile: Tile, max_distance_bits: int
) -> Iterator[PairBlock]:
    from overlens.search.kernels import count_close, write_close

    limit = np.uint64(max_distance_bits)
    counts = count_close(words, columns, limit, tile.is_diagonal)
    for rows in _group_rows(counts):
        left, right, bits = write_close(words, columns, limit, tile.is_diagonal, rows, int(counts[rows].sum()))
        yield PairBlock(left + np.int32(tile.left_start), right + np.int32(tile.right_start), bits)


def _group_rows(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut the rows that have pairs into runs of at most `CHUNK_PAIRS` pairs, or of one row."""
    rows = np.flatnonzero(counts)
    ends = np.cumsum(counts[rows])
    start, done = 0, 0
    while start < len(rows):
        stop = max(start + 1, int(np.searchsorted(ends, done + CHUNK_PAIRS, side="right")))
        yield rows[start:stop]
        start, done = stop, int(ends[stop - 1])
