"""Pairs of images that carry one identifier, and the best score of each identifier.

Scores are those of the search, to the bit: the same compiled function computes them, and distances are of stored bits.
An identifier that stands on p images here and q there costs p x q comparisons; memory is that of a block of pairs.

Shapes: k shared identifiers, n and m images of two datasets, d dimensions, b bytes of a hash.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.signals import CHUNK_PAIRS
from overlens.recall.identifiers import NO_IDENTIFIER, SharedIdentifiers
from overlens.records import FloatRows, HashRows
from overlens.same_number import list_same_pairs

Places = NDArray[np.int32]
Scores = NDArray[np.float64]


def best_cosines(shared: SharedIdentifiers, left: FloatRows, right: FloatRows) -> Scores:
    """Return the largest cosine similarity of each identifier's pairs, `(k,)` float64 holding float32 values.

    Args:
        shared: The identifiers.
        left: `(n, d)` float32 rows of length 1 of the first dataset.
        right: `(m, d)` the same of the second.
    """
    return _best_of(shared, lambda i, j: _cosines(left[i], right[j]), np.maximum, -np.inf)


def best_distances(shared: SharedIdentifiers, left: HashRows, right: HashRows) -> Scores:
    """Return the smallest Hamming distance of each identifier's pairs, `(k,)` float64 holding whole bits.

    Args:
        shared: The identifiers.
        left: `(n, b)` uint8 packed hashes of the first dataset.
        right: `(m, b)` the same of the second.
    """
    return _best_of(shared, lambda i, j: _distances(left[i], right[j]), np.minimum, np.inf)


def first_rows(numbers: Places, k: int) -> Places:
    """Return the first row of each identifier, `(k,)` int32; `numbers` is a column of `SharedIdentifiers`."""
    first = np.zeros(k, np.int32)
    rows = np.flatnonzero(numbers != NO_IDENTIFIER)[::-1]
    first[numbers[rows]] = rows  # the last one written is the first row
    return first


def _best_of(
    shared: SharedIdentifiers, score: Callable[[Places, Places], Scores], better: np.ufunc, worst: float
) -> Scores:
    """Return the best score of each identifier over all pairs of its images, `(k,)`."""
    best = np.full(len(shared), worst)
    for left, right in list_same_pairs(shared.left, shared.right, at_once=CHUNK_PAIRS):
        better.at(best, shared.left[left], score(left, right))
    return best


def _cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> Scores:
    from overlens.search.kernels import score_pairs

    # Plain contiguous arrays: the function is compiled for these, and stored rows may be memory-mapped.
    places = np.arange(len(left))
    scores = score_pairs(np.ascontiguousarray(left), np.ascontiguousarray(right), places, places)
    return np.asarray(scores, np.float64)


def _distances(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Scores:
    return np.asarray(np.bitwise_count(left ^ right).sum(axis=1), np.float64)
