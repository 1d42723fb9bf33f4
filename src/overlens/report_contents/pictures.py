"""The small pictures that stand in the report: one for each image of the gallery, and smaller ones for the maps.

Never the originals, and within a stated number of bytes: the side of the pictures follows from how many there are. They
are WebP at quality 70, which takes 40 % fewer bytes than JPEG of the same look.

Shapes: n images of all datasets.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from overlens.cores import map_parts
from overlens.errors import DecodeError, StoreError
from overlens.finished import FinishedRun
from overlens.thumbnails import thumbnail

GALLERY_SIDES_PX = (400, 320, 256, 208, 160, 128, 104, 80)
MAP_SIDES_PX = (96, 72, 56, 40)
GALLERY_BYTES, MAP_BYTES = 11_000_000, 2_500_000
MOST_ON_MAP = 4_000
"""Images of the maps beside those of the gallery that have a picture to hover: others show their name alone."""
QUALITY, EFFORT = 70, 2
N_TRIED = 48

Made = bytes | str
"""A picture, or why there is none."""


@dataclass(slots=True)
class Album:
    """Pictures, and which image has which.

    Attributes:
        places: `(n,)` int32 place of each image's picture, -1 without one.
        pictures: WebP files.
        n_unreadable: Images that could not be shown.
        first_reason: Why the first of them could not.
    """

    places: NDArray[np.int32]
    pictures: list[bytes] = field(default_factory=list)
    n_unreadable: int = 0
    first_reason: str = ""


def fill_album(run: FinishedRun, of_gallery: NDArray[np.intp], of_maps: NDArray[np.intp]) -> Album:
    """Make the pictures of a report.

    Args:
        run: The run whose images these are.
        of_gallery: Places of the images of the gallery, each once.
        of_maps: Places of the images of the maps; those of the gallery among them have a picture already.
    """
    album = Album(np.full(len(run.images), -1, np.int32))
    if not run.images.has_pictures:
        return album
    others = np.setdiff1d(of_maps, of_gallery)
    if len(others) > MOST_ON_MAP:
        others = others[np.linspace(0, len(others) - 1, MOST_ON_MAP).round().astype(np.intp)]
    _add(album, run, of_gallery, _choose_side(run, of_gallery, GALLERY_SIDES_PX, GALLERY_BYTES))
    _add(album, run, others, _choose_side(run, others, MAP_SIDES_PX, MAP_BYTES))
    return album


def _choose_side(
    run: FinishedRun, rows: NDArray[np.intp], sides: Sequence[int], most_bytes: int
) -> tuple[int, dict[int, Made]]:
    """Return the largest side at which the pictures of some images stay within the bytes, and those tried at it.

    A few of the images are tried, spread evenly.
    """
    tried = rows[np.linspace(0, len(rows) - 1, min(N_TRIED, len(rows))).round().astype(np.intp)].tolist()
    for side in sides:
        made = dict(zip(tried, map_parts(_encoder(run, side), tried), strict=True))
        sizes = [len(one) for one in made.values() if isinstance(one, bytes)]
        if sum(sizes) * len(rows) <= most_bytes * max(1, len(sizes)) or side == sides[-1]:
            break
    return side, made


def _add(album: Album, run: FinishedRun, rows: NDArray[np.intp], tried: tuple[int, dict[int, Made]]) -> None:
    side, made = tried
    missing = [row for row in rows.tolist() if row not in made]
    made |= zip(missing, map_parts(_encoder(run, side), missing), strict=True)
    for row in rows.tolist():
        one = made[row]
        if isinstance(one, bytes):
            album.places[row] = len(album.pictures)
            album.pictures.append(one)
        else:
            album.n_unreadable += 1
            album.first_reason = album.first_reason or one


def _encoder(run: FinishedRun, side: int) -> Callable[[int], Made]:
    return partial(_encode, run, side)


def _encode(run: FinishedRun, side: int, row: int) -> Made:
    """Return the picture of an image as a WebP file, or why there is none."""
    from PIL import Image

    try:
        pixels = thumbnail(run.picture(row), side)
    except (DecodeError, StoreError) as error:
        return str(error)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=QUALITY, method=EFFORT)
    return stream.getvalue()
