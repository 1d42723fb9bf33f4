"""The report as text: what stands in the page, what cannot, and that it needs nothing from outside."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from overlens.report.html.matrices import default_rung, directions, matrices
from overlens.report.html.page import SCRIPTS, file_folders, render_index, render_report
from overlens.report.html.records import FileEntry, Report
from overlens.report.html.wording import cell_text, is_number, isolate, size_text
from overlens.report.plotly_page import plotly_library
from report_samples import HOSTILE, large_report, small_report

SVG = "http://www.w3.org/2000/svg"
"""The name of the language of charts, not an address that anything asks."""


class Elements(HTMLParser):
    """The elements of a page, the texts of its scripts, and its words."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words = ""
        self.inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, text):
        if self.inside == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + text)
        elif self.inside != "style":
            self.words += text

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def report() -> Report:
    return small_report()


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return render_report(report)


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    return Elements(page)


def data_of(elements: Elements) -> dict:
    return next(json.loads(text) for attributes, text in elements.scripts if attributes.get("id") == "data")


def policy_of(elements: Elements) -> str:
    metas = elements.attributes("meta")
    return next(str(one["content"]) for one in metas if one.get("http-equiv") == "Content-Security-Policy")


def empty_parts(report: Report) -> Report:
    """The report of a run that only counted files: nothing compared, nothing to show."""
    return replace(
        report,
        findings=(), basis=(), notices=(), rungs=(), containments=(), overview=(), curves=(), gallery=None, maps=(),
        sections=(), files=(),
    )  # fmt: skip


def test_names_become_texts_and_never_elements(elements):
    assert not {tag for tag, _ in elements.tags} & {"i", "b", "iframe", "object", "embed", "link", "base"}
    assert not [name for _, attributes in elements.tags for name in attributes if name.startswith("on")]
    assert set(HOSTILE) <= set(data_of(elements)["images"]["name"])
    assert "<i>web</i>" in elements.words and HOSTILE[0] in elements.words


def test_each_executable_script_is_one_of_ours(elements):
    run = [text for attributes, text in elements.scripts if "type" not in attributes]
    assert len(run) == len(SCRIPTS) + 1
    assert [attributes.get("type") for attributes, _ in elements.scripts if "type" in attributes] == [
        "application/json",
        "text/plain",
    ]
    assert all("alert(" not in text for text in run)


def test_policy_allows_these_scripts_by_digest_and_no_request(elements):
    policy = policy_of(elements)
    texts = [text for attributes, text in elements.scripts if attributes.get("type") != "application/json"]
    digests = {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts}
    allowed = set(re.search(r"script-src ([^;]+)", policy)[1].split())
    assert allowed == digests | {"'unsafe-eval'"}
    assert (
        policy.startswith("default-src 'none'; ") and "img-src data: blob:;" in policy and "connect-src" not in policy
    )


def test_without_a_map_nothing_is_evaluated_and_plotly_is_not_there(report):
    page = render_report(replace(report, maps=()))
    assert "unsafe-eval" not in policy_of(Elements(page)) and plotly_library() not in page
    assert len(page) < 1_000_000


def test_plotly_stands_in_the_page_once(page):
    assert page.count(plotly_library()) == 1
    assert "</script" not in plotly_library().lower(), "it would end the element that it stands in"


def test_no_address_outside(page, report):
    ours = page.replace(plotly_library(), "").replace(SVG, "")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", ours)


def test_every_file_is_linked(report, elements):
    linked = {attributes.get("href") for attributes in elements.attributes("a")}
    named = [one.file for one in (*report.containments, *report.curves, *report.maps, *report.overview)]
    named += [table.file for section in report.sections for table in (*section.tables, *section.pictures)]
    named += [entry.address for entry in report.files] + [report.gallery.file]
    named += [dataset.failures for dataset in report.datasets if dataset.n_failed]
    assert set(named) <= linked


def test_links_within_the_page_lead_somewhere(elements):
    places = {attributes["id"] for _, attributes in elements.tags if "id" in attributes}
    links = [str(one["href"])[1:] for one in elements.attributes("a") if str(one["href"]).startswith("#")]
    assert links and set(links) <= places
    assert len(places) == len([1 for _, attributes in elements.tags if "id" in attributes]), "each id once"


@pytest.mark.parametrize("place", ["verdict", "findings", "notices", "left out", "command"])
def test_words_of_the_report_stand_in_the_page(report, elements, place):
    texts = {
        "verdict": (report.verdict,),
        "findings": report.findings,
        "notices": report.notices,
        "left out": report.gallery.left_out,
        "command": (report.command,),
    }[place]
    words = elements.words.replace("\N{NO-BREAK SPACE}", " ")
    assert all(text in words for text in texts)


def test_headings_follow_one_another(elements):
    levels = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_equal_records_give_equal_bytes(page):
    assert render_report(small_report()) == page


def test_page_grows_only_with_its_pictures_and_records():
    few, many = (render_report(large_report(n, 100, n_pictures=20)) for n in (1_000, 3_000))
    per_image = (len(many) - len(few)) / 2_000
    assert 40 < per_image < 120
    more_pictures = render_report(large_report(1_000, 100, n_pictures=40))
    assert (len(more_pictures) - len(few)) / 20 < 1.4 * 6_500


def test_a_picture_that_several_images_share_stands_once(report):
    pictures = report.images.pictures[:1]
    images = replace(report.images, pictures=pictures, thumbnails=np.zeros(60, np.int32))
    page = render_report(replace(report, images=images))
    assert page.count(b64encode(pictures[0]).decode()) == 1


def test_empty_parts_are_left_out(report):
    elements = Elements(render_report(empty_parts(report)))
    places = {attributes.get("id") for _, attributes in elements.tags}
    assert not places & {"overlap", "pairs", "maps", "files", "viewer", "curve", "plotly"}
    assert report.verdict in elements.words


def test_gallery_without_pairs_and_maps_is_rendered(report):
    none = np.zeros(0, np.int32)
    images = replace(
        report.images, datasets=none.astype(np.int16), names=(), labels=none, groups=none, thumbnails=none,
        sizes_px=np.zeros((0, 2), np.int32), pictures=(),
    )  # fmt: skip
    data = data_of(
        Elements(render_report(replace(report, images=images, maps=(), gallery=replace(report.gallery, pairs=()))))
    )
    assert data["images"]["name"] == [] and data["pairs"]["left"] == []


def test_pairs_come_back_from_their_columns(report, elements):
    pairs = data_of(elements)["pairs"]
    for place, pair in enumerate(report.gallery.pairs):
        texts = [pairs["texts"][text] for text in pairs["evidence"][place]]
        assert tuple(zip(texts[::2], texts[1::2], strict=True)) == pair.evidence
        assert pairs["texts"][pairs["words"][place]] == pair.words
        assert (pairs["cosine"][place], pairs["bits"][place]) == (pair.cosine, pair.bits)
        assert (pairs["transform"][place] is None) == (pair.transform is None)


def test_line_separators_are_escaped_in_the_data(page):
    assert "\u2028" not in page.split('id="data">')[1].split("</script>")[0]


def test_a_number_that_is_not_finite_is_refused(report):
    curve = replace(report.curves[0], at=float("nan"))
    with pytest.raises(ValueError, match="JSON compliant"):
        render_report(replace(report, curves=(curve,)))


def test_one_matrix_opens_and_each_rung_has_one(report):
    tables = matrices(report)
    assert [(one.method, one.rung) for one in tables] == [
        ("verified", "same_bytes"), ("verified", "same_pixels"), ("verified", "same_picture"), ("verified", "edited"),
        ("cosine", ""), ("perceptual", ""),
    ]  # fmt: skip
    assert [one.rung for one in tables if one.is_first] == ["edited"]
    assert tables[3].scope == "up to and including edited" and tables[0].scope == "only same bytes"


def test_a_matrix_says_share_count_and_what_nobody_looked_for(report):
    first = next(one for one in matrices(report) if one.is_first)
    assert (first.rows[0][1].share, first.rows[0][1].count, first.rows[0][1].shade) == ("25 %", 250, 3)
    assert first.rows[2][2].count is None and first.rows[2][2].is_within
    assert first.rows[1][2].shade == 0 and first.rows[2][0].shade == 1


def test_a_table_of_no_rung_is_shown_as_the_run_counts(report):
    odd = replace(report.containments[0], counts=((1, 1, 1), (1, 1, 1), (1, 1, 1)))
    assert default_rung(odd) == ""
    assert [one.rung for one in matrices(replace(report, containments=(odd,))) if one.is_first] == [""]


def test_directions_begin_with_the_largest_share(report):
    assert directions(report)[:3] == (
        ("gallery", "archive", 250, 1_000), ("archive", "gallery", 240, 4_000), ("gallery", "<i>web</i>", 9, 1_000)
    )  # fmt: skip
    assert directions(replace(report, containments=())) == ()


def test_index_lists_every_file_with_its_meaning_under_its_folder(report):
    elements = Elements(render_index(report))
    links = [one["href"] for one in elements.attributes("a")]
    assert [entry.address for entry in report.files] == [link for link in links if link not in ("#main", "report.html")]
    assert all(entry.what in elements.words for entry in report.files) and "4.8 MB" in elements.words
    assert len(elements.scripts) == 1
    assert not re.search(r"https?:", render_index(report))


def test_files_of_one_folder_stand_together():
    entries = tuple(FileEntry(path, path, "", 1) for path in ("b/1", "a/1", "top", "b/2"))
    assert [(folder, [one.path for one in group]) for folder, group in file_folders(entries)] == [
        ("b", ["b/1", "b/2"]), ("a", ["a/1"]), ("", ["top"])
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "\N{EN DASH}"), (1234, "1,234"), (0.51234, "0.5123"), (12345.6, "12,346"), (float("nan"), "\N{EN DASH}"),
     ("a\nb", "a b")],
    ids=["none", "count", "share", "large", "not a number", "text"],
)  # fmt: skip
def test_cells_are_written_for_people(value, text):
    assert cell_text(value) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 kB"), (4_812_345, "4.8 MB"), (99_960, "100 kB")],
)
def test_sizes_are_written_for_people(n_bytes, text):
    assert size_text(n_bytes) == text


def test_a_name_from_right_to_left_is_isolated_in_a_sentence():
    name = "\u05d2\u05dc\u05e8\u05d9\u05d4"
    assert isolate(f"3 <of> {name} (1 %)", ("a", name)) == f"3 &lt;of&gt; <bdi>{name}</bdi> (1\N{NO-BREAK SPACE}%)"
    assert isolate("a in b", ("a", "b")) == "a in b"


@pytest.mark.parametrize("text", ["95.1 %", "+2.1 points", "+0.0 to +11.9", "15.5 to 91.0 %", 3, None, 0.5])
def test_figures_with_units_stand_as_numbers(text: object):
    assert is_number(text)


@pytest.mark.parametrize("text", ["5", "a 5 %", "%", "1 to", "gallery", ""])
def test_names_do_not_stand_as_numbers(text: str):
    assert not is_number(text)
