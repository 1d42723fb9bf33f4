"""The inner loops of resizing, compiled: Pillow's filter weights as whole numbers, and weighted sums of rows.

Each loop repeats the arithmetic of Pillow (`Resample.c`), so that the results are the same to the last bit. Everything
is serial and releases the GIL: threads belong to the caller. Importing this module loads numba, so its users import it
inside their functions.

Shapes: h rows, w values of a row, n rows of the result, k taps of the filter.
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

# In the order of `overlens.resizing.RESAMPLINGS`.
_BILINEAR, _BICUBIC, _LANCZOS = 0, 1, 2
_SUPPORTS = (1.0, 2.0, 3.0)

# Nearer to the centre than this, and where a weight is so near to the middle of two whole numbers, sines are not looked
# up but computed. Looked-up ones are off by less than 2e-15, which beyond _NEAR moves a weight by less than 2e-6.
_NEAR, _UNSURE = 0.1, 1e-5

# One signature that takes writable arrays and read-only ones alike (Pillow's are read-only), compiled once.
_PLANE = types.Array(types.uint8, 2, "C", readonly=True)


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


@compiled()
def filter_weights(n_in: int, n_out: int, kind: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return for each of `n_out` results where its taps start, how many there are, and their integer weights.

    Args:
        n_in: Pixels of the side that is resized.
        n_out: Pixels of the result.
        kind: Which filter: its place in `overlens.resizing.RESAMPLINGS`.

    Returns:
        `(n_out,)` int32 first inputs, `(n_out,)` int32 counts, `(n_out, k)` int32 weights, 22 bits behind the point.
    """
    scale = n_in / n_out
    stretch = max(scale, 1.0)
    support = _SUPPORTS[kind] * stretch
    n_taps = math.ceil(support) * 2 + 1
    starts, counts = np.empty(n_out, np.int32), np.empty(n_out, np.int32)
    weights, values = np.zeros((n_out, n_taps), np.int32), np.empty(n_taps, np.float64)
    sines = _sine_table(n_taps if kind == _LANCZOS else 0, 1.0 / stretch)
    for out in range(n_out):
        centre = (out + 0.5) * scale
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), n_in)
        taps, row = values[: last - first], weights[out]
        starts[out], counts[out] = first, last - first
        if kind == _LANCZOS:
            _look_up_lanczos(taps, first, centre, 1.0 / stretch, sines)
            if not _round_weights(taps, row):
                continue
        for tap in range(len(taps)):
            taps[tap] = _filter((tap + first - centre + 0.5) * (1.0 / stretch), kind)
        _round_weights(taps, row)
    return starts, counts, weights


@compiled()
def _filter(x: float, kind: int) -> float:
    if kind == _LANCZOS:
        return float(_lanczos(x))
    x = abs(x)
    if kind == _BILINEAR:
        return 1.0 - x if x < 1.0 else 0.0
    if x < 1.0:
        return ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1.0
    return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 if x < 2.0 else 0.0


@compiled()
def _lanczos(x: float) -> float:
    if not -3.0 <= x < 3.0:
        return 0.0
    if x == 0.0:
        return 1.0
    wide, narrow = x * math.pi, x / 3.0 * math.pi
    return math.sin(wide) / wide * (math.sin(narrow) / narrow)


@compiled()
def _sine_table(n_taps: int, step: float) -> NDArray[np.float64]:
    """Return `(4, k)`: sine and cosine of pi·x and of pi·x / 3 at x = 0, step, 2·step, ..."""
    table = np.empty((4, n_taps), np.float64)
    for tap in range(n_taps):
        angle = math.pi * tap * step
        table[0, tap], table[1, tap] = math.sin(angle), math.cos(angle)
        table[2, tap], table[3, tap] = math.sin(angle / 3.0), math.cos(angle / 3.0)
    return table


@compiled()
def _look_up_lanczos(
    taps: NDArray[np.float64], first: int, centre: float, step: float, sines: NDArray[np.float64]
) -> None:
    """Fill in Lanczos weights by the sine of a sum: two sines a row instead of two a tap, which cost ten times more."""
    shift = first - centre + 0.5
    angle = math.pi * shift * step
    sine, cosine = math.sin(angle), math.cos(angle)
    sine_3, cosine_3 = math.sin(angle / 3.0), math.cos(angle / 3.0)
    for tap in range(len(taps)):
        x = (tap + first - centre + 0.5) * step
        wide = sines[0, tap] * cosine + sines[1, tap] * sine
        narrow = sines[2, tap] * cosine_3 + sines[3, tap] * sine_3
        value = wide * narrow / (x * x * (math.pi * math.pi / 3.0) + (x == 0.0))
        taps[tap] = value if -3.0 <= x < 3.0 else 0.0
    reach = _NEAR / step
    for tap in range(max(0, math.ceil(-shift - reach)), min(len(taps), math.floor(-shift + reach) + 1)):
        taps[tap] = _lanczos((tap + first - centre + 0.5) * step)


@compiled()
def _round_weights(taps: NDArray[np.float64], row: NDArray[np.int32]) -> bool:
    """Write weights that sum to one as integers; return whether one is near the middle of two integers."""
    total, n_unsure = 0.0, 0
    for tap in range(len(taps)):
        total += taps[tap]
    for tap in range(len(taps)):
        weight = taps[tap] / total * _ONE
        rounded = int(weight + math.copysign(0.5, weight))
        row[tap] = rounded
        n_unsure += abs(weight - rounded) > 0.5 - _UNSURE
    return n_unsure > 0
