"""Numbers into plots: projections, cross-dataset generalization and overlap matrices as PNG bytes.

A plot must be understood by a stranger: the title says what is drawn, the line below it from what, the legend stands
beside the points and never on them, and whatever was left out is stated.

Shapes: n images. Lengths are inches.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.report.colouring import ColourGroup, colour_groups, dataset_marker, split_count
from overlens.report.names import distinct_names, names_in_words
from overlens.report.page import note_page
from overlens.report.sheet import Sheet, new_sheet
from overlens.report.style import (
    FAINT,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    REST,
    dataset_colour,
    drawable,
    font,
    missing_glyph_note,
    text_width,
)
from overlens.report.views import ProjectionView, TransferRow, TransferView, count_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_SIDE, LEGEND_WIDTH, LEGEND_ROW, GAP = 6.4, 2.7, 0.25, 0.25
MAX_CLASSES = 40
BAR_ROW, LABELS, NUMBERS, AXIS = 0.26, 2.5, 2.3, 0.5
LABEL_SIZE = 9.0


def draw_projection(view: ProjectionView, *, coloured_by: str) -> bytes:
    """Draw the images as points, coloured by "dataset" or by "label"; the legend stands to the right.

    Returns:
        PNG bytes; equal views give equal bytes.
    """
    groups = colour_groups(view, coloured_by, join_rest=True)
    shapes = view.dataset_names if coloured_by == "label" and len(view.dataset_names) > 1 else ()
    n_legend_rows = len(groups) + (len(shapes) + 2 if shapes else 0) + 1
    legend_width = _legend_width([group.text for group in groups] + list(shapes))
    width = 2 * MARGIN + PLOT_SIDE + GAP + legend_width
    height = max(PLOT_SIDE, n_legend_rows * LEGEND_ROW)
    sheet = new_sheet(
        width, height, view.title(coloured_by, drawn=True), (view.subtitle(),), _projection_notes(view, groups)
    )
    left, bottom, _, _ = sheet.box
    axes = sheet.axes(left, bottom + height - PLOT_SIDE, PLOT_SIDE, PLOT_SIDE)
    _draw_points(axes, view, groups)
    legend = sheet.axes(left + PLOT_SIDE + GAP, bottom, legend_width, height)
    _draw_legend(legend, view, groups, (coloured_by, shapes))
    return sheet.png()


def draw_transfer(view: TransferView) -> bytes:
    """Draw how alike the common classes of two datasets are: a bar per class, most alike first.

    More than 40 classes: the 20 most and the 20 least alike are drawn, and the line below the title says so.
    """
    words = names_in_words((view.source, view.target))
    source, target = words[view.source], words[view.target]
    title = f"From {source} to {target}: how alike are the common classes?"
    about = f"{view.encoder} · labels: {view.label_source}"
    if not view.rows:
        message = f"{source} and {target} have no class in common."
        return note_page(title, (about,), message)
    rows = sorted(view.rows, key=lambda row: (-_bar_length(row), row.label))
    shown = rows if len(rows) <= MAX_CLASSES else rows[: MAX_CLASSES // 2] + rows[-MAX_CLASSES // 2 :]
    lines: tuple[str, ...] = (f"{count_of(len(rows), 'common class')} · {about}",)
    if len(shown) < len(rows):
        half = MAX_CLASSES // 2
        lines += (f"Drawn are the {half} most and the {half} least alike classes; all are in the JSON file.",)
    sheet = new_sheet(10, BAR_ROW * (len(shown) + (len(shown) < len(rows))) + 0.95, title, lines, _transfer_notes(view))
    _draw_bars(sheet, view, shown, len(rows))
    return sheet.png()


def _bar_length(row: TransferRow) -> float:
    """Length of the bar of a class; one without a centroid similarity sorts below all that can be."""
    return -2.0 if row.centroid_similarity is None else row.centroid_similarity


def _projection_notes(view: ProjectionView, groups: list[ColourGroup]) -> tuple[str, ...]:
    notes = ["Points close together are images that the encoder finds alike; the axes have no unit."]
    notes += [f"Adjusted: {note}." for note in view.notes]
    notes += missing_glyph_note([*view.dataset_names, *(group.text for group in groups)])
    return tuple(notes)


def _draw_points(axes: "Axes", view: ProjectionView, groups: list[ColourGroup]) -> None:
    axes.set_facecolor("white")
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=1)
    _set_square_limits(axes, view.coordinates)
    area = float(np.clip(20_000 / max(1, len(view.names)), 5, 45))
    markers = np.array([dataset_marker(view, name) for name in view.datasets], np.intp)
    # Grey first, then from many to few, so that the rare ones stay visible.
    for group in sorted(groups, key=lambda group: (group.colour not in (REST, FAINT), -len(group.rows))):
        for marker in np.unique(markers[group.rows]):
            points = view.coordinates[group.rows[markers[group.rows] == marker]]
            axes.scatter(
                points[:, 0], points[:, 1], s=area, c=group.colour, marker=MARKERS[marker], alpha=0.75, linewidths=0
            )


def _set_square_limits(axes: "Axes", coordinates: NDArray[np.float32]) -> None:
    """Show all points with a margin and one scale for both axes; points on one spot get a frame of their own."""
    if not len(coordinates):
        return
    low, high = coordinates.min(axis=0).astype(float), coordinates.max(axis=0).astype(float)
    half = max(float((high - low).max()) / 2, 1e-3) * 1.05
    middle = (low + high) / 2
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))


def _draw_legend(
    axes: "Axes", view: ProjectionView, groups: list[ColourGroup], wanted: tuple[str, tuple[str, ...]]
) -> None:
    coloured_by, shapes = wanted
    place = {name: dataset_marker(view, name) for name in view.dataset_names}
    datasets = list(place)
    entries = [
        (group.text, group.colour, MARKERS[place[datasets[row]]] if coloured_by == "dataset" else "o")
        for row, group in enumerate(groups)
    ]
    shape_entries = [(name, MUTED, MARKERS[place[name]]) for name in shapes]
    _, top = _prepare_inches(axes)
    y = _draw_entries(axes, top, coloured_by.capitalize(), entries)
    if shape_entries:
        _draw_entries(axes, y - LEGEND_ROW * 0.7, "Dataset", shape_entries)


def _legend_width(texts: list[str]) -> float:
    widest = max((text_width(drawable(text), 9) for text in texts), default=0.0)
    return min(LEGEND_WIDTH, max(1.2, widest + 0.35))


def _prepare_inches(axes: "Axes") -> tuple[float, float]:
    """Hide the axes and let their coordinates be inches from the lower left corner."""
    figure = axes.get_figure()
    assert figure is not None  # these axes were made on one
    box, (width, height) = axes.get_position(), figure.get_size_inches()  # type: ignore[union-attr]
    axes.set_axis_off()
    axes.set(xlim=(0, box.width * width), ylim=(0, box.height * height))
    return float(box.width * width), float(box.height * height)


def _draw_entries(axes: "Axes", y: float, heading: str, entries: list[tuple[str, str, str]]) -> float:
    axes.text(0, y - LEGEND_ROW / 2, heading, fontproperties=font(9.5, bold=True), color=INK, va="center")
    shown_texts = _shorten_counted([text for text, _, _ in entries])
    for shown, (_, colour, marker) in zip(shown_texts, entries, strict=True):
        y -= LEGEND_ROW
        axes.scatter([0.08], [y - LEGEND_ROW / 2], s=42, c=colour, marker=marker, linewidths=0)
        axes.text(0.25, y - LEGEND_ROW / 2, shown, fontproperties=font(9), color=INK, va="center")
    return y - LEGEND_ROW


def _shorten_counted(texts: Sequence[str]) -> list[str]:
    """Shorten the words of each "words (12)" but not the number, so that no two become equal."""
    words, counts = zip(*map(split_count, texts), strict=True) if texts else ((), ())
    room = LEGEND_WIDTH - 0.3 - max((text_width(count, 9) for count in counts), default=0.0)
    return [name + count for name, count in zip(distinct_names(words, room, 9), counts, strict=True)]


def _transfer_notes(view: TransferView) -> tuple[str, ...]:
    notes = [
        "Bar: cosine similarity of the two class means. Ring: mean cosine similarity of all image pairs of the class."
    ]
    if view.overall is not None:
        notes.append(f"Dashed line: mean of the bars over all common classes, {view.overall:.3f}.")
    if any(row.centroid_similarity is None for row in view.rows):
        notes.append("No bar: a class mean is zero, so it has no direction.")
    notes += missing_glyph_note([view.source, view.target, *(row.label for row in view.rows)])
    return tuple(notes)


def _draw_bars(sheet: Sheet, view: TransferView, rows: list[TransferRow], n_classes: int) -> None:
    left, bottom, width, height = sheet.box
    n_gaps = 1 if len(rows) < n_classes else 0  # an empty row where classes are left out
    n_slots = len(rows) + n_gaps
    axes = sheet.axes(left + LABELS, bottom + AXIS, width - LABELS - NUMBERS, height - AXIS - 0.3)
    places = np.arange(len(rows))
    slots = n_slots - places - np.where(places >= MAX_CLASSES // 2, n_gaps, 0)
    axes.barh(slots, [row.centroid_similarity or 0.0 for row in rows], height=0.62, color="#7fb2d6", zorder=2)
    means = [row.mean_similarity for row in rows]
    axes.scatter(means, slots, s=26, facecolors="white", edgecolors=INK, linewidths=1.1, zorder=4)
    if view.overall is not None:
        axes.axvline(view.overall, color=dataset_colour(1), linestyle=(0, (4, 3)), linewidth=1.3, zorder=3)
    _dress_bars(axes, rows, n_slots)
    scale = (height - AXIS - 0.3) / (n_slots + 0.2)
    labels = distinct_names([row.label for row in rows], LABELS - 0.15, LABEL_SIZE)
    for slot, row, label in zip(slots, rows, labels, strict=True):
        _write_numbers(sheet, row, label, bottom + AXIS + (slot - 0.4) * scale)
    if n_gaps:
        y = bottom + AXIS + (n_slots - MAX_CLASSES // 2 - 0.4) * scale
        left_out = f"{n_classes - len(rows):,} classes left out"
        sheet.text(left + LABELS - 0.1, y, left_out, 8.5, ha="right", va="center", color=MUTED)
    _write_numbers(sheet, None, "class", bottom + height - 0.12)


def _write_numbers(sheet: Sheet, row: TransferRow | None, label: str, y: float) -> None:
    """Write what stands beside a bar, or the heads of the columns where there is no row."""
    left, _, width, _ = sheet.box
    value, counts = "bar", "images, source → target"
    if row is not None:
        counts = f"{row.n_source:,} → {row.n_target:,}"
        value = "none" if row.centroid_similarity is None else f"{row.centroid_similarity:.3f}"
    ink = {"color": INK if row is not None else MUTED}
    sheet.text(left + LABELS - 0.1, y, label, LABEL_SIZE, ha="right", va="center", **ink)
    sheet.text(left + width - NUMBERS + 0.55, y, value, 8.5, ha="right", va="center", **ink)
    sheet.text(left + width, y, counts, 8.5, ha="right", va="center", color=MUTED)


def _dress_bars(axes: "Axes", rows: list[TransferRow], n_slots: int) -> None:
    lowest = min(min(row.centroid_similarity or 0.0, row.mean_similarity) for row in rows)
    axes.set(xlim=(min(0.0, np.floor(lowest * 10) / 10), 1.0), ylim=(0.4, n_slots + 0.6))
    axes.set_yticks([])
    axes.grid(axis="x", color=FAINT, linewidth=0.8, zorder=0)
    axes.tick_params(axis="x", length=0, labelsize=8.5, labelcolor=MUTED, labelfontfamily="DejaVu Sans")
    for side, spine in axes.spines.items():
        spine.set(visible=side == "left", color=MUTED, linewidth=1)
    axes.set_xlabel("cosine similarity", fontproperties=font(9), color=MUTED)
