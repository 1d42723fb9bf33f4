"""The inner loops of best-match search, compiled: serial, and they release the GIL.

Importing this module loads numba, so its users import it inside their functions.

Shapes: r rows of a left tile, c rows of a right tile, w 64-bit words of a hash.
"""

import numpy as np

from overlens.compiled import compiled
from overlens.search.kernels import Rows, Words, count_bits, measure_row


@compiled()
def _lower_columns(word: np.uint64, last: Words, distances: Words, best: Rows, nearest: np.int32) -> np.int32:
    # Return the smallest distance of the word, or `nearest`. Its arrays begin at the first column that counts and bests
    # are int32, because that is the loop that vectorises.
    for j in range(last.shape[0]):
        distance = np.int32(distances[j] + count_bits(word ^ last[j]))
        nearest = min(nearest, distance)
        best[j] = min(best[j], distance)
    return nearest


@compiled()
def lower_best(words: Words, columns: Words, is_diagonal: bool, best: tuple[Rows, Rows]) -> None:
    """Lower the best distances (int32) of `(r, w)` words and of `(w, c)` columns to those of their pairs, in place."""
    row_best, column_best = best
    distances = np.zeros(columns.shape[1], np.uint64)
    last = columns[columns.shape[0] - 1]
    for i in range(words.shape[0]):
        if columns.shape[0] > 1:
            measure_row(words[i], columns, distances)
        start = i + 1 if is_diagonal else 0
        word = words[i, columns.shape[0] - 1]
        row_best[i] = _lower_columns(word, last[start:], distances[start:], column_best[start:], row_best[i])
