"""Small renditions of the images that galleries show, kept so that a second run opens no image for them.

A rendition is made from its image once, when it is first shown, and named by the digest of the image's bytes.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import remove_partials, write_bytes
from overlens.errors import DecodeError

THUMBNAIL_PX = 320


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Renditions of one dataset's images, at most `THUMBNAIL_PX` pixels wide and high, kept under `folder`."""

    folder: Path

    @classmethod
    def open(cls, store: Path) -> "Thumbnails":
        """Open the renditions below the store of a dataset."""
        folder = store / f"thumbnails-{THUMBNAIL_PX}"
        remove_partials(folder)
        return cls(folder)

    def get(self, digest: str, path: Path) -> NDArray[np.uint8]:
        """Return `(h, w, 3)` uint8 pixels of the image whose bytes have `digest`; its file is read only if need be.

        Raises:
            DecodeError: The file is gone or can no longer be decoded.
        """
        from overlens.decode import decode_rgb

        kept = self.folder / f"{digest}.png"
        try:
            if not kept.exists():
                write_bytes(kept, _as_png(thumbnail(decode_rgb(path.read_bytes()), THUMBNAIL_PX)))
            return decode_rgb(kept.read_bytes())
        except OSError as error:
            raise DecodeError(f"{path} cannot be read: {error.strerror or error}") from error


def thumbnail(pixels: NDArray[np.uint8], max_px: int) -> NDArray[np.uint8]:
    """Return `(h, w, 3)` uint8 pixels, made smaller so that neither side is longer than `max_px`; never larger."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((max_px, max_px), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8)


def _as_png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
