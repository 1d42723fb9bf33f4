"""Edges are judged pairs: each verified pair once by its strongest verdict, whatever side and order it came in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.edges import Edges
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_PICTURE, SAME_SCENE

Row = tuple[int, int, int, float]

ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from([0, 1, 2, 3, 4, 5, 255]), st.integers(0, 4)).filter(
        lambda row: row[0] != row[1]
    ),
    max_size=25,
)


def make(rows: list[Row]) -> Edges:
    left, right, verdicts, strengths = zip(*rows, strict=True) if rows else ((), (), (), ())
    kinds = (left, np.int32), (right, np.int32), (verdicts, np.uint8), (strengths, np.float32)
    return Edges(*(np.array(column, kind) for column, kind in kinds))


def rows_of(edges: Edges) -> list[Row]:
    columns = edges.left, edges.right, edges.verdicts, edges.strengths
    return list(zip(*(column.tolist() for column in columns), strict=True))


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_verified_pairs_stand_once_by_their_strongest_verdict_strongest_first(rows: list[tuple[int, int, int, int]]):
    best: dict[tuple[int, int], tuple[int, float]] = {}
    for left, right, verdict, quarters in rows:
        couple, rank = (min(left, right), max(left, right)), (verdict, -quarters / 4)
        if verdict <= EDITED:
            best[couple] = min(best.get(couple, rank), rank)
    wanted = sorted((verdict, weakness, *couple) for couple, (verdict, weakness) in best.items())
    edges = make([(left, right, verdict, quarters / 4) for left, right, verdict, quarters in rows])
    assert rows_of(edges.verified()) == [(left, right, verdict, -weakness) for verdict, weakness, left, right in wanted]
    assert rows_of(make(rows_of(edges)[::-1]).verified()) == rows_of(edges.verified())


def test_chosen_pairs_keep_their_order_and_all_their_columns():
    rows = [(0, 1, SAME_PICTURE, 0.5), (3, 2, SAME_SCENE, 0.25), (1, 4, LOOK_ALIKE, 1.0)]
    edges = make(rows)
    assert rows_of(edges.chosen(np.array([2, 0]))) == [rows[2], rows[0]]
    assert rows_of(edges.chosen(edges.verdicts <= SAME_SCENE)) == rows[:2]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((2, 2, SAME_PICTURE, 0.5), "no pair with itself"),
        ((1, 2, SAME_PICTURE, 1.01), "strengths must be numbers from 0 to 1"),
        ((1, 2, SAME_PICTURE, -0.01), "strengths must be numbers from 0 to 1"),
        ((1, 2, SAME_PICTURE, float("nan")), "strengths must be numbers from 0 to 1"),
    ],
    ids=["itself", "above 1", "below 0", "no number"],
)
def test_what_is_no_judged_pair_is_refused(row: Row, words: str):
    with pytest.raises(ValueError, match=words):
        make([(0, 1, SAME_PICTURE, 0.5), row])
