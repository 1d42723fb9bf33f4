"""The transfer matrix: every number stands where it belongs, is readable, and what is missing says why."""

import io
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from overlens.report import transfer_distances
from overlens.report.benchmark_views import CleanAccuracy, DistanceCell, TransferCell, TransferMatrixView
from overlens.report.sheet import Sheet
from overlens.report.transfer_cells import ink_on, shade_of
from overlens.report.transfer_distances import FAR_SHADES
from overlens.report.transfer_matrix import SHADES, draw_transfer_matrix

NAMES = (
    "art",
    "photo",
    "museum_collection_2020_train_final_version_with_more_words",
    "museum_collection_2020_test_final_version_with_more_words",
    "受胎 🖼️ $x$ \\$",
    "<b>告知</b>\udcff\n",
    "a%s{0}",
    "مرحبا بالعالم",
)


def view_of(names, *, varied=False, seed=0, **changes):
    rng = np.random.default_rng(seed)
    cells, distances = {}, {}
    for i, source in enumerate(names):
        for j, target in enumerate(names):
            n_classes = int(rng.integers(2, 900)) if varied else 7
            clean = CleanAccuracy(0.333, 12_345, -0.031, -0.05, -0.012) if i != j and (i + j) % 3 == 0 else None
            in_domain = 0.876 if varied and i != j else None
            cells[source, target] = TransferCell(
                float(rng.random()), int(rng.integers(1, 2_000_000)), n_classes, in_domain, clean
            )
            far = 0.0004 * (-1) ** i if i == j else float(rng.random())
            distances[source, target] = distances.get((target, source), DistanceCell(far, 1_000))
    return replace(
        TransferMatrixView(tuple(names), "logistic", cells, True, distances, encoder="encoder x", label_source="y"),
        **changes,
    )


def with_cell(view, pair, **changes):
    return replace(view, cells={**view.cells, pair: replace(view.cells[pair], **changes)})


@pytest.fixture
def texts(monkeypatch):
    """Draw a picture and return its texts as (words, box in pixels, angle), and its box."""

    def measure(view):
        sheets = []
        monkeypatch.setattr(Sheet, "png", lambda sheet: sheets.append(sheet) or b"")
        draw_transfer_matrix(view)
        figure = sheets[0].figure
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        hidden = [axes for axes in figure.axes if not axes.axison]
        shown = [
            text
            for text in figure.findobj(Text)
            if text.get_visible() and text.get_text() and not (text.axes in hidden and text not in text.axes.texts)
        ]
        return [(text.get_text(), text.get_window_extent(), text.get_rotation()) for text in shown], figure.bbox

    return measure


def words_of(texts):
    return [words for words, _, _ in texts[0]]


VIEWS = {
    "2": view_of(NAMES[:2]),
    "3": view_of(NAMES[1:4]),
    "4": view_of(NAMES[2:6], varied=True),
    "8": view_of(NAMES, varied=True),
    "no distances": view_of(NAMES[:4], distances={}),
    "large distances": view_of(
        NAMES[:4],
        distances={pair: DistanceCell(123_456.7 * (pair[0] != pair[1]), 5) for pair in view_of(NAMES[:4]).cells},
    ),
    "nothing measured": view_of(NAMES[:3], cells={}),
    "long reason": with_cell(view_of(NAMES[:3]), NAMES[:2], accuracy=None, why_not="no class in common " * 20),
    "unknown copies": with_cell(
        view_of(NAMES[:3], unknown_within=dict.fromkeys(NAMES[:3], "within the reference no copies were looked for")),
        NAMES[:2],
        clean=CleanAccuracy(0.333, 12_345, -0.031, -0.05, -0.012, 5),
    ),
    "nothing remains": with_cell(view_of(NAMES[:3]), NAMES[:2], clean=CleanAccuracy(None, 0)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_no_text_hides_another_or_leaves_the_picture(name, texts):
    shown, page = texts(VIEWS[name])
    for words, box, _ in shown:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, words
    level = [(words, box) for words, box, angle in shown if not angle]
    for (one, first), (other, second) in combinations(level, 2):
        shared = (
            min(first.x1, second.x1) - max(first.x0, second.x0),
            min(first.y1, second.y1) - max(first.y0, second.y0),
        )
        assert min(shared) < 3, (one, other)  # a box holds some empty pixels above and below the letters


@pytest.mark.parametrize("name", ["3", "nothing measured"])
def test_equal_views_give_equal_bytes_whatever_the_order_of_cells(name):
    view = VIEWS[name]
    turned = replace(view, cells=dict(reversed(view.cells.items())), distances=dict(reversed(view.distances.items())))
    assert draw_transfer_matrix(view) == draw_transfer_matrix(turned)


@pytest.mark.parametrize(("name", "widest"), [("2", 1_700), ("4", 2_700), ("8", 3_000)])
def test_pictures_stay_as_large_as_a_screen_shows(name, widest):
    width, height = Image.open(io.BytesIO(draw_transfer_matrix(VIEWS[name]))).size
    assert 1_050 <= width <= widest and height <= 1.6 * widest


def test_a_cell_holds_its_numbers_with_what_they_rest_on(texts):
    cells = {
        ("art", "art"): TransferCell(0.912, 500, 7),
        ("art", "photo"): TransferCell(0.6244, 1_024, 7, clean=CleanAccuracy(0.593, 812, -0.031, -0.05, 0.0004)),
        ("photo", "art"): TransferCell(0.5, 1, 7, clean=CleanAccuracy(0.0, 0, 0.0, None, None)),
        ("photo", "photo"): TransferCell(1.0, 400, 7),
    }
    words = words_of(texts(view_of(("art", "photo"), cells=cells)))
    for expected in (
        *("91.2 %", "in-domain, 500 images", "62.4 %", "of 1,024 images", "59.3 % of 812 images"),
        *("−3.1 (−5.0 to 0.0)", "of 1 image", "0.0 % of 0 images", "0.0", "100.0 %", "chance"),  # noqa: RUF001
        "chance: 14.3 %, as all share 7 classes",
    ):
        assert expected in words


def test_other_numbers_of_classes_stand_in_the_cells_and_chance_is_a_range(texts):
    view = view_of(("a", "b"))
    view = with_cell(with_cell(view, ("a", "b"), n_classes=10, in_domain=0.75), ("b", "a"), n_classes=4)
    words = words_of(texts(view))
    assert {"7 classes", "10 classes", "4 classes", "in-domain 75.0 %"} <= set(words)
    assert "chance: one over the number of common classes, from 10.0 % to 25.0 %" in words
    assert "chance" not in words


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_verified": False}, "it is not known how much of the accuracy is leakage"),
        ({}, "Below the line: without the images that have a verified copy"),
    ],
    ids=["not verified", "shared"],
)
def test_it_says_what_is_known_of_leakage(changes, said, texts):
    assert said in " ".join(words_of(texts(view_of(NAMES[:4], **changes))))


def test_without_shared_images_nothing_is_said_below_a_line(texts):
    view = view_of(("a", "b"))
    view = replace(view, cells={pair: replace(cell, clean=None) for pair, cell in view.cells.items()})
    words = " ".join(words_of(texts(view)))
    assert "No two of these datasets share a verified copy." in words
    assert "Below the line" not in words


def test_what_is_missing_is_named_with_its_reason(texts):
    view = view_of(NAMES[:2])
    cells = {pair: TransferCell(None, 0, 0, why_not="1 common class") for pair in view.cells if pair[0] != pair[1]}
    words = words_of(texts(replace(view, cells={**view.cells, **cells})))
    assert words.count("1 common class") == 2
    assert "Not measured: art → photo, photo → art: 1 common class." in words
    del cells["art", "photo"]
    words = words_of(texts(replace(view, cells=cells)))
    assert "Not measured: art → art, art → photo, photo → photo: nobody asked for it." in words


def test_distances_no_further_than_the_noise_are_marked(texts):
    view = view_of(("a", "b", "c"), cells={})
    floor, near, far = DistanceCell(0.002, 50), DistanceCell(0.002, 50), DistanceCell(0.21, 60)
    pairs = {(one, one): floor for one in "abc"}
    pairs |= {("a", "b"): near, ("b", "a"): near, ("a", "c"): far, ("c", "a"): far}
    words = words_of(texts(replace(view, distances=pairs)))
    assert words.count("≤ floor") == 2
    assert words.count("0.210") == 2 and words.count("0.002") == 5
    assert "50 to 60 images on each side" in words


def test_colours_do_not_stretch_over_noise(monkeypatch):
    shares = []
    monkeypatch.setattr(transfer_distances, "shade_of", lambda shades, share: _note(shares, shades, share))

    def shares_of(values, n_images, distance="mmd_squared"):
        shares.clear()
        pairs = product("ab", repeat=2)
        distances = {pair: DistanceCell(value, n_images) for pair, value in zip(pairs, values, strict=True)}
        draw_transfer_matrix(view_of(("a", "b"), cells={}, distances=distances, distance=distance))
        return shares

    # Squared MMD of 10 images: between two parts of one collection it is within 0.2 / 10 in 98 of 100.
    assert max(shares_of((0.006, 0.019, 0.019, -0.004), 10)) < 0.3
    assert max(shares_of((0.0001, 0.019, 0.019, 0.0), 10)) < 0.3
    assert max(shares_of((0.02, 0.06, 0.06, 0.001), 1000)) == pytest.approx(0.04 / 0.2)
    assert max(shares_of((0.001, 0.2, 0.2, 0.001), 87)) == 1
    # A distance at the floor has the lightest colour, also where the floor is far from 0.
    assert shares_of((0.64, 0.6, 0.6, 0.2), 87, "frechet") == [0, 0, 0, 0]
    assert max(shares_of((0.64, 1.37, 1.37, 0.2), 87, "frechet")) == 1


def _note(shares, shades, share):
    if shades is FAR_SHADES:
        shares.append(share)
    return shade_of(shades, share)


def test_the_colours_of_distances_are_explained(texts):
    distances = {pair: DistanceCell(0.019 if pair[0] != pair[1] else 0.006, 10) for pair in product("ab", repeat=2)}
    words = " ".join(words_of(texts(view_of(("a", "b"), distances=distances))))
    assert "darkest at 0.100. That is the most of the largest such excess, 10 times the largest floor" in words


def test_copies_that_nobody_looked_for_are_marked(texts):
    view = view_of(("art", "photo", "clip"), unknown_within={"photo": "within the reference no copies were looked for"})
    view = with_cell(view, ("art", "photo"), in_domain=0.75, clean=CleanAccuracy(0.3, 5, 0.1, 0.0, 0.2))
    view = with_cell(view, ("photo", "art"), in_domain=0.5, clean=CleanAccuracy(0.3, 5, 0.1, 0.0, 0.2))
    words = words_of(texts(view))
    marked = [one for one in words if one.endswith("\N{DAGGER}")]
    assert len(marked) == 4 and {"in-domain 75.0 % \N{DAGGER}", "+10.0 (0.0 to +20.0) \N{DAGGER}"} <= set(marked)
    assert f"in-domain, {view.cells['photo', 'photo'].n_images:,} images \N{DAGGER}" in marked
    assert {"in-domain 50.0 %", "+10.0 (0.0 to +20.0)"} <= set(words)
    legend = "\N{DAGGER} Copies within photo are not all known (within the reference no copies were looked for)"
    assert legend in " ".join(words)
    assert "\N{DAGGER}" not in " ".join(words_of(texts(replace(view, is_verified=False))))


@pytest.mark.parametrize(("n_classes", "is_told"), [(5, True), (7, False), (None, False)])
def test_classes_that_the_overlap_takes_along_are_told(n_classes, is_told, texts):
    view = with_cell(view_of(("a", "b")), ("a", "b"), clean=CleanAccuracy(0.3, 5, 0.1, 0.0, 0.2, n_classes))
    words = words_of(texts(view))
    assert ("5 of 7 classes" in words) == is_told
    assert ("of different problems" in " ".join(words)) == is_told


def test_one_dataset_has_no_matrix():
    picture = Image.open(io.BytesIO(draw_transfer_matrix(view_of(("a",)))))
    assert picture.size[1] < 450


@pytest.mark.parametrize("shades", [SHADES, FAR_SHADES], ids=["accuracy", "distance"])
def test_letters_are_readable_on_everyshade_of(shades):
    def luminance(colour):
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
        return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))

    steps = [shade_of(shades, step / 100) for step in range(101)]
    assert np.all(np.diff([luminance(shade) for shade in steps]) < 0)  # darker means more, also in grey
    dark = luminance((0x1A / 255,) * 3)
    contrasts = [
        1.05 / (light + 0.05) if ink_on(shade) == "white" else (light + 0.05) / (dark + 0.05)
        for shade, light in zip(steps, map(luminance, steps), strict=True)
    ]
    assert min(contrasts) >= 4.1
    assert np.mean(np.array(contrasts) >= 5) >= 0.9
