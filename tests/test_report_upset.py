"""The UpSet picture shows the largest combinations of datasets, and says what it leaves out."""

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from overlens.overlap import Overlap
from overlens.report.sheet import Sheet
from overlens.report.upset import MAX_COLUMNS, draw_upset
from overlens.report.views import OverlapText, SharedRegion

TEXT = OverlapText("same picture or edited", "", {"a": 5_000})
NAMES = ("a", "wikidata", "a_very_long_name_of_a_dataset_of_2024_final", "受胎 🖼️ $x$", "e", "f", "g", "h", "i", "j")


def overlap_of(names, groups, alone=1_000):
    """Overlap and regions of groups with one image in each of their datasets; `groups` maps datasets to numbers."""
    regions = {name: {frozenset(): alone} if alone else {} for name in names}
    for datasets, n in groups.items():
        for name in datasets:
            regions[name][frozenset(datasets) - {name}] = n
    contained = {
        a: {b: sum(n for others, n in regions[a].items() if b in others) for b in names if b != a} for a in names
    }
    sizes = {name: sum(regions[name].values()) for name in names}
    none = dict.fromkeys(names, 0)
    overlap = Overlap("verified", sizes, contained, none, regions, none, contained)
    shared = [SharedRegion(datasets, n, n * len(datasets)) for datasets, n in groups.items()]
    return overlap, [*shared, *(SharedRegion((name,), alone, alone) for name in names)]


def some_groups(names, n_combinations):
    chosen = [c for size in range(2, len(names) + 1) for c in combinations(names, size)][:n_combinations]
    return {datasets: (7 * place) % 97 + 1 for place, datasets in enumerate(chosen)}


@pytest.fixture
def texts(monkeypatch):
    """Draw a picture and return the shown texts as (words, box in pixels), and the picture's size."""

    def measure(overlap, regions, text=TEXT):
        sheets = []
        monkeypatch.setattr(Sheet, "png", lambda sheet: sheets.append(sheet) or b"")
        draw_upset(overlap, regions, text)
        figure = sheets[0].figure
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown if not _is_of_hidden_axes(text)]
        return boxes, figure.bbox

    def _is_of_hidden_axes(text):
        axes = text.axes
        return axes is not None and text not in axes.texts and not axes.axison

    return measure


CASES = {
    "2": overlap_of(NAMES[:2], {NAMES[:2]: 5}),
    "3": overlap_of(NAMES[:3], some_groups(NAMES[:3], 4)),
    "4": overlap_of(NAMES[:4], some_groups(NAMES[:4], 11)),
    "6": overlap_of(NAMES[:6], some_groups(NAMES[:6], 25)),
    "10": overlap_of(NAMES, some_groups(NAMES, 50)),
    "identical": overlap_of(NAMES[:4], {NAMES[:4]: 400}, alone=0),
    "millions": overlap_of(
        NAMES[:4], {NAMES[:2]: 12_345_678, NAMES[1:3]: 1_234_567, NAMES[2:4]: 99_999, NAMES[:3]: 9_999}
    ),
    "equal bars": overlap_of(NAMES[:6], dict.fromkeys(combinations(NAMES[:6], 2), 8_888)),
}


@pytest.mark.parametrize("name", CASES)
def test_no_text_hides_another_or_leaves_the_picture(name, texts):
    shown, page = texts(*CASES[name])
    for words, box in shown:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, words
    for (one, first), (other, second) in combinations(shown, 2):
        shared = (
            min(first.x1, second.x1) - max(first.x0, second.x0),
            min(first.y1, second.y1) - max(first.y0, second.y0),
        )
        assert min(shared) < 2.5, (one, other)  # a box holds some empty pixels above and below the letters


def test_equal_input_gives_equal_bytes_whatever_the_order_of_regions():
    overlap, regions = CASES["6"]
    assert draw_upset(overlap, regions, TEXT) == draw_upset(overlap, regions[::-1], TEXT)


def test_columns_are_sorted_by_groups_and_lone_images_have_none(texts):
    overlap, regions = overlap_of("abcd", {("a", "b"): 3, ("b", "c"): 20, ("a", "c", "d"): 7}, alone=500)
    shown, _ = texts(overlap, regions)
    places = {words: box.x0 for words, box in shown}
    assert places["20"] < places["7"] < places["3"]
    assert places["40"] < places["21"] < places["6"]  # their images
    assert "500" not in places
    assert "523 images" in places  # b: 3 + 20 + 500
    assert "23 shared (4.4 %)" in places


def test_what_does_not_fit_is_summed_and_said(texts):
    groups = {datasets: n for n, datasets in enumerate(combinations("abcdefghi", 2), start=1)}
    words = [words for words, _ in texts(*overlap_of("abcdefghi", groups))[0]]
    n_left_out = len(groups) - MAX_COLUMNS
    n_groups = sum(range(1, n_left_out + 1))
    said = f"the 6 others hold {n_groups} groups of {2 * n_groups} images together."
    assert f"Drawn are the 30 largest of 36 combinations; {said}" in words
    assert str(n_left_out + 1) in words
    assert str(len(groups)) in words


def test_failed_images_are_named(texts):
    overlap, regions = overlap_of("abcd", {("a", "b"): 3})
    words = " ".join(words for words, _ in texts(overlap, regions)[0])
    assert "could not be read and are not counted: 3,997 of a." in words


@pytest.mark.parametrize("alone", [100, 0], ids=["nothing shared", "no image"])
def test_without_shared_images_the_picture_says_so(alone, monkeypatch):
    monkeypatch.setattr("overlens.report.upset.note_page", lambda title, how, note: note.encode())
    assert draw_upset(*overlap_of("abcd", {}, alone=alone), TEXT) == b"No image has a match in another dataset."


@pytest.mark.parametrize(
    ("regions", "match"),
    [
        ([SharedRegion(("a", "x"), 1, 2)], "regions name x; the overlap has a, b"),
        ([SharedRegion(("a", "b"), 2, 5)], "share 5 images, but 6 by the overlap"),
        ([SharedRegion(("a", "b"), 3, 6), SharedRegion(("b", "a"), 3, 6)], "comes twice"),
    ],
    ids=["unknown dataset", "other number", "twice"],
)
def test_regions_that_do_not_fit_the_overlap_are_refused(regions, match):
    overlap, _ = overlap_of("ab", {("a", "b"): 3})
    with pytest.raises(ValueError, match=match):
        draw_upset(overlap, regions, TEXT)


@pytest.mark.parametrize(
    ("datasets", "n_groups", "n_images", "match"),
    [((), 1, 1, "at least one dataset"), (("a", "a"), 1, 2, "each once"), (("a", "b"), 2, 3, "cannot have 3 images")],
    ids=["none", "twice", "too few images"],
)
def test_impossible_regions_are_refused(datasets, n_groups, n_images, match):
    with pytest.raises(ValueError, match=match):
        SharedRegion(datasets, n_groups, n_images)
