"""Find every pair of packed hashes that differ in at most `max_distance_bits` bits.

Exact, at any hash width, tile by tile. A tile is either compared pair by pair (XOR and bit count on 64-bit words: about
a second for 100,000 hashes of 64 bits on one core, growing with the square), or, where the distance is small and the
hashes are spread, visited through an index by bands (several times faster); both find the same pairs. Close pairs are
counted on all cores and written in bounded blocks, so that a thousand identical blank pages cost time and never memory.

Shapes: n and m rows, b bytes of a hash.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.cores import map_parts
from overlens.records import HashRows, PairBlock
from overlens.search.bands import BandIndex, Bands, choose_bands, index_band
from overlens.search.tiles import Tile, plan_tiles

Words = NDArray[np.uint64]
Columns = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]

CHUNK_PAIRS = 262_144
CACHE_ROWS = 4096
PROBED_ROWS, PROBED_PAIRS = 2048, 4096


def find_hamming_pairs(
    left: HashRows,
    right: HashRows | None,
    *,
    max_distance_bits: int,
    tile_rows: int = 1_048_576,
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
        ValueError: Hashes are not uint8 matrices of one width of at least one byte, or `max_distance_bits` is negative.
    """
    for name, rows in (("left", left), ("right", left if right is None else right)):
        if rows.ndim != 2 or rows.dtype != np.uint8 or rows.shape[1] != left.shape[1]:
            raise ValueError(f"{name} must be uint8 hashes as wide as the left ones, got {rows.dtype} {rows.shape}")
    if left.shape[1] < 1:
        raise ValueError("hashes of no bytes cannot be compared; give at least one byte a hash")
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
        words = pack_words(left[tile.left_start : tile.left_stop])
        columns = words if tile.is_diagonal else pack_words(right[tile.right_start : tile.right_stop])
        bands = choose_bands((words, columns), 8 * left.shape[1], max_distance_bits)
        if bands is not None:
            yield from _probe_tile((words, columns), bands, tile, max_distance_bits)
        else:
            yield from _compare_tile(words, columns, tile, max_distance_bits)
        if progress is not None:
            progress(tile.n_comparisons)


def pack_words(rows: HashRows) -> Words:
    """Pad `(r, b)` bytes with zeros to whole 64-bit words, `(r, w)`; zeros add nothing to a distance."""
    padded = np.zeros((len(rows), -(-rows.shape[1] // 8) * 8), np.uint8)
    padded[:, : rows.shape[1]] = rows
    return padded.view(np.uint64)


def _compare_tile(words: Words, columns: Words, tile: Tile, max_distance_bits: int) -> Iterator[PairBlock]:
    """Compare every pair, in parts that stay in the processor's cache."""
    from overlens.search.kernels import count_close, write_close

    limit = np.uint64(max_distance_bits)

    def sides(part: Tile) -> tuple[Words, Words]:
        upper, lower = words[part.left_start : part.left_stop], columns[part.right_start : part.right_stop]
        return upper, np.ascontiguousarray(lower.T)

    def count(part: Tile) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = count_close(*sides(part), limit, part.is_diagonal)
        return counts

    parts = list(plan_tiles(len(words), None if tile.is_diagonal else len(columns), tile_rows=CACHE_ROWS))
    for part, counts in zip(parts, map_parts(count, parts), strict=True):
        for rows in _group_rows(counts):
            pairs = write_close(*sides(part), limit, part.is_diagonal, rows, int(counts[rows].sum()))
            yield _shift(pairs, tile.left_start + part.left_start, tile.right_start + part.right_start)


def _probe_tile(sides: tuple[Words, Words], bands: Bands, tile: Tile, max_distance_bits: int) -> Iterator[PairBlock]:
    """Visit only the pairs that an index by one band after the other proposes."""
    for band in range(len(bands.places)):
        left = index_band(sides[0], bands, band)
        right = left if tile.is_diagonal else index_band(sides[1], bands, band)
        search = _BandSearch(left, right, bands, band, (np.uint64(max_distance_bits), tile.is_diagonal))
        starts = range(0, len(left.order), PROBED_ROWS)
        parts = (np.arange(start, min(start + PROBED_ROWS, len(left.order))) for start in starts)
        for places, counts, pairs in map_parts(search, parts):
            for block in search.all_pairs(places, counts, pairs):
                yield _shift(block, tile.left_start, tile.right_start)


@dataclass(frozen=True, slots=True)
class _BandSearch:
    """Visits the pairs that one band proposes; called from several threads at once."""

    left: BandIndex
    right: BandIndex
    bands: Bands
    band: int
    limits: tuple[np.uint64, bool]

    def __call__(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], Columns]:
        """Return places, their numbers of pairs, and the first of these."""
        pairs = _make_columns(PROBED_PAIRS)
        return places, self._visit(places, pairs), pairs

    def all_pairs(self, places: NDArray[np.int64], counts: NDArray[np.int64], pairs: Columns) -> Iterator[Columns]:
        """Yield all pairs of places, given the first of them; nearly always these are all, and nothing is repeated."""
        n_pairs = int(counts.sum())
        if 0 < n_pairs <= min(PROBED_PAIRS, CHUNK_PAIRS):
            yield pairs[0][:n_pairs], pairs[1][:n_pairs], pairs[2][:n_pairs]
        elif n_pairs:
            for chosen in _group_rows(counts):
                found = _make_columns(int(counts[chosen].sum()))
                self._visit(places[chosen], found)
                yield found

    def _visit(self, places: NDArray[np.int64], pairs: Columns) -> NDArray[np.int64]:
        from overlens.search.band_kernels import visit_banded

        left = self.left.order, self.left.words
        right = self.right.starts, self.right.order, self.right.words
        band = self.band, np.uint64(self.bands.radius), self.bands.masks, self.bands.layout
        counts: NDArray[np.int64] = visit_banded(places, left, right, band, self.limits, pairs)
        return counts


def _make_columns(n_pairs: int) -> Columns:
    return np.empty(n_pairs, np.int32), np.empty(n_pairs, np.int32), np.empty(n_pairs, np.int32)


def _shift(pairs: Sequence[NDArray[np.int32]], left_start: int, right_start: int) -> PairBlock:
    left, right, bits = pairs
    return PairBlock(left + np.int32(left_start), right + np.int32(right_start), bits)


def _group_rows(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut the rows that have pairs into runs of at most `CHUNK_PAIRS` pairs, or of one row."""
    rows = np.flatnonzero(counts)
    ends = np.cumsum(counts[rows])
    start, done = 0, 0
    while start < len(rows):
        stop = max(start + 1, int(np.searchsorted(ends, done + CHUNK_PAIRS, side="right")))
        yield rows[start:stop]
        start, done = stop, int(ends[stop - 1])
