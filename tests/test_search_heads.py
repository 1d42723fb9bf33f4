"""Heads bound every score of their rows, and a search by them finds what a search without them finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.search import find_cosine_pairs, heads
from overlens.search.kernels import score_pairs
from overlens.search.reference import list_cosine_pairs


def make_rows(seed: int, n: int, d: int, decay: float) -> np.ndarray:
    """Unit rows, longer in some directions than in others, every third nearly the one before it."""
    rng = np.random.default_rng(seed)
    rows = (
        rng.standard_normal((n, d)) * np.exp(-decay * np.arange(d) / d) @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    )
    rows[2::3] = rows[1::3][: len(rows[2::3])] + 0.02 * rng.standard_normal(rows[2::3].shape) * np.abs(rows).mean()
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(17, 300),
    decay=st.sampled_from([0.0, 3.0, 30.0]),
    size=st.sampled_from([1, 4, 16]),
    length=st.sampled_from([1e-3, 1.0, 50.0]),
)
def test_the_product_of_heads_is_never_below_the_score(seed, d, decay, size, length):
    rows = make_rows(seed, 60, d, decay) * np.float32(length)
    basis = heads._make_basis(heads._principal(rows[::2])[:, :size])
    split = basis.split(rows)
    left, right = (column.ravel() for column in np.indices((60, 60)))
    scores = score_pairs(rows, rows, left, right)
    longest = float(np.linalg.norm(rows, axis=1).max())
    bounds = (split @ split.T).ravel().astype(np.float64) + basis.slack((longest, longest))
    assert (bounds >= scores).all()
    assert basis.slack((1.0, 1.0)) < 1e-3


@pytest.mark.parametrize("decay", [0.0, 5.0, 40.0], ids=["even", "falling", "steep"])
@pytest.mark.parametrize("n_right", [None, 300], ids=["within", "across"])
def test_a_search_by_heads_equals_the_reference(monkeypatch, decay, n_right):
    monkeypatch.setattr(heads, "FEWEST_PRODUCTS", 0)
    left = make_rows(1, 700, 128, decay)
    right = None if n_right is None else np.ascontiguousarray(left[::2][:n_right] + np.float32(1e-3))
    basis = heads.choose_basis(left, left if right is None else right, 0.9)
    assert basis is not None
    found = {
        (int(i), int(j)): float(score)
        for block in find_cosine_pairs(left, right, min_similarity=0.9, tile_rows=256)
        for i, j, score in zip(block.left, block.right, block.scores, strict=True)
    }
    loose = list_cosine_pairs(left, right, min_similarity=0.9 - 1e-6)
    strict = list_cosine_pairs(left, right, min_similarity=0.9 + 1e-6)
    assert len(strict) >= 100
    assert strict.keys() <= found.keys() <= loose.keys()
    assert all(score == pytest.approx(loose[pair], abs=1e-7) for pair, score in found.items())


def test_no_basis_where_all_rows_are_alike(monkeypatch):
    monkeypatch.setattr(heads, "FEWEST_PRODUCTS", 0)
    rows = np.repeat(make_rows(2, 1, 64, 0.0), 900, axis=0)
    assert heads.choose_basis(rows, rows, 0.9) is None


def test_small_searches_choose_nothing():
    rows = make_rows(3, 500, 64, 3.0)
    assert heads.choose_basis(rows, rows, 0.9) is None
