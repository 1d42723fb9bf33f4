"""The compiled loops against the libraries whose arithmetic they repeat."""

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from overlens.hashes import kernels as hash_kernels
from overlens.hashes import reference as hash_reference
from overlens.hashes.compute import _make_grey, _resize

SIZES = st.one_of(st.integers(1, 70), st.sampled_from([1, 2, 3, 199, 400]))


def draw_pixels(height, width, seed, *, levels=256):
    return np.random.default_rng(seed).integers(0, levels, (height, width, 3), np.uint8)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_grey_is_pillows_for_every_level(channel):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., channel] = np.arange(256).reshape(16, 16)
    pixels[..., channel - 1] = 255 - pixels[..., channel] // 3
    np.testing.assert_array_equal(hash_kernels.grey_from_rgb(pixels), np.asarray(Image.fromarray(pixels).convert("L")))


def test_grey_takes_read_only_pixels():
    pixels = draw_pixels(7, 5, 1)
    frozen = pixels.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(hash_kernels.grey_from_rgb(frozen), hash_kernels.grey_from_rgb(pixels))


@settings(max_examples=150, deadline=None)
@given(SIZES, SIZES, st.integers(1, 80), st.integers(1, 80), st.integers(0, 2**32 - 1), st.sampled_from([2, 256]))
def test_resized_pixels_are_pillows(height, width, n_rows, n_columns, seed, levels):
    """Sizes of 1, extreme aspects, growing, shrinking, one side unchanged; two-level pictures overshoot and clip."""
    pixels = draw_pixels(height, width, seed, levels=levels) * np.uint8(255 if levels == 2 else 1)
    fast = _resize(_make_grey(pixels), n_rows, n_columns)
    np.testing.assert_array_equal(fast, hash_reference.resize_grey(pixels, n_rows, n_columns))


@pytest.mark.parametrize(
    ("height", "width"), [(300, 157), (300, 158), (157, 300), (40, 20), (41, 20), (8, 900), (900, 8), (9, 9), (32, 64)]
)
@pytest.mark.parametrize(("n_rows", "n_columns"), [(8, 8), (8, 9), (32, 32), (16, 17)])
def test_order_of_the_two_passes_is_pillows(height, width, n_rows, n_columns):
    pixels = draw_pixels(height, width, 11)
    fast = _resize(_make_grey(pixels), n_rows, n_columns)
    np.testing.assert_array_equal(fast, hash_reference.resize_grey(pixels, n_rows, n_columns))


def test_resizing_to_the_same_size_changes_nothing():
    grey = _make_grey(draw_pixels(12, 17, 3))
    np.testing.assert_array_equal(_resize(grey, 12, 17), grey)


@pytest.mark.parametrize(("n_side", "block"), [(2, 1), (8, 1), (8, 2), (4, 16), (16, 8)])
@pytest.mark.parametrize("levels", [1, 2, 256])
def test_haar_band_has_the_very_bits_of_pywavelets(n_side, block, levels):
    side = n_side * block
    plane = (
        np.random.default_rng(side + levels).integers(0, levels, (side, side), np.uint8) + np.uint8(levels == 1) * 77
    )
    coefficients = pywt.wavedec2(plane / 255.0, "haar", level=side.bit_length() - 1)
    coefficients[0] *= 0
    rebuilt = pywt.waverec2(coefficients, "haar")
    expected = pywt.wavedec2(rebuilt, "haar", level=block.bit_length() - 1)[0]
    np.testing.assert_array_equal(hash_reference.low_haar_band(plane, n_side), expected)
    np.testing.assert_array_equal(hash_kernels.low_haar_band(plane, n_side), expected)


def test_block_sums():
    plane = np.random.default_rng(4).integers(0, 256, (24, 24), np.uint8)
    expected = plane.reshape(4, 6, 4, 6).sum(axis=(1, 3))
    np.testing.assert_array_equal(hash_kernels.sum_blocks(plane, 4), expected)
