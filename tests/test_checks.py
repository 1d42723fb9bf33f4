"""Single values are refused at their bounds and by their type; what merely looks like a number is none."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from overlens.checks import (
    name_problem,
    require_at_least,
    require_choices,
    require_dataset,
    require_distinct_names,
    require_number,
    require_share,
)
from overlens.errors import ConfigError


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(1.0), np.int64(0)], ids=repr)
def test_numbers_of_every_kind_pass_up_to_their_bounds(value: object):
    require_number("--share", value, 0.0, 1.0, allowed="0 to 1")


@pytest.mark.parametrize("value", [3, 4, np.uint8(3)], ids=repr)
def test_whole_numbers_of_every_kind_pass_from_the_least_on(value: object):
    require_at_least("--n", value, 3)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: require_number("--x", True, 0.0, 1.0, allowed="0 to 1"), "--x is True; it must be a number, 0 to 1"),
        (lambda: require_number("--x", "1", 0.0, 1.0, allowed="0 to 1"), "--x is '1'; it must be a number"),
        (lambda: require_number("--x", float("nan"), 0.0, 1.0, allowed="0 to 1"), "--x nan is out of range"),
        (lambda: require_number("--x", np.nextafter(1, 2), 0.0, 1.0, allowed="0 to 1"), "is out of range"),
        (lambda: require_share("--x", 5, 1.0, allowed="0 to 1"), "allowed is 0 to 1; write 5% for a percentage"),
        (lambda: require_at_least("--n", False, 0), "--n is False; it must be a whole number, 0 or more"),
        (lambda: require_at_least("--n", 2.0, 1), "--n is 2.0; it must be a whole number"),
        (lambda: require_at_least("--n", 2, 3, such_as=20, or_else="auto"), "3 or more, such as 20, or 'auto'"),
        (lambda: require_choices("--kinds", "ab", ("a", "b")), "--kinds is 'ab'; it must be some of a, b, in a tuple"),
        (lambda: require_choices("--kinds", ["a", ["b"]], ("a", "b")), "--kinds ['b'] is not known; allowed: a, b"),
        (lambda: require_dataset("B", {"a": 1, "b": 2}), "there is no dataset 'B' here; known: a, b"),
        (lambda: require_distinct_names(["straße", "STRASSE"]), "differ only in case"),
        (lambda: require_distinct_names(["a", "b_c", "a_b", "c"]), "give the same file name a_b_c as 'a' and 'b_c'"),
    ],
    ids=[
        *("truth", "text", "no number", "just above", "percentage", "truth as number", "float", "too few"),
        *("text as list", "list in list", "dataset", "folded case", "joined names"),
    ],
)
def test_what_cannot_work_is_refused_in_words(check: Callable[[], None], words: str):
    with pytest.raises(ConfigError, match=re.escape(words)):
        check()


def test_a_share_far_above_1_is_not_taken_for_a_percentage():
    with pytest.raises(ConfigError) as caught:
        require_share("--x", 101, 1.0, allowed="0 to 1")
    assert "%" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ArtDL 2.0 (受胎)", ""),
        ("é" * 50, ""),
        ("é" * 51, "is longer than 100 bytes"),
        (" \t", "is empty"),
        (".hidden", "is reserved or starts with a dot"),
        ("..", "is reserved or starts with a dot"),
        ("cross", "is reserved or starts with a dot"),
        ("a\\b", "holds a slash or an unprintable character"),
        ("a\nb", "holds a slash or an unprintable character"),
        ("a\u202eb", "holds a slash or an unprintable character"),
    ],
    ids=["plain", "100 bytes", "102 bytes", "blank", "dot", "parent", "cross", "backslash", "line feed", "turned text"],
)
def test_a_name_is_a_folder_of_its_own_everywhere(name: str, problem: str):
    assert name_problem(name) == problem
