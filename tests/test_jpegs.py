"""A JPEG file stands for its pixels only where no decoder could read it in another way."""

from pathlib import Path

import numpy as np
import pytest

from overlens.decode import decode_rgb
from overlens.jpegs import is_plain_jpeg
from overlens.testing import encode_picture, make_picture

WIDTH, HEIGHT = 60, 40
PICTURE = make_picture(1, WIDTH, HEIGHT)


def save(mode: str = "RGB", **settings: object) -> bytes:
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(stream, "JPEG", **settings)
    return stream.getvalue()


def with_orientation() -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    return save(exif=exif)


@pytest.mark.parametrize(
    "data",
    [save(), save("L"), save(progressive=True), save(subsampling=0), save(icc_profile=b"x" * 70_000)],
    ids=["colour", "grey", "progressive", "4:4:4", "with a colour profile, which is not applied"],
)
def test_plain_files_are_plain(data: bytes):
    assert is_plain_jpeg(data, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "data",
    [
        with_orientation(),
        save("CMYK"),
        save().replace(b"JFIF", b"JFXX"),
        encode_picture(PICTURE),
        save()[:20],
        b"\xff\xd8\xff",
        b"",
    ],
    ids=["to be turned", "CMYK", "without JFIF", "PNG", "cut", "a start", "nothing"],
)
def test_other_files_are_not(data: bytes):
    assert not is_plain_jpeg(data, WIDTH, HEIGHT)


def test_a_file_of_another_size_is_not():
    assert not is_plain_jpeg(save(), HEIGHT, WIDTH)


def test_any_cut_of_the_header_is_refused_or_read_without_an_error():
    data = save()
    n_scan = data.index(b"\xff\xda")
    assert not any(is_plain_jpeg(data[:end], WIDTH, HEIGHT) for end in range(n_scan))


def test_plain_files_of_real_collections_decode_alike_in_pillow_and_opencv(shared_data: Path):
    import cv2

    n_plain = 0
    for folder in ("caltech101_mini", "cifar10_dups", "art"):
        for path in sorted((shared_data / folder).rglob("*.jpg"))[::40]:
            data = path.read_bytes()
            pixels = decode_rgb(data)
            if is_plain_jpeg(data, pixels.shape[1], pixels.shape[0]):
                n_plain += 1
                other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                assert np.array_equal(other[:, :, ::-1], pixels), path
    assert n_plain > 40
