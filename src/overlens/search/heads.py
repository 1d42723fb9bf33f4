"""Bound the dot products of many rows by a few coordinates, so that most pairs need no more than these.

Rows are split along an orthonormal basis Q of k directions: x = Q h + t, with the head h of k coordinates and a tail t
of length r. Then <a, b> <= <h_a, h_b> + r_a r_b, which is one product of rows of k + 1 values. A pair whose bound stays
below the threshold cannot reach it. How many pairs that spares depends on how alike the rows are, so k is chosen by a
sample of them; where no k pays, the rows serve as their own heads, without a tail. Where the processor multiplies
bfloat16, heads are rounded to it.

The slack. Let h be the head as it is stored, u = 2^-24, g(i) = i u / (1 - i u), and e >= |Q'Q - I|, measured in
float64. With t = x - Q h, exactly,

    <a, b> = <Q h_a, Q h_b> + h_a' Q't_b + h_b' Q't_a + <t_a, t_b>,

where the first term is off <h_a, h_b> by e |h_a| |h_b| at most. Let c be the head as float32 computed it, before it was
rounded to h. Then Q't = (Q'x - c) + (c - h) - (Q'Q - I) h is no longer than g(d) sqrt(k) |x| + |c - h| + e |h|, as each
of the k values of c is a dot product of d terms (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
SIAM 2002, section 3.1). |c - h| is measured, and so is the length of t, enlarged by what rounding may have hidden of
it. Rows that are their own heads are the case Q = I, e = 0, c = x.

Shapes: n and m rows, d dimensions, k coordinates of a head.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows
from overlens.search.bfloat16 import round_to_bfloat16, round_up_to_bfloat16, widen
from overlens.search.rounding import UNIT_ROUNDOFF, gamma, largest_norm, row_lengths

SIZES = (15, 31, 47, 63, 95, 127, 191, 255)
"""Sizes of a head that are weighed against one another; with the tail's length, blocks of 16 and 32 are full."""
FITTED_ROWS = 4096
MEASURED_ROWS = 1024
FEWEST_PRODUCTS = 100e9
"""Multiply-adds of a whole search below which it costs less than choosing a split."""

_SPARE = 1.1  # for products of such errors with one another, which the sums leave out

# Measured costs of a pair in float32 multiply-adds: of one more coordinate, of a product's other work, and of a score.
_COORDINATE_COST = {False: 1.0, True: 0.3}
_PRODUCT_COST = {False: 20.0, True: 25.0}
_SCORE_COST = 100.0


@dataclass(frozen=True, slots=True)
class Heads:
    """Some rows, split.

    Attributes:
        values: `(n, k + 1)`: the head of each row and the length of its tail, or `(n, d)` rows without tails; float32,
            or the bits of bfloat16 as uint16.
        longest: Length of the longest row.
        rounding: Largest distance of a head from what it was before it was rounded to bfloat16.
    """

    values: NDArray[np.float32] | NDArray[np.uint16]
    longest: float
    rounding: float

    def as_float32(self) -> NDArray[np.float32]:
        """Return the values as float32, whatever they are stored in."""
        if self.values.dtype == np.uint16:
            return widen(self.values.view(np.uint16))
        return self.values.view(np.float32)


@dataclass(frozen=True)
class Split:
    """How rows are split.

    Attributes:
        width: Dimensions d of a row.
        is_narrow: Whether heads are rounded to bfloat16.
        directions: `(d, k)` float32, orthonormal up to rounding; None where rows are their own heads.
        defect: Upper end of |Q'Q - I|.
    """

    width: int
    is_narrow: bool
    directions: NDArray[np.float32] | None = None
    defect: float = 0.0

    @cached_property
    def n_values(self) -> int:
        """Values of a stored head, with its tail's length."""
        return self.width if self.directions is None else self.directions.shape[1] + 1

    def split(self, rows: FloatRows) -> Heads:
        """Return the heads of `(n, d)` float32 rows; raises ValueError at a value that is not finite."""
        longest = largest_norm(rows)
        computed = rows if self.directions is None else rows @ self.directions
        if not self.is_narrow:
            return Heads(self._with_tails(rows, computed, computed), longest, 0.0)
        narrow = round_to_bfloat16(computed)
        kept = widen(narrow)
        rounding = float(row_lengths(computed - kept).max(initial=0.0)) * (1 + 1e-6)
        return Heads(self._with_tails(rows, narrow, kept), longest, rounding)

    def _with_tails(
        self, rows: FloatRows, values: NDArray[np.float32] | NDArray[np.uint16], heads: FloatRows
    ) -> NDArray[np.float32] | NDArray[np.uint16]:
        if self.directions is None:
            return values
        size = self.directions.shape[1]
        lengths = row_lengths(rows - heads @ self.directions.T)
        hidden = gamma(size + 2) * (math.sqrt(size) * row_lengths(heads) + row_lengths(rows)) * _SPARE
        tails = np.nextafter((lengths + hidden).astype(np.float32), np.float32(np.inf))
        return np.column_stack([values, round_up_to_bfloat16(tails) if self.is_narrow else tails])

    def slack(self, upper: Heads, lower: Heads) -> float:
        """Return by how much a float32 product of two heads may stay below the true score of their rows."""
        size = self.n_values
        crossing = 0.0 if self.directions is None else 2 * (gamma(self.width) * math.sqrt(size) + self.defect)
        relative = self.defect + crossing + 2 * gamma(size) + 2 * UNIT_ROUNDOFF
        rounded = upper.longest * lower.rounding + upper.rounding * (lower.longest + lower.rounding)
        smallest = (size + self.width) * float(np.finfo(np.float32).tiny) * (1 + upper.longest + lower.longest)
        return float((relative * upper.longest * lower.longest + rounded) * _SPARE + smallest)


def join_heads(parts: Sequence[Heads]) -> Heads:
    """Return the heads of several runs of rows as those of one."""
    values = np.concatenate([part.values for part in parts])
    return Heads(values, max(part.longest for part in parts), max(part.rounding for part in parts))


def choose_split(left: FloatRows, right: FloatRows, floor: float, *, has_bfloat16: bool) -> Split:
    """Return the split by which a search at a score of `floor` costs least.

    Args:
        left: `(n, d)` float32 rows of length about 1, in memory or memory-mapped.
        right: `(m, d)` float32 rows; the same where rows are compared among themselves.
        floor: Smallest score that is looked for.
        has_bfloat16: Whether heads may be rounded to bfloat16, as the processor multiplies these.
    """
    width = left.shape[1]
    if min(len(left), len(right)) < 2 or not is_worth_a_split(len(left), len(right), width):
        return Split(width, is_narrow=False)
    # Two samples, because directions that were fitted to rows fit these better than all others.
    sides = (left,) if left is right else (left, right)
    directions = _principal(np.concatenate([_sample(rows, 0, FITTED_ROWS) for rows in sides]))
    measured = _sample(left, 1, MEASURED_ROWS), _sample(right, 1, MEASURED_ROWS)  # of one set, the same rows
    splits = [Split(width, is_narrow=has_bfloat16)]
    splits += [_make_split(directions[:, :size], has_bfloat16) for size in SIZES if size < width]
    return min(splits, key=lambda split: _expected_cost(split, measured, floor, is_same=left is right))


def is_worth_a_split(n_left: int, n_right: int, width: int) -> bool:
    """Whether a search takes so long that choosing a split for it pays."""
    return n_left * n_right * width >= FEWEST_PRODUCTS


def _expected_cost(split: Split, measured: tuple[FloatRows, FloatRows], floor: float, *, is_same: bool) -> float:
    """Return what a pair costs with a split, in float32 multiply-adds."""
    upper = split.split(measured[0])
    lower = upper if is_same else split.split(measured[1])
    left, right = upper.as_float32(), lower.as_float32()
    n_same = len(left) if is_same else 0  # of the same rows twice no row is paired with itself
    bounds = left @ right.T
    n_reached = int(np.count_nonzero(bounds >= floor - split.slack(upper, lower))) - n_same
    share = max(0, n_reached) / (bounds.size - n_same)
    product = _PRODUCT_COST[split.is_narrow] + _COORDINATE_COST[split.is_narrow] * split.n_values
    return product + share * _SCORE_COST * split.width


def _sample(rows: FloatRows, offset: int, n_rows: int) -> NDArray[np.float32]:
    step = max(2, len(rows) // n_rows)
    sample = np.ascontiguousarray(rows[offset::step][:n_rows])
    largest_norm(sample)
    return sample


def _principal(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return `(d, d)`: the directions in which the rows are longest, the longest first."""
    _, directions = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    return np.asarray(directions[:, ::-1])


def _make_split(directions: NDArray[np.float64], is_narrow: bool) -> Split:
    rounded = np.ascontiguousarray(directions, np.float32)
    product = rounded.astype(np.float64).T @ rounded
    defect = float(np.linalg.norm(product - np.eye(len(product)))) * (1 + 1e-6) + 1e-12
    return Split(rounded.shape[0], is_narrow, rounded, defect)
