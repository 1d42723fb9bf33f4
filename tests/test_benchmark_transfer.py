"""What a run says of transfer: what rests on copies that nobody looked for, and each notice once."""

import json
from pathlib import Path

import pytest

import overlens
from overlens.layout import CrossLayout
from overlens.testing import FakeEncoder, write_pictures
from pictures import unrendered_pictures

WHY = "within the reference no copies were looked for"


def analyse(folder: Path, **options) -> overlens.Analysis:
    with unrendered_pictures():
        return overlens.analyze(
            {name: folder / name for name in ("one", "two", "far", "off")},
            encoder=FakeEncoder(),
            output=folder / "out",
            projections="none",
            method="cosine",
            evaluate_cross_dataset=True,
            **options,
        )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets that share images, and two with classes of their own."""
    folder = tmp_path_factory.mktemp("transfer")
    write_pictures(folder / "one", range(9))
    write_pictures(folder / "two", range(6, 15))
    write_pictures(folder / "far", range(20, 24), ("d", "e"))
    write_pictures(folder / "off", range(30, 34), ("f", "g"))
    return folder


@pytest.fixture(scope="module")
def referenced(folders: Path) -> overlens.Analysis:
    return analyse(folders, reference="two")


def test_files_say_which_figures_rest_on_copies_within_the_reference(referenced: overlens.Analysis):
    layout = CrossLayout(referenced.output)
    matrix = json.loads(layout.transfer_matrix("json").read_text("utf-8"))
    assert matrix["copies_unknown_within"] == {"two": WHY}
    figures = json.loads(layout.transfer("one", "two", "json").read_text("utf-8"))["figures"]
    for one in figures:
        assert one.get("copies_unknown") == (WHY if one["average"] else None)
        assert (one["without_overlap"] is None) == one["figure"].startswith("in_domain")
    figures = json.loads(layout.transfer("two", "one", "json").read_text("utf-8"))["figures"]
    assert all("copies_unknown" not in one and one["without_overlap"] is not None for one in figures)
    lines = layout.transfer_matrix("csv").read_text("utf-8").splitlines()
    assert any(line.startswith("two,one,in_domain_knn,class,without_overlap") for line in lines)
    assert not any(line.startswith("one,two,in_domain_knn,class,without_overlap") for line in lines)


def test_notices_are_told_once_with_all_their_places(referenced: overlens.Analysis):
    told = f"two: {WHY}, so in-domain accuracy may rest on copies, and intervals may be too narrow"
    assert referenced.notices.count(told) == 1
    apart = [notice for notice in referenced.notices if notice.endswith("no class in common")]
    assert apart == ["one and far, one and off, two and far, two and off, far and off: no class in common"]


def test_predictions_name_the_model_and_the_dataset_once(folders: Path):
    image = next(path for path in sorted((folders / "one").rglob("*.png"))).relative_to(folders / "one")
    table = folders / "model.csv"
    table.write_text(f"image,predicted\n{image.as_posix()},{image.parent.name}\nnone.png,x\n", encoding="utf-8")
    notices = analyse(folders, predictions=[f"one={table}"]).notices
    assert "predictions: model has predictions for 1 of 9 labelled images of one; is it the right file?" in notices
    own = [notice for notice in notices if notice.startswith("predictions of model for one: ")]
    assert len(own) == 2 and not any("predictions of" in notice.partition(": ")[2] for notice in own)
