"""Pictures of curves show every line with its number, and no text hides another."""

import io
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from overlens.curves import OverlapCurve, cosine_thresholds, distance_thresholds, rung_curves
from overlens.report.curve import MOST_COLOURED, draw_curves
from overlens.report.style import DATASET_COLOURS, REST, Sheet
from overlens.report.views import CurveView, share_text

NAMES = ("ArtDL", "wikidata", "a_very_long_name_of_a_dataset_of_2024_final", "受胎 🖼️ $x$", "e", "f", "g", "h", "i", "j")


def view_of(method, n_datasets, shares=None, sizes=None):
    """Curves that fall from the loosest threshold on, to the given share at the strictest."""
    rng = np.random.default_rng(n_datasets)
    names = NAMES[:n_datasets]
    sizes = sizes or {name: int(10 ** rng.uniform(2, 5)) for name in names}
    if method == "verified":
        couples = [(a, b) for a in names for b in names]
        best = {names: {"same_bytes": min(1, sizes[names[0]]), "edited": sizes[names[0]] // 50} for names in couples}
        return CurveView(rung_curves(sizes, best), "edited", "")
    thresholds, own = (cosine_thresholds(0.9), 0.9) if method == "cosine" else (distance_thresholds(64, 5), 5)
    curves = []
    for a in names:
        for b in names:
            low = 10 ** rng.uniform(-4, -1) if shares is None else shares
            steps = np.geomspace(1, low, len(thresholds)) if low else np.zeros(len(thresholds))
            counts = (steps * sizes[a]).astype(int)
            ordered = counts if method == "cosine" else counts[::-1]
            curves.append(OverlapCurve(method, a, b, thresholds, tuple(ordered.tolist()), sizes[a]))
    measure = "cosine similarity" if method == "cosine" else "Hamming distance of phash"
    return CurveView(tuple(curves), own, measure, "encoder offline (not CLIP)" if method == "cosine" else "")


CASES = {f"{method}, {n}": view_of(method, n) for method in ("cosine", "perceptual", "verified") for n in (1, 2, 4)} | {
    "cosine, 3": view_of("cosine", 3),
    "perceptual, 10": view_of("perceptual", 10),
    "no overlap": view_of("cosine", 2, 0),
    "all alike": view_of("perceptual", 3, 1),
    "an empty dataset": view_of("cosine", 2, sizes={"ArtDL": 9, "wikidata": 0}),
}


@pytest.fixture
def texts(monkeypatch):
    """Draw a picture and return the shown texts as (words, box in pixels), and the picture's size."""

    def measure(view):
        sheets = []
        monkeypatch.setattr(Sheet, "png", lambda sheet: sheets.append(sheet) or b"")
        draw_curves(view)
        figure = sheets[0].figure
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
        return [(words, box) for words, box in boxes if box.width], figure.bbox

    return measure


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def has_colour(picture, colour):
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((picture == rgb).all(axis=2).any())


@pytest.mark.parametrize("name", CASES)
def test_no_text_hides_another_or_leaves_the_picture(name, texts):
    shown, page = texts(CASES[name])
    for words, box in shown:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, words
    for (one, first), (other, second) in combinations(shown, 2):
        shared = (
            min(first.x1, second.x1) - max(first.x0, second.x0),
            min(first.y1, second.y1) - max(first.y0, second.y0),
        )
        assert min(shared) < 2.5, (one, other)  # a box holds some empty pixels above and below the letters


@pytest.mark.parametrize("name", ["cosine, 3", "verified, 4"])
def test_equal_views_give_equal_bytes(name):
    assert draw_curves(CASES[name]) == draw_curves(CASES[name])


def test_every_share_at_the_own_threshold_is_written(texts):
    view = CASES["cosine, 3"]
    words = [words for words, _ in texts(view)[0]]
    for curve in view.curves:
        assert share_text(curve.count_at(0.9) / curve.size) in words
    assert words.count("this run: 0.9") == 3


def test_a_dataset_has_one_colour_and_few_datasets_have_no_grey_line():
    picture = pixels(draw_curves(CASES["perceptual, 4"]))
    assert all(has_colour(picture, colour) for colour in DATASET_COLOURS[:4])
    assert not has_colour(picture, DATASET_COLOURS[4])
    assert not has_colour(picture, REST)


def test_more_lines_than_colours_are_grey_and_said(texts):
    view = CASES["perceptual, 10"]
    words = [words for words, _ in texts(view)[0]]
    assert words.count("3 others") == 10
    assert words.count("itself") == 10
    assert any(f"the {MOST_COLOURED} datasets with the most matches" in one for one in words)


def test_without_images_the_picture_says_so(texts):
    view = view_of("cosine", 2, sizes={"ArtDL": 0, "wikidata": 0})
    assert "No dataset holds an image." in [words for words, _ in texts(view)[0]]


def test_curves_of_different_thresholds_are_refused():
    curves = CASES["cosine, 2"].curves + CASES["perceptual, 2"].curves
    with pytest.raises(ValueError, match="one method and over the same thresholds"):
        CurveView(curves, 0.9, "cosine similarity")
    with pytest.raises(ValueError, match=r"no threshold 0\.123"):
        CurveView(CASES["cosine, 2"].curves, 0.123, "cosine similarity")


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0"),
        (1, "100 %"),
        (0.99999, "99.9 %"),
        (0.9912, "99.1 %"),
        (0.4, "40 %"),
        (0.0996, "10 %"),
        (0.034, "3.4 %"),
        (0.02, "2 %"),
        (0.00421, "0.42 %"),
        (0.0000131, "0.0013 %"),
        (0.1, "10 %"),
        (1e-5, "0.001 %"),
    ],
)
def test_shares_keep_the_figures_that_count(share, words):
    assert share_text(share) == words
