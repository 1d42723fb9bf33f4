"""Products find every place that reaches a floor, in float32 and in bfloat16, whatever the sign of the floor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.search import products
from overlens.search.bfloat16 import round_to_bfloat16, round_up_to_bfloat16, widen

STEP = 2.0**-7  # the most that lies between a bfloat16 and the next, relative to the number


def make_parts(seed):
    """Two parts of the test's size, of numbers that bfloat16 holds, so that products are the same in any order."""
    rng = np.random.default_rng(seed)
    return [np.round(rng.standard_normal((n, 32)) * 8).astype(np.float32) / 16 for n in (13, 20)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), place=st.floats(0, 1), is_diagonal=st.booleans())
def test_float32_finds_what_reaches_the_floor(seed, place, is_diagonal):
    upper, lower = make_parts(seed)
    lower = upper if is_diagonal else lower
    exact = upper.astype(np.float64) @ lower.T
    floor = float(np.quantile(exact, place, method="nearest"))
    rows, columns = products.FloatProducts().find(upper, lower, floor, is_diagonal=is_diagonal)
    expected = np.triu(exact >= floor, 1) if is_diagonal else exact >= floor
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == set(
        zip(*map(list, expected.nonzero()), strict=True)
    )


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("is_diagonal", [False, True], ids=["across", "diagonal"])
def test_bfloat16_misses_nothing_and_adds_only_what_is_next_to_the_floor(monkeypatch, place, is_diagonal):
    if not products.has_bfloat16():
        pytest.skip("this processor does not multiply bfloat16")
    monkeypatch.setattr(products, "PART_ROWS", 16)
    upper, lower = make_parts(3)
    lower = upper if is_diagonal else lower
    narrow = products.NarrowProducts(32)
    tops, bottoms = (narrow.cut(round_to_bfloat16(side)) for side in (upper, lower))
    assert [n_rows for _, n_rows in bottoms] == ([13] if is_diagonal else [16, 4])
    exact = upper.astype(np.float64) @ lower.T
    floor = float(np.quantile(exact, place, method="nearest"))
    found = set()
    for start, bottom in zip((0, 16), bottoms, strict=False):
        rows, columns = narrow.find(tops[0], bottom, floor, is_diagonal=is_diagonal)
        found |= set(zip(rows.tolist(), (columns + start).tolist(), strict=True))
    allowed = np.triu(np.ones_like(exact), 1).astype(bool) if is_diagonal else np.ones_like(exact, bool)
    must, may = allowed & (exact >= floor), allowed & (exact >= floor - STEP * abs(floor) - 1e-30)
    assert set(zip(*map(list, must.nonzero()), strict=True)) <= found
    assert found <= set(zip(*map(list, may.nonzero()), strict=True))


@settings(max_examples=100, deadline=None)
@given(value=st.floats(2.0**-100, 2.0**100, width=32), is_negative=st.booleans())
def test_bfloat16_is_the_nearest_and_the_next_above(value, is_negative):
    number = np.array([-value if is_negative else value], np.float32)
    bits = round_to_bfloat16(number)
    around = widen(bits + np.array([-1, 0, 1], np.int32).astype(np.uint16)).astype(np.float64)
    distances = np.abs(around - number)
    assert distances[1] == distances.min()
    assert bits[0] % 2 == 0 or np.count_nonzero(distances == distances[1]) == 1
    up = widen(round_up_to_bfloat16(np.abs(number)))[0]
    assert value <= up <= value * (1 + STEP)
    assert up == value or widen(round_up_to_bfloat16(np.array([up]))) == up


def test_keys_stand_at_or_below_their_floor():
    floors = np.array([-1.0, -0.9, -1e-3, -1e-42, -0.0, 0.0, 1e-42, 1e-3, 0.9, 1.0])
    keys = [products._key(floor) for floor in floors]
    narrow = [products._narrow_key(floor) for floor in floors]
    assert keys == sorted(keys)
    assert narrow == sorted(narrow)
    reached = products._turn(floors.astype(np.float32).view(np.int32))
    assert (reached >= np.array(keys)).all()
