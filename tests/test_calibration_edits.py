"""Known edits: the same for one image every time, valid at any size, and each does what its name says."""

import re
from pathlib import Path

import numpy as np
import pytest

from overlens.calibration.edits import EDITS, HARD_EDITS, edit_image
from overlens.errors import ConfigError
from overlens.testing import make_picture

LEAVES_SIZE = ("text", "blur", "jpeg10", "rotate", "mirror", "hue", "grey", "perspective", "jpeg50")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return make_picture(3, 120, 90)


def difference(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.abs(left.astype(float) - right).mean())


def test_the_hard_edits_are_the_ones_of_the_accuracy_table():
    assert HARD_EDITS == tuple("crop border text blur jpeg10 rotate mirror hue grey perspective".split())


def test_the_docs_say_what_every_edit_is():
    methods = (Path(__file__).parents[1] / "docs" / "methods.md").read_text("utf-8")
    first = methods.index("| `crop` |")
    assert re.findall(r"^\| `(\w+)` \|", methods[first : methods.index("\n\n", first)], re.MULTILINE) == list(EDITS)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_follows_from_the_image_and_its_name(picture: np.ndarray, name: str):
    before = picture.copy()
    first, again = (edit_image(picture, name, key="a.jpg") for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(picture, before)
    assert first.dtype == np.uint8 and first.ndim == 3 and first.flags.c_contiguous
    assert first.shape != picture.shape or difference(first, picture) > 0.3


@pytest.mark.parametrize("name", ["crop", "border", "text", "rotate", "perspective"])
def test_other_images_and_seeds_have_other_chances(picture: np.ndarray, name: str):
    by_key = {edit_image(picture, name, key=str(number)).tobytes() for number in range(8)}
    by_seed = {edit_image(picture, name, key="a", seed=seed).tobytes() for seed in range(8)}
    assert len(by_key) > 1 and len(by_seed) > 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (2, 2), (32, 32), (600, 11)], ids=str)
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_works_at_any_size(name: str, size: tuple[int, int]):
    pixels = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (*size, 3), np.uint8)
    edited = edit_image(pixels, name, key="a")
    assert edited.shape[2] == 3 and min(edited.shape) >= 1
    assert name not in LEAVES_SIZE or edited.shape == pixels.shape


def test_a_crop_is_half_of_the_area_and_lies_in_the_picture(picture: np.ndarray):
    cropped = edit_image(picture, "crop", key="a")
    rows, columns = cropped.shape[:2]
    assert rows * columns == pytest.approx(picture.shape[0] * picture.shape[1] / 2, rel=0.02)
    windows = np.lib.stride_tricks.sliding_window_view(picture, cropped.shape)[:, :, 0]
    assert (windows == cropped).all(axis=(2, 3, 4)).any()


def test_a_border_is_of_one_colour_around_the_whole_picture(picture: np.ndarray):
    framed = edit_image(picture, "border", key="a")
    assert framed.shape == (90 + 24, 120 + 24, 3)
    assert np.array_equal(framed[12:-12, 12:-12], picture)
    assert len(np.unique(framed[:12].reshape(-1, 3), axis=0)) == 1


def test_edits_without_chance_do_what_they_say(picture: np.ndarray):
    edited = {name: edit_image(picture, name, key="a") for name in EDITS}
    assert np.array_equal(edited["mirror"][:, ::-1], picture)
    assert np.ptp(edited["grey"], axis=2).max() == 0
    assert edited["half_size"].shape == (45, 60, 3)
    assert difference(edited["jpeg10"], picture) > difference(edited["jpeg50"], picture)
    assert np.abs(np.diff(edited["blur"].astype(float), axis=1)).mean() < np.abs(np.diff(picture.astype(float))).mean()
    assert np.abs(edited["hue"].max(axis=2).astype(int) - picture.max(axis=2)).max() <= 2  # the value of HSV stays


def test_a_rotation_leaves_the_middle_and_turns_the_corners_black(picture: np.ndarray):
    turned = edit_image(picture, "rotate", key="a")
    assert (turned == 0).all(axis=2).sum() > 20
    assert difference(turned[40:50, 55:65], picture[40:50, 55:65]) < 20


def test_text_covers_some_of_the_picture_and_leaves_the_rest(picture: np.ndarray):
    changed = (edit_image(picture, "text", key="a") != picture).any(axis=2)
    assert 0.01 < changed.mean() < 0.4


def test_what_cannot_be_edited_is_refused(picture: np.ndarray):
    with pytest.raises(ConfigError, match="unknown edit 'sepia'; known: crop, border"):
        edit_image(picture, "sepia", key="a")
    for wrong in (picture[..., 0], picture.astype(float), picture[:0]):
        with pytest.raises(ValueError, match=r"must be \(h, w, 3\) of uint8"):
            edit_image(wrong, "grey", key="a")
