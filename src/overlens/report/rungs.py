"""How sure is the verified overlap: for each dataset, a bar for every other, divided by the evidence that it needs.

Evidence has no scale, so there is no line from one kind to the next; a bar is the share of a dataset's images with a
copy, its parts are the kinds of evidence, the surest first, and each part has its number beside it.

Shapes: lengths are inches.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from overlens.report.names import distinct_names
from overlens.report.page import note_page
from overlens.report.sheet import Sheet, new_sheet
from overlens.report.style import (
    FAINT,
    INK,
    MARGIN,
    MUTED,
    missing_glyph_note,
)
from overlens.report.views import NOT_LOOKED_FOR, count_of, share_text
from overlens.verdicts import VERIFIED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from overlens.curves import OverlapCurve

NAME, BAR, GAP, NUMBER, SHARE = 2.7, 3.2, 0.25, 0.82, 0.75
WIDTH = 2 * MARGIN + NAME + BAR + GAP + NUMBER * (len(VERIFIED) + 1) + SHARE
ROW, HEAD, BAR_HEIGHT = 0.24, 0.55, 0.15
# One hue from dark to light, as the evidence gets weaker; light enough apart to be told from one another in grey.
SHADES = ("#08306b", "#2171b5", "#6baed6", "#b9d4ea")
TITLE = "How sure is the overlap: images with a verified copy, by the evidence"


def draw_rungs(curves: Sequence["OverlapCurve"]) -> bytes:
    """Draw which share of each dataset has a verified copy in every other and within itself, and how sure that is.

    Args:
        curves: From `overlens.curves.rung_curves`; a dataset within which no copy was looked for has no curve within.

    Returns:
        PNG bytes; equal curves give equal bytes.
    """
    how = "each bar: the share of a dataset's images with a copy, dark where the evidence is surest"
    names = tuple(dict.fromkeys(curve.dataset for curve in curves))
    sizes = {curve.dataset: curve.size for curve in curves}
    if not any(sizes.values()):
        return note_page(TITLE, (how,), "No dataset holds an image.")
    n_rows = len(names) * (len(names) + 1.5)
    sheet = new_sheet(WIDTH, HEAD + ROW * n_rows, TITLE, (how,), _notes(names))
    left, bottom, _, height = sheet.box
    axes = sheet.axes(left + NAME, bottom, BAR, ROW * n_rows)
    _dress(axes, n_rows, _axis_end(curves))
    _write_head(sheet, bottom + height)
    own_names = dict(zip(names, distinct_names(names, NAME - 1.1, 10, bold=True), strict=True))
    other_names = dict(zip(names, distinct_names(names, NAME - 0.5, 9), strict=True))
    row = 0.0
    for name in names:
        y = _middle(sheet, row)
        sheet.text(left, y, own_names[name], 10, bold=True, va="center")
        sheet.text(left + NAME - 0.15, y, count_of(sizes[name], "image"), 8.5, color=MUTED, ha="right", va="center")
        for other in (*(other for other in names if other != name), name):
            row += 1
            curve = next((one for one in curves if (one.dataset, one.other) == (name, other)), None)
            words = "within itself" if other == name else f"in {other_names[other]}"
            sheet.text(left + 0.15, _middle(sheet, row), words, 9, color=MUTED if other == name else INK, va="center")
            _draw_row(sheet, axes, row, curve)
        row += 1.5
    return sheet.png()


def _notes(names: tuple[str, ...]) -> tuple[str, ...]:
    return (
        "An image counts once in a row: by the surest evidence that joins it to the other dataset, be it by way of "
        "further copies.",
        "same bytes: equal files; same pixels: equal once decoded; same picture: resized, recompressed or recoloured; "
        "edited: cropped, bordered, written on, squashed, flipped or turned.",
        *missing_glyph_note(names),
    )


def _middle(sheet: Sheet, row: float) -> float:
    return sheet.box[1] + sheet.box[3] - HEAD - ROW * (row + 0.5)


def _column(sheet: Sheet, number: int) -> float:
    """Return the right edge of a column of numbers; after those of the evidence comes that of all."""
    return sheet.box[0] + NAME + BAR + GAP + NUMBER * (number + 1)


def _axis_end(curves: Sequence["OverlapCurve"]) -> float:
    """Return the round share at or above the largest one."""
    largest = max(max(curve.shares) for curve in curves)
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return min(1.0, next(step * power for step in (1, 2, 5, 10) if largest <= step * power * (1 + 1e-9)))


def _dress(axes: "Axes", n_rows: float, end: float) -> None:
    axes.set(xlim=(0, end), ylim=(n_rows, 0))
    axes.set_yticks([])
    ticks = [0.0, end / 2, end]
    axes.set_xticks(ticks, [share_text(tick) for tick in ticks])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8.5, labelcolor=MUTED, labelfontfamily="DejaVu Sans")
    axes.grid(axis="x", color=FAINT, linewidth=0.8, zorder=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_head(sheet: Sheet, top: float) -> None:
    """Name the columns of numbers, each with the colour of its part of the bars."""
    from matplotlib.patches import Rectangle

    width, height = sheet.figure.get_size_inches()
    for place, (rung, shade) in enumerate(zip(VERIFIED, SHADES, strict=True)):
        right = _column(sheet, place)
        first, _, second = rung.partition("_")
        sheet.text(right, top - 0.14, first, 8.5, color=MUTED, ha="right", va="center")
        sheet.text(right, top - 0.29, second, 8.5, color=MUTED, ha="right", va="center")
        mark = ((right - 0.3) / width, (top - 0.5) / height)
        sheet.figure.add_artist(Rectangle(mark, 0.3 / width, 0.09 / height, facecolor=shade, linewidth=0))
    sheet.text(_column(sheet, len(VERIFIED)), top - 0.14, "all", 8.5, color=MUTED, ha="right", va="center")
    sheet.text(_column(sheet, len(VERIFIED)) + SHARE, top - 0.14, "share", 8.5, color=MUTED, ha="right", va="center")


def _draw_row(sheet: Sheet, axes: "Axes", row: float, curve: "OverlapCurve | None") -> None:
    end = _column(sheet, len(VERIFIED))
    y, right = _middle(sheet, row), {"ha": "right", "va": "center"}
    if curve is None:
        sheet.text(end + SHARE, y, NOT_LOOKED_FOR, 8.5, color=MUTED, **right)
        return
    left = 0
    for place, (n_matched, shade) in enumerate(zip(curve.n_matched, SHADES, strict=True)):
        n_here = n_matched - left
        if n_here:
            bar: Any = {"height": BAR_HEIGHT / ROW, "color": shade, "linewidth": 0, "zorder": 2}
            axes.barh(row + 0.5, n_here / curve.size, left=left / curve.size, **bar)
        sheet.text(_column(sheet, place), y, f"{n_here:,}", 9, color=INK if n_here else MUTED, **right)
        left = n_matched
    sheet.text(end, y, f"{left:,}", 9, bold=True, **right)
    sheet.text(end + SHARE, y, share_text(curve.shares[-1]), 9, **right)
