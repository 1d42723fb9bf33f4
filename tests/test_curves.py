"""A curve says at each threshold what a run with that threshold would say."""

import csv
import io
import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.calibration.thresholds import given_thresholds
from overlens.config import PairConfig
from overlens.curves import (
    OverlapCurve,
    cosine_curves,
    cosine_thresholds,
    curves_csv,
    distance_curves,
    distance_thresholds,
    rung_curves,
)
from overlens.matching import match_datasets
from overlens.progress import Progress
from overlens.records import Features
from overlens.search import count_comparisons, find_cosine_pairs, find_hamming_pairs
from overlens.verdicts import VERIFIED

SIZES = {"left": 70, "right": 45, "small": 1}


@pytest.fixture(scope="module")
def datasets():
    """Three datasets that share rows, near and equal ones."""
    rng = np.random.default_rng(12)
    pool, codes = rng.standard_normal((60, 32)), rng.integers(0, 256, (60, 8), np.uint8)
    made = []
    for name, size in SIZES.items():
        chosen = rng.integers(0, 60, size)
        rows = pool[chosen] + rng.choice([0.0, 0.2, 0.6], (size, 1)) * rng.standard_normal((size, 32))
        hashes = codes[chosen].copy()
        hashes[:, 0] ^= rng.integers(0, 16, size).astype(np.uint8)
        embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        keys = tuple(f"{name}{i}" for i in range(size))
        made.append(Features(name, keys, (None,) * size, embeddings=embeddings, hashes=hashes))
    return made


def thresholds_of(datasets, config):
    return given_thresholds(config, [features.dataset for features in datasets])


def curves_of(datasets, method, config):
    if method == "cosine":
        rows = {features.dataset: features.embeddings for features in datasets}
        return cosine_curves(rows, min_similarities=[config.min_similarity]), config.min_similarity
    hashes = {features.dataset: features.hashes for features in datasets}
    return distance_curves(hashes, n_bits=64, max_distances=[config.max_distance_bits]), config.max_distance_bits


@pytest.mark.parametrize(
    ("method", "config"),
    [
        ("cosine", PairConfig(min_similarity=0.9)),
        ("cosine", PairConfig(min_similarity=0.87654)),
        ("cosine", PairConfig(min_similarity=0.123)),
        ("cosine", PairConfig(min_similarity=1.0)),
        ("perceptual", PairConfig(max_distance_bits=5)),
        ("perceptual", PairConfig(max_distance_bits=0)),
        ("perceptual", PairConfig(max_distance_bits=40)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.min_similarity:g}, {value.max_distance_bits}",
)
def test_the_count_at_the_own_threshold_is_that_of_the_run(datasets, method, config, tmp_path):
    overlap = match_datasets(method, datasets, thresholds_of(datasets, config), tmp_path, Progress()).overlap
    curves, threshold = curves_of(datasets, method, config)
    assert len(curves) == 9
    for curve in curves:
        assert curve.method == method
        assert curve.size == SIZES[curve.dataset]
        inside = curve.dataset == curve.other
        expected = overlap.within[curve.dataset] if inside else overlap.contained[curve.dataset][curve.other]
        assert curve.count_at(threshold) == expected
        assert curve.shares[curve.thresholds.index(threshold)] == overlap.share(curve.dataset, curve.other)


@pytest.mark.parametrize("threshold", [0.5, 0.75, 0.93, 0.99])
def test_every_other_threshold_is_what_a_run_there_would_say(datasets, threshold, tmp_path):
    thresholds = thresholds_of(datasets, PairConfig(min_similarity=threshold))
    overlap = match_datasets("cosine", datasets, thresholds, tmp_path, Progress()).overlap
    curves, _ = curves_of(datasets, "cosine", PairConfig(min_similarity=0.9))
    counts = {(curve.dataset, curve.other): curve.count_at(threshold) for curve in curves}
    assert counts["left", "right"] == overlap.contained["left"]["right"] > 0
    assert counts["right", "left"] == overlap.contained["right"]["left"]
    assert counts["left", "left"] == overlap.within["left"]
    assert counts["small", "small"] == 0


def test_progress_sums_up_to_all_comparisons(datasets):
    seen = []
    rows = {features.dataset: features.embeddings for features in datasets}
    cosine_curves(rows, min_similarities=[0.9], progress=seen.append)
    within = sum(count_comparisons(size, None) for size in SIZES.values())
    assert sum(seen) == within + 70 * 45 + 70 * 1 + 45 * 1


@pytest.fixture(scope="module")
def published(shared_data):
    """Embeddings and hashes that were published for three collections of art."""
    embeddings, hashes = {}, {}
    for name in ("ArtDL", "ICONCLASS", "wikidata"):
        folder = shared_data / "art_published" / "dataset" / f"{name}-data" / "analysis"
        embeddings[name] = np.load(folder / "embeddings.npy").astype(np.float32)
        texts = json.loads((folder / "hashes.json").read_text(encoding="utf-8"))
        hashes[name] = np.array([list(bytes.fromhex(text)) for text in texts], np.uint8)
    return embeddings, hashes


def matched(blocks, n, m):
    """Which rows of each side some pair has."""
    left, right = np.zeros(n, bool), np.zeros(m, bool)
    for block in blocks:
        left[block.left] = right[block.right] = True
    return left, right


@pytest.mark.parametrize("threshold", [0.8, 0.9])
def test_published_embeddings_count_as_their_pairs_do(published, threshold):
    rows, _ = published
    counts = {(c.dataset, c.other): c.count_at(threshold) for c in cosine_curves(rows, min_similarities=[0.9])}
    for a, b in combinations(rows, 2):
        pairs = find_cosine_pairs(rows[a], rows[b], min_similarity=threshold)
        left, right = matched(pairs, len(rows[a]), len(rows[b]))
        assert (counts[a, b], counts[b, a]) == (left.sum(), right.sum())
    for name, own in rows.items():
        left, right = matched(find_cosine_pairs(own, None, min_similarity=threshold), len(own), len(own))
        assert counts[name, name] == (left | right).sum() > 0


@pytest.mark.parametrize("threshold", [0, 5, 8])
def test_published_hashes_count_as_their_pairs_do(published, threshold):
    _, hashes = published
    counts = {
        (c.dataset, c.other): c.count_at(threshold) for c in distance_curves(hashes, n_bits=64, max_distances=[5])
    }
    for a, b in combinations(hashes, 2):
        pairs = find_hamming_pairs(hashes[a], hashes[b], max_distance_bits=threshold)
        left, right = matched(pairs, len(hashes[a]), len(hashes[b]))
        assert (counts[a, b], counts[b, a]) == (left.sum(), right.sum())


@settings(max_examples=25, deadline=None)
@given(st.floats(-1, 1))
def test_cosine_thresholds_hold_the_grid_and_the_own_one(own):
    thresholds = cosine_thresholds([own])
    assert list(thresholds) == sorted(set(thresholds))
    assert {own, 0.5, 0.9, 0.99} <= set(thresholds)
    assert thresholds[0] >= min(own, 0.5)
    assert max(np.diff(thresholds)) < 0.0101


def test_every_own_threshold_is_among_those_of_all_curves(datasets):
    own = [0.613, 0.9, 0.4321, 0.613]
    rows = {features.dataset: features.embeddings for features in datasets}
    thresholds = {curve.thresholds for curve in cosine_curves(rows, min_similarities=own)}
    assert len(thresholds) == 1 and {*own, 0.44, 0.99} <= set(*thresholds)
    assert distance_thresholds(8, [3, 20, 3]) == (*range(8), 20)


@pytest.mark.parametrize(
    ("n_bits", "own", "expected"),
    [(64, 5, range(33)), (16, 5, range(16)), (64, 50, [*range(33), 50]), (4, 9, [0, 1, 2, 3, 9])],
    ids=["64 bits", "short hash", "wide own threshold", "own threshold above the hash"],
)
def test_distance_thresholds(n_bits, own, expected):
    assert distance_thresholds(n_bits, [own]) == tuple(expected)


def test_padding_bits_are_no_match():
    """A hash of 4 bits fills a byte; a lone image has no match at any threshold."""
    curves = distance_curves({"a": np.zeros((1, 1), np.uint8)}, n_bits=4, max_distances=[9])
    assert curves[0].n_matched == (0, 0, 0, 0, 0)


def test_the_reference_is_not_compared_with_itself():
    rows = {"a": np.zeros((3, 1), np.uint8), "b": np.zeros((2, 1), np.uint8)}
    compared: list[int] = []
    curves = distance_curves(rows, n_bits=8, max_distances=[2], reference="a", progress=compared.append)
    assert [(curve.dataset, curve.other) for curve in curves] == [("a", "b"), ("b", "b"), ("b", "a")]
    assert sum(compared) == 3 * 2 + 1


def test_rungs_add_up_from_the_surest():
    best = {("a", "b"): {"same_pixels": 2, "edited": 3}, ("a", "a"): {"same_bytes": 1}, ("b", "a"): {}}
    curves = {(c.dataset, c.other): c for c in rung_curves({"a": 9, "b": 4}, best)}
    assert curves["a", "b"].thresholds == VERIFIED
    assert curves["a", "b"].n_matched == (0, 2, 2, 5)
    assert curves["a", "a"].n_matched == (1, 1, 1, 1)
    assert curves["b", "a"].n_matched == (0, 0, 0, 0)
    assert ("b", "b") not in curves
    assert curves["a", "b"].shares[-1] == 5 / 9


@pytest.mark.parametrize("best", [{("a", "c"): {}}, {("a", "b"): {"look_alike": 1}}], ids=["dataset", "rung"])
def test_unknown_rungs_and_datasets_are_refused(best):
    with pytest.raises(ValueError, match="allowed are a, b and same_bytes"):
        rung_curves({"a": 9, "b": 4}, best)


@pytest.mark.parametrize(
    ("method", "thresholds", "n_matched", "match"),
    [
        ("cosine", (0.5, 0.6), (1,), "differ in length"),
        ("cosine", (0.5, 0.6), (1, 2), "fewer matches at a looser"),
        ("perceptual", (0, 1), (2, 1), "fewer matches at a looser"),
        ("perceptual", (0, 1), (2, 6), "has 5 images"),
        ("perceptual", (0, 0), (2, 2), "stands twice"),
    ],
    ids=["length", "cosine falls", "distance falls", "too many", "twice"],
)
def test_impossible_curves_are_refused(method, thresholds, n_matched, match):
    with pytest.raises(ValueError, match=match):
        OverlapCurve(method, "a", "b", thresholds, n_matched, 5)


def test_a_threshold_that_was_not_measured_is_named():
    with pytest.raises(ValueError, match=r"no threshold 0\.7; it has 0\.5, 0\.6"):
        OverlapCurve("cosine", "a", "b", (0.5, 0.6), (2, 1), 5).count_at(0.7)


def test_the_table_reads_back(datasets):
    curves = [*curves_of(datasets, "cosine", PairConfig())[0], *curves_of(datasets, "perceptual", PairConfig())[0]]
    rows = list(csv.DictReader(io.StringIO(curves_csv(curves))))
    assert list(rows[0]) == ["method", "dataset", "other", "threshold", "n_matched", "share"]
    expected = [
        (c.method, c.dataset, c.other, float(t), n, share)
        for c in curves
        for t, n, share in zip(c.thresholds, c.n_matched, c.shares, strict=True)
    ]
    read = [
        (
            row["method"],
            row["dataset"],
            row["other"],
            float(row["threshold"]),
            int(row["n_matched"]),
            float(row["share"]),
        )
        for row in rows
    ]
    assert read == expected


def test_an_empty_dataset_has_a_flat_curve():
    rows = {"a": np.eye(4, dtype=np.float32), "none": np.empty((0, 4), np.float32)}
    curves = {(c.dataset, c.other): c for c in cosine_curves(rows, min_similarities=[0.9])}
    assert set(curves["none", "a"].shares) == set(curves["a", "none"].shares) == {0.0}
    assert curves["none", "none"].size == 0
