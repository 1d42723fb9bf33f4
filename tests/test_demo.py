"""The demo's datasets hold exactly the overlap that was planted, and the analysis finds it."""

import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from overlens.demo import (
    DATASETS,
    EDITS,
    make_pictures,
    measure_recovery,
    planted_pairs,
    verified_pairs,
    write_datasets,
)
from overlens.edges import Edges
from overlens.groups.find import KeepRule, find_groups
from overlens.roster import Roster
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_BYTES

pytest.importorskip("skimage", reason="the demo's photographs come with the extra demo")
pytest.importorskip("sklearn", reason="the demo's photographs come with the extra demo")


@pytest.fixture(scope="module")
def pictures() -> list:
    return make_pictures()


def test_every_kind_of_copy_is_planted(pictures: list):
    counts = Counter(pair.edit for pair in planted_pairs(pictures))
    assert set(counts) == {*EDITS, "two different copies"}
    assert all(count >= 3 for count in counts.values())


def test_a_third_dataset_shares_with_both(pictures: list):
    couples = Counter(frozenset((pair.first[0], pair.second[0])) for pair in planted_pairs(pictures))
    assert set(couples) == {frozenset(names) for names in (DATASETS[:2], DATASETS[1:], DATASETS[::2])}


def test_an_identical_copy_has_the_same_bytes_and_the_others_have_not(pictures: list):
    originals = {picture.original: picture.data for picture in pictures if not picture.edit}
    for picture in pictures:
        if picture.edit:
            assert (picture.data == originals[picture.original]) == (picture.edit == "identical")


def test_originals_are_different_pictures(pictures: list):
    originals = [picture for picture in pictures if not picture.edit]
    assert len({picture.data for picture in originals}) == len(originals) > 60
    assert all(min(Image.open(io.BytesIO(picture.data)).size) >= 80 for picture in originals)


def test_the_same_datasets_every_time(pictures: list, tmp_path: Path):
    assert make_pictures() == pictures
    write_datasets(pictures, tmp_path)
    image = next(tmp_path.rglob("*.jpg"))
    before = image.stat().st_mtime_ns
    write_datasets(pictures, tmp_path)
    assert image.stat().st_mtime_ns == before


def test_recovery_counts_each_kind(pictures: list):
    planted = planted_pairs(pictures)
    half = {frozenset((pair.first, pair.second)) for pair in planted if pair.edit == "mirrored"}
    lines = {line.edit: line for line in measure_recovery(planted, {"cosine": half})}
    assert lines["mirrored"].n_found["cosine"] == lines["mirrored"].n_planted > 0
    assert lines["resized"].n_found["cosine"] == 0


def test_verified_pairs_are_those_of_one_group_in_different_datasets():
    roster = Roster(("a", "b"), (2, 2))
    left, right = np.array([0, 1, 0], np.int32), np.array([1, 2, 3], np.int32)
    edges = Edges(left, right, np.array([SAME_BYTES, EDITED, LOOK_ALIKE], np.uint8), np.ones(3, np.float32))
    copies = SimpleNamespace(groups=find_groups(roster, edges, KeepRule("first")))
    datasets = {"a": SimpleNamespace(keys=("p", "q")), "b": SimpleNamespace(keys=("p", "r"))}
    assert verified_pairs(copies, datasets) == {
        frozenset({("a", "p"), ("b", "p")}),
        frozenset({("a", "q"), ("b", "p")}),
    }


@pytest.mark.slow
def test_the_demo_finds_what_was_planted_and_says_what_to_open(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "overlens", "demo"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    folder = tmp_path / "overlens-demo"
    lines = [line.split() for line in done.stdout.splitlines()]
    found = {line[0]: [int(cell) for cell in line[1:]] for line in lines if line and line[0] in EDITS}
    assert set(found) == set(EDITS)
    for edit in ("identical", "resized", "recompressed"):
        assert found[edit][2] == found[edit][0], f"{edit} by perceptual hash"
    for edit in ("identical", "resized", "mirrored"):
        assert found[edit][1] == found[edit][0], f"{edit} by cosine"
    for edit in EDITS:
        assert found[edit][3] == found[edit][0], f"{edit} by verification"
    others = next(line.split() for line in done.stdout.splitlines() if line.strip().startswith("found, but not"))
    # Two quarters of the grass repeat a patch of it, as the photograph does; little else may be taken for a copy.
    assert int(others[-1]) <= 4 < int(others[4])
    for line in done.stdout.splitlines():
        if line.startswith("  overlens-demo"):
            assert (tmp_path / line.split()[0]).is_file()
    assert json.loads((folder / "planted.json").read_text())
    assert np.load(folder / "dataset" / "web-data" / "analysis" / "embeddings.npy").shape[1] == 1280
