"""Venn diagrams of two or three datasets: how many images of each have a match in the others.

Every number is a number of images and says of which dataset, because the two directions differ. A text that does not
fit into its region stands beside the diagram with a line to it, so that nothing is ever written over something else.

Shapes: k circles. Lengths are inches.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from overlens.report.matrix import draw_overlap_matrix
from overlens.report.names import distinct_names, names_in_words
from overlens.report.page import note_page
from overlens.report.sheet import new_sheet
from overlens.report.style import (
    INK,
    MUTED,
    dataset_colour,
    font,
    missing_glyph_note,
    text_width,
)
from overlens.report.venn_labels import FONT_SIZE, LINE_HEIGHT, Label, Placed, place_labels
from overlens.report.views import OverlapText, count_of, join_names
from overlens.venn_layout import MAX_SETS, Arrangement, Circles, Region, arrange_circles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from overlens.overlap import Overlap

__all__ = ["draw_overlap_matrix", "draw_venn"]

WIDTH, HEIGHT = 10.0, 5.4
COLUMN = 1.9  # kept free on both sides for texts that do not fit into their region
MAX_TEXT = 1.6
SAME_RIM = 0.004  # of the radius: circles that are nearer than a line is wide
DASH = 5.0


def draw_venn(overlap: "Overlap", text: OverlapText) -> bytes:
    """Draw the overlap of one to three datasets as circles.

    Args:
        overlap: The counts; a dataset without images is named below the diagram.
        text: Criterion, encoder and numbers of attempted images, as words beside the numbers.

    Returns:
        PNG bytes; equal overlaps give equal bytes.

    Raises:
        ValueError: More than three datasets; `draw_overlap_matrix` shows those.
    """
    if len(overlap.sizes) > MAX_SETS:
        raise ValueError(f"a Venn diagram shows at most 3 datasets, got {len(overlap.sizes)}: draw an overlap matrix")
    title, about = text.title(overlap), text.lines()
    if not any(overlap.sizes.values()):
        return note_page(title, about, "No dataset holds an image.")
    arrangement = arrange_circles(overlap)
    sheet = new_sheet(WIDTH, HEIGHT, title, about, _venn_notes(overlap, text, arrangement))
    left, bottom, width, height = sheet.box
    axes = sheet.axes(left, bottom, width, height)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(0, height))
    circles = _scale_into(arrangement.circles, (COLUMN, width - COLUMN, 0.1, height - 0.1))
    names = _names(arrangement)
    _draw_circles(axes, circles, [dataset_colour(overlap.datasets.index(name)) for name in names])
    labels = [_label(region, overlap, text) for region in arrangement.regions]
    for placed in place_labels([label for label in labels if label is not None], names, circles, (width, height)):
        _draw_label(axes, placed)
    return sheet.png()


def _names(arrangement: Arrangement) -> list[str]:
    """Return the dataset of each circle."""
    return [region.datasets[0] for region in arrangement.regions if len(region.datasets) == 1]


def _label(region: Region, overlap: "Overlap", text: OverlapText) -> Label | None:
    if len(region.datasets) > 1:
        if not any(region.counts.values()):
            return None
        heads = [f"{n:,} of " for n in region.counts.values()]
        room = MAX_TEXT - max(text_width(head, FONT_SIZE) for head in heads)
        names = dict(zip(overlap.datasets, distinct_names(overlap.datasets, room, FONT_SIZE), strict=True))
        lines = tuple(head + names[name] for head, name in zip(heads, region.counts, strict=True))
        return Label(region, lines, INK, is_name=False)
    (name,) = region.datasets
    place, size = overlap.datasets.index(name), overlap.sizes[name]
    n_attempted = text.attempted.get(name, size)
    lines = (distinct_names(overlap.datasets, MAX_TEXT, FONT_SIZE, bold=True)[place], count_of(size, "image"))
    if n_attempted != size:
        lines += (f"of {n_attempted:,} attempted",)
    if len(overlap.sizes) > 1:
        lines += (f"{region.counts[name]:,} without a match",)
    elif overlap.within[name] is not None:
        lines += (f"{overlap.within[name]:,} with a match",)
    return Label(region, lines, dataset_colour(place), is_name=True)


def _venn_notes(overlap: "Overlap", text: OverlapText, arrangement: Arrangement) -> tuple[str, ...]:
    n_circles = len(arrangement.circles.radii)
    notes = ["A circle's area is its number of images."]
    if n_circles == 2:
        notes = ["A circle's area is its number of images; a shared region's area is the smaller of its numbers."]
    if n_circles == MAX_SETS:
        notes = [
            "A circle's area is its number of images; a shared region's area is the smallest of its numbers above 0.",
            "An image stands in exactly one region: that of all the datasets in which it has a match.",
        ]
    words = names_in_words(overlap.datasets)
    notes += [f"{sentence[0].upper()}{sentence[1:]}." for sentence in arrangement.describe_misfit(words)]
    names = _names(arrangement)
    for same in _same_circles(arrangement.circles):
        if len(same) > 1:
            where = join_names([words[names[place]] for place in same])
            notes.append(f"The circles of {where} lie on one another: their rim has the colours of {_both(same)}.")
    notes += [f"{words[name]} holds no image." for name, size in overlap.sizes.items() if not size]
    return (*notes, *text.unsought(overlap), *text.failures(overlap), *missing_glyph_note(overlap.datasets))


def _both(places: tuple[int, ...]) -> str:
    return "both" if len(places) == 2 else "all of them"


def _same_circles(circles: Circles) -> list[tuple[int, ...]]:
    """Return the circles by their place: those that cannot be told apart by eye stand together."""
    same: list[tuple[int, ...]] = []
    for place, (centre, radius) in enumerate(zip(circles.centres, circles.radii, strict=True)):
        for number, (first, *_) in enumerate(same):
            off = float(np.hypot(*(centre - circles.centres[first]))) + abs(radius - circles.radii[first])
            if off < SAME_RIM * radius:
                same[number] = (*same[number], place)
                break
        else:
            same.append((place,))
    return same


def _scale_into(circles: Circles, box: tuple[float, float, float, float]) -> Circles:
    low, high = circles.bounds()
    left, right, bottom, top = box
    scale = float(min((right - left) / (high[0] - low[0]), (top - bottom) / (high[1] - low[1])))
    centres = (circles.centres - (low + high) / 2) * scale + np.array([(left + right) / 2, (bottom + top) / 2])
    return Circles(centres, circles.radii * scale)


def _draw_circles(axes: "Axes", circles: Circles, colours: list[str]) -> None:
    """Draw the circles; rims that lie on one another are dashed, so that each shows in the gaps of the others."""
    from matplotlib.patches import Circle

    for (x, y), radius, colour in zip(circles.centres, circles.radii, colours, strict=True):
        axes.add_patch(Circle((x, y), radius, facecolor=colour, alpha=0.22, linewidth=0))
    for same in _same_circles(circles):
        x, y = circles.centres[same[0]]
        for number, place in enumerate(same):
            style: Any = {"fill": False, "edgecolor": colours[place], "linewidth": 1.6}
            if len(same) > 1:
                style |= {"linewidth": 3.0, "capstyle": "butt"}
                style["linestyle"] = (-number * DASH, (DASH, DASH * (len(same) - 1)))
            axes.add_patch(Circle((x, y), circles.radii[place], **style))


def _draw_label(axes: "Axes", placed: Placed) -> None:
    label, ends = placed.label, placed.line()
    if ends is not None:
        (x, y), (anchor_x, anchor_y) = ends
        axes.plot([x, anchor_x], [y, anchor_y], color=MUTED, linewidth=0.8)
        dot = label.colour if label.is_name else MUTED
        axes.plot([anchor_x], [anchor_y], marker="o", markersize=4 if label.is_name else 3, color=dot)
    for place, line in enumerate(label.lines):
        y = placed.y + label.height / 2 - LINE_HEIGHT * (place + 0.5)
        is_head = place == 0 and label.is_name
        ink = label.colour if is_head else INK
        axes.text(placed.x, y, line, fontproperties=font(FONT_SIZE, bold=is_head), color=ink, ha="center", va="center")
