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
_MOST_BANDS = 64
_SAMPLE_ROWS = 512
# Measured costs of a probe and of a candidate, in comparisons of the kernel that compares every pair.
_PROBE_COST, _CANDIDATE_COST = 20, 6


@dataclass(frozen=True, slots=True)
class Bands:
    """Which bands of a hash are looked at, and how far around a value.

    Attributes:
        n_bands: Bands from the first on.
        radius: Largest difference in a band that proposes a pair, bits.
        masks: Values at most `radius` bits from 0, uint64.
    """

    n_bands: int
    radius: int
    masks: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class BandIndex:
    """The hashes of one side of a tile, sorted by the value of one band.

    Attributes:
        starts: `(65537,)` int32, where in `order` the hashes of each value begin.
        order: `(c,)` int32, columns sorted by value.
        words: `(w, c)` uint64, the hashes in that order word by word, so that one value's lie side by side.
    """

    starts: NDArray[np.int32]
    order: NDArray[np.int32]
    words: NDArray[np.uint64]


def plan_bands(n_bytes: int, max_distance_bits: int) -> Bands | None:
    """Return the bands for hashes of `n_bytes`, or None where the distance is too large for bands to pay."""
    radius = max_distance_bits // -(-n_bytes * 8 // BAND_BITS)
    n_bands = max_distance_bits // (radius + 1) + 1
    if radius > _WIDEST_PROBE or n_bands > _MOST_BANDS:
        return None
    return Bands(n_bands, radius, _list_masks(radius))


def index_band(columns: NDArray[np.uint64], band: int) -> BandIndex:
    """Return `(c, w)` hashes in the order of a band."""
    values = _band_values(columns, band)
    order = np.argsort(values, kind="stable").astype(np.int32)
    return BandIndex(_count_starts(values), order, np.ascontiguousarray(columns[order].T))


def bands_pay(bands: Bands, words: NDArray[np.uint64], columns: NDArray[np.uint64]) -> bool:
    """Estimate from some of the `(r, w)` left hashes whether bands cost less than comparing all pairs."""
    from overlens.search.kernels import count_candidates

    sample = np.ascontiguousarray(words[:: max(1, len(words) // _SAMPLE_ROWS)])
    n_probes = len(sample) * len(bands.masks) * bands.n_bands
    cost = _PROBE_COST * n_probes
    for band in range(bands.n_bands):
        starts = _count_starts(_band_values(columns, band))
        cost += _CANDIDATE_COST * count_candidates(_band_values(sample, band), starts, bands.masks)
    # Within one set both ways meet each pair once, so that the costs are halved alike.
    return bool(cost < len(sample) * len(columns))


def _band_values(words: NDArray[np.uint64], band: int) -> NDArray[np.uint16]:
    return (words[:, band // 4] >> np.uint64(BAND_BITS * (band % 4))).astype(np.uint16)


def _count_starts(values: NDArray[np.uint16]) -> NDArray[np.int32]:
    starts = np.zeros(2**BAND_BITS + 1, np.int32)
    starts[1:] = np.cumsum(np.bincount(values, minlength=2**BAND_BITS))
    return starts


def _list_masks(radius: int) -> NDArray[np.uint64]:
    chosen = (bits for count in range(radius + 1) for bits in combinations(range(BAND_BITS), count))
    return np.array([sum(1 << bit for bit in bits) for bits in chosen], np.uint64)
