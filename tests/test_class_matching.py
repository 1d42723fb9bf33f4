"""Classes of two datasets are one by a mapping, by id, by name, in this order, whatever their order and direction."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.class_matching import (
    ALL_DATASETS,
    NO_CLASS,
    ClassMap,
    DatasetClasses,
    check_class_map,
    fold_name,
    match_classes,
)
from overlens.records import Features
from overlens.sources.labels import read_class_names


def classes(dataset, *ids, **names):
    return DatasetClasses.of(dataset, ids, names)


def found(match):
    return {one.key: (one.source_ids, one.target_ids, one.by) for one in match.classes}


def match(source, target, rows=None):
    """Match {id: name or None} of a with that of b."""
    sides = [
        DatasetClasses.of(dataset, ids, {key: name for key, name in ids.items() if name})
        for dataset, ids in (("a", source), ("b", target))
    ]
    return match_classes(*sides, None if rows is None else ClassMap(rows))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  Sea_Lion ", "sea lion"),
        ("sea--\tLION", "sea lion"),
        ("\uff33\uff45\uff41\u3000lion", "sea lion"),
        ("Stra\u00dfe", "strasse"),
        ("Cafe\u0301", "caf\u00e9"),
        ("-1", "-1"),
        (" 1.0", "1.0"),
        ("__", "__"),
        ("", ""),
    ],
)
def test_what_differs_in_case_gaps_and_composition_has_one_form(text, folded):
    assert fold_name(text) == folded


@given(st.text(max_size=12))
@settings(max_examples=200)
def test_a_folded_form_is_its_own(text):
    assert fold_name(fold_name(text)) == fold_name(text)


def test_an_id_matches_whatever_its_names():
    one = match({"11H(PAUL)": "Paul", "x": None}, {"11H(PAUL)": "St. Paul", "y": "Peter"})
    assert found(one) == {"11H(PAUL)": (("11H(PAUL)",), ("11H(PAUL)",), "id")}
    assert (one.classes[0].name, one.only_source, one.only_target) == ("Paul", ("x",), ("y",))
    assert one.notices == (
        "1 class has one id and two names, matched by id (first: '11H(PAUL)' is 'Paul' and 'St. Paul')",
    )


@pytest.mark.parametrize(
    ("source", "target", "wanted", "says"),
    [
        ({"n1": "Sea lion"}, {"sea_lion": None}, {"Sea lion": (("n1",), ("sea_lion",), "name")}, "several ways"),
        ({"3": "cat"}, {"3": "Cat"}, {"3": (("3",), ("3",), "id")}, None),
        ({"3": None}, {"3": "cat"}, {"3": (("3",), ("3",), "id")}, "confirm"),
        ({"3": "cat"}, {"3": "dog"}, {}, "'3' is 'cat' and 'dog'"),
        (
            {"0": "cat", "1": "dog"},
            {"0": "dog", "1": "cat"},
            {"cat": (("0",), ("1",), "name"), "dog": (("1",), ("0",), "name")},
            "2 class ids are bare numbers with two names",
        ),
        ({"Dog": None, "dog": None}, {"dog": None}, {"Dog": (("Dog", "dog"), ("dog",), "id")}, "several classes of a"),
        (
            {"A": None, "a": None},
            {"A": None, "a": None},
            {"A": (("A",), ("A",), "id"), "a": (("a",), ("a",), "id")},
            None,
        ),
        (
            {"n1": "crane", "n2": "crane"},
            {"n1": "crane", "n2": "crane"},
            {"n1": (("n1",), ("n1",), "id"), "n2": (("n2",), ("n2",), "id")},
            None,
        ),
        ({"p": "Paul"}, {"p": "St. Paul", "q": "Paul"}, {"p": (("p",), ("p",), "id")}, "1 class of b not matched"),
        ({"-1": None}, {"1": None}, {}, "--class-map"),
        ({"cat": None}, {}, {}, None),
    ],
    ids=[
        *("id is a name", "number, one name", "number, half named", "numbers refused", "numbers swapped", "folded"),
        *("spelling counts", "one name twice", "taken by id", "sign", "empty"),
    ],
)
def test_ids_then_names(source, target, wanted, says):
    one = match(source, target)
    assert found(one) == wanted
    assert any(says in notice for notice in one.notices) if says else not one.notices


def test_the_mapping_counts_first_and_alone():
    rows = {("a", "hund"): "dog", (ALL_DATASETS, "Köter"): "Dog", ("b", "cat"): "feline"}
    one = match(
        {"hund": None, "n7": "köter", "cat": None, "fish": None}, {"DOG": None, "cat": None, "fish": None}, rows
    )
    assert found(one) == {
        "Dog": (("hund", "n7"), ("DOG",), "mapping"),
        "fish": (("fish",), ("fish",), "id"),
    }
    assert (one.only_source, one.only_target) == (("cat",), ("cat",))


def test_rows_of_a_dataset_count_before_those_of_all_and_ids_before_names():
    one = ClassMap(
        {("", "x"): "all", ("a", "x"): "own", ("", "Some name"): "by name", ("", "A"): "upper", ("", "a"): "lower"}
    )
    assert one.name_of("a", "x") == "own"
    assert one.name_of("b", "X ", "some name") == "all"
    assert one.name_of("b", "y", "some_name") == "by name"
    assert (one.name_of("b", "A"), one.name_of("b", "a"), one.name_of("b", " a")) == ("upper", "lower", None)


def test_a_key_stands_once_though_a_name_is_the_id_of_another_class():
    one = match({"dog": "hound", "x": "dog"}, {"dog": "hound", "y": "dog"})
    assert found(one) == {"dog": (("dog",), ("dog",), "id"), "dog (2)": (("x",), ("y",), "name")}


def test_matched_with_itself_a_dataset_keeps_apart_what_the_mapping_does_not_join():
    own = classes("a", "Dog", "dog", "hund", Dog="x", dog="x")
    assert [one.source_ids for one in match_classes(own, own).classes] == [("Dog",), ("dog",), ("hund",)]
    joined = match_classes(own, own, ClassMap({("", "hund"): "dog"}))
    assert [one.source_ids for one in joined.classes] == [("Dog", "dog", "hund")]
    assert joined.notices == ()


def test_rows_without_a_class_and_classes_with_two_rows_are_told():
    own = DatasetClasses.of("a", ["n1", "n2"], {"n1": "dog"})
    said = check_class_map(ClassMap({("", "n1"): "Hund", ("", "dog"): "Dog", ("a", "n3"): "x"}, "map.csv"), [own])
    assert said == (
        "map.csv: 1 row names a class that no image of a has (first: 'n3')",
        "map.csv: 1 class has one common name by id and another by name; the one by id counts "
        "(first: 'n1', 'dog', of a)",
    )
    assert check_class_map(ClassMap({("", "N1"): "Hund", ("a", "DOG"): "x"}), [own]) == ()


TEXTS = st.sampled_from(["cat", "Cat", "c-at", "dog", "DOG", "1", "2", "bird", "A", "a"])
SIDES = st.dictionaries(TEXTS, st.none() | TEXTS, max_size=7)
MAPS = st.dictionaries(st.tuples(st.sampled_from(["", "a", "b"]), TEXTS), TEXTS, max_size=3)


@given(SIDES, SIDES, MAPS, st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_every_class_stands_once_whatever_the_order_and_the_direction(source, target, rows, random):
    one = match(source, target, rows)
    mixed = [random.sample(list(part.items()), len(part)) for part in (source, target, rows)]
    assert match(*map(dict, mixed)) == one
    for ids, side, rest in ((source, "source", one.only_source), (target, "target", one.only_target)):
        matched = [class_id for common in one.classes for class_id in common.ids(side)]
        assert sorted([*matched, *rest]) == sorted(ids)
        assert all(common.ids(side) for common in one.classes)
    assert len({common.key for common in one.classes}) == len(one.classes)
    turned = match(
        target, source, {({"a": "b", "b": "a"}.get(where, where), text): name for (where, text), name in rows.items()}
    )
    assert found(turned) == {key: (there, here, by) for key, (here, there, by) in found(one).items()}


def test_codes_are_places_among_the_common_classes():
    one = match({"dog": None, "Dog": None, "cat": None, "x": None}, {"dog": None, "cat": None})
    assert [common.key for common in one.classes] == ["Dog", "cat"]
    codes = one.codes("source", ["cat", None, "x", "dog", "Dog", "unheard of"])
    assert codes.dtype == np.int64
    assert codes.tolist() == [1, NO_CLASS, NO_CLASS, 0, 0, NO_CLASS]
    assert one.codes("target", []).shape == (0,)


def test_classes_of_features_are_those_of_kept_images():
    features = Features("a", ("1", "2", "3"), ("y", None, "x"), class_names={"x": "X", "unused": "U"})
    own = DatasetClasses.of_features(features)
    assert (own.ids, own.name_of("x"), own.name_of("y")) == (("x", "y"), "X", "y")
    with pytest.raises(ValueError, match="ascending and distinct"):
        DatasetClasses("a", ("y", "x"))


def test_iconographic_classes_of_three_collections_match_by_id(shared_data):
    sides = []
    for dataset in ("ArtDL", "ICONCLASS", "wikidata"):
        folder = shared_data / "art" / "dataset" / f"{dataset}-data"
        labels = [row["class"] for row in json.loads((folder / "2_ground_truth.json").read_text("utf-8"))]
        sides.append(DatasetClasses.of(dataset, labels, read_class_names(folder / "classes.csv")))
    for source, target in ((0, 1), (0, 2), (1, 2)):
        one = match_classes(sides[source], sides[target])
        assert {common.by for common in one.classes} == {"id"}
        assert {common.key for common in one.classes} == set(sides[source].ids) & set(sides[target].ids) != set()
    assert "one id and two names" in match_classes(sides[0], sides[2]).notices[0]
