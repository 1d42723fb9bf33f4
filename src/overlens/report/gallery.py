"""The most alike pairs side by side, so that a person can judge what the numbers found.

Two pairs to a row, each with its rank, its score and in which way its images differ, and under each picture its name,
dataset and label. A picture that cannot be read any more is an empty frame that says so; no pair at all is a small
picture that says that.

Shapes: h x w pixels. Lengths are inches.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overlens.report.names import distinct_names
from overlens.report.page import Page, new_page, note_page
from overlens.report.style import (
    DPI,
    FAINT,
    MUTED,
    drawable,
    missing_glyph_note,
    shorten_end,
    text_width,
    wrap_text,
)
from overlens.report.views import GalleryText, PairCard, count_of
from overlens.thumbnails import fit

WIDTH = 10.0
FRAME, FRAME_GAP, PAIR_GAP = 2.1, 0.12, 0.5
FRAME_PX = round(FRAME * DPI)
HEAD, DETAIL, CAPTION, ROW_GAP = 0.28, 0.155, 0.46, 0.26
PAIR_WIDTH = 2 * FRAME + FRAME_GAP
DETAIL_SIZE = 8.0
_Words = tuple[dict[str, str], dict[str, str]]
LABEL_SHARE = 0.4  # of the room under a picture, which a label has in any case


def draw_gallery(pairs: Sequence[PairCard], text: GalleryText) -> bytes:
    """Draw the given pairs.

    Args:
        pairs: The pairs to show.
        text: What they are, of how many, and how to read them.

    Returns:
        PNG bytes; equal pairs give equal bytes.
    """
    title = text.title(len(pairs))
    if not pairs:
        message = text.none if not text.n_pairs else f"{count_of(text.n_pairs, 'pair')}, none to show."
        return note_page(title, text.about, message)
    n_columns = min(2, len(pairs))
    n_rows = -(-len(pairs) // 2)
    details = [wrap_text(pair.difference, PAIR_WIDTH, DETAIL_SIZE) for pair in pairs]
    above = HEAD + DETAIL * max(map(len, details))
    height = above + FRAME + CAPTION
    width = WIDTH if n_columns == 2 else 7.0
    page = new_page(width, n_rows * height + (n_rows - 1) * ROW_GAP, title, text.about, _notes(pairs, text))
    left, bottom, free_width, free_height = page.box
    words = _shorten(pairs, text.datasets)
    left += (free_width - n_columns * PAIR_WIDTH - (n_columns - 1) * PAIR_GAP) / 2
    for place, (pair, lines) in enumerate(zip(pairs, details, strict=True)):
        row, column = divmod(place, 2)
        x, y = left + column * (PAIR_WIDTH + PAIR_GAP), bottom + free_height - row * (height + ROW_GAP)
        _write_head(page, f"{place + 1}", (pair.found, lines), (x, y))
        _draw_pair(page, pair, text.datasets, words, (x, y - above))
    return page.png()


def _notes(pairs: Sequence[PairCard], text: GalleryText) -> tuple[str, ...]:
    shown = [words for pair in pairs for side in (pair.left, pair.right) for words in (side.name, side.label)]
    return missing_glyph_note([*text.datasets, *shown])


def _write_head(page: Page, rank: str, words: tuple[str, list[str]], corner: tuple[float, float]) -> None:
    """Write above a pair its rank, what was found of it, and in grey how its images differ."""
    (found, details), (left, top) = words, corner
    page.text((left, top - HEAD / 2), rank, 10, colour=MUTED, bold=True)
    shown = shorten_end(found, PAIR_WIDTH - 0.4, 10, bold=True)
    page.text((left + 0.32, top - HEAD / 2), shown, 10, bold=True)
    for place, line in enumerate(details):
        page.text((left, top - HEAD - DETAIL * (place + 0.3)), line, DETAIL_SIZE, colour=MUTED)


def _shorten(pairs: Sequence[PairCard], datasets: tuple[str, str]) -> _Words:
    """Return how the gallery writes each name and each label."""
    sides = [side for pair in pairs for side in (pair.left, pair.right)]
    names, labels = [side.name for side in sides], [side.label for side in sides]
    needed = max(text_width(f"{drawable(dataset)} · ", 8) for dataset in datasets)
    label_room = max(FRAME * LABEL_SHARE, FRAME - needed)
    return (
        dict(zip(names, distinct_names(names, FRAME, 8.5), strict=True)),
        dict(zip(labels, distinct_names(labels, label_room, 8), strict=True)),
    )


def _draw_pair(
    page: Page, pair: PairCard, datasets: tuple[str, str], words: _Words, corner: tuple[float, float]
) -> None:
    """Draw both pictures, and under each its name, dataset and label; `corner` is the upper left one."""
    (left, y), (names, label_of) = corner, words
    sides = (pair.left, pair.right)
    labels = [label_of[side.label] for side in sides]
    room = FRAME - max(text_width(f" · {label}", 8) for label in labels)
    for place, (side, dataset, label) in enumerate(zip(sides, distinct_names(datasets, room, 8), labels, strict=True)):
        x = left + place * (FRAME + FRAME_GAP)
        _draw_picture(page, side.pixels, (x, y))
        page.text((x, y - FRAME - 0.13), names[side.name], 8.5)
        page.text((x, y - FRAME - 0.32), f"{dataset} · {label}", 8, colour=MUTED)


def _draw_picture(page: Page, pixels: NDArray[np.uint8] | None, corner: tuple[float, float]) -> None:
    """Draw a picture as large as its frame allows, in the frame's middle; `corner` is the upper left one."""
    page.frame(corner, FRAME_PX, paper="#f6f7f8", edge=FAINT)
    if pixels is not None:
        page.show(corner, FRAME_PX, fit(pixels, FRAME_PX))
        return
    x, y = corner
    page.text((x + FRAME / 2, y - FRAME / 2), "picture cannot be read", 8.5, colour=MUTED, at="middle")
