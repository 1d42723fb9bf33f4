"""Groups are the components over verified pairs, and each shows the link it hangs by."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.edges import Edges
from overlens.errors import ConfigError
from overlens.groups.find import NO_GROUP, Groups, KeepRule, find_groups
from overlens.roster import Roster
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_BYTES, SAME_PICTURE, SAME_SCENE

FIRST = KeepRule("first")
Edge = tuple[int, int, int, float]

EDGES = st.lists(
    st.tuples(
        st.integers(0, 11), st.integers(0, 11), st.sampled_from([0, 1, 2, 3, 4, 5, 255]), st.integers(0, 4)
    ).filter(lambda edge: edge[0] != edge[1]),
    max_size=30,
)


def make_edges(*edges: Edge) -> Edges:
    left, right, verdicts, strengths = zip(*edges, strict=True) if edges else ((), (), (), ())
    return Edges(
        np.array(left, np.int32),
        np.array(right, np.int32),
        np.array(verdicts, np.uint8),
        np.array(strengths, np.float32),
    )


def quarters(edges: list[tuple[int, int, int, int]]) -> Edges:
    return make_edges(*((left, right, verdict, steps / 4) for left, right, verdict, steps in edges))


def connect(n: int, pairs: set[tuple[int, int]]) -> list[frozenset[int]]:
    """Return the components of two images or more, by joining the sets of each pair."""
    component = [{row} for row in range(n)]
    for a, b in pairs:
        joined = component[a] | component[b]
        for row in joined:
            component[row] = joined
    return sorted({frozenset(rows) for rows in component if len(rows) > 1}, key=min)


def members_of(groups: Groups) -> list[frozenset[int]]:
    return [frozenset(groups.members_of(number).tolist()) for number in range(len(groups))]


def weakest_of(groups: Groups, number: int) -> Edge:
    edges = groups.weakest
    left, right, verdicts, strengths = edges.left, edges.right, edges.verdicts, edges.strengths
    return int(left[number]), int(right[number]), int(verdicts[number]), float(strengths[number])


@settings(max_examples=80, deadline=None)
@given(edges=EDGES)
def test_groups_are_the_components_over_verified_pairs(edges: list[tuple[int, int, int, int]]) -> None:
    groups = find_groups(Roster(("a", "b"), (7, 5)), quarters(edges), FIRST)
    wanted = connect(12, {(a, b) for a, b, verdict, _ in edges if verdict <= EDITED})
    assert members_of(groups) == wanted
    assert groups.n_grouped == sum(map(len, wanted))
    for number, group in enumerate(wanted):
        assert np.flatnonzero(groups.group_of == number).tolist() == sorted(group)
    assert groups.sizes.tolist() == [len(group) for group in wanted]


@settings(max_examples=80, deadline=None)
@given(edges=EDGES)
def test_the_weakest_edge_is_the_one_the_group_hangs_by(edges: list[tuple[int, int, int, int]]) -> None:
    groups = find_groups(Roster(("a",), (12,)), quarters(edges), FIRST)
    verified = {(min(a, b), max(a, b), verdict, steps / 4) for a, b, verdict, steps in edges if verdict <= EDITED}
    for number, members in enumerate(members_of(groups)):
        edge = weakest_of(groups, number)
        weakest = edge[2], -edge[3]
        assert edge in verified
        inside = {edge for edge in verified if edge[0] in members}
        as_strong = {edge[:2] for edge in inside if (edge[2], -edge[3]) <= weakest}
        stronger = {edge[:2] for edge in inside if (edge[2], -edge[3]) < weakest}
        assert members in connect(12, as_strong)
        assert members not in connect(12, stronger)


@settings(max_examples=40, deadline=None)
@given(
    edges=EDGES, seed=st.integers(0, 999), keep=st.sampled_from(["resolution", "first", "dataset-order", "centroid"])
)
def test_neither_order_nor_direction_nor_repetition_of_edges_matters(
    edges: list[tuple[int, int, int, int]], seed: int, keep: str
) -> None:
    generator = np.random.default_rng(seed)
    mixed = [edges[place] for place in generator.permutation(len(edges))]
    mixed = [(b, a, *rest) if generator.random() < 0.5 else (a, b, *rest) for a, b, *rest in mixed]
    rule = KeepRule(keep, n_pixels=generator.integers(1, 4, 12))
    roster = Roster(("a", "b"), (6, 6))
    one, other = find_groups(roster, quarters(edges), rule), find_groups(roster, quarters(mixed + mixed), rule)
    for name in ("group_of", "members", "starts", "representatives"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    for name in Edges.__slots__:
        assert np.array_equal(getattr(one.weakest, name), getattr(other.weakest, name))


def test_look_alikes_and_same_scenes_never_join_groups() -> None:
    edges = make_edges(
        (0, 1, SAME_BYTES, 1), (2, 3, EDITED, 0.6), (1, 2, SAME_SCENE, 1), (0, 3, LOOK_ALIKE, 1), (4, 5, LOOK_ALIKE, 1)
    )
    groups = find_groups(Roster(("a",), (6,)), edges, FIRST)
    assert members_of(groups) == [{0, 1}, {2, 3}]
    assert groups.group_of.tolist() == [0, 0, 1, 1, NO_GROUP, NO_GROUP]


def test_two_firm_halves_show_the_weak_edge_between_them() -> None:
    firm = [(a, b, SAME_BYTES, 1.0) for half in ((0, 1, 2), (3, 4, 5)) for a, b in combinations(half, 2)]
    groups = find_groups(Roster(("a", "b"), (3, 3)), make_edges(*firm, (2, 3, EDITED, 0.25)), FIRST)
    assert weakest_of(groups, 0) == (2, 3, EDITED, 0.25)
    assert groups.count_members().tolist() == [[3, 3]]


def test_a_weak_edge_beside_a_firm_chain_does_not_count() -> None:
    edges = make_edges((0, 1, SAME_PICTURE, 0.9), (1, 2, SAME_PICTURE, 0.8), (0, 2, EDITED, 0.1))
    assert weakest_of(find_groups(Roster(("a",), (3,)), edges, FIRST), 0)[:2] == (1, 2)


@pytest.mark.parametrize(
    ("keep", "reference", "wanted"),
    [
        ("first", None, 1),
        ("resolution", None, 5),
        ("dataset-order", None, 2),
        ("centroid", None, 3),
        ("first", "b", 3),
        ("resolution", "a", 2),
        ("centroid", "c", 5),
        ("dataset-order", "b", 4),
    ],
)
def test_the_representative_follows_the_rule(keep: str, reference: str | None, wanted: int) -> None:
    roster = Roster(("a", "b", "c"), (3, 2, 3))
    edges = make_edges(
        (1, 3, SAME_PICTURE, 0.9), (2, 3, EDITED, 0.5), (3, 4, EDITED, 0.5), (3, 5, EDITED, 0.5), (5, 6, EDITED, 0.7)
    )
    n_pixels = np.array([99, 10, 20, 20, 30, 40, 40, 99])
    groups = find_groups(roster, edges, KeepRule(keep, n_pixels, reference))
    assert groups.representatives.tolist() == [wanted]


def test_a_group_without_the_reference_follows_the_rule_alone() -> None:
    roster = Roster(("a", "b"), (2, 2))
    groups = find_groups(roster, make_edges((0, 1, EDITED, 1)), KeepRule("first", reference="b"))
    assert groups.representatives.tolist() == [0]


def test_no_pairs_make_no_groups() -> None:
    groups = find_groups(Roster(("a", "b"), (3, 0)), make_edges(), FIRST)
    assert len(groups) == 0 and groups.n_grouped == 0
    assert (groups.group_of == NO_GROUP).all()
    with pytest.raises(IndexError, match="group 0 does not exist"):
        groups.members_of(0)


def test_what_cannot_be_is_refused() -> None:
    roster = Roster(("a",), (3,))
    with pytest.raises(ConfigError, match="--keep 'best' is not known"):
        KeepRule("best")
    with pytest.raises(ValueError, match="n_pixels of every image is needed"):
        KeepRule("resolution")
    with pytest.raises(ValueError, match="edges name rows 1 to 3"):
        find_groups(roster, make_edges((1, 3, EDITED, 1)), FIRST)
    with pytest.raises(ValueError, match="n_pixels must be one number for each of 3"):
        find_groups(roster, make_edges(), KeepRule(n_pixels=np.ones(2, np.int64)))
    with pytest.raises(ValueError, match="no dataset 'b'"):
        find_groups(roster, make_edges(), KeepRule("first", reference="b"))
    with pytest.raises(ValueError, match="no pair with itself"):
        make_edges((1, 1, EDITED, 1))
    with pytest.raises(ValueError, match="from 0 to 1"):
        make_edges((1, 2, EDITED, float("nan")))
