"""Find candidates for close hashes through bands of 16 bits instead of comparing every pair.

Pigeonhole: two hashes that differ in at most t bits, of which k bands are looked at, differ in at most r bits in one of
these bands, if k (r + 1) > t. So an index of the right hashes by band value, probed with every value at most r bits
away, meets every close pair. A pair that is close in several bands counts in the first of them only, so it comes once
(the idea of multi-index hashing: M. Norouzi, A. Punjani, D. Fleet, Fast exact search in Hamming space with multi-index
hashing, IEEE TPAMI 36, 2014).

It loses nothing and finds the same pairs as comparing all; it pays where the distance is small and values are spread.
Real hashes are skewed, so the work is measured on a sample of rows before the choice.

Shapes: r rows and c columns of a tile, w 64-bit words of a hash, k bands.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

BAND_BITS = 16
_WIDEST_PROBE = 2  # bits; 137 values a band
_MOST_WORDS = 64  # of sorted hashes a row: bounds the memory of an index to about 600 bytes a row
_SAMPLE_ROWS = 512
# Measured costs of a probe and of a candidate, in comparisons of the kernel that compares every pair.
_PROBE_COST, _CANDIDATE_COST = 8, 20


@dataclass(frozen=True, slots=True)
class BandIndex:
    """The right hashes of a tile, sorted by the value of each band.

    Attributes:
        starts: `(k, 65537)` int32, where in `order` the hashes of each value begin.
        order: `(k, c)` int32, columns sorted by value.
        sorted_words: `(k, c, w)` uint64, the hashes in that order, so that one value's lie side by side.
        masks: Values at most `radius` bits from 0, uint64.
        radius: Largest difference in the band that proposes a pair, bits.
    """

    starts: NDArray[np.int32]
    order: NDArray[np.int32]
    sorted_words: NDArray[np.uint64]
    masks: NDArray[np.uint64]
    radius: int


def index_bands(columns: NDArray[np.uint64], *, n_bytes: int, max_distance_bits: int) -> BandIndex | None:
    """Return the index of `(c, w)` hashes of `n_bytes`, or None where the distance is too large for bands to pay."""
    radius = max_distance_bits // -(-n_bytes * 8 // BAND_BITS)
    n_bands = max_distance_bits // (radius + 1) + 1
    if radius > _WIDEST_PROBE or n_bands * columns.shape[1] > _MOST_WORDS:
        return None
    starts = np.zeros((n_bands, 2**BAND_BITS + 1), np.int32)
    order = np.empty((n_bands, len(columns)), np.int32)
    for band in range(n_bands):
        values = (columns[:, band // 4] >> np.uint64(BAND_BITS * (band % 4))).astype(np.uint16)
        order[band] = np.argsort(values, kind="stable")
        starts[band, 1:] = np.cumsum(np.bincount(values, minlength=2**BAND_BITS))
    return BandIndex(starts, order, columns[order], _list_masks(radius), radius)


def bands_pay(words: NDArray[np.uint64], index: BandIndex, n_comparisons: int) -> bool:
    """Estimate from some of the `(r, w)` left hashes whether bands cost less than `n_comparisons` comparisons."""
    from overlens.search.kernels import count_candidates

    sample = np.ascontiguousarray(words[:: max(1, len(words) // _SAMPLE_ROWS)])
    n_candidates = count_candidates(sample, index.starts, index.masks)
    n_probes = len(sample) * len(index.masks) * len(index.starts)
    cost = _PROBE_COST * n_probes + _CANDIDATE_COST * n_candidates
    return bool(cost * len(words) < n_comparisons * len(sample))


def _list_masks(radius: int) -> NDArray[np.uint64]:
    chosen = (bits for count in range(radius + 1) for bits in combinations(range(BAND_BITS), count))
    return np.array([sum(1 << bit for bit in bits) for bits in chosen], np.uint64)
