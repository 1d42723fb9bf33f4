"""What people decide counts: in the overlap, the groups, the tables, the report and the removal, until it is undone."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import overlens
from overlens.analysis import Analysis
from overlens.cli.dedupe import _print as print_removal
from overlens.cli.summary import print_summary
from overlens.config import DatasetSpec, EncoderConfig, RunConfig
from overlens.decisions.honoured import HonouredDecisions
from overlens.decisions.records import DecidedImage, Occasion
from overlens.decisions.store import DecisionStore
from overlens.dedupe.run import dedupe
from overlens.finished import FinishedRun
from overlens.image_table import NamedDigests
from overlens.layout import CrossLayout
from overlens.report_contents.pairs import shown_pairs
from overlens.report_contents.words import findings_of
from overlens.testing import FakeEncoder, encode_picture
from pictures import make_detailed, unrendered_pictures

Image = tuple[str, str]
NAMES = ("first", "second")
pytestmark = pytest.mark.usefixtures("unrendered")


def grey(seed: int) -> np.ndarray:
    return np.repeat(make_detailed(seed)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Equal files; a crop, there twice with equal pixels; a mirrored picture; pictures of their own; blank pages."""
    root = tmp_path_factory.mktemp("decided")
    blank = np.broadcast_to(np.linspace(246, 250, 80)[:, None, None], (80, 80, 3)).astype(np.uint8)
    crop = np.ascontiguousarray(grey(1)[20:210, 30:280])
    pictures = {
        "first/0.png": grey(0),
        "first/1.png": grey(1),
        "first/2.png": grey(2),
        "first/3.png": grey(3),
        "first/blank.png": blank,
        "second/equal.png": grey(0),
        "second/crop.png": crop,
        "second/crop.bmp": crop,
        "second/mirror.png": np.ascontiguousarray(grey(2)[:, ::-1]),
        "second/other.png": grey(9),
        "second/page.png": blank - 3,
    }
    for name, pixels in pictures.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(encode_picture(pixels, "BMP" if name.endswith("bmp") else "PNG"))
    return root


class Desk:
    """Makes decisions on the images of a folder, and runs the analysis again."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder, self.output = folder, output
        self.undecided: tuple[dict[str, bytes], dict[tuple[str, str], Any], dict[str, Any]]
        self.store = DecisionStore(CrossLayout(output).decisions)

    def image(self, name: str) -> DecidedImage:
        digest = hashlib.sha256((self.folder / name).read_bytes()).digest()
        return DecidedImage(digest, *name.split("/"))

    def decide(self, one: str, other: str, answer: str) -> None:
        self.store.decide(self.image(one), self.image(other), answer, Occasion("desk"))

    def undo(self) -> None:
        assert self.store.undo() is not None

    def run(self, **options: Any) -> Analysis:
        datasets = [f"{name}={self.folder / name}" for name in NAMES]
        options = {"encoder": FakeEncoder(), "projections": "none", "no_report": True, **options}
        return overlens.analyze(datasets, output=self.output, **options)

    def files(self) -> dict[str, bytes]:
        cross = CrossLayout(self.output)
        return {path.name: path.read_bytes() for path in (cross.overlap, cross.pairs, cross.groups)}

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        found = pq.read_table(CrossLayout(self.output).pairs).to_pylist()
        return {(f"{row['dataset_a']}/{row['image_a']}", f"{row['dataset_b']}/{row['image_b']}"): row for row in found}

    def verified(self) -> dict[str, Any]:
        numbers: dict[str, Any] = json.loads(CrossLayout(self.output).overlap.read_text())["methods"]["verified"]
        return numbers


@pytest.fixture(scope="module")
def shared_desk(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(folder, tmp_path_factory.mktemp("output"))
    with unrendered_pictures():
        desk.run()
    desk.undecided = desk.files(), desk.rows(), desk.verified()
    return desk


@pytest.fixture
def desk(shared_desk: Desk) -> Iterator[Desk]:
    """A desk without decisions, over results whose features are known; `undecided` is what a run without any wrote."""
    yield shared_desk
    for path in CrossLayout(shared_desk.output).of_decisions:
        path.unlink(missing_ok=True)


def test_a_copy_that_is_decided_away_is_gone_until_that_is_undone(desk: Desk):
    before, rows, numbers = desk.undecided
    assert numbers["contained"] == {"first": {"second": 3}, "second": {"first": 4}} and "decisions" not in numbers
    assert {row["decision"] for row in rows.values()} == {None}
    assert all(row["machine_verdict"] == row["verdict"] for row in rows.values())

    desk.decide("second/mirror.png", "first/2.png", "not a copy")
    analysis = desk.run()
    row = desk.rows()["first/2.png", "second/mirror.png"]
    assert (row["verdict"], row["strength"], row["decision"]) == ("look_alike", 1.0, "not a copy")
    assert row["machine_verdict"] in ("same_picture", "edited") and row["group"] is None
    assert desk.verified()["contained"] == {"first": {"second": 2}, "second": {"first": 3}}
    assert desk.verified()["decisions"]["honoured"] == {"copy": 0, "not a copy": 1, "same scene": 0}
    assert desk.verified()["decisions"]["n_changed"] == 1
    assert not any("2.png" in member for group in range(2) for member in analysis.groups().members_of(group))

    desk.undo()
    desk.run()
    assert desk.files() == before


def test_a_pair_that_nothing_proposed_counts_when_it_is_decided_to_be_a_copy(desk: Desk):
    before, rows, _ = desk.undecided
    assert ("first/3.png", "second/other.png") not in rows
    desk.decide("first/3.png", "second/other.png", "copy")
    desk.decide("first/blank.png", "second/page.png", "copy")
    analysis = desk.run()
    for pair in (("first/3.png", "second/other.png"), ("first/blank.png", "second/page.png")):
        row = desk.rows()[pair]
        assert (row["verdict"], row["strength"], row["decision"]) == ("edited", 1.0, "copy"), pair
        assert row["machine_verdict"] not in ("same_picture", "edited") and row["group"] is not None
    assert desk.verified()["contained"] == {"first": {"second": 5}, "second": {"first": 6}}
    assert analysis.copies is not None
    places, _ = analysis.copies.least_sure(*NAMES, 9)
    words = {analysis.copies.judged.describe(place) for place in places.tolist()}
    assert "edited (as a person decided)" in words
    desk.undo()
    desk.undo()
    desk.run()
    assert desk.files() == before


def test_a_decision_holds_for_images_with_equal_pixels(desk: Desk):
    assert desk.undecided[1]["first/1.png", "second/crop.bmp"]["verdict"] == "edited"
    desk.decide("first/1.png", "second/crop.png", "same scene")
    desk.run()
    rows = [desk.rows()["first/1.png", f"second/crop.{suffix}"] for suffix in ("png", "bmp")]
    assert [(row["verdict"], row["decision"], row["machine_verdict"]) for row in rows] == [
        ("same_scene", "same scene", "edited")
    ] * 2
    assert sorted(row["inferred"] for row in rows) == [False, True]
    assert desk.verified()["contained"]["second"]["first"] == 2

    desk.decide("first/1.png", "second/crop.bmp", "copy")
    desk.run()
    assert desk.verified()["contained"]["second"]["first"] == 4
    counts = desk.verified()["decisions"]
    assert (counts["honoured"]["copy"], counts["n_overruled"], counts["n_changed"]) == (1, 1, 0)
    assert desk.rows()["first/1.png", "second/crop.png"]["decision"] == "copy"


@pytest.mark.parametrize("answer", ["not a copy", "same scene"])
def test_equal_files_and_pixels_cannot_be_decided_away(desk: Desk, answer: str):
    before = desk.undecided[2]
    desk.decide("first/0.png", "second/equal.png", answer)
    desk.decide("second/crop.bmp", "second/crop.png", answer)
    analysis = desk.run()
    after = desk.verified()
    counts = after.pop("decisions")
    assert after == before
    assert (counts["n_contradicted"], sum(counts["honoured"].values())) == (2, 0)
    assert counts["first_contradicted"] == ["first", "0.png", "second", "equal.png"]
    assert desk.rows()["first/0.png", "second/equal.png"]["decision"] == answer
    told = [notice for notice in analysis.notices if notice.startswith("decisions: ")]
    assert len(told) == 1 and "2 decisions say of equal files or pixels that they are no copies" in told[0]


def test_unsure_changes_nothing_and_other_images_are_counted(desk: Desk):
    before = desk.undecided[1]
    desk.decide("first/1.png", "second/crop.png", "unsure")
    desk.decide("first/3.png", "second/other.png", "unsure")
    elsewhere = DecidedImage(bytes(32), "gone", "gone.png")
    desk.store.decide(elsewhere, desk.image("first/0.png"), "copy", Occasion("desk"))
    desk.run()
    assert {pair: {**row, "decision": None} for pair, row in desk.rows().items()} == before
    assert desk.rows()["first/1.png", "second/crop.png"]["decision"] == "unsure"
    counts = desk.verified()["decisions"]
    assert (counts["n_unsure"], counts["n_not_in_run"], sum(counts["honoured"].values())) == (2, 1, 0)


def test_a_pair_that_is_no_copy_and_joined_by_others_is_told(desk: Desk):
    desk.decide("first/0.png", "first/1.png", "not a copy")
    desk.decide("first/0.png", "second/other.png", "copy")
    desk.decide("first/1.png", "second/other.png", "copy")
    analysis = desk.run()
    counts = desk.verified()["decisions"]
    assert (counts["n_joined"], counts["first_joined"]) == (1, ["first", "0.png", "first", "1.png"])
    assert counts["honoured"] == {"copy": 2, "not a copy": 1, "same scene": 0}
    assert any("1 pair that is no copy by decision lies in one group" in notice for notice in analysis.notices)


def test_within_a_reference_nothing_is_decided(desk: Desk):
    desk.decide("first/1.png", "first/3.png", "copy")
    desk.decide("first/3.png", "second/other.png", "copy")
    desk.run(reference="first")
    counts = desk.verified()["decisions"]
    assert (counts["n_within_reference"], counts["honoured"]["copy"]) == (1, 1)
    assert not [pair for pair in desk.rows() if all(name.startswith("first/") for name in pair)]


def test_decisions_survive_other_names(desk: Desk, folder: Path, tmp_path: Path):
    desk.decide("first/2.png", "second/mirror.png", "not a copy")
    for name in NAMES:
        (tmp_path / name).mkdir()
        for path in (folder / name).iterdir():
            (tmp_path / name / f"new {path.name}").write_bytes(path.read_bytes())
    Desk(tmp_path, desk.output).run()
    assert desk.rows()["first/new 2.png", "second/new mirror.png"]["verdict"] == "look_alike"


def test_without_verification_decisions_are_told_to_be_unused(desk: Desk):
    assert not any(notice.startswith("decisions") for notice in desk.run(no_verify=True).notices)
    desk.decide("first/2.png", "second/mirror.png", "not a copy")
    told = [notice for notice in desk.run(no_verify=True).notices if notice.startswith("decisions: 1 decision in ")]
    assert len(told) == 1 and "not used: nothing was verified" in told[0]


def test_the_removal_goes_by_decisions(desk: Desk, capsys: pytest.CaptureFixture[str]):
    specs = tuple(DatasetSpec(name, desk.folder / name) for name in NAMES)
    config = RunConfig(specs, root=desk.output, output=desk.output, encoder=EncoderConfig("offline"))
    before = dedupe(config, encoder=FakeEncoder())
    assert before.settled.removed_keys()["second"] == {"equal.png", "crop.png", "crop.bmp", "mirror.png"}
    assert "decisions" not in before.to_json()
    desk.decide("first/2.png", "second/mirror.png", "not a copy")
    desk.decide("first/3.png", "second/other.png", "copy")
    after = dedupe(config, encoder=FakeEncoder())
    assert after.passed
    assert after.settled.removed_keys()["second"] == {"equal.png", "crop.png", "crop.bmp", "other.png"}
    assert after.to_json()["decisions"]["n_changed"] == 2
    print_removal(after)
    assert "Decisions of people that count: 2 (1 copy, 1 not a copy), 2 of them against" in capsys.readouterr().out


def test_the_report_says_what_people_said_and_what_they_said_since(desk: Desk):
    desk.decide("first/3.png", "second/other.png", "copy")
    desk.decide("first/2.png", "second/mirror.png", "unsure")
    desk.run()
    run = FinishedRun.open(desk.output)
    said = [words for words in findings_of(run) if "people" in words]
    assert said == [
        "Decisions of people that count: 1 (1 copy), 1 of them against the verdict of the pixels. Beside these: "
        "1 unsure."
    ]
    judged = {(run.images.name(pair.left), pair.judged, pair.words) for pair in shown_pairs(run, 99) if pair.judged}
    assert {("3.png", "copy", "")} == {entry for entry in judged if entry[1] == "copy"}
    assert [entry[:2] for entry in judged if entry[1] == "unsure"] == [("2.png", "unsure")]

    desk.decide("first/2.png", "second/mirror.png", "copy")
    run = FinishedRun.open(desk.output)
    assert "Since this run people decided otherwise or more" in findings_of(run)[-2]
    assert {pair.judged for pair in shown_pairs(run, 99)} == {"", "copy"}
    digests = NamedDigests(run.images)
    assert digests["second", "mirror.png"] == desk.image("second/mirror.png").digest
    for _ in range(3):
        desk.undo()
    desk.run()
    assert not [words for words in findings_of(FinishedRun.open(desk.output)) if "people" in words]


def test_counts_are_printed_and_come_back_from_json(desk: Desk, capsys: pytest.CaptureFixture[str]):
    desk.decide("first/0.png", "second/equal.png", "not a copy")
    analysis = desk.run()
    print_summary(analysis)
    words = " ".join(capsys.readouterr().out.split())
    assert "Decisions of people that count: 0. Beside these: 1 that could not be applied." in words
    assert analysis.copies is not None and analysis.copies.decisions is not None
    content = json.loads(json.dumps(analysis.copies.decisions.to_json()))
    assert HonouredDecisions.from_json(content) == analysis.copies.decisions


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    path.write_bytes(b"\xff" * 5000)
    yield
    assert path.read_bytes() == b"\xff" * 5000


def test_a_damaged_file_stops_the_run_and_stays(desk: Desk):
    with damaged(desk.store.path), pytest.raises(overlens.OverlensError, match=r"damaged.*left as it is"):
        desk.run()
