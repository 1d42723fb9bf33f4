"""Splits of a run: what their certificates, their lock and their seed variance say of one another."""

import json
from pathlib import Path

import pytest

import overlens
from overlens.cli import main
from overlens.layout import AnalysisLayout
from overlens.testing import FakeEncoder, write_pictures

OPTIONS = {
    "projections": "none",
    "method": "cosine",
    "generate_few_shot": True,
    "k_shots": (1,),
    "n_seeds": 2,
    "n_classes": 3,
    "strategies": ("random",),
    "held_out": "test",
}


def analyze(folder: Path, **options: object) -> overlens.Analysis:
    datasets = {"train": folder / "train", "test": folder / "test"}
    return overlens.analyze(datasets, output=folder / "out", encoder=FakeEncoder(), **{**OPTIONS, **options})


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Datasets of 24 and 6 pictures, 3 of them the same."""
    write_pictures(tmp_path / "train", range(24))
    write_pictures(tmp_path / "test", range(21, 27))
    return tmp_path


CUT = "only the first 4 of its 6 images were looked at (--max-images), so copies of the others may be in the splits"


@pytest.mark.parametrize(
    ("options", "is_searched", "is_told"),
    [
        ({}, True, False),
        ({"max_images": 24}, True, False),
        ({"max_images": 6}, True, False),
        ({"max_images": 4}, False, True),
        ({"max_images": 4, "held_out": ()}, None, False),
    ],
    ids=["no cap", "cap above", "cap at the size", "cut", "none held out"],
)
def test_a_dataset_held_out_that_is_cut_is_told(pictures: Path, options, is_searched, is_told: bool):
    result = analyze(pictures, **options)
    basis = result.few_shot[0].drawn[0].certificate.basis
    assert basis["held_out_fully_searched"] is is_searched
    assert any(f"few-shot splits: --held-out test: {CUT}" in notice for notice in result.notices) == is_told
    lock = json.loads(AnalysisLayout(result.output, "train").splits_lock.read_text("utf-8"))
    assert lock["copies"]["basis"]["held_out_fully_searched"] is is_searched


def test_an_image_held_out_that_cannot_be_read_was_not_looked_at(pictures: Path):
    (pictures / "test" / "broken.png").write_bytes(b"no image")
    result = analyze(pictures, max_failures=0.5)
    basis = result.few_shot[0].drawn[0].certificate.basis
    assert basis["held_out_fully_searched"] is False and basis["searched"]["test"]["failed"] == 1
    assert not any("--held-out test" in notice for notice in result.notices), "failures are told by themselves"


def test_the_seed_variance_names_the_lock_of_its_splits(pictures: Path, capsys: pytest.CaptureFixture[str]):
    first = analyze(pictures)
    layout = AnalysisLayout(first.output, "train")
    lock = json.loads(layout.splits_lock.read_text("utf-8"))
    variance = json.loads(layout.seed_variance("json").read_text("utf-8"))
    assert variance["splits_lock_sha256"] == lock["sha256"] == first.few_shot[0].lock_sha256
    check = ["check", "--splits", str(layout.few_shot), "--datasets", f"train={pictures / 'train'}"]
    with pytest.raises(SystemExit) as done:
        main(check)
    assert done.value.code == 0
    kept = layout.seed_variance("json").read_bytes()
    second = analyze(pictures, seed=5)
    assert second.few_shot[0].lock_sha256 != first.few_shot[0].lock_sha256
    layout.seed_variance("json").write_bytes(kept)
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main(check)
    out = capsys.readouterr().out
    assert done.value.code == 1 and "2 of 2 hold what it says" in out
    assert "seed_variance.json: it was measured on the splits of another lock" in out


def test_without_images_there_is_no_lock_to_name(pictures: Path):
    first = analyze(pictures)
    again = overlens.analyze(
        ["train"], root=first.output, output=pictures / "again", from_embeddings=True, **{**OPTIONS, "held_out": ()}
    )
    layout = AnalysisLayout(again.output, "train")
    assert not layout.splits_lock.exists() and again.few_shot[0].lock_sha256 is None
    assert json.loads(layout.seed_variance("json").read_text("utf-8"))["splits_lock_sha256"] is None
