"""Mutual nearest neighbours equal those of a full sort, for any tile size, with ties to the lower row."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overlens.search.mutual import PickedRows, find_mutual_pairs
from overlens.search.tiles import count_comparisons

Floats = NDArray[np.float32]
Pairs = dict[tuple[int, int], float]


def make_rows(seed: int, n: int, d: int = 9) -> Floats:
    """Return unit rows in clusters, some of them equal, so that there are ties and hubs."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(1 + n // 6, d))
    rows = centres[generator.integers(len(centres), size=n)] + generator.normal(size=(n, d)) * 0.4
    rows[::5] = rows[:1]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def list_pairs(left: Floats, right: Floats | None, k: int, floor: float) -> Pairs:
    others = left if right is None else right
    scores = (left.astype(np.float64) @ others.T.astype(np.float64)).astype(np.float32)
    if right is None:
        np.fill_diagonal(scores, -np.inf)
    by_left = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    by_right = np.argsort(np.argsort(-scores, axis=0, kind="stable"), axis=0)
    chosen = ((by_left < k) & (by_right < k)) | (by_left == 0) | (by_right == 0)
    chosen &= scores >= np.float32(floor)
    return {(i, j): float(scores[i, j]) for i, j in np.argwhere(chosen).tolist() if right is not None or i < j}


def search(left: Floats, right: Floats | None, k: int, floor: float, tile_rows: int) -> Pairs:
    block = find_mutual_pairs(left, right, k=k, min_similarity=floor, tile_rows=tile_rows)
    pairs = list(zip(block.left.tolist(), block.right.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    return dict(zip(pairs, block.scores.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 60),
    m=st.one_of(st.none(), st.integers(1, 40)),
    k=st.integers(1, 8),
    floor=st.sampled_from([-1.0, 0.0, 0.6]),
    tile_rows=st.sampled_from([5, 17, 1000]),
)
@example(seed=1, n=9, m=None, k=3, floor=0.0, tile_rows=1)
@example(seed=2, n=8, m=6, k=200_000, floor=-1.0, tile_rows=1)
def test_finds_what_a_full_sort_finds(seed: int, n: int, m: int | None, k: int, floor: float, tile_rows: int) -> None:
    left, right = make_rows(seed, n), None if m is None else make_rows(seed + 1, m)
    if right is not None:
        right[: min(n, len(right)) // 2] = left[: min(n, len(right)) // 2]
    assert search(left, right, k, floor, tile_rows) == list_pairs(left, right, k, floor)


def test_many_copies_of_one_picture_stay_connected() -> None:
    picture = make_rows(1, 1, 32)
    noise = np.random.default_rng(0).normal(size=(12, 32)) * 0.02
    copies = (picture + noise).astype(np.float32)
    copies /= np.linalg.norm(copies, axis=1, keepdims=True)
    found = find_mutual_pairs(copies, picture, k=2, min_similarity=0.9)
    assert found.left.tolist() == list(range(12))


def test_no_rows_give_no_pairs() -> None:
    empty = np.zeros((0, 9), np.float32)
    assert len(find_mutual_pairs(empty, None, k=3, min_similarity=0)) == 0
    assert len(find_mutual_pairs(empty, make_rows(1, 5), k=3, min_similarity=0)) == 0


def test_picked_rows_are_searched_like_a_copy_of_them() -> None:
    rows, picked = make_rows(4, 80), np.flatnonzero(np.arange(80) % 3)
    found = find_mutual_pairs(PickedRows(rows, picked), None, k=3, min_similarity=0.1, tile_rows=16)
    wanted = find_mutual_pairs(rows[picked], None, k=3, min_similarity=0.1)
    for name in ("left", "right", "scores"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 40), m=st.integers(0, 30), k=st.integers(1, 6))
def test_rows_of_one_label_are_no_neighbours_and_take_no_place(seed: int, n: int, m: int, k: int) -> None:
    generator = np.random.default_rng(seed)
    left, right = make_rows(seed, n), make_rows(seed + 1, m)
    names = generator.permutation(n + m)[:n], generator.permutation(n + m)[:m]
    shared = np.argwhere(names[0][:, None] == names[1])
    right[shared[:, 1]] = left[shared[:, 0]]  # as copies of a picture are
    scores = (left.astype(np.float64) @ right.T.astype(np.float64)).astype(np.float32)
    scores[shared[:, 0], shared[:, 1]] = -np.inf
    ranks = [np.argsort(np.argsort(-scores, axis=axis, kind="stable"), axis=axis) for axis in (0, 1)]
    chosen = ((ranks[0] < k) & (ranks[1] < k)) | (ranks[0] == 0) | (ranks[1] == 0)
    sides = [PickedRows(rows, np.arange(len(rows)), labels) for rows, labels in zip((left, right), names, strict=True)]
    found = find_mutual_pairs(sides[0], sides[1], k=k, min_similarity=0.1, tile_rows=16)
    wanted = np.argwhere(chosen & (scores >= np.float32(0.1)))
    assert np.stack([found.left, found.right], axis=1).tolist() == wanted.tolist()


@pytest.mark.parametrize("m", [None, 13])
def test_progress_sums_to_the_comparisons(m: int | None) -> None:
    seen: list[int] = []
    right = None if m is None else make_rows(2, m)
    find_mutual_pairs(make_rows(1, 20), right, k=3, min_similarity=0, tile_rows=8, progress=seen.append)
    assert sum(seen) == count_comparisons(20, m)


def test_wrong_values_are_refused() -> None:
    rows = make_rows(1, 4)
    with pytest.raises(ValueError, match="k is 0"):
        find_mutual_pairs(rows, None, k=0, min_similarity=0)
    with pytest.raises(ValueError, match="right must be float32 rows as wide"):
        find_mutual_pairs(rows, rows[:, :5], k=1, min_similarity=0)
    with pytest.raises(ValueError, match="must be different"):
        PickedRows(rows, np.arange(4), np.array([1, 2, 2, 3]))
    broken = rows.copy()
    broken[2, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        find_mutual_pairs(broken, None, k=1, min_similarity=0)
