"""The inner loops that count pairs by their score, compiled: serial, and they release the GIL.

Importing this module loads numba, so its users import it inside their functions.

Shapes: r rows of a left tile, c rows of a right tile, d dimensions, w 64-bit words of a hash, t limits.
"""

import numpy as np

from overlens.compiled import compiled
from overlens.search.kernels import LANES, Doubles, Floats, Places, Words, count_bits, dot64, measure_row


@compiled()
def _place(score: float, limits: Doubles, guess: int) -> int:
    # The last of the ascending limits that the score reaches, or 0; the guess is mostly right or beside it.
    place: int = min(max(guess, 0), limits.shape[0] - 1)
    while place > 0 and score < limits[place]:
        place -= 1
    while place + 1 < limits.shape[0] and score >= limits[place + 1]:
        place += 1
    return place


@compiled()
def count_scores(
    tile: Floats, sides: tuple[Floats, Floats], limits: Doubles, slack: float, is_diagonal: bool, counts: Places
) -> None:
    """Add to `counts[p]` the pairs of a tile whose score reaches `limits[p]` and not `limits[p + 1]`.

    `tile` is `(r, c)` float32 approximate scores, off by at most `slack`; `limits` are `(t,)` ascending float64, two at
    least. Only a pair so near to a limit that it could lie on either side is scored in the fixed way.
    """
    left, right = sides
    lanes = np.empty(LANES, np.float64)
    per_unit = (limits.shape[0] - 1) / (limits[-1] - limits[0])
    for i in range(tile.shape[0]):
        for j in range(i + 1 if is_diagonal else 0, tile.shape[1]):
            score = np.float64(tile[i, j])
            if score < limits[0] - slack:
                continue
            guess = int((score - limits[0]) * per_unit)
            place = _place(score, limits, guess)
            is_near_next = place + 1 < limits.shape[0] and limits[place + 1] - score <= slack
            if score - limits[place] < slack or is_near_next:
                score = np.float64(np.float32(dot64(left[i], right[j], lanes)))
                if score < limits[0]:
                    continue
                place = _place(score, limits, guess)
            counts[place] += 1


@compiled()
def count_distances(words: Words, columns: Words, is_diagonal: bool, counts: Places) -> None:
    """Add to `counts[k]` the pairs of `(r, w)` words and `(w, c)` columns that differ in k bits."""
    distances = np.zeros(columns.shape[1], np.uint64)
    last = columns[columns.shape[0] - 1]
    for i in range(words.shape[0]):
        if columns.shape[0] > 1:
            measure_row(words[i], columns, distances)
        word = words[i, columns.shape[0] - 1]
        for j in range(i + 1 if is_diagonal else 0, columns.shape[1]):
            counts[np.int64(distances[j] + count_bits(word ^ last[j]))] += 1
