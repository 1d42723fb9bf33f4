"""Equal rows are connected by few pairs, and by none within a reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.search.equal import EqualRows, find_equal_rows

ROWS = st.lists(st.integers(0, 4), max_size=40)


def as_rows(values: list[int]) -> np.ndarray:
    return np.stack([np.array(values, np.uint8)] * 3, axis=1).reshape(-1, 3)


def components(n: int, found: EqualRows) -> list[set[int]]:
    groups = [{row} for row in range(n)]
    for left, right in zip(found.left.tolist(), found.right.tolist(), strict=True):
        if groups[left] is not groups[right]:
            groups[left] |= groups[right]
            for row in groups[right]:
                groups[row] = groups[left]
    return groups


@settings(max_examples=40, deadline=None)
@given(values=ROWS, most_full=st.integers(2, 6))
def test_exactly_the_equal_rows_are_connected_each_pair_once(values: list[int], most_full: int) -> None:
    found = find_equal_rows(as_rows(values), most_full=most_full)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) and all(left < right for left, right in pairs)
    groups = components(len(values), found)
    for row, value in enumerate(values):
        assert groups[row] == {other for other, same in enumerate(values) if same == value}
    for value in set(values):
        size = values.count(value)
        n_pairs = sum(values[left] == value for left, _ in pairs)
        assert n_pairs == (size * (size - 1) // 2 if size <= most_full else size - 1)


@settings(max_examples=40, deadline=None)
@given(values=ROWS, most_full=st.integers(2, 6), seed=st.integers(0, 99))
def test_no_pair_stands_within_the_reference_and_all_others_stay_connected(
    values: list[int], most_full: int, seed: int
) -> None:
    reference = np.random.default_rng(seed).random(len(values)) < 0.5
    found = find_equal_rows(as_rows(values), most_full=most_full, in_reference=reference)
    assert not (reference[found.left] & reference[found.right]).any()
    groups = components(len(values), found)
    for value in set(values):
        rows = {row for row, same in enumerate(values) if same == value}
        if not all(reference[row] for row in rows):
            assert groups[min(rows)] == rows


def test_a_thousand_equal_rows_give_a_thousand_pairs() -> None:
    found = find_equal_rows(np.zeros((1000, 16), np.uint8), most_full=21)
    assert len(found.left) == 999


@settings(max_examples=20, deadline=None)
@given(values=ROWS, most_full=st.integers(2, 6))
def test_each_row_knows_the_first_that_is_equal(values: list[int], most_full: int) -> None:
    found = find_equal_rows(as_rows(values), most_full=most_full)
    assert found.first.tolist() == [values.index(value) for value in values]


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match="most_full is 1"):
        find_equal_rows(as_rows([1, 1]), most_full=1)
    with pytest.raises(ValueError, match=r"rows must be \(n, b\) uint8"):
        find_equal_rows(np.zeros(3, np.uint8), most_full=3)
