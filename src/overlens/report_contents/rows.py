"""Rows of a CSV file of results, and shares as texts."""

import csv
from collections.abc import Iterator
from pathlib import Path

from overlens.errors import StoreError
from overlens.tables import plain_text

Cell = str | int | float | None
"""What a cell of a table in the report holds."""
MOST_ROWS = 200
"""So many rows a table of the report has at most; the file has all of them."""


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file of results, every text as it was before it was made harmless.

    Raises:
        StoreError: The file cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                yield {name: plain_text(text) for name, text in row.items()}
    except (OSError, ValueError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read ({error}); run overlens compute again") from error


def percent(share: float | None) -> str | None:
    """Return a share in per cent with one decimal, or None."""
    return None if share is None else f"{100 * share:.1f} %"


def interval(low: float, high: float) -> str:
    """Return an interval of shares in per cent."""
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def points(difference: float | None) -> str | None:
    """Return a difference of shares in points, with its sign."""
    return None if difference is None else f"{100 * difference:+.1f} points"


def points_interval(low: float | None, high: float | None) -> str | None:
    """Return an interval of differences in points; None where there is none."""
    return None if low is None or high is None else f"{100 * low:+.1f} to {100 * high:+.1f}"
