"""What a decision is: one pair of files, what a person answered, when, and what was shown.

A pair is known by the SHA-256 of its two files, the lower one first, so that a decision holds wherever these files lie
and however they are named. The names at the time are kept for people to read.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from overlens.digests import DIGEST_BYTES
from overlens.errors import ConfigError

COPY, NOT_A_COPY, SAME_SCENE, UNSURE = ANSWERS = ("copy", "not a copy", "same scene", "unsure")
"""What a person can answer. "same scene": another photograph or version of one thing, and no copy."""

MOST_NOTE = 1_000
"""Characters of a note."""

Pair = tuple[bytes, bytes]
"""SHA-256 of two files, the lower one first; equal for two files with the same bytes."""


@dataclass(frozen=True, slots=True, order=True)
class DecidedImage:
    """One side of a decided pair.

    Attributes:
        digest: SHA-256 of the file, 32 bytes.
        dataset: Its dataset at the time.
        image: Its name there.
    """

    digest: bytes
    dataset: str
    image: str

    def __post_init__(self) -> None:
        if len(self.digest) != DIGEST_BYTES:
            raise ValueError(f"an image is known by the {DIGEST_BYTES} bytes of its SHA-256, got {len(self.digest)}")


@dataclass(frozen=True, slots=True)
class Occasion:
    """Where and by whom something is decided.

    Attributes:
        origin: Where it is made: "desk", "import", "sample:NAME" ...
        session: Whose it is there, such as one window; `DecisionStore.undo` goes back in one session.
        shown: What was shown, as JSON can hold it.
        note: What the person remarked.
    """

    origin: str
    session: str = ""
    shown: Mapping[str, object] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said of a pair.

    Attributes:
        number: Its place in the log, from 1; 0 before it is kept.
        left: The image of the lower digest.
        right: The other one.
        answer: One of `ANSWERS`.
        decided_at: When, in UTC, as `stamp` writes it.
        occasion: Where and by whom.
        undone_at: When it was taken back, or None while it holds.
    """

    number: int
    left: DecidedImage
    right: DecidedImage
    answer: str
    decided_at: str
    occasion: Occasion
    undone_at: str | None = None

    def __post_init__(self) -> None:
        require_answer(self.answer)
        if self.left.digest > self.right.digest:
            raise ValueError("the image of the lower digest is the left one")

    @property
    def pair(self) -> Pair:
        """What the decision is on."""
        return self.left.digest, self.right.digest

    def says_what(self, other: "Decision") -> bool:
        """Whether another decision is the same words out of the same mouth, as where it is sent twice."""
        own, others = self.occasion, other.occasion
        is_same = (own.origin, own.session, own.note) == (others.origin, others.session, others.note)
        return bool(own.session) and is_same and (self.pair, self.answer) == (other.pair, other.answer)

    @property
    def origin(self) -> str:
        """Where it was made."""
        return self.occasion.origin

    @property
    def note(self) -> str:
        """What the person remarked."""
        return self.occasion.note


def code_of(answer: str) -> int:
    """Return the number of an answer in columns of numbers: 1 for the first of `ANSWERS`; 0 says that there is none."""
    return ANSWERS.index(answer) + 1


def require_answer(answer: str) -> str:
    """Return an answer; raises ConfigError if it is none of `ANSWERS`."""
    if answer not in ANSWERS:
        raise ConfigError(f"the answer {answer!r} is not known; allowed: {', '.join(ANSWERS)}")
    return answer


def pair_of(one: bytes, other: bytes) -> Pair:
    """Return the pair of two SHA-256 digests, in whatever order they come."""
    return (one, other) if one <= other else (other, one)


def stamp(time: datetime) -> str:
    """Return a time as "2026-01-31T12:00:00.000Z", so that later times are greater texts; one without zone is UTC.

    Raises:
        OverflowError: The time lies beside the years 1 to 9999 in UTC.
    """
    known = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return known.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digest_answers(latest: Iterable[Decision], place_of: Mapping[bytes, int]) -> str:
    """Return a digest in hexadecimal of what answers say of the images of a run, whoever gave them and when.

    Of answers on files with pixels equal to one another's the latest counts, and what is not on the run plays no part:
    so the digests of two logs are equal if a run takes them alike.

    Args:
        latest: The decisions that count.
        place_of: SHA-256 of a file of the run -> number that files with equal pixels share.

    Returns:
        The digest, "" if they say nothing.
    """
    said: dict[tuple[int, int, Pair | None], str] = {}
    for decision in in_order(latest):
        left, right = (place_of.get(digest, -1) for digest in decision.pair)
        if min(left, right) >= 0:  # of equal pixels each pair of files is one of its own
            said[min(left, right), max(left, right), decision.pair if left == right else None] = decision.answer
    return hashlib.sha256(repr(sorted(said.items(), key=repr)).encode()).hexdigest() if said else ""


def digest_decisions(latest: Iterable[Decision]) -> str:
    """Return a digest in hexadecimal of the decisions that count, of who made them and when; "" without any."""
    told = [(one.number, one.pair, one.answer, one.decided_at, one.origin) for one in latest]
    return hashlib.sha256(repr(told).encode()).hexdigest() if told else ""


def in_order(decisions: Iterable[Decision]) -> list[Decision]:
    """Return decisions by their times: a table that is imported may hold older ones than the log has."""
    return sorted(decisions, key=lambda one: (one.decided_at, one.number))
