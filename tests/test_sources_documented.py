"""The documented layout: names are looked up, never joined; whatever is odd is said."""

import unicodedata
from pathlib import Path

import pytest

from overlens.config import DatasetSpec
from overlens.errors import ConfigError, DatasetError
from overlens.records import Listing
from overlens.sources import list_images

HOSTILE_NAMES = [
    "<img src=x onerror=alert(1)>",
    "\U0001f9d1\u200d\U0001f3a8 painter",
    "\u202eevil\u05d0\u05d1",
    "a" * 251,
    "'; DROP TABLE images; --",
    "%2e%2e%2fx",
    "line\u2028separator",
    "form\x0cfeed",
    "C:drive",
    "name.with.dots",
    "-rf",
    "~root",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the dataset X: no image, no list."""
    (tmp_path / "dataset" / "X" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "dataset" / "X-data").mkdir()
    return tmp_path


def add_images(root: Path, *names: str) -> None:
    for name in names:
        path = root / "dataset" / "X" / "JPEGImages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write_names(root: Path, content: str | bytes) -> Path:
    path = root / "dataset" / "X-data" / "2_test.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def list_x(root: Path, *, use_ground_truth: bool = False, max_images: int | None = None) -> Listing:
    return list_images(DatasetSpec("X"), root, use_ground_truth=use_ground_truth, max_images=max_images)


def found_files(listing: Listing, root: Path) -> list[str]:
    return [path.relative_to(root / "dataset" / "X" / "JPEGImages").as_posix() for path in listing.paths]


def test_names_are_keys_and_keep_their_order(root):
    add_images(root, "b.JPG", "a.png", "sub/c.webp", "exact.jpg", "bare")
    write_names(root, "b\na\nsub/c\nexact.jpg\nbare\n")
    listing = list_x(root)
    assert listing.keys == ("b", "a", "sub/c", "exact.jpg", "bare")
    assert found_files(listing, root) == ["b.JPG", "a.png", "sub/c.webp", "exact.jpg", "bare"]
    assert listing.failures == ()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("\ufeffa\nb", id="byte-order mark, no last newline"),
        pytest.param("a\r\nb\r\n", id="CRLF"),
        pytest.param("a\rb\r", id="CR"),
        pytest.param("  a\t\n \tb \n", id="surrounding spaces"),
    ],
)
def test_ways_of_writing_a_list(root, content):
    add_images(root, "a.jpg", "b.jpg")
    write_names(root, content)
    listing = list_x(root)
    assert listing.keys == ("a", "b")
    assert listing.notices == ()


def test_blank_lines_and_repeated_names_are_counted(root):
    add_images(root, "a.jpg", "b.jpg")
    write_names(root, "\na\n  \nb\na\na\n\n")
    listing = list_x(root)
    assert listing.keys == ("a", "b")
    assert "2_test.txt: blank lines, ignored: 3" in listing.notices
    assert "2_test.txt: repeated names, counted once: 2 (first: 'a')" in listing.notices


def test_a_repeated_missing_name_fails_once(root):
    add_images(root, "a.jpg")
    write_names(root, "a\nghost\nghost\n")
    listing = list_x(root)
    assert [(failure.key, failure.reason) for failure in listing.failures] == [("ghost", "no such image file")]
    assert listing.n_attempted == 2


def test_jpeg_wins_among_several_candidates(root):
    add_images(root, "a.bmp", "a.jpeg", "a.JPG", "a.txt", "b.webp", "b.png")
    write_names(root, "a\nb\n")
    listing = list_x(root)
    assert found_files(listing, root) == ["a.JPG", "b.png"]
    assert listing.notices == ("names that fit several files: 2 (first: 'a' takes 'a.JPG', not 'a.jpeg', 'a.bmp')",)


def test_exact_name_comes_before_extensions(root):
    add_images(root, "a", "a.jpg")
    write_names(root, "a\n")
    listing = list_x(root)
    assert found_files(listing, root) == ["a"]
    assert listing.notices == ()


def test_two_names_of_one_file_count_once(root):
    add_images(root, "a.jpg")
    write_names(root, "a\na.jpg\n./a\n")
    listing = list_x(root)
    assert listing.keys == ("a",)
    assert listing.notices == ("names of a file already named, left out: 2 (first: 'a.jpg', the same as 'a')",)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "sub/../../secret", "..\\secret", "\\\\host\\share", "C:\\x", "c:/x", "a\0b", ".."],
)
def test_a_name_that_leaves_the_folder_is_a_failure(root, name):
    add_images(root, "a.jpg")
    (root / "dataset" / "X" / "secret.jpg").touch()
    write_names(root, f"a\n{name}\n")
    listing = list_x(root)
    assert listing.keys == ("a",)
    assert [failure.key for failure in listing.failures] == [name]
    assert listing.failures[0].reason.startswith("leaves the image folder")


def test_symbolic_links(root):
    images = root / "dataset" / "X" / "JPEGImages"
    add_images(root, "a.jpg")
    (root / "secret.jpg").touch()
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "d.jpg").touch()
    (images / "inside.jpg").symlink_to("a.jpg")
    (images / "outside.jpg").symlink_to(root / "secret.jpg")
    (images / "broken.jpg").symlink_to("nothing.jpg")
    (images / "loop.jpg").symlink_to("loop.jpg")
    (images / "folder").symlink_to(root / "elsewhere")
    write_names(root, "inside\noutside\nbroken\nloop\nfolder/d\n")
    listing = list_x(root)
    assert listing.keys == ("inside",)
    assert {failure.key: failure.reason for failure in listing.failures} == {
        "outside": "leaves the image folder: symbolic link to a place outside it",
        "broken": "no such image file",
        "loop": "no such image file",
        "folder/d": "no such image file: below a link to a folder",
    }


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_plain_names(root, name):
    add_images(root, f"{name}.jpg")
    write_names(root, f"{name}\n")
    listing = list_x(root)
    assert listing.keys == (name,)
    assert found_files(listing, root) == [f"{name}.jpg"]


def test_a_list_from_windows_finds_sub_folders(root):
    add_images(root, "sub/a.jpg")
    write_names(root, "sub\\a\r\n")
    listing = list_x(root)
    assert listing.keys == ("sub\\a",)
    assert found_files(listing, root) == ["sub/a.jpg"]


def test_names_agree_across_unicode_normal_forms(root):
    on_disk = unicodedata.normalize("NFD", "Dürer.jpg")
    add_images(root, on_disk)
    write_names(root, unicodedata.normalize("NFC", "Dürer") + "\n")
    listing = list_x(root)
    assert listing.keys == ("Dürer",)
    assert found_files(listing, root) == [on_disk]


def test_without_a_list_every_image_is_listed(root):
    add_images(root, "b.jpg", "a.png", "notes.txt", ".hidden.jpg", "B.jpg")
    (root / "dataset" / "X" / "JPEGImages" / "gone.jpg").symlink_to("nothing")
    listing = list_x(root)
    assert listing.keys == ("B.jpg", "a.png", "b.jpg")
    assert [failure.reason for failure in listing.failures] == ["no such image file: symbolic link to a missing file"]
    assert "2_test.txt does not exist: every image under JPEGImages is listed" in listing.notices[0]


def test_a_file_name_that_is_not_utf8_is_a_failure_that_can_be_saved(root):
    add_images(root, "a.jpg", "caf\udce9.jpg")
    failure = list_x(root).failures[0]
    assert failure.key.encode() == b"caf\\udce9.jpg"
    assert "not UTF-8" in failure.reason


def test_missing_dataset_names_place_and_choices(root):
    with pytest.raises(ConfigError, match=r"dataset/Y/JPEGImages; .*holds X: .*Y=PATH"):
        list_images(DatasetSpec("Y"), root, use_ground_truth=False)


def test_missing_dataset_folder(tmp_path):
    with pytest.raises(ConfigError, match="no dataset is in"):
        list_images(DatasetSpec("Y"), tmp_path, use_ground_truth=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "names no image", id="empty"),
        pytest.param(b" \n\n", "names no image", id="blank"),
        pytest.param(b"a\ncaf\xe9\n", "2_test.txt is not UTF-8: byte 0xe9 in line 2", id="latin-1"),
    ],
)
def test_unusable_lists(root, content, message):
    add_images(root, "a.jpg")
    write_names(root, content)
    with pytest.raises(DatasetError, match=message):
        list_x(root)


def test_neither_list_nor_images(root):
    with pytest.raises(DatasetError, match="there is no image under"):
        list_x(root)


@pytest.mark.parametrize(
    ("max_images", "keys", "failed"),
    [
        pytest.param(1, ("b",), [], id="one"),
        pytest.param(2, ("b",), ["ghost"], id="a missing image is one of them"),
        pytest.param(3, ("b",), ["ghost", "../out"], id="a refused name is one of them"),
        pytest.param(4, ("b", "a"), ["ghost", "../out"], id="a repeated name is not"),
        pytest.param(5, ("b", "a"), ["ghost", "../out", "spectre"], id="all"),
        pytest.param(9, ("b", "a"), ["ghost", "../out", "spectre"], id="more than there are"),
    ],
)
def test_the_first_listed_images(root, max_images, keys, failed):
    add_images(root, "a.jpg", "b.jpg", "c.jpg")
    write_names(root, "b\nghost\nb\n../out\na\nspectre\n")
    listing = list_x(root, max_images=max_images)
    assert listing.keys == keys
    assert [failure.key for failure in listing.failures] == failed
    assert listing.n_attempted == min(max_images, 5)
    said = [notice for notice in listing.notices if "--max-images" in notice]
    assert said == [f"--max-images: the first {max_images} of 5 images are used"] * (max_images < 5)


def test_what_is_odd_beyond_the_cap_is_not_said(root):
    add_images(root, "a.jpg", "b.jpg", "b.png")
    write_names(root, "a\nb\na.jpg\n")
    assert list_x(root, max_images=1).notices == ("--max-images: the first 1 of 3 images are used",)


def test_the_first_images_without_a_list(root):
    add_images(root, "c.jpg", "a.png")
    (root / "dataset" / "X" / "JPEGImages" / "b.jpg").symlink_to("nothing")
    listing = list_x(root, max_images=2)
    assert listing.keys == ("a.png",)
    assert [failure.key for failure in listing.failures] == ["b.jpg"]
    assert "--max-images: the first 2 of 3 images are used" in listing.notices


@pytest.mark.parametrize("place", ["X", "X-data"])
def test_path_to_a_documented_dataset_is_read_as_one(root, place):
    add_images(root, "a.jpg", "b.jpg")
    write_names(root, "b\n")
    listing = list_images(DatasetSpec("mine", root / "dataset" / place), Path("/nowhere"), use_ground_truth=False)
    assert listing.dataset == "mine"
    assert listing.keys == ("b",)


@pytest.mark.parametrize(("name", "count"), [("ArtDL", 45), ("ICONCLASS", 11), ("wikidata", 39)])
@pytest.mark.parametrize("use_ground_truth", [False, True])
def test_real_artworks(shared_data, name, count, use_ground_truth):
    listing = list_images(DatasetSpec(name), shared_data / "art", use_ground_truth=use_ground_truth)
    assert len(listing.keys) == count
    assert all(path.is_file() for path in listing.paths)
    assert all(listing.labels)
    assert set(listing.labels) <= set(listing.class_names)
    assert listing.failures == ()
    assert listing.label_source.startswith("2_ground_truth.json")
    assert any("no labels.json" in notice for notice in listing.notices) is not use_ground_truth
