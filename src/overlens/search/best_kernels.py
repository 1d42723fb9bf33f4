"""The inner loops of best-match search, compiled: serial, and they release the GIL.

Importing this module loads numba, so its users import it inside their functions.

Shapes: r rows of a left tile, c rows of a right tile, d dimensions, w 64-bit words of a hash.
"""

import numpy as np

from overlens.compiled import compiled
from overlens.search.kernels import LANES, Doubles, Floats, Rows, Words, count_bits, dot64, measure_row

Couple = tuple[Floats, Floats]
"""What belongs to the left rows, and what to the right ones."""

_BLOCK = 128


@compiled()
def _count_reached(scores: Floats, floor: np.float32, floors: Floats) -> int:
    # A loop without a branch, which is many times faster than looking at one score after the other.
    n_reached = 0
    for j in range(scores.shape[0]):
        n_reached += (scores[j] >= floor) | (scores[j] >= floors[j])
    return n_reached


@compiled()
def raise_best(tile: Floats, sides: Couple, lengths: tuple[Doubles, Doubles], floors: Couple, best: Couple) -> None:
    """Raise the best scores of rows and of columns by one `(r, c)` float32 tile of approximate scores, in place.

    A place of the tile that holds minus infinity is no pair. A pair is scored only if its approximate score reaches the
    floor of its row or of its column, and the product of its lengths, which no score exceeds, is above a best score;
    thus a thousand equal rows cost some thousand scores and not a million. `sides`, `lengths` (float64, rounded up),
    `floors` and `best` (float32) each hold what belongs to the left rows and to the right ones.
    """
    left, right = sides
    left_lengths, right_lengths = lengths
    row_floors, column_floors = floors
    rows, columns = best
    lanes = np.empty(LANES, np.float64)
    for i in range(tile.shape[0]):
        for start in range(0, tile.shape[1], _BLOCK):
            stop = min(start + _BLOCK, tile.shape[1])
            if _count_reached(tile[i, start:stop], row_floors[i], column_floors[start:stop]) == 0:
                continue
            for j in range(start, stop):
                if (tile[i, j] < row_floors[i] and tile[i, j] < column_floors[j]) or tile[i, j] == -np.inf:
                    continue
                most = np.float32(left_lengths[i] * right_lengths[j])
                if most <= rows[i] and most <= columns[j]:
                    continue
                score = np.float32(dot64(left[i], right[j], lanes))
                rows[i] = max(rows[i], score)
                columns[j] = max(columns[j], score)


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
