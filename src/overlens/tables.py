"""Tables as CSV: one dialect, one rounding, and no cell that a spreadsheet would run.

Names of files and classes come from outside. A spreadsheet takes a cell that begins with =, +, - or @ for a formula,
so tables for people get an apostrophe before such a text, which a spreadsheet shows as text; so does a text that has
apostrophes before such a sign, which makes the change one that `plain_text` undoes. Tables that programs go by, to find
files again, are exact instead: every text is quoted and stays as it is.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from overlens.atomic import replaced_file

DIGITS = 6
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def is_formula(text: str) -> bool:
    """Return whether a spreadsheet could take a text for a formula; a plain number is none."""
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None


def harmless_text(text: str) -> str:
    """Return a text with an apostrophe before it if a spreadsheet could take it for a formula."""
    return f"'{text}" if is_formula(text) else text


def plain_text(cell: str) -> str:
    """Return the text that `harmless_text` made a cell of."""
    return cell[1:] if cell.startswith("'") and is_formula(cell) else cell


def valid_text(name: str) -> str:
    """Return a name as UTF-8 can hold it: bytes of a file name that are not UTF-8 are spelled out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def rounded(value: object, digits: int = DIGITS) -> object:
    """Return floats rounded and without a negative zero, also those in lists and dictionaries; the rest as it is."""
    if isinstance(value, dict):
        return {name: rounded(one, digits) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [rounded(one, digits) for one in value]
    return round(value, digits) + 0.0 if isinstance(value, float) else value


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]], *, exact: bool = False) -> str:
    """Return a table as CSV; None is an empty cell, and lines end in a line feed.

    Args:
        head: Name of each column.
        rows: The values of each line.
        exact: Whether names stay as they are, every text quoted, for programs; else no text is a formula, for people.
    """
    text = io.StringIO(newline="")
    _write_rows(text, head, rows, exact=exact)
    return text.getvalue()


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]], *, exact: bool = False) -> None:
    """Write what `csv_text` returns to a file, row by row, in UTF-8.

    In an exact table, bytes of file names that are not UTF-8 stay (Python: `errors="surrogateescape"`); in one for
    people they are escaped with a backslash.

    Raises:
        StoreError: The system refuses to write.
    """
    errors = "surrogateescape" if exact else "backslashreplace"
    with replaced_file(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", errors=errors, newline="")
        _write_rows(text, head, rows, exact=exact)
        text.flush()
        text.detach()


class _Lines:
    """Where a writer's rows go: it ends them as CSV asks, so that every line break in a text is quoted, and the file
    has line feeds alone. Before Python 3.13 a writer that ends rows otherwise left a lone carriage return bare.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        self._stream.write(row.removesuffix("\r\n") + "\n")


def _write_rows(stream: TextIO, head: Sequence[str], rows: Iterable[Sequence[object]], *, exact: bool) -> None:
    writer = csv.writer(_Lines(stream), quoting=csv.QUOTE_NONNUMERIC if exact else csv.QUOTE_MINIMAL)
    writer.writerow(head)
    writer.writerows(rows if exact else map(_harmless_row, rows))


def _harmless_row(row: Sequence[object]) -> list[object]:
    return [harmless_text(value) if isinstance(value, str) else value for value in row]
