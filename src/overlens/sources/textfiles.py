"""Read the text, JSON and CSV files that come with a dataset, or say where they are wrong.

Everything is UTF-8 with or without a byte-order mark; whatever cannot be read raises DatasetError with the file and,
where there is one, the line. Objects of a JSON file come back as tuples of pairs, so that a name that stands twice is
seen and not lost; that costs the caller one conversion.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from overlens.errors import DatasetError

# str.splitlines would also break a name at a form feed or a Unicode line separator.
_LINE_BREAK = re.compile(r"\r\n|\n|\r")


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file without its byte-order mark.

    Raises:
        DatasetError: The file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"{path} is not UTF-8: byte {error.object[error.start]:#04x} in line {line}; save the file as UTF-8"
        ) from error
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}; check that it is a readable file") from error


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file, however they end, without spaces and tabs around them."""
    lines = _LINE_BREAK.split(read_text(path))
    if lines[-1] == "":
        lines.pop()
    return [line.strip(" \t") for line in lines]


def read_json(path: Path) -> object:
    """Return the content of a JSON file; an object is a tuple of `(name, value)` pairs, an array a list.

    Raises:
        DatasetError: The file cannot be read or is not JSON; the message names the line.
    """
    text = read_text(path)
    try:
        content: object = json.loads(text, object_pairs_hook=tuple)
        if r"\ud" in text.lower():
            # Half a surrogate pair is legal JSON, but no file can hold it afterwards.
            json.dumps(content, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}; correct the file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be used as JSON: {error}; correct the file") from error
    return content


def read_table(path: Path, *, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield `(line number, fields)` of each row of a CSV file that is not blank.

    Raises:
        DatasetError: The file cannot be read, is not UTF-8, or breaks the quoting rules.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            while True:
                try:
                    row = next(rows, None)
                except csv.Error as error:
                    advice = "close every quote, and write one within a value twice"
                    _raise_malformed(path, rows.line_num, f"{error}; {advice}", error)
                if row is None:
                    return
                if any(field.strip() for field in row):
                    yield rows.line_num, row
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8: {error.reason}; save the file as UTF-8") from error
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}; check that it is a readable file") from error


def require_row_length(path: Path, line: int, row: Sequence[str], n_columns: int) -> None:
    """Raise DatasetError if a row has not as many fields as the header."""
    if len(row) != n_columns:
        reason = f"{len(row)} fields where the header has {n_columns}; quote values that hold the delimiter"
        _raise_malformed(path, line, reason, None)


def _raise_malformed(path: Path, line: int, reason: str, cause: Exception | None) -> NoReturn:
    raise DatasetError(f"{path} is malformed in line {line}: {reason}") from cause
