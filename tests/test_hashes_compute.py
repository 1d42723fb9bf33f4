import json
from concurrent.futures import ThreadPoolExecutor

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from overlens.config import HASH_TYPES
from overlens.decode import decode_rgb, image_extensions
from overlens.errors import ConfigError, DecodeError, StoreError
from overlens.hashes import compute as hashes
from overlens.hashes import kernels as hash_kernels
from overlens.hashes.compute import (
    check_hash_size,
    compute_hash,
    compute_hashes,
    compute_oriented_hashes,
    hash_recipe,
    hashes_from_hex,
    hashes_to_hex,
)
from overlens.hashes.orientation import N_ORIENTATIONS, orient
from overlens.hashes.reference import reference_bits

IMAGEHASH = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "whash": imagehash.whash,
    "ahash": imagehash.average_hash,
}
FOLDERS = (
    "art",
    "caltech101_mini",
    "cifar10_dups",
    "hash_repo_images",
    "imagededup_ukbench",
    "nasty_pillow",
    "pacs_mini",
    "pdq_transforms",
    "singletons",
    "transparent_stamps",
)


def draw_pixels(height, width, seed, levels=256):
    return np.random.default_rng(seed).integers(0, levels, (height, width, 3), np.uint8)


def to_hex(packed, hash_size):
    return hashes_to_hex(packed[np.newaxis], hash_size**2)[0]


def hash_texts(pixels, hash_size, hash_types=HASH_TYPES):
    packed = compute_hashes(pixels, hash_types, hash_size)
    return {hash_type: to_hex(row, hash_size) for hash_type, row in packed.items()}


def imagehash_texts(pixels, hash_size, hash_types=HASH_TYPES):
    image = Image.fromarray(pixels)
    return {hash_type: str(IMAGEHASH[hash_type](image, hash_size=hash_size)) for hash_type in hash_types}


def distance_bits(left, right):
    return int(np.bitwise_count(left ^ right).sum())


def read_pictures(paths, max_pixels):
    """Mode and pixels of every readable picture that is not larger."""
    for path in paths:
        try:
            pixels = decode_rgb(path.read_bytes())
        except DecodeError:
            continue
        if pixels.shape[0] * pixels.shape[1] <= max_pixels:
            with Image.open(path) as image:
                yield image.mode, pixels


def list_pictures(folder):
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in image_extensions())
    return sorted(paths, key=lambda path: (path.stat().st_size, path.name))


@pytest.fixture(scope="module")
def shared_pictures(shared_data):
    """More than 500 pictures from every folder, the smaller ones, so that the test stays short."""
    pictures = []
    for folder in FOLDERS:
        paths = list_pictures(shared_data / folder)
        n_wanted = len(paths) if folder == "nasty_pillow" else 40
        pictures += read_pictures(paths[:: max(1, len(paths) // n_wanted)], max_pixels=150_000)
    return pictures


# The same bits as ImageHash


@pytest.mark.parametrize("hash_size", [8, 16])
def test_all_hashes_equal_imagehash_on_real_pictures(shared_pictures, hash_size):
    modes = {mode for mode, _ in shared_pictures}
    assert len(shared_pictures) >= 500
    assert {"RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "LAB"} <= modes
    for _, pixels in shared_pictures:
        assert hash_texts(pixels, hash_size) == imagehash_texts(pixels, hash_size)


@pytest.mark.slow
@pytest.mark.parametrize("hash_size", [8, 16])
def test_all_hashes_equal_imagehash_on_every_large_folder(shared_data, hash_size):
    n_pictures = 0
    for folder in FOLDERS:
        for _, pixels in read_pictures(list_pictures(shared_data / folder)[::3], max_pixels=20_000_000):
            assert hash_texts(pixels, hash_size) == imagehash_texts(pixels, hash_size)
            n_pictures += 1
    assert n_pictures >= 1000


@pytest.mark.parametrize("hash_size", [2, 3, 4, 5, 7, 12, 32, 64])
def test_other_sizes_equal_imagehash(shared_pictures, hash_size):
    hash_types = tuple(name for name in HASH_TYPES if name != "whash" or hash_size in (2, 4, 32, 64))
    for _, pixels in shared_pictures[::50]:
        assert hash_texts(pixels, hash_size, hash_types) == imagehash_texts(pixels, hash_size, hash_types)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([2, 4, 8, 16]),
    st.sampled_from([1, 2, 5, 256]),
    st.integers(0, 2**32 - 1),
)
def test_noise_of_any_shape_equals_imagehash_and_the_reference(height, width, hash_size, levels, seed):
    """Few levels make many equal values, where only identical rounding gives identical bits."""
    pixels = draw_pixels(height, width, seed, levels)
    texts = hash_texts(pixels, hash_size)
    assert texts == imagehash_texts(pixels, hash_size)
    bits = {hash_type: reference_bits(pixels, hash_type, hash_size) for hash_type in HASH_TYPES}
    assert texts == {hash_type: str(imagehash.ImageHash(bit)) for hash_type, bit in bits.items()}


@pytest.mark.parametrize("shape", [(1, 2000), (2000, 1), (3, 700), (700, 3)], ids=str)
def test_extreme_shapes_equal_imagehash(shape):
    pixels = draw_pixels(*shape, seed=8)
    assert hash_texts(pixels, 8) == imagehash_texts(pixels, 8)


@pytest.mark.parametrize("level", [0, 1, 127, 200, 255])
def test_flat_pictures_equal_imagehash(level):
    """Every bit of a flat picture is a tie."""
    pixels = np.full((37, 64, 3), level, np.uint8)
    assert hash_texts(pixels, 8) == imagehash_texts(pixels, 8)


def test_pictures_with_white_ground_take_the_exact_path(monkeypatch):
    calls = []
    exact = hash_kernels.low_haar_band
    monkeypatch.setattr(hash_kernels, "low_haar_band", lambda *given: calls.append(1) or exact(*given))
    pixels = np.full((256, 256, 3), 255, np.uint8)
    pixels[100:160, 90:170] = draw_pixels(60, 80, 6)
    assert hash_texts(pixels, 8, ("whash",)) == imagehash_texts(pixels, 8, ("whash",))
    assert calls
    calls.clear()
    compute_hash(draw_pixels(256, 256, 6), "whash", 8)
    assert not calls


@pytest.mark.parametrize(("name", "text"), [("imagehash", "ffd7918181c9ffff"), ("peppers", "9f172786e71f1e00")])
def test_ahash_values_that_imagehash_publishes(shared_data, name, text):
    pixels = decode_rgb((shared_data / "imagehash_golden" / f"{name}.png").read_bytes())
    assert to_hex(compute_hash(pixels, "ahash", 8), 8) == text


def test_both_pass_orders_are_followed(monkeypatch):
    """Pillow before 13 always resized the width first; its order is the other one here, where the two differ."""
    pixels = draw_pixels(300, 150, 2)
    width_first = Image.fromarray(pixels).convert("L")
    for size in ((9, 300), (9, 8)):
        width_first = width_first.resize(size, Image.Resampling.LANCZOS)
    monkeypatch.setattr("overlens.resizing.is_height_ever_first", lambda: False)
    grey = hashes._make_grey(pixels)
    np.testing.assert_array_equal(hashes._resize(grey, 8, 9), np.asarray(width_first))
    recipe = hash_recipe()
    monkeypatch.setattr("overlens.resizing.is_height_ever_first", lambda: True)
    assert not np.array_equal(hashes._resize(grey, 8, 9), np.asarray(width_first))
    assert hash_recipe() != recipe


# All orientations at once


def hash_each_orientation(pixels):
    """The plain way: eight turned pictures, four hashes of each."""
    turned = [np.ascontiguousarray(orient(pixels, code)) for code in range(N_ORIENTATIONS)]
    return np.array([[compute_hash(picture, hash_type, 8) for hash_type in HASH_TYPES] for picture in turned])


def test_oriented_hashes_equal_those_of_the_turned_pictures(shared_pictures):
    for _, pixels in shared_pictures[::5]:
        np.testing.assert_array_equal(compute_oriented_hashes(pixels), hash_each_orientation(pixels))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from([1, 2, 3, 256]),
    st.integers(0, 2**32 - 1),
)
def test_oriented_hashes_of_noise_of_any_shape(height, width, levels, seed):
    pixels = draw_pixels(height, width, seed, levels)
    np.testing.assert_array_equal(compute_oriented_hashes(pixels), hash_each_orientation(pixels))


@pytest.mark.parametrize("shape", [(1, 900), (900, 1), (40, 600), (600, 40), (200, 201), (512, 512)], ids=str)
@pytest.mark.parametrize("is_height_first", [False, True], ids=["older Pillow", "newer Pillow"])
def test_oriented_hashes_follow_the_order_of_the_passes(shape, is_height_first, monkeypatch):
    monkeypatch.setattr("overlens.resizing.is_height_ever_first", lambda: is_height_first)
    pixels = draw_pixels(*shape, 5)
    np.testing.assert_array_equal(compute_oriented_hashes(pixels), hash_each_orientation(pixels))


def test_oriented_hashes_of_pictures_with_white_ground_take_the_exact_path():
    pixels = np.full((300, 200, 3), 255, np.uint8)
    pixels[20:90, 30:70] = draw_pixels(70, 40, 9)
    np.testing.assert_array_equal(compute_oriented_hashes(pixels), hash_each_orientation(pixels))


@pytest.mark.parametrize("code", range(N_ORIENTATIONS))
def test_a_turned_picture_is_found_by_its_code(shared_data, code):
    path = next(iter(sorted((shared_data / "caltech101_mini").rglob("*.jpg"))))
    pixels = decode_rgb(path.read_bytes())
    turned = compute_oriented_hashes(np.ascontiguousarray(orient(pixels, code)))
    distances = [distance_bits(row, turned[0]) for row in compute_oriented_hashes(pixels)]
    assert int(np.argmin(distances)) == code
    assert min(distances) == 0


# What every hash promises


@pytest.mark.parametrize("hash_type", HASH_TYPES)
@pytest.mark.parametrize("hash_size", [2, 8, 16])
def test_packed_bits_are_the_matrix_row_by_row(hash_type, hash_size):
    pixels = draw_pixels(90, 61, 3)
    packed = compute_hash(pixels, hash_type, hash_size)
    assert packed.dtype == np.uint8
    assert packed.shape == (-(-(hash_size**2) // 8),)
    np.testing.assert_array_equal(packed, np.packbits(reference_bits(pixels, hash_type, hash_size)))


@pytest.mark.parametrize("hash_type", HASH_TYPES)
def test_a_small_edit_stays_near_and_another_picture_far(shared_data, hash_type):
    folder = shared_data / "pdq_transforms" / "misc-images" / "modes"
    original = decode_rgb((folder / "original.jpg").read_bytes())
    other = decode_rgb((shared_data / "imagehash_golden" / "peppers.png").read_bytes())
    smaller = np.asarray(Image.fromarray(original).resize((500, 320)))
    of_original, of_smaller, of_other = (compute_hash(pixels, hash_type, 8) for pixels in (original, smaller, other))
    assert distance_bits(of_original, of_smaller) <= 4
    assert distance_bits(of_original, of_other) >= 16


def test_several_hashes_together_equal_each_alone():
    pixels = draw_pixels(120, 333, 9)
    together = compute_hashes(pixels, ("whash", "phash", "ahash", "dhash"), 8)
    assert list(together) == ["whash", "phash", "ahash", "dhash"]
    for hash_type, packed in together.items():
        np.testing.assert_array_equal(packed, compute_hash(pixels, hash_type, 8))


def test_pixels_may_be_a_view_and_stay_as_they_are():
    pixels = draw_pixels(80, 90, 5)
    view = pixels[::2, ::-1]
    before = pixels.copy()
    assert hash_texts(view, 8) == hash_texts(np.ascontiguousarray(view), 8)
    np.testing.assert_array_equal(pixels, before)


def test_threads_give_the_same_hashes():
    pictures = [draw_pixels(50 + seed, 200 - seed, seed) for seed in range(40)]
    alone = [hash_texts(pixels, 8) for pixels in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda pixels: hash_texts(pixels, 8), pictures)) == alone


# What is refused


@pytest.mark.parametrize("hash_type", HASH_TYPES)
def test_sizes_at_the_bounds_are_valid(hash_type):
    pixels = draw_pixels(9, 9, 0)
    for hash_size in (2, 128):
        check_hash_size(hash_type, hash_size)
        assert len(compute_hash(pixels, hash_type, hash_size)) == -(-(hash_size**2) // 8)


@pytest.mark.parametrize("hash_size", [-8, 0, 1, 129])
@pytest.mark.parametrize("hash_type", ["phash", "dhash", "ahash"])
def test_a_size_out_of_range_says_which_are_allowed(hash_type, hash_size):
    with pytest.raises(
        ConfigError, match=rf"--hash-size {hash_size} is out of range for {hash_type}; allowed is 2 to 128"
    ):
        check_hash_size(hash_type, hash_size)


@pytest.mark.parametrize("hash_size", [1, 3, 12, 129, 256])
def test_whash_needs_a_power_of_two(hash_size):
    with pytest.raises(ConfigError, match="not possible for whash; allowed are 2, 4, 8, 16, 32, 64, 128"):
        compute_hash(draw_pixels(4, 4, 0), "whash", hash_size)


def test_an_unknown_hash_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'crc32' is not known; allowed: phash, dhash, whash, ahash"):
        compute_hash(draw_pixels(4, 4, 0), "crc32", 8)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
    ids=["grey", "four channels", "float", "no rows"],
)
def test_other_arrays_are_a_mistake_of_the_caller(pixels):
    with pytest.raises(ValueError, match=r"pixels must be \(h, w, 3\) of uint8"):
        compute_hash(pixels, "phash", 8)


# Text


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 20), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_text_is_imagehashs_and_comes_back(hash_size, n_hashes, seed):
    bits = np.random.default_rng(seed).integers(0, 2, (n_hashes, hash_size, hash_size)).astype(bool)
    rows = np.stack([np.packbits(bit) for bit in bits])
    texts = hashes_to_hex(rows, hash_size**2)
    assert texts == [str(imagehash.ImageHash(bit)) for bit in bits]
    back, n_bits = hashes_from_hex([text.upper() for text in texts])
    assert n_bits == hash_size**2
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, rows)


def test_no_hash_gives_no_text():
    assert hashes_to_hex(np.empty((0, 8), np.uint8), 64) == []


@pytest.mark.parametrize(("n_bytes", "n_bits"), [(8, 65), (8, 56), (8, 0)])
def test_rows_of_another_length_are_a_mistake_of_the_caller(n_bytes, n_bits):
    with pytest.raises(ValueError, match=rf"{n_bits} bits need rows"):
        hashes_to_hex(np.zeros((2, n_bytes), np.uint8), n_bits)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([], "there is no hash"),
        (["0" * 16, "0" * 15], "in place 2 has 15 digits where the first has 16"),
        (["0" * 16, "0" * 15 + "g"], "in place 2 is no hexadecimal number of 64 bits"),
        (["0x" + "0" * 14], "no hexadecimal number"),
        (["0 00000000000000"], "no hexadecimal number"),
        (["-000000000000000"], "no hexadecimal number"),
        (["fff"], "no hexadecimal number of 9 bits"),
        (["00000"], "no hash size gives 5 digits"),
        ([""], "no hash size gives 0 digits"),
    ],
    ids=["none", "mixed lengths", "letter", "prefix", "space", "sign", "too many bits", "odd length", "empty"],
)
def test_text_that_is_no_hash_says_why(texts, reason):
    with pytest.raises(StoreError, match=reason):
        hashes_from_hex(texts)


def test_published_hashes_come_back(shared_data):
    for path in (shared_data / "art_published").rglob("hashes.json"):
        published = json.loads(path.read_text())
        texts = list(published.values()) if isinstance(published, dict) else published
        rows, n_bits = hashes_from_hex(texts)
        assert n_bits == 64
        assert hashes_to_hex(rows, n_bits) == texts
