"""The best match of every row is the one that comparing all pairs finds, whatever the tiles."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overlens.search import count_comparisons, find_cosine_pairs, find_hamming_pairs
from overlens.search.best import best_cosine, best_cosines, best_distance, best_distances
from overlens.search.kernels import score_pairs
from overlens.stacked import StackedRows


def make_rows(rng, n, d):
    """Unit rows, many of them near or equal to others, with lengths off by the rounding of float32."""
    if not n:
        return np.empty((0, d), np.float32)
    rows = rng.standard_normal((n, d))[rng.integers(0, max(1, n // 2), n)]
    rows += rng.choice([0.0, 1e-7, 0.3], (n, 1)) * rng.standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def reference_cosine(left, right):
    """Score all pairs one by one in the fixed way."""
    others = left if right is None else right
    rows, columns = map(np.ravel, np.indices((len(left), len(others))))
    scores = score_pairs(left, others, rows, columns).reshape(len(left), len(others))
    if right is None:
        np.fill_diagonal(scores, -np.inf)
    return scores.max(axis=1, initial=-np.inf)


def reference_distance(left, right):
    others = left if right is None else right
    distances = np.unpackbits(left[:, None] ^ others[None], axis=2).sum(axis=2).astype(np.int32)
    nothing = 8 * left.shape[1] + 1
    if right is None:
        np.fill_diagonal(distances, nothing)
    return distances.min(axis=1, initial=nothing)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    m=st.none() | st.integers(0, 60),
    d=st.integers(1, 70),
    tile_rows=st.integers(6, 70),
)
@example(seed=0, n=1, m=None, d=8, tile_rows=4)
@example(seed=2, n=9, m=None, d=8, tile_rows=1)
@example(seed=3, n=7, m=5, d=8, tile_rows=1)
@example(seed=1, n=60, m=None, d=64, tile_rows=16)
def test_best_cosine_equals_the_reference_to_the_bit(seed, n, m, d, tile_rows):
    rng = np.random.default_rng(seed)
    left, right = make_rows(rng, n, d), None if m is None else make_rows(rng, m, d)
    if right is not None and n and m:
        right[: min(n, m) // 2] = left[: min(n, m) // 2]
    best = best_cosine(left, right, tile_rows=tile_rows)
    assert best.dtype == np.float32
    np.testing.assert_array_equal(best, reference_cosine(left, right))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    m=st.none() | st.integers(0, 60),
    width=st.sampled_from([1, 7, 8, 9, 32]),
    tile_rows=st.integers(1, 70),
)
@example(seed=0, n=1, m=None, width=8, tile_rows=4)
def test_best_distance_equals_the_reference(seed, n, m, width, tile_rows):
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, 256, (40, width), np.uint8)
    left, right = pool[rng.integers(0, 40, n)], None if m is None else pool[rng.integers(0, 40, m)]
    if n:
        left[:, 0] ^= rng.integers(0, 4, n).astype(np.uint8)
    best = best_distance(left, right, tile_rows=tile_rows)
    assert best.dtype == np.int32
    np.testing.assert_array_equal(best, reference_distance(left, right))


def test_parts_that_fit_the_cache_change_no_distance(monkeypatch):
    hashes = np.random.default_rng(3).integers(0, 256, (300, 16), np.uint8)
    monkeypatch.setattr("overlens.search.best.CACHE_ROWS", 37)
    np.testing.assert_array_equal(best_distance(hashes, None), reference_distance(hashes, None))
    np.testing.assert_array_equal(best_distance(hashes[:90], hashes[90:]), reference_distance(hashes[:90], hashes[90:]))


def test_one_pass_serves_both_directions():
    rng = np.random.default_rng(5)
    left, right = make_rows(rng, 90, 33), make_rows(rng, 50, 33)
    right[:20] = left[30:50]
    one, other = best_cosines(left, right, tile_rows=32)
    np.testing.assert_array_equal(one, reference_cosine(left, right))
    np.testing.assert_array_equal(other, reference_cosine(right, left))
    hashes, others = rng.integers(0, 256, (90, 8), np.uint8), rng.integers(0, 256, (50, 8), np.uint8)
    one, other = best_distances(hashes, others, tile_rows=32)
    np.testing.assert_array_equal(one, reference_distance(hashes, others))
    np.testing.assert_array_equal(other, reference_distance(others, hashes))


def test_rows_in_several_matrices_are_read_as_one():
    rows = make_rows(np.random.default_rng(6), 80, 40)
    stacked = StackedRows([rows[:31], rows[31:31], rows[31:]])
    np.testing.assert_array_equal(best_cosine(stacked, None, tile_rows=9), best_cosine(rows, None))


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e12])
def test_lengths_other_than_one_lose_nothing(scale):
    rng = np.random.default_rng(8)
    rows = (make_rows(rng, 70, 24) * rng.uniform(0.1, 10, (70, 1)) * scale).astype(np.float32)
    np.testing.assert_array_equal(best_cosine(rows, None, tile_rows=20), reference_cosine(rows, None))


@pytest.mark.parametrize("min_similarity", [0.5, 0.9, 0.99, 1.0])
def test_images_at_a_threshold_are_those_of_the_pair_search(min_similarity):
    rows = make_rows(np.random.default_rng(9), 300, 64)
    matched = np.zeros(300, bool)
    for block in find_cosine_pairs(rows, None, min_similarity=min_similarity):
        matched[block.left] = matched[block.right] = True
    np.testing.assert_array_equal(best_cosine(rows, None) >= np.float32(min_similarity), matched)
    assert matched.any()


@pytest.mark.parametrize("max_distance_bits", [0, 8, 20])
def test_hashes_at_a_threshold_are_those_of_the_pair_search(max_distance_bits):
    hashes = np.random.default_rng(10).integers(0, 256, (300, 8), np.uint8)
    hashes[:9] = hashes[9:18]
    matched = np.zeros(300, bool)
    for block in find_hamming_pairs(hashes, None, max_distance_bits=max_distance_bits):
        matched[block.left] = matched[block.right] = True
    np.testing.assert_array_equal(best_distance(hashes, None) <= max_distance_bits, matched)
    assert matched.any()


@pytest.mark.parametrize("m", [None, 45], ids=["within", "across"])
def test_progress_sums_up_to_all_comparisons(m):
    rng = np.random.default_rng(11)
    rows, hashes = make_rows(rng, 70, 8), rng.integers(0, 256, (70, 8), np.uint8)
    seen = []
    best_cosine(rows, None if m is None else rows[:m], tile_rows=16, progress=seen.append)
    assert sum(seen) == count_comparisons(70, m)
    best_distance(hashes, None if m is None else hashes[:m], tile_rows=16, progress=seen.append)
    assert sum(seen) == 2 * count_comparisons(70, m)


@pytest.mark.parametrize(
    ("left", "right", "match"),
    [
        (np.zeros((3, 4), np.float64), None, "left must be float32 rows"),
        (np.zeros((3, 4), np.float32), np.zeros((3, 5), np.float32), "right must be float32 rows as wide"),
        (np.zeros((3, 0), np.float32), None, "not empty"),
        (np.full((3, 4), np.nan, np.float32), None, "not finite"),
        (np.zeros((3, 4), np.float32), np.full((3, 4), np.inf, np.float32), "not finite"),
    ],
    ids=["float64", "widths", "no values", "nan", "infinite"],
)
def test_rows_that_cannot_be_compared_are_refused(left, right, match):
    with pytest.raises(ValueError, match=match):
        best_cosine(left, right)


def test_hashes_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="right must be uint8 rows as wide"):
        best_distance(np.zeros((3, 8), np.uint8), np.zeros((3, 9), np.uint8))
    with pytest.raises(ValueError, match="left must be uint8 rows"):
        best_distance(np.zeros((3, 8), np.int64), None)
