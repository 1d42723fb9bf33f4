"""The overlap of more than three datasets as a matrix: row A, column B is the number of A's images with a match in B.

Circles cannot show more than three sets to scale; a matrix can, and it shows both directions of every two.
"""

from itertools import product
from typing import TYPE_CHECKING, Any

from overlens.report.names import distinct_names
from overlens.report.page import note_page
from overlens.report.sheet import Sheet, new_sheet
from overlens.report.style import (
    INK,
    MARGIN,
    MUTED,
    REST,
    font,
    missing_glyph_note,
    text_width,
)
from overlens.report.views import NOT_LOOKED_FOR, OverlapText, count_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from overlens.overlap import Overlap

CELL_WIDTH, CELL_HEIGHT, ROW_LABEL = 1.15, 0.72, 2.2
NAME_SIZE, TILT_DEGREES, MAX_COLUMN_LABEL = 9.5, 40, 1.5
SHADES = ("#f4f7fa", "#9ecae1", "#3182bd", "#08306b")


def draw_overlap_matrix(overlap: "Overlap", text: OverlapText) -> bytes:
    """Draw the overlap of any number of datasets: counts, shares of the row's dataset, darker for larger shares.

    The diagonal, framed, counts the images that have a match within their own dataset.

    Returns:
        PNG bytes; equal overlaps give equal bytes.
    """
    title, lines = text.title(overlap), text.lines()
    names = list(overlap.sizes)
    if not names:
        return note_page(title, lines, "There is no dataset.")
    notes = (
        "Row A, column B: images of A that have a match in B, and their share of A's images.",
        "Framed: images that have a match within their own dataset.",
        *text.unsought(overlap),
        *text.failures(overlap),
        *missing_glyph_note(names),
    )
    heads = distinct_names(names, MAX_COLUMN_LABEL, NAME_SIZE)
    head = 0.3 + 0.7 * max(text_width(name, NAME_SIZE) for name in heads)
    body = (CELL_WIDTH * len(names), CELL_HEIGHT * len(names))
    width = max(7.0, 2 * MARGIN + ROW_LABEL + body[0] + 0.8)
    sheet = new_sheet(width, body[1] + head, title, lines, notes)
    left, bottom, _, _ = sheet.box
    axes = sheet.axes(left + ROW_LABEL, bottom, *body)
    axes.set_axis_off()
    axes.set(xlim=(0, len(names)), ylim=(len(names), 0))
    for row, column in product(range(len(names)), repeat=2):
        _draw_cell(axes, overlap, row, column)
    _name_rows(sheet, overlap)
    for column, name in enumerate(heads):
        x = left + ROW_LABEL + CELL_WIDTH * (column + 0.4)
        tilt: dict[str, Any] = {"rotation": TILT_DEGREES, "rotation_mode": "anchor", "ha": "left", "va": "bottom"}
        sheet.text(x, bottom + body[1] + 0.06, name, NAME_SIZE, **tilt)
    return sheet.png()


def _draw_cell(axes: "Axes", overlap: "Overlap", row: int, column: int) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    name, other = overlap.datasets[row], overlap.datasets[column]
    count = overlap.within[name] if row == column else overlap.contained[name][other]
    share = 0.0 if count is None or not overlap.sizes[name] else count / overlap.sizes[name]
    shade = LinearSegmentedColormap.from_list("share", SHADES)(share)
    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=shade, edgecolor="white", linewidth=2))
    if row == column:
        look: Any = {"fill": False, "edgecolor": MUTED}
        if count is None:
            look = {"facecolor": "white", "edgecolor": REST, "hatch": "////"}
        axes.add_patch(Rectangle((column + 0.03, row + 0.04), 0.94, 0.92, linewidth=1.2, **look))
    if count is None:
        paper = {"facecolor": "white", "linewidth": 0, "pad": 2}
        words = NOT_LOOKED_FOR.replace(" for", "\nfor")
        axes.text(column + 0.5, row + 0.5, words, fontproperties=font(8.5), bbox=paper, **_centred(INK))
        return
    ink = "white" if share > 0.5 else INK
    axes.text(column + 0.5, row + 0.4, f"{count:,}", fontproperties=font(11, bold=True), **_centred(ink))
    axes.text(column + 0.5, row + 0.72, _percent(share), fontproperties=font(8.5), **_centred(ink))


def _centred(colour: str) -> dict[str, Any]:
    return {"color": colour, "ha": "center", "va": "center"}


def _name_rows(sheet: Sheet, overlap: "Overlap") -> None:
    left, bottom, _, _ = sheet.box
    x = left + ROW_LABEL - 0.12
    names = distinct_names(overlap.datasets, ROW_LABEL - 0.15, NAME_SIZE, bold=True)
    for row, (name, size) in enumerate(zip(names, overlap.sizes.values(), strict=True)):
        y = bottom + CELL_HEIGHT * (len(overlap.sizes) - row - 0.5)
        sheet.text(x, y + 0.02, name, NAME_SIZE, bold=True, ha="right", va="bottom")
        sheet.text(x, y - 0.02, count_of(size, "image"), 8.5, color=MUTED, ha="right", va="top")


def _percent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"
