"""The inner loops of search by bands of a hash, compiled: serial, and they release the GIL.

Importing this module loads numba, so its users import it inside their functions.

Shapes: r left hashes, c right hashes, w 64-bit words of a hash, k bands, v values that one band can have.
"""

import numpy as np
from numpy.typing import NDArray

from overlens.compiled import compiled
from overlens.search.kernels import Columns, Places, Rows, Words, count_bits

Layout = tuple[Places, Words, np.uint64]
"""Word and lowest bit of each band, `(k,)` int64 and uint64, and the mask of as many bits as a band has."""


@compiled()
def _band_value(words: Words, layout: Layout, band: int) -> np.uint64:
    value: np.uint64 = (words[layout[0][band]] >> layout[1][band]) & layout[2]
    return value


@compiled()
def count_candidates(values: NDArray[np.uint32], starts: Rows, masks: Words) -> int:
    """Return how many pairs a band proposes for `(r,)` uint32 values of left hashes."""
    n_candidates = 0
    for value in values:
        for mask in masks:
            bucket = np.uint64(value) ^ mask
            n_candidates += starts[bucket + np.uint64(1)] - starts[bucket]
    return n_candidates


@compiled()
def _is_repeated(left: Words, right: Words, layout: Layout, band: int, radius: np.uint64) -> bool:
    # Whether an earlier band has proposed this pair already.
    for earlier in range(band):
        if count_bits(_band_value(left, layout, earlier) ^ _band_value(right, layout, earlier)) <= radius:
            return True
    return False


@compiled()
def _least_distance(word: np.uint64, columns: Words, start: int, stop: int) -> np.uint64:
    least = np.uint64(64)
    for k in range(start, stop):
        least = min(least, count_bits(word ^ columns[k]))
    return least


@compiled()
def visit_banded(
    places: Places,
    left: tuple[Rows, Words],
    right: tuple[Rows, Rows, Words],
    band: tuple[int, np.uint64, Words, Layout],
    limits: tuple[np.uint64, bool],
    out: Columns,
) -> Places:
    """Count the close pairs of left hashes by one band, and write as many of them as `out` has room for.

    Visiting neighbours in the order of the band finds the buckets that they share in the cache.

    Args:
        places: `(p,)` int64 places of left hashes in the order of the band.
        left: Order, `(r,)`, and words in that order, `(w, r)`.
        right: Starts, `(v + 1,)`, order, `(c,)`, and words in that order, `(w, c)`.
        band: Number of the band, radius, the masks of all values within it, and where all bands lie.
        limits: Largest distance, and whether both sides are one, so that each pair is met from its smaller value.
        out: Left rows, right rows and distances in bits, int32.

    Returns:
        `(p,)` int64: pairs of each place, written or not.
    """
    (order, words), (starts, columns_order, columns) = left, right
    (number, radius, masks, layout), (max_distance, is_diagonal) = band, limits
    counts = np.zeros(places.shape[0], np.int64)
    end = 0
    for visit in range(places.shape[0]):
        place = places[visit]
        value = _band_value(words[:, place], layout, number)
        for mask in masks:
            bucket = value ^ mask
            if is_diagonal and bucket < value:
                continue
            start = place + 1 if is_diagonal and bucket == value else np.int64(starts[bucket])
            stop = np.int64(starts[bucket + np.uint64(1)])
            # The first word alone tells of nearly all buckets that none is close, without a branch for each hash.
            if _least_distance(words[0, place], columns[0], start, stop) > max_distance:
                continue
            for k in range(start, stop):
                distance = np.uint64(0)
                for w in range(words.shape[0]):
                    distance += count_bits(words[w, place] ^ columns[w, k])
                if distance > max_distance or _is_repeated(words[:, place], columns[:, k], layout, number, radius):
                    continue
                counts[visit] += 1
                if end < out[0].shape[0]:
                    i, j = order[place], columns_order[k]
                    out[0][end] = min(i, j) if is_diagonal else i
                    out[1][end] = max(i, j) if is_diagonal else j
                    out[2][end] = distance
                    end += 1
    return counts
