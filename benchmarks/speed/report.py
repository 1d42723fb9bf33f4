"""`RESULTS.md`: what was compared, on what machine, how it came out, and where overlens is slower."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from speed.growth import Growth
from speed.records import Case, CaseResult, Side, SideResult, Target

BUSY = 0.05
"""Share of the cores above which it is told that others used them."""

HEAD = """# Speed and memory, measured

Written by `make bench`; do not edit. Every row runs overlens and others on the same data in the same run, each side in
a process of its own, in turn: A B C, A B C. Seconds are medians of the rounds. Everyone may use all cores in their
usual way; who uses one is said. Each side has warmed up (imports, compilation) before the clock starts, except in the
rows on whole runs, which start from nothing. Memory is the most that the whole process, with its children, had at once:
interpreter, libraries, data and mapped pages. Answers are compared, not only times.

`x overlens` is the time of that side over the time of the first row of its table: 5 x took five times as long.
"""

GROWTH_HEAD = """## Growth

Time against the number of rows: vectors of 512 values, hashes of 64 bits. The exponent is fitted to the larger half of
the sizes; 2 means that twice the rows take four times as long.

![Time against the number of rows](growth.png)
"""

METHOD = """## How to run it

```
make bench             # sets up .venv-rivals for the others, then measures: about a quarter of an hour on two cores
make bench ONLY=cosine # one row; the others keep their figures
make bench FULL=1 ONLY="maps compute memory" # 20,000 rows, 3,000 images, 20,000 images: about half an hour
```

Run it on a quiet machine: another program on the same cores changes ratios, too. The data is made from seeds and stays
in `build/bench` (2 GB); the others are installed one by one from `benchmarks/requirements-rivals.txt`, and one that
cannot be installed is a row that says so.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is known of one or several runs of the benchmark."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    results: Mapping[str, CaseResult]
    growth: Sequence[Growth]


def write_report(record: Record, cases: Sequence[Case]) -> str:
    """Return the whole page."""
    measured = [(case, record.results[case.name]) for case in cases if case.name in record.results]
    parts = [HEAD, _tell_machine(record), _tell_targets(measured), "![Times against overlens](results.png)\n"]
    parts += [tell_slower(measured), *(tell_case(*both) for both in measured)]
    parts += [_tell_growth(record.growth), METHOD]
    return "\n".join(part for part in parts if part)


def tell_case(case: Case, result: CaseResult) -> str:
    """Return the section of one case."""
    lines = [f"## {case.title}", "", case.job.format(**result.size), ""]
    if result.failure:
        return "\n".join([*lines, f"Not measured: {result.failure.rstrip('.')}.", ""])
    names = {side.name: side for side in case.sides}
    first = result.sides[0]
    rows = [_tell_side(names[found.name], found, first, case, result.size) for found in result.sides]
    speed = f"{case.unit}/s" if case.unit else ""
    heads = ["", "seconds", *([speed] if speed else []), "x overlens", "peak MB", "answer", "note"]
    lines += _table(heads, rows)
    stages = {key: value for key, value in first.answer.numbers.items() if key.startswith("stage: ")}
    if stages:
        lines += ["", *_tell_stages(first.name, stages)]
    remarks = [case.remark] if case.remark else []
    if result.others > BUSY:
        remarks.append(f"Other programs took {result.others:.0%} of the cores meanwhile, so mind the ranges.")
    return "\n".join([*lines, "", *(text for remark in remarks for text in (remark, ""))])


def judge(target: Target, result: CaseResult) -> tuple[float | None, bool | None]:
    """Return the value of a target and whether it is met; None where it cannot be told."""
    over, of = result.side(target.over), result.side(target.of)
    value = None if over is None else over.figure(target.figure)
    if target.of and value is not None:
        divisor = None if of is None else of.figure(target.figure)
        value = value / divisor if divisor else None
    if value is None:
        return None, None
    if target.full_only and not result.is_full:
        return value, None
    is_met = (target.at_least is None or value >= target.at_least) and (
        target.at_most is None or value <= target.at_most
    )
    return value, is_met


def digits(value: float) -> str:
    """Write a number with the digits that mean something: three, and at most three places."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _tell_side(side: Side, found: SideResult, first: SideResult, case: Case, size: Mapping[str, object]) -> list[str]:
    cells = 6 if case.unit else 5
    note = side.note.format(**size)
    if found.failure or not found.seconds:
        return [side.name, *["-"] * (cells - 2), f"failed: {found.failure}", note]
    seconds = found.median_s
    spread = f" ({digits(min(found.seconds))} to {digits(max(found.seconds))})" if len(found.seconds) > 1 else ""
    n = size.get("n", 0)
    speed = [digits(float(str(n)) / seconds)] if case.unit else []
    against = digits(seconds / first.median_s) if first.seconds and not first.failure else "-"
    answer = found.agreement or found.answer.words
    return [side.name, digits(seconds) + spread, *speed, against, digits(found.peak_mb), answer, note]


def _tell_machine(record: Record) -> str:
    rows = [[name, value] for name, value in record.machine.items()]
    versions = {**record.versions}
    for result in record.results.values():
        for side in result.sides:
            versions |= {name: value for name, value in side.versions.items() if name not in versions}
    listed = ", ".join(f"{name} {value}" for name, value in sorted(versions.items(), key=lambda pair: pair[0].lower()))
    return "\n".join(["## Machine", "", *_table(["", ""], rows), "", f"Versions: {listed}.", ""])


def _tell_targets(measured: Iterable[tuple[Case, CaseResult]]) -> str:
    rows = []
    for case, result in measured:
        for target in case.targets:
            value, is_met = judge(target, result)
            verdict = {True: "met", False: "**not met**", None: "not measured" if value is None else "other size"}[
                is_met
            ]
            rows.append([case.title, target.text, "-" if value is None else _tell_value(target, value), verdict])
    return "\n".join(["## What was asked for", "", *_table(["stage", "target", "measured", ""], rows), ""])


def _tell_value(target: Target, value: float) -> str:
    if target.figure == "peak_mb" and not target.of:
        return f"{value:.0f} MB"
    bounds = [bound for bound in (target.at_least, target.at_most) if bound is not None]
    if not target.of or all(bound < 1 for bound in bounds):
        return f"{value:.0%}"
    return f"{digits(value)} x"


def tell_slower(measured: Iterable[tuple[Case, CaseResult]]) -> str:
    """Return the section on sides of overlens that another one beats; what does only a part of the job is left out."""
    lines = []
    for case, result in measured:
        whole = {side.name for side in case.sides if not side.is_part}
        timed = [side for side in result.sides if side.name in whole and side.seconds]
        own = [side for side in timed if side.name.startswith("overlens")]
        for side in own if not result.failure else []:
            faster = [other for other in timed if other not in own and other.median_s < side.median_s]
            shares = [f"{other.name} takes {other.median_s / side.median_s:.0%}" for other in faster]
            lines += [f"* {case.title}, of the time of {side.name}: {', '.join(shares)}."] if shares else []
    return "\n".join(["## Where overlens is the slower one", "", *(lines or ["Nowhere in these rows."]), ""])


def _tell_stages(name: str, stages: Mapping[str, float]) -> list[str]:
    total = sum(stages.values())
    ordered = sorted(stages.items(), key=lambda pair: -pair[1])
    rows = [[title.removeprefix("stage: "), digits(value), f"{value / total:.0%}"] for title, value in ordered]
    return [f"Stages of {name}:", "", *_table(["stage", "seconds", "share"], rows)]


def _tell_growth(growth: Sequence[Growth]) -> str:
    if not growth:
        return ""
    rows = []
    for curve in growth:
        exponent = "-" if curve.exponent is None else f"{curve.exponent:.2f}"
        ends = [f"{digits(curve.seconds[-1])} s of {curve.n[-1]:,}"] if curve.seconds else [curve.failure or "-"]
        rows.append([curve.name, exponent, *ends])
    return "\n".join([GROWTH_HEAD, *_table(["", "exponent", "largest"], rows), ""])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
