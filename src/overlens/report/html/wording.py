"""Texts as the templates write them: numbers with the digits that count, and names that cannot turn their neighbours.

A name in a script that runs from right to left would carry the numbers beside it along; where a sentence holds such a
name, it is isolated.
"""

import re
import unicodedata
from collections.abc import Sequence

from markupsafe import Markup, escape

from overlens.report.style import clean_text

NOTHING = "\N{EN DASH}"
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_FIGURE = re.compile(r"[+-]?[\d.,]+( to [+-]?[\d.,]+( %)?| %| points)")
_TURNING = ("R", "AL", "AN", "RLE", "LRE", "RLO", "LRO", "RLI", "LRI", "FSI", "PDF", "PDI")


def cell_text(value: str | int | float | None) -> str:
    """Return a cell of a table as people read it: "1,234", "0.5123", a dash for a value that is not there."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int):
        return f"{value:,}"
    if value != value or value in (float("inf"), float("-inf")):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def is_number(value: object) -> bool:
    """Whether a cell holds a number, the place of one, or a figure with its unit: "95.1 %", "+0.0 to +11.9"."""
    return (
        value is None or isinstance(value, int | float) or (isinstance(value, str) and bool(_FIGURE.fullmatch(value)))
    )


def size_text(n_bytes: int) -> str:
    """Return the size of a file as people read it: "812 bytes", "4.8 MB"."""
    size, unit = float(n_bytes), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 99.5 else f"{size:.1f} {_UNITS[unit]}"


def isolate(text: str, names: Sequence[str]) -> Markup:
    """Return a sentence as markup, each of the names in it that runs from right to left isolated.

    A number and the % behind it stay on one line.
    """
    plain = re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", clean_text(text))
    turning = sorted({clean_text(name) for name in names if _turns(name)}, key=lambda name: (-len(name), name))
    if not turning:
        return escape(plain)
    parts = re.split("(" + "|".join(map(re.escape, turning)) + ")", plain)
    return Markup("").join(
        Markup("<bdi>{}</bdi>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def _turns(name: str) -> bool:
    return any(unicodedata.bidirectional(character) in _TURNING for character in name)
