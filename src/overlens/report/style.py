"""The look that all pictures share: palette, type, page frame, and text that cannot do harm.

Charts are made with matplotlib's Figure object and the Agg renderer, never with pyplot: no global state, so several
threads may draw at once, and no date or version in the file, so equal numbers give equal bytes. What has no axes is
drawn by Pillow alone (`page.py`), in a fraction of the time. The font is the one that matplotlib carries; a character
that it lacks is drawn as a hollow square instead of raising a warning. Texts are measured by Pillow, too, which takes a
tenth of the time that matplotlib takes.

Shapes: lengths are inches unless a name says otherwise.
"""

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from overlens.store.fingerprints import made_by

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties
    from PIL.ImageFont import FreeTypeFont

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
MEASURED_AT_PX = 2048  # an em of the font's own units, so that measuring rounds nothing


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
    if text.isascii() and text.isprintable():
        return text
    kept = (" " if character.isspace() else character for character in text)
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cs") else c for c in kept)


def drawable(text: str) -> str:
    """Return `text` as the picture's font can draw it, with nothing in it that matplotlib reads as mathematics."""
    shown = clean_text(text)
    if not shown.isascii():
        known = _known_characters()
        shown = "".join(c if ord(c) in known else MISSING_GLYPH for c in shown if not _is_invisible(c))
    return shown.replace("$", r"\$")


def undisguised(drawable_text: str) -> str:
    """Return drawable text as whoever reads no mathematics in it draws it."""
    return drawable_text.replace(r"\$", "$")


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
    """Return drawable `text` as lines no wider than `width`; a word that is wider goes on in the next line.

    A number and the % behind it are one word.
    """
    lines: list[str] = []
    for word in re.findall(r"\S+(?: %\S*)*", " ".join(clean_text(text).split())):
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
    width = letters(MEASURED_AT_PX, bold=bold).getlength(undisguised(text))
    return float(width) / MEASURED_AT_PX * size / 72 * HINTING


def missing_glyph_note(texts: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence on empty boxes if drawing any of `texts` needs one."""
    needs = any(MISSING_GLYPH in drawable(text) and MISSING_GLYPH not in text for text in texts)
    return ("An empty box in a name stands for a letter that cannot be drawn here.",) if needs else ()


def font(size: float, *, bold: bool = False) -> "FontProperties":
    """Return the pictures' font at `size` points."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")


@cache
def letters(size_px: float, *, bold: bool) -> "FreeTypeFont":
    """Return the pictures' font for Pillow; `size_px` is the height of an em."""
    from PIL import ImageFont

    return ImageFont.truetype(_font_file(bold=bold), size_px)


def _font_file(*, bold: bool) -> str:
    from matplotlib import get_data_path

    return str(Path(get_data_path(), "fonts", "ttf", f"DejaVuSans{'-Bold' if bold else ''}.ttf"))


class Line(NamedTuple):
    """A line of drawable text around the content of a picture: its upper left corner in inches, points, colour."""

    x: float
    y: float
    text: str
    size: float
    bold: bool
    colour: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the content: the height of the picture, its lines, and the free box as in `Sheet`."""

    height: float
    lines: tuple[Line, ...]
    box: tuple[float, float, float, float]


def lay_out(width: float, content_height: float, title: str, lines: tuple[str, ...], notes: tuple[str, ...]) -> Frame:
    """Place a bold title and grey lines above `content_height` inches, and grey notes below."""
    room = width - 2 * MARGIN
    heads = [(part, 13.0, True) for part in wrap_title(title, room)]
    heads += [(part, 9.0, False) for line in lines for part in wrap_text(line, room, 9)]
    feet = [part for note in notes for part in wrap_text(note, room, 8)]
    top = MARGIN + sum(leading(size) for _, size, _ in heads) + 0.12
    bottom = MARGIN + (len(feet) * leading(8) + 0.1 if feet else 0)
    height = top + content_height + bottom
    placed, y = [], height - MARGIN
    for text, size, bold in heads:
        placed.append(Line(MARGIN, y, text, size, bold, INK if bold else MUTED))
        y -= leading(size)
    for position, text in enumerate(feet):
        placed.append(Line(MARGIN, MARGIN + (len(feet) - position) * leading(8), text, 8.0, False, MUTED))
    return Frame(height, tuple(placed), (MARGIN, bottom, room, content_height))


def wrap_title(title: str, width: float) -> list[str]:
    """Return a title as bold lines, with no word alone in the last one where the line above can spare its last."""
    lines = wrap_text(title, width, 13, bold=True)
    if len(lines) < 2 or " " in lines[-1]:
        return lines
    above, separator, word = lines[-2].rpartition(" ")
    last = f"{word} {lines[-1]}"
    return [*lines[:-2], above, last] if separator and text_width(last, 13, bold=True) <= width else lines


def leading(size: float) -> float:
    """Return the distance of two lines of text."""
    return size * 1.45 / 72


def _is_invisible(character: str) -> bool:
    """Whether the character only steers layout (joiners, direction marks, variation selectors) and has no shape."""
    return unicodedata.category(character) == "Cf" or 0xFE00 <= ord(character) <= 0xFE0F


@cache
def _known_characters() -> frozenset[int]:
    """Characters that the font has in both weights."""
    from matplotlib.ft2font import FT2Font

    fonts = (FT2Font(_font_file(bold=bold)) for bold in (False, True))
    return frozenset.intersection(*(frozenset(one.get_charmap()) for one in fonts))
