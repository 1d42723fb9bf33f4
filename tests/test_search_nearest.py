"""Lists of nearest rows equal those of a full sort, in float32 and in bfloat16, whatever the tiles and the threads."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from overlens.search import count_comparisons, find_nearest, heads, nearest, products
from overlens.search.best import best_cosine, best_cosines
from overlens.search.mutual import find_mutual_pairs
from overlens.search.nearest import list_nearest
from overlens.search.reference import list_nearest_rows

WIDTH = 32
KINDS = pytest.mark.parametrize("is_narrow", [False, True], ids=["float32", "bfloat16"])


def make_rows(seed, n):
    """Rows of multiples of 2^-14, whose scores are the same in any order of the sums.

    A third are copies of others, a third differ from others by less than bfloat16 can hold, and some are zero.
    """
    rng = np.random.default_rng(seed)
    rows = np.round(rng.standard_normal((n, WIDTH)) * 2**12 + rng.choice([0, 2**12], (n, 1)))
    source = rng.integers(0, max(1, n // 3), n)
    kind = rng.integers(0, 3, n)
    rows = np.where(kind[:, None] > 0, rows[source], rows) if n else rows
    rows[kind == 2] += rng.integers(-2, 3, (int((kind == 2).sum()), WIDTH))
    rows[rng.random(n) < 0.05] = 0
    return (rows / 2**14).astype(np.float32)


def require(monkeypatch, is_narrow, part_rows=16):
    if is_narrow and not products.has_bfloat16():
        pytest.skip("this processor does not multiply bfloat16")
    monkeypatch.setattr(heads, "FEWEST_PRODUCTS", 0)
    monkeypatch.setattr(nearest, "has_bfloat16", lambda: is_narrow)
    monkeypatch.setattr(products, "PART_ROWS", part_rows)


def as_lists(lists):
    both = zip(lists.numbers().tolist(), lists.similarities().tolist(), strict=True)
    return [[(j, score) for j, score in zip(*row, strict=True) if j >= 0] for row in both]


@KINDS
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 90),
    m=st.none() | st.integers(0, 60),
    k=st.sampled_from([1, 2, 6, 25]),
    tile_rows=st.sampled_from([7, 32, 1000]),
)
@example(seed=0, n=1, m=None, k=1, tile_rows=32)
@example(seed=1, n=90, m=None, k=6, tile_rows=1000)
@example(seed=2, n=90, m=60, k=1, tile_rows=1000)
def test_lists_equal_the_reference(monkeypatch, is_narrow, seed, n, m, k, tile_rows):
    require(monkeypatch, is_narrow)
    left, right = make_rows(seed, n), None if m is None else make_rows(seed + 1, m)
    if right is not None:
        right[: min(n, m) // 2] = left[: min(n, m) // 2]
    one, other = list_nearest(left, right, k=k, tile_rows=tile_rows)
    assert as_lists(one) == list_nearest_rows(left, right, k=k)
    assert as_lists(other) == (as_lists(one) if right is None else list_nearest_rows(right, left, k=k))


@KINDS
def test_scores_below_the_limit_are_all_that_a_limit_changes(monkeypatch, is_narrow):
    require(monkeypatch, is_narrow)
    rows = make_rows(3, 200)
    limit = float(np.float32(0.5))
    found = as_lists(list_nearest(rows, None, k=8, min_similarity=limit)[0])
    wanted = list_nearest_rows(rows, None, k=8)
    kept = [[[pair for pair in row if pair[1] >= limit] for row in lists] for lists in (found, wanted)]
    assert kept[0] == kept[1]
    assert 0 < sum(map(len, kept[0])) < sum(map(len, wanted))


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e12])
def test_bfloat16_loses_nothing_at_other_lengths(monkeypatch, scale):
    rng = np.random.default_rng(8)
    rows = (make_rows(4, 150) * rng.uniform(0.1, 10, (150, 1)) * scale).astype(np.float32)
    found = []
    for is_narrow in (False, True):
        require(monkeypatch, is_narrow)
        found.append(as_lists(list_nearest(rows, None, k=5)[0]))
    assert found[0] == found[1]


def test_every_search_by_lists_is_the_same_in_bfloat16(monkeypatch):
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((40, 100))[rng.integers(0, 40, 700)] + 0.3 * rng.standard_normal((700, 100))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    rows[::9] = rows[0]
    found = []
    for is_narrow in (False, True):
        require(monkeypatch, is_narrow, part_rows=64)
        graph = find_nearest(rows, k=20, tile_rows=256)
        block = find_mutual_pairs(rows[:400], rows[400:], k=5, min_similarity=0.4)
        best = best_cosine(rows, None), *best_cosines(rows[:300], rows[300:])
        found.append([graph.indices, graph.similarities, block.left, block.right, block.scores, *best])
    for wide, narrow in zip(*found, strict=True):
        np.testing.assert_array_equal(wide, narrow)


def test_many_equal_rows_are_not_scored_pair_by_pair(monkeypatch):
    from overlens.search import nearest_kernels

    scored = []
    score_places = nearest_kernels.score_places

    def count(*values):
        scores = score_places(*values)
        scored.append(int((scores > -np.inf).sum()))
        return scores

    monkeypatch.setattr(nearest_kernels, "score_places", count)
    monkeypatch.setattr(products, "PART_ROWS", 16)
    rows = np.tile(make_rows(6, 7)[3], (800, 1))
    lists, _ = list_nearest(rows, None, k=2)
    assert (
        as_lists(lists)[700]
        == as_lists(lists)[701]
        == [(0, lists.similarities()[0, 0]), (1, lists.similarities()[0, 0])]
    )
    assert sum(scored) < 800 * 799 // 20


@KINDS
@pytest.mark.parametrize("m", [None, 45], ids=["within", "across"])
def test_progress_sums_up_to_all_comparisons(monkeypatch, m, is_narrow):
    require(monkeypatch, is_narrow)
    seen = []
    rows = make_rows(7, 70)
    list_nearest(rows, None if m is None else rows[:m], k=3, tile_rows=32, progress=seen.append)
    assert sum(seen) == count_comparisons(70, m)
