"""Cosine search finds every pair at or over the limit, with one score whatever the tiles."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overlens.search import count_comparisons, find_cosine_pairs, products, rounding
from overlens.search.kernels import score_pairs
from overlens.search.reference import list_cosine_pairs


def make_rows(rng, n, d):
    """Unit rows, the second half near-copies of the first at all distances."""
    rows = rng.standard_normal((n, d))
    half = n // 2
    rows[n - half :] = rows[:half] + rng.uniform(0, 1, (half, 1)) * rng.standard_normal((half, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def as_dict(blocks):
    pairs = {}
    for block in blocks:
        for left, right, score in zip(block.left.tolist(), block.right.tolist(), block.scores.tolist(), strict=True):
            assert (left, right) not in pairs
            pairs[left, right] = score
    return pairs


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 40),
    m=st.none() | st.integers(0, 40),
    d=st.integers(1, 70),
    tile_rows=st.integers(1, 50),
    min_similarity=st.sampled_from([-1.0, 0.0, 0.5, 0.8, 0.95, 1.0]),
)
@example(seed=0, n=33, m=None, d=32, tile_rows=16, min_similarity=0.5)
def test_tiled_search_equals_the_reference(seed, n, m, d, tile_rows, min_similarity):
    rng = np.random.default_rng(seed)
    left, right = make_rows(rng, n, d), None if m is None else make_rows(rng, m, d)
    found = as_dict(find_cosine_pairs(left, right, min_similarity=min_similarity, tile_rows=tile_rows))
    # The two float64 sums differ in their order, so a pair whose score is within one float32 step may fall either way.
    loose = list_cosine_pairs(left, right, min_similarity=min_similarity - 1e-6)
    strict = list_cosine_pairs(left, right, min_similarity=min_similarity + 1e-6)
    assert strict.keys() <= found.keys() <= loose.keys()
    for pair, score in found.items():
        assert score >= np.float32(min_similarity)
        assert score == pytest.approx(loose[pair], abs=1e-7)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), tile_rows=st.integers(1, 50), part=st.integers(1, 20))
def test_pairs_and_bits_do_not_depend_on_tiles_or_parts(seed, tile_rows, part):
    rows = make_rows(np.random.default_rng(seed), 45, 100)
    expected = as_dict(find_cosine_pairs(rows, None, min_similarity=0.7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "PART_ROWS", part)
        blocks = list(find_cosine_pairs(rows, None, min_similarity=0.7, tile_rows=tile_rows))
    assert as_dict(blocks) == expected
    assert max(map(len, blocks)) <= part**2


def test_order_of_images_changes_no_score():
    rng = np.random.default_rng(4)
    rows = make_rows(rng, 60, 512)
    order = rng.permutation(60)
    expected = as_dict(find_cosine_pairs(rows, None, min_similarity=0.6))
    shuffled = as_dict(find_cosine_pairs(rows[order], None, min_similarity=0.6, tile_rows=7))
    back = {tuple(sorted((int(order[left]), int(order[right])))): score for (left, right), score in shuffled.items()}
    assert back == expected
    assert expected


@pytest.mark.parametrize("d", [1, 31, 32, 33, 512, 1280])
def test_score_is_the_float64_product_rounded_once(d):
    rng = np.random.default_rng(d)
    rows = make_rows(rng, 40, d)
    left, right = np.triu_indices(40, 1)
    exact = np.array(
        [sum(map(float, np.float64(rows[i]) * np.float64(rows[j]))) for i, j in zip(left, right, strict=True)]
    )
    scores = score_pairs(rows, rows, left, right)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, exact, rtol=2.0**-24, atol=1e-15 * d)


def test_pair_at_exactly_the_limit_counts():
    rows = np.array([[1, 0], [0.75, 0], [0.5, 0]], np.float32)
    assert as_dict(find_cosine_pairs(rows, None, min_similarity=0.75)) == {(0, 1): 0.75}
    just_over = float(np.nextafter(np.float32(0.75), np.float32(1)))
    assert as_dict(find_cosine_pairs(rows, None, min_similarity=just_over)) == {}


def test_limit_is_read_as_float32():
    # 0.9 as float32 is a little below 0.9 as float64: the pair whose score prints as 0.9 counts.
    rows = np.array([[1, 0], [0.9, 0]], np.float32)
    assert list(as_dict(find_cosine_pairs(rows, None, min_similarity=0.9))) == [(0, 1)]


@pytest.mark.parametrize("d", [1, 8, 512, 4096])
def test_slack_covers_the_float32_product(d):
    # Every row times every row with float32 sums that go wrong on purpose: one long left-to-right sum.
    rng = np.random.default_rng(d)
    rows = make_rows(rng, 24, d)
    left, right = (column.ravel() for column in np.indices((24, 24)))
    products = rows[left] * rows[right]
    worst = np.cumsum(products, axis=1, dtype=np.float32)[:, -1].astype(np.float64)
    norm = rounding.largest_norm(rows)
    slack = rounding.score_slack(d, norm * norm)
    fixed = score_pairs(rows, rows, left, right)
    assert np.abs(worst - fixed).max() <= slack
    assert np.abs((rows @ rows.T).ravel() - fixed).max() <= slack
    assert slack < 1e-3


def test_rows_off_length_one_are_used_as_stored():
    rows = np.array([[1.001, 0], [1.001, 0], [0.5, 0]], np.float32)
    assert as_dict(find_cosine_pairs(rows, None, min_similarity=1.0)) == {(0, 1): pytest.approx(1.001**2, rel=1e-6)}


def test_memory_mapped_rows_give_the_same(tmp_path):
    rows = make_rows(np.random.default_rng(5), 80, 24)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    expected = as_dict(find_cosine_pairs(rows, None, min_similarity=0.5))
    assert as_dict(find_cosine_pairs(mapped, None, min_similarity=0.5, tile_rows=11)) == expected


@pytest.mark.parametrize("n_right", [None, 30], ids=["within", "across"])
def test_progress_sums_to_the_number_of_comparisons(n_right):
    rows = make_rows(np.random.default_rng(6), 50, 4)
    steps = []
    right = None if n_right is None else rows[:n_right]
    list(find_cosine_pairs(rows, right, min_similarity=0.9, tile_rows=16, progress=steps.append))
    assert sum(steps) == count_comparisons(50, n_right)
    assert len(steps) > 5


@pytest.mark.parametrize(
    ("left", "right", "options", "message"),
    [
        pytest.param(np.ones((2, 3)), None, {}, "must be float32", id="float64"),
        pytest.param(np.ones(3, np.float32), None, {}, "must be float32", id="one row"),
        pytest.param(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32), {}, "as wide", id="widths"),
        pytest.param(
            np.ones((2, 3), np.float32), None, {"min_similarity": np.nan}, "allowed is a number", id="nan limit"
        ),
        pytest.param(np.ones((2, 3), np.float32), None, {"tile_rows": 0}, "1 or more", id="tile"),
        pytest.param(np.full((2, 3), np.nan, np.float32), None, {}, "not finite", id="nan row"),
        pytest.param(np.full((2, 3), np.inf, np.float32), None, {}, "not finite", id="infinite row"),
        pytest.param(np.full((2, 3), 1e30, np.float32), None, {}, "longer than", id="huge row"),
    ],
)
def test_wrong_input_is_named(left, right, options, message):
    with pytest.raises(ValueError, match=message):
        list(find_cosine_pairs(left, right, **{"min_similarity": 0.9, **options}))


def test_wrong_input_is_named_before_the_first_pair_is_asked_for():
    with pytest.raises(ValueError, match="must be float32"):
        find_cosine_pairs(np.ones((2, 3)), None, min_similarity=0.9)
