"""The perceptual hashes in plain Pillow, numpy and scipy: what the compiled ones in `hashes` are tested against.

Slow and short on purpose, and never called by the pipeline. Steps and comparisons are those that ImageHash 4.3.2
documents; the wavelet transform is written out, so that PyWavelets is not needed.

Shapes: h rows, w columns, s × s bits of the hash.
"""

import numpy as np
from numpy.typing import NDArray

_TAP = 0.5**0.5


def reference_bits(pixels: NDArray[np.uint8], hash_type: str, hash_size: int) -> NDArray[np.bool_]:
    """Return the `(s, s)` bits of the hash of `(h, w, 3)` uint8 pixels.

    Raises:
        KeyError: `hash_type` is not one of `overlens.config.HASH_TYPES`.
    """
    bits = {"ahash": _ahash, "dhash": _dhash, "phash": _phash, "whash": _whash}
    return bits[hash_type](pixels, hash_size)


def resize_grey(pixels: NDArray[np.uint8], n_rows: int, n_columns: int) -> NDArray[np.uint8]:
    """Return `(n_rows, n_columns)` uint8: Pillow's mode L, resized with LANCZOS."""
    from PIL import Image

    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((n_columns, n_rows), Image.Resampling.LANCZOS))


def low_haar_band(plane: NDArray[np.uint8], n_side: int) -> NDArray[np.float64]:
    """Return the `(n_side, n_side)` Haar approximation of a square plane from which the overall mean was removed."""
    values, details = plane / 255.0, []
    while len(values) > 1:
        values, detail = _analyse(values)
        details.append(detail)
    values = np.zeros((1, 1))
    for detail in reversed(details):
        values = _synthesise(values, *detail)
    while len(values) > n_side:
        values, _ = _analyse(values)
    return values


def _ahash(pixels: NDArray[np.uint8], size: int) -> NDArray[np.bool_]:
    grey = resize_grey(pixels, size, size)
    return np.asarray(grey > grey.mean())


def _dhash(pixels: NDArray[np.uint8], size: int) -> NDArray[np.bool_]:
    grey = resize_grey(pixels, size, size + 1)
    return np.asarray(grey[:, 1:] > grey[:, :-1])


def _phash(pixels: NDArray[np.uint8], size: int) -> NDArray[np.bool_]:
    from scipy.fftpack import dct

    grey = resize_grey(pixels, 4 * size, 4 * size)
    low = dct(dct(grey, axis=0), axis=1)[:size, :size]
    return np.asarray(low > np.median(low))


def _whash(pixels: NDArray[np.uint8], size: int) -> NDArray[np.bool_]:
    n_side = max(2 ** int(np.log2(min(pixels.shape[:2]))), size)
    low = low_haar_band(resize_grey(pixels, n_side, n_side), size)
    return np.asarray(low > np.median(low))


def _analyse(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    top, bottom = _TAP * values[0::2], _TAP * values[1::2]
    low, high = bottom + top, -bottom + top
    (low_low, low_high), (high_low, high_high) = _split_columns(low), _split_columns(high)
    return low_low, (low_high, high_low, high_high)


def _split_columns(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = _TAP * values[:, 0::2], _TAP * values[:, 1::2]
    return right + left, -right + left


def _synthesise(
    low_low: NDArray[np.float64],
    low_high: NDArray[np.float64],
    high_low: NDArray[np.float64],
    high_high: NDArray[np.float64],
) -> NDArray[np.float64]:
    low, high = _TAP * _join_columns(low_low, low_high), _TAP * _join_columns(high_low, high_high)
    values = np.empty((2 * len(low), low.shape[1]))
    values[0::2], values[1::2] = low + high, low - high
    return values


def _join_columns(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.empty((len(low), 2 * low.shape[1]))
    values[:, 0::2], values[:, 1::2] = _TAP * low + _TAP * high, _TAP * low - _TAP * high
    return values
