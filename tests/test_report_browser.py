"""The report in a real browser: what a hand, a keyboard, a screen reader and a hostile name do with it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browsers import LAPTOP, PHONE, axe_source, serious_faults
from overlens.report.html.page import render_index, render_report
from overlens.report.views import share_text
from report_samples import HOSTILE, large_report, small_report

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.slow  # a browser draws in software here


class Watched:
    """An open page, and everything that went wrong in it."""

    def __init__(self, context, path: Path):
        self.wrong: list[str] = []
        self.path = path
        context.route("**/*", self._pass_only_the_page)
        self.page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("dialog", self._refuse)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("console", self._hear)
        self.page.goto(path.as_uri())

    def _pass_only_the_page(self, route):
        address = route.request.url
        if address.split("#")[0] == self.path.as_uri() or address.startswith(("data:", "blob:")):
            route.continue_()
        else:
            self.wrong.append(f"request: {address}")
            route.abort()

    def _refuse(self, dialog):
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _hear(self, message):
        if message.type in ("error", "warning") and "GL Driver Message" not in message.text:
            self.wrong.append(f"{message.type}: {message.text}")


Opener = Callable[..., "api.Page"]


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(small_report()), encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser: "api.Browser", report_file: Path) -> Iterator[Opener]:
    """Open a page, that of the small report unless named; whatever went wrong in it fails the test."""
    opened = []

    def open_one(path: Path = report_file, **options: object) -> "api.Page":
        context = browser.new_context(**({"viewport": LAPTOP} | options))
        opened.append((context, Watched(context, path)))
        return opened[-1][1].page

    yield open_one
    for context, watched in opened:
        context.close()
        assert watched.wrong == []


def shown_names(page: "api.Page") -> list[str]:
    return page.locator(".card .names > div:first-child .name").all_inner_texts()


def choose(page: "api.Page", name: str, value: str) -> None:
    page.locator(f'input[name="{name}"][value="{value}"]').check()


def draw_map(page: "api.Page") -> "api.Locator":
    page.locator("#map").scroll_into_view_if_needed()
    page.wait_for_selector("#plot[data-drawn]")
    page.locator("#plot").scroll_into_view_if_needed()
    return page.locator("#plot")


def live_counts(page: "api.Page") -> list[int]:
    return [int(text.replace(",", "")) for text in page.locator("#live .count").all_inner_texts()]


def test_slider_changes_counts_of_every_direction(open_page):
    page = open_page()
    curve = small_report().curves[0]
    across = [counts for (left, right), counts in curve.lines.items() if left != right]
    own = curve.thresholds.index(curve.at)
    assert live_counts(page) == [counts[own] for counts in across]
    slider = page.locator("#threshold")
    slider.press("ArrowRight")
    assert live_counts(page) == [counts[own + 1] for counts in across]
    assert slider.get_attribute("aria-valuetext") == "at least 0.91"
    assert page.locator("#threshold-value").inner_text() == "≥ 0.91"
    slider.press("Home")
    assert live_counts(page) == [counts[0] for counts in across]
    page.locator("#threshold-reset").click()
    assert live_counts(page) == [counts[own] for counts in across]
    page.locator("#curve-within").check()
    assert len(live_counts(page)) == len(curve.lines)
    page.locator("#curve-dataset").select_option("1")
    assert live_counts(page) == [counts[own] for (left, _), counts in curve.lines.items() if left == 1]


def test_other_measure_has_its_own_curve(open_page):
    page = open_page()
    choose(page, "curve", "1")
    assert page.locator("#threshold-value").inner_text() == "≤ 10 bits"
    assert live_counts(page)[0] == 130


def test_slider_filters_the_gallery_where_it_is_asked_to(open_page):
    page = open_page()
    pairs = small_report().gallery.pairs
    page.locator("#threshold").fill("14")  # 0.94
    at_least = sum(pair.cosine is not None and pair.cosine >= 0.94 for pair in pairs)
    expect = api.expect
    expect(page.locator("#threshold-said")).to_have_text(f"{at_least} of the 30 pairs in the gallery match at ≥ 0.94.")
    expect(page.locator("#shown")).to_have_text("30 pairs: 1 to 24")
    page.locator("#threshold-link").check()
    expect(page.locator("#shown")).to_have_text(f"{at_least} of 30 pairs")
    page.locator("#threshold").press("ArrowLeft")
    expect(page.locator("#filter-cosine")).to_have_value("0.93")
    page.locator("#threshold-link").uncheck()
    expect(page.locator("#shown")).to_have_text("30 pairs: 1 to 24")


def test_matrix_follows_method_and_rung(open_page):
    page = open_page()
    visible = page.locator(".matrix:visible")
    assert visible.count() == 1 and "25 %" in visible.inner_text()
    page.locator("#rung").select_option("same_bytes")
    assert visible.count() == 1 and "10 %" in visible.inner_text()
    choose(page, "method", "cosine")
    assert visible.count() == 1 and "40 %" in visible.inner_text() and not page.locator("#rung").is_visible()


def test_filters_narrow_the_gallery_and_clear(open_page):
    page = open_page()
    shown = page.locator("#shown")
    choose(page, "rung", "edited")
    api.expect(shown).to_have_text("5 of 30 pairs")
    assert set(page.locator(".card .rung").all_inner_texts()) == {"edited"}
    choose(page, "rung", "")
    page.locator("#filter-dataset").select_option("0,0")
    api.expect(shown).to_have_text("10 of 30 pairs")
    page.locator("#filter-class").select_option(label="night")
    api.expect(shown).to_have_text("2 of 30 pairs")
    page.locator("#filters-clear").click()
    page.locator("#filter-name").fill("DROP TABLE")
    api.expect(shown).to_have_text("1 of 30 pairs")
    assert shown_names(page) == [HOSTILE[1]]
    page.locator("#filter-name").fill("no such name")
    api.expect(shown).to_have_text("No pair fits these filters.")
    draw_map(page)  # which comes into view where no pair stands before it, and leaves the filters alone
    page.locator("#filters-clear").click()
    page.locator("#filter-bits").fill("3")
    api.expect(shown).to_have_text("4 of 30 pairs")


def test_sorting_by_score_puts_pairs_without_one_last(open_page):
    page = open_page()
    page.locator("#sort").select_option("cosine")
    scores = page.locator(".card .scores").all_inner_texts()
    assert scores[0].startswith("cosine 0.986")
    page.locator("#page-after").click()
    assert not page.locator(".card .scores").last.inner_text().startswith("cosine")


def test_only_one_page_of_pairs_is_in_the_document(open_page):
    page = open_page()
    assert page.locator(".card").count() == 24 and page.locator("#page-before").is_disabled()
    first = shown_names(page)
    page.locator("#page-after").click()
    assert page.locator(".card").count() == 6 and not set(shown_names(page)) & set(first)
    assert page.locator("#shown").inner_text() == "30 pairs: 25 to 30" and page.locator("#page-after").is_disabled()
    page.locator("#page-number").fill("1")
    page.locator("#page-number").press("Enter")
    assert shown_names(page) == first


def test_difference_of_aligned_pictures_is_nearly_black(open_page):
    """The crop, laid onto its original by the transform of the pair, cancels it where it covers it."""
    page = open_page()
    choose(page, "rung", "edited")
    choose(page, "mode", "difference")
    stage = page.locator(".stage").first
    assert page.locator(".stage").count() == 5
    stage.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    assert mean_inside(stage.screenshot()) < 14
    page.evaluate("for (const over of document.querySelectorAll('.stage .over')) over.style.visibility = 'hidden'")
    assert mean_inside(stage.screenshot()) > 60, "what is hidden now did cancel the picture"


def mean_inside(screenshot: bytes) -> float:
    """Mean value of the middle of a picture, which the crop covers."""
    import io

    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(screenshot)) as picture:
        pixels = np.asarray(picture.convert("L"), float)
    height, width = pixels.shape
    return float(pixels[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4].mean())


def test_pairs_that_were_not_laid_on_one_another_say_so(open_page):
    page = open_page()
    choose(page, "rung", "look_alike")
    choose(page, "mode", "swipe")
    assert page.locator(".stage").count() == 0 and page.locator(".card .aside").count() == 5


def test_swipe_moves_by_keys_and_by_drag(open_page):
    page = open_page()
    choose(page, "mode", "swipe")
    slider = page.locator(".stage input").first
    stage = page.locator(".stage").first
    slider.press("ArrowLeft")
    assert stage.evaluate("stage => stage.style.getPropertyValue('--at')") == "49%"
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.49, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 40)
    page.mouse.up()
    assert 80 < float(stage.evaluate("stage => parseFloat(stage.style.getPropertyValue('--at'))")) < 100


def test_flicker_turns_slowly_and_stops_by_hand(open_page):
    page = open_page()
    choose(page, "mode", "flicker")
    page.evaluate("""() => {
        window.turns = 0;
        new MutationObserver((changes) => { window.turns += changes.length; })
          .observe(document.querySelector('.stage'), { attributes: true, attributeFilter: ['class'] });
    }""")
    page.wait_for_timeout(2_500)
    assert 2 <= page.evaluate("turns") <= 4, "at most two flashes a second: four turns"
    page.locator(".stage .turn").first.press("Enter")
    by_hand = page.evaluate("turns")
    page.wait_for_timeout(1_000)
    assert page.evaluate("turns") == by_hand


def test_flicker_stands_still_for_who_wants_less_motion(open_page):
    page = open_page(reduced_motion="reduce")
    choose(page, "mode", "flicker")
    page.wait_for_timeout(1_200)
    assert page.locator(".stage.turned").count() == 0
    page.locator(".stage .turn").first.press("Space")
    assert page.locator(".stage.turned").count() == 1


def test_a_pair_is_looked_at_by_keyboard_and_focus_returns(open_page):
    page = open_page()
    opener = page.locator(".card .open").nth(2)
    opener.focus()
    page.keyboard.press("Enter")
    assert page.locator("#viewer-title").inner_text() == "Pair 3 of 30"
    page.keyboard.press("ArrowRight")
    assert (
        page.locator("#viewer-title").inner_text() == "Pair 4 of 30"
        and "cropped to 56 %" in page.locator("#viewer-facts").inner_text()
    )
    page.keyboard.press("4")
    assert page.locator('#viewer .stage[data-mode="difference"]').count() == 1
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#viewer-title").inner_text() == "Pair 1 of 30" and page.locator("#viewer-before").is_disabled()
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert opener.evaluate("opener => document.activeElement === opener")


def test_the_page_is_walked_by_keyboard(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_lasso_filters_the_gallery_and_clear_shows_all(open_page):
    page = open_page()
    plot = draw_map(page)
    choose(page, "tool", "lasso")
    assert page.locator("#selected").is_hidden(), "drawing the map selects nothing"
    box = plot.bounding_box()
    left, top, right, bottom = box["x"] + 8, box["y"] + 8, box["x"] + box["width"] / 2, box["y"] + box["height"] - 8
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 4)):
        page.mouse.move(x, y, steps=6)
    page.mouse.up()
    chosen = page.locator("#map-selected")
    api.expect(chosen).to_contain_text("with an image in the selection")
    n_images, n_pairs = (int(word) for word in chosen.inner_text().split() if word.isdigit())
    assert 0 < n_images < 60 and 0 < n_pairs < 30
    assert page.locator("#selected").inner_text().startswith(f"Showing {n_pairs} pair")
    page.locator("#selected-clear").click()
    assert page.locator("#shown").inner_text() == "30 pairs: 1 to 24" and chosen.inner_text() == ""


def test_many_points_move_as_a_picture_and_are_drawn_where_they_are_dropped(open_page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_report(large_report(21_000, 20, n_pictures=20)), encoding="utf-8")
    page = open_page(path)
    plot = draw_map(page)
    choose(page, "tool", "pan")
    axes = "['xaxis', 'yaxis'].map((name) => [...plot._fullLayout[name].range, plot._fullLayout[name]._length])"
    before = page.evaluate(axes)
    box = plot.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y + 60, steps=6)
    layers = "[...document.querySelectorAll('#plot .gl-container')].map((layer) => layer.style.transform)"
    assert set(page.evaluate(layers)) == {"translate(120px, 60px)"} and page.evaluate(axes) == before
    page.mouse.up()
    page.wait_for_function(f"{layers}.every((transform) => transform === '')")
    moves = [
        (new[0] - old[0]) / (old[1] - old[0]) * old[2] for old, new in zip(before, page.evaluate(axes), strict=True)
    ]
    assert moves == pytest.approx([-120, 60], abs=0.5)
    plot.dblclick()
    page.wait_for_function(f"JSON.stringify({axes}) === '{json.dumps(before, separators=(',', ':'))}'")


def test_box_selects_all_images_and_other_map_starts_anew(open_page):
    page = open_page()
    plot = draw_map(page)
    choose(page, "tool", "select")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 9, box["y"] + 9)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 9, box["y"] + box["height"] - 9, steps=8)
    page.mouse.up()
    api.expect(page.locator("#map-selected")).to_contain_text("60 images chosen: showing 30 pairs")
    choose(page, "map", "1")
    api.expect(page.locator("#selected")).to_be_hidden()


def test_hover_shows_thumbnail_and_name(open_page):
    page = open_page()
    draw_map(page)
    where = page.evaluate("""() => {
        const plot = document.querySelector('#plot'), { xaxis, yaxis } = plot._fullLayout, { x, y } = plot.data[0];
        const box = plot.getBoundingClientRect();
        return [box.left + xaxis._offset + xaxis.d2p(x[0]), box.top + yaxis._offset + yaxis.d2p(y[0])];
    }""")
    page.mouse.move(*where, steps=4)
    hover = page.locator("#hover")
    api.expect(hover).to_be_visible()
    assert hover.locator("img").count() == 1 and "gallery" in hover.inner_text()


@pytest.mark.parametrize("colouring", ["label", "group"])
def test_maps_are_coloured_anew_and_points_hidden(open_page, colouring):
    page = open_page()
    draw_map(page)
    choose(page, "colour", colouring)
    legend = page.locator("#map-legend button")
    texts = legend.all_inner_texts()
    assert sum(int(text.rsplit(" ", 1)[1]) for text in texts) == 60
    assert ("<b>hills</b> 10" in texts) == (colouring == "label")
    legend.first.click()
    assert legend.first.get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.querySelector('#plot').data[0].visible") is False


def test_points_are_drawn_with_webgl(open_page):
    page = open_page()
    draw_map(page)
    assert page.evaluate("document.querySelector('#plot').data.map((trace) => trace.type)") == ["scattergl"] * 3
    assert page.locator("#plot .no-webgl").count() == 0


def test_plotly_is_run_only_when_the_map_comes_into_view(open_page):
    page = open_page()
    page.wait_for_timeout(300)
    assert page.evaluate("typeof window.Plotly") == "undefined"
    draw_map(page)
    assert page.evaluate("typeof window.Plotly") == "object"


def test_hostile_names_are_read_as_they_are(open_page):
    page = open_page()
    names = shown_names(page) + page.locator(".card .names > div:last-child .name").all_inner_texts()
    assert set(HOSTILE[:6]) <= set(names)
    assert page.locator("img[src='x']").count() == 0 and page.locator("main i:not(.steps i)").count() == 0
    page.locator(".card .open").first.click()
    assert HOSTILE[0] in page.locator("#viewer-facts").inner_text()
    assert page.locator("#viewer-facts i:not(.steps i)").count() == 0


def test_words_and_numbers_are_those_of_the_program(open_page):
    page = open_page()
    shares = [0, 1, 0.5, 0.000013, 0.0042, 0.034, 0.42, 0.99999, 0.991, 1 / 3, 0.1]
    assert page.evaluate("shares => shares.map(shareText)", shares) == [share_text(share) for share in shares]


@pytest.mark.parametrize("view", [PHONE, {"width": 320, "height": 640}, LAPTOP], ids=["phone", "small phone", "laptop"])
def test_page_never_scrolls_sideways(open_page, view):
    page = open_page(viewport=view)
    draw_map(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= view["width"]
    page.locator(".card .open").first.click()
    assert page.evaluate(
        "document.querySelector('#viewer').scrollWidth <= document.querySelector('#viewer').clientWidth"
    )


def test_theme_follows_the_system_and_the_button(open_page):
    page = open_page(color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator("#theme").click()
    light = page.evaluate(background)
    assert (dark, light) == ("rgb(19, 21, 24)", "rgb(247, 246, 242)")
    page.reload()
    assert page.evaluate(background) == light


def test_paper_shows_a_few_pairs_side_by_side_and_no_controls(open_page):
    page = open_page()
    choose(page, "mode", "flicker")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".card").count() == 12 and page.locator(".stage").count() == 0
    assert not any(page.locator(place).is_visible() for place in (".top", ".filters", ".slider", "#mode", "#pages"))
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".card").count() == 24


def test_without_scripts_the_verdict_and_tables_are_there(open_page):
    page = open_page(java_script_enabled=False)
    words = page.locator("main").inner_text()
    assert small_report().verdict in words and "JavaScript, which is switched off" in words
    assert page.locator(".matrix:visible").count() == 6 and not page.locator("#gallery").is_visible()


def test_command_is_offered_for_copying(open_page):
    page = open_page()
    page.locator("#copy").click()
    api.expect(page.locator("#copied")).not_to_be_empty()
    assert page.evaluate("document.querySelector('#command').textContent") == small_report().command


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["page", "pair", "phone", "index"])
def test_axe_finds_no_serious_fault(open_page, tmp_path, scheme, part):
    source = axe_source()
    path = tmp_path / "index.html"
    path.write_text(render_index(small_report()), encoding="utf-8")
    options = {"color_scheme": scheme, "viewport": PHONE if part == "phone" else LAPTOP}
    page = open_page(path, **options) if part == "index" else open_page(**options)
    if part != "index":
        draw_map(page)
    if part == "pair":
        page.locator(".card .open").nth(2).click()
        page.keyboard.press("2")
    page.evaluate(source)
    assert not serious_faults(page)


def test_a_large_page_opens_within_three_seconds(open_page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_report(large_report(20_000, 2_000, n_pictures=2_000)), encoding="utf-8")
    page = open_page(path)
    assert page.locator(".card").count() == 24
    opened = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert 0 < opened < 3_000, f"{opened:.0f} ms"
    draw_map(page)
