"""Neighbours have the strengths that UMAP's paper defines and its own library computes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.projections.fuzzy_graph import weigh_neighbours
from overlens.search.neighbours import find_nearest


def neighbours(rows, k):
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    graph = find_nearest(rows, k=k)
    return graph.indices, np.maximum(np.float32(0), 1 - graph.similarities)


def random_rows(seed, n, n_equal=0):
    rows = np.random.default_rng(seed).standard_normal((n, 8))
    rows[:n_equal] = rows[0]
    return rows


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 40), st.integers(1, 14), st.integers(0, 40))
def test_strengths_are_symmetric_and_lie_above_zero_up_to_one(seed, n, k, n_equal):
    weights = weigh_neighbours(*neighbours(random_rows(seed, n, min(n, n_equal)), min(k, n - 1)))
    assert weights.shape == (n, n) and weights.dtype == np.float32
    assert abs(weights - weights.T).max() < 1e-6
    assert weights.data.min() > 0 and weights.data.max() <= 1 + 1e-6
    assert weights.diagonal().max() == 0


def test_one_sided_strengths_sum_to_log2_of_the_neighbours_with_the_nearest_in_full():
    # A ring of images in which nobody's neighbour looks back: what comes out is the one-sided strength.
    n, k = 40, 7
    indices = ((np.arange(n)[:, None] + 1 + np.arange(k)) % n).astype(np.int32)
    distances = np.sort(np.random.default_rng(0).random((n, k)), axis=1).astype(np.float32)
    weights = weigh_neighbours(indices, distances).toarray()
    one_sided = np.take_along_axis(weights, indices.astype(np.int64), axis=1)
    np.testing.assert_allclose(one_sided.sum(axis=1), np.log2(k + 1), rtol=1e-5)
    np.testing.assert_array_equal(one_sided[:, 0], 1)


def test_the_rows_of_a_tile_do_not_matter(monkeypatch):
    indices, distances = neighbours(random_rows(1, 30), 6)
    whole = weigh_neighbours(indices, distances)
    monkeypatch.setattr("overlens.projections.fuzzy_graph._ROWS_AT_ONCE", 7)
    assert (weigh_neighbours(indices, distances) != whole).nnz == 0


@pytest.mark.slow  # umap-learn compiles its functions first
@pytest.mark.parametrize(
    ("rows", "k"),
    [
        (random_rows(0, 200), 14),
        (random_rows(1, 60, 12), 14),
        (random_rows(2, 9, 9), 8),
        (random_rows(3, 12), 2),
        (random_rows(4, 12), 1),
    ],
    ids=["usual", "copies", "all equal", "two neighbours", "one neighbour"],
)
def test_strengths_are_those_of_umap_learn(rows, k):
    from overlens.projections.methods import _load_umap

    _load_umap()
    from umap.umap_ import fuzzy_simplicial_set

    indices, distances = neighbours(rows, k)
    n = len(rows)
    own = np.arange(n, dtype=np.int32)[:, None]
    knn = {
        "knn_indices": np.hstack([own, indices]),
        "knn_dists": np.hstack([np.zeros((n, 1), np.float32), distances]),
    }
    expected = fuzzy_simplicial_set(np.zeros((n, 1)), k + 1, np.random.RandomState(0), "precomputed", **knn)[0]
    np.testing.assert_allclose(weigh_neighbours(indices, distances).toarray(), expected.toarray(), atol=2e-5)
