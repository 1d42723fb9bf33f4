"""Exported features are those of the run, whatever became of the files since, and say how they were made."""

import json
from functools import partial
from pathlib import Path

import pytest

import overlens
from overlens.errors import DatasetError
from overlens.testing import FakeEncoder, write_pictures

FILES = ("names.json", "labels.json", "hashes.json", "embeddings.npy", "features.json")


@pytest.fixture
def run(tmp_path: Path):
    write_pictures(tmp_path / "images", range(6))
    options = {"encoder": FakeEncoder(), "output": tmp_path, "projections": "none", "no_verify": True}
    return partial(overlens.analyze, {"x": tmp_path / "images"}, **options)


@pytest.fixture
def analysis(tmp_path: Path) -> Path:
    return tmp_path / "dataset" / "x-data" / "analysis"


def alter(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"junk" if how == "junk" else bytes(content))


@pytest.mark.parametrize("how", ["one bit", "junk", "gone"])
@pytest.mark.parametrize("name", FILES)
def test_an_altered_file_is_made_again(run, analysis: Path, name: str, how: str):
    run()
    before = {file: (analysis / file).read_bytes() for file in FILES}
    alter(analysis / name, how)
    assert sum(run().read.values()) == 0
    assert {file: (analysis / file).read_bytes() for file in FILES} == before


def test_files_that_are_as_they_were_are_not_written_again(run, analysis: Path):
    run()
    before = {file: (analysis / file).stat().st_mtime_ns for file in FILES}
    run()
    assert {file: (analysis / file).stat().st_mtime_ns for file in FILES} == before


@pytest.mark.parametrize("name", ["hashes.json", "embeddings.npy"])
def test_altered_rows_are_not_analysed(run, analysis: Path, tmp_path: Path, name: str):
    run()
    alter(analysis / name, "one bit")
    with pytest.raises(DatasetError, match=rf"{name} is not what features\.json beside it describes"):
        overlens.analyze(["x"], root=tmp_path, from_embeddings=True, projections="none")


def test_altered_rows_that_a_run_does_not_need_are_no_longer_spoken_of(run, analysis: Path):
    run()
    alter(analysis / "embeddings.npy", "one bit")
    run(method="perceptual", encoder=None)
    assert json.loads((analysis / "features.json").read_text())["embeddings"] is None


def test_scaled_decoding_is_said_wherever_its_features_are(run, analysis: Path, tmp_path: Path):
    run(scaled_decode=True)
    assert json.loads((analysis / "features.json").read_text())["scaled_decode"] is True
    assert json.loads((tmp_path / "dataset" / "cross" / "overlap.json").read_text())["scaled_decode"] is True
    again = overlens.analyze(["x"], root=tmp_path, output=tmp_path / "again", from_embeddings=True, projections="none")
    assert any("at a fraction of their size" in notice for notice in again.notices)
    run()
    assert json.loads((analysis / "features.json").read_text())["scaled_decode"] is False
