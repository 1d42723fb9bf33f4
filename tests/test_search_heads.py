"""Heads bound every score of their rows, and a search by them finds what a search without them finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.search import cosine, find_cosine_pairs, heads
from overlens.search.kernels import score_pairs
from overlens.search.products import has_bfloat16
from overlens.search.reference import list_cosine_pairs


def make_rows(seed: int, n: int, d: int, decay: float) -> np.ndarray:
    """Unit rows, longer in some directions than in others, every third nearly the one before it."""
    rng = np.random.default_rng(seed)
    rows = (
        rng.standard_normal((n, d)) * np.exp(-decay * np.arange(d) / d) @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    )
    rows[2::3] = rows[1::3][: len(rows[2::3])] + 0.02 * rng.standard_normal(rows[2::3].shape) * np.abs(rows).mean()
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(17, 300),
    decay=st.sampled_from([0.0, 3.0, 30.0]),
    size=st.sampled_from([None, 1, 4, 16]),
    length=st.sampled_from([1e-3, 1.0, 50.0]),
    is_narrow=st.booleans(),
)
def test_the_product_of_heads_is_never_below_the_score(seed, d, decay, size, length, is_narrow):
    rows = make_rows(seed, 60, d, decay) * np.float32(length)
    split = heads.Split(d, is_narrow)
    if size is not None:
        split = heads._make_split(heads._principal(rows[::2])[:, :size], is_narrow)
    upper, lower = split.split(rows[:40]), split.split(rows)
    assert upper.values.shape == (40, split.n_values)
    left, right = (column.ravel() for column in np.indices((40, 60)))
    scores = score_pairs(rows[:40], rows, left, right)
    products = (upper.as_float32() @ lower.as_float32().T).ravel().astype(np.float64)
    assert (products + split.slack(upper, lower) >= scores).all()
    assert split.slack(upper, lower) < (0.02 if is_narrow else 1e-3) * max(1.0, length) ** 2


def test_joined_heads_are_those_of_all_rows():
    rows = make_rows(5, 90, 64, 3.0)
    split = heads._make_split(heads._principal(rows)[:, :15], True)
    joined = heads.join_heads([split.split(rows[:40]), split.split(rows[40:])])
    whole = split.split(rows)
    np.testing.assert_allclose(joined.as_float32(), whole.as_float32(), atol=0.01)
    assert (joined.longest, joined.rounding) == pytest.approx((whole.longest, whole.rounding), rel=0.01)


@pytest.mark.parametrize("is_narrow", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("decay", [0.0, 5.0, 40.0], ids=["even", "falling", "steep"])
@pytest.mark.parametrize("n_right", [None, 300], ids=["within", "across"])
def test_a_search_by_heads_equals_the_reference(monkeypatch, decay, n_right, is_narrow):
    if is_narrow and not has_bfloat16():
        pytest.skip("this processor does not multiply bfloat16")
    monkeypatch.setattr(heads, "FEWEST_PRODUCTS", 0)
    monkeypatch.setattr(cosine, "has_bfloat16", lambda: is_narrow)
    left = make_rows(1, 700, 128, decay)
    right = None if n_right is None else np.ascontiguousarray(left[::2][:n_right] + np.float32(1e-3))
    chosen = heads.choose_split(left, left if right is None else right, 0.9, has_bfloat16=is_narrow)
    assert chosen.directions is not None
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


@pytest.mark.parametrize("is_narrow", [False, True], ids=["float32", "bfloat16"])
def test_rows_are_their_own_heads_where_no_direction_says_more_than_others(monkeypatch, is_narrow):
    monkeypatch.setattr(heads, "FEWEST_PRODUCTS", 0)
    rows = make_rows(2, 900, 64, 0.0)[::3]  # without their near copies
    split = heads.choose_split(rows, rows, 0.5, has_bfloat16=is_narrow)
    assert split.directions is None
    assert split.is_narrow == is_narrow


def test_small_searches_choose_nothing():
    rows = make_rows(3, 500, 64, 3.0)
    assert heads.choose_split(rows, rows, 0.9, has_bfloat16=True) == heads.Split(64, is_narrow=False)
