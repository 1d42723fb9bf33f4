"""Pairs come back in one order whatever the run size, and memory files go away."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.errors import StoreError
from overlens.records import PairBlock
from overlens.spool import MatchFlags, PairSpool, write_pairs_json


def make_blocks(rng, n_pairs, n_left, n_right, kind):
    """Different pairs with many equal scores, cut at random places."""
    n_pairs = min(n_pairs, n_left * n_right)
    flat = rng.permutation(n_left * n_right)[:n_pairs]
    left, right = (flat // max(n_right, 1)).astype(np.int32), (flat % max(n_right, 1)).astype(np.int32)
    if kind == "ascending":
        scores = rng.integers(0, 4, n_pairs).astype(np.int32)
    else:
        scores = rng.choice(np.array([-1.0, -0.25, 0.0, 0.5, 0.9, 1.0], np.float32), n_pairs)
    cuts = np.sort(rng.integers(0, n_pairs + 1, 4))
    columns = (np.split(column, cuts) for column in (left, right, scores))
    return [PairBlock(*part) for part in zip(*columns, strict=True)]


def as_rows(blocks):
    return [row for b in blocks for row in zip(b.left.tolist(), b.right.tolist(), b.scores.tolist(), strict=True)]


@pytest.mark.parametrize("kind", ["descending", "ascending"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_pairs=st.integers(0, 200), run_rows=st.integers(1, 60), k=st.integers(0, 400))
def test_spool_sorts_like_a_list(tmp_path_factory, kind, seed, n_pairs, run_rows, k):
    rng = np.random.default_rng(seed)
    left_rank, right_rank = (rng.permutation(n).astype(np.int32) for n in (23, 17))
    blocks = make_blocks(rng, n_pairs, 23, 17, kind)
    sign = -1 if kind == "descending" else 1
    expected = sorted(as_rows(blocks), key=lambda row: (sign * row[2], left_rank[row[0]], right_rank[row[1]]))
    folder = tmp_path_factory.mktemp("spool")
    with PairSpool(folder, left_rank, right_rank, most_alike_first=kind, run_rows=run_rows) as spool:
        for block in blocks:
            spool.add(block)
        assert spool.n_pairs == len(expected)
        assert as_rows([spool.top(k)]) == expected[:k]
        assert as_rows(spool.sorted_blocks()) == expected
        assert as_rows(spool.sorted_blocks()) == expected
    assert list(folder.iterdir()) == []


def test_blocks_stay_small(tmp_path):
    rank = np.arange(200, dtype=np.int32)
    with PairSpool(tmp_path, rank, rank, most_alike_first="ascending", run_rows=5_000) as spool:
        for block in make_blocks(np.random.default_rng(1), 40_000, 200, 200, "ascending"):
            spool.add(block)
        lengths = [len(block) for block in spool.sorted_blocks()]
    assert sum(lengths) == 40_000
    assert max(lengths) <= 5_000


def test_pairs_may_be_added_after_reading(tmp_path):
    rank = np.arange(3, dtype=np.int32)
    first, second = (PairBlock(*(np.array([i], np.int32) for i in row)) for row in ((0, 1, 4), (1, 2, 2)))
    with PairSpool(tmp_path, rank, rank, most_alike_first="ascending") as spool:
        spool.add(first)
        assert as_rows(spool.sorted_blocks()) == [(0, 1, 4)]
        spool.add(second)
        assert as_rows(spool.sorted_blocks()) == [(1, 2, 2), (0, 1, 4)]


def test_every_float_keeps_its_bits(tmp_path):
    values = np.array([1.0, np.nextafter(np.float32(1), np.float32(0)), 1e-40, 0.0, -1e-40, -0.3, -1.0], np.float32)
    rows = np.arange(len(values), dtype=np.int32)
    with PairSpool(tmp_path, rows, rows, most_alike_first="descending", run_rows=3) as spool:
        spool.add(PairBlock(rows[::-1].copy(), rows, values[::-1].copy()))
        scores = np.concatenate([block.scores for block in spool.sorted_blocks()])
    assert scores.tobytes() == values.tobytes()


def test_minus_zero_equals_zero(tmp_path):
    rank = np.arange(2, dtype=np.int32)
    with PairSpool(tmp_path, rank, rank, most_alike_first="descending") as spool:
        spool.add(PairBlock(rank[::-1].copy(), rank, np.array([0.0, -0.0], np.float32)))
        assert as_rows([spool.top(2)]) == [(0, 1, 0.0), (1, 0, 0.0)]


def test_scores_of_two_kinds_do_not_mix(tmp_path):
    rank = np.arange(2, dtype=np.int32)
    with PairSpool(tmp_path, rank, rank, most_alike_first="descending") as spool:
        spool.add(PairBlock(rank, rank, np.ones(2, np.float32)))
        with pytest.raises(ValueError, match="one spool a method"):
            spool.add(PairBlock(rank, rank, np.ones(2, np.int32)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"most_alike_first": "best"}, "allowed: 'descending'", id="order"),
        pytest.param({"run_rows": 0}, "1 or more", id="run rows"),
        pytest.param({"left_rank": np.array([0, 0], np.int32)}, "each once", id="rank twice"),
        pytest.param({"left_rank": np.array([0, 2], np.int32)}, "each once", id="rank too large"),
        pytest.param({"right_rank": np.array([0, 1])}, "must be int32", id="rank type"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, changes, message):
    rank = np.arange(2, dtype=np.int32)
    arguments = {"left_rank": rank, "right_rank": rank, "most_alike_first": "descending", **changes}
    with pytest.raises(ValueError, match=message):
        PairSpool(tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_says_where(tmp_path):
    rank = np.arange(2, dtype=np.int32)
    with PairSpool(tmp_path, rank, rank, most_alike_first="descending", run_rows=1) as spool:
        for folder in tmp_path.iterdir():
            folder.rmdir()
        with pytest.raises(StoreError, match="cannot write pairs under"):
            spool.add(PairBlock(rank, rank, np.ones(2, np.float32)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_pairs=st.integers(0, 100))
def test_flags_equal_the_rows_that_stand_in_pairs(seed, n_pairs):
    blocks = make_blocks(np.random.default_rng(seed), n_pairs, 23, 17, "ascending")
    across, inside = MatchFlags(23, 17), MatchFlags(23, None)
    assert list(across.watch(blocks)) == blocks
    for block in blocks:
        inside.add(block)
    rows = as_rows(blocks)
    assert set(np.flatnonzero(across.left)) == {left for left, _, _ in rows}
    assert set(np.flatnonzero(across.right)) == {right for _, right, _ in rows}
    assert set(np.flatnonzero(inside.left)) == {row for left, right, _ in rows for row in (left, right)}
    assert inside.right is inside.left
    assert across.n_pairs == inside.n_pairs == n_pairs


def write_json(blocks, left_names, right_names):
    stream = io.StringIO()
    n_pairs = write_pairs_json(stream, blocks, left_names, right_names)
    return n_pairs, stream.getvalue()


def test_json_is_one_pair_a_line():
    block = PairBlock(np.array([0, 1], np.int32), np.array([1, 0], np.int32), np.array([0.9, 0.25], np.float32))
    n_pairs, text = write_json([block], ["a", "é"], ["x", 'q"\n'])
    assert n_pairs == 2
    assert text == '[\n  ["a", "q\\"\\n", 0.9],\n  ["é", "x", 0.25]\n]\n'


@pytest.mark.parametrize("blocks", [[], [PairBlock(*(np.empty(0, np.int32),) * 3)]], ids=["no block", "empty block"])
def test_json_of_no_pairs_is_an_empty_list(blocks):
    assert write_json(blocks, ["a"], ["b"]) == (0, "[]\n")


@settings(max_examples=15, deadline=None)
@given(
    scores=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    names=st.lists(st.text(st.characters(codec="utf-8") | st.just("\udc80")), min_size=1, max_size=5),
)
def test_json_gives_back_names_and_float32_scores(scores, names):
    rows = np.arange(len(scores), dtype=np.int32) % len(names)
    blocks = [
        PairBlock(rows[i : i + 7], rows[i : i + 7], np.array(scores[i : i + 7], np.float32))
        for i in range(0, len(scores), 7)
    ]
    _, text = write_json(blocks, names, names)
    found = json.loads(text.encode("utf-8"))
    assert [np.float32(score) for _, _, score in found] == scores
    assert [left for left, _, _ in found] == [names[row] for row in rows]


def test_json_distances_are_integers():
    column = np.zeros(1, np.int32)
    assert json.loads(write_json([PairBlock(column, column, column + 3)], ["a"], ["b"])[1]) == [["a", "b", 3]]
    assert '"b", 3]' in write_json([PairBlock(column, column, column + 3)], ["a"], ["b"])[1]


def test_json_refuses_scores_that_json_cannot_hold():
    column = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="not finite"):
        write_json([PairBlock(column, column, np.array([np.nan], np.float32))], ["a"], ["b"])
