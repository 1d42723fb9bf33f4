"""Galleries: nothing collides or is cut, whatever names, numbers and pictures they show."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from overlens.report.gallery import FRAME_PX, draw_gallery
from overlens.report.page import Page, note_page
from overlens.report.style import DPI, INK, MARGIN, letters, text_width, undisguised, wrap_title
from overlens.report.views import GalleryText, PairCard, ShownImage

LONG = "right picture: mirrored, shows 48 % of the left picture, has 12 % that the left picture has not"
NAMES = {
    "plain": ("archive", "web", "class-6/00439.jpg", "class-6"),
    "long": ("museum_collection_2020_train" * 3, "museum_collection_2020_test" * 3, "n" * 200 + ".jpg", "label" * 30),
    "accents": ("Vélàzquez", "Ångström Œuvre", "Übermaß/Đường.jpg", "Žluťoučký kůň"),
    "no glyph": ("受胎告知", "受胎", "$x$ 受胎 🖼️ \udcff \\$ .jpg", "<b>告知</b>"),
    "right to left": ("مرحبا", "שלום", "مرحبا بالعالم.jpg", "שלום עולם"),
    "empty": ("a", "b", "", ""),
}
SHAPES = {
    "landscape": (200, 315, 3),
    "small": (10, 12, 3),
    "large": (512, 300, 3),
    "row": (1, 900, 3),
    "column": (900, 1, 3),
    "pixel": (1, 1, 3),
}


def gallery(names, n_pairs, pixels, difference=LONG):
    first, second, name, label = names
    cards = [PairCard(*(ShownImage(name, label, pixels),) * 2, "same picture, strength 0.98", difference)] * n_pairs
    return draw_gallery(
        cards, GalleryText((first, second), 99, "Verified copies", "least sure", ("how to read",), "None.")
    )


@pytest.fixture
def boxes(monkeypatch):
    """The boxes of all texts that pages write, in pixels, and the pages."""
    found, pages, write = [], [], Page.text

    def watch(page, place, text, size, **options):
        font = letters(size * DPI / 72, bold=options.get("bold", False))
        left, top, right, bottom = font.getbbox(undisguised(text), anchor="ls")
        column, row = page.pixel(*place)
        if options.get("at") == "middle":
            left, right = left - (right - left) / 2, (right - left) / 2
        row -= font.getbbox("lp", anchor="ls")[1] if options.get("at") == "top" else -font.size * 0.28
        found.append((text, (column + left, row + top, column + right, row + bottom)))
        pages.append(page)
        write(page, place, text, size, **options)

    monkeypatch.setattr(Page, "text", watch)
    return found, pages


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("n_pairs", [1, 2, 12])
def test_no_text_meets_another_or_the_rim(names, n_pairs, boxes):
    gallery(names, n_pairs, None)
    found, pages = boxes
    width, height = pages[0].image.size
    for text, (left, top, right, bottom) in found:
        assert MARGIN * DPI - 3 <= left and right <= width - MARGIN * DPI + 3, text
        assert 0 <= top and bottom <= height, text
    for (one, first), (other, second) in combinations(found, 2):
        beside = first[2] <= second[0] or second[2] <= first[0]
        assert beside or first[3] <= second[1] + 2 or second[3] <= first[1] + 2, (one, other)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_picture_fills_its_frame_along_its_longer_side(shape):
    drawn = np.asarray(Image.open(io.BytesIO(gallery(NAMES["plain"], 1, np.full(shape, (200, 10, 20), np.uint8)))))
    is_red = (np.abs(drawn.astype(int) - (200, 10, 20)).max(axis=2) == 0).astype(int)
    height, width = (max(1, round(side * FRAME_PX / max(shape[:2]))) for side in shape[:2])
    assert is_red.sum() == 2 * height * width
    assert is_red.any(axis=1).sum() == height and is_red.any(axis=0).sum() == 2 * width


def test_galleries_repeat():
    assert len({gallery(NAMES["accents"], 3, np.full((5, 5, 3), 9, np.uint8)) for _ in range(2)}) == 1


def test_pictures_that_cannot_be_read_are_told_in_their_frames(boxes):
    gallery(NAMES["plain"], 3, None)
    assert [text for text, _ in boxes[0]].count("picture cannot be read") == 6


def test_a_note_stands_in_the_middle():
    drawn = np.asarray(Image.open(io.BytesIO(note_page("Title", ("how",), "No pair."))).convert("L"))
    columns = np.flatnonzero((drawn[-round(0.9 * DPI) :] < 250).any(axis=0))
    assert columns.mean() == pytest.approx(3.5 * DPI, abs=3)


def test_letters_have_their_colour():
    drawn = np.asarray(Image.open(io.BytesIO(note_page("Title", (), "No pair."))))
    assert tuple(int(INK[i : i + 2], 16) for i in (1, 3, 5)) in {
        tuple(pixel) for pixel in drawn.reshape(-1, 3).tolist()
    }


@pytest.mark.parametrize(
    ("title", "ends"),
    [
        ("Verified copies between one and two: the least sure of twenty pairs", ["the least sure of", "twenty pairs"]),
        ("Verified copies", ["Verified copies"]),
        ("Verified copies of all " + "n" * 30, ["Verified copies of all", "n" * 30]),
    ],
    ids=["two words", "one line", "no room for two"],
)
def test_no_word_of_a_title_stands_alone_in_its_last_line_if_there_is_room(title, ends):
    alone = title.rpartition(" ")[0] if "twenty" in title else "n" * 31
    lines = wrap_title(title, text_width(alone, 13, bold=True))
    assert [line[-len(end) :] for line, end in zip(lines, ends, strict=True)] == ends
