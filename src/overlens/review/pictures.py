"""The pictures that the desk shows: the rendition that was judged, or the pixels of the file as it was analysed.

Files are never sent as they are: what a browser gets was decoded and encoded here, so it is a picture and nothing else,
and holds no place or name of a camera. A file is read only if its bytes are those of the run.
"""

import hashlib
import io
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from overlens.errors import DecodeError, StoreError
from overlens.finished import FinishedRun
from overlens.thumbnails import thumbnail

FULL_PX = 4_096
QUALITY, FULL_QUALITY = 88, 92
N_KEPT = 512
GONE = (
    "the picture of this image cannot be shown: its file is gone or changed since the run; run overlens compute again"
)


class GoneError(Exception):
    """An image of the run whose picture cannot be had any more."""

    def __init__(self) -> None:
        super().__init__(GONE)


class Pictures:
    """Pictures of the images of a run as JPEG files; several threads may ask at once."""

    def __init__(self, run: FinishedRun) -> None:
        self._run = run
        self._one_at_a_time = Lock()
        self.rendition = lru_cache(N_KEPT)(self._rendition)

    def full(self, row: int) -> bytes:
        """Return the picture of an image's file, at most `FULL_PX` a side; raises GoneError."""
        from overlens.decode import decode_rgb

        images = self._run.images
        if not images.has_pictures:
            raise GoneError
        with self._one_at_a_time:  # a decoded file may take a gigabyte
            try:
                data = images.path(row).read_bytes()
                if hashlib.sha256(data).digest() != images.digest(row):
                    raise GoneError
                return _jpeg(thumbnail(decode_rgb(data), FULL_PX), FULL_QUALITY)
            except (OSError, DecodeError) as error:
                raise GoneError from error

    def _rendition(self, row: int) -> bytes:
        try:
            return _jpeg(self._run.picture(row), QUALITY)
        except (DecodeError, StoreError) as error:
            raise GoneError from error


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()
