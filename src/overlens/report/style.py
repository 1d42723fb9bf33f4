"""The look that all pictures share: palette, type, page frame, and text that cannot do harm.

Pictures are made with matplotlib's Figure object and the Agg canvas, never with pyplot: no global state, so several
threads may draw at once, and no date or version in the file, so equal numbers give equal bytes. The font is the one
that matplotlib carries; a character that it lacks is drawn as a hollow square instead of raising a warning.

Shapes: lengths are inches unless a name says otherwise.
"""

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from overlens.png import encode_png
from overlens.store.fingerprints import made_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

FONT = "DejaVu Sans"
DPI = 150
MARGIN = 0.35
INK, MUTED, FAINT, REST = "#1a1a1a", "#5c6066", "#d9dce0", "#b4b8be"
# Okabe and Ito, "Color universal design" (2008), without black and yellow, which vanish as small points.
DATASET_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Paul Tol's "muted" scheme (technical note SRON/EPS/TN/09-002), most different first; grey is kept for the rest.
LABEL_COLOURS = (
    "#332288", "#CC6677", "#44AA99", "#DDCC77", "#882255", "#88CCEE", "#117733", "#AA4499", "#999933",
)  # fmt: skip
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
PLOTLY_MARKERS = ("circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "x")
MISSING_GLYPH = "\N{WHITE SQUARE}"
HINTING = 1.04  # letters on the pixel grid come out wider than their outlines


def drawn_by() -> str:
    """Return a digest of everything that draws pictures and pages, apart from what they show."""
    shown = "overlap.py", "curves.py", "verdicts.py", "projections/methods.py"  # what pictures derive from records
    drawing = "report", "png.py", "thumbnails.py", "venn_layout.py", "venn_centres.py"
    return made_by((*shown, *drawing), ("matplotlib", "numpy", "pillow", "plotly", "scipy"))


def dataset_colour(position: int) -> str:
    """Return the colour of the dataset at `position`; colours repeat after six, by then with another marker."""
    return DATASET_COLOURS[position % len(DATASET_COLOURS)]


def clean_text(text: str) -> str:
    """Return `text` on one line, with control characters and broken surrogates replaced by U+FFFD."""
    kept = (" " if character.isspace() else character for character in text)
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cs") else c for c in kept)


def drawable(text: str) -> str:
    """Return `text` as the picture's font can draw it, with nothing in it that matplotlib reads as mathematics."""
    known = _known_characters()
    shown = "".join(c if ord(c) in known else MISSING_GLYPH for c in clean_text(text) if not _is_invisible(c))
    return shown.replace("$", r"\$")


def shorten_end(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Return drawable `text`, cut at the end with an ellipsis if it is wider than `width` at `size` points."""
    return shorten_middle(text, width, (size, bold), head_share=1.0)


def shorten_middle(
    text: str, width: float, letters: tuple[float, bool], *, head_share: float = 0.5, ending: str = ""
) -> str:
    """Return drawable `text`, cut with an ellipsis if it is wider than `width`: both ends of a name tell.

    Args:
        text: What to draw.
        width: Room in inches.
        letters: Size in points, and whether they are bold.
        head_share: Share of the kept characters that stand in front of the cut: 0.5 in the middle, 1 at the end.
        ending: Follows the text and is never cut.
    """
    plain, (size, bold) = clean_text(text), letters

    def fits(candidate: str) -> bool:
        return text_width(drawable(candidate), size, bold=bold) <= width

    if fits(plain + ending):
        return drawable(plain + ending)
    low, high = 0, len(plain) - 1
    while low < high:  # the longest cut that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(join_ends(plain, middle, head_share) + ending) else (low, middle - 1)
    return drawable(join_ends(plain, low, head_share) + ending)


def join_ends(text: str, n_kept: int, head_share: float) -> str:
    """Return the first and the last characters of `text`, `n_kept` in all, with an ellipsis between them."""
    n_head = math.ceil(n_kept * head_share)
    return text[:n_head].rstrip() + "…" + text[len(text) - (n_kept - n_head) :].lstrip()


def wrap_text(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Return drawable `text` as lines no wider than `width`; a word that is wider goes on in the next line."""
    lines: list[str] = []
    for word in clean_text(text).split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(drawable(joined), size, bold=bold) <= width:
            lines[-1] = joined
        else:
            lines += _break_word(word, width, (size, bold))
    return [drawable(line) for line in lines]


def _break_word(word: str, width: float, letters: tuple[float, bool]) -> list[str]:
    size, bold = letters
    if len(word) < 2 or text_width(drawable(word), size, bold=bold) <= width:
        return [word]
    n = len(word) - 1
    while n > 1 and text_width(drawable(word[:n]), size, bold=bold) > width:
        n -= 1
    return [word[:n], *_break_word(word[n:], width, letters)]


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of drawable text in inches at `size` points."""
    from matplotlib.textpath import text_to_path

    plain = text.replace(r"\$", "$")
    width, _, _ = text_to_path.get_text_width_height_descent(plain, font(size, bold=bold), ismath=False)
    return float(width) / 72 * HINTING


def missing_glyph_note(texts: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence on empty boxes if drawing any of `texts` needs one."""
    needs = any(MISSING_GLYPH in drawable(text) and MISSING_GLYPH not in text for text in texts)
    return ("An empty box in a name stands for a letter that cannot be drawn here.",) if needs else ()


def font(size: float, *, bold: bool = False) -> "FontProperties":
    """Return the pictures' font at `size` points."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")


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
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return encode_png(pixels[:, :, :3])  # the paper is white, so nothing of it is transparent


def new_sheet(width: float, content_height: float, title: str, lines: tuple[str, ...], notes: tuple[str, ...]) -> Sheet:
    """Make a sheet: a bold title and grey lines above, grey notes below, and `content_height` free between them."""
    from matplotlib.figure import Figure

    room = width - 2 * MARGIN
    heads = [(part, 13.0, True) for part in wrap_text(title, room, 13, bold=True)]
    heads += [(part, 9.0, False) for line in lines for part in wrap_text(line, room, 9)]
    feet = [part for note in notes for part in wrap_text(note, room, 8)]
    top = MARGIN + sum(_leading(size) for _, size, _ in heads) + 0.12
    bottom = MARGIN + (len(feet) * _leading(8) + 0.1 if feet else 0)
    height = top + content_height + bottom
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    sheet = Sheet(figure, (MARGIN, bottom, room, content_height))
    y = height - MARGIN
    for text, size, bold in heads:
        sheet.text(MARGIN, y, text, size, bold=bold, color=INK if bold else MUTED, va="top")
        y -= _leading(size)
    for position, text in enumerate(feet):
        sheet.text(MARGIN, MARGIN + (len(feet) - position) * _leading(8), text, 8, color=MUTED, va="top")
    return sheet


def note_sheet(title: str, lines: tuple[str, ...], message: str) -> bytes:
    """Return a small picture that says in words why there is nothing to draw."""
    sheet = new_sheet(7, 1.1, title, lines, ())
    left, bottom, width, height = sheet.box
    for position, part in enumerate(wrap_text(message, width, 12)):
        y = bottom + height / 2 - position * _leading(12)
        sheet.text(left + width / 2, y, part, 12, color=MUTED, ha="center", va="center")
    return sheet.png()


def _leading(size: float) -> float:
    return size * 1.45 / 72


def _is_invisible(character: str) -> bool:
    """Whether the character only steers layout (joiners, direction marks, variation selectors) and has no shape."""
    return unicodedata.category(character) == "Cf" or 0xFE00 <= ord(character) <= 0xFE0F


@cache
def _known_characters() -> frozenset[int]:
    """Characters that the font has in both weights."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset.intersection(
        *(frozenset(get_font(findfont(font(10, bold=bold))).get_charmap()) for bold in (False, True))
    )
