import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from overlens.report.gallery import draw_gallery
from overlens.report.sheet import Sheet
from overlens.report.style import DATASET_COLOURS, DPI
from overlens.report.venn import draw_overlap_matrix, draw_venn
from overlens.report.venn_labels import STEP, Label, _cells_of_box, place_labels
from overlens.report.views import GalleryText, OverlapText, PairCard, ShownImage
from overlens.venn_layout import (
    place_circles,
    venn_regions,
)
from test_venn_layout import THREE, TWO, overlap_of

TEXT = OverlapText("at cosine similarity ≥ 0.9", "encoder offline (not CLIP)", {"a": 500})


SPECIAL = {
    "empty dataset": overlap_of({"a": 100, "b": 0}, {}),
    "all empty": overlap_of({"a": 0, "b": 0}, {}),
    "one dataset": overlap_of({"a": 10}, {}),
    "hostile names": overlap_of({"$x$ 受胎 🖼️ <b>": 9, "n" * 90: 8}, {}),
}
EVERY = {f"two, {k}": v for k, v in TWO.items()} | {f"three, {k}": v for k, v in THREE.items()} | SPECIAL


@pytest.mark.parametrize(
    ("overlap", "n_rims"),
    [(TWO["identical"], 2), (THREE["all"], 3), (THREE["two inside one"], 1)],
    ids=["two equal", "three equal", "inside"],
)
def test_every_rim_shows_its_colour(overlap, n_rims):
    """Equal circles lie on one another: each has a share of the rim, and a sentence says so."""
    picture = np.asarray(Image.open(io.BytesIO(draw_venn(overlap, TEXT))).convert("RGB"))
    seen = [int((picture == _rgb(colour)).all(axis=2).sum()) for colour in DATASET_COLOURS[: len(overlap.sizes)]]
    assert min(seen) > 400
    if n_rims > 1:
        assert max(seen) < 2 * min(seen)


def _rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize("overlap", EVERY.values(), ids=EVERY.keys())
def test_every_overlap_is_drawn_and_repeats(overlap):
    assert draw_venn(overlap, TEXT) == draw_venn(overlap, TEXT)


DRAWN = {name: overlap for name, overlap in EVERY.items() if name.startswith("t")}


@pytest.mark.parametrize("overlap", DRAWN.values(), ids=DRAWN.keys())
def test_no_two_texts_overlap(overlap):
    regions = venn_regions(overlap)
    names = list(overlap.sizes)
    circles = place_circles(regions)
    low, high = circles.bounds()
    scale = 4.5 / float((high - low).max())
    inches = type(circles)((circles.centres - (low + high) / 2) * scale + [4.6, 2.7], circles.radii * scale)
    labels = [Label(region, ("1,234 of something", "5 of other"), "#000000", is_name=False) for region in regions]
    board = np.zeros((round(5.4 / STEP), round(9.3 / STEP)), int)
    placed = place_labels(labels, names, inches, (9.3, 5.4))
    for one in placed:
        board[_cells_of_box(one)] += 1
    assert len(placed) == len(labels)
    assert board.max() == 1


def test_a_fourth_dataset_needs_a_matrix():
    overlap = overlap_of(dict.fromkeys("abcd", 5), {})
    with pytest.raises(ValueError, match="at most 3 datasets, got 4: draw an overlap matrix"):
        draw_venn(overlap, TEXT)


def test_a_matrix_grows_with_its_datasets_and_repeats():
    names = [f"dataset {i}" for i in range(7)]
    small, large = (overlap_of(dict.fromkeys(names[:n], 30), {(names[0], names[1]): range(5)}) for n in (4, 7))
    first, second = (Image.open(io.BytesIO(draw_overlap_matrix(one, TEXT))).size for one in (small, large))
    assert second[0] > first[0] and second[1] > first[1]
    assert draw_overlap_matrix(small, TEXT) == draw_overlap_matrix(small, TEXT)


@pytest.mark.parametrize(
    "overlap",
    [SPECIAL["hostile names"], SPECIAL["empty dataset"], overlap_of({}, {})],
    ids=["hostile", "empty", "none"],
)
def test_odd_matrices_are_drawn(overlap):
    assert draw_overlap_matrix(overlap, TEXT).startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [draw_venn, draw_overlap_matrix], ids=["venn", "matrix"])
def test_what_was_not_looked_for_is_said_and_is_no_number(draw, monkeypatch):
    plain = TWO["some"]
    overlap = replace(plain, within={**plain.within, "b": None}, pairs_within={**plain.pairs_within, "b": None})
    words = words_of(draw, overlap, monkeypatch)
    assert "Matches within b, the reference, were not looked for." in words
    assert words.count("0.0 %") == (1 if draw is draw_overlap_matrix else 0)
    assert ("not looked\nfor" in words) == (draw is draw_overlap_matrix)


@pytest.mark.parametrize("draw", [draw_venn, draw_overlap_matrix], ids=["venn", "matrix"])
def test_long_names_show_where_they_differ(draw, monkeypatch):
    names = ["museum_collection_2020_train", "museum_collection_2020_test"]
    overlap = overlap_of(dict.fromkeys(names, 30), {(a, b): range(9) for a in names for b in names if a != b})
    words = words_of(draw, overlap, monkeypatch)
    shown = [word for word in words if word.startswith("museum") and "…" in word]
    assert {word[-4:] for word in shown} == {"rain", "test"}


@pytest.mark.parametrize("draw", [draw_venn, draw_overlap_matrix], ids=["venn", "matrix"])
def test_names_that_cannot_be_drawn_differ_in_every_sentence(draw, monkeypatch):
    names = "\u53d7\u80ce", "\u544a\u77e5", "c"
    overlap = overlap_of(
        dict(zip(names, (30, 30, 0), strict=True)), {(a, b): range(30) for a in names[:2] for b in names[:2]}
    )
    overlap = replace(
        overlap, within={**overlap.within, names[1]: None}, pairs_within={**overlap.pairs_within, names[1]: None}
    )
    words = " ".join(words_of(draw, overlap, monkeypatch))
    assert "Images shared by \u25a1\u25a1 (1), \u25a1\u25a1 (2) and c (3)" in words
    assert "Matches within \u25a1\u25a1 (2), the reference" in words
    if draw is draw_venn:
        assert "c (3) holds no image." in words and "The circles of \u25a1\u25a1 (1) and \u25a1\u25a1 (2) lie" in words


def words_of(draw, overlap, monkeypatch) -> list[str]:
    """Draw a picture and return its texts."""
    sheets: list[Sheet] = []
    monkeypatch.setattr(Sheet, "png", lambda sheet: sheets.append(sheet) or b"")
    draw(overlap, TEXT)
    return [text.get_text() for text in sheets[0].figure.findobj(Text)]


def test_texts_name_failures_and_the_criterion():
    text = OverlapText("at phash, distance ≤ 5", attempted={"a": 47, "b": 50})
    assert text.failures(TWO["some"]) == ("Images that could not be read and are not counted: 2 of a.",)
    assert text.lines() == ("two images match at phash, distance ≤ 5",)
    assert text.title(TWO["some"]) == "Images shared by a and b"
    boxes = overlap_of({"\u53d7": 47, "\u544a": 50}, {})
    text = OverlapText("", attempted={"\u53d7": 48, "\u544a": 50})
    assert text.failures(boxes) == ("Images that could not be read and are not counted: 1 of \u53d7 (1).",)
    gallery_text = GalleryText(("\u53d7", "\u544a"), 0, "Alike images", "", (), "")
    assert gallery_text.title(0) == "Alike images between \u53d7 (1) and \u544a (2)"


def card(pixels: np.ndarray | None = None, name: str = "x.jpg") -> PairCard:
    difference = "right picture: mirrored, shows 48 % of the left picture, has 12 % that the left picture has not"
    return PairCard(ShownImage(name, "cat", pixels), ShownImage(name, "dog", pixels), "cosine 0.987", difference)


def gallery(cards: list[PairCard], n_pairs: int) -> Image.Image:
    text = GalleryText(("a", "b"), n_pairs, "Alike images", "most alike", ("encoder x",), "No pairs match.")
    return Image.open(io.BytesIO(draw_gallery(cards, text))).convert("RGB")


@pytest.mark.parametrize(
    ("n_shown", "n_pairs", "title"),
    [
        (0, 0, "Alike images between a and b"),
        (1, 1, "Alike images between a and b: the only pair"),
        (2, 2, "Alike images between a and b: all 2 pairs"),
        (10, 1234, "Alike images between a and b: the 10 most alike of 1,234 pairs"),
    ],
)
def test_the_title_of_a_gallery_counts(n_shown, n_pairs, title):
    assert GalleryText(("a", "b"), n_pairs, "Alike images", "most alike", (), "").title(n_shown) == title


def test_no_pairs_are_a_small_picture_that_says_so():
    assert gallery([], 0).size[1] < 2.5 * DPI


def test_a_gallery_grows_by_rows_of_two_pairs():
    heights = [gallery([card()] * n, 99).size[1] for n in (2, 3, 4, 10)]
    assert heights[0] < heights[1] == heights[2] < heights[3]


def test_a_gallery_shows_the_pixels():
    red = np.full((40, 60, 3), (200, 10, 20), np.uint8)
    shown = np.asarray(gallery([card(red)], 1)).reshape(-1, 3)
    n_red = (np.abs(shown.astype(int) - (200, 10, 20)).max(axis=1) < 3).sum()
    assert n_red == pytest.approx(2 * (2.1 * DPI) * (1.4 * DPI), rel=0.03)


@pytest.mark.parametrize("shape", [(1, 900, 3), (900, 1, 3), (1, 1, 3)])
def test_extreme_shapes_and_names_are_drawn(shape):
    cards = [card(np.zeros(shape, np.uint8), "$x$ 受胎 🖼️ \udcff" + "n" * 200), card(None)]
    assert gallery(cards, 2).size[0] > 0
