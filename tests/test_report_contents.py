"""What the report shows is what the run found: its numbers, its pairs with an honest choice, and its files."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import overlens
from overlens.decisions.records import DecidedImage, Occasion
from overlens.decisions.store import DecisionStore
from overlens.errors import ConfigError
from overlens.finished import FinishedRun
from overlens.layout import CrossLayout
from overlens.report_contents.files import KINDS, address_of, files_of
from overlens.report_contents.gather import gather_report
from overlens.report_contents.pairs import choose_pairs
from overlens.report_contents.pictures import fill_album
from overlens.report_contents.write import make_report
from overlens.testing import FakeEncoder, encode_picture, make_picture


def make_run(root: Path, **options: object) -> tuple[FinishedRun, overlens.Analysis]:
    """Run two small datasets that share a picture, a recompressed and a mirrored one."""
    pictures = {
        "left": [make_picture(seed, 160, 120) for seed in range(12)],
        "right": [
            make_picture(0, 160, 120),
            make_picture(1, 160, 120),
            make_picture(2, 160, 120)[:, ::-1],
            *(make_picture(seed, 160, 120) for seed in range(20, 30)),
        ],
    }
    for name, own in pictures.items():
        for number, pixels in enumerate(own):
            kind = ("JPEG", {"quality": 60}) if name == "right" and number == 1 else ("PNG", {})
            path = root / name / f"class {number % 2}" / f"{number:02d}.{kind[0].lower()}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_picture(np.ascontiguousarray(pixels), kind[0], **kind[1]))
    (root / "right" / "class 0" / "broken.png").write_bytes(b"no picture")
    given = {"encoder": FakeEncoder(), "projections": "tsne", "max_failures": 0.5, **options}
    analysis = overlens.analyze({name: root / name for name in pictures}, output=root / "out", **given)
    return FinishedRun.open(root / "out"), analysis


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[FinishedRun, overlens.Analysis]:
    """Return a run, read again, and what it returned."""
    return make_run(tmp_path_factory.mktemp("contents"), evaluate_cross_dataset=True)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1, width=32)), max_size=60),
    st.integers(1, 40),
)
@settings(max_examples=150)
def test_every_rung_gets_its_share_and_its_least_sure_pairs(pairs: list[tuple[int, float]], n: int):
    codes = np.array([code for code, _ in pairs], np.int16)
    strengths = np.array([strength for _, strength in pairs], np.float32)
    chosen = choose_pairs(codes, strengths, n)
    assert len(chosen) == min(n, len(pairs)) and len(set(chosen.tolist())) == len(chosen)
    shown = {int(code): int((codes[chosen] == code).sum()) for code in np.unique(codes)}
    for code, n_shown in shown.items():
        is_cut = n_shown < (codes == code).sum()
        assert not is_cut or n_shown >= max(shown.values()) - 1, "a rung is cut only where no other has more places"
        if n_shown:
            least = chosen[codes[chosen] == code]
            assert strengths[least].min() == strengths[codes == code].min()


def test_the_numbers_are_those_of_the_run(made: tuple[FinishedRun, overlens.Analysis]):
    run, analysis = made
    report = gather_report(run)
    for one in report.containments:
        overlap = analysis.overlap(one.method)
        names = run.datasets
        assert one.counts == tuple(tuple(overlap.count(a, b) for b in names) for a in names)
    verified = report.containments[0]
    assert verified.method == "verified" and verified.by_rung["edited"] == verified.counts
    assert [(row.n_attempted, row.n_kept, row.n_failed) for row in report.datasets] == [(12, 12, 0), (14, 13, 1)]


def test_curves_meet_the_overlap_at_the_threshold_of_the_run(made: tuple[FinishedRun, overlens.Analysis]):
    run, analysis = made
    for curve in gather_report(run).curves:
        place = curve.thresholds.index(curve.at)
        for (a, b), counts in curve.lines.items():
            assert counts[place] == analysis.overlap(curve.method).count(run.datasets[a], run.datasets[b])


def test_pairs_are_those_that_were_judged_and_lie_on_one_another(made: tuple[FinishedRun, overlens.Analysis]):
    run, analysis = made
    gallery = gather_report(run).gallery
    judged = analysis.judged_pairs().rows
    assert gallery is not None and len(gallery.pairs) == len(judged) == sum(gallery.n_listed.values())
    assert not gallery.left_out
    mirrored = next(pair for pair in gallery.pairs if "mirrored" in pair.words)
    assert mirrored.rung == "edited"
    matrix = np.reshape(mirrored.transform, (3, 3))
    np.testing.assert_allclose(matrix @ [0.0, 0.0, 1.0], [1.0, 0.0, 1.0], atol=0.02)
    np.testing.assert_allclose(matrix @ [1.0, 1.0, 1.0], [0.0, 1.0, 1.0], atol=0.02)


def test_pairs_of_the_gallery_match_where_those_of_the_run_do(made: tuple[FinishedRun, overlens.Analysis]):
    run, analysis = made
    report = gather_report(run)
    names = report.images.names
    for method, threshold in (("cosine", np.float32(0.9)), ("perceptual", 5)):
        shown = {
            frozenset((names[pair.left], names[pair.right])): np.float32(pair.cosine)
            if method == "cosine"
            else pair.bits
            for pair in report.gallery.pairs
            if report.images.datasets[pair.left] != report.images.datasets[pair.right]
        }
        listed = {frozenset(row[:2]) for row in analysis.pairs(method, "left", "right").rows}
        matching = {pair for pair, score in shown.items() if (score >= threshold if method == "cosine" else score <= 5)}
        assert matching == listed & set(shown) and matching


def test_only_images_that_are_shown_stand_in_the_page(tmp_path: Path):
    run, _ = make_run(tmp_path, projections="none")
    report = gather_report(run, most_pairs=1)
    (pair,) = report.gallery.pairs
    assert len(report.images.names) == 2 and {pair.left, pair.right} == {0, 1}


def test_a_report_is_made_anew_when_people_decided(tmp_path: Path):
    run, _ = make_run(tmp_path, projections="none")
    before = make_report(run.root).path.read_bytes()
    images = [DecidedImage(run.images.digest(row), "left", "x") for row in (0, 12)]
    DecisionStore(run.layout.decisions).decide(*images, "not a copy", Occasion("test"))
    assert make_report(run.root).path.read_bytes() != before
    DecisionStore(run.layout.decisions).undo()
    assert make_report(run.root).path.read_bytes() == before


def test_splits_of_a_run_that_verified_nothing_are_not_called_clean(tmp_path: Path):
    drawn = {"generate_few_shot": True, "k_shots": (1,), "n_classes": 2, "n_seeds": 1, "strategies": ("random",)}
    run, _ = make_run(tmp_path, projections="none", no_verify=True, **drawn)
    (section,) = [one for one in gather_report(run).sections if one.name == "splits"]
    assert section.lead == "Of left and right it is not known, as not all copies were looked for."
    assert {row[4] for row in section.tables[0].rows} == {"not known"}


def test_a_run_that_was_killed_leaves_no_record_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run, _ = make_run(tmp_path, projections="none")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("overlens.pipeline.write_record", die)
    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path, projections="none", cosine_threshold=0.99)
    with pytest.raises(ConfigError, match="no finished run below"):
        FinishedRun.open(run.root)


def test_pages_of_an_earlier_run_are_told_where_none_are_made(tmp_path: Path):
    make_run(tmp_path, projections="none")
    _, analysis = make_run(tmp_path, projections="none", no_report=True)
    assert any("report.html" in notice for notice in analysis.notices)


def test_a_small_gallery_says_what_it_leaves_out(made: tuple[FinishedRun, overlens.Analysis]):
    gallery = gather_report(made[0], most_pairs=2).gallery
    assert gallery is not None and len(gallery.pairs) == 2
    assert sum(gallery.n_listed.values()) > 2 and gallery.left_out


def test_pictures_are_small_and_of_the_right_images(made: tuple[FinishedRun, overlens.Analysis]):
    run, _ = made
    album = fill_album(run, np.array([3, 5]), np.arange(10))
    assert album.n_unreadable == 0 and (album.places[:10] >= 0).all() and (album.places[10:] < 0).all()
    shown = np.asarray(Image.open(io.BytesIO(album.pictures[album.places[3]])).convert("RGB"), np.float64)
    assert np.abs(shown - run.picture(3)).mean() < 12
    assert max(Image.open(io.BytesIO(album.pictures[album.places[0]])).size) <= 96


def test_an_image_that_cannot_be_shown_is_counted(tmp_path: Path):
    run, _ = make_run(tmp_path, no_verify=True, projections="none")
    run.images.path(len(run.images) - 1).unlink()  # one that no gallery has kept a rendition of
    album = fill_album(run, np.array([1, len(run.images) - 1]), np.zeros(0, np.intp))
    assert album.n_unreadable == 1 and "cannot be read" in album.first_reason and len(album.pictures) == 1


def test_every_file_has_an_address_that_leads_to_it_and_says_what_it_is(made: tuple[FinishedRun, overlens.Analysis]):
    run, _ = made
    files = files_of(run)
    assert len(files) == len(run.files) and KINDS
    for one in files:
        assert one.address.startswith("./") and one.what, one.path
        assert (run.layout.folder / one.address).is_file()


def test_a_file_of_an_earlier_run_has_no_address(made: tuple[FinishedRun, overlens.Analysis]):
    run, _ = made
    assert address_of(run, CrossLayout(run.root).upset("cosine")) == ""


def test_sections_stand_only_where_there_is_something_to_say(made: tuple[FinishedRun, overlens.Analysis]):
    names = [section.name for section in gather_report(made[0]).sections]
    assert names == ["groups", "labels", "transfer", "failures"]


def test_what_failed_is_named_with_its_reason(made: tuple[FinishedRun, overlens.Analysis]):
    section = gather_report(made[0]).sections[-1]
    (row,) = section.tables[0].rows
    assert row[0] == "class 0/broken.png" and row[1]


def test_the_verdict_counts_images(made: tuple[FinishedRun, overlens.Analysis]):
    run, analysis = made
    report = gather_report(run)
    overlap = analysis.overlap("verified")
    n = sum(overlap.sizes[name] - overlap.region(name, []) for name in run.datasets)
    assert report.verdict.startswith(f"{n} of 25 images ({100 * n / 25:.0f} %) have a verified copy in another dataset")
    assert any("1 of 26 images could not be used" in sentence for sentence in report.findings)


def test_a_run_without_images_has_numbers_and_no_gallery(tmp_path: Path, made: tuple[FinishedRun, overlens.Analysis]):
    run, _ = make_run(tmp_path, projections="none")
    names = {name: None for name in run.datasets}
    overlens.analyze(names, root=tmp_path / "out", from_embeddings=True, projections="none", method="cosine")
    report = gather_report(FinishedRun.open(tmp_path / "out"))
    assert report.gallery is None and not report.images.pictures and not report.rungs
    assert "alike image" in report.verdict and any("Nothing was verified" in one for one in report.findings)


def test_equal_runs_give_equal_pages(tmp_path: Path):
    run, _ = make_run(tmp_path)
    pages = run.layout.report, run.layout.index, run.layout.run, run.layout.images
    before = [page.read_bytes() for page in pages]
    shutil.rmtree(run.root)
    make_run(tmp_path)
    assert [page.read_bytes() for page in pages] == before
