"""The most alike pairs side by side, so that a person can judge what the numbers found.

Two pairs to a row, each with its rank, its score, and under each picture its name, dataset and label. A picture that
cannot be read any more is an empty frame that says so; no pair at all is a small picture that says that.

Shapes: h x w pixels. Lengths are inches.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
)
from overlens.report.views import PairCard, count_of
from overlens.thumbnails import thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 10.0
FRAME, FRAME_GAP, PAIR_GAP = 2.1, 0.12, 0.5
HEAD, CAPTION, ROW_GAP = 0.28, 0.46, 0.26
MIN_SCORE_SIZE = 6.5


def draw_gallery(
    pairs: Sequence[PairCard],
    *,
    datasets: tuple[str, str],
    n_pairs: int,
    criterion: str,
    encoder: str = "",
    order: str = "most alike",
    what: str = "Alike images",
) -> bytes:
    """Draw the given pairs.

    Args:
        pairs: The pairs to show.
        datasets: Dataset of the left and of the right images; twice the same for pairs within one.
        n_pairs: Number of all pairs that were found; the picture says how many of them it shows.
        criterion: When two images match, in words: "at cosine similarity ≥ 0.9".
        encoder: The encoder in words, or "" where none took part.
        order: Which pairs these are, where there are more.
        what: What the pairs are.

    Returns:
        PNG bytes; equal pairs give equal bytes.
    """
    first, second = datasets
    where = f"within {first}" if first == second else f"between {first} and {second}"
    about = " · ".join(part for part in (f"two images match {criterion}", encoder) if part)
    if not pairs:
        message = f"No pairs match {criterion}." if not n_pairs else f"{count_of(n_pairs, 'pair')}, none to show."
        return note_sheet(f"{what} {where}", (about,), message)
    title = f"{what} {where}: {_how_many(len(pairs), n_pairs, order)}"
    n_columns = min(2, len(pairs))
    n_rows = -(-len(pairs) // 2)
    cell_width, cell_height = 2 * FRAME + FRAME_GAP, HEAD + FRAME + CAPTION
    width = WIDTH if n_columns == 2 else 7.0
    sheet = new_sheet(width, n_rows * cell_height + (n_rows - 1) * ROW_GAP, title, (about,), _notes(pairs))
    axes = sheet.axes(*sheet.box)
    axes.set_axis_off()
    indent = (sheet.box[2] - n_columns * cell_width - (n_columns - 1) * PAIR_GAP) / 2
    for place, pair in enumerate(pairs):
        row, column = divmod(place, 2)
        top = sheet.box[3] - row * (cell_height + ROW_GAP)
        _draw_pair(axes, pair, place + 1, (indent + column * (cell_width + PAIR_GAP), top))
    axes.set(xlim=(0, sheet.box[2]), ylim=(0, sheet.box[3]), aspect="auto")  # imshow has set its own
    return sheet.png()


def _notes(pairs: Sequence[PairCard]) -> tuple[str, ...]:
    return missing_glyph_note(
        text for pair in pairs for text in (pair.left_name, pair.left_label, pair.right_name, pair.right_label)
    )


def _how_many(n_shown: int, n_pairs: int, order: str) -> str:
    if n_shown < n_pairs:
        return f"the {n_shown} {order} of {n_pairs:,} pairs"
    return "the only pair" if n_pairs == 1 else f"all {n_pairs} pairs"


def _draw_pair(axes: "Axes", pair: PairCard, rank: int, corner: tuple[float, float]) -> None:
    left, top = corner
    width = 2 * FRAME + FRAME_GAP
    axes.text(left, top - HEAD / 2, f"{rank}", fontproperties=font(10, bold=True), color=MUTED, va="center")
    score, size = drawable(pair.score_text), 10.0
    while size > MIN_SCORE_SIZE and text_width(score, size, bold=True) > width - 0.5:
        size -= 0.5
    score = shorten_end(score, width - 0.5, size, bold=True)
    centred: dict[str, Any] = {"color": INK, "ha": "center", "va": "center"}
    axes.text(left + width / 2, top - HEAD / 2, score, fontproperties=font(size, bold=True), **centred)
    sides = (
        (pair.left_name, pair.left_dataset, pair.left_label, pair.left_pixels),
        (pair.right_name, pair.right_dataset, pair.right_label, pair.right_pixels),
    )
    for place, (name, dataset, label, pixels) in enumerate(sides):
        x, y = left + place * (FRAME + FRAME_GAP), top - HEAD
        _draw_picture(axes, pixels, (x, y))
        name_text = shorten_middle(name, FRAME, 8.5)
        axes.text(x, y - FRAME - 0.13, name_text, fontproperties=font(8.5), color=INK, va="center")
        about = shorten_end(f"{dataset} · {label}", FRAME, 8)
        axes.text(x, y - FRAME - 0.32, about, fontproperties=font(8), color=MUTED, va="center")


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
