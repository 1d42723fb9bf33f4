"""Write the removal list, and let a new folder take the place of an earlier one without a moment to lose both.

A folder cannot be renamed onto one that holds files, so the earlier one steps aside first and is removed last. Killed
in between, it waits under its other name, and the next run brings it back before it writes.
"""

import csv
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from overlens.atomic import new_folder, replaced_file
from overlens.dedupe.removal import REMOVAL_COLUMNS
from overlens.errors import StoreError


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


@contextmanager
def replaced_folder(path: Path, aside: Path) -> Iterator[Path]:
    """Make a folder to fill that takes the place of `path` when the block ends without an error.

    With an error, `path` is as it was.

    Args:
        path: The folder, which may hold an earlier one.
        aside: Where the earlier one waits meanwhile; in the same folder as `path`.

    Raises:
        StoreError: The system refuses to write or to rename.
    """
    _bring_back(path, aside)
    try:
        with new_folder(path) as folder:
            yield folder
            if path.exists():
                path.rename(aside)
    except BaseException:
        _bring_back(path, aside)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _bring_back(path: Path, aside: Path) -> None:
    """Undo half a replacement: what waits aside is the earlier folder, unless a new one has taken its place."""
    try:
        if aside.exists() and path.exists():
            shutil.rmtree(aside)
        elif aside.exists():
            aside.rename(path)
    except OSError as error:
        raise StoreError(
            f"{aside}, left by a run that was interrupted, cannot be put back or removed: {error.strerror or error}; "
            f"rename it to {path}, or remove it, by hand"
        ) from error
