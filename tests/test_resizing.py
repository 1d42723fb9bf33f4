"""Resizing equals Pillow's `Image.resize` to the last bit, whole or a window of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from overlens.resizing import RESAMPLINGS, resize, transpose
from overlens.resizing_kernels import _filter, _round_weights, filter_weights

LANCZOS = RESAMPLINGS.index("lanczos")


def resize_by_pillow(pixels, size, resampling):
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling[resampling.upper()]))


def draw(shape, seed):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    size=st.tuples(st.integers(1, 260), st.integers(1, 260)),
    resampling=st.sampled_from(RESAMPLINGS),
    channels=st.sampled_from([(), (3,)]),
    seed=st.integers(0, 99),
)
def test_any_shape_to_any_size_as_pillow(shape, size, resampling, channels, seed):
    pixels = draw((*shape, *channels), seed)
    resized = resize(pixels, size, resampling)
    np.testing.assert_array_equal(resized, resize_by_pillow(pixels, size, resampling))
    assert np.array_equal(resize(pixels, size, resampling, turned=transpose(pixels)), resized)


@pytest.mark.parametrize("shape", [(300, 90), (90, 300), (64, 64), (900, 70), (64, 300)], ids=str)
@pytest.mark.parametrize("resampling", RESAMPLINGS)
def test_a_window_is_a_part_of_the_whole(shape, resampling):
    pixels = draw((*shape, 3), 1)
    window = slice(10, 50), slice(3, 40)
    part = resize(pixels, (64, 64), resampling, window=window)
    np.testing.assert_array_equal(part, resize_by_pillow(pixels, (64, 64), resampling)[window])
    assert part.flags.c_contiguous


def test_weights_that_are_looked_up_equal_those_that_are_computed():
    """Of every size that museums use, and of shrinking by whole numbers, where many weights are alike."""
    generator = np.random.default_rng(7)
    sizes = [*generator.integers(1, 5000, 150).tolist(), *(32 * factor for factor in range(1, 40))]
    for n_in in sizes:
        for n_out in (8, 9, 32, 512):
            starts, counts, weights = filter_weights(n_in, n_out, LANCZOS)
            step = 1.0 / max(n_in / n_out, 1.0)
            for out in {0, n_out // 3, n_out - 1}:
                centre = (out + 0.5) * (n_in / n_out)
                places = np.arange(counts[out]) + int(starts[out])
                exact = np.array([_filter((place - centre + 0.5) * step, LANCZOS) for place in places])
                row = np.empty(len(exact), np.int32)
                _round_weights(exact, row)
                np.testing.assert_array_equal(weights[out, : counts[out]], row)
