"""How much few-shot accuracy depends on the seed: a panel for each strategy, accuracy against k, a line for each probe.

Values of k are few and unevenly spaced, so they stand at even distances. Each mean has its interval as a bar and the
single seeds as dots beside it; below the panel stands how many seeds an interval of one point would take.

Shapes: lengths are inches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overlens.report.benchmark_views import PROBE_WORDS, SeedPoint, SeedVarianceView
from overlens.report.names import names_in_words
from overlens.report.page import note_page
from overlens.report.sheet import Sheet, new_sheet
from overlens.report.style import (
    FAINT,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    dataset_colour,
    font,
    missing_glyph_note,
    text_width,
    wrap_text,
)
from overlens.report.views import count_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_WIDTH, WIDE_PLOT, PLOT_HEIGHT = 3.75, 7.0, 2.3  # a panel alone is as wide as the legend
LEFT, GAP, LEGEND = 1.15, 0.45, 0.42
HEAD, AXIS, ROW = 0.7, 0.5, 0.2
SMALL = 8.0
DODGE, DOT, CAP = 0.13, 0.1, 0.04
WIDEST = 0.5  # an interval that reaches further to either side is wider than all accuracies that there are
UNKNOWN = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class _Panel:
    """What one panel shows, how wide its plot is, and the lower left corner of that and of the room beside it."""

    probes: tuple[str, ...]
    strategy: str
    points: tuple[SeedPoint, ...]
    k_shots: tuple[int, ...]
    width: float
    corner: tuple[float, float]

    @property
    def step(self) -> float:
        """Distance of two values of k."""
        return self.width / len(self.k_shots)

    def place(self, k_shot: int) -> float:
        """Return where a value of k stands, from the left of the plot."""
        return (self.k_shots.index(k_shot) + 0.5) * self.step

    def of(self, probe: str) -> list[SeedPoint]:
        """Return the points of a probe, by k."""
        return sorted((one for one in self.points if one.probe == probe), key=lambda one: one.k_shot)


def draw_seed_variance(view: SeedVarianceView) -> bytes:
    """Draw accuracy against k over the seeds, a panel for each strategy.

    Returns:
        PNG bytes; equal views give equal bytes.
    """
    name = names_in_words((view.dataset,))[view.dataset]
    title = f"Few-shot accuracy on {name}: how much depends on the seed?"
    about = " · ".join(
        part for part in (view.encoder, f"labels: {view.label_source}" if view.label_source else "") if part
    )
    lines = (about,) if about else ()
    if all(point.mean is None for point in view.points):
        reasons = dict.fromkeys(point.why_not for point in view.points if point.why_not)
        return note_page(title, lines, f"Nothing was measured: {'; '.join(reasons) or 'there are no splits'}.")
    n_columns = min(2, len(view.strategies))
    heights = [_panel_height(view, strategy) for strategy in view.strategies]
    rows = [max(heights[start : start + n_columns]) for start in range(0, len(heights), n_columns)]
    plot_width = PLOT_WIDTH if n_columns > 1 else WIDE_PLOT
    width = 2 * MARGIN + n_columns * (LEFT + plot_width) + (n_columns - 1) * GAP
    sheet = new_sheet(width, LEGEND + sum(rows), title, lines, _notes(view))
    left, bottom, _, height = sheet.box
    _draw_legend(sheet, view)
    for place, strategy in enumerate(view.strategies):
        row, column = divmod(place, n_columns)
        top = bottom + height - LEGEND - sum(rows[:row])
        corner = (left + column * (LEFT + plot_width + GAP), top - HEAD - PLOT_HEIGHT)
        points = [point for point in view.points if point.strategy == strategy]
        k_shots = tuple(sorted({point.k_shot for point in points}))
        _draw_panel(sheet, _Panel(view.probes, strategy, tuple(points), k_shots, plot_width, corner))
    return sheet.png()


def _notes(view: SeedVarianceView) -> tuple[str, ...]:
    notes = [
        "The interval is Student's t over the seeds: it speaks of other draws from the same images, not of others.",
        "Below each panel: how many seeds, or episodes, an interval of ±1 point takes at the deviation that was seen; "
        "in brackets, where there is room: at both ends of the deviation's own 95 % interval, wide if seeds are few.",
    ]
    if any(point.accuracies and point.seeds_needed is None for point in view.points):
        notes.append(
            f"{UNKNOWN}: one seed, which has no deviation, or seeds that are all alike, which tell nothing of it."
        )
    if wide := [point for point in view.points if _is_wide(point)]:
        places = dict.fromkeys(f"{_strategy_words(point.strategy)} {point.k_shot}-shot" for point in wide)
        notes.append(
            f"More seeds are needed (--n-seeds): {', '.join(places)}: an interval reaches more than 50 points to "
            "either side, which says nothing of the accuracy. It is dotted, and cut at 0 and 100 %."
        )
    missing = [point for point in view.points if point.mean is None]
    for reason in dict.fromkeys(point.why_not for point in missing):
        places = dict.fromkeys(f"{_strategy_words(p.strategy)} {p.k_shot}-shot" for p in missing if p.why_not == reason)
        notes.append(f"Not measured: {', '.join(places)}{': ' + reason if reason else ''}.")
    return (*notes, *missing_glyph_note([view.dataset]))


def _is_wide(point: SeedPoint) -> bool:
    """Return whether an interval says nothing, as it is wider than the range of accuracy."""
    return point.interval is not None and point.interval[1] - point.interval[0] > 2 * WIDEST


def _draw_legend(sheet: Sheet, view: SeedVarianceView) -> None:
    left, bottom, width, height = sheet.box
    axes = sheet.axes(left, bottom + height - LEGEND, width, LEGEND)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(0, LEGEND))
    y, x = LEGEND - 0.14, 0.0
    for place, probe in enumerate(view.probes):
        axes.plot([x, x + 0.36], [y, y], color=dataset_colour(place), linewidth=1.6)
        axes.plot([x + 0.18], [y], MARKERS[place % len(MARKERS)], color=dataset_colour(place), markersize=6)
        x = _write_entry(axes, (x + 0.44, y), PROBE_WORDS.get(probe, probe))
    axes.errorbar([x + 0.1], [y], yerr=0.09, color=INK, linewidth=1.4, capsize=3)
    x = _write_entry(axes, (x + 0.24, y), "95 % interval of the mean")
    axes.plot([x + 0.08], [y], "o", color=MUTED, markersize=3.2)
    x = _write_entry(axes, (x + 0.2, y), "one seed")
    axes.plot([x, x + 0.3], [y, y], color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
    _write_entry(axes, (x + 0.38, y), "chance")


def _write_entry(axes: "Axes", place: tuple[float, float], text: str) -> float:
    """Write a text of the legend, and return where the next entry begins."""
    axes.text(*place, text, fontproperties=font(9), color=INK, va="center")
    return place[0] + text_width(text, 9) + 0.3


def _panel_height(view: SeedVarianceView, strategy: str) -> float:
    points = [point for point in view.points if point.strategy == strategy]
    return HEAD + PLOT_HEIGHT + AXIS + ROW * len(_number_rows(view.probes, points)) + 0.3


def _number_rows(probes: Sequence[str], points: Sequence[SeedPoint]) -> list[tuple[str, str]]:
    """Return (probe, what is counted) of each row of numbers below a panel."""
    counted = ["seeds", "episodes"] if any(point.episodes_needed for point in points) else ["seeds"]
    return [(probe, what) for what in counted for probe in probes]


def _draw_panel(sheet: Sheet, panel: _Panel) -> None:
    (x, bottom), top = panel.corner, panel.corner[1] + PLOT_HEIGHT + HEAD
    sheet.text(x + LEFT, top - 0.06, _strategy_words(panel.strategy), 10, bold=True, va="top")
    for place, line in enumerate(wrap_text(_counts(panel.points), panel.width, SMALL)):
        sheet.text(x + LEFT, top - 0.28 - place * 0.16, line, SMALL, color=MUTED, va="top")
    axes = sheet.axes(x + LEFT, bottom, panel.width, PLOT_HEIGHT)
    _dress(axes, panel)
    for number in range(len(panel.probes)):
        _draw_line(axes, panel, number)
    _draw_chance(axes, panel)
    for row, (probe, what) in enumerate(_number_rows(panel.probes, panel.points)):
        _write_numbers(sheet, panel, (probe, what), bottom - AXIS - ROW * (row + 0.5))


def _strategy_words(strategy: str) -> str:
    return strategy.replace("_", " ")


def _counts(points: Sequence[SeedPoint]) -> str:
    """Say over what the figures of a panel are, with ranges where they differ by k."""
    known = [point for point in points if point.accuracies]
    if not known:
        return "nothing measured"
    parts = [_range([len(p.accuracies) for p in known], "seed")]
    if any(p.n_episodes for p in known):
        parts.append(_range([(p.n_episodes or 0) // len(p.accuracies) for p in known], "episode") + " each")
    parts.append(_range([p.n_classes for p in known], "class"))
    parts.append(_range([p.n_query for p in known], "query image") + " in all")
    return " · ".join(parts)


def _range(numbers: Sequence[int], noun: str) -> str:
    low, high = min(numbers), max(numbers)
    return count_of(high, noun) if low == high else f"{low:,} to {count_of(high, noun)}"


def _dress(axes: "Axes", panel: _Panel) -> None:
    axes.set(xlim=(0, panel.width), ylim=(0, 1))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xticks([panel.place(k) for k in panel.k_shots], [f"{k:,}" for k in panel.k_shots])
    axes.grid(axis="y", color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("support images of each class (k)", fontproperties=font(8.5), color=MUTED)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=MUTED, labelfontfamily="DejaVu Sans")
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=MUTED, linewidth=1)
    for k in panel.k_shots:
        if all(point.mean is None for point in panel.points if point.k_shot == k):
            words: Any = {"fontproperties": font(SMALL), "color": MUTED, "ha": "center", "va": "center"}
            axes.text(panel.place(k), 0.5, "not\nmeasured", **words)


def _draw_line(axes: "Axes", panel: _Panel, number: int) -> None:
    """Draw the line of one probe, with intervals, and seeds on the side away from the other probes."""
    side = number - (len(panel.probes) - 1) / 2
    known = [(point, point.mean) for point in panel.of(panel.probes[number]) if point.mean is not None]
    xs = [panel.place(point.k_shot) + 2 * DODGE * side for point, _ in known]
    style: Any = {"color": dataset_colour(number), "clip_on": False}
    line: Any = {"linewidth": 1.4, "marker": MARKERS[number % len(MARKERS)], "markersize": 5.5, "zorder": 4}
    axes.plot(xs, [mean for _, mean in known], **line, **style)
    for x, (point, _) in zip(xs, known, strict=True):
        if point.interval is not None:
            shape = {"linestyle": (0, (1, 1.5))} if _is_wide(point) else {}
            _draw_interval(axes, x, point.interval, {**style, **shape})
            seeds: Any = {"s": 9, "alpha": 0.55, "linewidths": 0, "zorder": 3.5}
            beside = x + (DOT if side >= 0 else -DOT)
            axes.scatter([beside] * len(point.accuracies), point.accuracies, **seeds, **style)


def _draw_interval(axes: "Axes", x: float, interval: tuple[float, float], style: dict[str, Any]) -> None:
    """Draw an interval as far as accuracies go."""
    low, high = (min(1.0, max(0.0, end)) for end in interval)
    axes.plot([x, x], [low, high], linewidth=1.4, zorder=3, solid_capstyle="butt", **style)
    for shown, end in zip((low, high), interval, strict=True):
        if shown == end:  # an end beyond the axis has no cap
            axes.plot([x - CAP, x + CAP], [end, end], linewidth=1.4, zorder=3, **style)


def _draw_chance(axes: "Axes", panel: _Panel) -> None:
    """Draw the accuracy of a guess: one over the number of classes, which some k may have fewer of."""
    chances = {point.k_shot: 1 / point.n_classes for point in panel.points if point.n_classes}
    runs: list[tuple[int, int, float]] = []
    for k, chance in sorted(chances.items()):
        start = panel.k_shots.index(k)
        end = start + 1
        if runs and runs[-1][1:] == (start, chance):
            start = runs.pop()[0]
        runs.append((start, end, chance))
    for start, end, chance in runs:
        axes.plot(
            [start * panel.step, end * panel.step],
            [chance, chance],
            color=MUTED,
            linewidth=1,
            linestyle=(0, (2, 2)),
            zorder=2,
        )


def _write_numbers(sheet: Sheet, panel: _Panel, row: tuple[str, str], y: float) -> None:
    """Write how many seeds, or episodes, would do: one number below each k."""
    (probe, what), x = row, panel.corner[0]
    number = panel.probes.index(probe)
    axes = sheet.axes(x, y - ROW / 2, 0.2, ROW)
    axes.set_axis_off()
    axes.set(xlim=(0, 0.2), ylim=(0, ROW))
    axes.plot([0.08], [ROW / 2], MARKERS[number % len(MARKERS)], color=dataset_colour(number), markersize=5)
    sheet.text(x + 0.2, y, f"{what}, ±1 pt", SMALL, color=MUTED, va="center")
    for point in panel.of(probe):
        texts = _needed(point, what)
        text = next((one for one in texts if text_width(one, SMALL) <= panel.step - 0.08), texts[-1])
        sheet.text(x + LEFT + panel.place(point.k_shot), y, text, SMALL, ha="center", va="center")


def _needed(point: SeedPoint, what: str) -> tuple[str, ...]:
    """Return the number in words, the longest first."""
    if what == "episodes":
        return (UNKNOWN,) if point.episodes_needed is None else (f"{point.episodes_needed:,}",)
    if point.seeds_needed is None:
        return (UNKNOWN,)
    needed, low, high = point.seeds_needed
    return f"{needed:,} ({low:,} to {high:,})", f"{needed:,}"
