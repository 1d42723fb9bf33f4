"""Renditions keep proportions, never grow, and are made from an image once."""

from pathlib import Path

import numpy as np
import pytest

from overlens.errors import DecodeError
from overlens.testing import encode_picture, make_picture
from overlens.thumbnails import THUMBNAIL_PX, Thumbnails, thumbnail


@pytest.mark.parametrize(
    ("shape", "expected"), [((400, 200, 3), (100, 50, 3)), ((30, 20, 3), (30, 20, 3)), ((1, 900, 3), (1, 100, 3))]
)
def test_thumbnails_keep_the_proportions_and_never_grow(shape, expected):
    small = thumbnail(np.zeros(shape, np.uint8), 100)
    assert small.shape == expected and small.dtype == np.uint8


def test_a_rendition_is_made_once(tmp_path: Path):
    image = tmp_path / "x.png"
    image.write_bytes(encode_picture(make_picture(1, 2 * THUMBNAIL_PX, THUMBNAIL_PX)))
    first = Thumbnails.open(tmp_path / "store").get("abc", image)
    image.unlink()
    again = Thumbnails.open(tmp_path / "store").get("abc", image)
    assert first.shape == (THUMBNAIL_PX // 2, THUMBNAIL_PX, 3)
    assert np.array_equal(first, again)


def test_an_image_that_is_gone_says_so(tmp_path: Path):
    with pytest.raises(DecodeError, match="cannot be read"):
        Thumbnails.open(tmp_path / "store").get("abc", tmp_path / "gone.png")
