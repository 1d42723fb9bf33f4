"""Decisions as a table for people, and such a table read again: all of it or nothing.

A line names its pair by the SHA-256 of both files, or by dataset and name of images that a run knows. What is older
than the answer that counts, or the same, changes nothing, so a table can be read any number of times.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from overlens.atomic import write_text
from overlens.counted import counted
from overlens.decisions.records import MOST_NOTE, DecidedImage, Decision, Occasion, Pair, require_answer, stamp
from overlens.decisions.store import DecisionStore, latest_of
from overlens.digests import DIGEST_BYTES
from overlens.errors import ConfigError, StoreError
from overlens.tables import csv_text, plain_text, valid_text

NAMES, DIGESTS = ("dataset_a", "image_a", "dataset_b", "image_b"), ("sha256_a", "sha256_b")
COLUMNS = (*NAMES, *DIGESTS, "answer", "decided_at", "origin", "note")
MOST_PROBLEMS = 20
CLOCKS_APART = timedelta(days=1)
"""So far in the future may a time lie, as clocks and zones differ."""
IMPORT = "import"

Digests = Mapping[tuple[str, str], bytes]
"""(dataset, name of the image) -> SHA-256 of its file."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a table.

    Attributes:
        n_added: Lines that are decisions now.
        n_known: Lines whose answer counted already.
        n_older: Lines that are older than the answer that counts; they change nothing.
    """

    n_added: int
    n_known: int
    n_older: int


def decisions_csv(latest: Mapping[Pair, Decision]) -> str:
    """Return the decisions that count as CSV, one line a pair, in the order in which they were made."""
    return csv_text(COLUMNS, (tuple(_row(one)) for one in latest.values()))


def write_decisions(path: Path, latest: Mapping[Pair, Decision]) -> None:
    """Write what `decisions_csv` returns, in place of nothing but an earlier table of decisions.

    Raises:
        ConfigError: The path is that of another file, or the system refuses.
    """
    try:
        if path.exists() and not _is_table(path):
            raise ConfigError(f"{path} is there and is no table of decisions; name another file, or move it away")
        write_text(path.resolve(), decisions_csv(latest))
    except (OSError, StoreError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.__cause__
        raise ConfigError(f"cannot write {path}: {reason or error}; name a file in a folder of yours") from error


def _is_table(path: Path) -> bool:
    """Whether a file is empty or begins as a table of decisions does."""
    head = ",".join(COLUMNS).encode()
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(head)) in (head, b"")


def read_decisions(path: Path, digests: Digests) -> tuple[Decision, ...]:
    """Return the decisions of a table in a file; see `parse_decisions`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}; name a table of decisions") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 ({error}); save it as CSV in UTF-8") from error
    return parse_decisions(text, digests, str(path))


def parse_decisions(text: str, digests: Digests, where: str = "the table") -> tuple[Decision, ...]:
    """Return the decisions of a table, those without a time as of now.

    Args:
        text: The table as CSV, with a head, separated by commas, or by semicolons or tabs as some spreadsheets do it;
            columns may come in any order, and only those of the pair and the answer must be there.
        digests: The images that lines may name instead of giving digests.
        where: What the table is called in errors.

    Raises:
        ConfigError: A line cannot be used; up to `MOST_PROBLEMS` are told with their numbers and reasons.
    """
    lines = _Lines(digests, stamp(datetime.now(UTC)))
    try:
        text = text.removeprefix("\ufeff")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter_of(text), strict=True)
        _require_columns(reader.fieldnames or (), where)
        for row in reader:
            lines.add(reader.line_num, row)
    except csv.Error as error:
        raise ConfigError(f"{where} cannot be read after line {reader.line_num}: {error}; save it as CSV") from error
    if lines.problems:
        shown = "\n".join(f"  {problem}" for problem in lines.problems[:MOST_PROBLEMS])
        more = len(lines.problems) - MOST_PROBLEMS
        rest = f"\n  and {counted(more, 'further line')}" if more > 0 else ""
        n = counted(len(lines.problems), "line")
        raise ConfigError(f"{where} was not imported, as {n} cannot be used; mend or remove these:\n{shown}{rest}")
    return tuple(lines.decisions.values())


def import_decisions(store: DecisionStore, decisions: Sequence[Decision]) -> Imported:
    """Keep the decisions of a table that are news, all at once.

    Args:
        store: Where to keep them.
        decisions: What `parse_decisions` returned.

    Raises:
        StoreError: The store cannot be read or written.
    """
    n_known = n_older = 0
    now = stamp(datetime.now(UTC))

    def choose(kept: tuple[Decision, ...]) -> list[Decision]:
        nonlocal n_known, n_older
        latest = latest_of(kept)
        undone = {(one.pair, one.decided_at, one.answer) for one in kept if one.undone_at is not None}
        is_known = [_says_no_more(one, latest.get(one.pair)) for one in decisions]
        news = [
            _as_news(one, latest.get(one.pair), now)
            for one, is_one_known in zip(decisions, is_known, strict=True)
            if not is_one_known
            and (one.pair, one.decided_at, one.answer) not in undone
            and not _is_older(one, latest.get(one.pair))
        ]
        n_known = sum(is_known)
        n_older = len(decisions) - n_known - len(news)
        return news

    added = store.merge(choose) if decisions else ()
    return Imported(len(added), n_known, n_older)


def _says_no_more(line: Decision, last: Decision | None) -> bool:
    return last is not None and line.answer == last.answer and line.note in ("", last.note)


def _is_older(line: Decision, last: Decision | None) -> bool:
    return last is not None and line.decided_at < last.decided_at


def _as_news(line: Decision, last: Decision | None, now: str) -> Decision:
    """Return a line as a decision: one that was changed in the table under its old time is said now."""
    is_edited = last is not None and line.decided_at == last.decided_at
    return replace(line, decided_at=now) if is_edited else line


class _Lines:
    """The lines of a table so far: what they decide, and what is wrong with them."""

    def __init__(self, digests: Digests, now: str) -> None:
        self._digests, self._now = digests, now
        self._line_of: dict[Pair, int] = {}
        self.decisions: dict[Pair, Decision] = {}
        self.problems: list[str] = []

    def add(self, number: int, row: Mapping[str | None, object]) -> None:
        """Take the line that ends at this number."""
        try:
            if None in row:
                raise ValueError("it has more cells than the head")
            decision = self._parse({str(name): cell for name, cell in row.items()})
            earlier = self.decisions.get(decision.pair, decision)
            if earlier.answer != decision.answer:
                line = self._line_of[decision.pair]
                raise ValueError(
                    f"it says {decision.answer!r} of the pair of line {line}, which says {earlier.answer!r}"
                )
            self._line_of.setdefault(decision.pair, number)
            self.decisions[decision.pair] = max(earlier, decision, key=lambda one: one.decided_at)
        except ValueError as error:
            self.problems.append(f"line {number}: {error}")

    def _parse(self, row: Mapping[str, object]) -> Decision:
        if any(not isinstance(cell, str) for cell in row.values()):
            raise ValueError("it has fewer cells than the head")
        cells = {name: plain_text(str(cell)) for name, cell in row.items()}
        left, right = sorted((self._image(cells, "a"), self._image(cells, "b")))
        if left == right and left.image:
            raise ValueError(f"it names one image twice, {left.image!r} of dataset {left.dataset!r}")
        answer = require_answer(cells["answer"].strip().lower().replace("_", " "))
        origin, note = cells.get("origin", "").strip() or IMPORT, cells.get("note", "")
        if len(note) > MOST_NOTE:
            raise ValueError(f"its note has {len(note):,} characters; allowed are {MOST_NOTE:,}")
        return Decision(0, left, right, answer, self._time(cells), Occasion(origin, IMPORT, note=note))

    def _image(self, cells: Mapping[str, str], side: str) -> DecidedImage:
        dataset, image = cells.get(f"dataset_{side}", ""), cells.get(f"image_{side}", "")
        digest = cells.get(f"sha256_{side}", "").strip()
        if digest:
            return DecidedImage(_parse_digest(digest, side), dataset, image)
        if (dataset, image) not in self._digests:
            raise ValueError(f"no image {image!r} of dataset {dataset!r} is known; give the sha256_{side} of its file")
        return DecidedImage(self._digests[dataset, image], dataset, image)

    def _time(self, cells: Mapping[str, str]) -> str:
        text = cells.get("decided_at", "").strip()
        if not text:
            return self._now
        try:
            time = stamp(datetime.fromisoformat(text))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"decided_at {text!r} is no time such as 2026-01-31T12:00:00Z, or empty") from error
        if time > stamp(datetime.now(UTC) + CLOCKS_APART):
            raise ValueError(f"decided_at {text!r} lies in the future; nothing said later would count")
        return time


def _delimiter_of(text: str) -> str:
    """Return what separates the columns of a table: that which its head has most of, a comma where it has none."""
    head = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=head.count)


def _parse_digest(text: str, side: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"sha256_{side} {text!r} is no SHA-256; allowed are {2 * DIGEST_BYTES} hexadecimal digits")
    return digest


def _require_columns(head: Sequence[str], where: str) -> None:
    if "answer" not in head or not any(set(needed) <= set(head) for needed in (NAMES, DIGESTS)):
        seen = f"has the columns {', '.join(head)}" if head else "is empty"
        raise ConfigError(
            f"{where} {seen}; needed are answer, and sha256_a and sha256_b, or dataset_a, image_a, dataset_b and "
            "image_b"
        )


def _row(decision: Decision) -> Iterator[str]:
    left, right = decision.left, decision.right
    names = left.dataset, left.image, right.dataset, right.image
    facts = decision.answer, decision.decided_at, decision.origin, decision.note
    return map(valid_text, (*names, left.digest.hex(), right.digest.hex(), *facts))
