"""The pictures of a run: what each function returns and says, on a small run without an encoder's weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import overlens
from overlens.analysis import Analysis
from overlens.drawing import draw_projections
from overlens.features import KnownImages
from overlens.gallery_pictures import draw_galleries
from overlens.overlap_pictures import draw_overlaps
from overlens.progress import Progress
from overlens.projections.methods import ProjectionTable
from overlens.records import Features
from overlens.report.colouring import colour_groups
from overlens.report.style import LABEL_COLOURS
from overlens.store.results import Results
from overlens.testing import FakeEncoder, write_pictures


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Analysis, tuple[KnownImages, ...]]:
    """A run over two folders that share all images of the second, and the images that its galleries were given."""
    return run(tmp_path, monkeypatch)


def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, no_verify: bool = False
) -> tuple[Analysis, tuple[KnownImages, ...]]:
    seen: list[tuple[KnownImages, ...]] = []

    def watch(analysis: Analysis, known: tuple[KnownImages, ...], *_: object) -> list[str]:
        seen.append(tuple(known))
        return []

    monkeypatch.setattr("overlens.pipeline.draw_galleries", watch)
    write_pictures(tmp_path / "one", range(8))
    write_pictures(tmp_path / "two", range(6))
    analysis = overlens.analyze(
        {"one": tmp_path / "one", "two": tmp_path / "two"},
        encoder=FakeEncoder(),
        output=tmp_path / "out",
        projections="none",
        no_verify=no_verify,
    )
    return analysis, seen[0]


def galleries(analysis: Analysis, known: tuple[KnownImages, ...]) -> list[str]:
    return draw_galleries(analysis, known, Results.open(analysis.output), Progress())


def test_galleries_of_whole_images_leave_nothing_to_say(runs):
    assert galleries(*runs) == []
    assert len(list(runs[0].output.rglob("*_duplicate_examples_*.png"))) == 9


def remove_images(known: tuple[KnownImages, ...]) -> None:
    for images in known:
        for path in images.listing.paths:
            path.unlink()


def test_galleries_open_no_image_again(runs):
    remove_images(runs[1])
    assert galleries(*runs) == []


def test_without_evidence_images_are_opened_for_their_first_gallery_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    analysis, known = run(tmp_path, monkeypatch, no_verify=True)
    assert galleries(analysis, known) == []
    remove_images(known)
    assert galleries(analysis, known) == []


def test_without_evidence_images_that_cannot_be_shown_are_counted_once_with_the_first_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    analysis, known = run(tmp_path, monkeypatch, no_verify=True)
    gone, changed = known[0].listing.paths[0], known[0].listing.paths[1]
    gone.unlink()
    changed.write_bytes(b"another file by now")
    (notice,) = galleries(analysis, known)
    assert notice.startswith("galleries: 2 images could not be shown (first: one: ")
    assert str(gone) in notice or "changed since it was analysed" in notice
    assert len(list(analysis.output.rglob("*_duplicate_examples_*.png"))) == 6


def test_a_run_without_images_says_why_it_has_no_galleries(runs):
    (notice,) = galleries(runs[0], ())
    assert notice.startswith("galleries: left out")


def with_projections(analysis: Analysis, methods: tuple[str, ...]) -> Analysis:
    projections = replace(analysis.config.projections, methods=methods)
    return replace(analysis, config=replace(analysis.config, projections=projections))


def test_every_picture_of_a_projection_has_a_table_that_equals_its_csv(runs):
    analysis = with_projections(runs[0], ("tsne",))
    tables, notices = draw_projections(analysis, Results.open(analysis.output), Progress())
    assert [(table.scope, table.method, len(table)) for table in tables] == [
        ("one", "tsne", 8),
        ("two", "tsne", 6),
        ("combined", "tsne", 14),
    ]
    assert notices[0] == "one: perplexity lowered from 30 to 2.33 for 8 images"
    assert not any("exaggeration" in notice for notice in notices)
    for table, file in zip(
        tables, ("one-data/analysis/tsne", "two-data/analysis/tsne", "cross/combined_tsne"), strict=True
    ):
        check_csv(table, analysis.output / "dataset" / f"{file}.csv")


def check_csv(table: ProjectionTable, path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    written, frame = pandas.read_csv(path), table.to_pandas()
    assert list(written.columns) == list(frame.columns)
    assert written[["dataset", "name", "label"]].equals(frame[["dataset", "name", "label"]])
    assert np.array_equal(written[["x", "y"]].to_numpy(np.float32), table.coordinates)


def test_no_projection_is_no_table(runs):
    assert draw_projections(runs[0], Results.open(runs[0].output), Progress()) == ((), [])


def test_too_few_images_are_said_and_make_no_table(tmp_path: Path):
    write_pictures(tmp_path / "few", range(3))
    result = overlens.analyze(
        {"few": tmp_path / "few"}, encoder=FakeEncoder(), output=tmp_path / "out", projections="none", method="cosine"
    )
    few = with_projections(result, ("tsne", "umap"))
    tables, notices = draw_projections(few, Results.open(few.output), Progress())
    assert tables == ()
    assert notices == ["few: no projection of 3 images: at least 5 are needed"]


def test_the_layout_error_stands_in_the_numbers_and_misfit_is_told(runs, monkeypatch: pytest.MonkeyPatch):
    numbers = runs[0].to_json()["methods"]
    assert {method: counts["venn_layout_error"] for method, counts in numbers.items()} == dict.fromkeys(numbers, 0.0)
    results = Results.open(runs[0].output)
    assert draw_overlaps(runs[0], results, Progress()) == []
    monkeypatch.setattr("overlens.venn_layout.Arrangement.describe_misfit", lambda _: ("off by 3 %",))
    assert "venn_diagram_verified.png: off by 3 %" in draw_overlaps(runs[0], results, Progress())


def states(folder: Path) -> dict[Path, tuple[int, int]]:
    """What tells whether a picture or page was written anew."""
    found = [path for path in folder.rglob("*") if path.suffix in (".png", ".html", ".csv", ".npz")]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_what_nothing_has_changed_is_not_drawn_again(runs):
    analysis, known = with_projections(runs[0], ("tsne",)), runs[1]

    def draw(analysis: Analysis) -> tuple[list[np.ndarray], list[str], set[Path]]:
        before, results = states(analysis.output), Results.open(analysis.output)
        tables, notices = draw_projections(analysis, results, Progress())
        notices += draw_galleries(analysis, known, results, Progress())
        notices += draw_overlaps(analysis, results, Progress())
        after = states(analysis.output)
        drawn = {path for path in after if before.get(path) != after[path]}
        assert not drawn & results.held
        return [table.coordinates for table in tables], notices, drawn

    first, again = draw(analysis), draw(analysis)
    assert len(first[2]) == 3 * (1 + 1 + 2) + 1 + 1 + 9, "maps, pages, galleries; circles were drawn by the run"
    assert again[2] == set() and again[1] == first[1]
    assert all(np.array_equal(one, other) for one, other in zip(first[0], again[0], strict=True))

    picture, page = (
        analysis.output / "dataset" / name for name in ("cross/venn_diagram_cosine.png", "one-data/analysis/tsne.html")
    )
    picture.write_bytes(b"painted over")
    page.unlink()
    assert draw(analysis)[2] == {picture, page}

    perplexed = replace(
        analysis, config=replace(analysis.config, projections=replace(analysis.config.projections, perplexity=2.0))
    )
    redrawn = draw(perplexed)[2]
    assert redrawn and all("tsne" in path.name for path in redrawn)


def test_a_gallery_with_an_image_that_was_not_shown_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    analysis, known = run(tmp_path, monkeypatch, no_verify=True)
    moved = [(path, path.with_suffix(".moved")) for path in known[0].listing.paths]
    for path, elsewhere in moved:
        path.rename(elsewhere)
    assert len(galleries(analysis, known)) == len(galleries(analysis, known)) == 1
    for path, elsewhere in moved:
        elsewhere.rename(path)
    assert galleries(analysis, known) == []


def test_a_class_has_one_colour_in_all_maps(runs, monkeypatch: pytest.MonkeyPatch):
    def label(features, labels):
        names = {one: f"{one} of {features.dataset}" for one in labels}
        return replace(features, labels=tuple((labels * 8)[: features.n_kept]), class_names=names)

    one, two = runs[0].datasets.values()
    datasets = {"one": label(one, ("a", "b", "b")), "two": label(two, ("c", "c", "a"))}
    views = []
    monkeypatch.setattr("overlens.drawing.draw_projection", lambda view, coloured_by: views.append(view) or b"")
    analysis = with_projections(replace(runs[0], datasets=datasets), ("tsne",))
    draw_projections(analysis, Results.open(analysis.output), Progress())
    first, second, together, _ = [view.colours for view in views]
    assert together.keys() == {"a of one", "b of one", "c of two"} and len(set(together.values())) == 3
    assert first == {name: together[name] for name in ("a of one", "b of one")}
    assert second == {"a of two": together["a of one"], "c of two": together["c of two"]}


def test_classes_of_one_size_have_one_colour_whatever_they_are_called(runs, monkeypatch: pytest.MonkeyPatch):
    def of_classes(dataset, n):
        labels = tuple(f"{place:02d}" for place in range(n))
        names = {label: f"name {99 - int(label)}" for label in labels}  # in the opposite order
        return Features(dataset, labels, labels, class_names=names, embeddings=np.eye(n, 20, dtype=np.float32))

    views = []
    monkeypatch.setattr("overlens.drawing.draw_projection", lambda view, coloured_by: views.append(view) or b"")
    datasets = {name: of_classes(name, n) for name, n in (("one", 20), ("two", 19))}
    analysis = with_projections(replace(runs[0], datasets=datasets), ("tsne",))
    draw_projections(analysis, Results.open(analysis.output), Progress())
    coloured: dict[str, set[str]] = {}
    for view in views[:3]:
        for group in colour_groups(view, "label", join_rest=True)[: len(LABEL_COLOURS)]:
            coloured.setdefault(group.text.split(" (")[0], set()).add(group.colour)
    assert all(len(colours) == 1 for colours in coloured.values())
