import csv
import io
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from PIL import Image

from overlens.errors import ConfigError
from overlens.records import ModelInfo
from overlens.report.colouring import colour_groups, shared_colours
from overlens.report.coordinates import coordinates_csv
from overlens.report.figures import draw_projection, draw_transfer
from overlens.report.plotly_page import MAX_LEGEND_CHARACTERS, WEBGL_FROM_IMAGES, projection_page
from overlens.report.sheet import Sheet
from overlens.report.style import (
    DPI,
    FAINT,
    LABEL_COLOURS,
    MISSING_GLYPH,
    REST,
    drawable,
    shorten_end,
    shorten_middle,
    text_width,
    wrap_text,
)
from overlens.report.views import (
    ProjectionView,
    TransferRow,
    TransferView,
    count_of,
    describe_encoder,
    join_names,
)
from overlens.tables import plain_text

HOSTILE = "<img src=x onerror=alert(1)>.jpg"
HOSTILE_NAMES = (
    HOSTILE,
    "</script><script>alert(1)</script>",
    "$x^2$ and $ one more",
    "صورة من المتحف.jpg",
    "受胎告知 🖼️👩‍👧.png",
    "line\nbreak\tand \x00 control",
    "broken \udcff surrogate",
    "%{x} %{customdata} <b>bold</b>",
    "n" * 300,
)


def view_of(n: int = 60, n_labels: int = 4, n_datasets: int = 2, **changes) -> ProjectionView:
    rng = np.random.default_rng(0)
    columns = {
        "method": "tsne",
        "coordinates": rng.standard_normal((n, 2)).astype(np.float32),
        "names": tuple(f"image {i}.jpg" for i in range(n)),
        "labels": tuple(f"class {i % n_labels:02d}" for i in range(n)),
        "datasets": tuple(f"set {i * n_datasets // n}" for i in range(n)),
        "label_source": "class folders",
        "encoder": "encoder offline (not CLIP)",
        "notes": ("perplexity lowered from 30 to 19.7 for 60 images",),
    }
    return ProjectionView(**columns | changes)


def hostile_view() -> ProjectionView:
    n = len(HOSTILE_NAMES)
    return view_of(n, names=HOSTILE_NAMES, labels=HOSTILE_NAMES, datasets=(HOSTILE,) * n)


def figure_of(page: str) -> dict:
    return json.loads(re.search(r'<script id="figure" type="application/json">(.*?)</script>', page, re.S)[1])


def own_part(page: str) -> str:
    """The page without plotly.js."""
    start, end = page.index("<script>"), page.index('<script id="figure"')
    return page[:start] + page[end:]


def picture(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


@pytest.mark.parametrize("coloured_by", ["dataset", "label"])
@pytest.mark.parametrize("n_labels", [1, 4, 40], ids=["one label", "few labels", "many labels"])
def test_groups_hold_every_image_once(coloured_by, n_labels):
    view = view_of(n_labels=n_labels)
    for join_rest in (True, False):
        rows = np.concatenate([group.rows for group in colour_groups(view, coloured_by, join_rest=join_rest)])
        assert sorted(rows) == list(range(60))


def test_the_most_frequent_labels_are_coloured_and_the_rest_is_counted():
    labels = tuple("abc"[min(i // 20, 2)] if i < 30 else f"rare {i % 25:02d}" for i in range(60))
    groups = colour_groups(view_of(labels=labels), "label", join_rest=True)
    assert [group.text for group in groups[:2]] == ["a (20)", "b (10)"]
    assert groups[-1].colour == REST
    n_rest = len(set(labels)) - len(LABEL_COLOURS)
    assert groups[-1].text.startswith(f"other, {n_rest} classes (")
    assert len({group.colour for group in groups}) == len(groups) == len(LABEL_COLOURS) + 1


def test_images_without_a_label_are_pale_even_if_they_are_the_most():
    labels = ("unlabelled",) * 50 + ("cat",) * 10
    groups = colour_groups(view_of(labels=labels), "label", join_rest=True)
    assert [(group.text, group.colour) for group in groups] == [
        ("cat (10)", LABEL_COLOURS[0]),
        ("unlabelled (50)", FAINT),
    ]


def test_labels_keep_the_colours_that_they_have_in_other_maps():
    view = view_of(n_labels=3, colours={"class 01": LABEL_COLOURS[0], "class 02": LABEL_COLOURS[0], "other": "#000000"})
    groups = colour_groups(view, "label", join_rest=True)
    assert [group.colour for group in groups] == [LABEL_COLOURS[1], LABEL_COLOURS[0], LABEL_COLOURS[2]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcdefghijklmnop"), st.integers(1, 5)), max_size=4))
def test_shared_colours_tell_the_labels_of_every_map_apart(own):
    own = [dict(sorted(counts.items())) for counts in own]
    together = Counter(dict.fromkeys(sorted(set().union(*own)), 0))
    for counts in own:
        together.update(counts)
    colours = shared_colours([*own, together])
    for counts in [*own, together]:
        ranked = sorted(counts, key=lambda label: (-counts[label], label))[: len(LABEL_COLOURS)]
        shown = [colours[label] for label in ranked if label in colours]
        assert len(set(shown)) == len(shown)
    most = sorted(together, key=lambda label: (-together[label], label))[: len(LABEL_COLOURS)]
    assert [colours[label] for label in most] == list(LABEL_COLOURS[: len(most)])


def test_unknown_colouring_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'size' is not known; allowed: dataset, label"):
        draw_projection(view_of(), coloured_by="size")


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        view_of(names=("a",))


@pytest.mark.parametrize("coloured_by", ["dataset", "label"])
def test_equal_views_give_equal_bytes_in_several_threads(coloured_by):
    view = view_of(n_labels=20)
    with ThreadPoolExecutor(2) as pool:
        pictures = list(pool.map(lambda _: draw_projection(view, coloured_by=coloured_by), range(3)))
    assert len(set(pictures)) == 1
    assert projection_page(view, coloured_by=coloured_by) == projection_page(view, coloured_by=coloured_by)


def test_png_holds_neither_date_nor_version():
    assert not {"Software", "Creation Time", "date"} & set(
        Image.open(io.BytesIO(draw_projection(view_of(), coloured_by="dataset"))).info
    )


@pytest.mark.parametrize(
    "view",
    [
        view_of(1, n_datasets=1),
        view_of(5, coordinates=np.zeros((5, 2), np.float32)),
        view_of(0, coordinates=np.zeros((0, 2), np.float32)),
        view_of(60, n_labels=60),
        view_of(60, n_datasets=30),
        hostile_view(),
    ],
    ids=["one image", "one spot", "no image", "a class each", "thirty datasets", "hostile names"],
)
@pytest.mark.parametrize("coloured_by", ["dataset", "label"])
def test_odd_views_are_drawn_without_a_warning(view, coloured_by):
    width, height = picture(draw_projection(view, coloured_by=coloured_by)).size
    assert 7 * DPI <= width <= 11 * DPI
    assert height >= 6 * DPI
    assert figure_of(projection_page(view, coloured_by=coloured_by))["data"] or not view.names


def test_the_legend_stands_beside_the_points():
    """Points in the right corners of the frame change nothing right of it."""
    corners = np.array([[-1, -1], [1, 1], [1, -1]], np.float32)
    middle = np.array([[-1, -1], [1, 1], [0, 0]], np.float32)
    first, second = (
        np.asarray(picture(draw_projection(view_of(3, 1, 1, coordinates=points), coloured_by="label")))
        for points in (corners, middle)
    )
    changed = np.nonzero((first != second).any(axis=(0, 2)))[0]
    frame_right = round((0.35 + 6.4) * DPI)
    assert changed.max() < frame_right
    assert (first[:, frame_right + 10 :] < 200).any()


def test_page_asks_nothing_of_a_network():
    page = own_part(projection_page(view_of(), coloured_by="label"))
    assert "http:" not in page and "https:" not in page and " src=" not in page and " href=" not in page
    assert "default-src 'none'" in page
    config = figure_of(projection_page(view_of(), coloured_by="label"))["config"]
    assert config["showSendToCloud"] is False and config["displaylogo"] is False and config["plotlyServerURL"] == ""


def test_page_holds_the_whole_of_plotly_js():
    page = projection_page(view_of(), coloured_by="label")
    assert len(page) > 3_000_000
    assert page.count("<script>") == page.count("</script>") - 1 == 2


@pytest.mark.parametrize("coloured_by", ["dataset", "label"])
def test_hostile_names_stay_text(coloured_by):
    page = own_part(projection_page(hostile_view(), coloured_by=coloured_by))
    assert "<img" not in page and "alert(1)</script>" not in page
    figure = figure_of(projection_page(hostile_view(), coloured_by=coloured_by))
    for trace in figure["data"]:
        for text in [trace["name"], *trace.get("text", [])]:
            assert set(re.findall(r"<[^>]*>?", text)) <= {"<br>"}
    page.encode("utf-8")


def test_hover_shows_name_label_and_dataset_in_full():
    long_name = "folder/" + "n" * 200 + ".jpg"
    view = view_of(2, names=(long_name, 'b & "c"'), labels=("cat", "dog"), datasets=("one", "two"))
    texts = {
        text for trace in figure_of(projection_page(view, coloured_by="dataset"))["data"] for text in trace["text"]
    }
    assert 'b &amp; "c"<br>label: dog<br>dataset: two' in texts
    assert any(text.replace("<br>", "").startswith(long_name) for text in texts)


@pytest.mark.parametrize(("n", "kind"), [(WEBGL_FROM_IMAGES, "scatter"), (WEBGL_FROM_IMAGES + 1, "scattergl")])
def test_many_points_are_drawn_by_webgl(n, kind):
    view = view_of(n, n_datasets=1)
    assert {trace["type"] for trace in figure_of(projection_page(view, coloured_by="dataset"))["data"]} == {kind}


def test_page_draws_every_point_once_and_names_every_class():
    figure = figure_of(projection_page(view_of(n_labels=20), coloured_by="label"))
    points = [(x, y) for trace in figure["data"] for x, y in zip(trace["x"], trace["y"], strict=True) if x is not None]
    assert sorted(points) == sorted(map(tuple, np.round(view_of().coordinates.astype(float), 4).tolist()))
    shown = [trace["name"] for trace in figure["data"] if trace.get("showlegend", True)]
    assert sorted(shown) == sorted([f"class {i:02d} (3)" for i in range(20)] + ["set 0", "set 1"])


@pytest.mark.parametrize(
    "words",
    ["t-SNE of set 0 and set 1, coloured by label", "60 images", "not CLIP", "class folders", "perplexity lowered"],
)
def test_page_says_what_it_shows(words):
    assert words in own_part(projection_page(view_of(), coloured_by="label"))


def test_a_long_label_is_shortened_in_the_legend_of_the_page_but_not_its_count():
    view = view_of(4, labels=("n" * 300,) * 4, datasets=("d" * 100,) * 4)
    for coloured_by in ("dataset", "label"):
        (trace,) = figure_of(projection_page(view, coloured_by=coloured_by))["data"]
        assert trace["name"].endswith(" (4)") and "…" in trace["name"] and len(trace["name"]) < 45


def test_long_names_of_datasets_differ_in_the_legend_of_the_page():
    names = [
        f"museum_collection_of_the_{year}_digitisation_{part}" for year in (2020, 2021) for part in ("train", "test")
    ]
    view = view_of(4, datasets=tuple(names))
    page = figure_of(projection_page(view, coloured_by="dataset"))
    shown = {trace["name"] for trace in page["data"]}
    assert len(shown) == 4 and all(len(name) <= MAX_LEGEND_CHARACTERS + 4 for name in shown)


def test_csv_keeps_names_and_reads_back():
    view = hostile_view()
    rows = list(csv.DictReader(io.StringIO(coordinates_csv(view), newline="")))
    assert [plain_text(row["name"]) for row in rows] == list(view.names)
    assert list(rows[0]) == ["dataset", "name", "label", "x", "y"]
    back = np.array([[row["x"], row["y"]] for row in rows], np.float32)
    assert np.array_equal(back, view.coordinates)


def test_csv_holds_no_formula_and_negative_places_are_numbers():
    view = replace(view_of(2), names=("=1+1", "plain"), coordinates=np.array([[-1.5, -2e-7], [1, -3e30]], np.float32))
    first, second = csv.DictReader(io.StringIO(coordinates_csv(view), newline=""))
    assert (first["name"], first["x"], first["y"]) == ("'=1+1", "-1.5", "-2e-07")
    assert (second["name"], second["x"], second["y"]) == ("plain", "1.0", "-3e+30")
    assert plain_text(first["name"]) == view.names[0]


def transfer_view(n: int, **changes) -> TransferView:
    rows = tuple(TransferRow(f"class {i}", i + 1, 2 * i + 1, 1 - i / max(n, 1), 0.5) for i in range(n))
    return TransferView("a", "b", changes.get("rows", rows), 0.5 if n else None, "encoder x", "classes")


def test_transfer_of_no_common_class_is_a_small_picture():
    assert picture(draw_transfer(transfer_view(0))).size[1] < 3 * DPI


def test_transfer_grows_with_the_classes_up_to_a_stated_number():
    heights = [picture(draw_transfer(transfer_view(n))).size[1] for n in (1, 10, 40, 41, 400)]
    assert heights[0] < heights[1] < heights[2] < heights[3] == heights[4]


def test_transfer_does_not_depend_on_the_order_of_classes():
    rows = transfer_view(12).rows
    assert draw_transfer(transfer_view(12, rows=rows[::-1])) == draw_transfer(transfer_view(12))


def test_every_class_of_a_transfer_looks_different(monkeypatch):
    labels = [f"{'a class of the collection of the museum of ' * 3}{end}" for end in ("saints", "angels")]
    labels += ["\u53d7\u80ce", "\u544a\u77e5"]
    rows = tuple(TransferRow(label, 7, 8, 0.5, 0.5) for label in labels)
    view = TransferView("\u53d7", "\u544a", rows, 0.5, "encoder x", "classes")
    words = texts_of(lambda: draw_transfer(view), monkeypatch)
    assert {"\u25a1\u25a1 (3)", "\u25a1\u25a1 (4)"} < set(words)
    assert [word[:7] for word in words if word.endswith((" (1)", " (2)"))] == ["a class"] * 2
    assert "From \u25a1 (1) to \u25a1 (2): how alike are the common classes?" in words
    view = replace(view, rows=rows[:2])
    assert {word[-6:] for word in texts_of(lambda: draw_transfer(view), monkeypatch) if "\u2026" in word} == {
        "saints",
        "angels",
    }


def test_datasets_look_different_in_the_title_of_a_picture_and_keep_their_letters_on_a_page(monkeypatch):
    view = view_of(n=2, datasets=("\u53d7", "\u544a"))
    words = texts_of(lambda: draw_projection(view, coloured_by="dataset"), monkeypatch)
    assert "t-SNE of \u25a1 (1) and \u25a1 (2), coloured by dataset" in words
    assert "t-SNE of \u53d7 and \u544a, coloured by dataset" in own_part(projection_page(view, coloured_by="dataset"))
    words = texts_of(lambda: draw_projection(view_of(), coloured_by="dataset"), monkeypatch)
    assert "t-SNE of set 0 and set 1, coloured by dataset" in words


def texts_of(draw, monkeypatch) -> list[str]:
    """Draw a picture and return its texts."""
    sheets: list[Sheet] = []
    monkeypatch.setattr(Sheet, "png", lambda sheet: sheets.append(sheet) or b"")
    draw()
    return [text.get_text() for text in sheets[0].figure.findobj(Text)]


@pytest.mark.parametrize("similarity", [-0.9, 0.0, None, 1.0])
def test_transfer_draws_every_similarity(similarity):
    rows = (TransferRow(HOSTILE_NAMES[4], 1, 1, similarity, -0.2), TransferRow("$", 1, 1, 0.4, 0.4))
    assert draw_transfer(transfer_view(2, rows=rows)).startswith(b"\x89PNG")


@pytest.mark.parametrize("text", HOSTILE_NAMES)
def test_shortened_text_fits(text):
    for width in (0.6, 1.5, 4.0):
        for shown in (shorten_end(text, width, 9), shorten_middle(text, width, (9, False)), *wrap_text(text, width, 9)):
            assert text_width(shown, 9) <= width


def test_short_text_stays_whole_and_long_text_keeps_its_ends():
    assert shorten_end("Saint Jerome", 2, 9) == "Saint Jerome"
    assert shorten_end("n" * 300, 2, 9).endswith("n…")
    middle = shorten_middle("begin" + "n" * 300 + "end.jpg", 2, (9, False))
    assert middle.startswith("begin") and middle.endswith("end.jpg") and "…" in middle


def test_characters_without_a_glyph_become_a_square():
    assert drawable("日a") == MISSING_GLYPH + "a"
    assert drawable("5 $") == r"5 \$"


@pytest.mark.parametrize(("names", "text"), [(("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")])
def test_names_are_joined_as_in_prose(names, text):
    assert join_names(names) == text


@pytest.mark.parametrize(
    ("n", "noun", "text"), [(1, "image", "1 image"), (1864, "image", "1,864 images"), (2, "class", "2 classes")]
)
def test_counts_agree_with_their_noun(n, noun, text):
    assert count_of(n, noun) == text


def test_an_encoder_that_is_not_clip_says_so():
    model = ModelInfo("offline", "package", "1", "", "fp32", 1280, "", is_clip=False)
    assert describe_encoder(model) == "encoder offline (not CLIP)"
    assert describe_encoder(None) == "unknown encoder"
