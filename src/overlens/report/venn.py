"""Venn diagrams of two or three datasets: how many images of each have a match in the others.

Every number is a number of images and says of which dataset, because the two directions differ. A text that does not
fit into its region stands beside the diagram with a line to it, so that nothing is ever written over something else.

Shapes: k circles. Lengths are inches.
"""

from typing import TYPE_CHECKING

import numpy as np

from overlens.report.matrix import draw_overlap_matrix
from overlens.report.style import INK, MUTED, dataset_colour, font, new_sheet, note_sheet, shorten_end
from overlens.report.venn_geometry import Circles, Region, place_circles, venn_regions, worst_region
from overlens.report.venn_labels import FONT_SIZE, LINE_HEIGHT, Label, Placed, place_labels
from overlens.report.views import OverlapText, count_of, join_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from overlens.overlap import Overlap

__all__ = ["draw_overlap_matrix", "draw_venn"]

WIDTH, HEIGHT = 10.0, 5.4
COLUMN = 1.9  # kept free on both sides for texts that do not fit into their region
MAX_TEXT = 1.6


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
    if len(overlap.sizes) > 3:
        raise ValueError(f"a Venn diagram shows at most 3 datasets, got {len(overlap.sizes)}: draw an overlap matrix")
    title, about = text.title(overlap), text.lines()
    regions = venn_regions(overlap)
    if not regions:
        return note_sheet(title, about, "No dataset holds an image.")
    circles = place_circles(regions)
    sheet = new_sheet(WIDTH, HEIGHT, title, about, _venn_notes(overlap, text, (regions, circles)))
    left, bottom, width, height = sheet.box
    axes = sheet.axes(left, bottom, width, height)
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(0, height))
    circles = _scale_into(circles, (COLUMN, width - COLUMN, 0.1, height - 0.1))
    names = [region.datasets[0] for region in regions if len(region.datasets) == 1]
    colours = [dataset_colour(list(overlap.sizes).index(name)) for name in names]
    _draw_circles(axes, circles, colours)
    labels = [_label(region, overlap, text) for region in regions]
    for placed in place_labels([label for label in labels if label is not None], names, circles, (width, height)):
        _draw_label(axes, placed)
    return sheet.png()


def _label(region: Region, overlap: "Overlap", text: OverlapText) -> Label | None:
    if len(region.datasets) > 1:
        if not any(region.counts.values()):
            return None
        lines = tuple(shorten_end(f"{n:,} of {name}", MAX_TEXT, FONT_SIZE) for name, n in region.counts.items())
        return Label(region, lines, INK, is_name=False)
    (name,) = region.datasets
    size, n_attempted = overlap.sizes[name], text.attempted.get(name, overlap.sizes[name])
    lines = (shorten_end(name, MAX_TEXT, FONT_SIZE, bold=True), count_of(size, "image"))
    if n_attempted != size:
        lines += (f"of {n_attempted:,} attempted",)
    lines += (f"{region.counts[name]:,} without a match",)
    return Label(region, lines, dataset_colour(list(overlap.sizes).index(name)), is_name=True)


def _venn_notes(overlap: "Overlap", text: OverlapText, drawn: tuple[tuple[Region, ...], Circles]) -> tuple[str, ...]:
    regions, circles = drawn
    notes = ["A circle's area is its number of images; a shared region's area is the smaller of its numbers."]
    if len(circles.radii) == 3:
        notes[0] = (
            "A circle's area is its number of images; a shared region's area is the smallest of its numbers above 0."
        )
        notes.append("An image stands in exactly one region: that of all the datasets in which it has a match.")
    worst = worst_region(regions, circles)
    if worst is not None:
        region, area = worst
        where = join_names(region.datasets) + (" alone" if len(region.datasets) < 3 else "")
        sizes = f"the region of {where} has the area of {count_of(round(area), 'image')} instead of {region.area:,.0f}"
        notes.append(f"Three circles cannot show all regions to scale: {sizes}.")
    notes += [f"{name} holds no image." for name, size in overlap.sizes.items() if not size]
    return (*notes, *text.failures(overlap))


def _scale_into(circles: Circles, box: tuple[float, float, float, float]) -> Circles:
    low, high = circles.bounds()
    left, right, bottom, top = box
    scale = float(min((right - left) / (high[0] - low[0]), (top - bottom) / (high[1] - low[1])))
    centres = (circles.centres - (low + high) / 2) * scale + np.array([(left + right) / 2, (bottom + top) / 2])
    return Circles(centres, circles.radii * scale)


def _draw_circles(axes: "Axes", circles: Circles, colours: list[str]) -> None:
    from matplotlib.patches import Circle

    for (x, y), radius, colour in zip(circles.centres, circles.radii, colours, strict=True):
        axes.add_patch(Circle((x, y), radius, facecolor=colour, alpha=0.22, linewidth=0))
        axes.add_patch(Circle((x, y), radius, fill=False, edgecolor=colour, linewidth=1.6))


def _draw_label(axes: "Axes", placed: Placed) -> None:
    label, ends = placed.label, placed.line()
    if ends is not None:
        (x, y), (anchor_x, anchor_y) = ends
        axes.plot([x, anchor_x], [y, anchor_y], color=MUTED, linewidth=0.8)
        axes.plot([anchor_x], [anchor_y], marker="o", markersize=3, color=MUTED)
    for place, line in enumerate(label.lines):
        y = placed.y + label.height / 2 - LINE_HEIGHT * (place + 0.5)
        is_head = place == 0 and label.is_name
        ink = label.colour if is_head else INK
        axes.text(placed.x, y, line, fontproperties=font(FONT_SIZE, bold=is_head), color=ink, ha="center", va="center")
