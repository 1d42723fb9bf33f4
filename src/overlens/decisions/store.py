"""The log of decisions in one SQLite file: only appended to, so nothing that was acknowledged is ever lost.

A decision is on the disk before `decide` returns (write-ahead log, flushed at every commit). To undo appends a mark and
removes nothing. Of the decisions on a pair that were not undone, the last one in the log counts. Every use opens the
file anew: it costs a millisecond or so, and in return any number of threads, windows and processes can work at once.
To read never makes the file, and a file that cannot be read is left as it is.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from overlens.decisions.records import DecidedImage, Decision, Occasion, Pair, require_answer, stamp
from overlens.errors import ConfigError, OverlensError, StoreError
from overlens.tables import valid_text

FORMAT = 1
APPLICATION_ID = 0x6F766C64  # "ovld": tells this file from those of other programs
TIMEOUT_S = 30.0
_RETRY_S = 0.01
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_SCHEMA = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """
    CREATE TABLE decisions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256_a BLOB NOT NULL CHECK (length(sha256_a) = 32),
        sha256_b BLOB NOT NULL CHECK (length(sha256_b) = 32 AND sha256_a <= sha256_b),
        dataset_a TEXT NOT NULL,
        image_a TEXT NOT NULL,
        dataset_b TEXT NOT NULL,
        image_b TEXT NOT NULL,
        answer TEXT NOT NULL,
        decided_at TEXT NOT NULL,
        origin TEXT NOT NULL,
        session TEXT NOT NULL,
        evidence TEXT NOT NULL,
        note TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE undone (
        number INTEGER PRIMARY KEY REFERENCES decisions (number),
        undone_at TEXT NOT NULL
    )
    """,
    "CREATE INDEX pairs ON decisions (sha256_a, sha256_b)",
    f"PRAGMA user_version = {FORMAT}",
)
_SAMPLES = """
    CREATE TABLE IF NOT EXISTS samples (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        drawn_at TEXT NOT NULL,
        size INTEGER NOT NULL,
        seed INTEGER NOT NULL
    )
"""
_SELECT = (
    "SELECT number, sha256_a, dataset_a, image_a, sha256_b, dataset_b, image_b, answer, decided_at, origin, session, "
    "evidence, note, undone_at FROM decisions LEFT JOIN undone USING (number)"
)
_SELECT_PLAIN = _SELECT.replace("evidence, ", "'{}', ")
_INSERT = (
    "INSERT INTO decisions (sha256_a, dataset_a, image_a, sha256_b, dataset_b, image_b, answer, decided_at, origin, "
    "session, evidence, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

T = TypeVar("T")
Work = Callable[[], T]
Change = Callable[[sqlite3.Connection], T]
Choose = Callable[[tuple[Decision, ...]], Sequence[Decision]]


class OverruledError(OverlensError):
    """What a person answered, or took back, rests on something that does not count any more.

    Attributes:
        latest: The decision that counts on the pair, None if none does.
    """

    def __init__(self, latest: Decision | None, seen: int) -> None:
        """Say what happened since the decision with number `seen`, 0 for none, was shown."""
        if latest is None:
            what = "the answer to this pair was taken back"
        elif latest.number > seen:
            what = f"somebody answered this pair: {latest.answer}"
        else:
            what = f"the answer to this pair was taken back, so the one before it counts: {latest.answer}"
        super().__init__(f"meanwhile {what}; nothing was changed: look, and answer again if that is wrong")
        self.latest = latest


@dataclass(frozen=True, slots=True)
class LogState:
    """How far which log was read: the file, the number of its last decision, and how many were undone."""

    file: int = 0
    last: int = 0
    n_undone: int = 0


@dataclass(frozen=True, slots=True)
class LogChanges:
    """What became of the log since a state of it.

    Attributes:
        state: Its state now.
        decisions: The decisions that are new, in their order, without what was shown; of another file all.
        undone: Numbers of all that are undone, if there are more than before; else empty.
    """

    state: LogState
    decisions: tuple[Decision, ...]
    undone: frozenset[int]


@dataclass(frozen=True, slots=True)
class DecisionStore:
    """The decisions that are kept in a file, `overlens.layout.CrossLayout.decisions`.

    Every method raises StoreError if the file cannot be read or written, is damaged, is none of decisions, or is of a
    newer version; it is never changed then.

    Attributes:
        path: The file; made by the first decision or audit sample.
    """

    path: Path

    def decide(
        self, one: DecidedImage, other: DecidedImage, answer: str, occasion: Occasion, *, seen: int | None = None
    ) -> Decision:
        """Keep what a person said of a pair, now; on the disk when this returns.

        To say again what counts already, on the same occasion, keeps nothing new: the one that is there is returned.

        Args:
            one: An image.
            other: Another one; their order plays no part.
            answer: One of `overlens.decisions.records.ANSWERS`.
            occasion: Where and by whom it is said, and what was shown.
            seen: Number of the decision on this pair that the person saw, 0 for none; None if that plays no part.

        Raises:
            ConfigError: The answer is not known.
            OverruledError: Something was said or taken back that the person did not see; nothing was kept.
            ValueError: What was shown cannot be written as JSON.
        """
        left, right = sorted((one, other))
        said = Decision(0, left, right, require_answer(answer), stamp(datetime.now(UTC)), occasion)

        def write(connection: sqlite3.Connection) -> Decision:
            latest = _latest_on(connection, said.pair)
            if latest is not None and latest.says_what(said):
                return latest
            if seen is not None and seen != (0 if latest is None else latest.number):
                raise OverruledError(latest, seen)
            return _insert(connection, said)

        if seen and not self.path.exists():
            raise OverruledError(None, seen)
        return self._write(write)

    def merge(self, choose: Choose) -> tuple[Decision, ...]:
        """Keep what `choose` makes of the decisions kept so far; nobody else decides in between.

        Args:
            choose: Takes the log, returns the decisions to append; called again if the file is busy.
        """

        def write(connection: sqlite3.Connection) -> tuple[Decision, ...]:
            return tuple(_insert(connection, one) for one in choose(_read(connection)))

        return self._write(write)

    def undo(self, session: str = "") -> Decision | None:
        """Take back the last decision of a session that holds, so that the answer before it counts again.

        Returns:
            What was taken back; None if there is nothing.
        """

        def write(connection: sqlite3.Connection) -> Decision | None:
            where = "WHERE undone_at IS NULL AND session = ? ORDER BY number DESC LIMIT 1"
            last = next(_parse(connection.execute(f"{_SELECT} {where}", (session,))), None)
            return None if last is None else _mark_undone(connection, last)

        return self._write(write) if self.path.exists() else None

    def take_back(self, number: int) -> Decision:
        """Take back a decision that counts, whoever made it; return it.

        Raises:
            ConfigError: There never was such a decision.
            OverruledError: It does not count: it was taken back, or somebody said something later.
        """

        def write(connection: sqlite3.Connection) -> Decision | None:
            found = next(_parse(connection.execute(f"{_SELECT} WHERE number = ?", (number,))), None)
            latest = None if found is None else _latest_on(connection, found.pair)
            if found is not None and (latest is None or latest.number != number):
                raise OverruledError(latest, number)
            return None if latest is None else _mark_undone(connection, latest)

        taken = self._write(write) if self.path.exists() else None
        if taken is None:
            raise ConfigError(f"there is no answer number {number}")
        return taken

    def require_writable(self) -> None:
        """Raise StoreError unless decisions can be kept, before somebody makes one."""
        files = [one for one in (self.path, self.path.parent) if one.exists()]
        if refused := [one for one in files if not os.access(one, os.W_OK)]:
            raise StoreError(
                f"decisions cannot be kept: {refused[0]} cannot be written; change its rights, or copy the results"
            )

    def record_sample(self, size: int, seed: int) -> None:
        """Keep that an audit sample was drawn, unless it is the last one that was."""

        def write(connection: sqlite3.Connection) -> None:
            if (_read_samples(connection) or (None,))[-1] != (size, seed):
                connection.execute(_SAMPLES)
                now = stamp(datetime.now(UTC))
                connection.execute("INSERT INTO samples (drawn_at, size, seed) VALUES (?, ?, ?)", (now, size, seed))

        self._write(write)

    def samples(self) -> tuple[tuple[int, int], ...]:
        """Return size and seed of the audit samples that were drawn, in their order."""
        return self._read(_read_samples) or ()

    def latest(self) -> Mapping[Pair, Decision]:
        """Return the decision that counts for each pair, in the order in which they were made."""
        return latest_of(self.history())

    def history(self) -> tuple[Decision, ...]:
        """Return all decisions ever made, those that were undone, too, in the order of the log."""
        return self._read(lambda connection: _read(connection, is_checked=True)) or ()

    def changes(self, state: LogState) -> LogChanges:
        """Return what became of the log since a state of it, quick where that is little; all if it is another file."""
        try:
            file = self.path.stat().st_ino
        except OSError:  # there is none yet, or whoever reads it says why
            file = 0
        since = state if state.file == file else LogState(file)
        return self._read(lambda connection: _read_changes(connection, since)) or LogChanges(since, (), frozenset())

    def _read(self, work: Change[T]) -> T | None:
        """Return what a reader returns; None where there is no file yet."""
        if not self.path.exists():
            return None
        # Where nobody can write, nobody does, and SQLite could not make the files that it keeps beside this one.
        is_still = (
            not os.access(self.path.parent, os.W_OK) and not self.path.with_name(f"{self.path.name}-wal").exists()
        )
        mode = "ro&immutable=1" if is_still else "rw"  # neither makes the file
        return self._tried("read", lambda: self._with(mode, work))

    def _write(self, change: Change[T]) -> T:
        def work(connection: sqlite3.Connection) -> T:
            connection.execute("PRAGMA journal_mode = WAL")
            with _transaction(connection):
                if _version(connection) == 0:
                    for statement in _SCHEMA:
                        connection.execute(statement)
                return change(connection)

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror or error}; nothing was kept") from error
        return self._tried("write", lambda: self._with("rwc", work))

    def _with(self, mode: str, work: Change[T]) -> T:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=TIMEOUT_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            _version(connection)
            return work(connection)

    def _tried(self, verb: str, work: Work[T]) -> T:
        """Return what the work returns; try again while another process opens or closes the file."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return work()
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code not in _BUSY or time.monotonic() >= deadline:
                    raise StoreError(self._failure(verb, code, error)) from error
            except _UnusableError as error:
                raise StoreError(f"{self.path} {error}") from error
            time.sleep(_RETRY_S)

    def _failure(self, verb: str, code: int, error: sqlite3.Error) -> str:
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return f"{self.path} {_DAMAGED.format(error)}"
        kept = " and nothing was kept" if verb == "write" else ""
        return f"cannot {verb} the decisions in {self.path}: {error}{kept}; mend that and try again"


def latest_of(history: Iterable[Decision]) -> dict[Pair, Decision]:
    """Return the decision that counts for each pair of a log: the last that was not undone."""
    latest: dict[Pair, Decision] = {}
    for decision in history:
        if decision.undone_at is None:
            latest.pop(decision.pair, None)
            latest[decision.pair] = decision
    return latest


class _UnusableError(Exception):
    """The file is there and can be opened, and is none that can be used."""


_DAMAGED = (
    "is damaged ({}); it was left as it is. Copy it, with what lies beside it under its name, then mend the copy with "
    "`sqlite3 COPY .recover`, or move it away and import the last table that was exported"
)


def _version(connection: sqlite3.Connection) -> int:
    """Return the version of the file, 0 for an empty one."""
    if connection.in_transaction:
        version, application, n_tables = _identity(connection)
    else:
        with _transaction(connection, "DEFERRED"):  # else another process may make the tables between two looks
            version, application, n_tables = _identity(connection)
    if version == application == n_tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise _UnusableError("is a database of another program; move it away, and run again")
    if version > FORMAT:
        raise _UnusableError(
            f"was written by a newer version of overlens (its format is {version}, this one reads {FORMAT}); update "
            "overlens"
        )
    return version


def _identity(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return version, number of the program, and number of tables of the file."""
    asked = "PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema"
    version, application, n_tables = (int(connection.execute(one).fetchone()[0]) for one in asked)
    return version, application, n_tables


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _read(connection: sqlite3.Connection, *, is_checked: bool = False) -> tuple[Decision, ...]:
    if _version(connection) == 0:
        return ()
    if is_checked and (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise _UnusableError(_DAMAGED.format(" ".join(found.split())))
    return tuple(_parse(connection.execute(f"{_SELECT} ORDER BY number")))


def _read_changes(connection: sqlite3.Connection, state: LogState) -> LogChanges:
    if _version(connection) == 0:
        return LogChanges(LogState(state.file), (), frozenset())
    with _transaction(connection, "DEFERRED"):
        last = int(connection.execute("SELECT coalesce(max(number), 0) FROM decisions").fetchone()[0])
        n_undone = int(connection.execute("SELECT count(*) FROM undone").fetchone()[0])
        rows = connection.execute(f"{_SELECT_PLAIN} WHERE number > ? ORDER BY number", (state.last,))
        new = tuple(_parse(rows)) if last != state.last else ()
        numbers = connection.execute("SELECT number FROM undone") if n_undone != state.n_undone else ()
        undone = frozenset(int(number) for (number,) in numbers)
    return LogChanges(LogState(state.file, last, n_undone), new, undone)


def _read_samples(connection: sqlite3.Connection) -> tuple[tuple[int, int], ...]:
    is_there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'samples'"
    if not connection.execute(is_there).fetchone()[0]:
        return ()
    rows = connection.execute("SELECT size, seed FROM samples ORDER BY number")
    return tuple((int(size), int(seed)) for size, seed in rows)


def _latest_on(connection: sqlite3.Connection, pair: Pair) -> Decision | None:
    """Return the decision that counts on a pair."""
    where = "WHERE sha256_a = ? AND sha256_b = ? AND undone_at IS NULL ORDER BY number DESC LIMIT 1"
    return next(_parse(connection.execute(f"{_SELECT} {where}", pair)), None)


def _mark_undone(connection: sqlite3.Connection, decision: Decision) -> Decision:
    now = stamp(datetime.now(UTC))
    connection.execute("INSERT INTO undone (number, undone_at) VALUES (?, ?)", (decision.number, now))
    return replace(decision, undone_at=now)


def _parse(rows: Iterable[tuple[Any, ...]]) -> Iterator[Decision]:
    for (
        number,
        a,
        dataset_a,
        image_a,
        b,
        dataset_b,
        image_b,
        answer,
        when,
        origin,
        session,
        shown,
        note,
        undone,
    ) in rows:
        try:
            left, right = DecidedImage(a, dataset_a, image_a), DecidedImage(b, dataset_b, image_b)
            occasion = Occasion(origin, session, json.loads(shown), note)
            yield Decision(number, left, right, answer, when, occasion, undone)
        except (TypeError, ValueError) as error:
            raise _UnusableError(_DAMAGED.format(f"decision {number}: {error}")) from error


def _insert(connection: sqlite3.Connection, decision: Decision) -> Decision:
    left, right, occasion = decision.left, decision.right, decision.occasion
    texts = [valid_text(text) for text in (left.dataset, left.image, right.dataset, right.image)]
    rest = [valid_text(text) for text in (decision.answer, decision.decided_at, occasion.origin, occasion.session)]
    shown = json.dumps(occasion.shown, allow_nan=False)
    values = (left.digest, *texts[:2], right.digest, *texts[2:], *rest, shown, valid_text(occasion.note))
    number = connection.execute(_INSERT, values).lastrowid
    kept = replace(decision, left=DecidedImage(left.digest, *texts[:2]), right=DecidedImage(right.digest, *texts[2:]))
    return replace(kept, number=int(number or 0))
