"""How the overlap depends on the threshold: a panel for each dataset, a line for each other dataset.

Shares run from one image in a hundred thousand to all of them, so their axis is logarithmic, with 0 at its foot. A
dataset has one colour in all panels. A panel with more lines than can be told apart draws the largest in colour, the
rest in grey, and says so.

Shapes: lengths are inches.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overlens.report.style import (
    DATASET_COLOURS,
    FAINT,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    REST,
    Sheet,
    dataset_colour,
    font,
    missing_glyph_note,
    new_sheet,
    note_sheet,
    shorten_end,
)
from overlens.report.views import CurveView, count_of, share_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from overlens.curves import OverlapCurve

MOST_COLOURED = len(DATASET_COLOURS)
PLOT_WIDTH, PLOT_HEIGHT = 3.1, 2.05
LEFT, LEGEND, GAP = 0.62, 2.55, 0.3
HEAD, FOOT = 0.62, 0.62
ROW = 0.22
SAMPLE, PERCENT = 0.52, 0.62
CELL_WIDTH, CELL_HEIGHT = LEFT + PLOT_WIDTH + 0.15 + LEGEND, HEAD + PLOT_HEIGHT + FOOT


@dataclass(frozen=True, slots=True)
class _Line:
    """A curve and how it is drawn."""

    curve: "OverlapCurve"
    colour: str
    marker: str

    @property
    def dashes(self) -> Any:  # noqa: ANN401 - what matplotlib takes
        return (0, (4, 2.2)) if self.curve.is_within else "-"


def draw_curves(view: CurveView) -> bytes:
    """Draw the share of images that have a match against the threshold, with the run's own threshold marked.

    Returns:
        PNG bytes; equal views give equal bytes.
    """
    names = view.datasets
    if not any(curve.size for curve in view.curves):
        return note_sheet(view.title(), view.lines(), "No dataset holds an image.")
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
    if len(view.datasets) > MOST_COLOURED + 1:
        notes.append(f"In colour: the {MOST_COLOURED} datasets with the most matches in each panel; grey: the others.")
    return (*notes, *view.notes, *missing_glyph_note(view.datasets))


def _draw_panel(sheet: Sheet, view: CurveView, name: str, corner: tuple[float, float]) -> None:
    x, y = corner
    curves = [curve for curve in view.curves if curve.dataset == name]
    size = curves[0].size
    head = shorten_end(name, CELL_WIDTH - LEFT - 1.3, 10, bold=True)
    sheet.text(x + LEFT, y + CELL_HEIGHT - 0.12, head, 10, bold=True, va="top")
    sheet.text(x + CELL_WIDTH, y + CELL_HEIGHT - 0.12, count_of(size, "image"), 9, color=MUTED, ha="right", va="top")
    axes = sheet.axes(x + LEFT, y + FOOT, PLOT_WIDTH, PLOT_HEIGHT)
    _dress(axes, view)
    lines, rest = _choose(view, curves)
    if size:
        _draw_lines(axes, view, lines, rest)
    _mark_threshold(axes, view)
    legend = sheet.axes(x + LEFT + PLOT_WIDTH + 0.15, y + FOOT, LEGEND, PLOT_HEIGHT)
    legend.set_axis_off()
    legend.set(xlim=(0, LEGEND), ylim=(0, PLOT_HEIGHT))
    _draw_legend(legend, view, lines, rest)


def _choose(view: CurveView, curves: list["OverlapCurve"]) -> tuple[list[_Line], list["OverlapCurve"]]:
    """Return the lines in colour, in the order of the datasets with the dataset's own last, and the others."""
    others = [curve for curve in curves if not curve.is_within]
    ranked = sorted(others, key=lambda curve: (curve.count_at(view.threshold), max(curve.n_matched)), reverse=True)
    kept = {curve.other for curve in ranked[:MOST_COLOURED]}
    places = {name: place for place, name in enumerate(view.datasets)}
    chosen = [curve for curve in others if curve.other in kept] + [curve for curve in curves if curve.is_within]
    lines = [
        _Line(curve, dataset_colour(places[curve.other]), MARKERS[places[curve.other] // MOST_COLOURED % len(MARKERS)])
        for curve in chosen
    ]
    return lines, [curve for curve in others if curve.other not in kept]


def _draw_lines(axes: "Axes", view: CurveView, lines: list[_Line], rest: list["OverlapCurve"]) -> None:
    thresholds = view.curves[0].thresholds
    xs: list[Any] = list(range(len(thresholds))) if view.is_ladder else list(thresholds)
    own = thresholds.index(view.threshold)
    # A distance is a whole number of bits: nothing changes before the next one.
    shape: Any = {"drawstyle": "default" if view.is_ladder or view.is_similarity else "steps-post", "clip_on": False}
    for curve in rest:
        axes.plot(xs, curve.shares, color=REST, linewidth=1, zorder=2, **shape)
    for line in sorted(reversed(lines), key=lambda line: line.curve.is_within):  # dashes on top hide no line
        axes.plot(xs, line.curve.shares, color=line.colour, linewidth=1.7, linestyle=line.dashes, zorder=3, **shape)
        dots = (xs, line.curve.shares) if view.is_ladder else ([xs[own]], [line.curve.shares[own]])
        axes.plot(*dots, line.marker, color=line.colour, markersize=5, zorder=4, clip_on=False)


def _mark_threshold(axes: "Axes", view: CurveView) -> None:
    if isinstance(view.threshold, str):
        return
    axes.axvline(view.threshold, color=INK, linewidth=1, linestyle=(0, (1, 1.5)), zorder=2.5)
    axes.annotate(
        f"{view.mark}: {view.threshold:g}",
        (view.threshold, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 6),
        textcoords="offset points",
        fontproperties=font(8.5),
        color=INK,
        ha="center",
        va="bottom",
    )


def _dress(axes: "Axes", view: CurveView) -> None:
    lowest = _lowest_share(view)
    axes.set_yscale("symlog", linthresh=lowest, linscale=0.6)
    axes.set_ylim(0, 1)
    ticks = [0.0, *(10.0**power for power in range(round(math.log10(lowest)), 1))]
    axes.set_yticks(ticks, [share_text(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.grid(axis="y", color=FAINT, linewidth=0.8, zorder=0)
    _dress_thresholds(axes, view)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=MUTED, labelfontfamily="DejaVu Sans")
    axes.tick_params(axis="x", pad=6)  # so that the first value clears the 0 of the other axis
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=MUTED, linewidth=1)


def _dress_thresholds(axes: "Axes", view: CurveView) -> None:
    thresholds = view.curves[0].thresholds
    if view.is_ladder:
        axes.set_xticks(range(len(thresholds)), [str(rung).replace("_", "\n") for rung in thresholds])
        axes.set_xlim(-0.15, len(thresholds) - 0.85)
        label = "weakest evidence that counts (stricter ←)"
    elif view.is_similarity:
        axes.set_xlim(float(thresholds[0]), 1.0)
        label = f"{view.measure}, at least (stricter →)"
    else:
        axes.set_xlim(0, float(thresholds[-1]))
        label = f"{view.measure}, at most (stricter ←)"
    axes.set_xlabel(shorten_end(label, PLOT_WIDTH + 0.5, 8.5), fontproperties=font(8.5), color=MUTED)


def _draw_legend(axes: "Axes", view: CurveView, lines: list[_Line], rest: list["OverlapCurve"]) -> None:
    y = PLOT_HEIGHT - ROW / 2
    sign = "≥" if view.is_similarity else "≤"
    at = "all together" if view.is_ladder else f"at {sign} {view.threshold:g}"
    axes.text(0, y, "match in", fontproperties=font(8.5), color=MUTED, va="center")
    axes.text(LEGEND, y, at, fontproperties=font(8.5), color=MUTED, ha="right", va="center")
    for line in lines:
        y -= ROW
        name = shorten_end(line.curve.other, LEGEND - SAMPLE - PERCENT - 0.1, 9)
        axes.plot([0, SAMPLE - 0.12], [y, y], color=line.colour, linewidth=1.7, linestyle=line.dashes)
        axes.plot([SAMPLE - 0.12], [y], line.marker, color=line.colour, markersize=5)
        _write_row(axes, y, "itself" if line.curve.is_within else name, _share_at(view, line.curve))
    if rest:
        y -= ROW
        axes.plot([0, SAMPLE - 0.12], [y, y], color=REST, linewidth=1)
        highest = max(_share_at(view, curve) for curve in rest)
        _write_row(axes, y, count_of(len(rest), "other"), highest, prefix="≤ ")


def _write_row(axes: "Axes", y: float, name: str, share: float, *, prefix: str = "") -> None:
    axes.text(SAMPLE, y, name, fontproperties=font(9), color=INK, va="center")
    axes.text(LEGEND, y, prefix + share_text(share), fontproperties=font(9), color=INK, ha="right", va="center")


def _share_at(view: CurveView, curve: "OverlapCurve") -> float:
    return curve.shares[curve.thresholds.index(view.threshold)]


def _lowest_share(view: CurveView) -> float:
    """Return the power of ten at or below the smallest share above 0, between 0.001 % and 1 %."""
    positive = [share for curve in view.curves for share in curve.shares if share > 0]
    power = math.floor(math.log10(min(positive, default=1.0)) + 1e-9)
    return float(10.0 ** min(-2, max(-5, power)))
