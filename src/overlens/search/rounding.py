"""How far a float32 dot product, and a product of matrices, can stand from the score that decides.

A dot product of d terms computed in float32, in any order and with or without fused multiply-add, is off by at most
gamma_d * |a| * |b|, where gamma_d = d*u / (1 - d*u) and u = 2^-24 (N. J. Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., SIAM 2002, section 3.1, equation 3.5, with the Cauchy-Schwarz inequality). Relative to |a| * |b|,
the fixed score (float64 dot product, rounded to float32) is within u of the true one by its rounding and well within
another u by its float64 sum, so gamma_(d+2) covers the distance between the two. Products too small for normal float32
add at most d times the smallest normal number.

Shapes: r rows, d dimensions.
"""

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows

UNIT_ROUNDOFF = 2.0**-24
_LONGEST_ROW = 1e15  # products of longer rows could overflow float32


def gamma(n_terms: int) -> float:
    """Return the relative error of a float32 dot product of `n_terms` terms (equation 3.5); below 2^24 terms."""
    return n_terms * UNIT_ROUNDOFF / (1 - n_terms * UNIT_ROUNDOFF)


def row_lengths(rows: FloatRows) -> NDArray[np.float64]:
    """Return the `(r,)` float64 lengths of rows."""
    from overlens.search.kernels import dot_itself

    return np.asarray(np.sqrt(dot_itself(np.ascontiguousarray(rows))))


def largest_norm(rows: FloatRows) -> float:
    """Return the length of the longest of `(r, d)` float32 rows; raises ValueError at a value that is not finite."""
    norms = row_lengths(rows)
    bad = np.flatnonzero(~(norms <= _LONGEST_ROW))
    if bad.size:
        raise ValueError(
            f"{bad.size} embedding rows, the first at {bad[0]} of its tile, are not finite or longer than "
            f"{_LONGEST_ROW:g}; rows of length 1 are expected: compute the embeddings again"
        )
    return float(norms.max(initial=0.0))


def score_slack(dimensions: int, norm_product: float) -> float:
    """Return how far a float32 matrix product can stand from the fixed score (see the head of this module).

    Args:
        dimensions: Terms of each dot product; below 2^24 - 2.
        norm_product: Product of the largest row lengths on both sides.
    """
    return gamma(dimensions + 2) * norm_product + dimensions * float(np.finfo(np.float32).tiny)
