"""`results.png`: everyone's time against overlens's; `growth.png`: time against the number of rows.

Colours are those of Okabe and Ito, which the colour-blind tell apart; lines have markers of their own, too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from speed.growth import Growth
from speed.records import Case, CaseResult
from speed.report import digits

SLOWER, FASTER, PART, GREY = "#0072B2", "#D55E00", "#BBBBBB", "#555555"
LINES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D")
ROW_INCHES = 0.24

Bar = tuple[str, float | None, str]
"""Name, ratio or None, colour."""


def draw_results(cases: Sequence[Case], results: Mapping[str, CaseResult], path: Path) -> None:
    """Draw one bar for each side but overlens: how many times its time is overlens's, on a log axis."""
    groups = [(case.title, _bars(case, results[case.name])) for case in cases if case.name in results]
    groups = [group for group in groups if group[1]]
    n_lines = sum(len(bars) + 1 for _, bars in groups)
    figure = Figure(figsize=(9.5, 1.2 + ROW_INCHES * n_lines), layout="constrained")
    _draw_groups(figure.add_subplot(), groups)
    figure.savefig(path, dpi=120)


def draw_growth(growth: Sequence[Growth], path: Path) -> None:
    """Draw time against n on log axes, one panel for vectors and one for hashes, with the fitted exponents."""
    groups = list(dict.fromkeys(curve.group for curve in growth))
    figure = Figure(figsize=(5.4 * len(groups), 4.6), layout="constrained")
    for place, group in enumerate(groups, start=1):
        axes = figure.add_subplot(1, len(groups), place)
        for curve, colour, marker in zip(growth, LINES, MARKERS, strict=False):
            if curve.group == group and curve.seconds:
                fitted = "" if curve.exponent is None else f": n to the {curve.exponent:.2f}"
                axes.plot(curve.n, curve.seconds, marker=marker, color=colour, label=curve.name + fitted)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(f"number of {group}")
        axes.set_ylabel("seconds")
        axes.grid(visible=True, which="major", color="#dddddd")
        axes.legend(loc="upper left", fontsize=8, frameon=False)
        axes.margins(y=0.25)
    figure.savefig(path, dpi=120)


def _bars(case: Case, result: CaseResult) -> list[Bar]:
    """Return name, ratio (None where it failed) and colour of each side but the first; none where time is no matter."""
    if not case.unit or result.failure or not result.sides or result.sides[0].figure("seconds") is None:
        return []
    parts = {side.name for side in case.sides if side.is_part or side.name.startswith("overlens")}
    first = result.sides[0].median_s
    bars: list[Bar] = []
    for side in result.sides[1:]:
        seconds = side.figure("seconds")
        ratio = None if seconds is None else seconds / first
        bars.append((side.name, ratio, PART if side.name in parts else SLOWER if ratio and ratio >= 1 else FASTER))
    return bars


def _draw_groups(axes: Axes, groups: Sequence[tuple[str, Sequence[Bar]]]) -> None:
    place, names = 0, []
    for title, bars in groups:
        names.append(title)
        for i, (name, ratio, colour) in enumerate(bars, start=1):
            names.append(name)
            _draw_bar(axes, place + i, ratio, colour)
        place += len(bars) + 1
    axes.set_yticks(range(place), names, size=8)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_weight("bold" if name in dict(groups) else "normal")
    _finish_axes(axes, [ratio for _, bars in groups for _, ratio, _ in bars if ratio], place)


def _draw_bar(axes: Axes, place: int, ratio: float | None, colour: str) -> None:
    if ratio is None:
        axes.text(1.0, place, "  no figure, see the table", va="center", size=8, color=GREY)
        return
    axes.barh(place, ratio - 1, left=1, height=0.62, color=colour)
    axes.text(ratio, place, f" {digits(ratio)} x ", va="center", ha="left" if ratio >= 1 else "right", size=8)


def _finish_axes(axes: Axes, ratios: Sequence[float], n_lines: int) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} x")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlim(min([0.4, *ratios]) / 2, max([5, *ratios]) * 2)
    axes.set_ylim(n_lines - 0.3, -0.7)
    axes.set_xlabel("time, as a multiple of overlens's; right of the line: slower than overlens", size=9)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    kinds = ((SLOWER, "slower than overlens"), (FASTER, "faster"), (PART, "overlens otherwise, or a part of the job"))
    handles = [Patch(color=colour, label=label) for colour, label in kinds]
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8, frameon=False)
