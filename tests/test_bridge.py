"""Shared pictures say which class is which, each picture once, and copies with other classes are listed."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import overlens
from overlens.bridge import BRIDGE_COLUMNS, compare_labels
from overlens.class_matching import ClassMap
from overlens.edges import Edges
from overlens.groups.find import KeepRule, find_groups
from overlens.label_conflicts import CONFLICT_COLUMNS
from overlens.records import Features
from overlens.roster import Roster
from overlens.verdicts import EDITED, SAME_BYTES, SAME_PICTURE, SAME_SCENE


def compare(labels, pairs, class_map=None, names=None):
    """Compare datasets a, b, ... of these labels by judged pairs (left, right, verdict, strength) of global rows."""
    features = [
        Features(
            name, tuple(f"{name}{row}" for row in range(len(own))), tuple(own), class_names=(names or {}).get(name, {})
        )
        for name, own in zip("abc", labels, strict=False)
    ]
    columns = [np.array([pair[place] for pair in pairs], kind) for place, kind in enumerate("iiBf")]
    edges = Edges(*columns)
    roster = Roster(tuple(one.dataset for one in features), tuple(map(len, labels)))
    return compare_labels(find_groups(roster, edges, KeepRule("first")), edges, features, class_map)


def rows(bridge):
    return {
        (row.class_a, row.class_b): (row.n_pictures, row.share_of_a, row.share_of_b, row.agrees) for row in bridge.rows
    }


def told(conflict):
    return conflict.image_1, conflict.class_1, conflict.image_2, conflict.class_2, conflict.verdict


def test_each_picture_counts_once_for_every_two_classes():
    # Rows of a: 0 to 5, of b: 6 to 10. One picture is 0, 1 and 6, 7; then 2-8, 3-9; 4-10 has no class in b.
    found = compare(
        [["x", "x", "x", "y", "x", "y"], ["X", "X", "y", "y", None]],
        [
            *((0, 6, SAME_PICTURE, 0.5), (1, 7, SAME_PICTURE, 0.5), (6, 7, SAME_BYTES, 1)),
            *((2, 8, EDITED, 0.75), (9, 3, SAME_PICTURE, 0.9), (4, 10, SAME_PICTURE, 0.9), (5, 9, SAME_SCENE, 1)),
        ],
        names={"a": {"y": "Yes"}, "b": {"y": "yes"}},
    )
    (bridge,) = found.bridges
    assert (bridge.n_shared_pictures, bridge.n_with_both_labels, bridge.n_agreeing) == (4, 3, 2)
    assert bridge.share_agreeing == pytest.approx(2 / 3)
    assert rows(bridge) == {
        ("x", "X"): (1, 0.5, 1.0, True),
        ("x", "y"): (1, 0.5, 0.5, False),
        ("y", "y"): (1, 1.0, 0.5, True),
    }
    assert (bridge.rows[2].name_a, bridge.rows[2].name_b) == ("Yes", "yes")
    assert found.n_conflicting_pictures == 1
    (conflict,) = found.conflicts
    assert told(conflict) == ("a2", "x", "b2", "y", "edited")
    assert (conflict.dataset_1, conflict.dataset_2, conflict.strength, conflict.group) == ("a", "b", 0.75, 1)
    assert (
        "a and b: 1 of 4 shared pictures without a class in one of them, left out of the label bridge" in found.notices
    )


def test_conflicts_come_by_the_surest_verdict_and_within_a_dataset_too():
    found = compare(
        [["x", "y", "x"], ["y", "x", "z"]],
        [(0, 3, EDITED, 0.9), (2, 5, SAME_PICTURE, 0.25), (1, 4, SAME_PICTURE, 0.5), (0, 1, SAME_BYTES, 1)],
    )
    assert [told(one) for one in found.conflicts] == [
        ("a0", "x", "a1", "y", "same_bytes"),
        ("a1", "y", "b1", "x", "same_picture"),
        ("a2", "x", "b2", "z", "same_picture"),
        ("a0", "x", "b0", "y", "edited"),
        # Of the group of 0, 1, 3 and 4, whose pair was not judged itself.
        ("b0", "y", "b1", "x", None),
    ]
    assert found.conflicts[0].dataset_2 == "a"
    assert found.conflicts[-1].strength is None
    assert found.n_conflicting_pictures == 2
    assert rows(found.bridges[0])[("x", "y")] == (1, 0.5, 1.0, False)


def test_a_conflict_through_a_third_image_is_listed_once_by_its_representatives():
    # a0, a1 are x and b0 has no class; c0, c1 are y: all one picture, and no pair of a and c was judged.
    labels, pairs = [["x", "x"], [None], ["y", "y"]], [(0, 2), (1, 2), (2, 3), (2, 4)]
    found = compare(labels, [(*pair, SAME_PICTURE, 0.5) for pair in pairs])
    (conflict,) = found.conflicts
    assert told(conflict) == ("a0", "x", "c0", "y", None)
    assert [(one.dataset_a, one.dataset_b, one.n_shared_pictures, one.n_with_both_labels) for one in found.bridges] == [
        ("a", "b", 1, 0),
        ("a", "c", 1, 1),
        ("b", "c", 1, 0),
    ]
    assert found.bridge("c", "a").n_agreeing == 0
    with pytest.raises(KeyError):
        found.bridge("a", "d")


def test_a_mapping_settles_what_is_no_conflict_also_within_a_dataset():
    labels, pairs = [["dog", "hund"], ["Dog", "cat"]], [(0, 1, SAME_BYTES, 1), (0, 2, EDITED, 0.5), (1, 3, EDITED, 0.5)]
    assert len(compare(labels, pairs).conflicts) == 5
    found = compare(labels, pairs, ClassMap({("", "hund"): "dog"}))
    assert {told(one)[1::2][:2] for one in found.conflicts} == {("dog", "cat"), ("hund", "cat"), ("Dog", "cat")}


def test_nothing_shared_is_said():
    found = compare([["x"], ["x"]], [])
    assert (found.bridges[0].rows, found.bridges[0].share_agreeing, list(found.conflicts)) == ((), None, [])
    assert found.notices == ("a and b share no verified picture, so there is no label bridge between them",)
    assert compare([["x", "y"]], [(0, 1, SAME_BYTES, 1)]).conflicts[0].dataset_2 == "a"
    assert not compare([[], []], []).conflicts


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "no two datasets share a verified picture, so there is no label bridge"),
        ([(0, 1)], "no verified picture is shared, so there is no label bridge, between a and c; b and c"),
        ([(0, 1), (1, 2)], None),
    ],
    ids=["none", "some", "all"],
)
def test_what_shares_nothing_is_said_in_one_sentence(pairs, said):
    found = compare([["x"], ["x"], ["x"]], [(*pair, SAME_BYTES, 1) for pair in pairs])
    assert [notice for notice in found.notices if "label bridge" in notice] == ([said] if said else [])


def test_tables_hold_what_the_records_do(tmp_path):
    found = compare([["=x", "y"], ["z", "y"]], [(0, 2, EDITED, 0.5), (1, 3, EDITED, 0.5)])
    json.dumps(found.to_json(), allow_nan=False)
    assert found.to_json()["n_conflicts_by_verdict"] == {"edited": 1}
    head, *lines = csv.reader(io.StringIO(found.bridge_csv()))
    assert (tuple(head), lines[0]) == (BRIDGE_COLUMNS, ["a", "b", "'=x", "'=x", "z", "z", "1", "1.0", "1.0", "False"])
    head, *lines = csv.reader(io.StringIO(found.conflicts_csv()))
    assert tuple(head) == CONFLICT_COLUMNS
    assert lines == [["a", "a0", "'=x", "'=x", "b", "b0", "z", "z", "edited", "0.5", "0"]]
    found.write_conflicts(tmp_path / "conflicts.csv")
    assert (tmp_path / "conflicts.csv").read_bytes() == found.conflicts_csv().encode()


def test_tables_as_frames():
    pytest.importorskip("pandas")
    found = compare([["x"], [None], ["y"]], [(0, 1, EDITED, 0.5), (1, 2, EDITED, 0.5)])
    assert found.to_pandas()["n_pictures"].tolist() == [1]
    assert found.conflicts_to_pandas()["strength"].isna().all()


def test_features_of_other_datasets_are_refused():
    groups = find_groups(Roster(("a",), (1,)), Edges(*(np.empty(0, kind) for kind in "iiBf")), KeepRule("first"))
    with pytest.raises(ValueError, match="do not fit"):
        compare_labels(groups, groups.weakest, [Features("b", ("1",), ("x",))])


def test_of_many_that_share_nothing_the_number_is_said():
    features = [Features(name, (name,), ("x",)) for name in "abcde"]
    edges = Edges(*(np.array([value], kind) for value, kind in zip((0, 1, SAME_BYTES, 1), "iiBf", strict=True)))
    found = compare_labels(find_groups(Roster(tuple("abcde"), (1,) * 5), edges, KeepRule("first")), edges, features)
    said = "9 of 10 pairs of datasets share no verified picture, so there is no label bridge between them"
    assert found.notices == (f"{said} (first: a and c)",)


LABELS = st.lists(st.sampled_from(["x", "y", "X", None]), min_size=1, max_size=6)


@given(LABELS, LABELS, LABELS, st.data())
@settings(max_examples=40, deadline=None)
def test_counts_follow_from_the_groups_whatever_the_order(first, second, third, data):
    labels = [first, second, third]
    n = sum(map(len, labels))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 5), st.sampled_from([0.0, 0.5, 1.0]))
    pairs = data.draw(st.lists(pair.filter(lambda one: one[0] < one[1]), max_size=10, unique_by=lambda one: one[:2]))
    found = compare(labels, pairs)
    assert compare(labels, data.draw(st.permutations(pairs))) == found
    group_of = find_groups(
        Roster(("a", "b", "c"), tuple(map(len, labels))),
        Edges(*[np.array([one[place] for one in pairs], kind) for place, kind in enumerate("iiBf")]),
        KeepRule("first"),
    ).group_of.tolist()
    images = [(name, label) for name, own in zip("abc", labels, strict=True) for label in own]
    every = [(group, *image) for group, image in zip(group_of, images, strict=True) if group >= 0]
    for bridge in found.bridges:
        here = {(group, label) for group, name, label in every if name == bridge.dataset_a}
        there = {(group, label) for group, name, label in every if name == bridge.dataset_b}
        assert bridge.n_shared_pictures == len({group for group, _ in here} & {group for group, _ in there})
        wanted = Counter((a, b) for one, a in here for other, b in there if one == other and a and b)
        assert {(row.class_a, row.class_b): row.n_pictures for row in bridge.rows} == wanted
        assert all(row.n_pictures / row.share_of_a <= bridge.n_with_both_labels + 1e-9 for row in bridge.rows)
    couples = [
        (one[0], one[1:], other[1:]) for one in every for other in every if one[0] == other[0] and one[2] and other[2]
    ]
    torn = {group for group, one, other in couples if not are_one(labels, one, other)}
    assert {one.group for one in found.conflicts} == torn
    assert found.n_conflicting_pictures == len(torn)


def are_one(labels, first, second):
    """Whether two (dataset, class) are one: x and X are, unless both datasets tell them apart."""
    is_told_apart = all({"x", "X"} <= set(labels["abc".index(name)]) for name, _ in (first, second))
    return first[1] == second[1] or (
        {first[1], second[1]} == {"x", "X"} and first[0] != second[0] and not is_told_apart
    )


@pytest.fixture(scope="module")
def art(shared_data, tmp_path_factory):
    """Two collections of paintings, and the copies between them."""
    return overlens.analyze(
        ["ArtDL", "wikidata"],
        root=shared_data / "art",
        output=tmp_path_factory.mktemp("art"),
        use_ground_truth=True,
        method="perceptual",
        projections="none",
    )


def test_two_collections_of_paintings_agree_on_their_saints(art):
    found = compare_labels(art.copies.groups, art.copies.judged.edges, list(art.datasets.values()))
    (bridge,) = found.bridges
    assert (bridge.n_shared_pictures, bridge.n_with_both_labels, bridge.n_agreeing) == (35, 35, 35)
    assert {row.class_a: row.n_pictures for row in bridge.rows} == {
        "11H(FRANCIS)": 1,
        "11H(JEROME)": 6,
        "11H(JOHN THE BAPTIST)": 4,
        "11H(PETER)": 7,
        "11HH(MARY MAGDALENE)": 17,
    }
    assert all(row.class_a == row.class_b and row.agrees for row in bridge.rows)
    assert (len(found.conflicts), bridge.match.only_source) == (0, ("11F(MARY)",))


def test_a_wrong_label_in_one_collection_is_found(art):
    here, there = art.datasets.values()
    groups = art.copies.groups
    wrong = next(row for row in groups.members.tolist() if row >= here.n_kept and groups.group_of[row] >= 0)
    labels = list(there.labels)
    was, labels[wrong - here.n_kept] = labels[wrong - here.n_kept], "11H(PAUL)"
    found = compare_labels(groups, art.copies.judged.edges, [here, replace(there, labels=tuple(labels))])
    assert found.bridges[0].n_agreeing == 34
    assert all((one.class_1, one.class_2) == (was, "11H(PAUL)") for one in found.conflicts)
    assert {one.image_2 for one in found.conflicts} == {there.keys[wrong - here.n_kept]}
    assert found.conflicts[0].verdict is not None
