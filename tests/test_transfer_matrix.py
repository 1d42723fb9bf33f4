"""Transfer with and without the overlap: figures follow their definitions, and leakage is found where it is planted."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.class_matching import DatasetClasses, match_classes
from overlens.errors import DatasetError
from overlens.probes import PROBES, predict
from overlens.records import Features
from overlens.transfer.accuracy import NO_FOLD, cross_validate, deal_folds
from overlens.transfer.figures import CLASS_COLUMNS, FIGURE_COLUMNS
from overlens.transfer.inputs import CommonClasses, Labelled, TransferConfig, keep_apart, number_clusters
from overlens.transfer.matrix import measure_matrix
from overlens.transfer.resampling import Bootstrap, interval, resample, share_statistic

CONFIG = TransferConfig(n_resamples=200, n_draws=3)
CLASSES = ("ant", "bee", "cat")


def make_dataset(name, n=60, *, seed, noise=1.0, shift=0.0, groups=True, dim=12, classes=CLASSES) -> Labelled:
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(99).normal(size=(len(classes), dim))
    move = np.random.default_rng(len(name) + ord(name[0])).normal(size=dim)
    codes = np.arange(n) % len(classes)
    rows = means[codes] + noise * rng.normal(size=(n, dim)) + shift * move
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    keys = tuple(f"{name}/{i:04d}" for i in range(n))
    return Labelled(name, keys, rows, codes, classes, np.full(n, -1, np.int32) if groups else None)


def common_of(*datasets: Labelled) -> dict[tuple[str, str], CommonClasses]:
    return {
        (one.dataset, other.dataset): CommonClasses(one.names, one.codes, other.codes)
        for one in datasets
        for other in datasets
        if one is not other
    }


def plant(source: Labelled, target: Labelled, n: int) -> tuple[Labelled, Labelled]:
    """Return both with copies of the first n source images at the end of the target."""
    keys = (*target.keys, *(f"z/{i:04d}" for i in range(n)))
    groups = np.concatenate([target.groups, np.arange(n, dtype=np.int32)])
    rows, codes = np.concatenate([target.rows, source.rows[:n]]), np.concatenate([target.codes, source.codes[:n]])
    here = source.groups.copy()
    here[:n] = np.arange(n)
    return replace(source, groups=here), replace(target, keys=keys, rows=rows, codes=codes, groups=groups)


@pytest.fixture(scope="module")
def clean():
    sets = (
        make_dataset("one", 90, seed=1, noise=6.0, shift=1.0, dim=40),
        make_dataset("two", 120, seed=2, noise=6.0, dim=40),
    )
    return sets, measure_matrix(sets, common_of(*sets), CONFIG)


@pytest.fixture(scope="module")
def planted(clean):
    sets = plant(*clean[0], 30)
    return sets, measure_matrix(sets, common_of(*sets), CONFIG)


@pytest.mark.parametrize("probe", PROBES)
def test_accuracy_is_that_of_the_probe(clean, probe):
    (source, target), matrix = clean
    is_right = predict(probe, source.rows, source.codes, target.rows) == target.codes
    pair = matrix.pair("one", "two")
    figure = pair.figure(f"accuracy_{probe}", "plain").every
    assert figure.value == pytest.approx(is_right.mean())
    assert (figure.n_train, figure.n_test, figure.n_classes) == (90, 120, 3)
    by_class = [is_right[target.codes == code].mean() for code in range(3)]
    assert pair.figure(f"accuracy_{probe}", "class").every.value == pytest.approx(np.mean(by_class))
    told = [one for one in pair.classes if one.figure == f"accuracy_{probe}" and one.images == "all"]
    assert [one.value for one in told] == pytest.approx(by_class)
    assert [(one.n_train, one.n_test) for one in told] == [(30, 40)] * 3


def test_similarity_is_that_of_the_mean_vectors(clean):
    (source, target), matrix = clean
    means = [[one.rows[one.codes == code].mean(axis=0, dtype=float) for code in range(3)] for one in (source, target)]
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*means, strict=True)]
    figure = matrix.pair("one", "two").figure("centroid_similarity").every
    assert figure.value == pytest.approx(np.mean(cosines))
    assert figure.lower < figure.value < figure.upper


def test_nothing_shared_makes_no_difference(clean):
    for pair in clean[1].pairs:
        if pair.source != pair.target:
            assert pair.removed_source.n_removed == pair.removed_target.n_removed == 0
            for figure in pair.figures:
                assert figure.without == figure.every
                assert (figure.difference.value, figure.difference.lower, figure.difference.upper) == (0, 0, 0)


def test_planted_copies_are_found_and_without_them_the_figures_are_the_clean_ones(clean, planted):
    pair, before = planted[1].pair("two", "one"), clean[1].pair("two", "one")
    assert (pair.removed_source.n_removed, pair.removed_target.n_removed) == (30, 30)
    assert pair.figure("accuracy_logistic", "plain").difference.lower > 0
    for probe in PROBES:
        figure = pair.figure(f"accuracy_{probe}", "plain")
        assert figure.difference.value == pytest.approx(figure.every.value - figure.without.value)
        assert (figure.without.n_train, figure.without.n_test) == (120, 60)
        assert (figure.difference.n_train, figure.difference.n_test) == (30, 30)
        assert figure.without.lower <= before.figure(f"accuracy_{probe}", "plain").every.value <= figure.without.upper


def test_removal_trains_anew_on_what_remains(planted):
    (source, target), matrix = planted
    here, there = keep_apart(source.groups, target.groups)
    is_right = predict("logistic", source.rows[here], source.codes[here], target.rows[there]) == target.codes[there]
    figure = matrix.pair("one", "two").figure("accuracy_logistic", "plain")
    assert figure.without.value == pytest.approx(is_right.mean())


def test_in_domain_without_the_overlap_counts_the_same_answers(planted):
    (source, target), matrix = planted
    answers = cross_validate("knn", target.rows, target.codes, deal_folds(target, target.codes, CONFIG))
    kept = keep_apart(source.groups, target.groups)[1]
    figure = matrix.pair("one", "two").figure("in_domain_knn", "plain")
    assert figure.every.value == pytest.approx(answers.is_right.mean())
    assert figure.without.value == pytest.approx(answers.is_right[kept].mean())
    assert matrix.pair("two", "two").figure("in_domain_knn", "plain").every == figure.every


def test_the_order_of_images_and_of_datasets_moves_nothing(planted):
    sets, matrix = planted
    shuffled = [one.take(np.random.default_rng(i).permutation(len(one.keys))) for i, one in enumerate(sets)]
    again = measure_matrix(shuffled[::-1], common_of(*shuffled), CONFIG)
    assert {(one.source, one.target): one for one in again.pairs} == {
        (one.source, one.target): one for one in matrix.pairs
    }


def test_what_was_not_verified_is_unknown_and_not_zero():
    sets = make_dataset("one", seed=1, groups=False), make_dataset("two", seed=2)
    matrix = measure_matrix(sets, common_of(*sets), CONFIG)
    pair = matrix.pair("one", "two")
    assert pair.removed_source is None and pair.removed_target is None
    assert all(one.without is None and one.difference is None for one in pair.figures)
    assert pair.notices == ()
    assert pair.to_json()["figures"][0]["difference"] is None


WHY = "within the reference no copies were looked for"


@pytest.fixture(scope="module")
def referenced(planted):
    source, target = planted[0]
    sets = source, replace(target, copies_unknown=WHY)
    return measure_matrix(sets, common_of(*sets), CONFIG)


def test_what_rests_on_copies_that_nobody_looked_for_says_why(referenced):
    assert referenced.copies_unknown_within == {"two": WHY}
    for pair in referenced.pairs:
        for figure in pair.figures:
            assert figure.copies_unknown == (WHY if pair.target == "two" and figure.average else "")
    told = referenced.to_json()
    assert told["copies_unknown_within"] == {"two": WHY}
    figures = next(one for one in told["pairs"] if (one["source"], one["target"]) == ("one", "two"))["figures"]
    assert {one.get("copies_unknown") for one in figures if one["average"]} == {WHY}


def test_no_in_domain_figure_without_the_overlap_rests_on_unknown_copies(referenced, planted):
    pair, before = referenced.pair("one", "two"), planted[1].pair("one", "two")
    for figure, known in zip(pair.figures, before.figures, strict=True):
        if figure.name.startswith("in_domain"):
            assert known.without is not None
            assert (figure.without, figure.difference) == (None, None)
        else:
            assert (figure.without, figure.difference) == (known.without, known.difference)
        assert figure.every == known.every
    told = [one for one in pair.classes if one.figure.startswith("in_domain")]
    assert told and {one.images for one in told} == {"all"}
    assert [one for one in before.classes if one not in pair.classes] == [
        one for one in before.classes if one.figure.startswith("in_domain") and one.images == "without_overlap"
    ]
    assert referenced.pair("two", "one").figures == planted[1].pair("two", "one").figures


def test_unknown_copies_of_datasets_that_share_nothing_are_unknown_too(clean):
    source, target = clean[0]
    sets = source, replace(target, copies_unknown=WHY)
    pair = measure_matrix(sets, common_of(*sets), CONFIG).pair("one", "two")
    assert pair.figure("accuracy_knn").without == pair.figure("accuracy_knn").every
    assert pair.figure("in_domain_knn").without is None
    assert pair.classes == clean[1].pair("one", "two").classes


def test_where_all_copies_are_known_nothing_is_said_of_it(planted):
    words = json.dumps(planted[1].to_json())
    assert "copies_unknown" not in words and planted[1].copies_unknown_within == {}


def test_without_resamples_there_is_no_interval(clean):
    matrix = measure_matrix(clean[0], common_of(*clean[0]), replace(CONFIG, n_resamples=0))
    for one, other in zip(matrix.pair("one", "two").figures, clean[1].pair("one", "two").figures, strict=True):
        assert one.every.value == other.every.value
        assert not one.average or (one.every.lower, one.every.upper, one.difference.lower) == (None, None, None)


def test_no_common_class_has_distances_and_no_accuracy():
    sets = make_dataset("one", seed=1), make_dataset("two", seed=2)
    none = CommonClasses((), np.full(60, -1), np.full(60, -1))
    matrix = measure_matrix(sets, {("one", "two"): none, ("two", "one"): none}, CONFIG)
    pair = matrix.pair("one", "two")
    assert pair.n_common_classes == 0 and pair.classes == ()
    assert {one.every.value for one in pair.figures if one.average} == {None}
    assert pair.figure("frechet", "").every.value > 0
    json.dumps(matrix.to_json(), allow_nan=False)


def test_a_class_whose_images_are_all_shared_is_common_no_more():
    source, target = make_dataset("one", seed=1), make_dataset("two", seed=2)
    groups = np.where(source.codes == 0, np.arange(60), -1).astype(np.int32)
    sets = replace(source, groups=groups), replace(target, groups=groups)
    figure = measure_matrix(sets, common_of(*sets), CONFIG).pair("one", "two").figure("accuracy_knn")
    assert (figure.every.n_classes, figure.without.n_classes, figure.difference.n_classes) == (3, 2, 1)
    assert figure.without.n_test == 40


def test_rows_are_long_and_complete(planted):
    matrix = planted[1]
    rows = list(matrix.rows())
    assert {len(row) for row in rows} == {len(FIGURE_COLUMNS)}
    across = [row for row in rows if row[0] != row[1]]
    assert len(across) == 2 * 3 * (1 + 3 * 2 + 3 * 2 + 6)
    assert {row[4] for row in across} == {"all", "without_overlap", "difference"}
    frame = matrix.to_pandas()
    assert list(frame.columns) == list(FIGURE_COLUMNS) and len(frame) == len(rows)
    classes = list(matrix.class_rows())
    assert {len(row) for row in classes} == {len(CLASS_COLUMNS)} and len(classes) > 3 * 7


def test_different_encoders_are_refused():
    sets = make_dataset("one", seed=1), make_dataset("two", seed=2, dim=13)
    with pytest.raises(DatasetError, match=r"differ in dimensions: \{'one': 12, 'two': 13\}"):
        measure_matrix(sets, common_of(*sets), CONFIG)


def test_inputs_come_from_features_and_from_the_matching_of_classes():
    rows = np.eye(3, dtype=np.float32)
    one = Features("one", ("a", "b", "c"), ("x", None, "y"), class_names={"x": "Ex"}, embeddings=rows)
    other = Features("two", ("a", "b", "c"), ("y", "y", "q"), embeddings=rows)
    labelled = Labelled.of_features(one, None)
    assert labelled.codes.tolist() == [0, -1, 1] and labelled.names == ("Ex", "y")
    match = match_classes(DatasetClasses.of_features(one), DatasetClasses.of_features(other))
    common = CommonClasses.of_match(match, one.labels, other.labels)
    assert common.source.tolist() == [-1, -1, 0] and common.target.tolist() == [0, 0, -1]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_group_is_in_two_folds_and_every_tested_class_is_in_two(data):
    n = data.draw(st.integers(1, 30))
    codes = np.array(data.draw(st.lists(st.integers(-1, 4), min_size=n, max_size=n)))
    groups = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=n, max_size=n)), np.int32)
    dataset = Labelled("a", tuple(map(str, range(n))), np.ones((n, 1), np.float32), codes, tuple("abcde"), groups)
    folds = deal_folds(dataset, codes, CONFIG)
    assert (folds[codes < 0] == NO_FOLD).all()
    for group in range(6):
        assert len(np.unique(folds[(groups == group) & (folds != NO_FOLD)])) <= 1
    for code in range(5):
        n_pictures = len(np.unique(np.where(groups < 0, -1 - np.arange(n), groups)[codes == code]))
        dealt = folds[(codes == code) & (folds != NO_FOLD)]
        assert len(np.unique(dealt)) != 1
        assert len(dealt) in (0, np.count_nonzero(codes == code))
        assert not len(dealt) or n_pictures > 1


def test_folds_hold_their_share_of_each_class_and_a_lone_picture_is_left_out():
    dataset = make_dataset("one", 61, seed=1)
    codes = np.where(np.arange(61) == 60, 3, dataset.codes)
    folds = deal_folds(dataset, codes, CONFIG)
    assert folds[60] == NO_FOLD
    for code in range(3):
        assert np.bincount(folds[codes == code]).tolist() == [4] * 5
    answers = cross_validate("knn", dataset.rows, codes, folds)
    assert (answers.n_left_out, answers.n_train) == (1, 60)


def test_clusters_are_numbered_by_first_member():
    assert number_clusters(np.array([-1, 5, 2, 5, -1], np.int32), 5).tolist() == [0, 1, 2, 1, 3]
    assert number_clusters(None, 3).tolist() == [0, 1, 2]


def test_intervals_cover_the_true_share():
    rng, covered = np.random.default_rng(0), 0
    for trial in range(120):
        is_right, codes = rng.random(80) < 0.7, np.arange(80) % 4
        bootstrap = Bootstrap(200, seed=trial)
        lower, upper = interval(resample(80, [share_statistic(np.arange(80), codes, is_right)], bootstrap)[0][:, 1])
        covered += lower <= 0.7 <= upper
    assert 105 <= covered <= 120


def test_copies_are_resampled_as_one():
    is_right, codes = np.repeat(np.arange(20) % 2 == 0, 5), np.zeros(100, np.int64)
    alone, together = np.arange(100), np.repeat(np.arange(20), 5)
    widths = []
    for clusters in (alone, together):
        values = resample(clusters.max() + 1, [share_statistic(clusters, codes, is_right)], Bootstrap(500, 0))[0]
        assert np.mean(values[:, 1]) == pytest.approx(0.5, abs=0.03)
        widths.append(np.std(values[:, 1]))
    assert widths[1] == pytest.approx(widths[0] * np.sqrt(5), rel=0.15)


def test_blocks_of_resamples_are_those_of_one_block(monkeypatch):
    from overlens.transfer import resampling

    figure = share_statistic(np.arange(30), np.arange(30) % 3, np.arange(30) % 2 == 0)
    whole = resample(30, [figure], CONFIG.bootstrap)[0]
    monkeypatch.setattr(resampling, "_WEIGHTS_AT_ONCE", 100)
    np.testing.assert_array_equal(resample(30, [figure], CONFIG.bootstrap)[0], whole)
    drawn = np.concatenate(list(Bootstrap(200, 0).draw_weights(30, width=70)))
    assert len(drawn) == 200 and set(drawn.sum(axis=1)) == {30}
