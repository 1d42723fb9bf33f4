"""The neighbour graph is exact, has one order, and does not depend on tiles."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overlens.search import NeighbourGraph, find_nearest
from overlens.search.kernels import score_pairs


def make_rows(rng, n, d):
    rows = rng.standard_normal((n, d))
    rows[: n // 4] = rows[0]  # many ties
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def rank_plainly(rows, k):
    """Sort all other rows by (score, row number)."""
    n = len(rows)
    left, right = (column.ravel() for column in np.indices((n, n)))
    scores = score_pairs(rows, rows, left, right).reshape(n, n)
    nearest = [sorted((j for j in range(n) if j != i), key=lambda j: (-scores[i, j], j))[:k] for i in range(n)]
    return np.array(nearest, np.int32), np.take_along_axis(scores, np.array(nearest), axis=1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 50),
    d=st.integers(1, 40),
    k=st.integers(1, 49),
    tile_rows=st.integers(5, 60),
)
@example(seed=1, n=9, d=4, k=3, tile_rows=1)
def test_graph_equals_a_full_sort(seed, n, d, k, tile_rows):
    rows = make_rows(np.random.default_rng(seed), n, d)
    k = min(k, n - 1)
    graph = find_nearest(rows, k=k, tile_rows=tile_rows)
    indices, similarities = rank_plainly(rows, k)
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_array_equal(graph.similarities, similarities)
    assert graph.k == k


def test_graph_agrees_with_float64_on_real_width():
    rows = make_rows(np.random.default_rng(1), 300, 512)
    graph = find_nearest(rows, k=10, tile_rows=64)
    scores = rows.astype(np.float64) @ rows.T.astype(np.float64)
    np.fill_diagonal(scores, -2)
    expected = -np.sort(-scores, axis=1)[:, :10]
    np.testing.assert_allclose(graph.similarities, expected, atol=1e-7)


def test_equal_rows_rank_by_row_number():
    graph = find_nearest(np.ones((6, 4), np.float32) / 2, k=3, tile_rows=2)
    assert graph.indices.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2]]


def test_progress_sums_to_the_comparisons():
    steps = []
    find_nearest(make_rows(np.random.default_rng(2), 50, 4), k=2, tile_rows=16, progress=steps.append)
    assert sum(steps) == 50 * 49 // 2


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        pytest.param(np.ones((3, 2), np.float32), {"k": 3}, "allowed is 1 to 2", id="k too large"),
        pytest.param(np.ones((3, 2), np.float32), {"k": 0}, "allowed is 1 to 2", id="k too small"),
        pytest.param(np.ones((3, 2)), {"k": 1}, "matrix of float32", id="type"),
        pytest.param(np.full((3, 2), np.nan, np.float32), {"k": 1}, "not finite", id="nan"),
        pytest.param(np.ones((3, 2), np.float32), {"k": 1, "tile_rows": 0}, "1 or more", id="tile"),
    ],
)
def test_wrong_input_is_named(rows, options, message):
    with pytest.raises(ValueError, match=message):
        find_nearest(rows, **options)


@pytest.mark.parametrize(
    ("indices", "similarities"),
    [
        pytest.param(np.zeros((2, 1)), np.zeros((2, 1), np.float32), id="type"),
        pytest.param(np.zeros((2, 1), np.int32), np.zeros((2, 2), np.float32), id="shape"),
    ],
)
def test_graph_checks_its_columns(indices, similarities):
    with pytest.raises(ValueError, match=r"expected int32|must agree"):
        NeighbourGraph(indices, similarities)
