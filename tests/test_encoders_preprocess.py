"""Preparation equals a plain Pillow rendering of OpenAI's steps, on real pictures and on every shape."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from overlens.encoders.preprocess import (
    CLIP_PREPROCESSING,
    MAX_RESIZED_SIDE,
    Preprocessing,
    from_processor_config,
    resized_size,
)
from overlens.errors import ModelError

CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711])
CONFIG = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "resample": 3,
    "image_mean": CLIP_MEAN.tolist(),
    "image_std": CLIP_STD.tolist(),
}


def openai_preparation(picture: Image.Image) -> Image.Image:
    """Resize(224, bicubic) and CenterCrop(224), step by step."""
    width, height = picture.size
    if width < height:
        width, height = 224, int(224 * height / width)
    else:
        width, height = int(224 * width / height), 224
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    top, left = int(round((height - 224) / 2.0)), int(round((width - 224) / 2.0))  # noqa: RUF046  # as torchvision
    return resized.crop((left, top, left + 224, top + 224))


def real_pictures(shared_data: Path) -> list[Path]:
    art = sorted((shared_data / "art" / "dataset").glob("*/JPEGImages/*"))[::3]
    photos = sorted((shared_data / "pacs_mini").rglob("*.jpg"))[::30]
    return [*art, *photos]


def test_clip_preparation_equals_plain_pillow_on_real_pictures(shared_data):
    paths = real_pictures(shared_data)[:60]
    assert len(paths) >= 50
    for path in paths:
        picture = Image.open(path).convert("RGB")
        expected = np.asarray(openai_preparation(picture))
        prepared = CLIP_PREPROCESSING(np.asarray(picture))
        assert np.array_equal(prepared, expected), path
        floats = (expected / 255 - CLIP_MEAN) / CLIP_STD
        np.testing.assert_allclose(CLIP_PREPROCESSING.normalise(prepared[None])[0], floats, rtol=0, atol=2e-6)


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 700), height=st.integers(1, 700))
def test_any_shape_becomes_the_square(width, height):
    pixels = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if max(resized_size(width, height, 224)) > MAX_RESIZED_SIDE:
        assert CLIP_PREPROCESSING(pixels).shape == (224, 224, 3)
        return
    expected = np.asarray(openai_preparation(Image.fromarray(pixels)))
    assert np.array_equal(CLIP_PREPROCESSING(pixels), expected)


@pytest.mark.parametrize("shape", [(40, 4000, 3), (4000, 40, 3)], ids=["wide", "tall"])
def test_a_strip_is_cropped_before_it_is_resized_and_looks_the_same(shape):
    # Smooth, because Pillow may round between its two passes in another order.
    seeds = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    pixels = np.asarray(seeds.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    expected = np.asarray(openai_preparation(Image.fromarray(pixels))).astype(int)
    assert np.abs(CLIP_PREPROCESSING(pixels).astype(int) - expected).max() <= 2


def test_a_strip_of_one_pixel_costs_little_memory():
    assert CLIP_PREPROCESSING(np.full((1, 60_000, 3), 7, np.uint8)).tolist() == np.full((224, 224, 3), 7).tolist()


def test_squash_keeps_the_border_that_a_crop_loses():
    pixels = np.zeros((100, 400, 3), np.uint8)
    pixels[:, :60] = 255
    squash = Preprocessing(64, 0, "bicubic", (0.0,) * 3, (1.0,) * 3)
    crop = Preprocessing(64, 64, "bicubic", (0.0,) * 3, (1.0,) * 3)
    assert squash(pixels)[:, 0].min() == 255
    assert crop(pixels).max() == 0


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
    ids=["grey", "alpha", "float", "empty"],
)
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ValueError, match="pixels must be"):
        CLIP_PREPROCESSING(pixels)


def test_processor_config_of_clip_is_clip_preparation():
    read = from_processor_config(CONFIG, "here")
    assert (read.size, read.shorter_side, read.resampling) == (224, 224, "bicubic")
    np.testing.assert_allclose(read.mean, CLIP_PREPROCESSING.mean, rtol=1e-12)
    np.testing.assert_allclose(read.deviation, CLIP_PREPROCESSING.deviation, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 224, "crop_size": 224}, (224, 224)),
        ({"size": {"shortest_edge": 256}}, (256, 224)),
        ({"size": {"height": 384, "width": 384}, "do_center_crop": False}, (0, 384)),
        ({"size": 224, "do_center_crop": None, "image_processor_type": "ViTImageProcessor"}, (0, 224)),
    ],
    ids=["plain numbers", "larger than the crop", "siglip", "old vit"],
)
def test_processor_config_sizes(changes, expected):
    read = from_processor_config({**CONFIG, **changes}, "here")
    assert (read.shorter_side, read.size) == expected


def test_processor_config_scales():
    raw = from_processor_config({**CONFIG, "do_rescale": False, "image_mean": [1, 2, 3]}, "here")
    assert raw.mean == (1.0, 2.0, 3.0)
    unshifted = from_processor_config({**CONFIG, "do_normalize": False}, "here")
    assert unshifted.mean == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(unshifted.deviation, 255)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": {"longest_edge": 224}},
        {"size": {"height": 224, "width": 196}, "do_center_crop": False},
        {"size": {"shortest_edge": 224}, "do_center_crop": False},
        {"size": {"height": 256, "width": 256}},
        {"crop_pct": 0.875},
        {"do_resize": False},
        {"resample": 17},
        {"image_mean": [0.5]},
        {"size": "large"},
    ],
    ids=str,
)
def test_processor_configs_that_cannot_be_followed_are_refused(changes):
    with pytest.raises(ModelError, match="the image settings in here cannot be followed"):
        from_processor_config({**CONFIG, **changes}, "here")


def test_the_description_tells_preparations_apart():
    other = Preprocessing(224, 256, "bicubic", CLIP_PREPROCESSING.mean, CLIP_PREPROCESSING.deviation)
    assert other.describe() != CLIP_PREPROCESSING.describe()
    assert "shorter side to 224 px, centre crop 224, Pillow bicubic" in CLIP_PREPROCESSING.describe()
