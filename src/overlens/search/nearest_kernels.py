"""The inner loops of `nearest`, compiled: which places may enter a list, their scores, and lists of the best.

A place of a list is one int64, its rank: the bits of its float32 score, turned so that integers are in the order of
the numbers, above the complement of its row number. The greater rank is the more alike row, or of equally alike ones
the lower. A rank is read and written whole and the last of a list only grows, so a thread may read it while another one
writes: what it sees is true or was. Serial, and they release the GIL. Importing this module loads numba, so its users
import it inside their functions.

Shapes: r and c rows of a part, d dimensions, k places of a list, m pairs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.compiled import compiled
from overlens.search.kernels import LANES, Doubles, Floats, Places, dot64

Integers = NDArray[np.signedinteger]
Ranks = NDArray[np.int64]
Couple = tuple[Any, Any]
"""What belongs to the left rows, and what to the right ones."""

_BLOCK = 64
_MOST = np.int32(0x7FFFFFFF)
_ALL_NUMBERS = np.int64(0xFFFFFFFF)


@compiled()
def turn_bits(tile: Integers) -> None:
    """Turn the order of the bits of negative numbers around, in place: integers then have the order of the numbers."""
    shift, mask = 8 * tile.itemsize - 1, (1 << (8 * tile.itemsize - 1)) - 1
    for i in range(tile.shape[0]):
        for j in range(tile.shape[1]):
            tile[i, j] = tile[i, j] ^ ((tile[i, j] >> shift) & mask)


@compiled()
def write_keys(ranks: Ranks, bounds: Doubles, slack: float, keys: Integers) -> None:
    """Write what the turned bits of the products of each row must reach to enter its list, `(r,)` int32 or int16.

    A score must reach the last place of the `(r, k)` list and the `(r,)` bound; a product may stay `slack` below it.
    Where keys are int16, products were rounded to the upper half of a float32.
    """
    bits = np.empty(ranks.shape[0], np.int32)
    for i in range(ranks.shape[0]):
        last = np.int32(ranks[i, ranks.shape[1] - 1] >> 32)
        bits[i] = last ^ ((last >> 31) & _MOST)
    floors = bits.view(np.float32)
    for i in range(ranks.shape[0]):
        floors[i] = np.float32(max(np.float64(floors[i]), bounds[i]) - slack)
    for i in range(ranks.shape[0]):
        # One step down, because the floor was rounded; cut bits lie one below, and zero has two signs.
        key = (bits[i] ^ ((bits[i] >> 31) & _MOST)) - 1
        keys[i] = key if keys.itemsize == 4 else (key >> 16) - (key <= 0)


@compiled()
def list_either(tile: Integers, row_keys: Integers, column_keys: Integers, is_diagonal: bool) -> tuple[Places, Places]:
    """Return rows and columns, int64, of the places of a `(r, c)` tile that reach the key of their row or column.

    On the diagonal only places above it count.
    """
    width = tile.shape[1]
    places, end = np.empty(4 * width, np.int64), 0
    for i in range(tile.shape[0]):
        if end + width > places.shape[0]:
            more = np.empty(2 * places.shape[0], np.int64)
            more[:end] = places[:end]
            places = more
        key = row_keys[i]
        for start in range(i + 1 if is_diagonal else 0, width, _BLOCK):
            stop = min(start + _BLOCK, width)
            row, keys, is_reached = tile[i, start:stop], column_keys[start:stop], False
            for j in range(stop - start):  # without a branch, which is many times faster
                is_reached = is_reached | (row[j] >= key) | (row[j] >= keys[j])
            if not is_reached:
                continue
            for j in range(stop - start):
                # Written in any case, and kept by moving on: cheaper than a branch that is hard to guess.
                places[end] = i * width + start + j
                end += (row[j] >= key) | (row[j] >= keys[j])
    return places[:end] // width, places[:end] % width


@compiled()
def _rank(score: Floats, number: int) -> np.int64:
    # `score` has one place, because that can be read as bits; adding 0 makes zeros of both signs equal.
    score[0] += np.float32(0)
    bits = score.view(np.int32)[0]
    return (np.int64(bits ^ ((bits >> 31) & _MOST)) << 32) | (_ALL_NUMBERS - number)


@compiled()
def score_places(sides: Couple, lengths: Couple, ranks: Couple, offsets: tuple[int, int], places: Couple) -> Floats:
    """Return the `(m,)` float32 scores of places: `dot64` of their rows, rounded once, or minus infinity.

    The latter where no score that rows of these `lengths` (float64, rounded up) can have would enter one of both lists;
    thus a thousand equal rows cost some thousand scores and not a million. `sides` are the rows, `ranks` the lists,
    `offsets` the numbers of the first row of each side, `places` the rows and columns.
    """
    rows, columns = places
    scores = np.empty(rows.shape[0], np.float32)
    lanes, most = np.empty(LANES, np.float64), np.empty(1, np.float32)
    last = ranks[0].shape[1] - 1
    for pair in range(rows.shape[0]):
        i, j = rows[pair], columns[pair]
        most[0] = lengths[0][i] * lengths[1][j]
        scores[pair] = -np.inf
        if _rank(most, offsets[1] + j) > ranks[0][i, last] or _rank(most, offsets[0] + i) > ranks[1][j, last]:
            scores[pair] = np.float32(dot64(sides[0][i], sides[1][j], lanes))
    return scores


@compiled()
def enter_ranks(ranks: Ranks, rows: Places, numbers: Places, scores: Floats) -> None:
    """Enter the rows of `numbers` with their `(m,)` scores into the `(r, k)` lists of `rows`, in place."""
    k = ranks.shape[1]
    score = np.empty(1, np.float32)
    for pair in range(rows.shape[0]):
        score[0] = scores[pair]
        rank, row = _rank(score, numbers[pair]), rows[pair]
        place = k - 1
        if scores[pair] == -np.inf or rank <= ranks[row, place]:
            continue
        while place > 0 and rank > ranks[row, place - 1]:
            ranks[row, place] = ranks[row, place - 1]
            place -= 1
        ranks[row, place] = rank
