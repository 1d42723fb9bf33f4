"""Figures as pixels: texts stand where matplotlib would write them, in their colour, above everything else."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle

from overlens.report.rendering import render
from overlens.report.sheet import new_sheet
from overlens.report.style import DPI

SIZE = 2.0


def sheet_of(text: str, **options):
    sheet = new_sheet(6, SIZE, "", (), ())
    left, bottom, _, _ = sheet.box
    sheet.text(left + 2.0, bottom + 1.0, text, 12, **options)
    return sheet


def extent(pixels: np.ndarray) -> np.ndarray:
    """First and last row and column with ink."""
    rows, columns = np.nonzero((pixels < 200).any(axis=2))
    return np.array([rows.min(), rows.max(), columns.min(), columns.max()])


@pytest.mark.parametrize("text", ["plain", "Ünder $x$", r"\$5 \ a", "two\nlines", "AVATAR fi", "□"])
@pytest.mark.parametrize("place", [("left", "top"), ("center", "center"), ("right", "bottom")])
@pytest.mark.parametrize("look", [{}, {"bold": True}, {"rotation": 40, "rotation_mode": "anchor"}])
def test_texts_stand_where_a_canvas_has_them(text, place, look):
    text = text.replace("$x$", r"\$x\$")
    sheet = sheet_of(text, ha=place[0], va=place[1], **look)
    canvas = FigureCanvasAgg(sheet.figure)
    canvas.draw()
    expected = extent(np.asarray(canvas.buffer_rgba())[:, :, :3])
    assert np.abs(extent(render(sheet.figure)) - expected).max() <= 4


def test_a_text_has_its_colour_and_lies_above_what_is_drawn():
    sheet = sheet_of("■■■", color="#0072B2", ha="left", va="center")
    axes = sheet.axes(0, 0, 6, SIZE)
    axes.add_patch(Rectangle((0, 0), 1, 1, color="#D55E00", zorder=9))
    drawn = {pixel.tobytes() for pixel in render(sheet.figure).reshape(-1, 3)}
    assert {bytes.fromhex("0072B2"), bytes.fromhex("D55E00")} <= drawn


def test_a_figure_has_its_size_and_white_paper():
    pixels = render(new_sheet(6, SIZE, "", (), ()).figure)
    assert pixels.shape[1] == 6 * DPI and pixels.dtype == np.uint8
    assert (pixels == 255).all()
