"""Lets the sides of a case do their job in turn: A B C, A B C, so that a slow minute of the machine meets all alike."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from overlens.errors import MissingExtraError
from speed.data import NoDataError
from speed.machine import OtherLoad
from speed.records import Answer, Case, CaseResult, Comparison, Data, Side, SideResult, Workshop

CODE = Path(__file__).resolve().parents[1]
SAMPLE_EVERY_S = 0.1


class WorkerError(Exception):
    """An order failed; the message says why."""


class Worker:
    """The process of one side."""

    def __init__(self, python: Path, log: IO[bytes]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(CODE), **_QUIET}
        self._process = subprocess.Popen(
            [python, "-m", "speed.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
        )
        self._sampler = _TreeMemory(self._process.pid)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._sampler.stop()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # an order that it died before
                    stream.close()

    def order(self, timeout_s: float, **order: Any) -> dict[str, Any]:
        """Give an order and wait for the answer; raises WorkerError where none comes, or only a reason."""
        if self._process.stdin is None or self._process.stdout is None:
            raise WorkerError("the process has no pipes")
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(f"the process ended ({self._ending()})") from error
        ready, _, _ = select.select([self._process.stdout], [], [], timeout_s)
        if not ready:
            raise WorkerError(f"not done after {timeout_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"the process ended ({self._ending()})")
        reply: dict[str, Any] = json.loads(line)
        if "failure" in reply:
            raise WorkerError(reply["failure"])
        if "peak_mb" in reply:
            reply["peak_mb"] = max(reply["peak_mb"], self._sampler.peak_mb)
        return reply

    def _ending(self) -> str:
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


# No reports to the makers of any library, and no look for newer versions.
_QUIET = {"SENTRY_OPT_OUT": "True", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "MPLBACKEND": "Agg"}


class _TreeMemory:
    """Watches the memory of a process with all its children, once it has any; pages that they share count once."""

    def __init__(self, pid: int) -> None:
        self.peak_mb = 0.0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_EVERY_S):
            family = _descendants(self._pid)
            if family:
                total = sum(_proportional_mb(pid) for pid in (self._pid, *family))
                self.peak_mb = max(self.peak_mb, total)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    except OSError:  # it has ended, or this is not Linux
        return found
    return found


def _proportional_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def make_data(data: Data, size: Mapping[str, Any], workshop: Workshop) -> Path:
    """Return the folder of the data of this size, and write it if it is not there; a half-written one is made anew."""
    folder = workshop.folder / "data" / data.folder(size)
    mark = folder / ".complete"
    if not mark.exists():
        started = time.perf_counter()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        data.write(folder, size, workshop)
        mark.touch()
        print(f"  data {folder.name} written in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return folder


def run_once(workshop: Workshop, side: Side, folder: Path) -> None:
    """Let a side do something that is data for others; raises WorkerError if it cannot."""
    refusal = workshop.refusal(side)
    if refusal:
        raise WorkerError(refusal)
    with tempfile.TemporaryFile() as log, Worker(workshop.python(side.environment), log) as worker:
        worker.order(workshop.timeout_s, **_first_order(side, folder, {}, folder))
        worker.order(workshop.timeout_s, do="run")


@dataclass(slots=True)
class _Runner:
    """A side under way."""

    side: Side
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    answer: Answer = field(default_factory=Answer)
    versions: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    worker: Worker | None = None


def run_case(case: Case, workshop: Workshop) -> CaseResult:
    """Run all sides of a case in turn on the same data, and compare their answers."""
    size = case.size(workshop.scale)
    try:
        prepared = make_data(case.data, size, workshop)
    except (WorkerError, NoDataError, MissingExtraError) as error:
        return CaseResult(case.name, dict(size), workshop.scale == "full", failure=str(error))
    folder = workshop.folder / "answers" / case.name
    runners = [_Runner(side) for side in case.sides]
    rounds = 1 if workshop.scale == "quick" else case.rounds
    load = OtherLoad()
    try:
        for round_ in range(rounds):
            for runner in runners:
                if not runner.failure and round_ < (runner.side.rounds or rounds):
                    _run_round(runner, case, workshop, (prepared, folder))
    finally:
        for runner in runners:
            _end(runner)
    sides = tuple(map(_result, runners))
    result = CaseResult(case.name, dict(size), workshop.scale == "full", sides, others=load.share())
    return _compare(case, result, prepared, folder)


def _run_round(runner: _Runner, case: Case, workshop: Workshop, places: tuple[Path, Path]) -> None:
    side = runner.side
    started = time.perf_counter()
    try:
        if runner.worker is None:
            _start(runner, case, workshop, places)
        if runner.worker is not None:
            reply = runner.worker.order(workshop.timeout_s, do="run")
            runner.seconds.append(reply["seconds"])
            runner.peak_mb = max(runner.peak_mb, reply["peak_mb"])
            runner.answer = Answer(**reply["answer"])
    except WorkerError as error:
        runner.failure = str(error)
    told = runner.failure or f"{runner.seconds[-1]:.2f} s, {runner.peak_mb:.0f} MB"
    print(f"  {side.name}: {told}  [{time.perf_counter() - started:.0f} s in all]", file=sys.stderr, flush=True)
    if case.fresh or runner.failure:
        _end(runner)


def _start(runner: _Runner, case: Case, workshop: Workshop, places: tuple[Path, Path]) -> None:
    prepared, folder = places
    refusal = workshop.refusal(runner.side)
    if refusal:
        raise WorkerError(refusal)
    own = answer_folder(folder, runner.side)
    own.mkdir(parents=True, exist_ok=True)
    with (own / "log.txt").open("ab") as log:
        runner.worker = Worker(workshop.python(runner.side.environment), log)
    order = _first_order(runner.side, prepared, case.size(workshop.scale), own)
    runner.versions = runner.worker.order(workshop.timeout_s, **order)["versions"]


def _first_order(side: Side, folder: Path, size: Mapping[str, Any], own: Path) -> dict[str, Any]:
    options = {**size, **side.options, "own": str(own)}
    libraries = list(side.libraries)
    return {
        "do": "prepare", "function": side.function, "folder": str(folder), "options": options, "libraries": libraries
    }  # fmt: skip


def answer_folder(folder: Path, side: Side) -> Path:
    """Return where a side keeps what it found."""
    return folder / "".join(letter if letter.isalnum() else "-" for letter in side.name)


def _end(runner: _Runner) -> None:
    if runner.worker is not None:
        runner.worker.__exit__()
        runner.worker = None


def _result(runner: _Runner) -> SideResult:
    return SideResult(
        runner.side.name,
        tuple(runner.seconds),
        runner.peak_mb,
        runner.answer,
        failure=runner.failure,
        versions=dict(runner.versions),
    )


def _compare(case: Case, result: CaseResult, data: Path, folder: Path) -> CaseResult:
    if case.compare is None:
        return result
    answers = {
        side.name: (found.answer, answer_folder(folder, side))
        for side, found in zip(case.sides, result.sides, strict=True)
        if not found.failure
    }
    if case.sides[0].name not in answers:
        return result
    verdicts = case.compare(Comparison(data, result.size, answers))
    return replace(result, sides=tuple(replace(side, agreement=verdicts.get(side.name, "")) for side in result.sides))
