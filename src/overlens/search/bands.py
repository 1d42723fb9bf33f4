"""Find candidates for close hashes through bands of bits instead of comparing every pair.

Pigeonhole: two hashes that differ in at most t bits, of which k bands are looked at, differ in at most r bits in one of
these bands, if k (r + 1) > t. So an index of the right hashes by band value, probed with every value at most r bits
away, meets every close pair. A pair that is close in several bands counts in the first of them only, so it comes once
(the idea of multi-index hashing: M. Norouzi, A. Punjani, D. Fleet, Fast exact search in Hamming space with multi-index
hashing, IEEE TPAMI 36, 2014).

It loses nothing and finds the same pairs as comparing all; it pays where the distance is small and values are spread.
Bands are as wide as there are bits and as hashes can fill: wide ones keep buckets small where bits go together, as
those of real hashes do. Which radius costs least, and whether comparing all does, is measured on a sample of rows.

Shapes: r rows and c columns of a tile, w 64-bit words of a hash, k bands, v values of a band.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

WORD_BITS = 64
_WIDEST_BAND = 18  # bits; the starts of its buckets take 1 MB, which stays in a core's cache
_WIDEST_PROBE = 3  # bits
_SAMPLE_ROWS = 512
_FEW_PAIRS = 1 << 22  # are compared in some milliseconds, about what measuring bands takes
# Measured costs of a probe and of a candidate, in comparisons of the kernel that compares every pair.
_PROBE_COST, _CANDIDATE_COST = 85, 3


@dataclass(frozen=True)
class Bands:
    """Which bands of a hash are looked at, and how far around a value.

    Attributes:
        places: Word and lowest bit of each band.
        n_bits: Bits of a band.
        radius: Largest difference in a band that proposes a pair, bits.
    """

    places: tuple[tuple[int, int], ...]
    n_bits: int
    radius: int

    @cached_property
    def masks(self) -> Words:
        """Values at most `radius` bits from 0, uint64."""
        chosen = (bits for count in range(self.radius + 1) for bits in combinations(range(self.n_bits), count))
        return np.array([sum(1 << bit for bit in bits) for bits in chosen], np.uint64)

    @cached_property
    def layout(self) -> tuple[NDArray[np.int64], Words, np.uint64]:
        """Words, lowest bits and the mask of a band, as the compiled loops take them."""
        words, bits = zip(*self.places, strict=True)
        return np.array(words, np.int64), np.array(bits, np.uint64), np.uint64((1 << self.n_bits) - 1)

    def values(self, words: Words, band: int) -> NDArray[np.uint32]:
        """Return the `(r,)` uint32 values of a band of `(r, w)` hashes."""
        word, bit = self.places[band]
        return ((words[:, word] >> np.uint64(bit)) & self.layout[2]).astype(np.uint32)

    def count_starts(self, values: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Return `(v + 1,)` int32: where the hashes of each value begin, if they are sorted by it."""
        starts = np.zeros(2**self.n_bits + 1, np.int32)
        np.cumsum(np.bincount(values, minlength=2**self.n_bits), out=starts[1:])
        return starts


@dataclass(frozen=True, slots=True)
class BandIndex:
    """The hashes of one side of a tile, sorted by the value of one band.

    Attributes:
        starts: `(v + 1,)` int32, where in `order` the hashes of each value begin.
        order: `(c,)` int32, columns sorted by value.
        words: `(w, c)` uint64, the hashes in that order word by word, so that one value's lie side by side.
    """

    starts: NDArray[np.int32]
    order: NDArray[np.int32]
    words: Words


def index_band(columns: Words, bands: Bands, band: int) -> BandIndex:
    """Return `(c, w)` hashes in the order of a band."""
    values = bands.values(columns, band)
    order = np.argsort(values, kind="stable").astype(np.int32)
    return BandIndex(bands.count_starts(values), order, np.ascontiguousarray(columns[order].T))


def plan_bands(n_bits: int, max_distance_bits: int, radius: int, widest: int = _WIDEST_BAND) -> Bands | None:
    """Return the bands by which a radius finds all pairs of hashes of `n_bits`, or None where these are too few bits.

    Args:
        n_bits: Bits of a hash.
        max_distance_bits: Largest distance that must be found.
        radius: Largest difference in a band that proposes a pair, bits.
        widest: Most bits of a band.
    """
    n_bands = max_distance_bits // (radius + 1) + 1
    words = [min(WORD_BITS, n_bits - start) for start in range(0, n_bits, WORD_BITS)]
    for width in range(min(widest, n_bits // n_bands), radius, -1):
        places = [(word, bit) for word, size in enumerate(words) for bit in range(0, size - width + 1, width)]
        if len(places) >= n_bands:
            return Bands(tuple(places[:n_bands]), width, radius)
    return None


def choose_bands(sides: tuple[Words, Words], n_bits: int, max_distance_bits: int) -> Bands | None:
    """Return the bands by which a search of `(r, w)` in `(c, w)` hashes costs least; None if comparing all does.

    Args:
        sides: The left and the right hashes, of uint64 words.
        n_bits: Bits of a hash.
        max_distance_bits: Largest distance to find.
    """
    words, columns = sides
    if len(words) * len(columns) <= _FEW_PAIRS:
        return None
    # Buckets of less than one hash are not worth their probes.
    widest = min(_WIDEST_BAND, max(8, len(columns).bit_length() + 1))
    best: tuple[float, Bands | None] = (float(len(columns)), None)
    sample = np.ascontiguousarray(words[:: max(1, len(words) // _SAMPLE_ROWS)])
    for radius in range(min(_WIDEST_PROBE, max_distance_bits) + 1):
        bands = plan_bands(n_bits, max_distance_bits, radius, widest)
        if bands is None or _PROBE_COST * len(bands.masks) * len(bands.places) >= best[0]:
            continue
        cost = _measure_cost(bands, sample, columns)
        if cost < best[0]:
            best = cost, bands
    # Within one set both ways meet each pair once, so that the costs are halved alike.
    return best[1]


def _measure_cost(bands: Bands, sample: Words, columns: Words) -> float:
    """Return the cost of a left hash, in comparisons of a pair, measured on some."""
    from overlens.search.band_kernels import count_candidates

    n_candidates = 0
    for band in range(len(bands.places)):
        starts = bands.count_starts(bands.values(columns, band))
        n_candidates += count_candidates(bands.values(sample, band), starts, bands.masks)
    n_probes = len(bands.masks) * len(bands.places)
    return _PROBE_COST * n_probes + _CANDIDATE_COST * n_candidates / max(1, len(sample))
