"""A chart's page: a matplotlib figure with its title and notes, and a free box between them.

Beside `page.py`, where Pillow draws what has no axes. Figures are drawn by `rendering.py`.

Shapes: lengths are inches.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overlens.png import encode_png
from overlens.report.style import DPI, INK, font, lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Sheet:
    """A figure with its title drawn, and the free box `(left, bottom, width, height)` that is left for content."""

    figure: "Figure"
    box: tuple[float, float, float, float]

    def axes(self, left: float, bottom: float, width: float, height: float) -> "Axes":
        """Add axes at a place in inches from the lower left corner of the figure."""
        total_width, total_height = self.figure.get_size_inches()
        return self.figure.add_axes(
            (left / total_width, bottom / total_height, width / total_width, height / total_height)
        )

    def text(self, x: float, y: float, text: str, size: float, **options: Any) -> None:
        """Write drawable text at a place in inches; `bold` and matplotlib's text options are understood."""
        width, height = self.figure.get_size_inches()
        properties = font(size, bold=options.pop("bold", False))
        self.figure.text(x / width, y / height, text, fontproperties=properties, **{"color": INK} | options)

    def png(self) -> bytes:
        """Return the figure as PNG; equal figures give equal bytes."""
        from overlens.report.rendering import render

        return encode_png(render(self.figure))


def new_sheet(width: float, content_height: float, title: str, lines: tuple[str, ...], notes: tuple[str, ...]) -> Sheet:
    """Make a sheet: a bold title and grey lines above, grey notes below, and `content_height` free between them."""
    from matplotlib.figure import Figure

    frame = lay_out(width, content_height, title, lines, notes)
    sheet = Sheet(Figure(figsize=(width, frame.height), dpi=DPI, facecolor="white"), frame.box)
    for line in frame.lines:
        sheet.text(line.x, line.y, line.text, line.size, bold=line.bold, color=line.colour, va="top")
    return sheet
