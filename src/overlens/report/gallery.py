"""The most alike pairs side by side, so that a person can judge what the numbers found.

Two pairs to a row, each with its rank, its score and in which way its images differ, and under each picture its name,
dataset and label. A picture that cannot be read any more is an empty frame that says so; no pair at all is a small
picture that says that.

Shapes: h x w pixels. Lengths are inches.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.report.names import distinct_names
from overlens.report.style import (
    DPI,
    FAINT,
    INK,
    MUTED,
    drawable,
    font,
    missing_glyph_note,
    new_sheet,
    note_sheet,
    shorten_end,
    shorten_middle,
    text_width,
    wrap_text,
)
from overlens.report.views import GalleryText, PairCard, count_of
from overlens.thumbnails import thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 10.0
FRAME, FRAME_GAP, PAIR_GAP = 2.1, 0.12, 0.5
HEAD, DETAIL, CAPTION, ROW_GAP = 0.28, 0.155, 0.46, 0.26
PAIR_WIDTH = 2 * FRAME + FRAME_GAP
DETAIL_SIZE = 8.0
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
        return note_sheet(title, text.about, message)
    n_columns = min(2, len(pairs))
    n_rows = -(-len(pairs) // 2)
    details = [wrap_text(pair.difference, PAIR_WIDTH, DETAIL_SIZE) for pair in pairs]
    above = HEAD + DETAIL * max(map(len, details))
    height = above + FRAME + CAPTION
    width = WIDTH if n_columns == 2 else 7.0
    sheet = new_sheet(width, n_rows * height + (n_rows - 1) * ROW_GAP, title, text.about, _notes(pairs, text))
    axes = sheet.axes(*sheet.box)
    axes.set_axis_off()
    indent = (sheet.box[2] - n_columns * PAIR_WIDTH - (n_columns - 1) * PAIR_GAP) / 2
    for place, (pair, lines) in enumerate(zip(pairs, details, strict=True)):
        row, column = divmod(place, 2)
        left, top = indent + column * (PAIR_WIDTH + PAIR_GAP), sheet.box[3] - row * (height + ROW_GAP)
        _write_head(axes, f"{place + 1}", (pair.found, lines), (left, top))
        _draw_pair(axes, pair, text.datasets, (left, top - above))
    axes.set(xlim=(0, sheet.box[2]), ylim=(0, sheet.box[3]), aspect="auto")  # imshow has set its own
    return sheet.png()


def _notes(pairs: Sequence[PairCard], text: GalleryText) -> tuple[str, ...]:
    shown = [words for pair in pairs for side in (pair.left, pair.right) for words in (side.name, side.label)]
    return missing_glyph_note([*text.datasets, *shown])


def _write_head(axes: "Axes", rank: str, words: tuple[str, list[str]], corner: tuple[float, float]) -> None:
    """Write above a pair its rank, what was found of it, and in grey how its images differ."""
    (found, details), (left, top) = words, corner
    ranked: dict[str, Any] = {"fontproperties": font(10, bold=True), "va": "center"}
    axes.text(left, top - HEAD / 2, rank, color=MUTED, **ranked)
    shown = shorten_end(found, PAIR_WIDTH - 0.4, 10, bold=True)
    axes.text(left + 0.32, top - HEAD / 2, shown, color=INK, **ranked)
    for place, line in enumerate(details):
        y = top - HEAD - DETAIL * (place + 0.3)
        axes.text(left, y, line, fontproperties=font(DETAIL_SIZE), color=MUTED, va="center")


def _draw_pair(axes: "Axes", pair: PairCard, datasets: tuple[str, str], corner: tuple[float, float]) -> None:
    """Draw both pictures, and under each its name, dataset and label; `corner` is the upper left one."""
    left, y = corner
    sides = (pair.left, pair.right)
    needed = max(text_width(f"{drawable(dataset)} · ", 8) for dataset in datasets)
    label_room = max(FRAME * LABEL_SHARE, FRAME - needed)
    labels = [shorten_middle(side.label, label_room, (8, False)) for side in sides]
    room = FRAME - max(text_width(f" · {label}", 8) for label in labels)
    for place, (side, dataset, label) in enumerate(zip(sides, distinct_names(datasets, room, 8), labels, strict=True)):
        x = left + place * (FRAME + FRAME_GAP)
        _draw_picture(axes, side.pixels, (x, y))
        name = shorten_middle(side.name, FRAME, (8.5, False))
        axes.text(x, y - FRAME - 0.13, name, fontproperties=font(8.5), color=INK, va="center")
        axes.text(x, y - FRAME - 0.32, f"{dataset} · {label}", fontproperties=font(8), color=MUTED, va="center")


def _draw_picture(axes: "Axes", pixels: NDArray[np.uint8] | None, corner: tuple[float, float]) -> None:
    """Draw a picture as large as its frame allows, in the frame's middle; `corner` is the upper left one."""
    from matplotlib.patches import Rectangle

    x, y = corner
    axes.add_patch(Rectangle((x, y - FRAME), FRAME, FRAME, facecolor="#f6f7f8", edgecolor=FAINT, linewidth=0.8))
    middle_x, middle_y = x + FRAME / 2, y - FRAME / 2
    if pixels is None:
        words = "picture cannot be read"
        axes.text(middle_x, middle_y, words, fontproperties=font(8.5), color=MUTED, ha="center", va="center")
        return
    small = thumbnail(pixels, round(FRAME * DPI))
    height, width = small.shape[0], small.shape[1]
    scale = FRAME / max(height, width)
    half_width, half_height = width * scale / 2, height * scale / 2
    extent = (middle_x - half_width, middle_x + half_width, middle_y - half_height, middle_y + half_height)
    axes.imshow(small, extent=extent, interpolation="bilinear", zorder=2)
