"""Keep the best few partners of every image while candidates stream by, in memory that does not grow with their number.

The lists are bounded, sorted by one total order and hold a pair once, by the highest merit that any search gave it, so
they depend on what was found alone, not on which search found it, in what order or how often. Nothing is measured here:
a search knows why it proposes a pair, and measuring each again would cost more than finding it.

Shapes: n images in all, m pairs, k places of a list.
"""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]


class Shortlist:
    """The best partners of every image by merit; the larger merit, and of equal ones the lower row, is better."""

    __slots__ = ("_is_full", "_lists")

    def __init__(self, n_images: int, n_places: int) -> None:
        """Start empty lists of `n_places`, at least 1."""
        self._lists = np.full((n_images, n_places), -1, np.int32), np.zeros((n_images, n_places), np.float32)
        self._is_full = np.zeros(n_images, np.bool_)

    @property
    def n_capped(self) -> int:
        """Number of images that had more partners than places."""
        return int(self._is_full.sum())

    def add(self, left: Rows, right: Rows, merits: NDArray[np.float32]) -> None:
        """Enter pairs of global rows, `left < right`, with merits of 0 to 1; a pair may come again with another."""
        from overlens.search.pair_kernels import enter_partners

        enter_partners(left, right, merits, self._lists, self._is_full)
        enter_partners(right, left, merits, self._lists, self._is_full)

    def pairs(self) -> tuple[Rows, Rows]:
        """Return the pairs that stand in the list of either image, `left < right`; one that stands in both comes twice.

        At most `n * k` pairs.
        """
        images = np.arange(len(self._is_full), dtype=np.int32)
        return self.pairs_as(images, images)

    def pairs_as(self, images: Rows, others: Rows) -> tuple[Rows, Rows]:
        """Return pairs of `images` with what stands in the lists of `others`, one of these for each, `left < right`."""
        partners = self._lists[0][others]
        places = partners >= 0
        rows = np.broadcast_to(images[:, None], partners.shape)[places]
        return np.minimum(rows, partners[places]), np.maximum(rows, partners[places])
