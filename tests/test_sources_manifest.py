"""A table of paths and classes: its dialects, and what is said about bad rows."""

from pathlib import Path

import pytest

from overlens.config import DatasetSpec
from overlens.errors import DatasetError
from overlens.records import Listing
from overlens.sources import list_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `set` with a.jpg, sub/b.jpg and "c, d.jpg", beside an outer.jpg."""
    for name in ("outer.jpg", "set/a.jpg", "set/sub/b.jpg", "set/c, d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "set"


def list_text(folder: Path, text: str, name: str = "list.csv", max_images: int | None = None) -> Listing:
    path = folder / name
    path.write_bytes(text.encode())
    spec = DatasetSpec("mine", path)
    return list_images(spec, Path("/nowhere"), use_ground_truth=False, max_images=max_images)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("list.csv", "path,label\na.jpg,cat\nsub/b.jpg,7\n", id="comma"),
        pytest.param("list.CSV", "path;label\na.jpg;cat\nsub/b.jpg;7\n", id="semicolon"),
        pytest.param("list.csv", "path\tlabel\na.jpg\tcat\nsub/b.jpg\t7\n", id="tab in csv"),
        pytest.param("list.tsv", "path\tlabel\na.jpg\tcat\nsub/b.jpg\t7\n", id="tab"),
        pytest.param("list.csv", "\ufeffpath,label\r\na.jpg,cat\r\nsub/b.jpg,7\r\n", id="byte-order mark and CRLF"),
        pytest.param("list.csv", "label, Path ,extra\ncat, a.jpg ,x\n7,sub/b.jpg,\n", id="other order and spaces"),
        pytest.param("list.csv", "filename,class\na.jpg,cat\nsub/b.jpg,7\n", id="other names"),
        pytest.param("list.csv", 'path,label\n"a.jpg",cat\n"sub/b.jpg","7"', id="quotes"),
    ],
)
def test_dialects(folder, name, text):
    listing = list_text(folder, text, name)
    assert listing.keys == ("a.jpg", "sub/b.jpg")
    assert listing.paths == (folder / "a.jpg", folder / "sub" / "b.jpg")
    assert listing.labels == ("cat", "7")
    assert listing.label_source in {"manifest column label", "manifest column class"}
    assert listing.failures == () and listing.notices == ()


def test_labels_are_optional(folder):
    listing = list_text(folder, "path\na.jpg\n")
    assert listing.labels == (None,)
    assert listing.label_source == "none"
    assert listing.notices == (
        "list.csv: images without a class, as there is no column label or class: 1 of 1 (first: 'a.jpg')",
    )


def test_a_manifest_may_point_anywhere(folder):
    outer = folder.parent / "outer.jpg"
    listing = list_text(folder, f'path\n../outer.jpg\n"c, d.jpg"\n{folder / "a.jpg"}\n')
    assert listing.keys == ("../outer.jpg", "c, d.jpg", str(folder / "a.jpg"))
    assert listing.paths == (outer, folder / "c, d.jpg", folder / "a.jpg")


def test_windows_separators(folder):
    listing = list_text(folder, "path\nsub\\b.jpg\n")
    assert listing.keys == ("sub\\b.jpg",)
    assert listing.paths == (folder / "sub" / "b.jpg",)


def test_missing_files_and_folders_are_failures(folder):
    listing = list_text(
        folder, f"path,label\na.jpg,x\nghost.jpg,x\nsub,x\n{'n' * 300}.jpg,x\na\0b.jpg,x\nghost.jpg,y\n"
    )
    assert listing.keys == ("a.jpg",)
    reasons = {failure.key: failure.reason for failure in listing.failures}
    assert list(reasons) == ["ghost.jpg", "sub", "n" * 300 + ".jpg", "a\0b.jpg"]
    assert all(reason.startswith("no such image file") for reason in reasons.values())
    assert listing.n_attempted == 5


def test_repeated_and_blank_rows_are_counted(folder):
    listing = list_text(folder, "path,label\na.jpg,\n\n,cat\n./a.jpg,cat\nsub/b.jpg,dog\na.jpg,dog\nsub/b.jpg,dog\n")
    assert dict(zip(listing.keys, listing.labels, strict=True)) == {"a.jpg": "cat", "sub/b.jpg": "dog"}
    assert listing.notices == (
        "list.csv: rows without a path, ignored: 1",
        "list.csv: repeated images, counted once: 3 (first: './a.jpg')",
        "list.csv: rows that give an image a further class, left out: 1 (first: 'a.jpg')",
    )


def test_ground_truth_of_a_manifest_is_its_own_classes(folder):
    own = list_text(folder, "path,label\na.jpg,cat\n")
    truth = list_images(DatasetSpec("mine", folder / "list.csv"), Path("/nowhere"), use_ground_truth=True)
    assert truth.labels == own.labels == ("cat",)
    assert truth.notices == ("--use-ground-truth: a manifest keeps its own classes",)


@pytest.mark.parametrize(
    ("max_images", "keys", "failed"),
    [
        pytest.param(1, ("sub/b.jpg",), [], id="one"),
        pytest.param(2, ("sub/b.jpg",), ["ghost.jpg"], id="a missing image is one of them"),
        pytest.param(3, ("sub/b.jpg", "a.jpg"), ["ghost.jpg"], id="a repeated row is not"),
        pytest.param(4, ("sub/b.jpg", "a.jpg"), ["ghost.jpg", "spectre.jpg"], id="all"),
    ],
)
def test_the_first_listed_images(folder, max_images, keys, failed):
    text = "path,label\nsub/b.jpg,\n\nghost.jpg,x\nghost.jpg,x\na.jpg,cat\nspectre.jpg,x\nsub/b.jpg,dog\n"
    listing = list_text(folder, text, max_images=max_images)
    assert listing.keys == keys
    assert listing.labels == ("dog", "cat")[: len(keys)], "a later row may still give a class to a kept image"
    assert [failure.key for failure in listing.failures] == failed
    assert listing.n_attempted == max_images
    said = [notice for notice in listing.notices if "--max-images" in notice]
    assert said == [f"--max-images: the first {max_images} of 4 images are used"] * (max_images < 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", r"list\.csv is empty, it has no column and no row; wanted is a header", id="empty"),
        pytest.param("\n,,\n", "is empty, .*, and for classes label or class, and one image a row", id="blank"),
        pytest.param("url,label\nx,y\n", "has the columns 'url', 'label'; wanted is path", id="no path column"),
        pytest.param("a.jpg,cat\nsub/b.jpg,7\n", "has the columns 'a.jpg', 'cat'", id="no header"),
        pytest.param("path,label\n", "names no image: no row below its header has a path; list one", id="header only"),
        pytest.param("path,label\n,cat\n", "names no image: no row below its header has a path", id="no path"),
        pytest.param("path,label\na.jpg\n", "malformed in line 2: 1 fields where the header has 2", id="short row"),
        pytest.param("path\nc, d.jpg\n", "quote values that hold the delimiter", id="delimiter in a value"),
        pytest.param('path\n"a.jpg\n', "malformed in line", id="open quote"),
    ],
)
def test_unusable_tables(folder, text, message):
    with pytest.raises(DatasetError, match=message):
        list_text(folder, text)


def test_a_table_that_is_not_utf8(folder):
    (folder / "list.csv").write_bytes(b"path\ncaf\xe9.jpg\n")
    with pytest.raises(DatasetError, match=r"list\.csv is not UTF-8"):
        list_images(DatasetSpec("mine", folder / "list.csv"), Path(), use_ground_truth=False)


def list_parquet(folder: Path, columns: dict[str, list[object]]) -> Listing:
    import pyarrow
    import pyarrow.parquet

    path = folder / "year=2020" / "list.parquet"
    path.parent.mkdir()
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return list_images(DatasetSpec("mine", path), Path("/nowhere"), use_ground_truth=False)


def test_parquet(folder):
    listing = list_parquet(folder, {"label": [3, None, 4, 3], "path": ["../a.jpg", "../sub/b.jpg", None, "../x.jpg"]})
    assert listing.keys == ("../a.jpg", "../sub/b.jpg")
    assert listing.labels == ("3", None)
    assert [failure.key for failure in listing.failures] == ["../x.jpg"]
    assert "list.parquet: rows without a path, ignored: 1" in listing.notices


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        pytest.param({"url": ["x"]}, "has the columns 'url'; wanted is", id="no path column"),
        pytest.param({"image": [{"bytes": b"x"}]}, "row 1 has the path .*wanted is text", id="image column"),
        pytest.param({"path": ["x"], "label": [True]}, "class in row 1 is not usable", id="boolean class"),
        pytest.param({"path": []}, "names no image", id="no rows"),
    ],
)
def test_unusable_parquet(folder, columns, message):
    with pytest.raises(DatasetError, match=message):
        list_parquet(folder, columns)


def test_damaged_parquet(folder):
    (folder / "list.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DatasetError, match="as Parquet"):
        list_images(DatasetSpec("mine", folder / "list.parquet"), Path(), use_ground_truth=False)
