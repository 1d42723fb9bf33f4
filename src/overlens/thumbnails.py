"""Small renditions of the images that galleries show, kept so that a second run opens no image for them.

A rendition is made from its image once, when it is first shown, and named by the digest of the image's bytes: the bytes
are held against it, so that no picture stands for another. One that was damaged on the disk is made again.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import remove_partials, write_bytes
from overlens.errors import DecodeError
from overlens.png import encode_png
from overlens.resizing import resize

THUMBNAIL_PX = 320


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Renditions of one dataset's images, at most `THUMBNAIL_PX` pixels wide and high, kept under `folder`.

    Several threads may ask at once.
    """

    folder: Path
    _writing: Lock = field(default_factory=Lock, repr=False, compare=False)

    @classmethod
    def open(cls, store: Path) -> "Thumbnails":
        """Open the renditions below the store of a dataset."""
        folder = store / f"thumbnails-{THUMBNAIL_PX}"
        remove_partials(folder)
        return cls(folder)

    def get(self, digest: str, path: Path) -> NDArray[np.uint8]:
        """Return `(h, w, 3)` uint8 pixels of the image whose bytes have `digest`; its file is read only if need be.

        Args:
            digest: SHA-256 of the image's bytes in hexadecimal.
            path: The image.

        Raises:
            DecodeError: The image is gone, is another one by now, or cannot be decoded.
            StoreError: The rendition cannot be kept, for want of space or of permission.
        """
        from overlens.decode import decode_rgb

        kept = self.folder / f"{digest}.png"
        pixels = _load(kept)
        if pixels is None:
            pixels = thumbnail(decode_rgb(_read_image(path, digest)), THUMBNAIL_PX)
            content = encode_png(pixels)
            with self._writing:  # a file is written under one fixed name before it has its own
                write_bytes(kept, content)
        return pixels


def thumbnail(pixels: NDArray[np.uint8], max_px: int) -> NDArray[np.uint8]:
    """Return `(h, w, 3)` uint8 pixels, made smaller so that neither side is longer than `max_px`; never larger."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((max_px, max_px), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8)


def fit(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Return `(h, w, 3)` uint8 pixels, made smaller or larger so that the longer side is `side_px` long."""
    height, width, _ = pixels.shape
    longer = max(height, width)
    rows, columns = (max(1, round(side * side_px / longer)) for side in (height, width))
    return resize(np.ascontiguousarray(pixels), (rows, columns), "lanczos" if longer > side_px else "bilinear")


def _load(kept: Path) -> NDArray[np.uint8] | None:
    """Return a rendition as it was kept, or None if there is none or it cannot be read any more."""
    from overlens.decode import decode_rgb

    try:
        return decode_rgb(kept.read_bytes())
    except (OSError, DecodeError):
        return None


def _read_image(path: Path, digest: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DecodeError(f"{path} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise DecodeError(f"{path} changed since it was analysed; run again")
    return data
