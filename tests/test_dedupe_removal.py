"""What is removed of groups, and the reason given for each image."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.dedupe.removal import Removal, RemovalRule, plan_removal, removal_rows
from overlens.edges import Edges
from overlens.groups.find import KeepRule, find_groups
from overlens.roster import Roster
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_BYTES, SAME_PICTURE, SAME_SCENE

Edge = tuple[int, int, int, float]
ONCE = RemovalRule()
ROSTER = Roster(("a", "b", "c"), (4, 0, 5))
EDGES = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.sampled_from([0, 2, 3, 4, 5]), st.integers(0, 4)).filter(
        lambda edge: edge[0] != edge[1]
    ),
    max_size=14,
)


def make_edges(*edges: Edge) -> Edges:
    left, right, verdicts, strengths = zip(*edges, strict=True) if edges else ((), (), (), ())
    return Edges(
        np.array(left, np.int32),
        np.array(right, np.int32),
        np.array(verdicts, np.uint8),
        np.array(strengths, np.float32),
    )


def plan(*edges: Edge, rule: RemovalRule = ONCE) -> Removal:
    made = make_edges(*edges)
    return plan_removal(find_groups(ROSTER, made, KeepRule("first", reference=rule.reference)), made, rule)


def test_all_but_the_representative_go_and_a_direct_pair_is_the_reason():
    removal = plan((0, 5, SAME_PICTURE, 0.9), (5, 6, SAME_BYTES, 1.0), (0, 6, EDITED, 0.25), (1, 7, SAME_SCENE, 1.0))
    assert removal.removed.tolist() == [5, 6]
    assert removal.kept.tolist() == [0, 0]
    # 6 is sure by way of 5, but its own pair with 0 was verified, and that is what is claimed.
    assert removal.verdicts.tolist() == [SAME_PICTURE, EDITED]
    assert removal.via == ((), ())


def test_a_chain_is_as_sure_as_its_weakest_pair_and_the_surest_chain_counts():
    removal = plan(
        (0, 1, EDITED, 0.5),
        (1, 3, SAME_BYTES, 1.0),
        (0, 2, SAME_PICTURE, 0.75),
        (2, 3, SAME_PICTURE, 0.5),
        (3, 8, SAME_BYTES, 1.0),
    )
    row = removal.removed.tolist().index(8)
    assert removal.via[row] == (3, 2)
    assert removal.kept[row] == 0
    assert (removal.verdicts[row], removal.strengths[row]) == (SAME_PICTURE, 0.5)


def test_a_chain_avoids_the_weak_direct_pair_of_an_image_on_it():
    removal = plan((0, 1, EDITED, 0.1), (1, 3, SAME_BYTES, 1.0), (1, 2, SAME_BYTES, 1.0), (0, 2, SAME_PICTURE, 0.9))
    row = removal.removed.tolist().index(3)
    assert removal.via[row] == (1, 2)
    assert (removal.verdicts[row], removal.strengths[row]) == (SAME_PICTURE, np.float32(0.9))
    assert removal.via[removal.removed.tolist().index(1)] == ()


def test_the_reference_loses_nothing_and_groups_without_it_are_as_usual():
    removal = plan(
        (0, 4, SAME_PICTURE, 0.5), (4, 5, EDITED, 0.5), (0, 5, SAME_BYTES, 1.0), (1, 2, SAME_BYTES, 1.0),
        rule=RemovalRule("c"),
    )  # fmt: skip
    assert removal.removed.tolist() == [0, 2]
    assert removal.kept.tolist() == [5, 1]


@pytest.mark.parametrize(
    ("rule", "removed"),
    [
        pytest.param(RemovalRule(across_only=True), [4, 5], id="representative's dataset keeps its copies"),
        pytest.param(RemovalRule("c", across_only=True), [0, 1], id="the reference keeps its copies"),
        pytest.param(RemovalRule(), [1, 3, 4, 5], id="each picture once"),
    ],
)
def test_across_only_leaves_copies_within_one_dataset(rule: RemovalRule, removed: list[int]):
    edges = [(0, 1, SAME_BYTES, 1.0), (1, 4, EDITED, 0.5), (4, 5, SAME_PICTURE, 0.5), (2, 3, SAME_BYTES, 1.0)]
    assert plan(*edges, rule=rule).removed.tolist() == removed


def test_representatives_chosen_without_the_reference_are_refused():
    edges = make_edges((0, 4, SAME_BYTES, 1.0))
    with pytest.raises(ValueError, match="not chosen for the reference 'c'"):
        plan_removal(find_groups(ROSTER, edges, KeepRule("first")), edges, RemovalRule("c"))


def surest_chain(edges: list[Edge], start: int, kept: set[int]) -> tuple[int, float]:
    """Return the rank of the weakest pair of the surest chain, by adding pairs strongest first until it connects."""
    used: set[tuple[int, int]] = set()
    for left, right, verdict, strength in sorted(edges, key=lambda edge: (edge[2], -edge[3])):
        used |= {(left, right), (right, left)}
        reached = {start}
        while more := {b for a, b in used if a in reached} - reached:
            reached |= more
        if reached & kept:
            return verdict, strength
    raise AssertionError("no chain")


@settings(max_examples=120, deadline=None)
@given(edges=EDGES, reference=st.sampled_from([None, "a", "c"]), across_only=st.booleans())
def test_nothing_is_left_and_every_reason_holds(
    edges: list[tuple[int, int, int, int]], reference: str | None, across_only: bool
):
    rule = RemovalRule(reference, across_only)
    pairs = [(left, right, verdict, steps / 4) for left, right, verdict, steps in edges]
    removal, made = plan(*pairs, rule=rule), make_edges(*pairs)
    gone = set(removal.removed.tolist())
    is_left = ~np.isin(made.left, [*gone]) & ~np.isin(made.right, [*gone])
    assert not (rule.concerns(ROSTER, made) & is_left).any()
    assert not gone & set(removal.kept.tolist())
    owners = ROSTER.dataset_of(np.arange(9))
    if reference is not None:
        assert not any(ROSTER.datasets[owners[row]] == reference for row in gone)
    verified = [pair for pair in pairs if pair[2] <= EDITED]
    known = {frozenset(pair[:2]) for pair in verified}
    best = made.verified()
    for place, row in enumerate(removal.removed.tolist()):
        way = [row, *removal.via[place], int(removal.kept[place])]
        assert all(frozenset(step) in known for step in pairwise(way))
        assert len(set(way)) == len(way)
        reason = int(removal.verdicts[place]), float(removal.strengths[place])
        kept = {other for pair in known for other in pair} - gone
        if len(way) == 2:
            direct = [
                (int(v), float(s))
                for one, two, v, s in zip(best.left, best.right, best.verdicts, best.strengths, strict=True)
                if row in (one, two) and {int(one), int(two)} - {row} <= kept
            ]
            assert reason == direct[0]
        else:
            assert reason == surest_chain(verified, row, kept)


@settings(max_examples=40, deadline=None)
@given(edges=EDGES)
def test_each_group_keeps_exactly_one_by_default(edges: list[tuple[int, int, int, int]]):
    pairs = [(left, right, verdict, steps / 4) for left, right, verdict, steps in edges]
    removal, made = plan(*pairs), make_edges(*pairs)
    groups = find_groups(ROSTER, made, KeepRule("first"))
    assert len(removal) == groups.n_grouped - len(groups)
    assert set(removal.kept.tolist()) == set(groups.representatives.tolist())


def test_a_pair_is_left_to_stay_only_where_the_rule_says_so():
    edges = make_edges(*((one, two, SAME_BYTES, 1.0) for one, two in combinations((0, 1, 4, 5), 2)))
    pairs = list(combinations((0, 1, 4, 5), 2))

    def concerned(rule: RemovalRule) -> list[tuple[int, int]]:
        return [pair for pair, is_one in zip(pairs, rule.concerns(ROSTER, edges), strict=True) if is_one]

    assert concerned(RemovalRule()) == pairs
    assert concerned(RemovalRule("c")) == [pair for pair in pairs if pair != (4, 5)]
    assert concerned(RemovalRule(across_only=True)) == [pair for pair in pairs if pair not in [(0, 1), (4, 5)]]
    assert not RemovalRule().concerns(ROSTER, make_edges((0, 1, LOOK_ALIKE, 1.0), (0, 2, SAME_SCENE, 1.0))).any()


def test_rows_tell_names_and_the_images_between():
    removal = plan((0, 4, EDITED, 0.5), (4, 8, SAME_PICTURE, 0.123456))
    rows = list(removal_rows(removal, ROSTER, (("x", "y", "z", "w"), (), ("é", "f", "g", "h", '"'))))
    assert rows == [
        ("c", "é", "edited", "a", "x", "0.5000", ""),
        ("c", '"', "edited", "a", "x", "0.5000", '[["c", "é"]]'),
    ]
