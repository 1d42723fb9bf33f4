"""Every couple of datasets may have a threshold of its own, and its list holds just the pairs at it."""

import json
from pathlib import Path

import numpy as np
import pytest

from overlens.calibration.thresholds import Thresholds, given_thresholds
from overlens.config import PairConfig
from overlens.errors import ConfigError
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
    found = match_datasets(method, datasets, Thresholds({method: OWN[method]}), tmp_path / "own", Progress())
    loosest = given_thresholds(PairConfig((method,), min_similarity=-1.0, max_distance_bits=60), list(SIZES))
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
def test_within_the_reference_nothing_is_looked_for_and_nothing_is_said(
    method: str, datasets: list[Features], tmp_path: Path
):
    config = PairConfig(min_similarity=0.75, max_distance_bits=26)
    plain = match_datasets(method, datasets, given_thresholds(config, list(SIZES)), tmp_path / "plain", Progress())
    given = match_datasets(method, datasets, given_thresholds(config, list(SIZES), "b"), tmp_path / "given", Progress())
    assert plain.overlap.pairs_within["b"] > 0
    assert given.overlap.within == {**plain.overlap.within, "b": None}
    assert given.overlap.pairs_within == {**plain.overlap.pairs_within, "b": None}
    assert given.overlap.contained == plain.overlap.contained
    missing = str(AnalysisLayout(tmp_path / "plain", "b").duplicates(method).relative_to(tmp_path / "plain"))
    assert written(tmp_path / "plain").keys() - written(tmp_path / "given").keys() == {missing}
    assert [(one.first, one.second) for one in given.pair_sets] == [c for c in COUPLES if c != ("b", "b")]


def test_a_threshold_left_to_calibration_must_be_handed_in(datasets: list[Features], tmp_path: Path):
    thresholds = given_thresholds(PairConfig(min_similarity=None), list(SIZES))
    with pytest.raises(ConfigError, match="no threshold by 'cosine'; there are thresholds by perceptual"):
        match_datasets("cosine", datasets, thresholds, tmp_path, Progress())
