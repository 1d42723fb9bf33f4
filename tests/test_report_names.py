"""Names in little room keep both ends, fit, and never become equal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.report.names import cut_characters, distinct_names
from overlens.report.style import clean_text, drawable, missing_glyph_note, text_width, wrap_text

MANY = tuple(f"a_very_long_name_of_a_dataset_{i:03d}_of_a_museum_far_away_from_here" for i in range(40))


@pytest.mark.parametrize(
    "names",
    [
        ("museum_collection_2020_train", "museum_collection_2020_test"),
        ("2020_train_museum_collection", "2021_train_museum_collection"),
        ("collection_of_the_museum_2020_of_the_whole_house", "collection_of_the_museum_2021_of_the_whole_house"),
        ("n" * 80, "n" * 81, "n" * 82),
        ("\u53d7\u80ce", "\u544a\u77e5"),
        MANY,
    ],
    ids=["end", "beginning", "middle", "length", "letters without a shape", "many"],
)
@pytest.mark.parametrize("width", [0.9, 1.6])
def test_different_names_stay_different_and_fit(names, width):
    shown = distinct_names(names, width, 9)
    assert len(set(shown)) == len(names)
    assert all(text_width(name, 9) <= width for name in shown)


def test_names_keep_both_ends():
    train, test = distinct_names(("museum_collection_2020_train", "museum_collection_2020_test"), 1.4, 9)
    assert train.startswith("museum") and train.endswith("train")
    assert test.startswith("museum") and test.endswith("test")


def test_names_that_fit_stay_whole_and_one_name_twice_is_one():
    assert distinct_names(("ArtDL", "wikidata", "ArtDL"), 2, 9) == ("ArtDL", "wikidata", "ArtDL")
    shown = distinct_names(("n" * 80,) * 2, 1, 9)
    assert shown[0] == shown[1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60), unique=True, max_size=6))
def test_no_names_become_equal(names):
    assert len(set(distinct_names(names, 1.2, 9))) == len(names)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from(["", " (3)"]))
def test_characters_are_cut_to_their_number(name, head_share, ending):
    shown = cut_characters(name, 20, head_share, ending)
    assert len(shown) <= 20 and shown.endswith(ending)
    assert len(name) + len(ending) > 20 or shown == name + ending


@pytest.mark.parametrize("width", [1.0, 3.0])
def test_a_long_word_is_broken_and_nothing_of_it_is_lost(width):
    text = "Images shared by " + "n" * 90 + "_train and " + "n" * 90 + "_test"
    lines = wrap_text(text, width, 9)
    assert "".join(lines).replace(" ", "") == drawable(clean_text(text)).replace(" ", "")
    assert all(text_width(line, 9) <= width for line in lines)


@pytest.mark.parametrize("text", ["has 12 % that the left has not", "shows 48 %, no more", "", "% b", "a  %"])
def test_a_number_is_not_parted_from_its_percent(text):
    words = text.split()
    for number in range(2, len(words) + 1):
        lines = wrap_text(text, text_width(" ".join(words[:number]), 9), 9)
        assert " ".join(lines) == " ".join(words)
        assert not any(line.startswith("%") for line in lines[1:])
    assert wrap_text("", 1, 9) == []


def test_letters_without_a_shape_are_told_in_words():
    assert missing_glyph_note(["ArtDL"]) == ()
    assert missing_glyph_note(["\u53d7\u80ce"]) == (
        "An empty box in a name stands for a letter that cannot be drawn here.",
    )
