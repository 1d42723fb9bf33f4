import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from PIL import Image
from PIL.Image import Transpose

from overlens import decode
from overlens.decode import SCALED_SIDE_PX, decode_rgb, decode_scaled, image_extensions
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


def exif_with_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def test_rgb_pixels_come_back_unchanged():
    pixels = decode_rgb(encode(Image.fromarray(RAMP)))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, RAMP)


@pytest.mark.parametrize("suffix", ["BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "JPEG2000", "AVIF", "QOI"])
def test_every_common_container_is_read(suffix):
    picture = np.kron(RAMP[:2, :2], np.ones((32, 32, 1), np.uint8))
    pixels = decode_rgb(encode(Image.fromarray(picture), suffix))
    assert pixels.shape == (64, 64, 3)
    assert np.abs(pixels.astype(int) - picture).mean() < 3


# Orientation


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("suffix", ["PNG", "TIFF", "WEBP"])
def test_orientation_is_undone(value, suffix):
    upright = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 13
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # as Transpose: what a camera held that way would have stored
    inverse = {6: Transpose.ROTATE_90, 8: Transpose.ROTATE_270}
    stored = Image.fromarray(upright)
    if value > 1:
        stored = stored.transpose(inverse.get(value, Transpose(undo[value])))
    options = {"lossless": True} if suffix == "WEBP" else {}
    data = encode(stored, suffix, exif=exif_with_orientation(value), **options)
    np.testing.assert_array_equal(decode_rgb(data), upright)


@pytest.mark.parametrize("value", [0, 9, 300], ids=str)
def test_unknown_orientation_leaves_the_picture(value):
    data = encode(Image.fromarray(RAMP), exif=exif_with_orientation(value))
    np.testing.assert_array_equal(decode_rgb(data), RAMP)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"], ids=["no TIFF", "bad offset", "empty"]
)
def test_broken_exif_does_not_lose_the_picture(exif):
    data = encode(Image.fromarray(RAMP), exif=exif)
    np.testing.assert_array_equal(decode_rgb(data), RAMP)


@pytest.mark.parametrize("value", range(9))
@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_published_orientation_examples_are_all_upright(shared_data, shape, value):
    folder = shared_data / "exif_orientation"
    upright = shrink(decode_rgb((folder / f"{shape}_1.jpg").read_bytes()))
    picture = shrink(decode_rgb((folder / f"{shape}_{value}.jpg").read_bytes()))
    # The pictures bear their number, so they differ in a few places; turned ones differ everywhere.
    assert np.abs(picture - upright).mean() < 4
    assert all(np.abs(turned - upright).mean() > 12 for turned in (picture[::-1], picture[:, ::-1], picture.T))


def test_tiff_orientations_are_the_same_picture(shared_data):
    folder = shared_data / "nasty_pillow"
    pictures = [decode_rgb((folder / f"g4_orientation_{value}.tif").read_bytes()) for value in (1, 3, 4, 6, 7)]
    # The files were drawn anew for each orientation, so single pixels differ.
    assert all(np.mean(picture != pictures[0]) < 0.005 for picture in pictures)


# What is no image


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n<!DOCTYPE html><html><body>404 Not Found</body></html>", "an HTML page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"PK\x03\x04\x14\0\0\0", "a ZIP archive"),
        ("Quittung für drei Bilder\n".encode(), "it is text"),
        (b"x" * 1022 + "é".encode() * 9, "it is text"),
        (bytes(5000), "only zero bytes"),
        (b"\x89PNG\r\n\x1a\n" + b"\1\2" * 20, "cannot read its header"),
        (b"\xff\xfe\0\1rubbish\xff", "first bytes ff fe 00 01 72 75 62 62"),
    ],
    ids=["empty", "html", "svg", "pdf", "eps", "lfs", "zip", "text", "cut text", "zeros", "png header", "noise"],
)
def test_what_is_no_image_says_what_it_is(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode_rgb(data)


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_truncated_files_fail_and_keep_their_cause(suffix):
    noise = np.random.default_rng(5).integers(0, 256, (40, 40, 3), np.uint8)
    data = encode(Image.fromarray(noise), suffix)
    with pytest.raises(DecodeError) as caught:
        decode_rgb(data[: len(data) * 2 // 3])
    assert caught.value.__cause__ is not None
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_pixels_fail_before_they_are_unpacked(monkeypatch):
    data = encode(Image.new("L", (30, 20)))
    monkeypatch.setattr(decode, "MAX_PIXELS", 600)
    assert decode_rgb(data).shape == (20, 30, 3)
    monkeypatch.setattr(decode, "MAX_PIXELS", 599)
    with pytest.raises(DecodeError, match="30 x 20 pixels; at most 599"):
        decode_rgb(data)


def test_bomb_that_pillow_refuses_is_a_plain_failure(shared_data):
    with pytest.raises(DecodeError, match="too many pixels; at most 178956970"):
        decode_rgb((shared_data / "nasty_pillow" / "decompression_bomb.gif").read_bytes())


@pytest.mark.parametrize(
    "error",
    [RecursionError("deep"), struct.error("short"), SyntaxError("bad"), ZeroDivisionError()],
    ids=lambda error: type(error).__name__,
)
def test_whatever_pillow_raises_becomes_a_reason(monkeypatch, error):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(PIL.Image, "open", fail)
    with pytest.raises(DecodeError, match=r"memory|damaged") as caught:
        decode_rgb(b"anything")
    assert caught.value.__cause__ is error


def test_an_interrupt_is_not_swallowed(monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(PIL.Image, "open", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode_rgb(b"anything")


# Warnings and threads


def test_a_large_image_neither_warns_nor_fails(monkeypatch):
    data = encode(Image.new("L", (30, 20)))
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.warns(PIL.Image.DecompressionBombWarning):
        Image.open(BytesIO(data)).close()
    for _ in range(2):  # the second time, the filter must find its way back over another's
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert decode_rgb(data).shape == (20, 30, 3)
        assert not seen
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode_rgb(data).shape == (20, 30, 3)


def test_warnings_of_others_still_show():
    decode_rgb(encode(Image.new("L", (2, 2))))
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


def test_threads_get_the_same_pixels_without_warnings(shared_data):
    folder = shared_data / "nasty_pillow"
    names = [
        "hopper.jpg",
        "hopper.gif",
        "hopper_bad_exif.jpg",
        "hopper.webp",
        "transparent.png",
        "hopper.tif",
        "truncated_image.png",
    ]
    tasks = [(folder / name).read_bytes() for name in names] * 8

    def digest(data):
        try:
            return decode_rgb(data).tobytes()
        except DecodeError as error:
            return str(error)

    alone = [digest(data) for data in tasks]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(digest, tasks)) == alone
    assert sum(isinstance(result, str) for result in alone) == 8


# Formats


def test_extensions_name_what_is_read_and_nothing_else():
    extensions = image_extensions()
    assert {".jpg", ".jpeg", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".jp2"} <= extensions
    assert not extensions & {
        ".pdf",
        ".eps",
        ".ps",
        ".mpg",
        ".mpeg",
        ".wmf",
        ".emf",
        ".h5",
        ".hdf",
        ".grib",
        ".bufr",
        ".svg",
    }
    assert all(extension == extension.lower() and extension.startswith(".") for extension in extensions)


def test_importing_loads_no_heavy_library():
    heavy = "{'PIL', 'numba', 'scipy', 'pywt'}"
    code = f"import sys, overlens.decode, overlens.hashes.compute; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


# A fraction of the size


@pytest.mark.parametrize(
    ("size", "factor"),
    [((3000, 1023), 1), ((1024, 1024), 2), ((2047, 3000), 2), ((2048, 2500), 4), ((4097, 4096), 8)],
    ids=str,
)
def test_scaled_decoding_never_goes_below_its_side(size: tuple[int, int], factor: int):
    data = encode(Image.linear_gradient("L").resize(size).convert("RGB"), "JPEG")
    pixels, size_px = decode_scaled(data)
    assert size_px == size
    assert pixels.shape == (-(-size[1] // factor), -(-size[0] // factor), 3)
    assert min(pixels.shape[:2]) >= SCALED_SIDE_PX


def test_scaled_decoding_of_other_files_is_full_decoding():
    for data in (encode(Image.fromarray(RAMP)), encode(Image.linear_gradient("L").resize((1100, 1100)))):
        pixels, size_px = decode_scaled(data)
        np.testing.assert_array_equal(pixels, decode_rgb(data))
        assert size_px == pixels.shape[1::-1]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_scaled_picture_is_upright_and_so_is_its_full_size(orientation: int):
    picture = Image.linear_gradient("L").resize((2048, 1024)).convert("RGB")
    data = encode(picture, "JPEG", exif=exif_with_orientation(orientation))
    full = decode_rgb(data)
    pixels, size_px = decode_scaled(data)
    assert size_px == full.shape[1::-1]
    halved = np.asarray(Image.fromarray(full).reduce(2), int)
    assert np.abs(pixels.astype(int) - halved).max() <= 4


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("subsampling", [0, 1, 2], ids=["4:4:4", "4:2:2", "4:2:0"])
def test_colour_jpegs_have_the_pixels_that_pillow_reads(subsampling, progressive):
    rng = np.random.default_rng(subsampling)
    for height, width in ((1, 1), (7, 33), (64, 64), (121, 50)):
        smooth = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize((width, height))
        stream = BytesIO()
        smooth.save(stream, "JPEG", quality=83, subsampling=subsampling, progressive=progressive)
        assert decode._read_jpeg(Image.open(stream), stream.getvalue()) is not None
        np.testing.assert_array_equal(decode_rgb(stream.getvalue()), np.asarray(Image.open(stream)))


def test_another_library_of_pillow_is_followed(monkeypatch: pytest.MonkeyPatch):
    data = encode(Image.fromarray(RAMP), "JPEG")
    monkeypatch.setattr("PIL.features.check_feature", lambda name: name != "libjpeg_turbo")
    decode._reads_by_turbo.cache_clear()
    try:
        assert decode._read_jpeg(Image.open(BytesIO(data)), data) is None
    finally:
        decode._reads_by_turbo.cache_clear()


@pytest.mark.parametrize("seed", range(20))
def test_damaged_jpegs_are_judged_by_pillow_alone(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    stream = BytesIO()
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(stream, "JPEG")
    data = bytearray(stream.getvalue())
    if seed % 4 == 0:
        del data[int(rng.integers(300, len(data))) :]
    elif seed % 4 == 1:
        del data[-2:]  # the marker of the end
    else:
        data[int(rng.integers(2, len(data)))] = int(rng.integers(256))
    found = outcome(bytes(data))
    monkeypatch.setattr(decode, "_read_jpeg", lambda *_: None)
    expected = outcome(bytes(data))
    assert found == expected


def outcome(data):
    try:
        pixels = decode_rgb(data)
    except DecodeError as error:
        return str(error)
    return pixels.shape, pixels.tobytes()
