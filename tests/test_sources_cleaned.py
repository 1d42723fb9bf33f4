"""What remains of a dataset reads again as the same images with the same classes, in the form in which it came."""

import csv
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from overlens.config import DatasetSpec
from overlens.errors import DatasetError
from overlens.records import Listing
from overlens.sources import list_images
from overlens.sources.cleaned import Cleaned, CleanedRequest, check_cleaned, list_left_out, write_cleaned
from overlens.testing import encode_picture, make_picture

PICTURE = encode_picture(make_picture(1, 16, 16))


def make_images(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PICTURE)


def clean(spec: DatasetSpec, root: Path, *removed: str, use_ground_truth: bool = False) -> tuple[Listing, Cleaned]:
    """Write what remains below `root`/out, check that it reads again, and return how."""
    listing = list_images(spec, root, use_ground_truth=use_ground_truth)
    request = CleanedRequest(spec, root, listing, frozenset(removed), use_ground_truth)
    cleaned = write_cleaned(request, root / "out")
    assert check_cleaned(request, root / "out", cleaned) == ""
    again = DatasetSpec(spec.name, root / "out" / cleaned.path)
    return list_images(again, root, use_ground_truth=use_ground_truth), cleaned


def documented(root: Path, lines: bytes, **files: object) -> Path:
    make_images(root / "dataset/art/JPEGImages", "a.png", "b.png", "c.png", "sub/d.png")
    data = root / "dataset/art-data"
    data.mkdir()
    (data / "2_test.txt").write_bytes(lines)
    for name, content in files.items():
        (data / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return root / "out/dataset/art-data"


# ---- the documented layout ----


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        pytest.param(b"c\na\nb\n", b"c\nb\n", id="order"),
        pytest.param(b"\xef\xbb\xbfa\r\nb\r\nc", b"\xef\xbb\xbfb\r\nc", id="mark, carriage returns, no last line end"),
        pytest.param(b"c\r\nb\r\na", b"c\r\nb", id="the last line goes"),
        pytest.param(b" b \n\na\nb\nc\n a\n", b" b \nc\n", id="spaces, blank lines, repeated names"),
        pytest.param(b"gone\na\nc\n../x\nsub/d\n", b"gone\nc\n../x\nsub/d\n", id="names without an image stay"),
        pytest.param(b"a\nb\nb.png\na.png\n", b"b\n", id="a second name of one file goes"),
    ],
)
def test_lists_lose_names_and_nothing_else(lines: bytes, left: bytes, tmp_path: Path):
    data = documented(tmp_path, lines)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    clean(DatasetSpec("art"), tmp_path, "a")
    assert (data / "2_test.txt").read_bytes() == left
    assert {path: path.read_bytes() for path in before} == before


LIST = (
    '[\n  {"item": "a", "class": 1, "by": "x"},\n  {"class": 2.50, "item": "b"},\n  {"item": "zzz", "class": "é"}\n]\n'
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(
            LIST, '[\n  {"class": 2.50, "item": "b"},\n  {"item": "zzz", "class": "é"}\n]\n', id="items; others stay"
        ),
        pytest.param('{ "a.png" : "x",\t"b":["y","z"] }', '{ "b":["y","z"] }', id="object"),
        pytest.param('{"a": "x", "b": "y", "a": "w"}', '{"b": "y"}', id="a name twice"),
        pytest.param('["x",  "y", null, "w"]', '["y",  "w"]', id="list aligned with all lines"),
        pytest.param("[1,2,3]", "[2,3]", id="list aligned with distinct lines"),
        pytest.param("{}", "{}", id="empty"),
    ],
)
@pytest.mark.parametrize("file", ["labels", "2_ground_truth"])
def test_labels_lose_entries_and_nothing_else(file: str, text: str, left: str, tmp_path: Path):
    data = documented(tmp_path, b"a\nb\nc\nc\n", **{file: text})
    listing, _ = clean(DatasetSpec("art"), tmp_path, "a", use_ground_truth=file == "2_ground_truth")
    assert (data / f"{file}.json").read_text() == left
    assert listing.keys == ("b", "c")


def test_an_entry_that_another_name_takes_its_class_from_stays(tmp_path: Path):
    make_images(tmp_path / "dataset/art/JPEGImages", "a.png", "a.jpg")
    documented(tmp_path, b"a.png\na.jpg\n", labels={"a": "both"})
    listing, _ = clean(DatasetSpec("art"), tmp_path, "a.png")
    assert (listing.keys, listing.labels) == (("a.jpg",), ("both",))


def test_a_file_of_labels_that_nobody_reads_may_be_wrong(tmp_path: Path):
    data = documented(tmp_path, b"a\nb\n", labels={"a": 1, "b": 2}, **{"2_ground_truth": "nonsense"})
    _, cleaned = clean(DatasetSpec("art"), tmp_path, "a")
    assert "2_ground_truth.json is not written" in cleaned.notices[0]
    assert not (data / "2_ground_truth.json").exists()


def test_class_folders_keep_their_meaning_and_a_list_is_made(tmp_path: Path):
    make_images(tmp_path / "dataset/art/JPEGImages", "cat/1.png", "cat/2.png", "dog/3.png")
    listing, cleaned = clean(DatasetSpec("art"), tmp_path, "dog/3.png")
    assert (listing.keys, listing.labels) == (("cat/1.png", "cat/2.png"), ("cat", "cat"))
    assert cleaned.notices == ("labels.json now says what the class folders said",)


def test_what_remains_serves_as_a_root_and_holds_no_copy_of_an_image(tmp_path: Path):
    documented(tmp_path, b"a\nb\nsub/d\n", **{"2_ground_truth": [{"item": name, "class": name} for name in "abd"]})
    (tmp_path / "dataset/art-data/classes.csv").write_bytes(b"ID,Label\r\nb,Bee\r\n")
    first, _ = clean(DatasetSpec("renamed", tmp_path / "dataset/art"), tmp_path, "a")
    listing = list_images(DatasetSpec("renamed"), tmp_path / "out", use_ground_truth=False)
    assert listing == first and listing.keys == ("b", "sub/d")
    assert listing.class_names == {"b": "Bee"}
    assert (tmp_path / "out/dataset/renamed/JPEGImages").is_symlink()


def test_a_name_that_no_line_can_hold_is_refused(tmp_path: Path):
    make_images(tmp_path / "dataset/art/JPEGImages", "a.png", "two\nlines.png")
    with pytest.raises(DatasetError, match="cannot stand in a list"):
        clean(DatasetSpec("art"), tmp_path, "a.png")


@pytest.mark.parametrize("home", ["in", "dataset/art/JPEGImages"], ids=["folder", "documented layout without a list"])
def test_files_that_only_a_folder_names_and_no_list_can_are_left_out(home: str, tmp_path: Path):
    make_images(tmp_path / home, "a.png", "b.png")
    (tmp_path / home / "link.png").symlink_to("nowhere.png")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path / home) + b"/a\xff.png")).write_bytes(PICTURE)
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    spec = DatasetSpec("art", tmp_path / "in" if home == "in" else None)
    listing, _ = clean(spec, tmp_path, "a.png")
    assert [Path(key).name for key in listing.keys] == ["b.png"] and listing.failures == ()
    before = list_images(spec, tmp_path, use_ground_truth=False)
    assert {failure.key for failure in list_left_out(spec, tmp_path, before)} == {"a\\udcff.png", "link.png"}


def test_names_of_a_list_are_never_left_out(tmp_path: Path):
    documented(tmp_path, b"a\ngone\n")
    (tmp_path / "list.csv").write_text("path\ngone.png\ndataset/art/JPEGImages/a.png\n")
    for spec in (DatasetSpec("art"), DatasetSpec("m", tmp_path / "list.csv")):
        listing = list_images(spec, tmp_path, use_ground_truth=False)
        assert len(listing.failures) == 1 and list_left_out(spec, tmp_path, listing) == ()


def test_a_cap_leaves_out_what_was_not_looked_at(tmp_path: Path):
    data = documented(tmp_path, b"a\nb\nc\n", labels={"a": 1, "b": 2, "c": 3})
    spec = DatasetSpec("art")
    listing = list_images(spec, tmp_path, use_ground_truth=False, max_images=2)
    write_cleaned(CleanedRequest(spec, tmp_path, listing, frozenset("a")), tmp_path / "out")
    assert (data / "2_test.txt").read_bytes() == b"b\n"
    assert (data / "labels.json").read_text() == '{"b": 2}'


# ---- manifests ----


@pytest.mark.parametrize(
    ("name", "lines", "left"),
    [
        pytest.param(
            "list.csv",
            'id;path;"label"\r\n1;a.png;"x;y"\r\n2;b.png;"q ""r"""\r\n\r\n3;"c.png";z',
            'id;path;"label"\r\n2;{}/b.png;"q ""r"""\r\n3;"{}/c.png";z',
            id="semicolons, quotes, carriage returns",
        ),
        pytest.param("list.tsv", "label\tfile\nx\ta.png\ny y\tb.png\n", "label\tfile\ny y\t{}/b.png\n", id="tabs"),
        pytest.param(
            "list.csv", "path,label\na.png,x\nb.png,\nb.png,y\n", "path,label\n{}/b.png,y\n", id="class in a later row"
        ),
        pytest.param(
            "list.csv", "path\na.png\nsub\\d.png\n./b.png\nb.png\n", "path\n{}/sub/d.png\n{}/b.png\n", id="spellings"
        ),
        pytest.param("list.csv", "path\na.png\ngone.png\n", "path\n{}/gone.png\n", id="missing files stay"),
        pytest.param(
            "list.csv",
            'note,path\n"two\nlines",b.png\n5" pipe,c.png\n-,a.png\n',
            'note,path\n"two\nlines",{}/b.png\n5" pipe,{}/c.png\n',
            id="line breaks and stray quotes",
        ),
        pytest.param("list.csv", "﻿path\nb.png\na.png\n", "﻿path\n{}/b.png\n", id="mark"),
    ],
)
def test_manifests_lose_rows_and_keep_their_dialect(name: str, lines: str, left: str, tmp_path: Path):
    make_images(tmp_path / "in", "a.png", "b.png", "c.png", "sub/d.png")
    (tmp_path / "in" / name).write_bytes(lines.encode())
    clean(DatasetSpec("m", tmp_path / "in" / name), tmp_path, "a.png")
    written = (tmp_path / "out/manifests/m" / name).read_bytes().decode()
    assert written == left.replace("{}", str(tmp_path / "in"))


def test_rows_with_absolute_paths_stay_byte_for_byte_and_keep_their_keys(tmp_path: Path):
    make_images(tmp_path / "in", "a.png", "b,c.png")
    stays, goes = f'x,"{tmp_path}/in/b,c.png",1\n', f"y,{tmp_path}/in/a.png,2\n"
    (tmp_path / "list.csv").write_text(f"note,path,label\n{stays}{goes}")
    listing, _ = clean(DatasetSpec("m", tmp_path / "list.csv"), tmp_path, f"{tmp_path}/in/a.png")
    assert (tmp_path / "out/manifests/m/list.csv").read_text() == f"note,path,label\n{stays}"
    assert listing.keys == (f"{tmp_path}/in/b,c.png",)


@pytest.mark.parametrize("path_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_parquet_keeps_its_schema(path_type: pa.DataType, tmp_path: Path):
    make_images(tmp_path / "in", "a.png", "b.png", "c.png")
    table = pa.table(
        {
            "box": pa.array([[1], [2, 3], None, [4]], pa.list_(pa.int8())),
            "path": pa.array(["a.png", "b.png", None, str(tmp_path / "in/c.png")], pa.string()).cast(path_type),
            "label": pa.array([1, 2, 3, None], pa.int64()),
        },
        metadata={"made": "here"},
    )
    pq.write_table(table, tmp_path / "in/list.parquet", row_group_size=2)
    listing, _ = clean(DatasetSpec("m", tmp_path / "in/list.parquet"), tmp_path, "a.png")
    written = pq.read_table(tmp_path / "out/manifests/m/list.parquet")
    assert written.schema.equals(pq.read_table(tmp_path / "in/list.parquet").schema, check_metadata=True)
    assert written.to_pylist() == [
        {"box": [2, 3], "path": str(tmp_path / "in/b.png"), "label": 2},
        {"box": [4], "path": str(tmp_path / "in/c.png"), "label": None},
    ]
    assert listing.labels == ("2", None)


# ---- folders ----


def test_a_folder_becomes_a_manifest_and_a_list_of_keys(tmp_path: Path):
    names = ["x/1.png", "x/2, 3.png", 'y/"4".png', "y/=5.png"]
    make_images(tmp_path / "in", *names)
    listing, _ = clean(DatasetSpec("f", tmp_path / "in"), tmp_path, "x/1.png")
    assert listing.keys == tuple(f"{tmp_path}/in/{name}" for name in names[1:])
    assert listing.labels == ("x", "y", "y")
    assert (tmp_path / "out/manifests/f/keep.txt").read_text().splitlines() == names[1:]


def test_names_with_line_breaks_are_in_the_manifest_and_never_half_in_the_list(tmp_path: Path):
    make_images(tmp_path / "in", "a.png", "two\nlines.png", "cr\rhere.png")
    _, cleaned = clean(DatasetSpec("f", tmp_path / "in"), tmp_path, "a.png")
    assert "keep.txt is not written" in cleaned.notices[0]
    with (tmp_path / "out/manifests/f/images.csv").open(newline="") as file:
        assert {row[0].rpartition("/")[2] for row in csv.reader(file)} == {"path", "two\nlines.png", "cr\rhere.png"}


def test_a_dataset_may_end_up_empty(tmp_path: Path):
    make_images(tmp_path / "in", "a.png")
    spec = DatasetSpec("f", tmp_path / "in")
    listing = list_images(spec, tmp_path, use_ground_truth=False)
    request = CleanedRequest(spec, tmp_path, listing, frozenset(["a.png"]))
    assert check_cleaned(request, tmp_path / "out", write_cleaned(request, tmp_path / "out")) == ""


def test_reading_again_finds_what_is_wrong(tmp_path: Path):
    make_images(tmp_path / "in", "x/a.png", "y/b.png")
    spec = DatasetSpec("f", tmp_path / "in")
    request = CleanedRequest(spec, tmp_path, list_images(spec, tmp_path, use_ground_truth=False), frozenset())
    cleaned = write_cleaned(request, tmp_path / "out")
    manifest = tmp_path / "out" / cleaned.path
    manifest.write_text(manifest.read_text().replace('"y"', '"z"'))
    assert "1 images differ" in check_cleaned(request, tmp_path / "out", cleaned)
    manifest.unlink()
    assert "does not exist" in check_cleaned(request, tmp_path / "out", cleaned)


def test_an_image_that_is_not_listed_cannot_be_removed(tmp_path: Path):
    make_images(tmp_path / "in", "a.png")
    spec = DatasetSpec("f", tmp_path / "in")
    with pytest.raises(ValueError, match=r"lists no 'b\.png'"):
        CleanedRequest(spec, tmp_path, list_images(spec, tmp_path, use_ground_truth=False), frozenset(["b.png"]))


def test_real_lists_lose_only_lines(shared_data: Path, tmp_path: Path):
    root = shared_data / "art"
    names = (root / "dataset/ArtDL-data/2_test.txt").read_bytes().splitlines(keepends=True)
    spec = DatasetSpec("ArtDL")
    gone = names[3].decode().strip()
    request = CleanedRequest(spec, root, list_images(spec, root, use_ground_truth=True), frozenset([gone]), True)
    cleaned = write_cleaned(request, tmp_path)
    assert check_cleaned(request, tmp_path, cleaned) == ""
    written = (tmp_path / "dataset/ArtDL-data/2_test.txt").read_bytes()
    assert written == b"".join([*names[:3], *names[4:]])
    truth, kept = (
        json.loads((folder / "dataset/ArtDL-data/2_ground_truth.json").read_bytes()) for folder in (root, tmp_path)
    )
    assert kept == [entry for entry in truth if entry["item"] != gone] and len(kept) < len(truth)
