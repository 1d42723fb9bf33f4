"""The inner loops of the perceptual hashes, compiled: grey pixels, sums of blocks, the Haar transform.

Each loop repeats the arithmetic of the library it stands for, operation by operation, so that the results are the same
to the last bit; the plain counterparts are in `hash_reference`. One more, `mean_cells`, measures detail for evidence.
Everything is serial and releases the GIL: threads belong to the caller. Importing this module loads numba, so its users
import it inside their functions. Only the first use on a machine pays for compilation (a few seconds), see `compiled`.

Shapes: h rows, w columns, s × s blocks of the hash, S = s·B pixels a side.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from overlens.compiled import compiled

# Both filter taps of Haar as PyWavelets stores them.
_TAP = 0.5**0.5

# One signature that takes writable arrays and read-only ones alike (Pillow's are read-only), compiled once.
_PIXELS = types.Array(types.uint8, 3, "C", readonly=True)


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
def sum_blocks(plane: NDArray[np.uint8], n_side: int) -> NDArray[np.int64]:
    """Return the `(s, s)` sums of the equal square blocks of an `(S, S)` plane; S is at most 16 million.

    Whole rows are added up first, which vectors like; only one row a block is then summed by blocks.
    """
    size = plane.shape[0]
    block = size // n_side
    columns, sums = np.empty(size, np.uint32), np.empty((n_side, n_side), np.int64)
    for row in range(n_side):
        columns[:] = 0
        for y in range(row * block, (row + 1) * block):
            source = plane[y]
            for x in range(size):
                columns[x] += np.uint32(source[x])
        for column in range(n_side):
            total = np.int64(0)
            for x in range(column * block, (column + 1) * block):
                total += columns[x]
            sums[row, column] = total
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
