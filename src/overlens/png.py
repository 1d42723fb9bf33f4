"""Pixels as the bytes of a PNG file: one way for every picture that is written.

The way is quick rather than thorough, because most pictures hold photographs, which no search makes much smaller: every
row is stored as its difference from the row above, the only one of PNG's filters that is one pass of numpy and that
suits photographs and empty paper alike, and deflated at the lowest level. Nothing here holds the GIL for long.

Shapes: h x w pixels.
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR = 8, 2, 0, 0, 0  # bits of a sample, RGB; the only methods that there are; not interlaced
_UP = 2
_ROWS_AT_ONCE = 256


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return `(h, w, 3)` uint8 pixels as a PNG file without metadata; equal pixels give equal bytes.

    A page of photographs takes two thirds of the time that Pillow takes for runs of equal bytes alone and a twentieth
    more room, a plot a quarter of the time and less room.
    """
    height, width, _ = pixels.shape
    squeezed = zlib.compressobj(level=1)
    parts = [squeezed.compress(rows.data) for rows in _differences(pixels.reshape(height, width * 3))]
    header = struct.pack(">II5B", width, height, *_TRUECOLOUR)
    chunks = _chunk(b"IHDR", header), _chunk(b"IDAT", b"".join(parts) + squeezed.flush()), _chunk(b"IEND", b"")
    return _SIGNATURE + b"".join(chunks)


def _differences(rows: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield some rows at a time, each as the number of its filter and its differences from the row above."""
    above = np.zeros_like(rows[:1])
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = rows[start : start + _ROWS_AT_ONCE]
        filtered = np.empty((len(block), rows.shape[1] + 1), np.uint8)
        filtered[:, 0] = _UP
        np.subtract(block[:1], above, out=filtered[:1, 1:])
        np.subtract(block[1:], block[:-1], out=filtered[1:, 1:])
        above = block[-1:]
        yield filtered


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
