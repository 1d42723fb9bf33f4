"""Bound the dot products of many rows by a few coordinates, so that most pairs need no more than these.

Rows are split along an orthonormal basis Q of k directions: x = Q h + t, with the head h of k coordinates and a tail t
of length r. Then <a, b> <= <h_a, h_b> + r_a r_b, which is one product of rows of k + 1 values. A pair whose bound stays
below the threshold cannot reach it. How many pairs that spares depends on how alike the rows are, so k is chosen by a
sample of them; where no k pays, the rows serve as their own heads, and nothing is bounded.

The slack. Let h be the head as it was computed, u = 2^-24, g(i) = i u / (1 - i u), and e >= |Q'Q - I|, measured in
float64. With t = x - Q h, exactly,

    <a, b> = <Q h_a, Q h_b> + h_a' Q't_b + h_b' Q't_a + <t_a, t_b>,

where the first term is off <h_a, h_b> by e |h_a| |h_b| at most, and Q't = (Q'x - h) - (Q'Q - I) h is no longer than
g(d) sqrt(k) |x| + e |h|, as every one of its k values is a dot product of d terms (N. J. Higham, Accuracy and Stability
of Numerical Algorithms, 2nd ed., SIAM 2002, section 3.1). The length of t is measured and enlarged by what rounding may
have hidden of it.

Shapes: n and m rows, d dimensions, k coordinates of a head.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows
from overlens.search.rounding import UNIT_ROUNDOFF, gamma, largest_norm

SIZES = (16, 32, 48, 64, 96, 128, 192, 256)
"""Sizes of a head that are weighed against one another."""
FITTED_ROWS = 4096
MEASURED_ROWS = 1024
FEWEST_PRODUCTS = 20e9
"""Multiply-adds of a whole search below which it costs less than choosing a basis."""

_SPARE = 1.1  # for products of such errors with one another, which the sums leave out

# Measured costs, in multiply-adds of a matrix product: to look at a bound, and to score a pair of d dimensions.
_LOOK_COST, _SCORE_COST = 6.0, 16.0


@dataclass(frozen=True, slots=True)
class Basis:
    """Directions along which rows are split.

    Attributes:
        directions: `(d, k)` float32, orthonormal up to rounding.
        defect: Upper end of |Q'Q - I|.
    """

    directions: NDArray[np.float32]
    defect: float

    def split(self, rows: FloatRows) -> NDArray[np.float32]:
        """Return `(n, k + 1)` float32: the head of each row, and the length of its tail, rounded up."""
        size = self.directions.shape[1]
        heads = np.empty((len(rows), size + 1), np.float32)
        np.matmul(rows, self.directions, out=heads[:, :-1])
        tails = rows - heads[:, :-1] @ self.directions.T
        lengths = _lengths(tails)
        hidden = gamma(size + 2) * (math.sqrt(size) * _lengths(heads[:, :-1]) + _lengths(rows)) * _SPARE
        heads[:, -1] = np.nextafter((lengths + hidden).astype(np.float32), np.float32(np.inf))
        return heads

    def slack(self, longest: tuple[float, float]) -> float:
        """Return by how much a product of two split rows may stay below the true score of the rows.

        Args:
            longest: Length of the longest row on either side.
        """
        size, width = self.directions.shape[1], self.directions.shape[0]
        crossing = 2 * (gamma(width) * math.sqrt(size) + self.defect)
        product, score = 2 * gamma(size + 1), 2 * UNIT_ROUNDOFF
        relative = (self.defect + crossing + product + score) * _SPARE
        smallest = (size + width) * float(np.finfo(np.float32).tiny)
        return float(relative * longest[0] * longest[1] + smallest)


def choose_basis(left: FloatRows, right: FloatRows, floor: float) -> Basis | None:
    """Return the basis by which a search at a score of `floor` costs least, or None where none spares anything.

    Args:
        left: `(n, d)` float32 rows of length about 1, in memory or memory-mapped.
        right: `(m, d)` float32 rows; the same where rows are compared among themselves.
        floor: Smallest score that is looked for.
    """
    width = left.shape[1]
    if min(len(left), len(right)) < 2 or len(left) * len(right) * width < FEWEST_PRODUCTS:
        return None
    # Two samples, because directions that were fitted to rows fit these better than all others.
    sides = (left,) if left is right else (left, right)
    directions = _principal(np.concatenate([_sample(rows, 0, FITTED_ROWS) for rows in sides]))
    measured = [_sample(rows, 1, MEASURED_ROWS) for rows in (left, right)]
    best: tuple[float, Basis | None] = (float(width) + _LOOK_COST, None)
    for size in (size for size in SIZES if size < width):
        basis = _make_basis(directions[:, :size])
        bounds = basis.split(measured[0]) @ basis.split(measured[1]).T
        share = _share_reached(bounds, floor - basis.slack((1.0, 1.0)), is_same=left is right)
        cost = size + 1 + _LOOK_COST + share * _SCORE_COST * width
        if cost < best[0]:
            best = cost, basis
    return best[1]


def _share_reached(bounds: NDArray[np.float32], floor: float, *, is_same: bool) -> float:
    """Return the share of pairs whose bound reaches the floor; of the same rows twice none is a pair with itself."""
    n_same = len(bounds) if is_same else 0
    return (int(np.count_nonzero(bounds >= floor)) - n_same) / (bounds.size - n_same)


def _sample(rows: FloatRows, offset: int, n_rows: int) -> NDArray[np.float32]:
    step = max(2, len(rows) // n_rows)
    sample = np.ascontiguousarray(rows[offset::step][:n_rows])
    largest_norm(sample)
    return sample


def _principal(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return `(d, d)`: the directions in which the rows are longest, the longest first."""
    _, directions = np.linalg.eigh(rows.T.astype(np.float64) @ rows)
    return np.asarray(directions[:, ::-1])


def _make_basis(directions: NDArray[np.float64]) -> Basis:
    rounded = np.ascontiguousarray(directions, np.float32)
    product = rounded.astype(np.float64).T @ rounded
    defect = float(np.linalg.norm(product - np.eye(len(product)))) * (1 + 1e-6) + 1e-12
    return Basis(rounded, defect)


def _lengths(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)))
