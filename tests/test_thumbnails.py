"""Renditions keep proportions, never grow, are made from an image once, and never stand for another one."""

import errno
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from overlens.errors import DecodeError, OverlensError
from overlens.testing import encode_picture, make_picture
from overlens.thumbnails import THUMBNAIL_PX, Thumbnails, thumbnail


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "x.png"
    path.write_bytes(encode_picture(make_picture(1, 2 * THUMBNAIL_PX, THUMBNAIL_PX)))
    return path


@pytest.fixture
def thumbnails(tmp_path: Path) -> Thumbnails:
    return Thumbnails.open(tmp_path / "store")


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("shape", "expected"), [((400, 200, 3), (100, 50, 3)), ((30, 20, 3), (30, 20, 3)), ((1, 900, 3), (1, 100, 3))]
)
def test_thumbnails_keep_the_proportions_and_never_grow(shape, expected):
    small = thumbnail(np.zeros(shape, np.uint8), 100)
    assert small.shape == expected and small.dtype == np.uint8


def test_a_rendition_is_made_once(tmp_path: Path, image: Path, thumbnails: Thumbnails):
    digest = digest_of(image)
    first = thumbnails.get(digest, image)
    image.unlink()
    again = Thumbnails.open(tmp_path / "store").get(digest, image)
    assert first.shape == (THUMBNAIL_PX // 2, THUMBNAIL_PX, 3)
    assert np.array_equal(first, again)


def test_an_image_that_is_gone_says_so(tmp_path: Path, thumbnails: Thumbnails):
    with pytest.raises(DecodeError, match=r"gone\.png cannot be read: No such file"):
        thumbnails.get("0" * 64, tmp_path / "gone.png")


def test_an_image_that_was_replaced_says_so_and_leaves_no_rendition(image: Path, thumbnails: Thumbnails):
    digest = digest_of(image)
    image.write_bytes(encode_picture(make_picture(2)))
    with pytest.raises(DecodeError, match=r"x\.png changed since it was analysed"):
        thumbnails.get(digest, image)
    assert not list(thumbnails.folder.rglob("*.png"))


@pytest.mark.parametrize("content", [b"", b"\x89PNG and no more", "half"], ids=["empty", "header only", "half"])
def test_a_damaged_rendition_is_made_again(image: Path, thumbnails: Thumbnails, content: bytes | str):
    digest = digest_of(image)
    first = thumbnails.get(digest, image)
    (kept,) = thumbnails.folder.glob("*.png")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    assert np.array_equal(thumbnails.get(digest, image), first)
    assert kept.read_bytes() == whole


def test_a_full_disk_is_not_blamed_on_the_image(image: Path, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch):
    def fill(_path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("overlens.thumbnails.write_bytes", fill)
    with pytest.raises(OSError, match="No space left"):
        thumbnails.get(digest_of(image), image)


def test_a_place_where_nothing_can_be_kept_is_not_blamed_on_the_image(image: Path, thumbnails: Thumbnails):
    thumbnails.folder.parent.mkdir(parents=True)
    thumbnails.folder.write_text("a file where the folder should be")
    with pytest.raises((OSError, OverlensError)) as caught:
        thumbnails.get(digest_of(image), image)
    assert not isinstance(caught.value, DecodeError)


def test_several_threads_may_ask_for_one_image(thumbnails: Thumbnails, image: Path):
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda _: thumbnails.get(digest_of(image), image), range(32)))
    assert all(np.array_equal(shown[0], one) for one in shown)
    assert len(list(thumbnails.folder.iterdir())) == 1
