"""Hamming search equals the plain reference at every width, tile and skew."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.search import bands, count_comparisons, find_hamming_pairs, hamming
from overlens.search.bands import choose_bands, plan_bands
from overlens.search.reference import list_hamming_pairs


def make_hashes(rng, n, n_bytes):
    """A third equal to one hash, a third a few bits away from others, the rest random."""
    hashes = rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)
    hashes[: n // 3] = hashes[:1]
    for row in range(n // 3, 2 * n // 3):
        hashes[row] = hashes[rng.integers(0, n)]
        for bit in rng.integers(0, n_bytes * 8, rng.integers(0, 12)):
            hashes[row, bit // 8] ^= np.uint8(1 << (bit % 8))
    return hashes


def as_dict(blocks):
    pairs = {}
    for block in blocks:
        assert block.scores.dtype == np.int32
        for left, right, score in zip(block.left.tolist(), block.right.tolist(), block.scores.tolist(), strict=True):
            assert (left, right) not in pairs
            pairs[left, right] = score
    return pairs


def choose(uses_bands, radius=2):
    """Bands wherever there are bits for them, or none."""
    return lambda _, n_bits, max_distance_bits: plan_bands(n_bits, max_distance_bits, radius) if uses_bands else None


@pytest.mark.parametrize("uses_bands", [True, False], ids=["bands", "every pair"])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 40),
    m=st.none() | st.integers(0, 40),
    n_bytes=st.sampled_from([1, 2, 7, 8, 9, 18, 32]),
    tile_rows=st.integers(1, 50),
    max_distance_bits=st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 11, 12, 16, 31, 300]),
    radius=st.integers(0, 3),
)
def test_search_equals_the_reference(uses_bands, seed, n, m, n_bytes, tile_rows, max_distance_bits, radius):
    rng = np.random.default_rng(seed)
    left, right = make_hashes(rng, n, n_bytes), None if m is None else make_hashes(rng, m, n_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "choose_bands", choose(uses_bands, radius))
        patch.setattr(hamming, "CACHE_ROWS", 13)
        found = as_dict(find_hamming_pairs(left, right, max_distance_bits=max_distance_bits, tile_rows=tile_rows))
    assert found == list_hamming_pairs(left, right, max_distance_bits=max_distance_bits)


@pytest.mark.parametrize("uses_bands", [True, False], ids=["bands", "every pair"])
@pytest.mark.parametrize("chunk", [1, 7, 50, 10_000])
def test_identical_hashes_come_in_bounded_blocks(monkeypatch, chunk, uses_bands):
    monkeypatch.setattr(hamming, "CHUNK_PAIRS", chunk)
    monkeypatch.setattr(hamming, "choose_bands", choose(uses_bands))
    hashes = np.zeros((100, 8), np.uint8)
    blocks = list(find_hamming_pairs(hashes, None, max_distance_bits=5, tile_rows=40))
    assert len(as_dict(blocks)) == count_comparisons(100, None)
    assert max(map(len, blocks)) <= max(chunk, 40)


@pytest.mark.parametrize("max_distance_bits", [2, 5, 8])
def test_both_ways_agree_on_many_skewed_hashes(monkeypatch, max_distance_bits):
    hashes = make_hashes(np.random.default_rng(7), 3000, 8)
    hashes[::5, :2] = 0  # one band alike
    found = {}
    for uses_bands in (True, False):
        monkeypatch.setattr(hamming, "choose_bands", choose(uses_bands))
        blocks = find_hamming_pairs(hashes, None, max_distance_bits=max_distance_bits, tile_rows=2000)
        columns = [(block.left, block.right, block.scores) for block in blocks]
        rows = np.stack([np.concatenate(column) for column in zip(*columns, strict=True)], axis=1)
        found[uses_bands] = rows[np.lexsort(rows.T[::-1])]
    np.testing.assert_array_equal(found[True], found[False])
    assert len(np.unique(found[True][:, :2], axis=0)) == len(found[True]) > 1000


def test_bands_are_chosen_for_spread_hashes_and_not_for_skewed_ones():
    rng = np.random.default_rng(8)
    spread = rng.integers(0, 2**63, (20_000, 1), dtype=np.uint64)
    skewed = spread & np.uint64(0x0101010101010101)
    chosen = [choose_bands((words, words), 64, 3) is not None for words in (spread, skewed)]
    assert chosen == [True, False]


def test_few_hashes_are_compared_without_measuring_bands(monkeypatch):
    words = np.random.default_rng(9).integers(0, 2**63, (2048, 1), dtype=np.uint64)
    monkeypatch.setattr(bands, "_measure_cost", lambda *_: pytest.fail("bands were measured"))
    assert choose_bands((words, words), 64, 3) is None


@pytest.mark.parametrize(
    ("n_bits", "max_distance_bits", "radius", "expected"),
    [
        (64, 8, 2, ([(0, 0), (0, 18), (0, 36)], 18)),
        (64, 8, 0, ([(0, bit) for bit in range(0, 63, 7)], 7)),
        (96, 5, 1, ([(0, 0), (0, 18), (0, 36)], 18)),
        (72, 7, 0, ([(0, bit) for bit in range(0, 64, 8)], 8)),
        (72, 8, 0, ([*((0, bit) for bit in range(0, 64, 8)), (1, 0)], 8)),
        (8, 3, 1, ([(0, 0), (0, 4)], 4)),
    ],
)
def test_bands_are_disjoint_and_as_wide_as_bits_allow(n_bits, max_distance_bits, radius, expected):
    bands = plan_bands(n_bits, max_distance_bits, radius)
    assert (list(bands.places), bands.n_bits) == expected
    assert len(bands.places) * (radius + 1) > max_distance_bits


def test_no_bands_where_there_are_too_few_bits():
    assert plan_bands(8, 8, 0) is None
    assert plan_bands(16, 8, 2, 2) is None


def test_distance_at_the_limit_counts():
    hashes = np.array([[0] * 8, [0b11111, *[0] * 7], [0b111111, *[0] * 7]], np.uint8)
    assert as_dict(find_hamming_pairs(hashes, None, max_distance_bits=5)) == {(0, 1): 5, (1, 2): 1}


@pytest.mark.parametrize("n_right", [None, 30], ids=["within", "across"])
def test_progress_sums_to_the_number_of_comparisons(n_right):
    hashes = make_hashes(np.random.default_rng(6), 50, 8)
    steps = []
    right = None if n_right is None else hashes[:n_right]
    list(find_hamming_pairs(hashes, right, max_distance_bits=3, tile_rows=16, progress=steps.append))
    assert sum(steps) == count_comparisons(50, n_right)


@pytest.mark.parametrize(
    ("left", "right", "options", "message"),
    [
        pytest.param(np.zeros((2, 8)), None, {}, "must be uint8", id="type"),
        pytest.param(np.zeros(8, np.uint8), None, {}, "must be uint8", id="one hash"),
        pytest.param(np.zeros((2, 8), np.uint8), np.zeros((2, 9), np.uint8), {}, "as wide", id="widths"),
        pytest.param(np.zeros((2, 8), np.uint8), None, {"max_distance_bits": -1}, "0 or more", id="limit"),
        pytest.param(np.zeros((2, 8), np.uint8), None, {"tile_rows": 0}, "1 or more", id="tile"),
        pytest.param(np.zeros((2, 0), np.uint8), None, {}, "at least one byte", id="no bytes"),
    ],
)
def test_wrong_input_is_named(left, right, options, message):
    with pytest.raises(ValueError, match=message):
        list(find_hamming_pairs(left, right, **{"max_distance_bits": 5, **options}))
