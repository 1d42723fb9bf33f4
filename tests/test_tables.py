"""Tables as CSV: exact for programs, harmless for people, and undone without a loss."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.tables import csv_text, harmless_text, is_formula, plain_text, rounded, write_csv

ODD = st.text(alphabet=st.sampled_from("'=+-@\t\r\na1.\"<é"), max_size=8)


@given(ODD)
@settings(max_examples=300)
def test_a_text_comes_back_as_it_was(text: str):
    assert plain_text(harmless_text(text)) == text


@given(ODD)
@settings(max_examples=300)
def test_no_text_for_people_begins_like_a_formula(text: str):
    made = harmless_text(text)
    assert not made.startswith(("=", "@", "\t", "\r"))
    assert not made.startswith(("+", "-")) or float(made) == float(text)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\tx", "\r=1", "'=1", "-", "-1e"])
def test_formulas_are_seen(text: str):
    assert is_formula(text)


@pytest.mark.parametrize("text", ["", "a=1", "-1", "+1.5", "-.5e-3", "'quoted'", "a-b"])
def test_numbers_and_names_are_no_formulas(text: str):
    assert not is_formula(text)


@given(st.lists(st.tuples(ODD, ODD), max_size=5))
@settings(max_examples=100)
def test_an_exact_table_reads_back_as_it_was(rows: list[tuple[str, str]]):
    read = list(csv.reader(io.StringIO(csv_text(("a", "b"), rows, exact=True), newline="")))
    assert read == [["a", "b"], *map(list, rows)]


@given(st.lists(st.tuples(ODD, ODD), max_size=5))
@settings(max_examples=200)
def test_a_table_for_people_reads_back_too(rows: list[tuple[str, str]]):
    read = list(csv.reader(io.StringIO(csv_text(("a", "b"), rows), newline="")))
    assert [[plain_text(cell) for cell in row] for row in read] == [["a", "b"], *map(list, rows)]


def test_a_lone_carriage_return_splits_no_row():
    assert csv_text(["a", "b"], [["x\ry", "e"]]) == 'a,b\n"x\ry",e\n'


def test_a_file_holds_what_the_text_does_and_missing_values_are_empty(tmp_path: Path):
    rows = [("=x", None, 1.5, -2), ("é", "-3", True, "")]
    write_csv(tmp_path / "t.csv", ("a", "b", "c", "d"), rows)
    assert (tmp_path / "t.csv").read_text("utf-8") == csv_text(("a", "b", "c", "d"), rows)
    assert csv_text(("a", "b", "c", "d"), rows) == "a,b,c,d\n'=x,,1.5,-2\né,-3,True,\n"


def test_names_that_are_no_unicode_keep_their_bytes_or_are_escaped(tmp_path: Path):
    write_csv(tmp_path / "exact.csv", ("a",), [("\udcff",)], exact=True)
    write_csv(tmp_path / "people.csv", ("a",), [("\udcff",)])
    assert (tmp_path / "exact.csv").read_bytes() == b'"a"\n"\xff"\n'
    assert (tmp_path / "people.csv").read_bytes() == b"a\n\\udcff\n"


def test_rounding_reaches_into_lists_and_leaves_no_negative_zero():
    value = {"a": [1 / 3, (2, "x", None)], "b": -1e-9}
    assert rounded(value) == {"a": [0.333333, [2, "x", None]], "b": 0.0}
    assert str(rounded(-1e-9)) == "0.0"
