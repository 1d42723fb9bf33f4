"""Pair search written the plain way: what the fast searches are tested against.

Straight through, in numpy and in float64, with no candidates and no upper halves. Slow and readable.

Shapes: n and m rows, d dimensions, b bytes of a hash.
"""

import numpy as np

from overlens.records import FloatRows, HashRows

_ROWS = 256

Pairs = dict[tuple[int, int], float]


def list_cosine_pairs(left: FloatRows, right: FloatRows | None, *, min_similarity: float) -> Pairs:
    """Return `(left, right) -> score` of every pair whose float64 dot product, rounded to float32, reaches the limit.

    Args:
        left: `(n, d)` float32 rows.
        right: `(m, d)` float32 rows, or None for pairs with `left < right` within the first set.
        min_similarity: Smallest score to report, inclusive, as float32.
    """
    others = np.asarray(left if right is None else right, np.float64)
    pairs: Pairs = {}
    for start in range(0, len(left), _ROWS):  # some rows at once, because a product of one row is slow
        scores = (np.asarray(left[start : start + _ROWS], np.float64) @ others.T).astype(np.float32)
        for row, j in np.argwhere(scores >= np.float32(min_similarity)).tolist():
            if right is not None or start + row < j:
                pairs[start + row, j] = float(scores[row, j])
    return pairs


def list_nearest_rows(left: FloatRows, right: FloatRows | None, *, k: int) -> list[list[tuple[int, float]]]:
    """Return the number and the score of the `k` right rows most alike to each left row, of equal ones the lower first.

    Args:
        left: `(n, d)` float32 rows.
        right: `(m, d)` float32 rows, or None for the other rows of the first set.
        k: Longest list.
    """
    others = left if right is None else right
    scores = (np.asarray(left, np.float64) @ np.asarray(others, np.float64).T).astype(np.float32)
    ranked = np.argsort(-scores, axis=1, kind="stable").tolist()
    lists = [[j for j in row if right is not None or j != i][:k] for i, row in enumerate(ranked)]
    return [[(j, float(scores[i, j])) for j in row] for i, row in enumerate(lists)]


def list_hamming_pairs(left: HashRows, right: HashRows | None, *, max_distance_bits: int) -> Pairs:
    """Return `(left, right) -> distance` of every pair of hashes at most `max_distance_bits` apart, inclusive.

    Args:
        left: `(n, b)` uint8 packed hashes.
        right: `(m, b)` uint8 packed hashes, or None for pairs with `left < right` within the first set.
        max_distance_bits: Largest distance to report.
    """
    others = left if right is None else right
    pairs: Pairs = {}
    for i, row in enumerate(left):
        distances = np.unpackbits(others ^ row, axis=1).sum(axis=1)
        for j in np.flatnonzero(distances <= max_distance_bits):
            if right is not None or i < j:
                pairs[i, int(j)] = int(distances[j])
    return pairs
