"""The inner loops of pair search, compiled: fixed-order dot products, bit counts, places that reach a floor.

Everything here is serial and releases the GIL; matrix products stay in numpy, whose BLAS owns the cores. Importing
this module loads numba, so its users import it inside their functions. Only the first
use on a machine pays for compilation (a few seconds), see `compiled`.

Shapes: r rows of a left tile, c rows of a right tile, d dimensions, w 64-bit words of a hash, m pairs.
"""

import numpy as np
from numpy.typing import NDArray

from overlens.compiled import compiled

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Words = NDArray[np.uint64]
Rows = NDArray[np.int32]
Places = NDArray[np.int64]
Integers = NDArray[np.signedinteger]
Columns = tuple[Rows, Rows, Rows]
"""Left rows, right rows and distances of pairs."""

LANES = 32
"""Sums of a dot product that run side by side, see `dot64`; scratch space of callers has as many places."""

_ONES = np.uint64(0x5555555555555555)
_TWOS = np.uint64(0x3333333333333333)
_FOURS = np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTES = np.uint64(0x0101010101010101)


@compiled()
def dot64(left: Floats, right: Floats, lanes: Doubles) -> float:
    """Return the float64 dot product of two float32 rows, summed in 32 lanes that are joined by halves.

    A product of two float32 is exact in float64, so only the order of the additions can change the last bit, and
    that order is written here: no tile size, thread count, vector width or fused multiply-add changes the result.
    `lanes` is scratch space, `(32,)` float64.
    """
    lanes[:] = 0.0
    whole = left.shape[0] - left.shape[0] % LANES
    for i in range(0, whole, LANES):
        for lane in range(LANES):
            lanes[lane] += np.float64(left[i + lane]) * np.float64(right[i + lane])
    for lane in range(left.shape[0] - whole):
        lanes[lane] += np.float64(left[whole + lane]) * np.float64(right[whole + lane])
    half = LANES // 2
    while half:
        for lane in range(half):
            lanes[lane] += lanes[lane + half]
        half //= 2
    total: float = lanes[0]
    return total


@compiled()
def score_pairs(left: Floats, right: Floats, left_rows: Places, right_rows: Places) -> Floats:
    """Return the `(m,)` float32 scores of the named pairs: `dot64` of the stored rows, rounded once."""
    scores = np.empty(left_rows.shape[0], np.float32)
    lanes = np.empty(LANES, np.float64)
    for pair in range(left_rows.shape[0]):
        scores[pair] = np.float32(dot64(left[left_rows[pair]], right[right_rows[pair]], lanes))
    return scores


@compiled()
def dot_itself(rows: Floats) -> Doubles:
    """Return the `(r,)` float64 dot products of rows with themselves."""
    products = np.empty(rows.shape[0], np.float64)
    lanes = np.empty(LANES, np.float64)
    for row in range(rows.shape[0]):
        products[row] = dot64(rows[row], rows[row], lanes)
    return products


@compiled()
def list_reached(tile: Integers, floor: np.signedinteger, is_diagonal: bool) -> tuple[Places, Places]:
    """Return rows and columns, int64, of the places of a `(r, c)` tile that reach `floor`, row by row.

    Tile and floor are integers of one kind: the largest of a row is found without a branch. On the diagonal only places
    above it count.
    """
    width = tile.shape[1]
    places, end = np.empty(4 * width, np.int64), 0
    for i in range(tile.shape[0]):
        first = i + 1 if is_diagonal else 0
        row = tile[i, first:]
        if row.shape[0] == 0:
            continue
        largest = row[0]
        for j in range(row.shape[0]):
            largest = max(largest, row[j])
        if largest < floor:
            continue
        if end + width > places.shape[0]:
            more = np.empty(2 * places.shape[0], np.int64)
            more[:end] = places[:end]
            places = more
        for j in range(row.shape[0]):
            # Written in any case, and kept by moving on: cheaper than a branch that is hard to guess.
            places[end] = i * width + first + j
            end += row[j] >= floor
    return places[:end] // width, places[:end] % width


@compiled()
def count_bits(x: np.uint64) -> np.uint64:
    """Return how many bits of a uint64 are set, as uint64."""
    # The usual parallel bit count; LLVM knows the pattern and uses vector bit counts where the processor has them.
    x = x - ((x >> np.uint64(1)) & _ONES)
    x = (x & _TWOS) + ((x >> np.uint64(2)) & _TWOS)
    x = (x + (x >> np.uint64(4))) & _FOURS
    return (x * _BYTES) >> np.uint64(56)


@compiled()
def measure_row(words: Words, columns: Words, distances: Words) -> None:
    """Write the distance of `(w,)` words to each of the `(w, c)` columns, but for the last word, into `distances`.

    The caller adds the last word: a hash of one word then needs no scratch pass. `distances` is `(c,)` uint64.
    """
    # Word by word over contiguous columns, because that is the loop that vectorises at any width.
    distances[:] = 0
    for w in range(columns.shape[0] - 1):
        word = words[w]
        for j in range(columns.shape[1]):
            distances[j] += count_bits(word ^ columns[w, j])


@compiled()
def count_close(words: Words, columns: Words, max_distance: np.uint64, is_diagonal: bool) -> Places:
    """Return for each of `(r, w)` words how many of the `(w, c)` columns are within `max_distance`, `(r,)` int64."""
    counts = np.zeros(words.shape[0], np.int64)
    distances = np.zeros(columns.shape[1], np.uint64)
    last = columns[columns.shape[0] - 1]
    for i in range(words.shape[0]):
        if columns.shape[0] > 1:
            measure_row(words[i], columns, distances)
        word = words[i, columns.shape[0] - 1]
        n_close = 0
        for j in range(i + 1 if is_diagonal else 0, columns.shape[1]):
            n_close += distances[j] + count_bits(word ^ last[j]) <= max_distance
        counts[i] = n_close
    return counts


@compiled()
def write_close(
    words: Words, columns: Words, max_distance: np.uint64, is_diagonal: bool, rows: Places, n_pairs: int
) -> Columns:
    """Return `(left, right, distances)`, int32 columns of the `n_pairs` pairs that `count_close` found at `rows`."""
    left = np.empty(n_pairs, np.int32)
    right = np.empty(n_pairs, np.int32)
    bits = np.empty(n_pairs, np.int32)
    distances = np.zeros(columns.shape[1], np.uint64)
    last = columns[columns.shape[0] - 1]
    end = 0
    for i in rows:
        measure_row(words[i], columns, distances)
        word = words[i, columns.shape[0] - 1]
        for j in range(i + 1 if is_diagonal else 0, columns.shape[1]):
            distance = distances[j] + count_bits(word ^ last[j])
            if distance <= max_distance:
                left[end], right[end], bits[end] = i, j, distance
                end += 1
    return left, right, bits
