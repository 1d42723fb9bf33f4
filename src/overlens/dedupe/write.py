"""Write the removal list."""

import csv
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from overlens.atomic import replaced_file
from overlens.dedupe.removal import REMOVAL_COLUMNS


def write_removal(path: Path, rows: Iterator[tuple[str, ...]]) -> None:
    """Write the removal list as CSV: every text quoted, every name exact, whatever it holds.

    Bytes of file names that are not UTF-8 are written as they are (Python: `errors="surrogateescape"`).
    """
    with replaced_file(path) as stream:
        text = TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
        # Quoted, a carriage return or a space at the end of a name is safe as well.
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(REMOVAL_COLUMNS)
        writer.writerows(rows)
        text.flush()
        text.detach()
