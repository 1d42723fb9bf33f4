"""Any folder of images: order, classes, what is left out, and what is refused."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from overlens.config import DatasetSpec
from overlens.errors import ConfigError, DatasetError
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.records import Listing
from overlens.sources import list_images
from overlens.sources.tree import scan_tree

HOSTILE_NAMES = [
    "<img src=x onerror=alert(1)>.jpg",
    "\U0001f9d1\u200d\U0001f3a8.png",
    "\u202egpj.evil.jpg",
    "line\nbreak.jpg",
    'quote"comma,.jpg',
    "back\\slash.jpg",
    "a" * 251 + ".jpg",
    " space .JPG",
]


def add_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def list_folder(folder: Path, max_images: int | None = None) -> Listing:
    return list_images(DatasetSpec("mine", folder), Path("/nowhere"), use_ground_truth=False, max_images=max_images)


def test_keys_are_posix_paths_in_code_point_order(tmp_path):
    add_files(tmp_path, "b/1.jpg", "B/1.jpg", "a-1/1.jpg", "a/1.jpg", "a/ä.jpg", "a/z.jpg", "\U0001f600.png")
    listing = list_folder(tmp_path)
    assert list(listing.keys) == sorted(listing.keys, key=str.encode)
    assert listing.keys == ("B/1.jpg", "a-1/1.jpg", "a/1.jpg", "a/z.jpg", "a/ä.jpg", "b/1.jpg", "\U0001f600.png")
    assert listing.paths == tuple(tmp_path / key for key in listing.keys)


def test_classes_and_images_without_one(tmp_path):
    add_files(tmp_path, "cat/1.jpg", "dog/deep/2.jpg", "3.jpg")
    listing = list_folder(tmp_path)
    assert dict(zip(listing.keys, listing.labels, strict=True)) == {
        "3.jpg": None,
        "cat/1.jpg": "cat",
        "dog/deep/2.jpg": "dog",
    }
    assert listing.label_source == "class folders"
    assert listing.notices == ("images without a class in class folders: 1 of 3 (first: '3.jpg')",)


def test_a_flat_folder_has_no_classes(tmp_path):
    add_files(tmp_path, "1.jpg", "2.jpg")
    listing = list_folder(tmp_path)
    assert listing.labels == (None, None)
    assert listing.label_source == "none"


def test_what_is_left_out_is_counted(tmp_path):
    add_files(tmp_path, "1.JPEG", "notes.txt", "model.safetensors", ".hidden.jpg", ".git/2.jpg", ".jpg", "jpg")
    (tmp_path / "linked").symlink_to(tmp_path)
    listing = list_folder(tmp_path)
    assert listing.keys == ("1.JPEG",)
    assert listing.notices == (
        "files without an image extension, ignored: 3 (first: 'jpg')",
        "links to folders, not followed: 1 (first: 'linked')",
    )


def test_links_to_files_are_read_and_broken_ones_fail(tmp_path):
    add_files(tmp_path / "annex", "object")
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.jpg").symlink_to(tmp_path / "annex" / "object")
    (folder / "b.jpg").symlink_to(tmp_path / "annex" / "not fetched")
    listing = list_folder(folder)
    assert listing.keys == ("a.jpg",)
    assert [(failure.key, failure.reason) for failure in listing.failures] == [
        ("b.jpg", "no such image file: symbolic link to a missing file")
    ]


def test_pipes_are_not_opened(tmp_path):
    add_files(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert list_folder(tmp_path).keys == ("a.jpg",)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_plain_keys(tmp_path, name):
    add_files(tmp_path, f"class/{name}", "other/1.jpg")
    assert f"class/{name}" in list_folder(tmp_path).keys


def test_a_name_that_is_not_utf8_fails_and_can_be_saved(tmp_path):
    add_files(tmp_path, "a.jpg", "caf\udce9.jpg")
    listing = list_folder(tmp_path)
    assert listing.keys == ("a.jpg",)
    assert listing.failures[0].key.encode() == b"caf\\udce9.jpg"


def test_no_images(tmp_path):
    add_files(tmp_path, "a.txt", "b.txt", "README")
    with pytest.raises(DatasetError, match=r"holds no image but \.txt \(2\), no extension \(1\)"):
        list_folder(tmp_path)


def test_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match="no visible file at all"):
        list_folder(tmp_path)


def test_a_folder_that_cannot_be_read(tmp_path):
    with pytest.raises(DatasetError, match=r"cannot list the folder .*gone: No such file"):
        scan_tree(tmp_path / "gone")


def test_missing_path(tmp_path):
    with pytest.raises(ConfigError, match=r"gone does not exist.*NAME=PATH"):
        list_folder(tmp_path / "gone")


@pytest.mark.parametrize("name", ["list.xlsx", "list", "image.jpg"])
def test_a_file_that_is_no_manifest(tmp_path, name):
    add_files(tmp_path, name)
    with pytest.raises(ConfigError, match=r"ends in \.csv, \.tsv, \.parquet"):
        list_folder(tmp_path / name)


def test_pascal_voc_folder_lists_its_images_only(tmp_path):
    add_files(tmp_path / "VOC2012", "JPEGImages/a.jpg", "SegmentationClass/a.png")
    assert list_folder(tmp_path / "VOC2012").keys == ("a.jpg",)


def test_pacs(shared_data):
    listing = list_folder(shared_data / "pacs_mini" / "sketch")
    assert len(listing.keys) == 175
    assert set(listing.labels) == {"dog", "elephant", "giraffe", "guitar", "horse", "house", "person"}
    assert listing.failures == ()


def test_caltech101(shared_data):
    listing = list_folder(shared_data / "caltech101_mini")
    assert len(listing.keys) == 759
    assert len(set(listing.labels)) == 94
    assert listing.notices == ("files without an image extension, ignored: 1 (first: 'NOTES.md')",)


def test_ground_truth_of_a_folder_is_its_own_classes(shared_data):
    folder = shared_data / "pacs_mini" / "photo"
    truth = list_images(DatasetSpec("mine", folder), Path("/nowhere"), use_ground_truth=True)
    own = list_folder(folder)
    assert truth.notices == (*own.notices, "--use-ground-truth: a folder keeps its own classes")
    assert replace(truth, notices=own.notices) == own


def test_the_first_images_in_order(tmp_path):
    add_files(tmp_path, "a/1.jpg", "a/3.jpg", "b/1.jpg", "notes.txt")
    (tmp_path / "a" / "2.jpg").symlink_to("not fetched")
    (tmp_path / "b" / "0.jpg").symlink_to("not fetched")
    listing = list_folder(tmp_path, max_images=3)
    assert listing.keys == ("a/1.jpg", "a/3.jpg")
    assert [failure.key for failure in listing.failures] == ["a/2.jpg"]
    assert "--max-images: the first 3 of 5 images are used" in listing.notices


def test_a_cap_that_cuts_nothing_changes_nothing(tmp_path):
    add_files(tmp_path, "a/1.jpg", "b/1.jpg")
    assert list_folder(tmp_path, max_images=2) == list_folder(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["a/1.jpg", "a/2.jpg", "b/1.jpg"], id="the first images are of one class"),
        pytest.param(["test/a/1.jpg", "test/a/2.jpg", "train/b/1.jpg"], id="the first images are of one split"),
        pytest.param(["1.jpg", "2.jpg", "b/1.jpg"], id="the first images have no class"),
    ],
)
def test_a_cap_changes_no_class(tmp_path, names):
    add_files(tmp_path, *names)
    first, everything = list_folder(tmp_path, max_images=2), list_folder(tmp_path)
    assert first.labels == everything.labels[:2]
    assert first.label_source == everything.label_source == "class folders"


@pytest.fixture
def with_results(tmp_path: Path) -> Path:
    """A folder of two classes that a run has written its results into."""
    add_files(tmp_path, "pictures/x/1.jpg", "pictures/y/2.jpg")
    for place in (AnalysisLayout(tmp_path, "mine").gallery("cosine"), CrossLayout(tmp_path).venn("cosine")):
        add_files(place.parent, place.name)
    add_files(CrossLayout(tmp_path).mark.parent, CrossLayout(tmp_path).mark.name)
    return tmp_path


def test_results_take_no_place_and_move_no_class(with_results):
    listing = list_folder(with_results, max_images=2)
    assert listing.keys == ("pictures/x/1.jpg", "pictures/y/2.jpg")
    assert listing.labels == ("x", "y")
    assert listing.notices == ("pictures left out, as they are results of earlier runs: 2",)


def test_a_folder_of_results_alone(with_results):
    with pytest.raises(DatasetError, match=r"no image under .*cross but results of earlier runs \(1\)"):
        list_folder(with_results / "dataset" / "cross")
