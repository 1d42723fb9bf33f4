"""Find every pair of images whose hashes are close when one of the two is flipped or rotated.

Each image as it is against the other in all eight orientations. Both ways count, because they differ: a difference
hash of a transposed picture compares other pixels, and a median moves, so that hashes of two mirrored pictures are not
as far apart as those of the two pictures. The smaller of the two says the same whichever image is named first. Off the
diagonal the second way costs seven comparisons more to the eight. Exact: the hashes of an image become rows of one
ordinary search (`overlens.search.hamming`), tile by tile. A pair that is close in several orientations comes once for
each of them, because merging them would need a table of all pairs; who needs each pair once sorts what was found.

Shapes: n and m images, b bytes of a hash.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from overlens.hashes.orientation import N_ORIENTATIONS
from overlens.records import PairBlock
from overlens.search.hamming import find_hamming_pairs
from overlens.search.tiles import Tile, plan_tiles

Rows = NDArray[np.int32]
OrientedHashes = NDArray[np.uint8]
"""`(n, 8, b)` uint8: the packed hashes of each image in all orientations, as it is first."""


def find_oriented_pairs(
    left: OrientedHashes,
    right: OrientedHashes | None,
    *,
    max_distance_bits: int,
    tile_rows: int = 16_384,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PairBlock]:
    """Yield every pair whose distance is at most `max_distance_bits` in some orientation of either image.

    Args:
        left: `(n, 8, b)` uint8 packed hashes of each image in all orientations, as it is first.
        right: `(m, 8, b)` uint8 packed hashes of the second dataset, or None for pairs within the first, where
            `left < right`.
        max_distance_bits: Largest distance to report, inclusive; at least 0.
        tile_rows: Images of a tile; results do not depend on it.
        progress: Called after each tile with the number of image pairs compared in it; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        Blocks of pairs with int32 distances in bits; a pair comes for each close orientation of either image.

    Raises:
        ValueError: Hashes are not uint8 of eight orientations of one width, or `max_distance_bits` is negative.
    """
    for name, hashes in (("left", left), ("right", left if right is None else right)):
        if hashes.ndim != 3 or hashes.dtype != np.uint8 or hashes.shape[1:] != (N_ORIENTATIONS, left.shape[-1]):
            raise ValueError(f"{name} must be (n, 8, b) uint8 hashes of one width, got {hashes.dtype} {hashes.shape}")
    if max_distance_bits < 0:
        raise ValueError(f"max_distance_bits is {max_distance_bits}; allowed is 0 or more, such as 5")
    tiles = plan_tiles(len(left), None if right is None else len(right), tile_rows=tile_rows)
    return _search(left, left if right is None else right, tiles, max_distance_bits, progress)


def _search(
    left: OrientedHashes,
    right: OrientedHashes,
    tiles: Iterator[Tile],
    max_distance_bits: int,
    progress: Callable[[int], None] | None,
) -> Iterator[PairBlock]:
    for tile in tiles:
        sides = left[tile.left_start : tile.left_stop], right[tile.right_start : tile.right_stop]
        for first, second, bits in _search_tile(sides[0], sides[1], max_distance_bits, is_diagonal=tile.is_diagonal):
            yield _name_images(first, second, bits, tile)
        if not tile.is_diagonal:  # where it is, that was both ways; and of two images as they are, both ways are one
            for second, first, bits in _search_tile(sides[1], sides[0][:, 1:], max_distance_bits):
                yield _name_images(first, second, bits, tile)
        if progress is not None:
            progress(tile.n_comparisons)


def _search_tile(
    left: OrientedHashes, right: OrientedHashes, max_distance_bits: int, *, is_diagonal: bool = False
) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Yield rows and distances of close images, the left ones as they are, the right ones in the orientations given.

    On the diagonal each pair is turned so that `left < right`, and as they are comes once.
    """
    rows, others = np.ascontiguousarray(left[:, 0]), right.reshape(-1, right.shape[2])
    for block in find_hamming_pairs(rows, others, max_distance_bits=max_distance_bits):
        first, (second, code) = block.left, np.divmod(block.right, np.int32(right.shape[1]))
        bits = block.scores.astype(np.int32, copy=False)
        if is_diagonal:
            kept = np.flatnonzero((first < second) | ((code > 0) & (first > second)))
            first, second, bits = first[kept], second[kept], bits[kept]
            first, second = np.minimum(first, second), np.maximum(first, second)
        if len(first):
            yield first, second, bits


def _name_images(left: Rows, right: Rows, distances: Rows, tile: Tile) -> PairBlock:
    return PairBlock(left + np.int32(tile.left_start), right + np.int32(tile.right_start), distances)
