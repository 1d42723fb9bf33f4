"""Decisions as a table: whatever the names, they come back as they were; and a table is read whole or not at all."""

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.decisions.records import ANSWERS, DecidedImage, Decision, Occasion, Pair
from overlens.decisions.store import DecisionStore
from overlens.decisions.table import (
    COLUMNS,
    Imported,
    decisions_csv,
    import_decisions,
    parse_decisions,
    read_decisions,
    write_decisions,
)
from overlens.errors import ConfigError
from overlens.tables import is_formula

WHEN = "2026-01-31T12:00:00.000Z"
NASTY = [
    "=cmd|' /C calc'!A0",
    '"; DROP TABLE decisions; --',
    "\U0001f600.png",
    "\u202egnp.exe",
    "two\nlines\r\nand\rmore",
    "'=already",
    "-5",
    "'",
    " spaces ",
    "a,b;c\td",
]
A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))


def decision(
    one: bytes, other: bytes, answer: str, when: str = WHEN, *, name: str = "x.png", note: str = ""
) -> Decision:
    left, right = sorted((DecidedImage(one, "set a", name), DecidedImage(other, name, "y.png")))
    return Decision(0, left, right, answer, when, Occasion("sample:one", "import", note=note))


def state(store: DecisionStore) -> dict[Pair, tuple[str, ...]]:
    return {
        pair: (one.answer, one.decided_at, one.origin, one.note, one.left.image, one.right.dataset)
        for pair, one in store.latest().items()
    }


def latest_of(*decisions: Decision) -> dict[Pair, Decision]:
    return {one.pair: one for one in decisions}


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_names_come_back_and_none_is_run(name: str, tmp_path: Path):
    made = decision(A, B, "not a copy", name=name, note=name)
    write_decisions(tmp_path / "table.csv", latest_of(made))
    assert read_decisions(tmp_path / "table.csv", {}) == (made,)
    text = (tmp_path / "table.csv").read_bytes().decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 2
    assert not any(is_formula(cell) and not cell.startswith("'") for cell in rows[1])


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.sampled_from(ANSWERS)), max_size=5))
@settings(max_examples=60)
def test_any_text_comes_back(entries: list[tuple[str, str, str]]):
    made = latest_of(
        *(
            decision(bytes([place]) * 32, C, answer, name=name, note=note)
            for place, (name, note, answer) in enumerate(entries)
        )
    )
    assert latest_of(*parse_decisions(decisions_csv(made), {})) == made


def test_what_was_exported_makes_the_same_state_elsewhere(tmp_path: Path):
    here, there = DecisionStore(tmp_path / "here.sqlite"), DecisionStore(tmp_path / "there.sqlite")
    images = [DecidedImage(bytes([number]) * 32, "set", f"{number}.png") for number in range(6)]
    for number in range(5):
        here.decide(images[number], images[number + 1], ANSWERS[number % 4], Occasion("desk", note=f"{number}"))
    here.decide(images[0], images[1], "unsure", Occasion("desk"))
    here.decide(images[0], images[2], "copy", Occasion("desk"))
    here.undo()
    exported = decisions_csv(here.latest())
    assert import_decisions(there, parse_decisions(exported, {})) == Imported(5, 0, 0)
    assert state(there) == state(here) and decisions_csv(there.latest()) == exported
    history = there.history()
    assert import_decisions(there, parse_decisions(exported, {})) == Imported(0, 5, 0)
    assert import_decisions(here, parse_decisions(exported, {})) == Imported(0, 5, 0)
    assert there.history() == history


def test_an_answer_that_was_changed_in_the_table_counts(tmp_path: Path):
    store = DecisionStore(tmp_path / "decisions.sqlite")
    store.decide(DecidedImage(A, "set", "a.png"), DecidedImage(B, "set", "b.png"), "copy", Occasion("desk"))
    exported = decisions_csv(store.latest())
    edited = exported.replace(",copy,", ",not a copy,")
    assert import_decisions(store, parse_decisions(edited, {})) == Imported(1, 0, 0)
    for table, imported in ((edited, Imported(0, 1, 0)), (exported, Imported(0, 0, 1))):
        assert import_decisions(store, parse_decisions(table, {})) == imported
    again = decisions_csv(store.latest()).replace(",not a copy,", ",copy,")  # corrected once more
    assert import_decisions(store, parse_decisions(again, {})) == Imported(1, 0, 0)
    noted = re.sub(",desk,$|,desk,", ",desk,a crop", decisions_csv(store.latest()), flags=re.MULTILINE)
    assert import_decisions(store, parse_decisions(noted, {})) == Imported(1, 0, 0)
    assert [(one.answer, one.note) for one in store.latest().values()] == [("copy", "a crop")]


def test_of_two_lines_on_one_pair_the_later_counts_in_whatever_order(tmp_path: Path):
    store = DecisionStore(tmp_path / "decisions.sqlite")
    old, new = (decision(A, B, "copy", f"{year}-01-31T12:00:00.000Z") for year in (2020, 2026))
    texts = [decisions_csv(latest_of(one)).splitlines(keepends=True) for one in (old, new)]
    head = texts[0][0]
    for lines in ((texts[0][1], texts[1][1]), (texts[1][1], texts[0][1])):
        assert parse_decisions(head + "".join(lines), {}) == (new,)
    assert store.latest() == {}


@pytest.mark.parametrize("delimiter", [";", "\t"], ids=["semicolons", "tabs"])
def test_a_spreadsheet_may_separate_otherwise(delimiter: str):
    exported = decisions_csv(latest_of(decision(A, B, "copy", note="no comma")))
    assert parse_decisions(exported.replace(",", delimiter), {}) == parse_decisions(exported, {})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"set,a.png,set,b.png,copy,,{'n' * 1001}", "line 2: its note has 1,001 characters; allowed are 1,000"),
        ("set,a.png,set,a.png,copy,,", "line 2: it names one image twice, 'a.png' of dataset 'set'"),
        (
            "set,a.png,set,b.png,copy,9999-01-01T00:00:00Z,",
            "line 2: decided_at '9999-01-01T00:00:00Z' lies in the future",
        ),
    ],
    ids=["note", "one image", "future"],
)
def test_a_line_that_cannot_be_meant_is_told(line: str, reason: str):
    digests = {("set", "a.png"): A, ("set", "b.png"): B}
    with pytest.raises(ConfigError, match=re.escape(reason)):
        parse_decisions(f"dataset_a,image_a,dataset_b,image_b,answer,decided_at,note\n{line}\n", digests)


def test_no_other_file_is_written_over(tmp_path: Path):
    made = latest_of(decision(A, B, "copy"))
    table, link = tmp_path / "table.csv", tmp_path / "link.csv"
    link.symlink_to(table)
    for path in (table, link, table):
        write_decisions(path, made)
    assert link.is_symlink() and read_decisions(table, {}) == tuple(made.values())
    (tmp_path / "run.json").write_text("{}")
    for name, reason in (
        ("run.json", "is no table of decisions"),
        (".", "is no table"),
        ("run.json", "move it away"),
    ):
        with pytest.raises(ConfigError, match=reason):
            write_decisions(tmp_path / name, made)
    with pytest.raises(ConfigError, match="is no table of decisions; name another file"):
        write_decisions(Path("/dev/null"), made)
    assert (tmp_path / "run.json").read_text() == "{}"


def test_an_older_table_overrules_nothing(tmp_path: Path):
    store = DecisionStore(tmp_path / "decisions.sqlite")
    store.merge(lambda kept: [decision(A, B, "copy", "2026-03-01T00:00:00.000Z")])
    older, newer = (decision(A, B, "unsure", f"2026-0{month}-01T00:00:00.000Z") for month in (2, 4))
    assert import_decisions(store, [older, decision(A, C, "copy")]) == Imported(1, 0, 1)
    assert store.latest()[A, B].answer == "copy"
    assert import_decisions(store, [newer]) == Imported(1, 0, 0)
    assert store.latest()[A, B].answer == "unsure"


def test_nothing_to_import_makes_no_file(tmp_path: Path):
    store = DecisionStore(tmp_path / "decisions.sqlite")
    assert import_decisions(store, parse_decisions(decisions_csv({}), {})) == Imported(0, 0, 0)
    assert not store.path.exists()


def test_a_line_may_name_images_that_the_run_knows():
    text = (
        "\ufeffanswer,image_a,dataset_a,image_b,dataset_b,mark\n"
        "Not_A_Copy,'=1.png,first,2.png,second,!\n"
        "\n"
        "copy,3.png,second,'=1.png,first,\n"
    )
    digests = {("first", "=1.png"): B, ("second", "2.png"): A, ("second", "3.png"): C}
    one, two = parse_decisions(text, digests)
    assert (one.pair, one.answer, one.right.image, one.origin) == ((A, B), "not a copy", "=1.png", "import")
    assert (two.pair, two.left.image, two.right.image) == ((B, C), "=1.png", "3.png")
    assert one.decided_at == two.decided_at > "2026"


@pytest.mark.parametrize(
    ("given_time", "kept"),
    [("2026-01-31", "2026-01-31T00:00:00.000Z"), ("2026-01-31T13:00:00+01:00", WHEN), (WHEN, WHEN)],
    ids=["day", "zone", "own"],
)
def test_times_are_kept_in_utc(given_time: str, kept: str):
    text = f"sha256_a,sha256_b,answer,decided_at\n{A.hex()},{B.hex()},copy,{given_time}\n"
    assert parse_decisions(text, {})[0].decided_at == kept


def test_every_unusable_line_is_told_and_nothing_is_taken():
    head = "sha256_a,sha256_b,dataset_a,image_a,dataset_b,image_b,answer,decided_at\n"
    lines = [
        f"{A.hex()},{B.hex()},,,,,copy,",
        f"{A.hex()},{B.hex()},,,,,perhaps,",
        f"{A.hex()[1:]},{B.hex()},,,,,copy,",
        f"{A.hex()},,,,d,gone.png,copy,",
        f"{A.hex()},{C.hex()},,,,,copy,yesterday",
        f"{B.hex()},{A.hex()},,,,,unsure,",
        f"{A.hex()},{B.hex()}",
        f"{A.hex()},{C.hex()},,,,,copy,0001-01-01T00:00:00+23:00",
    ]
    with pytest.raises(ConfigError) as told:
        parse_decisions(head + "\n".join(lines) + "\n", {}, "mine.csv")
    text = str(told.value)
    assert text.startswith("mine.csv was not imported, as 7 lines cannot be used")
    for reason in (
        "line 3: the answer 'perhaps' is not known; allowed: copy",
        "line 4: sha256_a '1010",
        "line 5: no image 'gone.png' of dataset 'd' is known; give the sha256_b",
        "line 6: decided_at 'yesterday'",
        "line 7: it says 'unsure' of the pair of line 2, which says 'copy'",
        "line 8: it has fewer cells than the head",
        "line 9: decided_at '0001-01-01",
    ):
        assert reason in text


def test_no_more_lines_are_told_than_one_can_read():
    text = "sha256_a,sha256_b,answer\n" + "x,y,copy\n" * 30
    with pytest.raises(ConfigError, match="as 30 lines cannot be used") as told:
        parse_decisions(text, {})
    assert str(told.value).count("line ") == 20 and str(told.value).endswith("and 10 further lines")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; needed are answer"),
        (b"answer,sha256_a,sha256_b\nunsure,,,\n", "line 2: it has more cells than the head"),
        (b"sha256_a,answer\n", "has the columns sha256_a, answer; needed are"),
        (b'answer,sha256_a,sha256_b\n"copy\n', "cannot be read after line"),
        (b"answer\xff", "is not UTF-8"),
    ],
    ids=["empty", "cells", "columns", "quote", "encoding"],
)
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, reason: str):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        read_decisions(tmp_path / "table.csv", {})


def test_a_table_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_decisions(tmp_path / "table.csv", {})


def test_the_example_of_the_page_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    page = (Path(__file__).parents[1] / "docs" / "review.md").read_text(encoding="utf-8")
    code, printed = re.findall(r"^```python\n(.*?)^```\n\n```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "review.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_the_page_names_every_answer_and_column():
    page = (Path(__file__).parents[1] / "docs" / "review.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in (*ANSWERS, *COLUMNS))
