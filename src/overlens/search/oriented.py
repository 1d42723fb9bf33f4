"""Find every pair of images whose hashes are close when one of the two is flipped or rotated.

The hash of the left image as it is, against the hashes of the right image in all eight orientations: flipping the left
image instead would give the same pairs but for rounding, so one side is enough and half of the work is saved. Exact:
the eight hashes of an image become eight rows of one ordinary search (`overlens.search.hamming`), tile by tile. A pair
that is close in several orientations comes once for each of them, because merging them would need a table of all
pairs; who needs each pair once sorts what was found.

Shapes: n and m images, b bytes of a hash.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from overlens.hashes.orientation import N_ORIENTATIONS
from overlens.records import PairBlock
from overlens.search.hamming import find_hamming_pairs
from overlens.search.tiles import Tile, plan_tiles

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
    """Yield every pair whose distance is at most `max_distance_bits` in some orientation of the right image.

    Args:
        left: `(n, 8, b)` uint8 packed hashes, of which the first of each image is compared.
        right: `(m, 8, b)` uint8 packed hashes of the second dataset, or None for pairs within the first, where
            `left < right`.
        max_distance_bits: Largest distance to report, inclusive; at least 0.
        tile_rows: Images of a tile; results do not depend on it.
        progress: Called after each tile with the number of image pairs compared in it; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        Blocks of pairs with int32 distances in bits; a pair comes once for each orientation that is close.

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
        rows = np.ascontiguousarray(left[tile.left_start : tile.left_stop, 0])
        others = right[tile.right_start : tile.right_stop].reshape(-1, left.shape[2])
        for block in find_hamming_pairs(rows, others, max_distance_bits=max_distance_bits):
            yield from _name_images(block, tile)
        if progress is not None:
            progress(tile.n_comparisons)


def _name_images(block: PairBlock, tile: Tile) -> Iterator[PairBlock]:
    """Turn rows of a tile into images; of a tile on the diagonal only pairs with `left < right` are left."""
    left, right = block.left, block.right // np.int32(N_ORIENTATIONS)
    kept = np.flatnonzero(left < right) if tile.is_diagonal else slice(None)
    left, right = left[kept] + np.int32(tile.left_start), right[kept] + np.int32(tile.right_start)
    if len(left):
        yield PairBlock(left, right, block.scores[kept])
