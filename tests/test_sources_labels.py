"""Which class an image has, and where from."""

import json
from pathlib import Path

import pytest

from overlens.config import DatasetSpec
from overlens.errors import DatasetError
from overlens.records import Listing
from overlens.sources import list_images
from overlens.sources.labels import labels_from_folders, read_class_names

NAMES = ["a", "b", "c"]
TRUTH = [{"item": "a", "class": "T1"}, {"item": "b", "class": "T2"}, {"item": "stranger", "class": "T3"}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the dataset X of the images a, b and c in one folder."""
    make_dataset(tmp_path, NAMES)
    return tmp_path


def make_dataset(root: Path, names: list[str], *, listed: str | None = None) -> None:
    images = root / "dataset" / "X" / "JPEGImages"
    for name in names:
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / f"{name}.jpg").touch()
    (root / "dataset" / "X-data").mkdir()
    (root / "dataset" / "X-data" / "2_test.txt").write_text("\n".join(names) if listed is None else listed)


def write(root: Path, name: str, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (root / "dataset" / "X-data" / name).write_text(text, encoding="utf-8")


def list_x(root: Path, *, use_ground_truth: bool = False, max_images: int | None = None) -> Listing:
    return list_images(DatasetSpec("X"), root, use_ground_truth=use_ground_truth, max_images=max_images)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"a": "L1", "b": 7, "c": None}, id="object"),
        pytest.param([{"item": "a", "class": "L1"}, {"item": "b", "class": 7}], id="items"),
        pytest.param(["L1", 7, None], id="aligned"),
        pytest.param({"a.jpg": "L1", "b.PNG": 7}, id="names with extension"),
        pytest.param({"a": ["L1"], "b": [7], "c": []}, id="lists"),
        pytest.param('\ufeff{"a": " L1 ", "b": 7, "c": ""}', id="byte-order mark and spaces"),
    ],
)
def test_forms_of_labels_json(root, content):
    write(root, "labels.json", content)
    write(root, "2_ground_truth.json", TRUTH)
    listing = list_x(root)
    assert listing.labels == ("L1", "7", None)
    assert listing.label_source == "labels.json"
    assert listing.notices == ("images without a class in labels.json: 1 of 3 (first: 'c')",)


@pytest.mark.parametrize("content", [{}, []], ids=["object", "list"])
def test_an_empty_label_file_gives_no_class(root, content):
    write(root, "labels.json", content)
    assert list_x(root).labels == (None, None, None)


def test_an_aligned_list_follows_repeated_names(tmp_path):
    make_dataset(tmp_path, ["a", "b"], listed="a\na\n\nb\n")
    write(tmp_path, "labels.json", ["L1", "L1", "L2"])
    assert list_x(tmp_path).labels == ("L1", "L2")


def test_an_aligned_list_skips_names_that_failed(tmp_path):
    make_dataset(tmp_path, ["a", "b"], listed="a\nghost\nb\n")
    write(tmp_path, "labels.json", ["L1", "boo", "L2"])
    assert list_x(tmp_path).labels == ("L1", "L2")


@pytest.mark.parametrize("classes", [["L1", "boo", "L1", "L2"], ["L1", "boo", "L2"]], ids=["lines", "distinct names"])
def test_an_aligned_list_follows_the_whole_list_under_a_cap(tmp_path, classes):
    make_dataset(tmp_path, ["a", "b"], listed="a\nghost\na\nb\n")
    write(tmp_path, "labels.json", classes)
    assert list_x(tmp_path, max_images=2).labels == ("L1",)
    assert list_x(tmp_path, max_images=3).labels == ("L1", "L2")


def test_a_cap_changes_no_class_folder(tmp_path):
    make_dataset(tmp_path, ["cat/1", "cat/2", "dog/3"])
    write(tmp_path, "2_ground_truth.json", TRUTH)
    listing = list_x(tmp_path, max_images=2)
    assert listing.labels == ("cat", "cat")
    assert listing.label_source == "class folders"


def test_class_folders_come_before_the_ground_truth(tmp_path):
    make_dataset(tmp_path, ["cat/1", "dog/2"])
    write(tmp_path, "2_ground_truth.json", [{"item": "cat/1", "class": "T1"}])
    listing = list_x(tmp_path)
    assert listing.labels == ("cat", "dog")
    assert listing.label_source == "class folders"


def test_ground_truth_stands_in_and_says_so(root):
    write(root, "2_ground_truth.json", TRUTH)
    listing = list_x(root)
    assert listing.labels == ("T1", "T2", None)
    assert listing.label_source == "2_ground_truth.json"
    assert any("as there are no labels.json and no class folders" in notice for notice in listing.notices)


def test_no_labels_at_all(root):
    listing = list_x(root)
    assert listing.labels == (None, None, None)
    assert listing.label_source == "none"


def test_asked_for_ground_truth_wins(root):
    write(root, "labels.json", ["L1", "L2", "L3"])
    write(root, "2_ground_truth.json", TRUTH)
    listing = list_x(root, use_ground_truth=True)
    assert listing.labels == ("T1", "T2", None)
    assert listing.label_source == "2_ground_truth.json"


def test_asked_for_ground_truth_must_be_there(root):
    with pytest.raises(DatasetError, match=r"X-data/2_ground_truth\.json, which does not exist"):
        list_x(root, use_ground_truth=True)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([{"item": "a", "class": "T1"}, {"item": "a", "class": "T9"}], id="two entries"),
        pytest.param([{"item": "a", "class": ["T1", "T9"]}], id="one list"),
        pytest.param('{"a": "T1", "a": "T9"}', id="one name twice"),
    ],
)
def test_the_first_of_several_classes_counts(root, content):
    write(root, "2_ground_truth.json", content)
    listing = list_x(root, use_ground_truth=True)
    assert listing.labels == ("T1", None, None)
    assert "2_ground_truth.json: further classes of images that have several, left out: 1" in listing.notices


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param('{"a": 1,\n "b"}', r"labels\.json is not JSON: .* line 2, column 5", id="syntax"),
        pytest.param("", "is not JSON", id="empty file"),
        pytest.param("[" * 200_000, "cannot be used as JSON", id="too deep"),
        pytest.param('{"a": "\\ud800"}', "cannot be used as JSON.*surrogates", id="half a surrogate pair"),
        pytest.param("7", "holds 7; wanted is", id="number"),
        pytest.param(["L1", "L2"], "2 classes for 3 listed names", id="too short"),
        pytest.param([{"name": "a", "class": "L1"}], "entry 1 is .*wanted is", id="wrong field"),
        pytest.param([{"item": ["a"], "class": "L1"}], "item of entry 1", id="item is a list"),
        pytest.param({"a": True}, "class of 'a' is not usable: True", id="boolean class"),
        pytest.param({"a": {"id": 1}}, "class of 'a' is not usable", id="object class"),
    ],
)
def test_malformed_labels_json(root, content, message):
    write(root, "labels.json", content)
    with pytest.raises(DatasetError, match=message):
        list_x(root)


def test_an_aligned_list_needs_a_list_of_names(root):
    (root / "dataset" / "X-data" / "2_test.txt").unlink()
    write(root, "labels.json", ["L1", "L2", "L3"])
    with pytest.raises(DatasetError, match="no list of names"):
        list_x(root)


@pytest.mark.parametrize(
    ("paths", "classes"),
    [
        pytest.param(["cat/1.jpg", "dog/2.jpg"], ("cat", "dog"), id="flat"),
        pytest.param(["train/cat/1.jpg", "train/dog/2.jpg"], ("cat", "dog"), id="one split only"),
        pytest.param(["train/cat/1.jpg", "test/dog/2.jpg"], ("cat", "dog"), id="two splits"),
        pytest.param(["x/Train/cat/1.jpg", "x/val/2.jpg"], ("cat", None), id="splits below a common folder"),
        pytest.param(["cat/a/1.jpg", "dog/b/2.jpg"], ("cat", "dog"), id="deeper folders"),
        pytest.param(["1.jpg", "dog/2.jpg"], (None, "dog"), id="image without a class"),
        pytest.param(["x/1.jpg", "x/2.jpg"], (None, None), id="one folder"),
        pytest.param(["catfish/1.jpg", "cat/2.jpg"], ("catfish", "cat"), id="common beginning is no common folder"),
        pytest.param([], (), id="nothing"),
    ],
)
def test_class_folders(paths, classes):
    assert labels_from_folders(paths, paths).values == classes


def test_one_common_folder_is_said():
    paths = ["x/1.jpg", "x/2.jpg"]
    assert labels_from_folders(paths, paths).notices == (
        "all images lie in one folder, 'x', so folder names give no classes",
    )


def test_split_folders_are_said():
    paths = ["train/cat/1.jpg", "test/dog/2.jpg"]
    labels = labels_from_folders(paths, paths)
    assert labels.notices == ("the folders test, train are taken for splits, the folders below them for classes",)


def test_class_names(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text(
        '\ufeffID,Label,Description\n\n1,"Paul, apostle","a, ""b"""\n2,,no name\n3, Maria ,\n', encoding="utf-8"
    )
    assert read_class_names(path) == {"1": "Paul, apostle", "3": "Maria"}


def test_absent_class_names(tmp_path):
    assert read_class_names(tmp_path / "classes.csv") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "has the columns none; wanted are ID and Label", id="empty"),
        pytest.param("id;label\n", "has the columns id;label", id="other columns"),
        pytest.param("ID,Label\n1,a,b\n", "line 2: 3 fields where the header has 2", id="too many fields"),
        pytest.param('ID,Label\n1,"a"b\n', "malformed in line 2", id="quoting"),
        pytest.param('ID,Label\n1,"a\n', "malformed in line", id="open quote"),
        pytest.param("ID,Label\n1,a\n1,b\n", "class '1' both 'a' and 'b'", id="two names"),
    ],
)
def test_malformed_class_names(tmp_path, content, message):
    path = tmp_path / "classes.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        read_class_names(path)


def test_class_names_that_are_not_utf8(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_bytes(b"ID,Label\n1,caf\xe9\n")
    with pytest.raises(DatasetError, match="not UTF-8"):
        read_class_names(path)
