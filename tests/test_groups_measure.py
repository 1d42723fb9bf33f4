"""What groups say of the overlap of datasets adds up, in images and in pictures."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.edges import Edges
from overlens.groups.find import KeepRule, find_groups
from overlens.groups.measure import VerifiedOverlap, measure_groups
from overlens.overlap import Overlap
from overlens.roster import Roster
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_BYTES, SAME_PICTURE

SIZES = st.lists(st.integers(0, 6), min_size=1, max_size=4)


def make_edges(rows: list[tuple[int, int, int]]) -> Edges:
    table = np.array(rows, np.int32).reshape(-1, 3)
    strengths = np.full(len(table), 0.5, np.float32)
    return Edges(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].astype(np.uint8), strengths)


def measure(roster: Roster, edges: Edges) -> VerifiedOverlap:
    return measure_groups(find_groups(roster, edges, KeepRule("first")), edges)


def random_run(sizes: list[int], seed: int) -> tuple[Roster, Edges]:
    roster = Roster(tuple("abcd"[: len(sizes)]), tuple(sizes))
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, max(1, roster.n_images), (8, 2))
    rows = np.unique(np.sort(rows[rows[:, 0] != rows[:, 1]], axis=1), axis=0)
    verdicts = generator.choice([0, 2, 3, 4, 5, 255], len(rows))
    return roster, make_edges(np.column_stack([rows, verdicts]).tolist())


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 9999))
def test_counts_follow_from_the_groups_and_add_up(sizes: list[int], seed: int) -> None:
    roster, edges = random_run(sizes, seed)
    groups = find_groups(roster, edges, KeepRule("first"))
    found = measure_groups(groups, edges)
    owners = [roster.datasets[owner] for owner in roster.dataset_of(np.arange(roster.n_images))]
    numbers = [number if number >= 0 else -1 - row for row, number in enumerate(groups.group_of.tolist())]
    holders = {number: [owners[row] for row, same in enumerate(numbers) if same == number] for number in numbers}
    for name, size in zip(roster.datasets, sizes, strict=True):
        mine = [holders[numbers[row]] for row, owner in enumerate(owners) if owner == name]
        assert sum(found.overlap.regions[name].values()) == size
        assert found.overlap.within[name] == sum(group.count(name) > 1 for group in mine)
        for other in found.overlap.contained[name]:
            assert found.overlap.contained[name][other] == sum(other in group for group in mine)
    assert sum(found.pictures.values()) == len(holders)
    for region, count in found.pictures.items():
        assert count == sum(set(group) == region for group in holders.values())
    for (name, other), share in found.jaccard.items():
        either = [group for group in holders.values() if name in group or other in group]
        assert share == (sum(name in group and other in group for group in either) / len(either) if either else 0)


@settings(max_examples=30, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 9999))
def test_every_judged_pair_is_counted_once_by_its_rung(sizes: list[int], seed: int) -> None:
    roster, edges = random_run(sizes, seed)
    found = measure(roster, edges)
    counted = sum(sum(counts.values()) for counts in found.pairs_by_verdict.values())
    assert counted == np.count_nonzero(edges.verdicts <= LOOK_ALIKE)
    verified = sum(found.overlap.pairs_within.values())
    verified += sum(sum(others.values()) for others in found.overlap.pairs_across.values()) // 2
    assert verified == np.count_nonzero(edges.verdicts <= EDITED)
    assert sum(found.groups_by_weakest.values()) == found.n_groups


def test_two_datasets_that_meet_only_in_a_third_still_overlap() -> None:
    edges = make_edges([(0, 4, SAME_PICTURE), (2, 4, EDITED), (1, 3, LOOK_ALIKE)])
    found = measure(Roster(("a", "b", "c"), (2, 2, 1)), edges)
    assert found.overlap.method == "verified"
    assert found.overlap.contained["a"] == {"b": 1, "c": 1}
    assert found.overlap.pairs_across["a"] == {"b": 0, "c": 1}
    assert found.overlap.regions["a"] == {frozenset("bc"): 1, frozenset(): 1}
    assert found.pictures == {frozenset("abc"): 1, frozenset("a"): 1, frozenset("b"): 1}
    for couple, share in {("a", "b"): 1 / 3, ("a", "c"): 1 / 2, ("b", "c"): 1 / 2}.items():
        assert found.jaccard[couple] == found.jaccard[couple[::-1]] == share
    assert len(found.jaccard) == 6
    assert found.groups_by_weakest == {"same_bytes": 0, "same_pixels": 0, "same_picture": 0, "edited": 1}
    assert found.pairs_by_verdict["a", "b"]["look_alike"] == 1


def test_ten_copies_of_one_picture_count_ten_one_way_and_one_the_other() -> None:
    edges = make_edges([(row, 10, SAME_BYTES) for row in range(10)])
    found = measure(Roster(("a", "b"), (10, 1)), edges)
    assert (found.overlap.contained["a"]["b"], found.overlap.contained["b"]["a"]) == (10, 1)
    assert found.overlap.within == {"a": 10, "b": 0}
    assert found.overlap.pairs_within["a"] == 0
    assert found.jaccard["a", "b"] == 1


def test_copies_within_the_reference_have_no_number() -> None:
    """Two images of `a` hang together by way of `b`; whether they are copies of one another nobody has looked."""
    edges = make_edges([(0, 3, SAME_PICTURE), (1, 3, SAME_PICTURE), (3, 4, EDITED)])
    groups = find_groups(Roster(("a", "b"), (3, 2)), edges, KeepRule("first"))
    found = measure_groups(groups, edges, "a")
    assert found.overlap.within == {"a": None, "b": 2}
    assert found.overlap.pairs_within == {"a": None, "b": 1}
    assert found.overlap.contained == {"a": {"b": 2}, "b": {"a": 2}}
    assert set(found.pairs_by_verdict) == {("a", "b"), ("b", "b")}
    written = json.loads(json.dumps(found.to_json()))
    assert written["within"] == {"a": None, "b": 2}
    assert [counts["datasets"] for counts in written["pairs_by_verdict"]] == [["a", "b"], ["b", "b"]]


def test_json_holds_every_direction() -> None:
    edges = make_edges([(0, 2, SAME_PICTURE)])
    written = json.loads(json.dumps(measure(Roster(("b", "a"), (2, 2)), edges).to_json()))
    assert written["jaccard"] == {"a": {"b": 1 / 3}, "b": {"a": 1 / 3}}
    assert written["contained"]["b"] == {"a": 1}
    assert written["pictures"] == [
        {"datasets": ["a"], "n_pictures": 1},
        {"datasets": ["b"], "n_pictures": 1},
        {"datasets": ["a", "b"], "n_pictures": 1},
    ]
    assert written["n_groups"] == 1 and written["n_grouped_images"] == 2


def test_only_groups_may_match_without_a_pair() -> None:
    counts = {
        "sizes": {"a": 1, "b": 1},
        "contained": {"a": {"b": 1}, "b": {"a": 1}},
        "within": {"a": 0, "b": 0},
        "regions": {"a": {frozenset("b"): 1}, "b": {frozenset("a"): 1}},
        "pairs_within": {"a": 0, "b": 0},
        "pairs_across": {"a": {"b": 0}, "b": {"a": 0}},
    }
    assert Overlap(method="verified", **counts).contained["a"]["b"] == 1
    with pytest.raises(ValueError, match="0 pairs between"):
        Overlap(method="cosine", **counts)
