"""Which combinations of datasets share images: an UpSet picture, for more datasets than circles can show.

A column is a combination, its dots the datasets, its bar the groups of copies that lie in exactly these and no others
(A. Lex, N. Gehlenborg, H. Strobelt, R. Vuillemot, H. Pfister, UpSet: visualization of intersecting sets, IEEE TVCG 20,
2014). Images that lie in one dataset alone would dwarf every bar; they are the pale part of the dataset's own bar, with
its number.

Shapes: k datasets, c columns. Lengths are inches.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from overlens.report.names import distinct_names
from overlens.report.page import note_page
from overlens.report.sheet import Sheet, new_sheet
from overlens.report.style import (
    FAINT,
    INK,
    MARGIN,
    MUTED,
    REST,
    dataset_colour,
    font,
    missing_glyph_note,
)
from overlens.report.views import OverlapText, SharedRegion, count_of, share_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from overlens.overlap import Overlap

MAX_COLUMNS = 30
NAME, SIZE_BAR, NUMBERS, GAP = 2.1, 1.25, 1.55, 0.15
ROW, COLUMN, BARS, HEAD = 0.42, 0.44, 2.2, 0.5
SHARED = dataset_colour(0)


def draw_upset(overlap: "Overlap", regions: Sequence[SharedRegion], text: OverlapText) -> bytes:
    """Draw the combinations of datasets that share images, the largest first.

    More than 30 combinations: the 30 largest are drawn, and the line below the title says what the others hold.

    Args:
        overlap: Sizes of the datasets, and how many images of each have a match in another.
        regions: Groups and images of each combination; those of one dataset, or without a group, are not drawn.
        text: Criterion, encoder and numbers of attempted images, as words beside the numbers.

    Returns:
        PNG bytes; equal input gives equal bytes.

    Raises:
        ValueError: A region names a dataset that the overlap does not, or a combination comes twice, or its
            images are not as many as the overlap says.
    """
    _require_regions(overlap, regions)
    shared = _order(overlap, regions)
    title = text.title(overlap)
    if not shared:
        return note_page(title, text.lines(), "No image has a match in another dataset.")
    shown = shared[:MAX_COLUMNS]
    lines = text.lines() + _left_out(shared[MAX_COLUMNS:])
    left_width = NAME + SIZE_BAR + NUMBERS + GAP
    width = max(8.5, 2 * MARGIN + left_width + COLUMN * len(shown) + 0.2)
    rows_height = ROW * len(overlap.sizes)
    sheet = new_sheet(width, HEAD + BARS + 0.15 + rows_height, title, lines, _notes(overlap, text))
    left, bottom, _, _ = sheet.box
    _draw_sizes(sheet, overlap)
    box = left + left_width, bottom, COLUMN * len(shown), rows_height
    _draw_dots(sheet.axes(*box), overlap.datasets, shown)
    _draw_bars(sheet.axes(box[0], bottom + rows_height + 0.15, box[2], BARS), shown)
    _explain_numbers(sheet, box[0] - 0.15, bottom + rows_height + 0.15 + BARS)
    return sheet.png()


def _require_regions(overlap: "Overlap", regions: Sequence[SharedRegion]) -> None:
    combinations = [frozenset(region.datasets) for region in regions]
    unknown = sorted(frozenset().union(*combinations) - set(overlap.sizes))
    if unknown:
        raise ValueError(f"regions name {', '.join(unknown)}; the overlap has {', '.join(overlap.sizes)}")
    if len(set(combinations)) != len(combinations):
        raise ValueError("a combination of datasets comes twice: add its groups up")
    for region, names in zip(regions, combinations, strict=True):
        n_images = sum(overlap.region(name, names - {name}) for name in names)
        if len(names) > 1 and region.n_images != n_images:
            raise ValueError(f"{region.datasets} share {region.n_images} images, but {n_images} by the overlap")


def _order(overlap: "Overlap", regions: Sequence[SharedRegion]) -> list[SharedRegion]:
    """Most groups first; of equal ones that of more images, of fewer datasets, of the first datasets."""
    places = {name: place for place, name in enumerate(overlap.sizes)}

    def rank(region: SharedRegion) -> tuple[int, int, int, list[int]]:
        return (
            -region.n_groups,
            -region.n_images,
            len(region.datasets),
            sorted(map(places.__getitem__, region.datasets)),
        )

    return sorted((r for r in regions if len(r.datasets) > 1 and r.n_groups), key=rank)


def _left_out(rest: Sequence[SharedRegion]) -> tuple[str, ...]:
    if not rest:
        return ()
    n_groups, n_images = sum(region.n_groups for region in rest), sum(region.n_images for region in rest)
    others = f"{count_of(len(rest), 'other')} hold {count_of(n_groups, 'group')} of {count_of(n_images, 'image')}"
    return (f"Drawn are the {MAX_COLUMNS} largest of {MAX_COLUMNS + len(rest)} combinations; the {others} together.",)


def _notes(overlap: "Overlap", text: OverlapText) -> tuple[str, ...]:
    return (
        "A group is one picture with all its copies; it counts in one column, that of all the datasets it lies in.",
        "Bars at the left: images of the dataset, dark those with a match in another dataset. Images of one dataset "
        "alone have no column.",
        *text.failures(overlap),
        *missing_glyph_note(overlap.datasets),
    )


def _explain_numbers(sheet: Sheet, x: float, y: float) -> None:
    """Write left of the first bar what the numbers on it are."""
    sheet.text(x, y + 0.27, "groups in exactly the datasets with a black dot", 8.5, bold=True, ha="right", va="center")
    sheet.text(x, y + 0.1, "their images", 8, color=MUTED, ha="right", va="center")


def _draw_sizes(sheet: Sheet, overlap: "Overlap") -> None:
    left, bottom, _, _ = sheet.box
    n_rows = len(overlap.sizes)
    axes = sheet.axes(left + NAME, bottom, SIZE_BAR, ROW * n_rows)
    axes.set_axis_off()
    axes.set(xlim=(0, max(overlap.sizes.values())), ylim=(n_rows, 0))
    names = distinct_names(overlap.datasets, NAME - 0.15, 9.5, bold=True)
    for row, (name, size) in enumerate(overlap.sizes.items()):
        n_shared = size - overlap.region(name, ())
        axes.barh(row + 0.5, size, height=0.5, color=FAINT, linewidth=0)
        axes.barh(row + 0.5, n_shared, height=0.5, color=SHARED, linewidth=0)
        y = bottom + ROW * (n_rows - row - 0.5)
        sheet.text(left + NAME - 0.1, y, names[row], 9.5, bold=True, ha="right", va="center")
        x = left + NAME + SIZE_BAR + 0.1
        sheet.text(x, y + 0.01, count_of(size, "image"), 8.5, va="bottom")
        share = f" ({share_text(n_shared / size)})" if n_shared else ""
        sheet.text(x, y - 0.01, f"{n_shared:,} shared{share}", 8.5, color=MUTED, va="top")


def _draw_dots(axes: "Axes", names: tuple[str, ...], shown: Sequence[SharedRegion]) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, len(shown)), ylim=(len(names), 0))
    for row in range(0, len(names), 2):
        axes.axhspan(row, row + 1, color="#f4f5f7", linewidth=0, zorder=0)
    for column, region in enumerate(shown):
        rows = [row for row, name in enumerate(names) if name in region.datasets]
        middles: list[Any] = [row + 0.5 for row in range(len(names))]
        axes.plot([column + 0.5] * len(names), middles, "o", color=FAINT, markersize=7, zorder=1)
        axes.plot([column + 0.5] * 2, [rows[0] + 0.5, rows[-1] + 0.5], color=INK, linewidth=1.6, zorder=2)
        axes.plot([column + 0.5] * len(rows), [row + 0.5 for row in rows], "o", color=INK, markersize=7, zorder=3)


def _draw_bars(axes: "Axes", shown: Sequence[SharedRegion]) -> None:
    axes.set_axis_off()
    tallest = shown[0].n_groups
    axes.set(xlim=(0, len(shown)), ylim=(0, tallest))
    axes.axhline(0, color=REST, linewidth=1, clip_on=False)
    for column, region in enumerate(shown):
        axes.bar(column + 0.5, region.n_groups, width=0.6, color=SHARED, linewidth=0)
        _write_number(axes, (column, region.n_groups), _compact(region.n_groups), (font(8.5, bold=True), INK, 13))
        _write_number(axes, (column, region.n_groups), _compact(region.n_images), (font(7.5), MUTED, 3))


def _write_number(axes: "Axes", place: tuple[int, int], number: str, style: tuple[Any, str, int]) -> None:
    (column, height), (properties, colour, points_above) = place, style
    axes.annotate(
        number,
        (column + 0.5, height),
        xytext=(0, points_above),
        textcoords="offset points",
        fontproperties=properties,
        color=colour,
        ha="center",
        va="bottom",
        annotation_clip=False,
    )


def _compact(n: int) -> str:
    """Return a number in at most six characters: "1,234", "12.3k", "1.2M"."""
    if n < 10_000:
        return f"{n:,}"
    if n < 999_950:
        return f"{n / 1000:.1f}k"
    return f"{n / 1_000_000:.1f}M"
