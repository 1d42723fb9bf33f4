"""Where does each text of a Venn diagram stand, so that no two texts and no line touch?

A text stands inside its region where all of it fits. Otherwise it stands in the free space around the circles, as near
as can be, with a straight line to its region that crosses no other text and no other line. Room is looked for on a
grid of cells, which is simple and exact enough: a cell is a fiftieth of an inch.

Shapes: h x w cells; k circles. Lengths are inches, the origin is the lower left corner.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.report.style import text_width
from overlens.venn_layout import Circles, Region

STEP = 0.02
PAD, OUTER_PAD = 0.08, 0.18
FONT_SIZE = 9.5
LINE_HEIGHT = FONT_SIZE * 1.35 / 72
RIM_ANGLES = (150, 30, 270)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Label:
    """Lines of text that belong to one region; the first one is bold and in `colour` if `is_name`."""

    region: Region
    lines: tuple[str, ...]
    colour: str
    is_name: bool

    @property
    def width(self) -> float:
        """Width of the widest line."""
        bold = [self.is_name and not place for place in range(len(self.lines))]
        return max(text_width(line, FONT_SIZE, bold=b) for line, b in zip(self.lines, bold, strict=True))

    @property
    def height(self) -> float:
        """Height of all lines."""
        return LINE_HEIGHT * len(self.lines)


@dataclass(frozen=True, slots=True)
class Placed:
    """A label with the middle of its text; one that stands outside its region has the point its line leads to."""

    label: Label
    x: float
    y: float
    anchor: tuple[float, float] | None

    def line(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Return both ends of the line, which begins at the edge of the text, or None for a text in its region."""
        if self.anchor is None:
            return None
        across, up = self.anchor[0] - self.x, self.anchor[1] - self.y
        # The share of the way at which the line from the middle leaves the box of the text.
        leaves = min(
            (self.label.width / 2 + PAD / 2) / max(abs(across), 1e-9),
            (self.label.height / 2 + PAD / 2) / max(abs(up), 1e-9),
            1.0,
        )
        return (self.x + leaves * across, self.y + leaves * up), self.anchor


def place_labels(labels: list[Label], names: list[str], circles: Circles, size: tuple[float, float]) -> list[Placed]:
    """Place every label inside its region where it fits, otherwise around the circles.

    Args:
        labels: The labels.
        names: Dataset of each circle.
        circles: The circles, in inches within `size`, with room for text around them.
        size: Width and height of the drawing.
    """
    xs, ys = (np.arange(STEP / 2, length, STEP) for length in size)
    codes = circles.codes(xs, ys)
    masks = [codes == sum(1 << names.index(name) for name in label.region.datasets) for label in labels]
    placed = [_place_inside(label, mask) for label, mask in zip(labels, masks, strict=True)]
    board = _Board(free=codes == 0, crossable=np.ones(codes.shape, np.bool_))
    for inside in placed:
        if inside is not None:
            board.take(inside)
    for place, (label, mask) in enumerate(zip(labels, masks, strict=True)):
        if placed[place] is None:
            places = tuple(names.index(name) for name in label.region.datasets)
            has_area = label.region.area > 0 and mask.any()  # a sliver between touching rims is no region
            anchor = _deepest(mask) if has_area else _nearest_point(circles, places, (xs, ys))
            placed[place] = board.place_outside(label, anchor)
            board.take(placed[place])
    return [one for one in placed if one is not None]


@dataclass(frozen=True, slots=True)
class _Board:
    """Cells on which text may stand, and cells that a line may cross; both shrink as labels are placed."""

    free: Mask
    crossable: Mask

    def take(self, placed: Placed | None) -> None:
        """Mark the cells of a label and of its line as taken."""
        if placed is None:
            return
        rows, columns = _cells_of_box(placed)
        self.free[rows, columns] = False
        self.crossable[rows, columns] = False
        ends = placed.line()
        if ends is not None:
            line_rows, line_columns = self._cells_of_line(*ends)
            self.free[line_rows, line_columns] = False
            self.crossable[line_rows, line_columns] = False

    def place_outside(self, label: Label, anchor: tuple[float, float]) -> Placed:
        """Return the place nearest to `anchor` where the text stands free and its line crosses nothing."""
        rows, columns = np.nonzero(_fits(self.free, label, OUTER_PAD))
        xs, ys = (columns + 0.5) * STEP, (rows + 0.5) * STEP
        # Measured from the edges of the text, or wide texts would shun the sides.
        across = np.maximum(np.abs(xs - anchor[0]) - label.width / 2, 0)
        up = np.maximum(np.abs(ys - anchor[1]) - label.height / 2, 0)
        order = np.lexsort((columns, rows, np.round(np.hypot(across, up), 6)))
        candidates = [Placed(label, float(xs[i]), float(ys[i]), anchor) for i in order[:: max(1, len(order) // 1000)]]
        for candidate in candidates:
            ends = candidate.line()
            if ends is not None and self.crossable[self._cells_of_line(*ends)].all():
                return candidate
        # Only where circles leave no room at all; the columns that `draw_venn` keeps free rule it out.
        return candidates[0] if candidates else Placed(label, *anchor, None)

    def _cells_of_line(
        self, start: tuple[float, float], end: tuple[float, float]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        n_points = int(np.hypot(end[0] - start[0], end[1] - start[1]) / STEP * 2) + 2
        height, width = self.free.shape
        columns = (np.linspace(start[0], end[0], n_points) / STEP).astype(np.intp).clip(0, width - 1)
        rows = (np.linspace(start[1], end[1], n_points) / STEP).astype(np.intp).clip(0, height - 1)
        return rows, columns


def _place_inside(label: Label, mask: Mask) -> Placed | None:
    """Place the text around the cell deepest in `mask` around which all of it stands in `mask`, if there is any."""
    fits = _fits(mask, label, PAD)
    return Placed(label, *_deepest(mask, fits), None) if fits.any() else None


def _fits(mask: Mask, label: Label, pad: float) -> Mask:
    """Whether the text with a margin of `pad`, its middle in the cell, lies in `mask`."""
    from scipy.ndimage import minimum_filter

    box = [int(np.ceil((length + 2 * pad) / STEP)) | 1 for length in (label.height, label.width)]
    fits: Mask = minimum_filter(mask, size=box, mode="constant", cval=False)
    return fits


def _deepest(mask: Mask, among: Mask | None = None) -> tuple[float, float]:
    """Return the point of `mask`, or of `among` in it, that is farthest from its edge."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(mask)
    depth = depth if among is None else np.where(among, depth, -1.0)
    row, column = np.unravel_index(int(depth.argmax()), mask.shape)
    return (float(column) + 0.5) * STEP, (float(row) + 0.5) * STEP


def _nearest_point(
    circles: Circles, places: tuple[int, ...], grid: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> tuple[float, float]:
    """Return where a region without area would be: nearest to all its circles, or on the rim of its only one."""
    if len(places) == 1:
        angle = np.radians(RIM_ANGLES[places[0]])
        rim = circles.centres[places[0]] + circles.radii[places[0]] * np.array([np.cos(angle), np.sin(angle)])
        return float(rim[0]), float(rim[1])
    xs, ys = grid
    outside = [
        np.hypot(xs[None, :] - circles.centres[i][0], ys[:, None] - circles.centres[i][1]) - circles.radii[i]
        for i in places
    ]
    row, column = np.unravel_index(int(np.max(outside, axis=0).argmin()), (len(ys), len(xs)))
    return float(xs[column]), float(ys[row])


def _cells_of_box(placed: Placed) -> tuple[slice, slice]:
    half_width, half_height = placed.label.width / 2 + PAD / 2, placed.label.height / 2 + PAD / 2
    columns = slice(max(0, int((placed.x - half_width) / STEP)), int((placed.x + half_width) / STEP) + 1)
    rows = slice(max(0, int((placed.y - half_height) / STEP)), int((placed.y + half_height) / STEP) + 1)
    return rows, columns
