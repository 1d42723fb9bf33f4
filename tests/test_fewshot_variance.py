"""Seed variance: known accuracies, intervals by definition, and nothing that depends on order or threads."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from overlens.errors import ConfigError
from overlens.fewshot.splits import (
    Certificate,
    Episode,
    EpisodeSet,
    LeftOut,
    Part,
    SkippedSplit,
    Split,
    Splits,
)
from overlens.fewshot.variance import (
    COLUMNS,
    HALF_WIDTH,
    VARIANCE_PROBES,
    SeedVariance,
    Spread,
    count_needed,
    count_trials,
    measure_spread,
    measure_variance,
    variance_csv,
    variance_frame,
    variance_json,
)
from overlens.probes import PROBES, predict

CERTIFICATE = Certificate("not verified", None, None, None, None, False, False, (), LeftOut(), {})
N_CLASSES, N_EACH, DIM = 4, 30, 64
CODES = np.repeat(np.arange(N_CLASSES), N_EACH)
NAMES = tuple(f"{code}/{row:03}.jpg" for row, code in enumerate(CODES))


def unit(rows):
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def separable(noise=0.01):
    rng = np.random.default_rng(0)
    return unit(np.eye(N_CLASSES, DIM)[CODES] + noise * rng.normal(size=(len(CODES), DIM)))


def shapeless():
    return unit(np.random.default_rng(1).normal(size=(len(CODES), DIM)))


def part_of(rows):
    rows = np.asarray(rows, np.int64)
    return Part(tuple(NAMES[row] for row in rows), tuple(str(CODES[row]) for row in rows), rows)


def split_of(k, seed, n_query=10, strategy="random", classes=range(N_CLASSES)):
    rng = np.random.default_rng([seed, k])
    support, query = [], []
    for code in classes:
        rows = rng.permutation(np.flatnonzero(CODES == code))
        support += rows[:k].tolist()
        query += rows[k : k + n_query].tolist()
    parts = {"support": part_of(support), "validation": part_of([]), "query": part_of(query), "test": part_of([])}
    return Split("d", strategy, k, len(classes), len(classes), seed, parts, CERTIFICATE)


def episodes_of(k, seed, n_episodes=5, n_query=10):
    episodes = []
    for number in range(n_episodes):
        one = split_of(k, 1_000 * seed + number, n_query)
        places = [part.rows.astype(np.int32) for part in (one.support, one.parts["validation"], one.parts["query"])]
        episodes.append(Episode(*places))
    rows, codes = np.arange(len(CODES)), CODES.astype(np.int32)
    class_ids = tuple(map(str, range(N_CLASSES)))
    sizes = k, N_CLASSES, N_CLASSES, seed
    return EpisodeSet("d", *sizes, NAMES, class_ids, codes, rows, tuple(episodes), CERTIFICATE)


def splits_of(drawn=(), episodes=(), skipped=()):
    return Splits("d", tuple(drawn), tuple(episodes), tuple(skipped), LeftOut(), ())


def some_splits(n_seeds=3):
    seeds = range(n_seeds)
    return splits_of(
        [split_of(k, seed, strategy=name) for name in ("random", "long_tail") for k in (1, 5) for seed in seeds],
        [episodes_of(k, seed) for k in (1, 5) for seed in seeds],
    )


def test_separable_rows_are_told_apart_without_error():
    measured = measure_variance(some_splits(), separable())
    assert [(one.strategy, one.k_shot, one.probe) for one in measured] == [
        (strategy, k, probe)
        for strategy in ("random", "long_tail", "episodic")
        for k in (1, 5)
        for probe in VARIANCE_PROBES
    ]
    for one in measured:
        assert [seed.accuracy for seed in one.seeds] == [1.0] * 3
        assert (one.spread.mean, one.spread.deviation, one.spread.low, one.spread.high) == (1.0, 0.0, 1.0, 1.0)
        assert one.spread.n_needed is one.spread.n_needed_low is one.spread.n_needed_high is None


def test_rows_without_classes_are_guessed_at_chance():
    splits = splits_of([split_of(5, seed, 20) for seed in range(20)], [episodes_of(5, 0, 40, 20)])
    for one in measure_variance(splits, shapeless()):
        assert one.chance == 1 / N_CLASSES
        n_query, n = one.n_query, len(one.seeds)
        assert n_query == (20 * 4 * 20 if one.strategy == "random" else 40 * 4 * 20)
        within = 5 * math.sqrt(0.25 * 0.75 / n_query) + 0.03  # images repeat over seeds, so they count for less
        assert abs(one.spread.mean - one.chance) < within
        if n > 1:
            assert one.spread.low - 0.03 < one.chance < one.spread.high + 0.03


@pytest.mark.parametrize("probe", PROBES)
def test_an_accuracy_is_the_share_that_the_probe_finds(probe):
    embeddings, split = separable(0.3), split_of(5, 3)
    (one,) = measure_variance(splits_of([split]), embeddings, probes=(probe,))
    query, rows = split.parts["query"].rows, split.rows
    found = predict(probe, embeddings[rows], CODES[rows], embeddings[query])
    assert 0.3 < one.seeds[0].accuracy < 1
    assert one.seeds[0].accuracy == np.mean(found == CODES[query])
    assert (one.seeds[0].n_support, one.seeds[0].n_query, one.seeds[0].n_classes) == (20, 40, 4)


def test_equal_pictures_in_the_support_do_no_harm():
    embeddings, split = separable(0.3), split_of(5, 3)
    embeddings[split.rows[1]] = embeddings[split.rows[0]]
    measured = measure_variance(splits_of([split]), embeddings)
    query = split.parts["query"].rows
    for one in measured:
        found = predict(one.probe, embeddings[split.rows], CODES[split.rows], embeddings[query])
        assert one.seeds[0].accuracy == np.mean(found == CODES[query])


def test_episodes_count_alike_within_a_seed_and_are_all_spread():
    embeddings = separable(0.4)
    sets = [episodes_of(1, seed, 7) for seed in range(2)]
    splits = splits_of(episodes=sets)
    alone = [[splits_of(episodes=[replace(one, episodes=(episode,))]) for episode in one.episodes] for one in sets]
    accuracies = [[measure_variance(one, embeddings)[1].seeds[0].accuracy for one in of_seed] for of_seed in alone]
    _, logistic = measure_variance(splits, embeddings)
    assert [seed.accuracy for seed in logistic.seeds] == pytest.approx([np.mean(one) for one in accuracies])
    assert logistic.episodes == measure_spread([share for one in accuracies for share in one])
    assert (logistic.n_episodes, logistic.episodes.n, logistic.spread.n) == (14, 14, 2)
    assert logistic.n_query == 2 * 7 * 40


@pytest.mark.parametrize("share", [0.0, 0.1, 1 / 3, 0.7, 1.0])
def test_equal_accuracies_have_a_deviation_of_nothing_and_promise_nothing(share):
    assert measure_spread([share] * 7) == Spread(7, share, 0.0, share, share)


@pytest.mark.parametrize("accuracies", [(0.5, 0.6), (0.71, 0.7, 0.74, 0.9), (0.1,) * 3 + (0.9,) * 7])
def test_the_interval_is_students(accuracies):
    spread = measure_spread(accuracies)
    low, high = stats.t.interval(0.95, len(accuracies) - 1, np.mean(accuracies), stats.sem(accuracies))
    assert (spread.low, spread.high) == pytest.approx((low, high))
    assert spread.deviation == pytest.approx(np.std(accuracies, ddof=1))
    n = len(accuracies)
    ends = [spread.deviation * math.sqrt((n - 1) / stats.chi2.ppf(share, n - 1)) for share in (0.975, 0.025)]
    assert [spread.n_needed_low, spread.n_needed_high] == [count_needed(end) for end in ends]
    assert spread.n_needed_low <= spread.n_needed <= spread.n_needed_high


def test_one_accuracy_has_no_deviation_and_none_no_spread():
    assert measure_spread([0.5]).to_json() == {
        "n": 1,
        "mean": 0.5,
        **dict.fromkeys(("deviation", "low", "high", "n_needed", "n_needed_low", "n_needed_high")),
    }
    with pytest.raises(ValueError, match="at least one accuracy"):
        measure_spread([])


@given(st.floats(0, 0.6))
@settings(max_examples=60, deadline=None)
def test_no_fewer_seeds_would_do(deviation):
    def reach(n):
        return stats.t.ppf(0.975, n - 1) * deviation / math.sqrt(n)

    n = count_needed(deviation)
    assert reach(n) <= HALF_WIDTH * (1 + 1e-9)
    assert n == 2 or reach(n - 1) > HALF_WIDTH * (1 - 1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_seeds_changes_nothing(accuracies, random):
    shuffled = random.sample(accuracies, len(accuracies))
    assert measure_spread(shuffled) == measure_spread(accuracies)


def test_rows_in_another_order_give_the_same_figures():
    embeddings, splits = separable(0.35), some_splits(2)
    order = np.random.default_rng(5).permutation(len(CODES))
    place = np.argsort(order)

    def moved(part):
        return replace(part, rows=place[part.rows])

    drawn = [replace(one, parts={name: moved(part) for name, part in one.parts.items()}) for one in splits.drawn]
    episodes = [replace(one, rows=place[one.rows]) for one in splits.episodes]
    assert measure_variance(splits_of(drawn, episodes), embeddings[order]) == measure_variance(splits, embeddings)


def test_memory_mapped_rows_and_one_core_give_the_same(tmp_path, monkeypatch):
    np.save(tmp_path / "rows.npy", separable(0.35))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    wanted = measure_variance(some_splits(2), separable(0.35))
    monkeypatch.setattr("overlens.cores.available_cores", lambda: 1)
    assert measure_variance(some_splits(2), mapped) == wanted


def test_what_cannot_be_measured_says_why():
    splits = splits_of(
        [split_of(1, 0), split_of(1, 1, n_query=0), split_of(5, 0, classes=[2])],
        [episodes_of(1, 0, n_query=0)],
        [SkippedSplit("d", "random", 1, 2, "no class has 1 picture")],
    )
    first, _, second, _, third, _ = measure_variance(splits, separable())
    assert (first.strategy, first.k_shot, [seed.seed for seed in first.seeds]) == ("random", 1, [0])
    assert first.why_not == (
        (1, "no query images to measure on; give --n-query 1 or more"),
        (2, "no class has 1 picture"),
    )
    assert first.spread.deviation is None
    assert (second.seeds, second.spread, second.chance, second.n_classes) == ((), None, None, None)
    assert second.why_not == ((0, "one class, so there is nothing to tell apart"),)
    assert (third.strategy, third.spread, third.episodes, third.n_episodes) == ("episodic", None, None, 0)
    assert count_trials(splits) == 1


def test_progress_counts_each_trial_once():
    told = []
    splits = some_splits(2)
    measure_variance(splits, separable(), probes=("nearest_centroid",), told=told.append)
    assert sum(told) == len(told) == count_trials(splits) == 8 + 4 * 5


@pytest.mark.parametrize(
    ("rows", "probes", "error", "match"),
    [
        (10, VARIANCE_PROBES, ValueError, r"d: rows \d+ to \d+ of a split, but 10 embeddings"),
        (len(CODES), ("svm",), ConfigError, "'svm' is not known"),
    ],
    ids=["rows", "probe"],
)
def test_what_does_not_fit_is_refused(rows, probes, error, match):
    with pytest.raises(error, match=match):
        measure_variance(some_splits(1), separable()[:rows], probes=probes)


@pytest.fixture(scope="module")
def measured():
    splits = some_splits(2)
    skipped = (SkippedSplit("d", "stratified", 50, 0, "no class has 50, pictures"),)
    return measure_variance(replace(splits, skipped=skipped), separable(0.35))


def test_json_csv_and_frames_hold_the_same(measured):
    document = json.loads(json.dumps(variance_json(measured), allow_nan=False))
    lines = list(csv.DictReader(io.StringIO(variance_csv(measured))))
    frame = variance_frame(measured)
    assert list(lines[0]) == list(frame.columns) == list(COLUMNS)
    assert len(document["results"]) == len(lines) == len(frame) == len(measured) == 14
    for one, result, line, (_, row) in zip(measured, document["results"], lines, frame.iterrows(), strict=True):
        if one.spread is None:
            assert line["accuracy"] == line["n_classes"] == ""
            assert line["not_measured_because"] == "seed 0: no class has 50, pictures"
            assert (line["n_seeds"], line["n_query"]) == ("0", "0")
            assert result["over_seeds"] is None and result["not_measured"][0]["seed"] == 0
            continue
        assert float(line["accuracy"]) == result["over_seeds"]["mean"] == row["accuracy"] == round(one.spread.mean, 6)
        assert int(line["seeds_needed"]) == result["over_seeds"]["n_needed"] == row["seeds_needed"]
        assert [seed["accuracy"] for seed in result["seeds"]] == [round(seed.accuracy, 6) for seed in one.seeds]
        assert (line["episodes_needed"] == "") == (one.strategy != "episodic") == (result["over_episodes"] is None)
    assert str(frame.dtypes["n_episodes"]) == "Int64" and str(frame.dtypes["episode_low"]) == "Float64"


def test_the_document_names_the_lock_of_the_splits(measured):
    assert variance_json(measured)["splits_lock_sha256"] is None
    assert variance_json(measured, "ab" * 32)["splits_lock_sha256"] == "ab" * 32


def test_a_record_is_a_table_of_seeds(measured):
    one: SeedVariance = measured[-1]
    frame = one.to_pandas()
    assert frame["accuracy"].tolist() == [seed.accuracy for seed in one.seeds]
    assert frame["n_episodes"].tolist() == [5, 5]
