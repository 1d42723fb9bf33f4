"""Transfer between all datasets as a matrix: row = trained on, column = tested on, the diagonal in-domain.

One picture a probe: a cell holds an accuracy with its number of images and, where the two datasets share images, the
accuracy without them and how much that changes; three of these side by side would leave no room for it. A smaller
matrix shows how far apart the datasets are: beside the large one up to four datasets, below it from there.

Shapes: lengths are inches.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from overlens.report.benchmark_views import (
    AVERAGE_WORDS,
    DISTANCE_WORDS,
    PROBE_WORDS,
    CleanAccuracy,
    DistanceCell,
    TransferCell,
    TransferMatrixView,
)
from overlens.report.names import distinct_names, names_in_words
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
from overlens.report.views import count_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGE, SMALL, NAME_SIZE, FAR_SIZE = 11.0, 7.5, 9.5, 8.5
LARGE_LINE, SMALL_LINE, RULE_GAP, CELL_PAD = 0.2, 0.15, 0.09, 0.1
MIN_CELL_WIDTH, MAX_REASON_LINES = 1.2, 3
ROW_LABEL, TILT_DEGREES, MAX_COLUMN_LABEL = 1.9, 40, 1.5
SCALE, SCALE_WIDTH, SCALE_HEIGHT = 0.62, 2.6, 0.13
FAR_WIDTH, FAR_HEIGHT, FAR_LABEL, FAR_HEAD, GAP = 0.72, 0.42, 1.45, 0.5, 0.5
# One hue each, from light to dark; quickly through the middle, on which neither black nor white letters read well.
SHADES = ((0.0, "#f4f7fa"), (0.3, "#cfe2f0"), (0.58, "#8fc1de"), (0.68, "#2d72b0"), (1.0, "#08306b"))
FAR_SHADES = ((0.0, "#fff8f0"), (0.3, "#fee0c0"), (0.58, "#fdbb80"), (0.68, "#b34e0c"), (1.0, "#7f2704"))
MOST_BESIDE, MOST_REASONS = 4, 6
MINUS, DAGGER = "\N{MINUS SIGN}", " \N{DAGGER}"
# Where the colours of distances end at the latest, so that they do not stretch over noise: at so many times the largest
# noise floor. A Fréchet distance has a floor far above 0 that hardly varies. That of a squared MMD is next to 0, so it
# tells little of what chance gives to halves of m images: at most 0.2 / m for 98 in 100 pairs of random parts of one
# collection of paintings, m from 4 to 87. So its colours end no sooner than at 1 / m either.
FLOORS_AT_LEAST = {"mmd_squared": 10.0, "frechet": 1.0}
ENDS_AT_ONE_OF_M = ("mmd_squared",)
SINE, COSINE = math.sin(math.radians(TILT_DEGREES)), math.cos(math.radians(TILT_DEGREES))
TITLE = "Trained on one dataset, tested on another: accuracy of the "


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a cell; a rule separates those without the overlap from those above."""

    text: str
    size: float = SMALL
    bold: bool = False
    has_rule_above: bool = False

    @property
    def height(self) -> float:
        return (LARGE_LINE if self.size == LARGE else SMALL_LINE) + (RULE_GAP if self.has_rule_above else 0)


@dataclass(frozen=True, slots=True)
class _Grid:
    """How large a matrix is: names of rows and columns, size of a cell, and room for the names of rows."""

    names: tuple[str, ...]
    cell: tuple[float, float]
    label: float

    @property
    def width(self) -> float:
        return self.label + self.cell[0] * len(self.names) + max(0.1, self._longest * COSINE - 0.6 * self.cell[0] + 0.1)

    @property
    def head(self) -> float:
        """Height of the tilted names."""
        return 0.25 + SINE * self._longest

    @property
    def _longest(self) -> float:
        return max(text_width(name, NAME_SIZE) for name in distinct_names(self.names, MAX_COLUMN_LABEL, NAME_SIZE))

    @property
    def body(self) -> float:
        return self.cell[1] * len(self.names)

    @property
    def height(self) -> float:
        return self.head + self.body


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
    grid, far = _main_grid(view), _far_grid(view)
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
        _draw_distances(sheet, view, far, corner)
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
        notes.append(_FarScale.of(view).in_words(view))
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


def _main_grid(view: TransferMatrixView) -> _Grid:
    pairs = [(source, target) for source in view.datasets for target in view.datasets]
    stacks = [_lines(view, pair) for pair in pairs if view.cell(*pair).accuracy is not None]
    widths = (text_width(line.text, line.size, bold=line.bold) for stack in stacks for line in stack)
    width = max((MIN_CELL_WIDTH, *(one + 2 * CELL_PAD for one in widths)))
    height = max((0.7, *(sum(line.height for line in stack) + 2 * CELL_PAD for stack in stacks)))
    return _Grid(view.datasets, (width, height), ROW_LABEL)


def _far_grid(view: TransferMatrixView) -> _Grid | None:
    if not view.distances:
        return None
    decimals = _decimals(_known_distances(view))
    texts = [_distance(value, decimals) for value in _known_distances(view)]
    width = max((FAR_WIDTH, *(text_width(text, FAR_SIZE) + 2 * CELL_PAD for text in texts)))
    return _Grid(view.datasets, (width, FAR_HEIGHT), FAR_LABEL)


def _known_distances(view: TransferMatrixView) -> list[float]:
    return [cell.value for cell in view.distances.values() if cell.value is not None]


def _lines(view: TransferMatrixView, pair: tuple[str, str]) -> list[_Line]:
    cell, mark = view.cell(*pair), DAGGER if pair[1] in _marked(view) else ""
    images = count_of(cell.n_images, "image")
    lines = [_Line(_percent(cell.accuracy or 0.0), LARGE, bold=True)]
    lines.append(_Line(f"in-domain, {images}{mark}" if pair[0] == pair[1] else f"of {images}"))
    if len(_classes(view)) > 1:
        lines.append(_Line(count_of(cell.n_classes, "class")))
    if cell.in_domain is not None:
        lines.append(_Line(f"in-domain {_percent(cell.in_domain)}{mark}"))
    return lines + (_clean_lines(cell, cell.clean, mark) if cell.clean is not None else [])


def _clean_lines(cell: TransferCell, clean: CleanAccuracy, mark: str) -> list[_Line]:
    if clean.accuracy is None:
        return [_Line("none without a copy", has_rule_above=True)]
    lines = [_Line(f"{_percent(clean.accuracy)} of {count_of(clean.n_images, 'image')}", has_rule_above=True)]
    if _loses_classes(cell):
        lines.append(_Line(f"{clean.n_classes:,} of {count_of(cell.n_classes, 'class')}"))
    if clean.change is not None:
        is_known = clean.low is not None and clean.high is not None
        ends = f" ({_points(clean.low or 0.0)} to {_points(clean.high or 0.0)}){mark}" if is_known else ""
        lines.append(_Line(_points(clean.change) + ends))
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    """Return a change in points with its sign, a real minus; nothing but zero has none."""
    shown = f"{100 * share:+.1f}".replace("-", MINUS)
    return "0.0" if shown in ("+0.0", f"{MINUS}0.0") else shown


def _draw_accuracies(sheet: Sheet, view: TransferMatrixView, grid: _Grid, corner: tuple[float, float]) -> None:
    axes = _place(sheet, grid, corner)
    _name(sheet, grid, corner, bold=True)
    for (row, source), (column, target) in product(enumerate(view.datasets), repeat=2):
        cell = view.cell(source, target)
        left, top = column * grid.cell[0], row * grid.cell[1]
        if cell.accuracy is None:
            _hatch(axes, (left, top), grid.cell)
            _write_reason(axes, cell, (left, top), grid.cell)
        else:
            shade = _shade(SHADES, cell.accuracy)
            _fill(axes, (left, top), grid.cell, shade)
            _write_lines(axes, _lines(view, (source, target)), (left, top), (grid.cell, _ink(shade)))
        if row == column:
            _frame(axes, (left, top), grid.cell, INK if cell.accuracy is None else _ink(_shade(SHADES, cell.accuracy)))
    left, top = corner
    _draw_scale(sheet, view, (left + grid.label, top - grid.height - SCALE))


def _draw_distances(sheet: Sheet, view: TransferMatrixView, grid: _Grid, corner: tuple[float, float]) -> None:
    left, top = corner
    sizes = sorted({cell.n_images for cell in view.distances.values() if cell.value is not None})
    words = f"How far apart: {DISTANCE_WORDS[view.distance]}"
    sheet.text(left, top - 0.05, words, 10, bold=True, va="top")
    if sizes:
        spread = count_of(sizes[-1], "image") if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,} images"
        sheet.text(left, top - 0.26, f"{spread} on each side", 8.5, color=MUTED, va="top")
    corner = (left, top - FAR_HEAD)
    axes = _place(sheet, grid, corner)
    _name(sheet, grid, corner, bold=False)
    scale, decimals = _FarScale.of(view), _decimals(_known_distances(view))
    for (row, one), (column, other) in product(enumerate(view.datasets), repeat=2):
        at = (column * grid.cell[0], row * grid.cell[1])
        cell = view.distances.get((one, other), DistanceCell(None, 0))
        if cell.value is None:
            _hatch(axes, at, grid.cell)
            continue
        shade = _shade(FAR_SHADES, scale.share((one, other), cell.value))
        _fill(axes, at, grid.cell, shade)
        lines = [_Line(_distance(cell.value, decimals), FAR_SIZE)]
        if _is_at_floor(view, one, other):
            lines.append(_Line("≤ floor", 7))
        _write_lines(axes, lines, at, (grid.cell, _ink(shade)))
        if row == column:
            _frame(axes, at, grid.cell, _ink(shade))


@dataclass(frozen=True, slots=True)
class _FarScale:
    """How dark a distance is: by how far it lies above the noise floors of both datasets.

    Attributes:
        floors: Dataset -> its noise floor, 0 or more.
        end: Excess over the floors that has the darkest colour, above 0.
    """

    floors: Mapping[str, float]
    end: float

    @classmethod
    def of(cls, view: TransferMatrixView) -> "_FarScale":
        """Return the scale of all distances of a view."""
        own = {name: view.distances[name, name].value for name in view.datasets if (name, name) in view.distances}
        floors = {name: max(0.0, value) for name, value in own.items() if value is not None}
        scale = cls(floors, 1.0)
        known = [(pair, cell) for pair, cell in view.distances.items() if cell.value is not None]
        ends = [scale.excess(pair, cell.value) for pair, cell in known if cell.value is not None]
        ends += [FLOORS_AT_LEAST[view.distance] * abs(value) for value in own.values() if value is not None]
        if view.distance in ENDS_AT_ONE_OF_M:
            ends += [1 / cell.n_images for _, cell in known if cell.n_images]
        return cls(floors, max(ends, default=0.0) or 1.0)

    def excess(self, pair: tuple[str, str], value: float) -> float:
        """Return by how much a distance lies above the higher floor of the two; 0 for a floor itself."""
        floor = max(self.floors.get(name, 0.0) for name in pair)
        return 0.0 if pair[0] == pair[1] else max(0.0, value - floor)

    def share(self, pair: tuple[str, str], value: float) -> float:
        """Return how dark a distance is, from 0 to 1."""
        return self.excess(pair, value) / self.end

    def in_words(self, view: TransferMatrixView) -> str:
        """Say what the colours mean."""
        times = FLOORS_AT_LEAST[view.distance]
        least = "the largest floor" if times == 1 else f"{times:.0f} times the largest floor"
        least += ", or one over the number of images on a side" if view.distance in ENDS_AT_ONE_OF_M else ""
        end = _distance(self.end, _decimals([self.end]))
        return (
            f"Colours of distances: how far above both floors they lie, darkest at {end}. That is the most of the "
            f"largest such excess, {least}."
        )


def _is_at_floor(view: TransferMatrixView, one: str, other: str) -> bool:
    """Whether two datasets are no further apart than the halves of one of them."""
    value = view.distances[one, other].value
    floors = [view.distances[name, name].value for name in (one, other) if (name, name) in view.distances]
    known = [floor for floor in floors if floor is not None]
    return one != other and value is not None and bool(known) and value <= max(known)


def _decimals(values: Sequence[float]) -> int:
    """Return how many decimals give the largest distance three figures and the smallest one, if one more does."""
    sizes = [abs(value) for value in values if value]
    least, most = min(sizes, default=0.0), max(sizes, default=0.0)
    for decimals in range(7):
        if most * 10**decimals >= 100:
            reach = range(decimals, decimals + 2 if decimals else 1)
            return next((more for more in reach if least * 10**more >= 1), reach[-1])
    return 6


def _distance(value: float, decimals: int) -> str:
    shown = f"{value:,.{decimals}f}"
    is_zero = not any(digit in shown for digit in "123456789")
    return shown.removeprefix("-") if is_zero else shown.replace("-", MINUS)


def _place(sheet: Sheet, grid: _Grid, corner: tuple[float, float]) -> "Axes":
    """Return axes over the cells, whose coordinates are inches from their upper left corner, downwards."""
    left, top = corner
    width = grid.cell[0] * len(grid.names)
    axes = sheet.axes(left + grid.label, top - grid.height, width, grid.body)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(grid.body, 0))
    return axes


def _name(sheet: Sheet, grid: _Grid, corner: tuple[float, float], *, bold: bool) -> None:
    left, top = corner
    size = NAME_SIZE if bold else 8.5
    for row, name in enumerate(distinct_names(grid.names, grid.label - 0.15, size, bold=bold)):
        y = top - grid.head - grid.cell[1] * (row + 0.5)
        sheet.text(left + grid.label - 0.12, y, name, size, bold=bold, ha="right", va="center")
    tilt: dict[str, Any] = {"rotation": TILT_DEGREES, "rotation_mode": "anchor", "ha": "left", "va": "bottom"}
    for column, name in enumerate(distinct_names(grid.names, MAX_COLUMN_LABEL, size)):
        x = left + grid.label + grid.cell[0] * (column + 0.4)
        sheet.text(x, top - grid.head + 0.06, name, size, **tilt)


def _draw_scale(sheet: Sheet, view: TransferMatrixView, corner: tuple[float, float]) -> None:
    """Draw the colours from 0 to 100 %, with a mark at chance where that is one number."""
    left, bottom = corner
    axes = sheet.axes(left, bottom + 0.28, SCALE_WIDTH, SCALE_HEIGHT)
    colours = [[_shade(SHADES, step / 200) for step in range(201)]]
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


def _shade(shades: Sequence[tuple[float, str]], share: float) -> tuple[float, ...]:
    from matplotlib.colors import LinearSegmentedColormap

    return tuple(LinearSegmentedColormap.from_list("share", list(shades))(min(1.0, max(0.0, share)))[:3])


def _ink(shade: tuple[float, ...]) -> str:
    """Return black or white, whichever has the higher contrast (WCAG 2.2, relative luminance)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in shade]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / 0.06 else INK


def _fill(axes: "Axes", at: tuple[float, float], size: tuple[float, float], shade: tuple[float, ...]) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(at, *size, facecolor=shade, edgecolor="white", linewidth=2))


def _hatch(axes: "Axes", at: tuple[float, float], size: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    look: Any = {"facecolor": "white", "edgecolor": REST, "hatch": "////", "linewidth": 0}
    axes.add_patch(Rectangle((at[0] + 0.02, at[1] + 0.02), size[0] - 0.04, size[1] - 0.04, **look))


def _frame(axes: "Axes", at: tuple[float, float], size: tuple[float, float], colour: str) -> None:
    from matplotlib.patches import Rectangle

    look: Any = {"fill": False, "edgecolor": colour, "linewidth": 1.3}
    axes.add_patch(Rectangle((at[0] + 0.045, at[1] + 0.045), size[0] - 0.09, size[1] - 0.09, **look))


def _write_lines(
    axes: "Axes", lines: Sequence[_Line], at: tuple[float, float], look: tuple[tuple[float, float], str]
) -> None:
    """Write lines into the middle of a cell."""
    (width, height), ink = look
    middle = at[0] + width / 2
    y = at[1] + (height - sum(line.height for line in lines)) / 2
    for line in lines:
        if line.has_rule_above:
            rule = y + RULE_GAP / 2
            axes.plot([middle - 0.3, middle + 0.3], [rule, rule], color=ink, linewidth=0.8)
        y += line.height
        own = LARGE_LINE if line.size == LARGE else SMALL_LINE
        text: Any = {"fontproperties": font(line.size, bold=line.bold), "color": ink, "ha": "center", "va": "center"}
        axes.text(middle, y - own / 2, line.text, **text)


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
