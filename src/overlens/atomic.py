"""Files that appear whole or not at all.

Everything is written under a temporary name beside its place, flushed to the disk and renamed. The temporary names are
fixed, so that a run after a killed one replaces what that left behind; one run at a time holds the lock of a folder.
"""

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from overlens.errors import StoreError

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
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder to fill; it appears as `path`, all its files flushed, when the block ends without an error."""
    partial = path.with_name(PARTIAL + path.name)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in partial.iterdir():
            _flush(file)
        flush_folder(partial)
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    flush_folder(path.parent)


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
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold `folder` for one run; raises StoreError at once if another run holds it.

    The lock belongs to the process: a killed run frees it. Where the platform has no such locks, nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"another run is writing to {folder}; wait for it, or use another --output") from error
        yield


def flush_folder(folder: Path) -> None:
    """Make the names in `folder` durable, where the platform can."""
    if os.name == "posix":
        _flush(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
