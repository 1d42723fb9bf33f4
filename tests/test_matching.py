"""Every couple of datasets may have a threshold of its own, and its list holds just the pairs at it."""

import json
from pathlib import Path

import numpy as np
import pytest

from overlens.calibration.thresholds import Thresholds, given_thresholds
from overlens.config import PairConfig
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.matching import match_datasets
from overlens.progress import Progress
from overlens.records import Features

SIZES = {"a": 25, "b": 20, "c": 15}
COUPLES = [("a", "a"), ("a", "b"), ("a", "c"), ("b", "b"), ("b", "c"), ("c", "c")]
OWN = {
    "cosine": dict(zip(COUPLES, (0.9, 0.55, 0.8, 0.5, 0.7, 0.95), strict=True)),
    "perceptual": dict(zip(COUPLES, (20, 24, 16, 0, 22, 26), strict=True)),
}


@pytest.fixture(scope="module")
def datasets() -> list[Features]:
    generator = np.random.Generator(np.random.PCG64(4))
    made = []
    for name, n in SIZES.items():
        rows = generator.normal(size=(n, 6)) + 0.8
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        hashes = generator.integers(0, 256, (n, 8), np.uint8)
        made.append(
            Features(name, tuple(f"{name}{i:02}" for i in range(n)), (None,) * n, embeddings=rows, hashes=hashes)
        )
    return made


def written(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.json")}


@pytest.mark.parametrize("method", ["cosine", "perceptual"])
def test_the_list_of_a_couple_holds_the_pairs_at_its_threshold(method: str, datasets: list[Features], tmp_path: Path):
    nothing_stated = PairConfig((method,), min_similarity=None, max_distance_bits=None)
    found = match_datasets(
        method, datasets, nothing_stated, tmp_path / "own", Progress(), thresholds=Thresholds({method: OWN[method]})
    )
    loosest = PairConfig((method,), min_similarity=-1.0, max_distance_bits=60)
    match_datasets(method, datasets, loosest, tmp_path / "all", Progress())
    for pair_set in found.pair_sets:
        first, second = pair_set.first, pair_set.second
        threshold = OWN[method][first, second]
        place = AnalysisLayout(tmp_path / "all", first) if first == second else CrossLayout(tmp_path / "all")
        every = json.loads(place.duplicates(*(() if first == second else (first, second)), method).read_text())
        wanted = [row for row in every if (row[2] >= threshold if method == "cosine" else row[2] <= threshold)]
        assert json.loads(pair_set.path.read_text()) == wanted
        assert (pair_set.n_pairs, pair_set.threshold) == (len(wanted), threshold)
    assert {pair_set.n_pairs > 0 for pair_set in found.pair_sets} == {True, False} or method == "cosine"


@pytest.mark.parametrize("method", ["cosine", "perceptual"])
def test_stated_numbers_give_the_same_files_either_way(method: str, datasets: list[Features], tmp_path: Path):
    config = PairConfig(min_similarity=0.75, max_distance_bits=21)
    match_datasets(method, datasets, config, tmp_path / "config", Progress())
    stated = given_thresholds(config, list(SIZES))
    match_datasets(method, datasets, PairConfig(), tmp_path / "thresholds", Progress(), thresholds=stated)
    assert written(tmp_path / "config") == written(tmp_path / "thresholds")
    assert len(written(tmp_path / "config")) == 6


def test_a_threshold_left_to_calibration_must_be_handed_in(datasets: list[Features], tmp_path: Path):
    with pytest.raises(ValueError, match="no threshold by cosine"):
        match_datasets("cosine", datasets, PairConfig(min_similarity=None), tmp_path, Progress())
