import io

import numpy as np
import pytest
from PIL import Image

from overlens.png import encode_png


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 7, 3), (300, 200, 3)])
def test_pixels_come_back_as_they_were(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_view_on_other_pixels_will_do():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    assert encode_png(pixels[:, :, :3]) == encode_png(pixels[:, :, :3].copy())
