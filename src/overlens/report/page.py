"""Pictures without axes, drawn by Pillow: texts, frames and photographs in a fraction of the time of a figure.

They look as those of `style.py` do: the same font, sizes, colours, resolution and lines around the content, and texts
are written as if each had the height of "lp", so that those of one row stand on one line.

Shapes: h x w pixels. Lengths are inches from the lower left corner.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.png import encode_png
from overlens.report.style import DPI, INK, MUTED, lay_out, leading, letters, undisguised, wrap_text

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Page:
    """A picture with its title drawn, and the free box `(left, bottom, width, height)` that is left for content."""

    image: "Image"
    box: tuple[float, float, float, float]

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        """Return the column and row of a place."""
        return round(x * DPI), self.image.height - round(y * DPI)

    def text(
        self, place: tuple[float, float], text: str, size: float, *, colour: str = INK, bold: bool = False, at: str = ""
    ) -> None:
        """Write drawable text.

        Args:
            place: Where.
            text: What.
            size: Points.
            colour: Of the letters.
            bold: Whether they are.
            at: What of the text stands there: its left end in the middle of its height, or the "top" of that, or its
                "middle" both ways.
        """
        from PIL import ImageDraw

        font = letters(size * DPI / 72, bold=bold)
        column, row = self.pixel(*place)
        _, top, _, bottom = font.getbbox("lp", anchor="ls")
        row -= round(top if at == "top" else (top + bottom) / 2)
        anchor = "ms" if at == "middle" else "ls"
        ImageDraw.Draw(self.image).text((column, row), undisguised(text), fill=colour, font=font, anchor=anchor)

    def frame(self, corner: tuple[float, float], side_px: int, paper: str, edge: str) -> None:
        """Draw a square whose upper left corner is given; its edge of two pixels lies on the line."""
        from PIL import ImageDraw

        left, top = self.pixel(*corner)
        outside = left - 1, top - 1, left + side_px, top + side_px
        ImageDraw.Draw(self.image).rectangle(outside, fill=paper, outline=edge, width=2)

    def show(self, corner: tuple[float, float], side_px: int, pixels: NDArray[np.uint8]) -> None:
        """Show `(h, w, 3)` uint8 pixels as they are in the middle of a square whose upper left corner is given."""
        from PIL import Image

        left, top = self.pixel(*corner)
        height, width, _ = pixels.shape
        self.image.paste(Image.fromarray(pixels), (left + (side_px - width) // 2, top + (side_px - height) // 2))

    def png(self) -> bytes:
        """Return the page as PNG; equal pages give equal bytes."""
        return encode_png(np.asarray(self.image))


def new_page(width: float, content_height: float, title: str, lines: tuple[str, ...], notes: tuple[str, ...]) -> Page:
    """Make a page: a bold title and grey lines above, grey notes below, and `content_height` free between them."""
    from PIL import Image

    frame = lay_out(width, content_height, title, lines, notes)
    page = Page(Image.new("RGB", (int(width * DPI), int(frame.height * DPI)), "white"), frame.box)
    for line in frame.lines:
        page.text((line.x, line.y), line.text, line.size, colour=line.colour, bold=line.bold, at="top")
    return page


def note_page(title: str, lines: tuple[str, ...], message: str) -> bytes:
    """Return a small picture that says in words why there is nothing to draw."""
    page = new_page(7, 1.1, title, lines, ())
    left, bottom, width, height = page.box
    for position, part in enumerate(wrap_text(message, width, 12)):
        y = bottom + height / 2 - position * leading(12)
        page.text((left + width / 2, y), part, 12, colour=MUTED, at="middle")
    return page.png()
