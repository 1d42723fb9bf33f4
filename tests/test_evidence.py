"""What is kept of an image tells files, pixels and turned pictures apart, and its rendition looks like it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from overlens.config import HASH_TYPES
from overlens.decode import decode_rgb
from overlens.errors import StoreError
from overlens.evidence import (
    MIN_DETAIL,
    RENDITION_PX,
    ROW_BYTES,
    Evidence,
    keep_rendition,
    make_evidence,
    make_rendition,
    measure_detail,
    read_rendition,
    upright_hash,
)
from overlens.hashes.compute import compute_hash, compute_oriented_hashes
from overlens.testing import encode_picture, make_picture

SHA = hashlib.sha256(b"a file").hexdigest()


def evidence_of(*pictures: np.ndarray) -> Evidence:
    return Evidence.from_rows(np.stack([make_evidence(pixels, SHA) for pixels in pictures]))


def test_a_row_holds_what_was_measured():
    pixels = make_picture(1, 90, 70)
    evidence = evidence_of(pixels)
    assert evidence.byte_digests.tobytes().hex() == SHA
    assert np.array_equal(evidence.hashes[0], compute_oriented_hashes(pixels))
    assert evidence.detail[0] == np.float32(measure_detail(pixels))
    assert evidence.sizes_px.tolist() == [[90, 70]]


def test_rows_survive_packing():
    evidence = evidence_of(*(make_picture(seed) for seed in range(5)))
    rows = evidence.to_rows()
    assert (rows.dtype, rows.shape) == (np.uint8, (5, ROW_BYTES))
    again = Evidence.from_rows(rows[::-1])
    assert np.array_equal(again.to_rows(), rows[::-1])
    assert np.array_equal(again.hashes, evidence.hashes[::-1])


def test_no_images_have_no_rows():
    assert len(Evidence.from_rows(np.empty((0, ROW_BYTES), np.uint8))) == 0


@pytest.mark.parametrize("hash_type", HASH_TYPES)
def test_the_upright_hash_is_the_hash(hash_type: str):
    pixels = make_picture(2)
    assert np.array_equal(upright_hash(make_evidence(pixels, SHA), hash_type), compute_hash(pixels, hash_type, 8))


def test_pixel_digests_tell_pixels_and_shapes_but_not_layout():
    pixels = make_picture(3, 60, 60)
    other = pixels.copy()
    other[-1, -1, -1] ^= 1
    same = np.asfortranarray(pixels)
    digests = evidence_of(pixels, other, pixels.reshape(30, 120, 3), same).pixel_digests
    assert len({row.tobytes() for row in digests[:3]}) == 3
    assert np.array_equal(digests[0], digests[3])


@pytest.mark.parametrize(
    "change",
    [
        {"detail": np.zeros(2)},
        {"hashes": np.zeros((2, 4, 8, 8), np.uint8)},
        {"sizes_px": np.zeros((3, 2), np.int32)},
    ],
    ids=["type", "shape", "length"],
)
def test_columns_that_do_not_fit_are_refused(change: dict[str, np.ndarray]):
    evidence = evidence_of(make_picture(1), make_picture(2))
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be"):
        replace(evidence, **change)


def test_rows_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=f"rows must be \\(n, {ROW_BYTES}\\) of uint8"):
        Evidence.from_rows(np.zeros((2, 8), np.uint8))


def ramp(height: int, width: int, *, down: float, across: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    plane = (y / height * down + x / width * across).clip(0, 255).astype(np.uint8)
    return np.repeat(plane[:, :, None], 3, axis=2)


def vignette() -> np.ndarray:
    y, x = np.mgrid[-1:1:600j, -1:1:400j]
    noise = np.random.Generator(np.random.PCG64(1)).normal(0, 3, x.shape)
    return np.repeat((245 - 4 * (x**2 + y**2) + noise).clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((300, 200, 3), (200, 30, 90), np.uint8),
        ramp(300, 400, down=255, across=0),
        ramp(401, 307, down=120, across=130),
        vignette(),
        np.zeros((1, 1, 3), np.uint8),
        ramp(1, 2, down=0, across=255),
        make_picture(4) // 64,
    ],
    ids=["flat", "gradient", "oblique gradient", "blank scan", "one pixel", "two pixels", "nearly black"],
)
def test_nearly_flat_pictures_are_low_information(pixels: np.ndarray):
    assert evidence_of(pixels).low_information.tolist() == [True]


@pytest.mark.parametrize("divisor", [1, 4, 16], ids=["bright", "dim", "dark"])
def test_pictures_are_not_low_information(divisor: int):
    assert evidence_of(make_picture(5) // divisor).low_information.tolist() == [False]


@pytest.mark.parametrize("folder", ["pacs_mini/sketch", "cifar10_dups", "transparent_stamps", "singletons"])
def test_sketches_and_small_photographs_are_not_low_information(shared_data: Path, folder: str):
    files = [path for path in sorted((shared_data / folder).rglob("*.*g")) if path.suffix in {".jpg", ".png"}]
    details = [measure_detail(decode_rgb(path.read_bytes())) for path in files[:: max(1, len(files) // 60)]]
    assert len(details) > 20
    assert min(details) > 2 * MIN_DETAIL


def test_white_pictures_of_a_hash_library_are_low_information(shared_data: Path):
    for path in (shared_data / "hash_repo_images").rglob("*White*"):
        assert measure_detail(decode_rgb(path.read_bytes())) < MIN_DETAIL / 4


def test_detail_does_not_depend_on_size_or_orientation():
    pixels = make_picture(6, 128, 96)
    large = pixels.repeat(3, axis=0).repeat(3, axis=1)
    details = [measure_detail(p) for p in (pixels, large, pixels[::-1], pixels.swapaxes(0, 1))]
    assert np.allclose(details, details[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((700, 1400), (256, 512)),
        ((512, 300), (512, 300)),
        ((20, 30), (20, 30)),
        ((1, 5000), (1, 512)),
        ((1, 1), (1, 1)),
    ],
)
def test_renditions_keep_proportions_and_never_grow(shape: tuple[int, int], expected: tuple[int, int]):
    rendition = make_rendition(np.zeros((*shape, 3), np.uint8))
    assert read_rendition(rendition).shape == (*expected, 3)
    assert read_rendition(rendition, grey=True).shape == expected


def test_a_rendition_looks_like_its_picture():
    pixels = make_picture(7, 400, 300)
    shown = read_rendition(make_rendition(pixels)).astype(int)
    assert np.abs(shown - pixels).mean() < 2
    luma = (pixels @ (0.299, 0.587, 0.114)).round().astype(int)
    assert np.abs(read_rendition(make_rendition(pixels), grey=True) - luma).mean() < 2


@pytest.mark.parametrize("shape", [(600, 800), (1100, 1030), (1700, 700), (2600, 1999)], ids=str)
def test_a_shrunk_rendition_looks_like_the_picture_reduced_by_area(shape: tuple[int, int]):
    import cv2

    small = make_picture(10, shape[1] // 4, shape[0] // 4)
    pixels = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_NEAREST)
    shown = read_rendition(make_rendition(pixels))
    reduced = cv2.resize(pixels, (shown.shape[1], shown.shape[0]), interpolation=cv2.INTER_AREA)
    assert max(shown.shape) == RENDITION_PX
    assert np.abs(shown.astype(int) - reduced).mean() < 1.2  # 1.6 and more where one is moved by 2 pixels


def test_red_stays_red():
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 255
    assert read_rendition(make_rendition(red))[20, 20].tolist() == pytest.approx([254, 0, 0], abs=3)


def test_a_small_plain_jpeg_is_its_own_rendition():
    data = encode_picture(make_picture(8, 300, 200), "JPEG", quality=80)
    pixels = decode_rgb(data)
    assert keep_rendition(pixels, data) == data
    assert np.array_equal(read_rendition(data), pixels)


@pytest.mark.parametrize(
    ("width", "file_format", "settings"),
    [
        (RENDITION_PX + 1, "JPEG", {}),
        (300, "PNG", {}),
        (300, "JPEG", {"comment": b"x" * 65_000}),
    ],
    ids=["too large", "not JPEG", "too many bytes a pixel"],
)
def test_any_other_file_gets_a_rendition(width: int, file_format: str, settings: dict[str, object]):
    data = encode_picture(make_picture(9, width, 200), file_format, **settings)
    pixels = decode_rgb(data)
    assert keep_rendition(pixels, data) == make_rendition(pixels)


def test_renditions_of_a_turned_photograph_are_upright(shared_data: Path):
    data = (shared_data / "exif_orientation" / "Portrait_6.jpg").read_bytes()
    pixels = decode_rgb(data)
    height, width = read_rendition(keep_rendition(pixels, data)).shape[:2]
    assert height / width == pytest.approx(pixels.shape[0] / pixels.shape[1], rel=0.01)
    assert height > width


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff and no more"], ids=["empty", "no picture"])
def test_a_damaged_rendition_says_so(data: bytes, grey: bool):
    with pytest.raises(StoreError, match="a stored rendition is damaged"):
        read_rendition(data, grey=grey)
