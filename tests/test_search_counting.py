"""Counts of pairs at every threshold equal those of the pair search, whatever the tiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.search.cosine import find_cosine_pairs
from overlens.search.counting import count_cosine_pairs, count_hamming_pairs
from overlens.search.tiles import count_comparisons

GRID = (0.999, *(thousandth / 1000 for thousandth in range(995, 499, -5)))


def unit_rows(n: int, d: int, seed: int, spread: float = 1.0) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = generator.normal(size=(n, d)) * spread + generator.normal(size=d)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def scores_of(left: np.ndarray, right: np.ndarray | None) -> np.ndarray:
    blocks = [block.scores for block in find_cosine_pairs(left, right, min_similarity=-1.0)]
    return np.concatenate([np.empty(0, np.float32), *blocks])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(0, 40),
    m=st.one_of(st.none(), st.integers(0, 40)),
    d=st.sampled_from([1, 3, 40]),
    tile_rows=st.sampled_from([1, 7, 64]),
    spread=st.sampled_from([0.1, 1.0]),
)
def test_cosine_counts_are_those_of_the_pairs(seed: int, n: int, m: int | None, d: int, tile_rows: int, spread: float):
    left = unit_rows(n, d, seed, spread)
    right = None if m is None else unit_rows(m, d, seed + 1, spread)
    if right is not None:
        right[: min(3, n, m)] = left[: min(3, n, m)]
    scores = scores_of(left, right)
    compared: list[int] = []
    counts = count_cosine_pairs(left, right, thresholds=GRID, tile_rows=tile_rows, progress=compared.append)
    assert counts.tolist() == [int((scores >= np.float32(threshold)).sum()) for threshold in GRID]
    assert sum(compared) == count_comparisons(n, m)


def test_pairs_at_exactly_a_threshold_count():
    # Thresholds that are scores: each is a case in which the matrix product alone could fall on either side.
    rows = unit_rows(60, 97, 5, 0.3)
    scores = np.unique(scores_of(rows, None))[::40]
    counts = count_cosine_pairs(rows, None, thresholds=scores.tolist(), tile_rows=13)
    everything = scores_of(rows, None)
    assert counts.tolist() == [int((everything >= score).sum()) for score in scores]


def test_thresholds_keep_their_order():
    rows = unit_rows(30, 8, 2, 0.5)
    upwards = count_cosine_pairs(rows, None, thresholds=(0.5, 0.7, 0.9))
    downwards = count_cosine_pairs(rows, None, thresholds=(0.9, 0.7, 0.5))
    assert upwards.tolist() == downwards.tolist()[::-1] and upwards[0] > upwards[2]


@pytest.mark.parametrize("thresholds", [(0.9,), (0.9, 0.9)], ids=["one", "twice"])
def test_too_few_thresholds_are_refused(thresholds: tuple[float, ...]):
    with pytest.raises(ValueError, match="two thresholds or more"):
        count_cosine_pairs(unit_rows(3, 4, 1), None, thresholds=thresholds)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(0, 30),
    m=st.one_of(st.none(), st.integers(0, 30)),
    n_bytes=st.sampled_from([1, 8, 13, 32]),
    tile_rows=st.sampled_from([1, 5, 64]),
)
def test_distance_counts_are_those_of_all_bits(seed: int, n: int, m: int | None, n_bytes: int, tile_rows: int):
    generator = np.random.Generator(np.random.PCG64(seed))
    left = generator.integers(0, 256, (n, n_bytes), np.uint8)
    right = None if m is None else generator.integers(0, 256, (m, n_bytes), np.uint8)
    others = left if right is None else right
    distances = np.bitwise_count(left[:, None] ^ others[None]).sum(axis=2)
    distances = distances[np.triu_indices(n, 1)] if right is None else distances.ravel()
    counts = count_hamming_pairs(left, right, tile_rows=tile_rows)
    assert counts.tolist() == [int((distances <= bits).sum()) for bits in range(8 * n_bytes + 1)]
