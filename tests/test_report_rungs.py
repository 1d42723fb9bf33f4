"""A bar is as long as the share it stands for, its parts are the kinds of evidence, and the axis holds the longest."""

import pytest
from matplotlib.axes import Axes

from overlens.curves import OverlapCurve, rung_curves
from overlens.report.rungs import SHADES, TITLE, draw_rungs
from overlens.report.sheet import Sheet
from overlens.verdicts import VERIFIED

SIZES = {"a": 200, "b": 50, "c": 0}


def draw(monkeypatch: pytest.MonkeyPatch, curves: tuple[OverlapCurve, ...]) -> Axes:
    sheets: list[Sheet] = []
    monkeypatch.setattr(Sheet, "png", lambda sheet: sheets.append(sheet) or b"")
    draw_rungs(curves)
    return sheets[0].figure.axes[0]


def curves_of(n_edited: int, sizes: dict[str, int] = SIZES) -> tuple[OverlapCurve, ...]:
    rungs = {("a", "b"): {"same_bytes": 6, "edited": n_edited}, ("b", "a"): {"same_picture": 20}}
    couples = {(one, other): rungs.get((one, other), {}) for one in sizes for other in sizes}
    return rung_curves(sizes, couples)


def test_parts_of_a_bar_follow_one_another_and_are_as_long_as_their_shares(monkeypatch: pytest.MonkeyPatch):
    bars = [
        (round(bar.get_x(), 6), round(bar.get_width(), 6), bar.get_facecolor())
        for bar in draw(monkeypatch, curves_of(4)).patches
    ]
    assert [(start, length) for start, length, _ in bars] == [(0, 0.03), (0.03, 0.02), (0, 0.4)]
    colours = {colour: place for place, (_, _, colour) in enumerate(bars)}
    assert len(colours) == len(bars)


def test_each_kind_of_evidence_has_its_shade_from_dark_to_light():
    light = [sum(int(shade[i : i + 2], 16) for i in (1, 3, 5)) for shade in SHADES]
    assert len(SHADES) == len(VERIFIED) and light == sorted(set(light))


@pytest.mark.parametrize(
    ("n_edited", "end"), [(0, 0.5), (114, 1.0), (194, 1.0)], ids=["40 % of b", "60 % of a", "all of a"]
)
def test_the_axis_ends_at_the_round_share_above_the_longest_bar(
    n_edited: int, end: float, monkeypatch: pytest.MonkeyPatch
):
    assert draw(monkeypatch, curves_of(n_edited)).get_xlim() == (0, pytest.approx(end))


def test_small_shares_fill_the_axis_too(monkeypatch: pytest.MonkeyPatch):
    curves = rung_curves({"a": 10_000}, {("a", "a"): {"edited": 13}})
    axes = draw(monkeypatch, curves)
    assert axes.get_xlim() == (0, pytest.approx(0.002)) and axes.patches[0].get_width() == pytest.approx(0.0013)


def test_datasets_without_images_are_a_sentence_and_no_bars(monkeypatch: pytest.MonkeyPatch):
    words: list[str] = []
    monkeypatch.setattr(
        "overlens.report.rungs.note_page", lambda title, how, note: words.extend((title, note)) or b"note"
    )
    assert draw_rungs(rung_curves({"a": 0, "b": 0}, {("a", "b"): {}, ("b", "a"): {}})) == b"note"
    assert words == [TITLE, "No dataset holds an image."]
