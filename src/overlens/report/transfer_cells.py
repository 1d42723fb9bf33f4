"""Cells of the matrices of transfer: their places, their shades, what is written in them.

Shapes: lengths are inches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overlens.report.names import distinct_names
from overlens.report.sheet import Sheet
from overlens.report.style import INK, REST, font, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGE, SMALL, NAME_SIZE = 11.0, 7.5, 9.5
LARGE_LINE, SMALL_LINE, RULE_GAP, CELL_PAD = 0.2, 0.15, 0.09, 0.1
TILT_DEGREES, MAX_COLUMN_LABEL = 40, 1.5
SINE, COSINE = math.sin(math.radians(TILT_DEGREES)), math.cos(math.radians(TILT_DEGREES))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a cell; a rule separates those without the overlap from those above."""

    text: str
    size: float = SMALL
    bold: bool = False
    has_rule_above: bool = False

    @property
    def height(self) -> float:
        """Height that the line takes, with the rule above it."""
        return (LARGE_LINE if self.size == LARGE else SMALL_LINE) + (RULE_GAP if self.has_rule_above else 0)


@dataclass(frozen=True, slots=True)
class Grid:
    """How large a matrix is: names of rows and columns, size of a cell, and room for the names of rows."""

    names: tuple[str, ...]
    cell: tuple[float, float]
    label: float

    @property
    def width(self) -> float:
        """Width of the matrix with the names of its rows, and the tilted names that stick out."""
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
        """Height of the cells."""
        return self.cell[1] * len(self.names)

    @property
    def height(self) -> float:
        """Height of the cells and of the tilted names."""
        return self.head + self.body


def place_axes(sheet: Sheet, grid: Grid, corner: tuple[float, float]) -> "Axes":
    """Return axes over the cells, whose coordinates are inches from their upper left corner, downwards."""
    left, top = corner
    width = grid.cell[0] * len(grid.names)
    axes = sheet.axes(left + grid.label, top - grid.height, width, grid.body)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(grid.body, 0))
    return axes


def write_names(sheet: Sheet, grid: Grid, corner: tuple[float, float], *, bold: bool) -> None:
    """Write the names of rows at the left and of columns above, tilted."""
    left, top = corner
    size = NAME_SIZE if bold else 8.5
    for row, name in enumerate(distinct_names(grid.names, grid.label - 0.15, size, bold=bold)):
        y = top - grid.head - grid.cell[1] * (row + 0.5)
        sheet.text(left + grid.label - 0.12, y, name, size, bold=bold, ha="right", va="center")
    tilt: dict[str, Any] = {"rotation": TILT_DEGREES, "rotation_mode": "anchor", "ha": "left", "va": "bottom"}
    for column, name in enumerate(distinct_names(grid.names, MAX_COLUMN_LABEL, size)):
        x = left + grid.label + grid.cell[0] * (column + 0.4)
        sheet.text(x, top - grid.head + 0.06, name, size, **tilt)


def shade_of(shades: Sequence[tuple[float, str]], share: float) -> tuple[float, ...]:
    """Return the colour of a share from 0 to 1, as red, green and blue from 0 to 1."""
    from matplotlib.colors import LinearSegmentedColormap

    return tuple(LinearSegmentedColormap.from_list("share", list(shades))(min(1.0, max(0.0, share)))[:3])


def ink_on(shade: tuple[float, ...]) -> str:
    """Return black or white, whichever has the higher contrast (WCAG 2.2, relative luminance)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in shade]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / 0.06 else INK


def fill(axes: "Axes", at: tuple[float, float], size: tuple[float, float], shade: tuple[float, ...]) -> None:
    """Fill a cell with a colour."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(at, *size, facecolor=shade, edgecolor="white", linewidth=2))


def hatch(axes: "Axes", at: tuple[float, float], size: tuple[float, float]) -> None:
    """Hatch a cell that has no figure."""
    from matplotlib.patches import Rectangle

    look: Any = {"facecolor": "white", "edgecolor": REST, "hatch": "////", "linewidth": 0}
    axes.add_patch(Rectangle((at[0] + 0.02, at[1] + 0.02), size[0] - 0.04, size[1] - 0.04, **look))


def frame(axes: "Axes", at: tuple[float, float], size: tuple[float, float], colour: str) -> None:
    """Draw a frame within a cell."""
    from matplotlib.patches import Rectangle

    look: Any = {"fill": False, "edgecolor": colour, "linewidth": 1.3}
    axes.add_patch(Rectangle((at[0] + 0.045, at[1] + 0.045), size[0] - 0.09, size[1] - 0.09, **look))


def write_lines(
    axes: "Axes", lines: Sequence[Line], at: tuple[float, float], look: tuple[tuple[float, float], str]
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
