"""What a decision is: one pair of files, what a person answered, when, and what was shown.

A pair is known by the SHA-256 of its two files, the lower one first, so that a decision holds wherever these files lie
and however they are named. The names at the time are kept for people to read.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from overlens.digests import DIGEST_BYTES
from overlens.errors import ConfigError

COPY, NOT_A_COPY, SAME_SCENE, UNSURE = ANSWERS = ("copy", "not a copy", "same scene", "unsure")
"""What a person can answer. "same scene": another photograph or version of one thing, and no copy."""

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
class Decision:
    """What a person said of a pair.

    Attributes:
        number: Its place in the log, from 1; 0 before it is kept.
        left: The image of the lower digest.
        right: The other one.
        answer: One of `ANSWERS`.
        decided_at: When, in UTC, as `stamp` writes it.
        origin: Where it was made: "desk", "import", "sample:NAME" ...
        session: Whose it was there, such as one window; `DecisionStore.undo` goes back in one session.
        evidence: What was shown, as JSON can hold it.
        note: What the person remarked.
        undone_at: When it was taken back, or None while it holds.
    """

    number: int
    left: DecidedImage
    right: DecidedImage
    answer: str
    decided_at: str
    origin: str
    session: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    undone_at: str | None = None

    def __post_init__(self) -> None:
        require_answer(self.answer)
        if self.left.digest > self.right.digest:
            raise ValueError("the image of the lower digest is the left one")

    @property
    def pair(self) -> Pair:
        """What the decision is on."""
        return self.left.digest, self.right.digest


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


def digest_answers(latest: Mapping[Pair, Decision]) -> str:
    """Return a digest in hexadecimal of which answers count, whoever gave them and when; "" if there are none."""
    if not latest:
        return ""
    digest = hashlib.sha256()
    for pair in sorted(latest):
        digest.update(b"".join(pair) + latest[pair].answer.encode() + b"\n")
    return digest.hexdigest()
