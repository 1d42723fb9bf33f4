"""Resize pixels exactly as Pillow does, to the last bit and several times faster, for hashes and encoders alike.

Pillow sums whole-number weights in two passes and rounds after each, so the order of the passes matters and is kept:
Pillow 13 shrinks the height of tall pictures first, older versions always the width. The installed version is followed.
Both passes run along whole rows, which vectors like: the width is resized as the height of the transposed picture.

The cost: numba and OpenCV are loaded at the first call. `Image.resize` is the plain reference of the tests.

Shapes: h rows, w columns, c channels (or no such axis).
"""

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Window = tuple[slice, slice]

RESAMPLINGS = ("bilinear", "bicubic", "lanczos")


class _Taps(NamedTuple):
    """For each row of a result: the first row that it takes in, how many these are, and their weights."""

    starts: NDArray[np.int32]
    counts: NDArray[np.int32]
    weights: NDArray[np.int32]


def resize(
    pixels: Pixels,
    size: tuple[int, int],
    resampling: str,
    *,
    window: Window | None = None,
    turned: Pixels | None = None,
) -> Pixels:
    """Return what Pillow's `Image.resize` gives for uint8 pixels without transparency.

    Args:
        pixels: `(h, w)` or `(h, w, c)` uint8, C-contiguous, h and w at least 1.
        size: Rows and columns of the result, at least 1.
        resampling: One of `RESAMPLINGS`.
        window: Rows and columns of the result that are wanted, with both ends stated; the rest is not computed.
        turned: The transposed pixels, `(w, h, ...)`, C-contiguous, where they are at hand.

    Returns:
        uint8 of `size`, or of the window, C-contiguous; `pixels` themselves where nothing changes.
    """
    height, width = pixels.shape[:2]
    rows, columns = window or (slice(0, size[0]), slice(0, size[1]))
    down, across = _taps(height, size[0], resampling, rows), _taps(width, size[1], resampling, columns)
    if goes_height_first((height, width), size):
        return _resize_columns(_resize_rows(pixels, down), across)
    if window is not None and down is not None:
        top, bottom = int(down.starts.min()), int((down.starts + down.counts).max())
        pixels, down, turned = pixels[top:bottom], down._replace(starts=down.starts - np.int32(top)), None
    elif window is not None:
        pixels, turned = pixels[rows], None
    return _resize_rows(_resize_columns(pixels, across, turned), down)


def goes_height_first(shape: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether the installed Pillow resizes the rows of a picture before its columns."""
    return is_height_ever_first() and shape[0] - size[0] > max(0, 2 * (shape[1] - size[1]))


@cache
def is_height_ever_first() -> bool:
    """Whether Pillow shrinks the height first where that takes away more than twice as many pixels as the width.

    It does so since version 13, https://github.com/python-pillow/Pillow/pull/9549; before, the width always went first.
    """
    import PIL

    return int(PIL.__version__.split(".")[0]) >= 13


def transpose(pixels: Pixels) -> Pixels:
    """Return `(w, h, ...)` pixels, C-contiguous; OpenCV does it in blocks, many times faster than numpy."""
    import cv2

    return np.asarray(cv2.transpose(pixels), np.uint8)


def _resize_rows(pixels: Pixels, taps: _Taps | None) -> Pixels:
    if taps is None:
        return pixels
    from overlens.resizing_kernels import resize_rows

    resized: Pixels = resize_rows(pixels.reshape(len(pixels), -1), *taps)
    return resized.reshape(-1, *pixels.shape[1:])


def _resize_columns(pixels: Pixels, taps: _Taps | None, turned: Pixels | None = None) -> Pixels:
    if taps is None:
        return pixels
    return transpose(_resize_rows(transpose(pixels) if turned is None else turned, taps))


def _taps(n_in: int, n_out: int, resampling: str, window: slice) -> _Taps | None:
    """Return the taps of the wanted results, or None where all stays as it is, as Pillow then has no such pass."""
    if n_in == n_out and window == slice(0, n_out):
        return None
    return _Taps(*(column[window] for column in _all_taps(n_in, n_out, resampling)))


@lru_cache(maxsize=256)
def _all_taps(n_in: int, n_out: int, resampling: str) -> _Taps:
    from overlens.resizing_kernels import filter_weights

    return _Taps(*filter_weights(n_in, n_out, RESAMPLINGS.index(resampling)))
