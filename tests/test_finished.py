"""A run read again from its results: the same images, the same command, and nothing of an earlier run."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import overlens
from overlens.command_line import arguments_of
from overlens.errors import ConfigError, DecodeError, StoreError
from overlens.finished import FinishedRun
from overlens.image_table import NamedDigests
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.testing import FakeEncoder, encode_picture, make_picture

OPTIONS = {"encoder": FakeEncoder(), "projections": "none"}


def make_datasets(root: Path) -> dict[str, Path]:
    """Write two small datasets that share a picture."""
    folders = {"a": root / "images a", "b": root / "images b"}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        for number in range(4):
            picture = make_picture(number if name == "a" else number + 3)
            (folder / f"{number}.png").write_bytes(encode_picture(picture))
    return folders


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, overlens.Analysis]:
    """Return a folder of results and the run that made them."""
    root = tmp_path_factory.mktemp("finished")
    analysis = overlens.analyze(make_datasets(root), output=root / "out", **OPTIONS)
    return root / "out", analysis


def test_the_images_of_a_run_come_back(results: tuple[Path, overlens.Analysis]):
    root, analysis = results
    images = FinishedRun.open(root).images
    assert images.dataset_names == ("a", "b")
    assert images.names.to_pylist() == [key for one in analysis.datasets.values() for key in one.keys]
    assert images.datasets.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(images.groups, analysis.copies.groups.group_of)
    assert (images.sizes_px > 0).all()
    assert all(images.path(row).is_file() for row in range(len(images)))


def test_pictures_are_those_of_the_images(results: tuple[Path, overlens.Analysis]):
    run = FinishedRun.open(results[0])
    shared = run.images.groups == 0
    one, other = (run.picture(row) for row in np.flatnonzero(shared))
    np.testing.assert_array_equal(one, other)


def test_images_are_found_by_dataset_and_name(results: tuple[Path, overlens.Analysis]):
    images = FinishedRun.open(results[0]).images
    rows = [5, 0, 4, 4]
    datasets, names = [images.dataset(row) for row in rows], [images.name(row) for row in rows]
    assert images.rows_of(datasets, names).tolist() == rows
    assert images.rows_of(["a", "c", "b"], ["none.png", names[0], names[0]]).tolist() == [-1, -1, 5]
    assert images.rows_of([], []).tolist() == []
    digests = NamedDigests(images)
    assert len(digests) == 8 and dict(digests) == {
        (images.dataset(row), images.name(row)): hashlib.sha256(images.path(row).read_bytes()).digest()
        for row in range(8)
    }
    assert ("a", "none.png") not in digests


def test_the_command_and_the_files_are_those_of_the_run(results: tuple[Path, overlens.Analysis]):
    root, analysis = results
    run = FinishedRun.open(root)
    assert run.arguments == arguments_of(analysis.config)
    assert run.made(CrossLayout(root).overlap) and run.made(AnalysisLayout(root, "a").embeddings)
    assert not run.made(CrossLayout(root).transfer_matrix("json"))
    assert run.numbers == json.loads(CrossLayout(root).overlap.read_text("utf-8"))


def test_files_of_an_earlier_run_are_not_its_own(tmp_path: Path):
    folders = make_datasets(tmp_path)
    overlens.analyze(folders, output=tmp_path / "out", **OPTIONS)
    overlens.analyze(folders, output=tmp_path / "out", **OPTIONS, method="perceptual")
    run, layout = FinishedRun.open(tmp_path / "out"), CrossLayout(tmp_path / "out")
    assert layout.venn("cosine").exists() and not run.made(layout.venn("cosine"))
    assert run.made(layout.venn("perceptual"))


def test_equal_runs_leave_equal_records(results: tuple[Path, overlens.Analysis]):
    root, analysis = results
    layout = CrossLayout(root)
    before = layout.run.read_bytes(), layout.images.read_bytes()
    overlens.analyze({spec.name: spec.path for spec in analysis.config.datasets}, output=root, **OPTIONS)
    assert (layout.run.read_bytes(), layout.images.read_bytes()) == before


def test_without_evidence_a_picture_is_made_of_its_file_and_only_of_the_same_bytes(tmp_path: Path):
    folders = make_datasets(tmp_path)
    overlens.analyze(folders, output=tmp_path / "out", no_verify=True, **OPTIONS)
    run = FinishedRun.open(tmp_path / "out")
    assert run.images.renditions is None
    np.testing.assert_array_equal(run.picture(0), make_picture(0))
    run.images.path(1).write_bytes(b"other bytes")
    with pytest.raises(DecodeError, match="changed since it was analysed"):
        run.picture(1)


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no finished run below .* run overlens compute first"):
        FinishedRun.open(tmp_path)


@pytest.mark.parametrize("content", ['{"format": 0, "overlens": "9.9"}', "[]"], ids=["other format", "no object"])
def test_a_record_of_another_version_is_refused(tmp_path: Path, content: str):
    path = CrossLayout(tmp_path).run
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ConfigError, match="another version of overlens"):
        FinishedRun.open(tmp_path)


def test_a_damaged_record_is_told(tmp_path: Path):
    path = CrossLayout(tmp_path).run
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(StoreError, match=r"damaged .* run overlens compute again"):
        FinishedRun.open(tmp_path)
