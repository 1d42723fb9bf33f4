"""Every colour mode, depth and transparency becomes the RGB picture that a viewer shows."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from overlens import decode
from overlens.decode import decode_rgb
from overlens.errors import DecodeError

RAMP = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5


def encode(image, suffix="PNG", **options):
    stream = BytesIO()
    image.save(stream, suffix, **options)
    return stream.getvalue()


def shrink(pixels):
    """Grey 32 x 32 picture, in which dithering and compression average out."""
    grey = Image.fromarray(pixels).convert("L").resize((32, 32), Image.Resampling.BOX)
    return np.asarray(grey, np.float64)


@pytest.mark.parametrize(
    "name",
    "1.png CMYK.jpg F.webp HSV.webp I.webp L.png LA.png LAB.webp P.png PA.webp RGB.jpg RGBA.png YCbCr.jpg".split(),
)
def test_every_colour_mode_shows_the_same_picture(shared_data, name):
    folder = shared_data / "pdq_transforms" / "misc-images" / "modes"
    original = shrink(decode_rgb((folder / "original.jpg").read_bytes()))
    picture = shrink(decode_rgb((folder / name).read_bytes()))
    assert np.abs(picture - original).mean() < 8
    assert np.corrcoef(picture.ravel(), original.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("mode", ["LAB", "YCbCr", "HSV", "CMYK"])
def test_colour_modes_that_tiff_holds(mode):
    picture = Image.fromarray(np.kron(RAMP, np.ones((8, 8, 1), np.uint8)))
    as_mode = picture.convert(mode)
    if mode == "HSV":  # no container holds it, so the conversion alone is tried
        pixels = np.asarray(decode._to_rgb(as_mode))
    else:
        pixels = decode_rgb(encode(as_mode, "TIFF"))
    assert np.abs(pixels.astype(int) - np.asarray(picture)).mean() < 5


def test_inverted_adobe_cmyk_is_not_negative(shared_data):
    folder = shared_data / "pdq_transforms" / "misc-images" / "modes"
    with Image.open(folder / "CMYK.jpg") as image:
        assert image.mode == "CMYK"
        assert "adobe" in image.info
        by_pillow = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_rgb((folder / "CMYK.jpg").read_bytes()), by_pillow)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (2, 2), (10, 20, 30, 0)), (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (10, 20, 30, 255)), (10, 20, 30)),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 128)), (127, 127, 127)),
        (Image.new("LA", (2, 2), (0, 51)), (204, 204, 204)),
        (Image.new("LA", (2, 2), (90, 255)), (90, 90, 90)),
    ],
    ids=["clear", "solid", "half", "grey faint", "grey solid"],
)
def test_transparency_lies_over_white(image, expected):
    np.testing.assert_array_equal(decode_rgb(encode(image))[0, 0], expected)


def test_premultiplied_colours_are_divided_before_they_lie_over_white():
    solid = Image.new("RGBA", (1, 1), (100, 200, 50, 255)).convert("RGBa")
    np.testing.assert_array_equal(np.asarray(decode._to_rgb(solid))[0, 0], (100, 200, 50))


@pytest.mark.parametrize("suffix", ["PNG", "GIF"])
def test_transparent_palette_colour_is_white(suffix):
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putdata([0, 1])
    pixels = decode_rgb(encode(image, suffix, transparency=0))
    np.testing.assert_array_equal(pixels, [[[255, 255, 255], [0, 0, 200]]])


def test_palette_with_graded_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 200])
    image.putdata([0, 1])
    pixels = decode_rgb(encode(image, transparency=bytes([0, 255])))
    np.testing.assert_array_equal(pixels, [[[255, 255, 255], [0, 0, 200]]])


@pytest.mark.parametrize(("mode", "colour", "key"), [("RGB", (9, 8, 7), (9, 8, 7)), ("L", 77, 77)], ids=["RGB", "L"])
def test_one_transparent_colour_is_white(mode, colour, key):
    image = Image.new(mode, (1, 1), colour)
    np.testing.assert_array_equal(decode_rgb(encode(image, transparency=key)), [[[255, 255, 255]]])


def test_16_bit_png_loses_its_low_byte():
    values = np.array([[0, 255, 256, 511, 32768, 65535]], np.uint16)
    pixels = decode_rgb(encode(Image.fromarray(values)))
    np.testing.assert_array_equal(pixels[0, :, 0], values[0] >> 8)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"], ids=["little", "big"])
def test_16_bit_tiff_of_either_byte_order(dtype):
    values = np.array([[0, 300, 40000, 65535]], dtype)
    mode = "I;16" if dtype == "<u2" else "I;16B"
    image = Image.frombytes(mode, (4, 1), values.tobytes())
    np.testing.assert_array_equal(decode_rgb(encode(image, "TIFF"))[0, :, 1], values[0].astype(int) >> 8)


def test_12_bit_tiff_uses_the_whole_range():
    """A hand-made TIFF: two samples of 12 bits, 0x000 and 0xFFF, in three bytes."""
    tags = [
        (256, 3, 2),
        (257, 3, 1),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, 1),
        (279, 4, 3),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data = b"II*\0" + struct.pack("<I", 12) + b"\x00\x0f\xff\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    np.testing.assert_array_equal(decode_rgb(data)[0, :, 0], [0, 255])


def test_transparent_value_of_16_bit_png_is_white(shared_data):
    path = shared_data / "nasty_pillow" / "i_trns.png"
    with Image.open(path) as image:
        image.load()
        transparent = np.asarray(image) == image.info["transparency"]
    assert transparent.any()
    assert (decode_rgb(path.read_bytes())[transparent] == 255).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 7, 255], [0, 7, 255]),
        ([0, 256, 65535], [0, 1, 255]),
        ([-100, 0, 100], [0, 128, 255]),
        ([0, 500000, 1000000], [0, 128, 255]),
        ([-5, -5, -5], [0, 0, 0]),
    ],
    ids=["8 bit", "16 bit", "signed", "wide", "flat"],
)
def test_32_bit_integers_take_the_smallest_usual_range(values, expected):
    image = Image.fromarray(np.array([values], np.int32))
    np.testing.assert_array_equal(decode_rgb(encode(image, "TIFF"))[0, :, 2], expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 1.5, 255.0], [0, 2, 255]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([np.nan, 0.25, np.inf], [0, 64, 0]),
    ],
    ids=["unit", "8 bit", "16 bit", "signed", "not finite"],
)
def test_floats_take_the_smallest_usual_range(values, expected):
    image = Image.fromarray(np.array([values], np.float32))
    np.testing.assert_array_equal(decode_rgb(encode(image, "TIFF"))[0, :, 0], expected)


def test_floats_without_any_number_fail():
    image = Image.fromarray(np.full((2, 2), np.nan, np.float32))
    with pytest.raises(DecodeError, match="no finite value"):
        decode_rgb(encode(image, "TIFF"))


@pytest.mark.parametrize("suffix", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation_counts(suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("black", "white")]
    pixels = decode_rgb(encode(frames[0], suffix, save_all=True, append_images=frames[1:]))
    assert pixels.shape == (8, 8, 3)
    assert pixels.max() == 0
