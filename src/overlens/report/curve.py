"""How the overlap depends on the threshold: a panel for each dataset, a line for each other dataset.

Shares run from one image in a hundred thousand to all of them, so their axis is logarithmic, with 0 at its foot. A
dataset has one colour in all panels. A panel with more lines than can be told apart draws the largest in colour, the
rest in grey, and says so. Each line is marked at the threshold that the run had for it.

Shapes: lengths are inches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overlens.report.names import distinct_names
from overlens.report.page import note_page
from overlens.report.sheet import Sheet, new_sheet
from overlens.report.style import (
    DATASET_COLOURS,
    FAINT,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    REST,
    dataset_colour,
    font,
    missing_glyph_note,
    shorten_end,
)
from overlens.report.views import NOT_LOOKED_FOR, CurveView, count_of, share_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from overlens.curves import OverlapCurve

MOST_COLOURED = len(DATASET_COLOURS)
PLOT_WIDTH, PLOT_HEIGHT = 3.1, 2.05
LEFT, LEGEND, GAP = 0.62, 2.85, 0.3
HEAD, FOOT = 0.62, 0.62
ROW = 0.22
SAMPLE, PERCENT, THRESHOLD = 0.52, 0.62, 0.65
CELL_WIDTH, CELL_HEIGHT = LEFT + PLOT_WIDTH + 0.15 + LEGEND, HEAD + PLOT_HEIGHT + FOOT


@dataclass(frozen=True, slots=True)
class _Line:
    """A curve, the run's own threshold of it, and how it is drawn; `is_grey` if its colour would be one too many."""

    curve: "OverlapCurve"
    own: float
    colour: str
    marker: str
    is_grey: bool

    @property
    def dashes(self) -> Any:  # noqa: ANN401 - what matplotlib takes
        return (0, (4, 2.2)) if self.curve.is_within else "-"

    @property
    def share(self) -> float:
        """Share at the own threshold."""
        return self.curve.shares[self.curve.thresholds.index(self.own)]


def draw_curves(view: CurveView) -> bytes:
    """Draw the share of images that have a match against the threshold, each line marked at the run's own threshold.

    Returns:
        PNG bytes; equal views give equal bytes.
    """
    names = view.datasets
    if not any(curve.size for curve in view.curves):
        return note_page(view.title(), view.lines(), "No dataset holds an image.")
    n_columns = min(2, len(names))
    n_rows = -(-len(names) // n_columns)
    width = 2 * MARGIN + n_columns * CELL_WIDTH + (n_columns - 1) * GAP
    sheet = new_sheet(width, n_rows * CELL_HEIGHT, view.title(), view.lines(), _notes(view))
    left, bottom, _, height = sheet.box
    for place, name in enumerate(names):
        row, column = divmod(place, n_columns)
        corner = left + column * (CELL_WIDTH + GAP), bottom + height - (row + 1) * CELL_HEIGHT
        _draw_panel(sheet, view, name, corner)
    return sheet.png()


def _notes(view: CurveView) -> tuple[str, ...]:
    notes = [f"The axis of shares is logarithmic down to {share_text(_lowest_share(view))}, and even from there to 0."]
    if view.common_threshold is None:
        notes.append("The mark on a line is the threshold that was chosen for its two datasets, or within the one.")
    if len(view.datasets) > MOST_COLOURED + 1:
        notes.append(f"In colour: the {MOST_COLOURED} datasets with the most matches in each panel; grey: the others.")
    return (*notes, *missing_glyph_note(view.datasets))


def _draw_panel(sheet: Sheet, view: CurveView, name: str, corner: tuple[float, float]) -> None:
    x, y = corner
    lines = _choose(view, name)
    size = lines[0].curve.size
    heads = distinct_names(view.datasets, CELL_WIDTH - LEFT - 1.3, 10, bold=True)
    head = heads[view.datasets.index(name)]
    sheet.text(x + LEFT, y + CELL_HEIGHT - 0.12, head, 10, bold=True, va="top")
    sheet.text(x + CELL_WIDTH, y + CELL_HEIGHT - 0.12, count_of(size, "image"), 9, color=MUTED, ha="right", va="top")
    axes = sheet.axes(x + LEFT, y + FOOT, PLOT_WIDTH, PLOT_HEIGHT)
    _dress(axes, view)
    if size:
        _draw_lines(axes, view, lines)
    _mark_threshold(axes, view)
    legend = sheet.axes(x + LEFT + PLOT_WIDTH + 0.15, y + FOOT, LEGEND, PLOT_HEIGHT)
    legend.set_axis_off()
    legend.set(xlim=(0, LEGEND), ylim=(0, PLOT_HEIGHT))
    _draw_legend(legend, view, lines)


def _choose(view: CurveView, name: str) -> list[_Line]:
    """Return the lines of one panel in the order of the datasets, the dataset's own last."""
    own = [(curve, threshold) for curve, threshold in zip(view.curves, view.own, strict=True) if curve.dataset == name]
    own.sort(key=lambda pair: pair[0].is_within)
    ranked = sorted(own, key=lambda pair: (-pair[0].count_at(pair[1]), -max(pair[0].n_matched)))
    coloured = {curve.other for curve, _ in [pair for pair in ranked if not pair[0].is_within][:MOST_COLOURED]}
    lines = []
    for curve, threshold in own:
        place = view.datasets.index(curve.other)
        marker = MARKERS[place // MOST_COLOURED % len(MARKERS)]
        is_grey = not curve.is_within and curve.other not in coloured
        lines.append(_Line(curve, threshold, REST if is_grey else dataset_colour(place), marker, is_grey))
    return lines


def _draw_lines(axes: "Axes", view: CurveView, lines: list[_Line]) -> None:
    thresholds = [float(threshold) for threshold in lines[0].curve.thresholds]
    # A distance is a whole number of bits: nothing changes before the next one.
    shape: Any = {"drawstyle": "default" if view.is_similarity else "steps-post", "clip_on": False}
    for line in sorted(reversed(lines), key=lambda line: (not line.is_grey, line.curve.is_within)):  # dashes on top
        width = 1.0 if line.is_grey else 1.7
        style: Any = {"color": line.colour, "linewidth": width, "zorder": 2 if line.is_grey else 3}
        axes.plot(thresholds, line.curve.shares, linestyle=line.dashes, **style, **shape)
        if view.common_threshold is None:
            drop: Any = {"color": line.colour, "linewidth": 1, "linestyle": (0, (1, 1.5)), "zorder": 2.5}
            axes.plot([line.own] * 2, [0, line.share], **drop)
        if not line.is_grey:
            mark: Any = {"color": line.colour, "markersize": 5, "zorder": 4, "clip_on": False}
            axes.plot([line.own], [line.share], line.marker, **mark)


def _mark_threshold(axes: "Axes", view: CurveView) -> None:
    """Mark the threshold that all lines have; several are marked line by line."""
    threshold = view.common_threshold
    if threshold is None:
        return
    axes.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (1, 1.5)), zorder=2.5)
    words: Any = {"fontproperties": font(8.5), "color": INK, "ha": "center", "va": "bottom"}
    place: Any = {"xycoords": ("data", "axes fraction"), "xytext": (0, 6), "textcoords": "offset points"}
    axes.annotate(f"this run: {threshold:g}", (threshold, 1), **place, **words)


def _dress(axes: "Axes", view: CurveView) -> None:
    lowest = _lowest_share(view)
    axes.set_yscale("symlog", linthresh=lowest, linscale=0.6)
    axes.set_ylim(0, 1)
    ticks = [0.0, *(10.0**power for power in range(round(math.log10(lowest)), 1))]
    axes.set_yticks(ticks, [share_text(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.grid(axis="y", color=FAINT, linewidth=0.8, zorder=0)
    thresholds = [float(threshold) for threshold in view.curves[0].thresholds]
    if view.is_similarity:
        axes.set_xlim(thresholds[0], 1.0)
        label = f"{view.measure}, at least (stricter →)"
    else:
        axes.set_xlim(0, thresholds[-1])
        label = f"{view.measure}, at most (stricter ←)"
    axes.set_xlabel(shorten_end(label, PLOT_WIDTH + 0.5, 8.5), fontproperties=font(8.5), color=MUTED)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=MUTED, labelfontfamily="DejaVu Sans")
    axes.tick_params(axis="x", pad=6)  # so that the first value clears the 0 of the other axis
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=MUTED, linewidth=1)


def _draw_legend(axes: "Axes", view: CurveView, lines: list[_Line]) -> None:
    """Write beside a panel, line by line, where the match is, the threshold where lines differ in it, and the share."""
    y = PLOT_HEIGHT - ROW / 2
    common, sign = view.common_threshold, "≥" if view.is_similarity else "≤"
    _write(axes, (0, y), "match in")
    if common is None:
        _write(axes, (LEGEND - PERCENT, y), "threshold")
    _write(axes, (LEGEND, y), "share" if common is None else f"at {sign} {common:g}")
    room = LEGEND - SAMPLE - PERCENT - 0.1 - (THRESHOLD if common is None else 0)
    names = dict(zip(view.datasets, distinct_names(view.datasets, room, 9), strict=True))
    coloured, rest = [line for line in lines if not line.is_grey], [line for line in lines if line.is_grey]
    for line in coloured:
        y -= ROW
        axes.plot([0, SAMPLE - 0.12], [y, y], color=line.colour, linewidth=1.7, linestyle=line.dashes)
        axes.plot([SAMPLE - 0.12], [y], line.marker, color=line.colour, markersize=5)
        _write(axes, (SAMPLE, y), "itself" if line.curve.is_within else names[line.curve.other], (9, INK))
        if common is None:
            _write(axes, (LEGEND - PERCENT, y), f"{sign} {line.own:g}", (9, MUTED))
        _write(axes, (LEGEND, y), share_text(line.share), (9, INK))
    if not any(line.curve.is_within for line in lines):
        y -= ROW
        _write(axes, (SAMPLE, y), "itself", (9, INK))
        _write(axes, (LEGEND, y), NOT_LOOKED_FOR)
    if rest:
        _write_rest(axes, y - ROW, rest)


def _write_rest(axes: "Axes", y: float, rest: Sequence[_Line]) -> None:
    axes.plot([0, SAMPLE - 0.12], [y, y], color=REST, linewidth=1)
    _write(axes, (SAMPLE, y), count_of(len(rest), "other"), (9, INK))
    _write(axes, (LEGEND, y), f"≤ {share_text(max(line.share for line in rest))}", (9, INK))


def _write(axes: "Axes", place: tuple[float, float], text: str, style: tuple[float, str] = (8.5, MUTED)) -> None:
    """Write at a place; what stands right of a name is flushed right."""
    ha = "left" if place[0] <= SAMPLE else "right"
    axes.text(*place, text, fontproperties=font(style[0]), color=style[1], ha=ha, va="center")


def _lowest_share(view: CurveView) -> float:
    """Return the power of ten at or below the smallest share above 0, between 0.001 % and 1 %."""
    positive = [share for curve in view.curves for share in curve.shares if share > 0]
    power = math.floor(math.log10(min(positive, default=1.0)) + 1e-9)
    return float(10.0 ** min(-2, max(-5, power)))
