"""Overlap counts images, in each direction, and every image once."""

import json
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.errors import ConfigError, MissingExtraError
from overlens.overlap import Overlap, measure_overlap

NAMES = ("art", "books", "cards", "drawings")


def build(tables, order):
    """Overlap from one `(n, k)` bool table a dataset; column j says whether an image has a match in NAMES[j]."""
    index = {name: NAMES.index(name) for name in order}
    within = {name: tables[name][:, index[name]] for name in order}
    across = {(a, b): tables[a][:, index[b]] for a in order for b in order if a != b}
    pairs_within = {name: int(flags.sum()) for name, flags in within.items()}
    pairs_across = {
        (a, b): int(across[a, b].sum()) + int(across[b, a].sum()) for i, a in enumerate(order) for b in order[i + 1 :]
    }
    return measure_overlap("cosine", within=within, across=across, pairs_within=pairs_within, pairs_across=pairs_across)


@st.composite
def datasets(draw):
    n_datasets = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return {name: rng.random((draw(st.integers(0, 40)), n_datasets)) < 0.4 for name in NAMES[:n_datasets]}


@settings(max_examples=40, deadline=None)
@given(datasets())
def test_every_image_stands_in_exactly_one_region(tables):
    overlap = build(tables, list(tables))
    for dataset, table in tables.items():
        assert sum(overlap.regions[dataset].values()) == overlap.sizes[dataset] == len(table)
        for row in table:
            others = {name for name, hit in zip(tables, row, strict=True) if hit and name != dataset}
            assert overlap.region(dataset, others) >= 1
        for other, count in overlap.contained[dataset].items():
            assert count == sum(row[NAMES.index(other)] for row in table)
            assert count == sum(n for others, n in overlap.regions[dataset].items() if other in others)


@settings(max_examples=20, deadline=None)
@given(datasets())
def test_order_of_datasets_changes_nothing(tables):
    first = build(tables, list(tables))
    for order in permutations(tables):
        again = build(tables, list(order))
        assert again == first
        assert json.dumps(again.to_json()) == json.dumps(first.to_json())
        assert again.datasets == order


@pytest.fixture
def three():
    """Ten images of art, four of books, three of cards; nine of art show the one picture of books row 0."""
    art = np.zeros((10, 3), bool)
    art[:9, 1] = True
    art[8, 2] = art[9, 2] = True
    art[0, 0] = art[1, 0] = True
    books = np.zeros((4, 3), bool)
    books[0, 0] = True
    cards = np.zeros((3, 3), bool)
    cards[:2, 0] = True
    return build({"art": art, "books": books, "cards": cards}, ["art", "books", "cards"])


def test_each_direction_is_its_own_number(three):
    assert three.contained["art"]["books"] == 9
    assert three.contained["books"]["art"] == 1
    assert three.share("art", "books") == 0.9
    assert three.share("books", "art") == 0.25
    assert three.share("art", "art") == 0.2


def test_what_was_not_looked_for_is_no_zero(three):
    table = np.zeros((4, 2), bool)
    found = measure_overlap(
        "cosine",
        within={"a": table[:, 0], "b": table[:2, 1]},
        across={("a", "b"): ~table[:, 0], ("b", "a"): ~table[:2, 0]},
        pairs_within={"a": None, "b": 0},
        pairs_across={("a", "b"): 8},
    )
    assert (found.within, found.pairs_within) == ({"a": None, "b": 0}, {"a": None, "b": 0})
    assert (found.share("a", "a"), found.share("b", "b"), found.share("a", "b")) == (None, 0.0, 1.0)
    written = json.loads(json.dumps(found.to_json()))
    assert written["within"] == written["n_pairs"]["within"] == {"a": None, "b": 0}
    frame = found.to_pandas().set_index(["dataset", "other"])
    assert frame.loc[("a", "a"), ["n_matched", "share", "n_pairs"]].isna().all()
    assert frame.loc[("b", "b"), "n_matched"] == 0 and frame.loc[("b", "b"), "share"] == 0
    assert [str(frame[name].dtype) for name in ("n_matched", "share", "n_pairs")] == ["Int64", "Float64", "Int64"]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        pytest.param(lambda overlap: overlap.share("art", "musik"), "no dataset 'musik' here", id="second"),
        pytest.param(lambda overlap: overlap.count("musik", "art"), "known: art, books, cards", id="first"),
        pytest.param(lambda overlap: overlap.share("art", 3), "no dataset 3 here", id="type"),
        pytest.param(lambda overlap: overlap.region("art", ["books", "x"]), "no dataset 'x' here", id="region"),
        pytest.param(lambda overlap: overlap.region("art", "books"), r"give the names in a list", id="text"),
        pytest.param(lambda overlap: overlap.region("art", ["art"]), "names 'art' itself", id="itself"),
    ],
)
def test_an_unknown_dataset_is_told_with_the_known_ones(three, ask, message):
    with pytest.raises(ConfigError, match=message):
        ask(three)


def test_triple_overlap_is_counted(three):
    assert three.region("art", ["books", "cards"]) == 1
    assert three.region("art", ["books"]) == 8
    assert three.region("art", ["cards"]) == 1
    assert three.region("art", []) == 0
    assert three.region("books", []) == 3


def test_json_names_every_number(three):
    found = json.loads(json.dumps(three.to_json()))
    assert found["sizes"] == {"art": 10, "books": 4, "cards": 3}
    assert found["contained"]["art"] == {"books": 9, "cards": 2}
    assert found["within"] == {"art": 2, "books": 0, "cards": 0}
    assert found["regions"]["art"] == [
        {"datasets": ["books"], "n_images": 8},
        {"datasets": ["cards"], "n_images": 1},
        {"datasets": ["books", "cards"], "n_images": 1},
    ]
    assert found["n_pairs"]["within"] == {"art": 2, "books": 0, "cards": 0}
    assert found["n_pairs"]["across"]["books"] == {"art": 10, "cards": 0}


def test_pandas_has_one_row_a_direction(three):
    frame = three.to_pandas().set_index(["dataset", "other"])
    assert len(frame) == 9
    assert frame.loc[("art", "books"), "n_matched"] == 9
    assert frame.loc[("books", "art"), "share"] == 0.25
    assert frame.loc[("art", "art"), "n_pairs"] == 2


def test_without_pandas_the_extra_is_named(three, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"overlens\[pandas\]"):
        three.to_pandas()


def test_empty_dataset_has_share_zero():
    overlap = build({"art": np.zeros((0, 2), bool), "books": np.zeros((3, 2), bool)}, ["art", "books"])
    assert overlap.share("art", "books") == 0.0
    assert overlap.regions["art"] == {}


VALID = {
    "method": "cosine",
    "sizes": {"a": 3, "b": 2},
    "contained": {"a": {"b": 2}, "b": {"a": 1}},
    "within": {"a": 0, "b": 2},
    "regions": {"a": {frozenset(): 1, frozenset("b"): 2}, "b": {frozenset(): 1, frozenset("a"): 1}},
    "pairs_within": {"a": 0, "b": 1},
    "pairs_across": {"a": {"b": 2}, "b": {"a": 2}},
}


def test_consistent_numbers_are_accepted():
    assert Overlap(**VALID).share("a", "b") == 2 / 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"within": {"a": 4, "b": 2}}, "cannot have a match", id="more matched than there are"),
        pytest.param({"contained": {"a": {}, "b": {"a": 1}}}, "must name", id="a direction is missing"),
        pytest.param({"contained": {"a": {"b": 1}, "b": {"a": 1}}}, "its regions say 2", id="regions disagree"),
        pytest.param({"regions": {"a": {}, "b": VALID["regions"]["b"]}}, "sum to 0", id="regions do not sum"),
        pytest.param({"pairs_across": {"a": {"b": 2}, "b": {"a": 3}}}, "do not fit", id="pairs differ by side"),
        pytest.param({"pairs_across": {"a": {"b": 1}, "b": {"a": 1}}}, "do not fit", id="fewer pairs than images"),
        pytest.param({"pairs_within": {"a": 0, "b": 0}}, "do not fit", id="matches within but no pairs"),
        pytest.param({"within": {"a": None, "b": 2}}, "one was not looked for", id="pairs within but no images"),
        pytest.param({"pairs_within": {"a": None, "b": 1}}, "one was not looked for", id="images within but no pairs"),
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Overlap(**{**VALID, **wrong})


@pytest.mark.parametrize(
    ("across", "pairs_across", "message"),
    [
        pytest.param({("a", "b"): np.zeros(2, bool)}, {("a", "b"): 0}, "'b' have a match in 'a'", id="one direction"),
        pytest.param(
            {("a", "b"): np.zeros(3, bool), ("b", "a"): np.zeros(1, bool)},
            {("a", "b"): 0},
            "must be 2 bool",
            id="length",
        ),
        pytest.param({("a", "b"): np.zeros(2, bool), ("b", "a"): np.zeros(1, bool)}, {}, "must count", id="no pairs"),
    ],
)
def test_missing_flags_are_refused(across, pairs_across, message):
    within = {"a": np.zeros(2, bool), "b": np.zeros(1, bool)}
    with pytest.raises(ValueError, match=message):
        measure_overlap(
            "cosine", within=within, across=across, pairs_within={"a": 0, "b": 0}, pairs_across=pairs_across
        )
