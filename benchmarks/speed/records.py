"""What a comparison is made of, and what came out of one.

A case is one job on one set of data; its sides are those who do it, overlens first. Records travel as JSON between the
processes and into the file of results, so they hold plain values only.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

OVERLENS = "overlens"
MAIN, IMAGEDEDUP, FASTDUP = "main", "imagededup", "fastdup"
"""Environments of the rivals, as `requirements-rivals.txt` names them."""


@dataclass(frozen=True, slots=True)
class Side:
    """One who does the job.

    Attributes:
        name: As the tables show it.
        function: `module:function` in `speed.sides`; it gets the folder of data and the options, loads what it needs,
            warms up, and returns the job, a function without arguments that returns an `Answer`.
        environment: `OVERLENS`, or one of the rivals'.
        options: Keyword arguments, besides those of the case's size.
        rounds: Rounds that this side takes part in, where it is too slow for all.
        note: What a reader must know to compare it.
        libraries: Packages whose versions matter.
        is_part: Whether it does only a part of the job, so that it is a mark to measure by and no rival.
    """

    name: str
    function: str
    environment: str = OVERLENS
    options: Mapping[str, Any] = field(default_factory=dict)
    rounds: int | None = None
    note: str = ""
    libraries: tuple[str, ...] = ()
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a case must reach: one side's figure over another's, or one side's figure alone.

    Attributes:
        text: The target in words.
        over: The side whose figure is taken.
        of: The side whose figure it is divided by, or "".
        figure: "seconds", "peak_mb", or the name of one of the numbers of an answer.
        at_least: Smallest value that meets the target.
        at_most: Largest value that meets the target.
        full_only: Whether the target is meant for the full size; at the usual size the value is given for comparison.
    """

    text: str
    over: str
    of: str = ""
    figure: str = "seconds"
    at_least: float | None = None
    at_most: float | None = None
    full_only: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job found.

    Attributes:
        words: What stands in the table, where nothing is compared.
        numbers: Figures that targets or notes speak of.
        files: What comparisons read, by name, below the folder of the side.
        seconds: Time by the side's own clock, where a part of the job must not count.
        scale: Factor from the measured job to the whole one, where only a part of it was done.
    """

    words: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class SideResult:
    """What became of one side: its seconds in each round, or why there are none."""

    name: str
    seconds: tuple[float, ...] = ()
    peak_mb: float = 0.0
    answer: Answer = field(default_factory=Answer)
    agreement: str = ""
    failure: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def median_s(self) -> float:
        """Median of the rounds."""
        return median(self.seconds)

    def figure(self, name: str) -> float | None:
        """Return what a target asks for, or None if it was not measured."""
        if self.failure or not self.seconds:
            return None
        apart = self.peak_mb - self.answer.numbers.get("rows_mb", 0)
        own = {"seconds": self.median_s, "peak_mb": self.peak_mb, "peak_mb apart from rows": apart}
        return own.get(name, self.answer.numbers.get(name))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SideResult":
        """Read what `asdict` made."""
        answer, seconds = Answer(**data["answer"]), tuple(data["seconds"])
        return cls(**{**data, "answer": answer, "seconds": seconds})


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came out of one case; `failure` says why there is nothing, `others` what share of the cores others took."""

    name: str
    size: Mapping[str, Any]
    is_full: bool
    sides: tuple[SideResult, ...] = ()
    failure: str = ""
    others: float = 0.0

    def side(self, name: str) -> SideResult | None:
        """Return the result of a side, or None if it took no part."""
        return next((side for side in self.sides if side.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CaseResult":
        """Read what `to_json` made."""
        return cls(**{**data, "sides": tuple(SideResult.from_json(side) for side in data["sides"])})


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the answers of a case are compared by: the data, the size, and each side's answer with its own folder."""

    data: Path
    size: Mapping[str, Any]
    answers: Mapping[str, tuple[Answer, Path]]


Compare = Callable[[Comparison], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where the work is done.

    Attributes:
        folder: Data, answers and logs.
        rivals: Folder of the rivals' environments, or of none.
        scale: "quick", "usual" or "full".
        timeout_s: Longest that one order may take.
    """

    folder: Path
    rivals: Path
    scale: str = "usual"
    timeout_s: float = 1800

    def python(self, environment: str) -> Path:
        """Return the interpreter of an environment."""
        return Path(sys.executable) if environment == OVERLENS else self.rivals / environment / "bin" / "python"

    def refusal(self, side: Side) -> str:
        """Return why a side cannot start, or ""; a library that did not install has left its reason."""
        if side.environment == OVERLENS:
            return ""
        if not self.python(side.environment).exists():
            return f"there is no environment {side.environment!r}: `make bench` sets it up"
        record = self.rivals / "failed.json"
        failed = json.loads(record.read_text()) if record.exists() else {}
        names = (f"{side.environment}/{library}" for library in side.libraries)
        return next((f"not installed: {failed[name]}" for name in names if name in failed), "")


@dataclass(frozen=True, slots=True)
class Data:
    """What a case works on.

    Attributes:
        name: Names its folder.
        write: Writes it into an empty folder, given the size and where the work is done.
        keys: What of the size it depends on; cases that agree in these share it.
    """

    name: str
    write: Callable[[Path, Mapping[str, Any], Workshop], None]
    keys: tuple[str, ...]

    def folder(self, size: Mapping[str, Any]) -> str:
        """Return the name of the folder of this size."""
        return "-".join([self.name, *(str(size[key]) for key in self.keys)])


@dataclass(frozen=True, slots=True)
class Case:
    """One job, and those who do it.

    Attributes:
        name: What `--only` takes.
        title: Heading.
        job: What is done and on what; `{n:,}` and the like are filled in from the size.
        sides: Overlens first.
        sizes: "quick", "usual" and, where it differs from the usual one, "full" -> options of data and sides.
        data: What it works on.
        compare: Side -> how its answer stands to the first side's.
        targets: What is asked for.
        rounds: How often each side does the job, in turn with the others.
        fresh: Whether each round has a new process, so that the time is that of a whole run.
        unit: What `n` of the size counts, for a speed per second; "" for none.
        remark: What the figures mean, and where they mislead.
    """

    name: str
    title: str
    job: str
    sides: tuple[Side, ...]
    sizes: Mapping[str, Mapping[str, Any]]
    data: Data
    compare: Compare | None = None
    targets: tuple[Target, ...] = ()
    rounds: int = 3
    fresh: bool = False
    unit: str = ""
    remark: str = ""

    def size(self, scale: str) -> Mapping[str, Any]:
        """Return the options of "quick", "usual" or "full"."""
        return self.sizes.get(scale, self.sizes["usual"])
