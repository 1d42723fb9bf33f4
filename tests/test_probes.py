"""Probes answer as plain references do, whatever the shape of the data, and say when a fit has no end."""

import logging
import math
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens import probes
from overlens.config import DatasetSpec
from overlens.cores import map_parts, serial_products
from overlens.errors import ConfigError
from overlens.probes import PROBES, fit_probe, predict
from overlens.sources import load_published


def make_rows(n_per_class: int, n_classes: int, dim: int, *, seed: int = 0, noise: float = 1.0):
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(99).normal(size=(n_classes, dim))
    codes = np.repeat(np.arange(n_classes), n_per_class)
    rows = means[codes] + noise * rng.normal(size=(len(codes), dim)) + 0.5
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), codes


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize(("per_class", "dim"), [(40, 12), (4, 64)], ids=["more rows", "more dimensions"])
def test_far_classes_are_told_apart_whatever_their_codes(probe, per_class, dim):
    train, codes = make_rows(per_class, 3, dim, seed=1, noise=0.3)
    test, expected = make_rows(30, 3, dim, seed=2, noise=0.3)
    names = np.array([40, -7, 12])
    found = predict(probe, train, names[codes], test)
    assert found.dtype == np.int64
    assert np.mean(found == names[expected]) > 0.95


@pytest.mark.parametrize("probe", PROBES)
def test_answers_depend_on_the_rows_and_not_on_their_order(probe):
    train, codes = make_rows(30, 4, 20, seed=1)
    test, _ = make_rows(30, 4, 20, seed=2)
    order = np.random.default_rng(0).permutation(len(train))
    np.testing.assert_array_equal(predict(probe, train[order], codes[order], test), predict(probe, train, codes, test))


@pytest.mark.parametrize("probe", PROBES)
def test_one_class_is_the_answer_to_all(probe):
    train, _ = make_rows(3, 1, 8)
    assert predict(probe, train, np.full(3, 5), make_rows(4, 2, 8)[0]).tolist() == [5] * 8


@pytest.mark.parametrize("probe", PROBES)
def test_no_test_rows_give_no_answers(probe):
    train, codes = make_rows(3, 2, 8)
    assert predict(probe, train, codes, train[:0]).shape == (0,)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 7), dim=st.integers(1, 9), seed=st.integers(0, 99), probe=st.sampled_from(PROBES))
def test_tiny_sets_of_any_shape_work(n, dim, seed, probe):
    train, _ = make_rows(1, n, dim, seed=seed)
    codes = np.random.default_rng(seed).integers(0, 3, n)
    assert np.isin(predict(probe, train, codes, make_rows(3, 2, dim)[0]), codes).all()


def test_nearest_centroid_is_that_of_scikit_learn_on_mean_directions():
    from sklearn.neighbors import NearestCentroid

    train, codes = make_rows(20, 5, 10, seed=1, noise=2.0)
    test, _ = make_rows(50, 5, 10, seed=2, noise=2.0)
    means = np.stack([train[codes == code].mean(axis=0) for code in range(5)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    apart = np.random.default_rng(3).normal(size=means.shape)
    model = NearestCentroid().fit(np.concatenate([means + apart, means - apart]), np.tile(np.arange(5), 2))
    np.testing.assert_array_equal(predict("nearest_centroid", train, codes, test), model.predict(test))


def test_ties_of_centroids_go_to_the_lowest_code_and_a_mean_of_zero_is_nobodys():
    train = np.array([[0, 1], [1, 0], [1, 0], [-1, 0]], np.float32)
    codes = np.array([9, 4, 2, 2])
    test = np.array([[1, 0], [0.8, 0.6], [-1, 0], [np.sqrt(0.5), np.sqrt(0.5)]], np.float32)
    assert predict("nearest_centroid", train, codes, test).tolist() == [4, 4, 9, 4]


def test_neighbours_are_five_or_all():
    rows = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]], np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    codes = np.array([0, 0, 1, 1, 1, 1])
    assert predict("knn", rows, codes, rows[:1]).tolist() == [1]
    assert predict("knn", rows[:3], codes[:3], rows[2:3]).tolist() == [0]


def plain_neighbours(train, codes, test):
    """The vote of the five most similar rows, one row after the other, by sums in one order."""
    answers = []
    for row in test.astype(np.float64):
        scores = [np.float32(math.fsum(row * other)) for other in train.astype(np.float64)]
        nearest = sorted(zip((-score for score in scores), codes.tolist(), strict=True))[: probes.NEIGHBOURS]
        votes = Counter(code for _, code in nearest)
        answers.append(min(votes, key=lambda code: (-votes[code], code)))
    return np.array(answers)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 40),
    n_kinds=st.integers(1, 6),
    n_classes=st.integers(1, 4),
    dim=st.sampled_from([1, 3, 40]),
    seed=st.integers(0, 999),
)
def test_neighbours_are_those_of_the_plain_reference_with_many_exact_ties(n, n_kinds, n_classes, dim, seed):
    kinds, _ = make_rows(1, n_kinds, dim, seed=seed)
    rng = np.random.default_rng(seed)
    train, test = kinds[rng.integers(0, n_kinds, n)], np.concatenate([kinds, make_rows(1, 4, dim, seed=seed + 1)[0]])
    codes = rng.integers(-2, n_classes, n)
    expected = plain_neighbours(train, codes, test)
    np.testing.assert_array_equal(predict("knn", train, codes, test), expected)
    order = rng.permutation(n)
    np.testing.assert_array_equal(predict("knn", train[order], codes[order], test), expected)


@pytest.mark.parametrize("seed", range(5))
def test_of_equal_rows_the_lowest_codes_vote_whatever_their_order(seed):
    # Two rows are nearer; of the forty that tie behind them, three of the lowest code vote.
    rows = np.array([[1, 0], [1, 0], *[[0.6, 0.8]] * 40, [0, 1]], np.float32)
    codes = np.array([9, 9, *[7] * 20, *[3] * 3, *[5] * 17, 1])
    order = np.random.default_rng(seed).permutation(len(rows))
    assert predict("knn", rows[order], codes[order], rows[:1]).tolist() == [3]
    codes = np.where(codes == 3, 8, codes)  # now the class that ties in votes with none is the lowest of the tied
    assert predict("knn", rows[order], codes[order], rows[:1]).tolist() == [5]


def test_votes_that_tie_go_to_the_lowest_code():
    rows = np.array([[1, 0], [0.96, 0.28], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    assert predict("knn", rows, np.array([5, 4, 5, 4, 9]), rows[:1]).tolist() == [4]


def test_neighbours_are_those_of_scikit_learn_where_nothing_ties(monkeypatch):
    from sklearn.neighbors import KNeighborsClassifier

    train, codes = make_rows(60, 5, 30, seed=1, noise=3.0)
    test, _ = make_rows(60, 5, 30, seed=2, noise=3.0)
    model = KNeighborsClassifier(5, metric="cosine", algorithm="brute").fit(train.astype(np.float64), codes)
    found = predict("knn", train, codes, test)
    np.testing.assert_array_equal(found, model.predict(test.astype(np.float64)))
    monkeypatch.setattr(probes, "_PRODUCTS_AT_ONCE", 1000)
    np.testing.assert_array_equal(predict("knn", train, codes, test), found)


@pytest.mark.parametrize("n_classes", [2, 6], ids=["two classes", "six"])
def test_the_span_of_the_rows_gives_the_fit_in_all_dimensions(n_classes, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr(probes, "_TOLERANCE", 1e-9)
    train, codes = make_rows(5, n_classes, 200, seed=1, noise=3.0)
    test, _ = make_rows(40, n_classes, 200, seed=2, noise=3.0)
    reference = LogisticRegression(C=10.0, tol=1e-9, max_iter=10_000).fit(train.astype(np.float64), codes)
    basis = np.linalg.qr(train.astype(np.float64).T)[0]
    spanned = LogisticRegression(C=10.0, tol=1e-9, max_iter=10_000).fit(train @ basis, codes)
    np.testing.assert_allclose(spanned.coef_ @ basis.T, reference.coef_, atol=1e-5)
    np.testing.assert_allclose(spanned.intercept_, reference.intercept_, atol=1e-5)
    np.testing.assert_array_equal(predict("logistic", train, codes, test), reference.predict(test))


def test_real_pictures_are_answered_as_at_the_minimum(shared_data):
    from sklearn.linear_model import LogisticRegression

    features = load_published(DatasetSpec("ArtDL"), shared_data / "art_published").features
    rows = features.require_embeddings()[:600]
    codes = np.unique(np.array(features.labels[:600], str), return_inverse=True)[1]
    with serial_products():
        minimum = LogisticRegression(C=10.0, tol=1e-7, max_iter=10_000).fit(rows[:300].astype(np.float64), codes[:300])
    fitted = fit_probe("logistic", rows[:300], codes[:300])
    assert fitted.is_converged
    assert np.mean(fitted.classify(rows[300:]) == minimum.predict(rows[300:])) > 0.99


def test_a_fit_without_end_is_told_and_not_as_a_warning(monkeypatch, caplog):
    import sklearn.linear_model  # noqa: F401 - sets filters of its own when it is loaded

    monkeypatch.setattr(probes, "_MAX_ITERATIONS", 2)
    train, codes = make_rows(20, 5, 30, seed=1)
    filters = list(warnings.filters)
    with caplog.at_level(logging.WARNING, logger="overlens.probes"):
        assert not fit_probe("logistic", train, codes).is_converged
    assert "100 rows did not converge" in caplog.text
    assert warnings.filters == filters


def test_fits_in_threads_leave_the_filters_of_warnings_alone(monkeypatch):
    import sklearn.linear_model  # noqa: F401 - sets filters of its own when it is loaded

    monkeypatch.setattr(probes, "_MAX_ITERATIONS", 3)
    train, codes = make_rows(20, 5, 30, seed=1)
    filters = list(warnings.filters)
    assert not any(fit.is_converged for fit in map_parts(lambda _: fit_probe("logistic", train, codes), range(12)))
    assert warnings.filters == filters


def test_an_unknown_probe_names_the_known_ones():
    with pytest.raises(ConfigError, match="'svm' is not known; allowed: nearest_centroid, knn, logistic"):
        predict("svm", *make_rows(2, 2, 3), np.zeros((0, 3), np.float32))


@pytest.mark.parametrize("n", [0, 3], ids=["none", "too few"])
def test_rows_and_codes_must_fit(n):
    train, codes = make_rows(2, 2, 3)
    with pytest.raises(ValueError, match="training rows do not fit"):
        predict("knn", train[:n], codes[: n + 1], train)
