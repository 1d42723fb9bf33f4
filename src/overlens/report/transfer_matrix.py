"""Transfer between all datasets as a matrix: row = trained on, column = tested on, the diagonal in-domain.

One picture a probe: a cell holds an accuracy with its number of images and, where the two datasets share images, the
accuracy without them and how much that changes; three of these side by side would leave no room for it. A smaller
matrix shows how far apart the datasets are: beside the large one up to four datasets, below it from there.

Shapes: lengths are inches.
"""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from overlens.report.benchmark_views import (
    AVERAGE_WORDS,
    PROBE_WORDS,
    CleanAccuracy,
    TransferCell,
    TransferMatrixView,
)
from overlens.report.names import names_in_words
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
    wrap_text,
)
from overlens.report.transfer_cells import (
    CELL_PAD,
    LARGE,
    SMALL,
    SMALL_LINE,
    Grid,
    Line,
    fill,
    frame,
    hatch,
    ink_on,
    place_axes,
    shade_of,
    write_lines,
    write_names,
)
from overlens.report.transfer_distances import FAR_HEAD, MINUS, DistanceScale, distance_grid, draw_distances
from overlens.report.views import count_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIN_CELL_WIDTH, MAX_REASON_LINES = 1.2, 3
ROW_LABEL, GAP = 1.9, 0.5
SCALE, SCALE_WIDTH, SCALE_HEIGHT = 0.62, 2.6, 0.13
# One hue, from light to dark; quickly through the middle, on which neither black nor white letters read well.
SHADES = ((0.0, "#f4f7fa"), (0.3, "#cfe2f0"), (0.58, "#8fc1de"), (0.68, "#2d72b0"), (1.0, "#08306b"))
MOST_BESIDE, MOST_REASONS = 4, 6
DAGGER = " \N{DAGGER}"
TITLE = "Trained on one dataset, tested on another: accuracy of the "


def draw_transfer_matrix(view: TransferMatrixView) -> bytes:
    """Draw the accuracies of one probe between all datasets, and the distances of these where there are any.

    Returns:
        PNG bytes; equal views give equal bytes.
    """
    title = TITLE + PROBE_WORDS.get(view.probe, view.probe)
    parts = (view.encoder, f"labels: {view.label_source}" if view.label_source else "")
    about = " · ".join(part for part in (*parts, AVERAGE_WORDS[view.average]) if part)
    lines = (about, _chance(view)) if _classes(view) else (about,)
    if len(view.datasets) < 2:
        return note_page(title, lines, "There are no two datasets.")
    grid, far = _main_grid(view), distance_grid(view)
    beside = len(view.datasets) <= MOST_BESIDE
    width, height = grid.width, grid.height + SCALE
    if far is not None and beside:
        width, height = width + GAP + far.width, max(height, FAR_HEAD + far.height)
    elif far is not None:
        width, height = max(width, far.width), height + GAP / 2 + FAR_HEAD + far.height + GAP / 4
    sheet = new_sheet(max(7.0, 2 * MARGIN + width), height, title, lines, _notes(view))
    left, bottom, _, _ = sheet.box
    _draw_accuracies(sheet, view, grid, (left, bottom + height))
    if far is not None:
        # Beside the large matrix, the cells of both begin at one height where there is room for that.
        drop = max(0.0, grid.head - FAR_HEAD - far.head) if beside else grid.height + SCALE + GAP / 2
        corner = (left + grid.width + GAP if beside else left, bottom + height - drop)
        draw_distances(sheet, view, far, corner)
    return sheet.png()


def _classes(view: TransferMatrixView) -> list[int]:
    return sorted({cell.n_classes for cell in view.cells.values() if cell.accuracy is not None})


def _chance(view: TransferMatrixView) -> str:
    classes = _classes(view)
    few, many = classes[0], classes[-1]
    if few == many:
        return f"chance: {_percent(1 / few)}, as all share {count_of(few, 'class')}"
    return f"chance: one over the number of common classes, from {_percent(1 / many)} to {_percent(1 / few)}"


def _notes(view: TransferMatrixView) -> tuple[str, ...]:
    notes = [
        "Row: trained on. Column: tested on, over the classes that both have. Framed: in-domain, by cross-validation "
        "on the dataset itself."
    ]
    if any(cell.in_domain is not None for cell in view.cells.values()):
        notes.append(
            "“in-domain” in other cells: the tested dataset by cross-validation, over the classes of that cell."
        )
    if not view.is_verified:
        notes.append("Copies were not verified, so it is not known how much of the accuracy is leakage.")
    elif any(cell.clean is not None for cell in view.cells.values()):
        notes.append(
            "Below the line: without the images that have a verified copy in the other dataset, and how much "
            "these add, in points, with its 95 % interval. No line: none are shared."
        )
        if any(_loses_classes(cell) for cell in view.cells.values()):
            notes.append(
                "Fewer classes below the line: the others have no image left on one side, so both accuracies are of "
                "different problems."
            )
    else:
        notes.append("No two of these datasets share a verified copy.")
    if view.distances:
        notes.append(
            "Distances: between random halves of equal size; framed: between two halves of one dataset, the noise "
            "floor. “≤ floor”: no further apart than the halves of one of the two."
        )
        notes.append(DistanceScale.of(view).in_words(view))
    return (*notes, *_unknown_copies(view), *_reasons(view), *missing_glyph_note(view.datasets))


def _unknown_copies(view: TransferMatrixView) -> Iterator[str]:
    """Say what the dagger means, one sentence a dataset."""
    words = names_in_words(view.datasets)
    for name in _marked(view):
        yield (
            f"{DAGGER.strip()} Copies within {words[name]} are not all known ({view.unknown_within[name]}): its "
            "in-domain accuracy may rest on copies, and 95 % intervals in its column may be too narrow."
        )


def _marked(view: TransferMatrixView) -> tuple[str, ...]:
    """Return the datasets with a dagger; where nothing was verified, another note says it of all."""
    return tuple(name for name in view.datasets if view.is_verified and name in view.unknown_within)


def _loses_classes(cell: TransferCell) -> bool:
    return bool(cell.clean and cell.clean.accuracy is not None and cell.clean.n_classes not in (None, cell.n_classes))


def _reasons(view: TransferMatrixView) -> Iterator[str]:
    """Say why cells are hatched, one sentence a reason."""
    words = names_in_words(view.datasets)
    pairs = product(view.datasets, repeat=2)
    missing = [(pair, view.cell(*pair).why_not) for pair in pairs if view.cell(*pair).accuracy is None]
    for reason in dict.fromkeys(reason for _, reason in missing):
        places = [f"{words[a]} → {words[b]}" for (a, b), why in missing if why == reason]
        more = f" and {len(places) - MOST_REASONS} more" if len(places) > MOST_REASONS else ""
        yield f"Not measured: {', '.join(places[:MOST_REASONS])}{more}{': ' + reason if reason else ''}."


def _main_grid(view: TransferMatrixView) -> Grid:
    pairs = [(source, target) for source in view.datasets for target in view.datasets]
    stacks = [_lines(view, pair) for pair in pairs if view.cell(*pair).accuracy is not None]
    widths = (text_width(line.text, line.size, bold=line.bold) for stack in stacks for line in stack)
    width = max((MIN_CELL_WIDTH, *(one + 2 * CELL_PAD for one in widths)))
    height = max((0.7, *(sum(line.height for line in stack) + 2 * CELL_PAD for stack in stacks)))
    return Grid(view.datasets, (width, height), ROW_LABEL)


def _lines(view: TransferMatrixView, pair: tuple[str, str]) -> list[Line]:
    cell, mark = view.cell(*pair), DAGGER if pair[1] in _marked(view) else ""
    images = count_of(cell.n_images, "image")
    lines = [Line(_percent(cell.accuracy or 0.0), LARGE, bold=True)]
    lines.append(Line(f"in-domain, {images}{mark}" if pair[0] == pair[1] else f"of {images}"))
    if len(_classes(view)) > 1:
        lines.append(Line(count_of(cell.n_classes, "class")))
    if cell.in_domain is not None:
        lines.append(Line(f"in-domain {_percent(cell.in_domain)}{mark}"))
    return lines + (_clean_lines(cell, cell.clean, mark) if cell.clean is not None else [])


def _clean_lines(cell: TransferCell, clean: CleanAccuracy, mark: str) -> list[Line]:
    if clean.accuracy is None:
        return [Line("none without a copy", has_rule_above=True)]
    lines = [Line(f"{_percent(clean.accuracy)} of {count_of(clean.n_images, 'image')}", has_rule_above=True)]
    if _loses_classes(cell):
        lines.append(Line(f"{clean.n_classes:,} of {count_of(cell.n_classes, 'class')}"))
    if clean.change is not None:
        is_known = clean.low is not None and clean.high is not None
        ends = f" ({_points(clean.low or 0.0)} to {_points(clean.high or 0.0)}){mark}" if is_known else ""
        lines.append(Line(_points(clean.change) + ends))
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    """Return a change in points with its sign, a real minus; nothing but zero has none."""
    shown = f"{100 * share:+.1f}".replace("-", MINUS)
    return "0.0" if shown in ("+0.0", f"{MINUS}0.0") else shown


def _draw_accuracies(sheet: Sheet, view: TransferMatrixView, grid: Grid, corner: tuple[float, float]) -> None:
    axes = place_axes(sheet, grid, corner)
    write_names(sheet, grid, corner, bold=True)
    for (row, source), (column, target) in product(enumerate(view.datasets), repeat=2):
        cell = view.cell(source, target)
        left, top = column * grid.cell[0], row * grid.cell[1]
        if cell.accuracy is None:
            hatch(axes, (left, top), grid.cell)
            _write_reason(axes, cell, (left, top), grid.cell)
        else:
            shade = shade_of(SHADES, cell.accuracy)
            fill(axes, (left, top), grid.cell, shade)
            write_lines(axes, _lines(view, (source, target)), (left, top), (grid.cell, ink_on(shade)))
        if row == column:
            ink = INK if cell.accuracy is None else ink_on(shade_of(SHADES, cell.accuracy))
            frame(axes, (left, top), grid.cell, ink)
    left, top = corner
    _draw_scale(sheet, view, (left + grid.label, top - grid.height - SCALE))


def _draw_scale(sheet: Sheet, view: TransferMatrixView, corner: tuple[float, float]) -> None:
    """Draw the colours from 0 to 100 %, with a mark at chance where that is one number."""
    left, bottom = corner
    axes = sheet.axes(left, bottom + 0.28, SCALE_WIDTH, SCALE_HEIGHT)
    colours = [[shade_of(SHADES, step / 200) for step in range(201)]]
    axes.imshow(colours, aspect="auto", extent=(0, 1, 0, 1), interpolation="nearest")
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.tick_params(length=0, labelsize=8, labelcolor=MUTED, labelfontfamily="DejaVu Sans")
    for spine in axes.spines.values():
        spine.set(color=REST, linewidth=0.8)
    classes = _classes(view)
    if len(classes) == 1:
        axes.axvline(1 / classes[0], color="#b30000", linewidth=1.5)
        sheet.text(
            left + SCALE_WIDTH / classes[0], bottom + 0.44, "chance", 8, color="#b30000", ha="center", va="bottom"
        )


def _write_reason(axes: "Axes", cell: TransferCell, at: tuple[float, float], size: tuple[float, float]) -> None:
    """Write on the hatching why there is no figure, as far as it fits; the notes have it whole."""
    lines = wrap_text(cell.why_not or "not measured", size[0] - 0.3, SMALL)
    fitting = max(1, min(MAX_REASON_LINES, int((size[1] - 0.2) / SMALL_LINE)))
    if len(lines) > fitting:
        lines = [*lines[: fitting - 1], lines[fitting - 1][:-1].rstrip() + "…"]
    paper: Any = {"facecolor": "white", "linewidth": 0, "pad": 1.5}
    for place, line in enumerate(lines):
        y = at[1] + size[1] / 2 + (place - (len(lines) - 1) / 2) * SMALL_LINE
        text: Any = {"fontproperties": font(SMALL), "color": INK, "ha": "center", "va": "center", "bbox": paper}
        axes.text(at[0] + size[0] / 2, y, line, **text)
