"""Files that appear whole or not at all.

Everything is written under a temporary name beside its place, flushed to the disk and renamed. The temporary names are
fixed, so that a run after a killed one replaces what that left behind; one run at a time holds the lock of a folder.
"""

import io
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from overlens.errors import StoreError

LOG = logging.getLogger(__name__)
PARTIAL = ".partial-"


@contextmanager
def replaced_text(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file to write that takes the place of `path` when the block ends without an error."""
    with replaced_file(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
        yield text
        text.flush()
        text.detach()


@contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write bytes that takes the place of `path` when the block ends without an error."""
    partial = path.with_name(PARTIAL + path.name)
    try:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
            flush_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder to fill; it appears as `path`, all its files flushed, when the block ends without an error."""
    partial = path.with_name(PARTIAL + path.name)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with _told(path):
            partial.mkdir(parents=True)
            yield partial
            _flush_tree(partial)
            partial.rename(path)
            flush_folder(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def replaced_folder(path: Path, aside: Path) -> Iterator[Path]:
    """Make a folder to fill that takes the place of `path` when the block ends without an error.

    A folder cannot be renamed onto one that holds files, so the earlier one steps aside first and is removed last.
    Killed in between, it waits under its other name, and the next run brings it back before it writes. With an error,
    `path` is as it was.

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


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file at once."""
    with replaced_file(path) as stream:
        stream.write(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 file at once."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write `value` as readable JSON; keys stay in their order."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def remove_partials(folder: Path) -> None:
    """Remove what a killed run left behind in `folder`."""
    for leftover in folder.glob(PARTIAL + "*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


@contextmanager
def sole_writer(mark: Path) -> Iterator[None]:
    """Hold the file `mark` for one run; raises StoreError at once if another run holds it.

    The lock belongs to the process, so a killed run frees it. A platform without such locks holds nothing.
    """
    with ExitStack() as held:
        with _told(mark):
            mark.parent.mkdir(parents=True, exist_ok=True)
            stream = held.enter_context(mark.open("w"))
        try:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except BlockingIOError as error:
            raise StoreError(
                f"another run is writing to {mark.parent}; wait for it, or use another --output"
            ) from error
        except OSError as error:  # some network file systems have no locks
            LOG.warning("%s cannot be locked (%s); start no second run there", mark, error.strerror)
        yield


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system refuses while `path` is written into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; mend that, or let compute or dedupe write elsewhere with "
            "--output PATH"
        ) from error


def flush_folder(folder: Path) -> None:
    """Make the names in `folder` durable, where the platform can."""
    if os.name == "posix":
        _flush(folder)


def _flush_tree(folder: Path) -> None:
    """Make all files and names below `folder` durable; a link is a name, and what it leads to is not ours."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            _flush_tree(path)
        elif not path.is_symlink():
            _flush(path)
    flush_folder(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
