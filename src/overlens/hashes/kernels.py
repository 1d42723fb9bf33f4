"""The inner loops of the perceptual hashes, compiled: grey pixels, Pillow's LANCZOS in integers, the Haar transform.

Each loop repeats the arithmetic of the library it stands for, operation by operation, so that the results are the same
to the last bit; the plain counterparts are in `hash_reference`. One more, `mean_cells`, measures detail for evidence.
Everything is serial and releases the GIL: threads belong to the caller. Importing this module loads numba, so its users
import it inside their functions. Only the first use on a machine pays for compilation (a few seconds), see `compiled`.

Shapes: h rows, w columns, n rows of the result, k taps of the filter, s × s blocks of the hash, S = s·B pixels a side.
"""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from overlens.compiled import compiled

# Pillow's filter weights are integers with this many bits behind the point: 32 less 8 of the pixel and 2 for overshoot.
_PRECISION_BITS = 32 - 8 - 2
_ONE = float(1 << _PRECISION_BITS)
_HALF = np.int32(1 << (_PRECISION_BITS - 1))
_LANCZOS_SUPPORT = 3.0

# Both filter taps of Haar as PyWavelets stores them.
_TAP = 0.5**0.5

# One signature that takes writable arrays and read-only ones alike (Pillow's are read-only), compiled once.
_PIXELS = types.Array(types.uint8, 3, "C", readonly=True)
_PLANE = types.Array(types.uint8, 2, "C", readonly=True)


@compiled(types.uint8[:, ::1](_PIXELS))
def grey_from_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the `(h, w)` luma of `(h, w, 3)` pixels as Pillow's mode L: ITU-R 601 in 16-bit integers, rounded."""
    height, width = pixels.shape[0], pixels.shape[1]
    rows = pixels.reshape(height, 3 * width)
    grey = np.empty((height, width), np.uint8)
    for y in range(height):
        source, target = rows[y], grey[y]
        for x in range(width):
            red, green, blue = np.uint32(source[3 * x]), np.uint32(source[3 * x + 1]), np.uint32(source[3 * x + 2])
            luma = red * np.uint32(19595) + green * np.uint32(38470) + blue * np.uint32(7471) + np.uint32(0x8000)
            target[x] = luma >> np.uint32(16)
    return grey


@compiled()
def _lanczos(x: float) -> float:
    if not -_LANCZOS_SUPPORT <= x < _LANCZOS_SUPPORT:
        return 0.0
    if x == 0.0:
        return 1.0
    wide, narrow = x * math.pi, x / 3.0 * math.pi
    return math.sin(wide) / wide * (math.sin(narrow) / narrow)


@compiled()
def lanczos_weights(n_in: int, n_out: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return for each of `n_out` results where its taps start, how many there are, and their integer weights.

    Returns:
        `(n_out,)` int32 first inputs, `(n_out,)` int32 counts, `(n_out, k)` int32 weights, 22 bits behind the point.
    """
    scale = n_in / n_out
    stretch = max(scale, 1.0)
    support = _LANCZOS_SUPPORT * stretch
    n_taps = math.ceil(support) * 2 + 1
    starts, counts = np.empty(n_out, np.int32), np.empty(n_out, np.int32)
    weights, row = np.zeros((n_out, n_taps), np.int32), np.empty(n_taps, np.float64)
    for out in range(n_out):
        centre = (out + 0.5) * scale
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), n_in)
        total = 0.0
        for tap in range(last - first):
            row[tap] = _lanczos((tap + first - centre + 0.5) * (1.0 / stretch))
            total += row[tap]
        for tap in range(last - first):
            weight = row[tap] / total * _ONE
            weights[out, tap] = int(weight - 0.5) if weight < 0.0 else int(weight + 0.5)
        starts[out], counts[out] = first, last - first
    return starts, counts, weights


@compiled(types.uint8[:, ::1](_PLANE, types.int32[::1], types.int32[::1], types.int32[:, ::1]))
def resize_rows(
    plane: NDArray[np.uint8], starts: NDArray[np.int32], counts: NDArray[np.int32], weights: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Return `(n, w)` uint8: each row the weighted sum of rows of `(h, w)`, rounded half up and clipped.

    Whole rows are summed, so the compiler uses full vectors however few taps there are. Four taps a pass spare three
    of four loads and stores of the sums.
    """
    n_rows, width = len(starts), plane.shape[1]
    resized, sums = np.empty((n_rows, width), np.uint8), np.empty(width, np.int32)
    for out in range(n_rows):
        sums[:] = _HALF
        first, whole = starts[out], counts[out] // 4 * 4
        for tap in range(0, whole, 4):
            k0, k1, k2, k3 = weights[out, tap], weights[out, tap + 1], weights[out, tap + 2], weights[out, tap + 3]
            r0, r1, r2, r3 = plane[first + tap], plane[first + tap + 1], plane[first + tap + 2], plane[first + tap + 3]
            for x in range(width):
                left = np.int32(k0 * np.int32(r0[x])) + np.int32(k1 * np.int32(r1[x]))
                right = np.int32(k2 * np.int32(r2[x])) + np.int32(k3 * np.int32(r3[x]))
                sums[x] += np.int32(left) + np.int32(right)
        for tap in range(whole, counts[out]):
            k0, r0 = weights[out, tap], plane[first + tap]
            for x in range(width):
                sums[x] += np.int32(k0 * np.int32(r0[x]))
        for x in range(width):
            resized[out, x] = min(max(sums[x] >> np.int32(_PRECISION_BITS), np.int32(0)), np.int32(255))
    return resized


@compiled(types.uint8[:, ::1](_PLANE, types.int32[::1], types.int32[::1], types.int32[:, ::1]))
def resize_columns(
    plane: NDArray[np.uint8], starts: NDArray[np.int32], counts: NDArray[np.int32], weights: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Return `(h, n)` uint8: as `resize_rows` on the transposed plane, but without transposing."""
    n_columns, height = len(starts), plane.shape[0]
    resized = np.empty((height, n_columns), np.uint8)
    for y in range(height):
        for out in range(n_columns):
            taps = weights[out, : counts[out]]
            samples = plane[y, starts[out] : starts[out] + counts[out]]
            total = _HALF
            for tap in range(len(taps)):
                total += np.int32(taps[tap] * np.int32(samples[tap]))
            resized[y, out] = min(max(total >> np.int32(_PRECISION_BITS), np.int32(0)), np.int32(255))
    return resized


@compiled()
def sum_blocks(plane: NDArray[np.uint8], n_side: int) -> NDArray[np.int64]:
    """Return the `(s, s)` sums of the equal square blocks of an `(S, S)` plane."""
    block = plane.shape[0] // n_side
    sums = np.zeros((n_side, n_side), np.int64)
    for y in range(plane.shape[0]):
        for column in range(n_side):
            total = np.int64(0)
            for x in range(column * block, (column + 1) * block):
                total += plane[y, x]
            sums[y // block, column] += total
    return sums


@compiled(types.float64[:, :, ::1](_PIXELS, types.int64, types.int64))
def mean_cells(pixels: NDArray[np.uint8], n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """Return `(n_rows, n_columns, 3)` mean colours of a grid laid over `(h, w, 3)` pixels, at most h and w cells.

    A pixel belongs to one cell; the cells of a side differ by one pixel at most.
    """
    height, width = pixels.shape[0], pixels.shape[1]
    rows = pixels.reshape(height, 3 * width)
    cells, sums = np.empty((n_rows, n_columns, 3), np.float64), np.empty(3 * width, np.uint32)
    for row in range(n_rows):
        top, bottom = row * height // n_rows, (row + 1) * height // n_rows
        sums[:] = 0
        for y in range(top, bottom):
            source = rows[y]
            for x in range(3 * width):
                sums[x] += np.uint32(source[x])
        for column in range(n_columns):
            left, right = column * width // n_columns, (column + 1) * width // n_columns
            for channel in range(3):
                total = np.uint64(0)
                for x in range(left, right):
                    total += np.uint64(sums[3 * x + channel])
                cells[row, column, channel] = total / ((bottom - top) * (right - left))
    return cells


@compiled()
def low_haar_band(plane: NDArray[np.uint8], n_side: int) -> NDArray[np.float64]:
    """Return the `(s, s)` approximation of an `(S, S)` plane without its mean, with the rounding of PyWavelets.

    PyWavelets transforms the plane down to one value, sets it to 0, transforms back, then down to s × s. Blocks of Haar
    do not touch one another below s × s, so one block at a time is enough and memory is one block.
    """
    block = plane.shape[0] // n_side
    pixels, low = np.empty((block, block), np.float64), np.empty((n_side, n_side), np.float64)
    for y in range(n_side):
        for x in range(n_side):
            _load_block(plane, y, x, pixels)
            _analyse(pixels)
            low[y, x] = pixels[0, 0]
    _analyse(low)
    low[0, 0] = 0.0
    _synthesise(low)
    for y in range(n_side):
        for x in range(n_side):
            _load_block(plane, y, x, pixels)
            _analyse(pixels)
            pixels[0, 0] = low[y, x]
            _synthesise(pixels)
            _analyse(pixels)
            low[y, x] = pixels[0, 0]
    return low


@compiled()
def _load_block(plane: NDArray[np.uint8], row: int, column: int, block: NDArray[np.float64]) -> None:
    size = block.shape[0]
    for y in range(size):
        for x in range(size):
            block[y, x] = plane[row * size + y, column * size + x] / 255.0


@compiled()
def _analyse(values: NDArray[np.float64]) -> None:
    """Transform a square in place, down to one approximation at [0, 0]; coefficients stay at their strided places."""
    size, step = values.shape[0], 1
    while step < size:
        for y in range(0, size, 2 * step):
            for x in range(0, size, 2 * step):
                a, b = values[y, x], values[y, x + step]
                c, d = values[y + step, x], values[y + step, x + step]
                # Down the columns first, then along the rows; the later sample is multiplied first.
                low_left, low_right = _TAP * c + _TAP * a, _TAP * d + _TAP * b
                high_left, high_right = -_TAP * c + _TAP * a, -_TAP * d + _TAP * b
                values[y, x] = _TAP * low_right + _TAP * low_left
                values[y, x + step] = -_TAP * low_right + _TAP * low_left
                values[y + step, x] = _TAP * high_right + _TAP * high_left
                values[y + step, x + step] = -_TAP * high_right + _TAP * high_left
        step *= 2


@compiled()
def _synthesise(values: NDArray[np.float64]) -> None:
    """Undo `_analyse` in place."""
    size = values.shape[0]
    step = size // 2
    while step >= 1:
        for y in range(0, size, 2 * step):
            for x in range(0, size, 2 * step):
                low, across = values[y, x], values[y, x + step]
                down, both = values[y + step, x], values[y + step, x + step]
                low_left, low_right = _TAP * low + _TAP * across, _TAP * low - _TAP * across
                high_left, high_right = _TAP * down + _TAP * both, _TAP * down - _TAP * both
                values[y, x], values[y, x + step] = (
                    _TAP * low_left + _TAP * high_left,
                    _TAP * low_right + _TAP * high_right,
                )
                values[y + step, x] = _TAP * low_left - _TAP * high_left
                values[y + step, x + step] = _TAP * low_right - _TAP * high_right
        step //= 2
