"""Pair search written the plain way: what the fast searches are tested against.

Row by row, in numpy and in float64, with no tiles and no candidates. Slow and readable; memory is one row of scores.

Shapes: n and m rows, d dimensions, b bytes of a hash.
"""

import numpy as np

from overlens.records import FloatRows, HashRows

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
    for i, row in enumerate(np.asarray(left, np.float64)):
        scores = (others @ row).astype(np.float32)
        for j in np.flatnonzero(scores >= np.float32(min_similarity)):
            if right is not None or i < j:
                pairs[i, int(j)] = float(scores[j])
    return pairs


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
