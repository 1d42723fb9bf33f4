"""The files of few-shot splits, each read back with a plain reader that knows nothing of overlens."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overlens.split_files
from overlens.config import DatasetSpec, FewShotConfig
from overlens.errors import StoreError
from overlens.fewshot.digested import DigestedImages
from overlens.fewshot.draw import draw_splits
from overlens.fewshot.lock import LabelOrigin, Lock, make_lock
from overlens.fewshot.pictures import LabelledImages
from overlens.fewshot.splits import Certificate, LeftOut, Part, Split, Splits
from overlens.layout import SEED_VARIANCE_FILES, AnalysisLayout, is_split_name
from overlens.records import Features
from overlens.split_files import ImageFiles, WrittenSplits, write_lock, write_splits
from overlens.split_links import safe_names

CONFIG = FewShotConfig(k_shots=(1, 2), n_classes=2, n_seeds=1, n_episodes=4, short_classes="fewer")
ALL = ("json", "csv", "coop", "links")
CERTIFICATE = Certificate("nobody looked", None, None, None, None, False, False, (), LeftOut(), {})
Data = tuple[Splits, Features, ImageFiles]


def make_data(folder: Path, sizes: dict[str, int] | None = None) -> Data:
    """A folder of files that hold their own key, and the splits drawn from it."""
    sizes = sizes or {"a": 9, "b": 4, "c": 6}
    keys = [f"{class_id}/{number}.jpg" for class_id, n in sizes.items() for number in range(n)]
    for key in keys:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_text(key, encoding="utf-8")
    labels = [key.split("/")[0] for key in keys]
    rows = np.arange(3 * len(keys), dtype=np.float32).reshape(-1, 3)
    features = Features("photo", tuple(keys), tuple(labels), class_names={"a": "Ape"}, embeddings=rows)
    splits = draw_splits(LabelledImages("photo", keys, labels), config=CONFIG)
    return splits, features, ImageFiles(folder, tuple(folder / key for key in keys))


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return make_data(tmp_path / "images")


@pytest.fixture
def layout(tmp_path: Path) -> AnalysisLayout:
    return AnalysisLayout(tmp_path / "out", "photo")


def write(data: Data, layout: AnalysisLayout, formats: tuple[str, ...] = ALL) -> WrittenSplits:
    splits, features, files = data
    return write_splits(splits, features, layout, files=files, formats=formats)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- JSON and NPY ----


def test_json_and_rows_of_every_part_belong_together(data: Data, layout: AnalysisLayout):
    write(data, layout, ("json",))
    splits, features, _ = data
    row_of = {key: row for row, key in enumerate(features.keys)}
    assert len(splits.drawn) == 6
    for split in splits.drawn:
        content = json.loads(layout.split(*split.place).read_text("utf-8"))
        assert content == json.loads(json.dumps(split.to_json()))
        for part, ending in (("support", ""), ("validation", "_validation"), ("query", "_query")):
            path = layout.split(*split.place)
            rows = np.load(path.with_name(f"{path.stem}{ending}_embeddings.npy"), allow_pickle=False)
            names = content["names"] if part == "support" else content[part]["names"]
            assert rows.dtype == np.float32
            assert np.array_equal(rows, features.embeddings[[row_of[name] for name in names]])
    assert not list(layout.few_shot.glob("*test*"))


def test_rows_of_episodes_are_those_of_its_json(data: Data, layout: AnalysisLayout):
    write(data, layout, ("json",))
    splits, features, _ = data
    for episodes in splits.episodes:
        path = layout.split(*episodes.place)
        content = json.loads(path.read_text("utf-8"))
        assert content == json.loads(json.dumps(episodes.to_json()))
        for part in ("support", "validation", "query"):
            table = np.load(path.with_name(f"{path.stem}_{part}_rows.npy"), allow_pickle=False)
            assert table.dtype == np.int32 and table.shape[:2] == (4, 2)
            for number, episode in enumerate(content["episodes"]):
                classes = [{features.labels[row] for row in rows if row >= 0} for rows in table[number]]
                assert all(len(one) <= 1 for one in classes)
                found = [features.keys[row] for row in table[number].ravel() if row >= 0]
                assert found == [content["images"]["names"][place] for place in episode[part]]
    support = np.load(layout.episode_rows("support", *splits.episodes[0].place), allow_pickle=False)
    query = np.load(layout.episode_rows("query", *splits.episodes[0].place), allow_pickle=False)
    assert support.shape == (4, 2, 1) and (support >= 0).all()
    assert (query == -1).any(), "classes of 9 and 4 images have query parts of different sizes"
    first = [[features.labels[row] for row in one[:, 0]] for one in (support[0], query[0])]
    assert first[0] == first[1] == sorted(first[0])


def test_nothing_is_pickled(data: Data, layout: AnalysisLayout):
    written = write(data, layout).paths
    arrays = [path for path in written if path.suffix == ".npy"]
    assert len(arrays) == 3 * len(data[0])
    for path in arrays:
        assert np.load(path, allow_pickle=False).dtype in (np.float32, np.int32)


# ---- CSV and CoOp lists ----


def test_the_table_holds_every_image_with_its_part(data: Data, layout: AnalysisLayout):
    write(data, layout)
    split = data[0].drawn[0]
    rows = read_csv(layout.split_table(*split.place))
    told = [
        (part, name, label)
        for part, one in split.parts.items()
        for name, label in zip(one.names, one.labels, strict=True)
    ]
    assert [(row["part"], row["name"], row["label"]) for row in rows] == told
    assert {row["label"]: row["class_name"] for row in rows} == {c: {"a": "Ape"}.get(c, c) for c in split.labels}


def test_episodes_have_no_table_and_one_of_an_earlier_run_is_removed(data: Data, layout: AnalysisLayout):
    episodes = data[0].episodes[1]
    table = layout.split_table(*episodes.place)
    table.parent.mkdir(parents=True)
    table.write_text("episode,part,name,label\n", encoding="utf-8")
    written = write(data, layout, ("json", "csv")).paths
    assert not table.exists()
    tables = {path for path in written if path.suffix == ".csv"}
    assert tables == {layout.split_table(*split.place) for split in data[0].drawn}


def test_a_coop_list_leads_to_the_images(data: Data, layout: AnalysisLayout):
    write(data, layout)
    splits, _, files = data
    for split in splits.drawn:
        content = json.loads(layout.split_coop(*split.place).read_text("utf-8"))
        assert list(content) == ["train", "val", "test"]
        for target, parts in (("train", ["support"]), ("val", ["validation"]), ("test", ["query", "test"])):
            told = [name for part in parts for name in split.parts[part].names]
            assert [(files.folder / path).read_text("utf-8") for path, _, _ in content[target]] == told
        classes = sorted(set(split.labels))
        assert {(number, name) for rows in content.values() for _, number, name in rows} == {
            (number, {"a": "Ape"}.get(class_id, class_id)) for number, class_id in enumerate(classes)
        }


def test_paths_start_at_the_images_or_at_the_manifest(tmp_path: Path):
    images = tmp_path / "dataset/photo/JPEGImages"
    images.mkdir(parents=True)
    (tmp_path / "lists").mkdir()
    manifest = tmp_path / "lists/all.csv"
    manifest.write_text("path\n", encoding="utf-8")
    for spec, root, expected in (
        (DatasetSpec("photo"), tmp_path, "x/1.jpg"),
        (DatasetSpec("photo", tmp_path / "dataset/photo"), Path(), "x/1.jpg"),
        (DatasetSpec("photo", tmp_path / "dataset"), Path(), "photo/JPEGImages/x/1.jpg"),
        (DatasetSpec("photo", manifest), Path(), "../dataset/photo/JPEGImages/x/1.jpg"),
    ):
        assert ImageFiles.of(spec, root, [images / "x/1.jpg"]).relative(0) == expected


def test_formulas_and_commas_stay_exact_and_are_told(layout: AnalysisLayout, tmp_path: Path):
    names = ['=HYPERLINK("x")', 'a,"b"\r\n', "@c", "d "]
    rows = np.zeros((4, 2), np.float32)
    features = Features("photo", tuple(names), ("-k",) * 4, embeddings=rows)
    parts = {
        part: Part((name,), ("-k",), np.array([row]))
        for row, (part, name) in enumerate(zip(("support", "validation", "query", "test"), names, strict=True))
    }
    split = Split("photo", "random", 1, 1, 1, 0, parts, CERTIFICATE)
    splits = Splits("photo", (split,), (), (), LeftOut(), ())
    written = write_splits(splits, features, layout, formats=("csv",))
    assert [row["name"] for row in read_csv(layout.split_table(*split.place))] == names
    assert any("3 names or classes in the tables look like a formula" in notice for notice in written.notices)


# ---- class folders of links ----


def linked(folder: Path) -> dict[str, list[str]]:
    """Part -> what the links in it lead to, read without following a folder."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            part = path.relative_to(folder).parts[0]
            found.setdefault(part, []).append(path.read_text("utf-8"))
    return found


def test_links_lead_to_the_images_of_each_part(data: Data, layout: AnalysisLayout):
    written = write(data, layout)
    for split in data[0].drawn:
        folder = layout.split_links(*split.place)
        assert folder in written.paths
        assert linked(folder) == {part: sorted(one.names) for part, one in split.parts.items() if len(one)}
        links = [path for path in folder.rglob("*") if path.is_symlink()]
        assert not any(path.readlink().is_absolute() for path in links)
        for part in (path for path in folder.iterdir() if path.is_dir()):
            assert sorted(path.name for path in part.iterdir()) == sorted(set(split.labels))
    assert any("episodes are not written as links" in notice for notice in written.notices)


def test_links_work_from_below_a_linked_folder(data: Data, tmp_path: Path):
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "far/away")
    layout = AnalysisLayout(tmp_path / "out", "photo")
    write(data, layout)
    split = data[0].drawn[0]
    assert linked(layout.split_links(*split.place))["support"] == sorted(split.names)


HOSTILE = [
    "..",
    ".",
    "a/b",
    "a:b",
    "A",
    "a",
    "con",
    "",
    " x ",
    "é" * 300,
    "é" * 300 + "!",
    "tab\t",
    "a_b",
    ".hid",
    "~",
    "x.",
]


def test_hostile_class_ids_and_file_names_stay_inside_and_apart(tmp_path: Path, layout: AnalysisLayout):
    keys, paths = [], []
    for number in range(len(HOSTILE)):
        for copy in ("one", "two", "three"):
            path = tmp_path / "images" / str(number) / copy / "Same name.JPG"
            path.parent.mkdir(parents=True)
            path.write_text(f"{number} {copy}", encoding="utf-8")
            keys.append(f"{number}/{copy}"), paths.append(path)
    labels = [class_id for class_id in HOSTILE for _ in range(3)]
    rows = np.zeros((len(keys), 2), np.float32)
    features = Features("photo", tuple(keys), tuple(labels), embeddings=rows)
    config = replace(CONFIG, strategies=("random",), k_shots=(1,), n_classes=len(HOSTILE), n_validation=1, n_query=1)
    splits = draw_splits(LabelledImages("photo", keys, labels), config=config)
    before = sorted(path for path in tmp_path.rglob("*") if layout.root not in path.parents)
    write((splits, features, ImageFiles(tmp_path / "images", tuple(paths))), layout)
    (split,) = splits.drawn
    folder = layout.split_links(*split.place)
    assert {path for path in tmp_path.rglob("*") if layout.root not in path.parents} - {layout.root} == set(before)
    folder_of = {row["label"]: row["folder"] for row in read_csv(folder / "classes.csv")}
    assert set(folder_of) == set(HOSTILE)
    for part, images in split.parts.items():
        if len(images):
            assert {path.name for path in (folder / part).iterdir()} == set(folder_of.values())
        for key, label in zip(images.names, images.labels, strict=True):
            (link,) = (folder / part / folder_of[label]).iterdir()
            assert link.read_text("utf-8") == key.replace("/", " ")
            assert link.name.startswith("Same name") and link.suffix == ".JPG"
    assert all(len(name.encode()) <= 120 for name in folder_of.values())


@given(st.lists(st.text(max_size=8) | st.sampled_from([*HOSTILE, "a~12345678", "ß", "SS", "ss"]), unique=True))
def test_safe_names_are_distinct_in_any_case_and_hold_nothing_unsafe(texts: list[str]):
    names = safe_names({text: text for text in texts})
    assert list(names) == texts
    assert len({name.casefold() for name in names.values()}) == len(texts)
    for name in names.values():
        assert name not in ("", ".", "..") and not set(name) & set('/\\:*?"<>|\0\n')
        assert name.isprintable() and name == name.strip(" .")


def test_ordinary_names_stay_as_they_are():
    names = ["cat", "11H(JOHN)", "sea horse", "Žluťoučký", "猫", "v1.5", "image_0001.jpg"]
    assert list(safe_names({name: name for name in names}).values()) == names


def test_a_name_does_not_depend_on_what_else_needs_a_suffix():
    assert safe_names({"a/b": "a/b"})["a/b"] == safe_names({"x": "x", "a/b": "a/b", "A/B": "A/B"})["a/b"]


def test_where_links_cannot_be_made_the_error_says_so(data: Data, layout: AnalysisLayout, monkeypatch):
    def refuse(self: Path, target: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(StoreError, match=r"cannot make a link .* Operation not permitted; .*leave out --split-formats"):
        write(data, layout)
    assert not layout.split_links(*data[0].drawn[0].place).exists()


# ---- earlier runs ----


def test_links_of_an_earlier_run_are_replaced_as_a_whole(data: Data, layout: AnalysisLayout):
    write(data, layout)
    folder = layout.split_links(*data[0].drawn[0].place)
    (folder / "support/a/stale.jpg").parent.mkdir(parents=True, exist_ok=True)
    (folder / "support/a/stale.jpg").write_text("stale", encoding="utf-8")
    write(data, layout)
    assert not list(folder.rglob("stale.jpg"))
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]


def test_forms_that_are_not_asked_for_are_removed_and_images_never(data: Data, layout: AnalysisLayout):
    write(data, layout)
    split = data[0].drawn[0]
    paths = layout.split_table(*split.place), layout.split_coop(*split.place), layout.split_links(*split.place)
    assert all(path.exists() for path in paths)
    write(data, layout, ("json",))
    assert not any(path.exists() for path in paths)
    assert all(path.is_file() for path in data[2].paths)


def test_a_folder_of_links_that_is_a_link_itself_is_only_unlinked(data: Data, layout: AnalysisLayout, tmp_path: Path):
    folder = layout.split_links(*data[0].drawn[0].place)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(data[2].folder)
    write(data, layout, ("json",))
    assert not folder.is_symlink() and all(path.is_file() for path in data[2].paths)


def lock_of(data: Data) -> Lock:
    splits, features, _ = data
    digests = tuple(f"{row:064x}" for row in range(len(features.keys)))
    images = DigestedImages(features.keys, features.labels, digests)
    return make_lock(splits, images, CONFIG, origin=LabelOrigin("class folders"))


def test_what_was_measured_on_earlier_splits_goes_with_their_lock(data: Data, layout: AnalysisLayout):
    write(data, layout)
    measured = [layout.seed_variance(suffix) for suffix in SEED_VARIANCE_FILES]
    for path in measured:
        path.write_text("of earlier splits", encoding="utf-8")
    write(data, layout)
    assert len(measured) == 3 and not any(path.exists() for path in measured)


def test_names_of_splits_are_told_from_paths(data: Data, layout: AnalysisLayout):
    assert all(is_split_name(layout.split(*one.place).name) for one in (*data[0].drawn, *data[0].episodes))
    name = layout.split(*data[0].drawn[0].place).name
    for other in (f"../{name}", f"/{name}", f"{name}\n", name.removesuffix(".json"), "splits.lock", ".json", ""):
        assert not is_split_name(other), other


def test_the_lock_goes_before_the_first_file_and_comes_last(data: Data, layout: AnalysisLayout, monkeypatch):
    write(data, layout)
    write_lock(lock_of(data), layout)
    content = json.loads(layout.splits_lock.read_text("utf-8"))
    assert content == json.loads(json.dumps(lock_of(data).to_json()))
    assert all((layout.few_shot / split["file"]).is_file() for split in content["splits"])
    assert list(content)[-1] == "sha256"

    def fail(*_: object) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr(overlens.split_files, "write_json", fail)
    with pytest.raises(RuntimeError):
        write(data, layout)
    assert not layout.splits_lock.exists(), "it would speak of files that are being replaced"


def test_twice_the_same_gives_the_same_bytes(data: Data, layout: AnalysisLayout, tmp_path: Path):
    other = AnalysisLayout(tmp_path / "again", "photo")
    contents = []
    for place in (layout, other):
        write(data, place)
        write_lock(lock_of(data), place)
        files = [path for path in place.few_shot.rglob("*") if path.is_file() and not path.is_symlink()]
        contents.append({str(path.relative_to(place.few_shot)): path.read_bytes() for path in files})
    assert contents[0] == contents[1] and len(contents[0]) > 30


def test_without_images_only_forms_that_name_none_are_written(data: Data, layout: AnalysisLayout):
    splits, features, _ = data
    written = write_splits(splits, features, layout, formats=ALL)
    assert not (layout.few_shot / "coop").exists() and not (layout.few_shot / "links").exists()
    assert layout.split_table(*splits.drawn[0].place).is_file()
    assert any("there are no images, so splits are not written as coop and links" in one for one in written.notices)


def test_splits_of_real_images_are_read_as_class_folders(shared_data: Path, layout: AnalysisLayout):
    from overlens.sources import list_images

    spec = DatasetSpec("photo", shared_data / "caltech101_mini")
    listing = list_images(spec, Path(), use_ground_truth=False)
    rows = np.zeros((len(listing.keys), 1), np.float32)
    features = Features("photo", listing.keys, listing.labels, embeddings=rows)
    config = FewShotConfig(k_shots=(5,), n_classes=4, n_seeds=1, strategies=("long_tail",))
    splits = draw_splits(LabelledImages("photo", listing.keys, listing.labels), config=config)
    files = ImageFiles.of(spec, Path(), listing.paths)
    write_splits(splits, features, layout, files=files, formats=ALL)
    (split,) = splits.drawn
    content = json.loads(layout.split_coop(*split.place).read_text("utf-8"))
    assert [path for path, _, _ in content["train"]] == list(split.names)
    for part, images in split.parts.items():
        folder = layout.split_links(*split.place) / part
        assert sum(path.stat().st_size > 0 for path in folder.glob("*/*")) == len(images)
