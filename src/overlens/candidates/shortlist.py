"""Keep the best few partners of every image while candidates stream by, in memory that does not grow with their number.

The lists are bounded, sorted by one total order and hold a pair once, so they depend on the set of pairs alone, not on
which search found a pair, in what order or how often.

Shapes: n images in all, m pairs, k places of a list, t hash types.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.signals import Sources, measure_cosine, measure_distances

BUFFERED_PAIRS = 131_072

Rows = NDArray[np.int32]


class Shortlist:
    """The best partners of every image by merit; the larger merit, and of equal ones the lower row, is better."""

    __slots__ = ("_buffer", "_is_full", "_lists", "_min_cosine", "_n_buffered", "_radii", "_sources")

    def __init__(self, sources: Sources, n_places: int, radii: Sequence[int], min_cosine: float) -> None:
        """Start empty lists of `n_places`; `radii` in bits, one a hash type, and `min_cosine` scale the merits."""
        n_images = sources.roster.n_images
        self._sources, self._radii, self._min_cosine = sources, np.asarray(radii, np.float32), min_cosine
        self._lists = np.full((n_images, n_places), -1, np.int32), np.zeros((n_images, n_places), np.float32)
        self._is_full = np.zeros(n_images, np.bool_)
        self._buffer: list[tuple[Rows, Rows]] = []
        self._n_buffered = 0

    @property
    def n_capped(self) -> int:
        """Number of images that had more partners than places."""
        self._flush()
        return int(self._is_full.sum())

    def add(self, left: Rows, right: Rows) -> None:
        """Enter pairs of global rows, `left < right`."""
        self._buffer.append((left, right))
        self._n_buffered += len(left)
        if self._n_buffered >= BUFFERED_PAIRS:
            self._flush()

    def pairs(self) -> tuple[Rows, Rows]:
        """Return the pairs that stand in the list of either image, `left < right`; one that stands in both comes twice.

        At most `n * k` pairs.
        """
        self._flush()
        images, places = np.nonzero(self._lists[0] >= 0)
        partners = self._lists[0][images, places]
        rows = images.astype(np.int32)
        return np.minimum(rows, partners), np.maximum(rows, partners)

    def _flush(self) -> None:
        if not self._buffer:
            return
        from overlens.search.pair_kernels import enter_partners

        left, right = (np.concatenate(columns).astype(np.int64) for columns in zip(*self._buffer, strict=True))
        self._buffer.clear()
        self._n_buffered = 0
        keys = np.unique(left << 32 | right)
        first, second = (keys >> 32).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32)
        merits = self._measure_merits(first, second)
        enter_partners(first, second, merits, self._lists, self._is_full)
        enter_partners(second, first, merits, self._lists, self._is_full)

    def _measure_merits(self, left: Rows, right: Rows) -> NDArray[np.float32]:
        """Return how strongly the best signal speaks for each pair, `(m,)` float32, 0 to 1."""
        distances, _ = measure_distances(self._sources, left, right)
        by_hash = np.maximum(1 - distances / (self._radii + 1), 0).max(axis=1)
        cosine = measure_cosine(self._sources, left, right)
        by_cosine = np.clip((cosine - self._min_cosine) / (1 - self._min_cosine), 0, 1)
        merits: NDArray[np.float32] = np.fmax(by_hash, by_cosine).astype(np.float32)  # fmax: no encoder gives nan
        return merits
