"""Rows of one number are paired in full, each pair once, in blocks that never grow with a number's rows."""

from itertools import combinations, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.same_number import NO_NUMBER, list_same_pairs

COLUMNS = st.lists(st.integers(NO_NUMBER, 3), max_size=12)


@settings(max_examples=60, deadline=None)
@given(left=COLUMNS, right=st.none() | COLUMNS, at_once=st.sampled_from([1, 3, 100]))
def test_every_pair_of_one_number_is_listed_once_and_in_order(left: list[int], right: list[int] | None, at_once: int):
    column = None if right is None else np.array(right, np.int32)
    blocks = list(list_same_pairs(np.array(left, np.int32), column, at_once=at_once))
    found = [pair for rows in blocks for pair in zip(*(side.tolist() for side in rows), strict=True)]
    others = left if right is None else right
    rows = combinations(range(len(left)), 2) if right is None else product(range(len(left)), range(len(others)))
    assert found == [(i, j) for i, j in rows if left[i] == others[j] != NO_NUMBER]
    assert all(len(first) == at_once for first, _ in blocks[:-1])
    assert all(side.dtype == np.int32 for block in blocks for side in block)
