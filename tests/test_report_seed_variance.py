"""The picture of seed variance: a panel a strategy, and no claim without its numbers."""

import io
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from overlens.fewshot.variance import measure_spread
from overlens.report.benchmark_views import SeedPoint, SeedVarianceView
from overlens.report.seed_variance import draw_seed_variance
from overlens.report.sheet import Sheet
from overlens.report.style import dataset_colour

STRATEGIES = ("random", "stratified", "long_tail", "episodic")


def point_of(strategy, k, probe, accuracies, n_episodes=None):
    spread = measure_spread(accuracies)
    is_one = spread.low is None
    needed = None if spread.n_needed is None else (spread.n_needed, spread.n_needed_low, spread.n_needed_high)
    return SeedPoint(
        *(strategy, k, probe, tuple(accuracies), spread.mean, None if is_one else (spread.low, spread.high)),
        *(10, 150 * len(accuracies), n_episodes, needed, None if n_episodes is None else 345),
    )


def view_of(strategies=STRATEGIES, k_shots=(1, 5, 10), n_seeds=3, name="caltech101_mini", deviation=0.03):
    rng = np.random.default_rng(0)
    points = [
        point_of(
            strategy,
            k,
            probe,
            np.clip(1 - 0.5 / k**0.5 + deviation * rng.normal(size=n_seeds), 0, 1).tolist(),
            600 * n_seeds if strategy == "episodic" else None,
        )
        for strategy in strategies
        for k in k_shots
        for probe in ("nearest_centroid", "logistic")
    ]
    return SeedVarianceView(name, tuple(points), "encoder x", "class folders")


def without(view, strategy, k, why_not):
    none = {"accuracies": (), "mean": None, "interval": None, "n_classes": 0, "n_query": 0, "seeds_needed": None}
    points = [
        replace(one, **none, episodes_needed=None, why_not=why_not)
        if (one.strategy, one.k_shot) == (strategy, k)
        else one
        for one in view.points
    ]
    return replace(view, points=tuple(points))


@pytest.fixture
def drawn(monkeypatch):
    """Draw a picture and return its figure and its texts as (words, box in pixels)."""

    def measure(view):
        sheets = []
        monkeypatch.setattr(Sheet, "png", lambda sheet: sheets.append(sheet) or b"")
        draw_seed_variance(view)
        figure = sheets[0].figure
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        hidden = [axes for axes in figure.axes if not axes.axison]
        shown = [
            text
            for text in figure.findobj(Text)
            if text.get_visible() and text.get_text() and not (text.axes in hidden and text not in text.axes.texts)
        ]
        return figure, [(text.get_text(), text.get_window_extent()) for text in shown]

    return measure


VIEWS = {
    "four strategies": view_of(),
    "three": view_of(STRATEGIES[:3]),
    "one": view_of(STRATEGIES[:1]),
    "one seed": view_of(n_seeds=1),
    "two seeds, one k": view_of(STRATEGIES[:2], (5,), 2, deviation=0.3),
    "many k": view_of(k_shots=(1, 2, 3, 4, 5, 10, 20, 50, 100), n_seeds=10),
    "long name": view_of(STRATEGIES[:1], name="museum_collection_2020_train_final_version" * 3),
    "hostile name": view_of(STRATEGIES[:1], name="受胎 🖼️ $x$ \\$ <b>告知</b>\udcff\n%s{0}"),
    "a k is missing": without(view_of(), "random", 10, "no class has 10 pictures"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_no_text_hides_another_or_leaves_the_picture(name, drawn):
    figure, shown = drawn(VIEWS[name])
    page = figure.bbox
    for words, box in shown:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, words
    for (one, first), (other, second) in combinations(shown, 2):
        shared = (
            min(first.x1, second.x1) - max(first.x0, second.x0),
            min(first.y1, second.y1) - max(first.y0, second.y0),
        )
        assert min(shared) < 3, (one, other)


@pytest.mark.parametrize("name", ["three", "hostile name"])
def test_equal_views_give_equal_bytes(name):
    first, second = draw_seed_variance(VIEWS[name]), draw_seed_variance(replace(VIEWS[name]))
    assert first == second
    assert max(Image.open(io.BytesIO(first)).size) < 1_800


def test_a_panel_says_over_what_its_figures_are(drawn):
    texts = [text for text, _ in drawn(VIEWS["four strategies"])[1]]
    words = " ".join(texts)
    assert "3 seeds · 10 classes · 450 query images in all" in words
    assert "3 seeds · 600 episodes each · 10 classes" in words
    assert words.count("345") == 6  # episodes that are needed, for two probes and three k
    assert {"random", "stratified", "long tail", "episodic"} <= set(texts)


def test_means_intervals_and_seeds_are_drawn_where_they_are(drawn):
    point = point_of("random", 5, "logistic", [0.1, 0.2, 0.35])
    figure, shown = drawn(SeedVarianceView("d", (point,)))
    panel = next(axes for axes in figure.axes if axes.get_xlabel())
    heights = [sorted(map(float, line.get_ydata())) for line in panel.lines]
    assert [point.mean] in heights
    low, high = point.interval
    assert low < 0 and [0.0, high] in heights  # cut at the axis, with one cap less
    assert heights.count([high, high]) == 1 and [0.0, 0.0] not in heights
    assert [0.1, 0.1] in heights  # chance
    (dots,) = panel.collections
    assert dots.get_offsets()[:, 1].tolist() == pytest.approx([0.1, 0.2, 0.35])
    assert panel.lines[0].get_color() == dataset_colour(0)
    needed, least, most = point.seeds_needed
    assert f"{needed:,} ({least:,} to {most:,})" in [text for text, _ in shown]


def test_an_interval_wider_than_all_accuracies_says_nothing(drawn):
    points = [
        point_of("random", 1, "logistic", [0.1, 0.9]),  # reaches 5 to either side
        point_of("random", 5, "logistic", [0.4, 0.6]),
        point_of("random", 10, "logistic", [0.5, 0.6, 0.5]),
    ]
    assert [np.ptp(point.interval) > 1 for point in points] == [True, True, False]
    figure, shown = drawn(SeedVarianceView("d", tuple(points)))
    words = " ".join(text for text, _ in shown).replace("\n", " ")
    assert "More seeds are needed (--n-seeds): random 1-shot, random 5-shot: an interval reaches more than 50" in words
    panel = next(axes for axes in figure.axes if axes.get_xlabel())
    uprights = [line for line in panel.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    dotted = [list(map(float, line.get_ydata())) for line in uprights if line.is_dashed()]
    assert dotted == [[0.0, 1.0], [0.0, 1.0]] and len(uprights) == 3
    assert "More seeds" not in " ".join(text for text, _ in drawn(VIEWS["three"])[1])


def test_one_seed_has_no_interval_and_says_so(drawn):
    figure, shown = drawn(VIEWS["one seed"])
    panel = next(axes for axes in figure.axes if axes.get_xlabel())
    assert not panel.collections
    words = [text for text, _ in shown]
    assert any(text.startswith("\N{EN DASH}: one seed, which has no deviation") for text in words)
    assert words.count("\N{EN DASH}") == 24


def test_what_is_missing_says_why(drawn):
    words = [text for text, _ in drawn(VIEWS["a k is missing"])[1]]
    assert "Not measured: random 10-shot: no class has 10 pictures." in words
    assert "not\nmeasured" in words


@pytest.mark.parametrize("has_points", [True, False], ids=["nothing measured", "no splits"])
def test_without_any_figure_the_picture_says_so(has_points, monkeypatch):
    monkeypatch.setattr("overlens.report.seed_variance.note_page", lambda title, lines, note: note.encode())
    view = without(view_of(("random",), (1,)), "random", 1, "no query images") if has_points else view_of(())
    expected = "no query images" if has_points else "there are no splits"
    assert draw_seed_variance(view).decode() == f"Nothing was measured: {expected}."
