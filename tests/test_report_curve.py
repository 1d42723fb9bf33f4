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
from overlens.report.rungs import draw_rungs
from overlens.report.sheet import Sheet
from overlens.report.style import DATASET_COLOURS, REST
from overlens.report.views import CurveView, share_text

NAMES = ("ArtDL", "wikidata", "a_very_long_name_of_a_dataset_of_2024_final", "受胎 🖼️ $x$", "e", "f", "g", "h", "i", "j")


def view_of(method, n_datasets, shares=None, sizes=None, *, own=None, reference=None):
    """Curves that fall from the loosest threshold on, to the given share at the strictest."""
    rng = np.random.default_rng(n_datasets)
    names = NAMES[:n_datasets]
    sizes = sizes or {name: int(10 ** rng.uniform(2, 5)) for name in names}
    own = own or ([0.9] if method == "cosine" else [5])
    thresholds = cosine_thresholds(own) if method == "cosine" else distance_thresholds(64, own)
    curves = []
    for a in names:
        for b in (b for b in names if (a, b) != (reference, reference)):
            low = 10 ** rng.uniform(-4, -1) if shares is None else shares
            steps = np.geomspace(1, low, len(thresholds)) if low else np.zeros(len(thresholds))
            counts = (steps * sizes[a]).astype(int)
            ordered = counts if method == "cosine" else counts[::-1]
            curves.append(OverlapCurve(method, a, b, thresholds, tuple(ordered.tolist()), sizes[a]))
    measure = "cosine similarity" if method == "cosine" else "Hamming distance of phash"
    encoder = "encoder offline (not CLIP)" if method == "cosine" else ""
    return CurveView(tuple(curves), tuple(own[i % len(own)] for i in range(len(curves))), measure, encoder)


def rungs_of(n_datasets, n_edited=None, *, reference=None):
    """Curves of verified copies: one equal file, and edited copies, between every two datasets and within each."""
    names = NAMES[:n_datasets]
    sizes = {name: 100 * 3**place for place, name in enumerate(names)}
    n_edited = sizes[names[0]] // 50 if n_edited is None else n_edited
    best = {(a, b): {"same_bytes": min(1, n_edited), "edited": n_edited} for a in names for b in names}
    curves = rung_curves(sizes, best)
    return tuple(curve for curve in curves if (curve.dataset, curve.other) != (reference, reference))


CASES = {f"{method}, {n}": view_of(method, n) for method in ("cosine", "perceptual") for n in (1, 2, 4)} | {
    "cosine, 3": view_of("cosine", 3),
    "perceptual, 10": view_of("perceptual", 10),
    "no overlap": view_of("cosine", 2, 0),
    "all alike": view_of("perceptual", 3, 1),
    "an empty dataset": view_of("cosine", 2, sizes={"ArtDL": 9, "wikidata": 0}),
    "own thresholds": view_of("cosine", 4, own=[0.55, 0.613, 0.9, 0.705], reference="wikidata"),
    "own distances": view_of("perceptual", 10, own=[5, 0, 20]),
}
RUNGS = {
    "1": rungs_of(1),
    "2": rungs_of(2),
    "4": rungs_of(4, reference="wikidata"),
    "10": rungs_of(10),
    "no copies": rungs_of(3, 0),
}


@pytest.fixture
def texts(monkeypatch):
    """Draw a picture and return the shown texts as (words, box in pixels), and the picture's size."""

    def measure(shown):
        sheets = []
        monkeypatch.setattr(Sheet, "png", lambda sheet: sheets.append(sheet) or b"")
        draw_curves(shown) if isinstance(shown, CurveView) else draw_rungs(shown)
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


@pytest.mark.parametrize("case", [*CASES.values(), *RUNGS.values()], ids=[*CASES, *(f"rungs, {k}" for k in RUNGS)])
def test_no_text_hides_another_or_leaves_the_picture(case, texts):
    shown, page = texts(case)
    for words, box in shown:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, words
    for (one, first), (other, second) in combinations(shown, 2):
        shared = (
            min(first.x1, second.x1) - max(first.x0, second.x0),
            min(first.y1, second.y1) - max(first.y0, second.y0),
        )
        assert min(shared) < 2.5, (one, other)  # a box holds some empty pixels above and below the letters


def test_equal_views_give_equal_bytes():
    assert draw_curves(CASES["own thresholds"]) == draw_curves(CASES["own thresholds"])
    assert draw_rungs(RUNGS["4"]) == draw_rungs(RUNGS["4"])


def test_every_share_at_the_own_threshold_is_written(texts):
    view = CASES["cosine, 3"]
    words = [words for words, _ in texts(view)[0]]
    for curve in view.curves:
        assert share_text(curve.count_at(0.9) / curve.size) in words
    assert words.count("this run: 0.9") == 3


def test_each_curve_is_marked_at_its_own_threshold(texts):
    view = CASES["own thresholds"]
    words = [words for words, _ in texts(view)[0]]
    for curve, own in zip(view.curves, view.own, strict=True):
        assert share_text(curve.count_at(own) / curve.size) in words
    for own in set(view.own):
        assert words.count(f"≥ {own:g}") == view.own.count(own)
    assert not any("this run" in one for one in words)


@pytest.mark.parametrize("shown", [CASES["own thresholds"], RUNGS["4"]], ids=["threshold", "evidence"])
def test_what_was_not_looked_for_is_said_and_is_no_number(shown, texts):
    assert [words for words, _ in texts(shown)[0]].count("not looked for") == 1


def test_evidence_is_counted_kind_by_kind(texts):
    """Of 100 images 1 has an equal file and 2 more an edited copy."""
    words = [words for words, _ in texts(RUNGS["1"])[0]]
    assert [words.count(number) for number in ("1", "2", "3", "3 %", "0")] == [1, 1, 1, 1, 3]  # two kinds, and the axis
    assert {"same", "bytes", "edited", "within itself"} <= set(words)


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


def test_without_images_the_picture_says_so(monkeypatch):
    monkeypatch.setattr("overlens.report.curve.note_page", lambda title, how, note: note.encode())
    assert draw_curves(view_of("cosine", 2, sizes={"ArtDL": 0, "wikidata": 0})) == b"No dataset holds an image."


def test_curves_of_different_thresholds_are_refused():
    curves = CASES["cosine, 2"].curves + CASES["perceptual, 2"].curves
    with pytest.raises(ValueError, match="one method and over the same thresholds"):
        CurveView(curves, (0.9,) * len(curves), "cosine similarity")
    with pytest.raises(ValueError, match=r"no threshold 0\.123"):
        CurveView(CASES["cosine, 2"].curves, (0.9, 0.9, 0.9, 0.123), "cosine similarity")


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
