"""The rounds of removal, in memory and on pictures: nothing verified is left, and nothing of the user's is touched."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overlens.atomic import replaced_folder
from overlens.config import DatasetSpec, EncoderConfig, RunConfig, VerifyConfig
from overlens.dedupe.removal import REMOVAL_COLUMNS, RemovalRule
from overlens.dedupe.run import Deduped, dedupe
from overlens.dedupe.settle import Found, settle
from overlens.edges import Edges
from overlens.errors import ConfigError, StoreError
from overlens.layout import CleanedLayout, CrossLayout
from overlens.leftovers import find_files
from overlens.roster import Roster
from overlens.tables import write_csv
from overlens.testing import FakeEncoder, encode_picture, make_picture
from overlens.verdicts import SAME_BYTES, SAME_PICTURE

KEYS = (("a0", "a1", "a2"), ("b0", "b1"))
DATASETS = ("a", "b")


class Search:
    """All pairs of some images, except that a hidden one shows only when another image is gone."""

    def __init__(self, pairs: list[tuple[str, str]], hidden: Mapping[tuple[str, str], str]) -> None:
        self.pairs, self.hidden, self.n_calls = pairs, dict(hidden), 0

    def __call__(self, without: Mapping[str, AbstractSet[str]]) -> Found:
        self.n_calls += 1
        gone = {key for keys in without.values() for key in keys}
        keys = tuple(tuple(key for key in some if key not in gone) for some in KEYS)
        rows = {key: row for row, key in enumerate(key for some in keys for key in some)}
        shown = [*self.pairs, *(pair for pair, cover in self.hidden.items() if cover in gone)]
        found = [(rows[one], rows[two]) for one, two in shown if one in rows and two in rows]
        left, right = (np.array([pair[side] for pair in found], np.int32) for side in (0, 1))
        edges = Edges(left, right, np.full(len(found), SAME_PICTURE, np.uint8), np.ones(len(found), np.float32))
        roster = Roster(DATASETS, tuple(map(len, keys)))
        return Found(roster, keys, edges, np.arange(len(rows), 0, -1).astype(np.int64))


def test_nothing_to_remove_needs_no_second_search():
    search = Search([], {})
    settled = settle(search, "first", RemovalRule())
    assert (len(settled.removal), settled.n_left, search.n_calls) == (0, (0,), 1)


def test_what_comes_into_view_goes_as_well_and_twins_are_always_kept_ones():
    settled = settle(Search([("a1", "b0")], {("a0", "a1"): "b0", ("a2", "a0"): "a1"}), "first", RemovalRule())
    assert settled.n_left == (1, 1, 0)
    assert settled.removed_keys() == {"a": frozenset({"a1", "a2"}), "b": frozenset({"b0"})}
    assert set(settled.removal.kept.tolist()) == {0}
    row = settled.removal.removed.tolist().index(3)
    assert settled.removal.via[row] == (1,)


def test_the_rounds_are_bounded_and_what_is_left_is_told():
    settled = settle(
        Search([("a1", "b0")], {("a0", "a1"): "b0", ("a2", "a0"): "a1"}), "first", RemovalRule(), max_rounds=2
    )
    assert settled.n_left == (1, 1)
    assert (settled.left.left.tolist(), settled.left.right.tolist()) == ([0], [2])


def test_pairs_inside_the_reference_are_not_left_over():
    settled = settle(Search([("a0", "a1"), ("a1", "b0")], {}), "first", RemovalRule("a"))
    assert settled.removed_keys() == {"a": frozenset(), "b": frozenset({"b0"})}
    assert settled.n_left == (0,)


# ---- the removal list ----

NASTY = [
    "a,b",
    'say "x"',
    "two\nlines",
    "cr\rhere",
    " spaced ",
    "=1+1",
    "+x",
    "NA",
    "",
    "tab\there",
    "caf\udce9.jpg",
    "é",
]


def test_the_removal_list_keeps_every_name_exactly(tmp_path: Path):
    rows = [("d", name, "edited", "e", name[::-1] if name.isascii() else name, "1.0000", "") for name in NASTY]
    write_csv(tmp_path / "removed.csv", REMOVAL_COLUMNS, iter(rows), exact=True)
    with (tmp_path / "removed.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        header, *read = map(tuple, csv.reader(file, strict=True))
    assert header == ("dataset", "image", "reason", "kept_dataset", "kept_image", "strength", "via")
    assert read == rows
    assert b"caf\xe9.jpg" in (tmp_path / "removed.csv").read_bytes()


# ---- pictures ----


def resized(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((width * 2 // 3, height * 2 // 3), Image.Resampling.LANCZOS))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Folders train (0 to 4, 0 again in small, 1 again) and test (3 and 4 in small, 5)."""
    made = {seed: make_picture(seed, 320, 240) for seed in range(6)}
    files = {f"train/{seed}.png": made[seed] for seed in range(5)}
    files |= {"train/0-small.png": resized(made[0]), "train/1-again.png": made[1]}
    files |= {"test/x-3.png": resized(made[3]), "test/x-4.png": resized(made[4]), "test/=5.png": made[5]}
    for name, pixels in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_picture(pixels))
    return tmp_path


def request(pictures: Path, **settings: object) -> RunConfig:
    return RunConfig(
        datasets=tuple(DatasetSpec(name, pictures / name) for name in ("train", "test")),
        root=pictures,
        output=pictures / "out",
        encoder=EncoderConfig(model="offline"),
        verification=VerifyConfig(reference=settings.pop("reference", None)),
        **settings,
    )


def state_of(*folders: Path) -> dict[str, tuple[str, int]]:
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def removed_images(result: Deduped) -> dict[tuple[str, str], tuple[str, str, str]]:
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in result.rows()}


@pytest.mark.parametrize(
    ("options", "removed"),
    [
        pytest.param(
            {},
            {("train", "0-small.png"), ("train", "1.png"), ("test", "x-3.png"), ("test", "x-4.png")},
            id="each picture once",
        ),
        pytest.param(
            {"reference": "test"},
            {("train", "0-small.png"), ("train", "1.png"), ("train", "3.png"), ("train", "4.png")},
            id="reference",
        ),
        pytest.param({"across_only": True}, {("test", "x-3.png"), ("test", "x-4.png")}, id="across only"),
        pytest.param(
            {"reference": "test", "across_only": True}, {("train", "3.png"), ("train", "4.png")}, id="reference, across"
        ),
    ],
)
def test_pictures_are_left_once(options: dict[str, object], removed: set[tuple[str, str]], pictures: Path):
    across_only = bool(options.pop("across_only", False))
    config = request(pictures, **options)
    before = state_of(pictures / "train", pictures / "test")
    result = dedupe(config, across_only=across_only, encoder=FakeEncoder())
    found = removed_images(result)
    assert {name if name != ("train", "1-again.png") else ("train", "1.png") for name in found} == removed
    assert result.passed and result.settled.n_left[-1] == 0
    assert not CrossLayout(config.output_root).cleaned.exists()
    assert state_of(pictures / "train", pictures / "test") == before


def test_applied_it_writes_lists_that_hold_no_copies(pictures: Path):
    config = request(pictures)
    layout = CleanedLayout(CrossLayout(config.output_root).cleaned)
    (layout.folder / "stale").mkdir(parents=True)
    before = state_of(pictures / "train", pictures / "test")
    result = dedupe(config, apply=True, encoder=FakeEncoder())
    audit = json.loads(layout.audit.read_text(encoding="utf-8"))
    assert audit == json.loads(json.dumps(result.to_json()))
    assert audit["passed"] and audit["n_removed"] == 4 and audit["n_left_by_round"] == [0]
    numbers = audit["datasets"]["train"]
    assert (numbers["looked_at"], numbers["removed"], numbers["remaining"]) == (7, 2, 5)
    assert sum(numbers["removed_by_reason"].values()) == 2 and numbers["removed_by_reason"]["same_bytes"] == 1
    with layout.removed.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 5
    assert {path.name for path in layout.folder.iterdir()} == {"removed.csv", "audit.json", "manifests"}
    assert {path.name for path in layout.folder.parent.iterdir()} == {"cleaned", ".lock", "store"}
    assert not any(layout.folder in path.parents for path in find_files(config)), "no results of earlier runs"
    again = RunConfig(
        datasets=tuple(DatasetSpec(name, path) for name, path in result.cleaned.items()),
        output=pictures / "again",
        encoder=config.encoder,
    )
    assert len(dedupe(again, encoder=FakeEncoder()).settled.removal) == 0
    assert state_of(pictures / "train", pictures / "test") == before


def test_lists_that_read_wrongly_replace_nothing(pictures: Path, monkeypatch: pytest.MonkeyPatch):
    config = request(pictures)
    good = dedupe(config, apply=True, encoder=FakeEncoder())
    before = state_of(good.layout.folder)
    monkeypatch.setattr("overlens.dedupe.run.check_cleaned", lambda *_: "1 images differ")
    result = dedupe(config, apply=True, encoder=FakeEncoder())
    assert not result.passed and result.cleaned == {}
    assert result.problems == ("train: 1 images differ", "test: 1 images differ")
    assert state_of(good.layout.folder) == before
    assert {path.name for path in good.layout.folder.parent.iterdir()} == {"cleaned", "failed-audit", ".lock", "store"}
    assert {path.name for path in result.layout.folder.iterdir()} == {"removed.csv", "audit.json"}
    audit = json.loads(result.layout.audit.read_text(encoding="utf-8"))
    assert not audit["passed"] and audit["problems"] == list(result.problems)
    assert not any(result.layout.folder in path.parents for path in find_files(config)), "no results of earlier runs"


KILLED = """
import os, sys
from pathlib import Path
from overlens.atomic import replaced_folder
path, rename = Path(sys.argv[1]), Path.rename
Path.rename = lambda one, other: os._exit(9) if one.name.startswith(sys.argv[2]) else rename(one, other)
with replaced_folder(path, path.with_name("aside")) as folder:
    (folder / "new").touch()
"""


@pytest.mark.parametrize("dies_at", ["cleaned", ".partial-"], ids=["before the old steps aside", "with the old aside"])
def test_a_killed_replacement_loses_nothing(dies_at: str, tmp_path: Path):
    path, aside = tmp_path / "cleaned", tmp_path / "aside"
    path.mkdir()
    (path / "old").touch()
    assert subprocess.run([sys.executable, "-c", KILLED, str(path), dies_at], check=False).returncode == 9
    assert [file.name for folder in (path, aside) if folder.exists() for file in folder.iterdir()] == ["old"]
    with pytest.raises(ZeroDivisionError), replaced_folder(path, aside):
        raise ZeroDivisionError
    assert [file.name for file in path.iterdir()] == ["old"], "a run that fails brings it back as well"
    with replaced_folder(path, aside) as folder:
        (folder / "new").touch()
    assert [file.name for file in path.iterdir()] == ["new"]
    assert [one.name for one in tmp_path.iterdir()] == ["cleaned"]


def test_a_refused_rename_leaves_the_earlier_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "cleaned"
    path.mkdir()
    (path / "old").touch()
    rename = Path.rename

    def refuse(one: Path, other: Path) -> Path:
        if one.name.startswith(".partial-"):
            raise PermissionError(13, "Permission denied")
        return rename(one, other)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match="Permission denied"), replaced_folder(path, tmp_path / "aside"):
        pass
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*")] == ["cleaned", "cleaned/old"]


def test_files_refused_when_listed_are_said_to_be_left_out(pictures: Path):
    odd = os.fsencode(pictures / "train") + b"/a\xff.png"
    try:
        Path(os.fsdecode(odd)).write_bytes(encode_picture(make_picture(9, 64, 64)))
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    (pictures / "train/broken.png").write_bytes(b"\x89PNG no more")
    result = dedupe(request(pictures, max_failures=0.5), apply=True, encoder=FakeEncoder())
    told = [notice for notice in result.notices if "train" in notice]
    assert told == [
        r"train: 1 image is left out of what remains (a\udcff.png): "
        "its file name is not UTF-8; rename the file",
        "train: 1 image could not be used, was not looked at, and stays",
    ]
    written = "".join(path.read_text() for path in (result.layout.folder / "manifests/train").iterdir())
    assert "udcff" not in written and written.count("broken.png") == 2


def test_what_needs_a_look_is_said(pictures: Path):
    (pictures / "train" / "broken.png").write_bytes(b"\x89PNG no more")
    (pictures / "test" / "=5.png").rename(pictures / "test" / "=3.png")
    (pictures / "test" / "x-4.png").unlink()
    (pictures / "test" / "=3.png").write_bytes((pictures / "train" / "3.png").read_bytes())
    (pictures / "test" / "x-3.png").unlink()
    result = dedupe(request(pictures, max_failures=0.5), encoder=FakeEncoder())
    text = "\n".join(result.notices)
    assert "test: WARNING: all its images are copies to remove" in text
    assert "train: 1 image could not be used, was not looked at, and stays" in text
    assert "removed.csv: 1 line holds a name that a spreadsheet would take for a formula" in text
    assert removed_images(result)["test", "=3.png"] == ("same_bytes", "train", "3.png")


def test_what_cannot_work_is_refused_before_anything_is_read(pictures: Path):
    one = DatasetSpec("train", pictures / "train")
    both = one, DatasetSpec("test", pictures / "test")
    wrong = {
        "--from-embeddings reads no images, and": (RunConfig(both, from_embeddings=True), False),
        "only verified copies": (RunConfig(both, verify=False), False),
        "--across-only needs two datasets": (RunConfig((one,)), True),
        "train is read from": (RunConfig(both, output=pictures / "train" / "out"), False),
        "failed-audit, and x is read from": (
            RunConfig((DatasetSpec("x", pictures / "dataset/cross/failed-audit/x"),), output=pictures),
            False,
        ),
    }
    for message, (config, across_only) in wrong.items():
        with pytest.raises(ConfigError, match=message):
            dedupe(config, across_only=across_only)
    with pytest.raises(ConfigError, match="--reference 'nope' is not known; allowed: train, test"):
        RunConfig(both, verification=VerifyConfig(reference="nope"))


def test_cleaned_lists_are_not_written_over_themselves(pictures: Path):
    config = request(pictures)
    result = dedupe(config, apply=True, encoder=FakeEncoder())
    specs = tuple(DatasetSpec(name, path) for name, path in result.cleaned.items())
    with pytest.raises(ConfigError, match="choose a folder apart from it with --output"):
        dedupe(RunConfig(specs, output=config.output, encoder=config.encoder))


@pytest.mark.slow
def test_published_copies_are_gone_from_what_remains(shared_data: Path, tmp_path: Path):
    config = RunConfig(
        datasets=tuple(map(DatasetSpec, ("ArtDL", "wikidata"))),
        root=shared_data / "art",
        output=tmp_path,
        verification=VerifyConfig(reference="wikidata"),
    )
    result = dedupe(config, apply=True, encoder=FakeEncoder())
    assert result.passed
    assert {row[0] for row in result.rows()} == {"ArtDL"}
    names = (tmp_path / "dataset/cross/cleaned/dataset/ArtDL-data/2_test.txt").read_text().split()
    wiki = (shared_data / "art/dataset/wikidata-data/2_test.txt").read_text().split()
    before = (shared_data / "art/dataset/ArtDL-data/2_test.txt").read_text().split()
    assert set(before) & set(wiki) and not set(names) & set(wiki)
    assert SAME_BYTES in result.settled.removal.verdicts
