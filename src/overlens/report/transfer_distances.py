"""How far apart the datasets are, as a small matrix beside that of transfer.

Shapes: lengths are inches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from overlens.report.benchmark_views import DISTANCE_WORDS, DistanceCell, TransferMatrixView
from overlens.report.sheet import Sheet
from overlens.report.style import MUTED, text_width
from overlens.report.transfer_cells import (
    CELL_PAD,
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
from overlens.report.views import count_of

FAR_SIZE, FAR_WIDTH, FAR_HEIGHT, FAR_LABEL, FAR_HEAD = 8.5, 0.72, 0.42, 1.45, 0.5
# One hue from light to dark; quickly through the middle, on which neither black nor white letters read well.
FAR_SHADES = ((0.0, "#fff8f0"), (0.3, "#fee0c0"), (0.58, "#fdbb80"), (0.68, "#b34e0c"), (1.0, "#7f2704"))
MINUS = "\N{MINUS SIGN}"
# Where the colours of distances end at the latest, so that they do not stretch over noise: at so many times the largest
# noise floor. A Fréchet distance has a floor far above 0 that hardly varies. That of a squared MMD is next to 0, so it
# tells little of what chance gives to halves of m images: at most 0.2 / m for 98 in 100 pairs of random parts of one
# collection of paintings, m from 4 to 87. So its colours end no sooner than at 1 / m either.
FLOORS_AT_LEAST = {"mmd_squared": 10.0, "frechet": 1.0}
ENDS_AT_ONE_OF_M = ("mmd_squared",)


def distance_grid(view: TransferMatrixView) -> Grid | None:
    """Return how large the matrix of distances is; None where there are none."""
    if not view.distances:
        return None
    decimals = _decimals(_known_distances(view))
    texts = [_distance(value, decimals) for value in _known_distances(view)]
    width = max((FAR_WIDTH, *(text_width(text, FAR_SIZE) + 2 * CELL_PAD for text in texts)))
    return Grid(view.datasets, (width, FAR_HEIGHT), FAR_LABEL)


def _known_distances(view: TransferMatrixView) -> list[float]:
    return [cell.value for cell in view.distances.values() if cell.value is not None]


def draw_distances(sheet: Sheet, view: TransferMatrixView, grid: Grid, corner: tuple[float, float]) -> None:
    """Draw the matrix of distances with its heading, its upper left corner at a place of the sheet."""
    left, top = corner
    sizes = sorted({cell.n_images for cell in view.distances.values() if cell.value is not None})
    words = f"How far apart: {DISTANCE_WORDS[view.distance]}"
    sheet.text(left, top - 0.05, words, 10, bold=True, va="top")
    if sizes:
        spread = count_of(sizes[-1], "image") if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,} images"
        sheet.text(left, top - 0.26, f"{spread} on each side", 8.5, color=MUTED, va="top")
    corner = (left, top - FAR_HEAD)
    axes = place_axes(sheet, grid, corner)
    write_names(sheet, grid, corner, bold=False)
    scale, decimals = DistanceScale.of(view), _decimals(_known_distances(view))
    for (row, one), (column, other) in product(enumerate(view.datasets), repeat=2):
        at = (column * grid.cell[0], row * grid.cell[1])
        cell = view.distances.get((one, other), DistanceCell(None, 0))
        if cell.value is None:
            hatch(axes, at, grid.cell)
            continue
        shade = shade_of(FAR_SHADES, scale.share((one, other), cell.value))
        fill(axes, at, grid.cell, shade)
        lines = [Line(_distance(cell.value, decimals), FAR_SIZE)]
        if _is_at_floor(view, one, other):
            lines.append(Line("≤ floor", 7))
        write_lines(axes, lines, at, (grid.cell, ink_on(shade)))
        if row == column:
            frame(axes, at, grid.cell, ink_on(shade))


@dataclass(frozen=True, slots=True)
class DistanceScale:
    """How dark a distance is: by how far it lies above the noise floors of both datasets.

    Attributes:
        floors: Dataset -> its noise floor, 0 or more.
        end: Excess over the floors that has the darkest colour, above 0.
    """

    floors: Mapping[str, float]
    end: float

    @classmethod
    def of(cls, view: TransferMatrixView) -> "DistanceScale":
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
