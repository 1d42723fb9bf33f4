"""Copies are the pairs within groups, each once; refuted are the judged pairs that no group joins."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import overlens.calibration.judged
from overlens.calibration.judged import CHUNK_PAIRS, Judged
from overlens.groups.find import NO_GROUP
from overlens.roster import Roster
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_PICTURE, SAME_SCENE

NOT_RELATED = 255


def judge(sizes: dict[str, int], group_of: list[int], pairs: list[tuple[int, int, int]] = ()) -> Judged:
    columns = np.array(pairs, np.int32).reshape(-1, 3)
    return Judged(
        Roster(tuple(sizes), tuple(sizes.values())),
        columns[:, 0],
        columns[:, 1],
        columns[:, 2].astype(np.uint8),
        np.array(group_of, np.int32),
    )


def listed(judged: Judged, first: str, second: str) -> list[tuple[int, int]]:
    return [
        pair for rows in judged.copies(first, second) for pair in zip(*(side.tolist() for side in rows), strict=True)
    ]


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(st.integers(NO_GROUP, 3), max_size=24), share=st.floats(0, 1), chunk=st.sampled_from([1, 4, 4096])
)
def test_copies_are_all_pairs_within_groups(groups: list[int], share: float, chunk: int):
    n = int(len(groups) * share)
    judged = judge({"a": n, "b": len(groups) - n}, groups)
    sides = {"a": groups[:n], "b": groups[n:]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlens.calibration.judged, "CHUNK_PAIRS", chunk)
        for first, second in [("a", "a"), ("b", "b"), ("a", "b"), ("b", "a")]:
            left, right = sides[first], sides[second]
            places = (
                combinations(range(len(left)), 2) if first == second else product(range(len(left)), range(len(right)))
            )
            wanted = [(i, j) for i, j in places if left[i] == right[j] != NO_GROUP]
            assert sorted(listed(judged, first, second)) == wanted


@pytest.mark.parametrize(("n", "m"), [(300, 200), (3, 9000)], ids=["many rows", "rows of more pairs than a block"])
def test_blocks_of_copies_are_bounded(n: int, m: int):
    judged = judge({"a": n, "b": m}, [0] * (n + m))
    for first, second, n_pairs in [("a", "b", n * m), ("b", "a", n * m), ("a", "a", n * (n - 1) // 2)]:
        sizes = [len(left) for left, _ in judged.copies(first, second)]
        assert sum(sizes) == n_pairs and max(sizes) <= CHUNK_PAIRS


def test_refuted_are_judged_pairs_that_nothing_joins():
    pairs = [
        (0, 3, SAME_SCENE),  # a0 b0
        (4, 1, NOT_RELATED),  # a1 b1, the other way round
        (0, 4, SAME_PICTURE),  # a copy
        (2, 3, LOOK_ALIKE),  # within one group through others
        (0, 1, LOOK_ALIKE),  # within a
        (3, 4, EDITED),
    ]
    judged = judge({"a": 3, "b": 2}, [0, NO_GROUP, 1, 1, 0], pairs)
    assert [side.tolist() for side in judged.refuted("a", "b")] == [[0, 1], [0, 1]]
    assert [side.tolist() for side in judged.refuted("b", "a")] == [[0, 1], [0, 1]]
    assert [side.tolist() for side in judged.refuted("a", "a")] == [[0], [1]]
    assert [side.tolist() for side in judged.refuted("b", "b")] == [[], []]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="group_of is of 2 images, the datasets have 3"):
        judge({"a": 3}, [0, 0])
    with pytest.raises(ValueError, match="1 left, 0 right rows"):
        Judged(
            Roster(("a",), (1,)), *(np.zeros(n, np.int32) for n in (1, 0)), np.zeros(1, np.uint8), np.zeros(1, np.int32)
        )
