"""The printed summary says what was found in few lines that fit the page, whatever the number and names of datasets."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import overlens
from overlens.analysis import Analysis
from overlens.calibration.choice import Calibration
from overlens.cli.benchmark_summary import _transfer_table, _variance_cell, print_few_shot, print_transfers
from overlens.cli.summary import _datasets_table, _percent, print_summary
from overlens.cli.terminal import print_table
from overlens.config import FewShotConfig, VerifyConfig
from overlens.fewshot.splits import LeftOut, Splits
from overlens.fewshot.variance import SeedVariance, Spread
from overlens.overlap import Overlap
from overlens.records import Failure
from overlens.testing import FakeEncoder, encode_picture, make_picture, write_pictures
from overlens.transfer.centroids import ClassTransfer, Side, Transfer
from overlens.transfer.figures import Estimate, Figure, PairTransfer, Removed, subtract
from overlens.transfer.inputs import TransferConfig
from overlens.transfer.matrix import TransferMatrix
from pictures import unrendered_pictures

LONG = "a_collection_of_paintings_with_a_very_long_name", "another_collection_with_a_name_that_does_not_end"


def tables(text: str) -> list[str]:
    """All lines but those that name files and the encoder, which nothing wraps."""
    return [line for line in text.splitlines() if "/" not in line and not line.startswith("Encoder")]


def calibration(n_pairs: tuple[int, ...], n_verified: tuple[int, ...], place: int) -> Calibration:
    n = len(n_pairs)
    thresholds = tuple(np.linspace(0.99, 0.5, n).round(3).tolist())
    return Calibration(
        "cosine", "one", "two", 0.01, thresholds, n_pairs, n_verified, (0,) * n, ("crop",), ((3,),) * n, 4, place
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, first in enumerate((0, 3, 20, 40)):
        write_pictures(folder / str(number), range(first, first + 6))
    return folder


def analyse(folder: Path, *names: str, **options) -> Iterator[Analysis]:
    given = {name: folder / str(number) for number, name in enumerate(names)}
    with unrendered_pictures():
        result = overlens.analyze(given, encoder=FakeEncoder(), projections="none", **options)
    yield result
    result.workspace.close()


@pytest.fixture(scope="module")
def two(folder: Path) -> Iterator[Analysis]:
    yield from analyse(folder, "one", "two")


@pytest.fixture(scope="module")
def four(folder: Path) -> Iterator[Analysis]:
    yield from analyse(folder, "one", "two", "three", "four", cosine_threshold=1)


def test_two_datasets_are_shown_in_full(two: Analysis, capsys: pytest.CaptureFixture[str]):
    print_summary(two)
    text = capsys.readouterr().out
    for where in ("within one", "one in two", "within two", "two in one"):
        assert sum(line.strip().startswith(where) for line in text.splitlines()) >= 1, where
    assert f"{two.copies.overlap.n_grouped} images in {two.copies.overlap.n_groups} groups" in text
    assert two.copies.n_looked_at == 0 and "No two different images are alike enough to be looked at." in text
    assert f"Pairs of equal bytes or pixels, which need no look: {two.copies.n_equal}." in text and two.copies.n_equal
    assert "Pairs that follow" not in text and "of more than" not in text
    (row,) = (line for line in text.splitlines() if line.strip().startswith("one and two"))
    assert row.split()[-1] == f"{two.copies.overlap.jaccard['one', 'two']:.3f}"
    assert "pairs.parquet" in text and "venn_diagram_verified.png" in text


def test_of_four_datasets_only_combinations_with_a_match_are_shown(four: Analysis, capsys: pytest.CaptureFixture[str]):
    print_summary(four)
    text = capsys.readouterr().out
    shown = [line for line in text.splitlines() if " in " in line and "(" in line and "%" in line]
    assert any(line.strip().startswith("one in two") for line in shown)
    overlaps = four.overlaps().values()
    silent = [
        (name, other)
        for name in four.datasets
        for other in four.datasets
        if not any(o.within[name] if name == other else o.contained[name][other] for o in overlaps)
    ]
    assert len(silent) > 1 and f"In the other {len(silent)} combinations of datasets no image has a match." in text
    assert not any(line.strip().startswith("four in three") for line in shown)
    assert "No pair of any kind: " in text and "overlap_matrix_verified.png" in text


def test_nothing_at_all_is_said_in_sentences(folder: Path, capsys: pytest.CaptureFixture[str]):
    names = "a", "b", "c", "d"
    given = {name: folder / f"alone-{name}" for name in names}
    for number, path in enumerate(given.values()):
        write_pictures(path, range(100 * number, 100 * number + 1))
    with unrendered_pictures():
        result = overlens.analyze(given, method="perceptual", hash_threshold=0, projections="none")
    print_summary(result)
    text = capsys.readouterr().out
    assert "In 16 combinations of datasets no image has a match." in text
    assert "No pair of any kind: 10 combinations of datasets." in text
    assert "No copies were found." in text and "Images with a match" not in text
    result.workspace.close()


@pytest.fixture(scope="module")
def long(folder: Path) -> Iterator[Analysis]:
    yield from analyse(folder, *LONG)


def test_names_are_whole_where_the_output_is_no_terminal(long: Analysis, capsys: pytest.CaptureFixture[str]):
    print_summary(long)
    lines = capsys.readouterr().out.splitlines()
    n_matched = long.overlap("verified").contained[LONG[0]][LONG[1]]
    (row,) = (line for line in lines if line.strip().startswith(f"{LONG[0]} in {LONG[1]} "))
    assert row.endswith(f"{n_matched} ({n_matched / 6:.1%})")
    assert all(line == line.rstrip() for line in lines)


def test_tables_fit_a_terminal_and_break_no_number(
    long: Analysis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    print_summary(long)
    lines = tables(re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out))
    assert max(map(len, lines)) <= 110 and "…" not in "".join(lines)
    assert all(len(line) <= 100 for line in lines if line.startswith("  "))
    n_matched = long.overlap("verified").contained[LONG[0]][LONG[1]]
    assert any(line.rstrip().endswith(f" {n_matched} ({n_matched / 6:.1%})") for line in lines)


def transfer(source: str, target: str, *classes: ClassTransfer) -> Transfer:
    sides = (Side(name, "2_ground_truth.json", 7, 0, 3, ("x",)) for name in (source, target))
    return Transfer(*sides, classes, ())


def test_names_of_rows_are_whole_on_a_terminal_of_80_columns(
    two: Analysis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    common = ClassTransfer("a", "a", 7, 1234, 0.697, 0.5, 0.5, None, 617)
    names = "ArtDL", "ICONCLASS", "wikidata"
    features = [replace(one, label_source="2_ground_truth.json") for one in two.datasets.values()]
    datasets = {name: replace(features[0], dataset=name) for name in names}
    transfers = tuple(transfer(one, other, common) for one in names for other in names if one != other)
    print_table(_datasets_table(replace(two, datasets=datasets)))
    print_table(_transfer_table(replace(two, transfers=transfers)))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert all(any(row[0] == name for row in rows) for name in names)
    for one in transfers:
        where = f"{one.source.dataset} to {one.target.dataset}"
        assert [where, "1", "1,234", "0.697", "0.500", "0.500"] in rows
    words = " ".join(lines).split()
    assert all(word in words for word in ("similarity", "classes", "nearest", "attempted")) and "…" not in words
    assert max(map(len, lines)) <= 80


def test_datasets_without_a_common_class_are_told_in_words(two: Analysis, capsys: pytest.CaptureFixture[str]):
    common = ClassTransfer("a", "a", 7, 9, 0.697, 0.5, 0.5, None, 3)
    apart = transfer("one", "two"), transfer("two", "one")
    print_summary(replace(two, transfers=(*apart, transfer("one", "x", common))))
    text = capsys.readouterr().out
    assert "none  " not in text.partition("Generalization, mean")[2] and "one to x" in text
    assert "Generalization: no common class: one and two.\n" in text
    print_summary(replace(two, transfers=apart))
    text = capsys.readouterr().out
    assert "Generalization, mean" not in text and text.count("no common class") == 1


def test_images_that_only_a_group_joins_are_told(two: Analysis, capsys: pytest.CaptureFixture[str]):
    """Two images are within `one` as copies of one image of `two`, and no pair was looked at within."""
    print_summary(two)
    assert "Fewer pairs than verified images" not in capsys.readouterr().out
    overlap = two.copies.overlap.overlap
    joined = replace(overlap, within={**overlap.within, "one": 2}, pairs_within={**overlap.pairs_within, "one": 0})
    verified = replace(two.copies.overlap, overlap=joined)
    print_summary(replace(two, copies=replace(two.copies, overlap=verified)))
    text = capsys.readouterr().out
    assert "Fewer pairs than verified images, as copies of one image join them: within one.\n" in text
    across = {"one": {"two": 0}, "two": {"one": 0}}
    verified = replace(two.copies.overlap, overlap=replace(overlap, pairs_across=across))
    print_summary(replace(two, copies=replace(two.copies, overlap=verified)))
    assert "as copies of one image join them: one and two.\n" in capsys.readouterr().out


def test_the_reference_and_the_bound_are_told(two: Analysis, capsys: pytest.CaptureFixture[str]):
    capped = replace(two.copies.judged, candidates=replace(two.copies.judged.candidates, n_capped=3))
    config = replace(two.config, verification=VerifyConfig(max_candidates=7, reference="one"))
    flat = {"one": 2, "two": 0}
    matches = {method: replace(one, overlap=without_within(one.overlap)) for method, one in two.matches.items()}
    verified = replace(two.copies.overlap, overlap=without_within(two.copies.overlap.overlap), pairs_by_verdict={})
    copies = replace(two.copies, judged=capped, n_low_information=flat, overlap=verified)
    print_summary(replace(two, config=config, copies=copies, matches=matches))
    text = capsys.readouterr().out
    assert "3 images had more than 7 candidates (--max-candidates)" in text
    assert "Within one no match was looked for" in text and "within one  " not in text and "None" not in text
    assert "2 images are too flat" in text and "cross/low_information.csv" in text


def without_within(overlap: Overlap) -> Overlap:
    """The overlap as it is where `one` is the reference."""
    return replace(overlap, within={**overlap.within, "one": None}, pairs_within={**overlap.pairs_within, "one": None})


def test_one_is_not_many(two: Analysis, capsys: pytest.CaptureFixture[str]):
    capped = replace(two.copies.judged, candidates=replace(two.copies.judged.candidates, n_capped=1))
    config = replace(two.config, verification=VerifyConfig(max_candidates=1))
    copies = replace(two.copies, judged=capped, n_low_information={"one": 1, "two": 0})
    print_summary(replace(two, config=config, copies=copies))
    text = capsys.readouterr().out
    assert "1 image had more than 1 candidate (" in text and "1 image is too flat" in text


def test_pairs_that_were_not_looked_at_are_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A picture 23 times, all its pairs known without a look; another twice, with one edited copy of both."""
    (tmp_path / "x").mkdir()
    pixels = make_picture(1, 120, 90)
    for number in range(23):
        (tmp_path / "x" / f"many-{number}.png").write_bytes(encode_picture(make_picture(7, 120, 90)))
    for number, copy in enumerate((pixels, pixels, pixels[4:])):
        (tmp_path / "x" / f"few-{number}.png").write_bytes(encode_picture(copy))
    with unrendered_pictures():
        result = overlens.analyze({"x": tmp_path / "x"}, method="perceptual", projections="none")
    print_summary(result)
    text = capsys.readouterr().out
    copies = result.copies
    assert (copies.n_looked_at, copies.n_equal, copies.n_inferred, copies.n_large_classes) == (1, 22 + 1, 1, 1)
    assert "Pairs looked at: 1; of these 0 were refuted" in text
    assert "Pairs of equal bytes or pixels, which need no look: 23." in text
    assert "Pairs that follow from one of these, as their images equal its images: 1." in text
    assert "1 class of more than 21 equal images: of each, one image is paired with all others" in text
    result.workspace.close()


def test_each_couple_shows_its_own_threshold(two: Analysis, capsys: pytest.CaptureFixture[str]):
    values = {**two.thresholds.values, "cosine": {("one", "one"): 0.87, ("one", "two"): 0.665, ("two", "two"): 0.999}}
    chosen = calibration((1, 4), (1, 4), 1)
    print_summary(replace(two, thresholds=replace(two.thresholds, values=values, calibrations=(chosen,))))
    table = capsys.readouterr().out.partition("Images with a match")[2].partition("Pairs by evidence")[0]
    rows = [line.split() for line in table.splitlines()]
    across = {" ".join(row[:3]): row[4] for row in rows if row[1:2] == ["in"]}
    assert across == {"one in two": "0.665", "two in one": "0.665"}
    assert {row[1]: row[3] for row in rows if row[:1] == ["within"]} == {"one": "0.870", "two": "0.999"}


@pytest.mark.parametrize(
    ("n", "n_all", "text"),
    [(0, 5, "0.0%"), (5, 5, "100.0%"), (0, 0, "0.0%"), (1, 39_000, "<0.1%"), (38_999, 39_000, ">99.9%")],
    ids=["none", "all", "empty", "hardly any", "nearly all"],
)
def test_some_is_not_shown_as_none_or_all(n: int, n_all: int, text: str):
    assert _percent(n, n_all) == text


def test_without_verification_a_match_is_not_called_a_copy(folder: Path, capsys: pytest.CaptureFixture[str]):
    for result in analyse(folder, "one", "two", no_verify=True):
        print_summary(result)
    text = capsys.readouterr().out
    assert "Nothing was verified" in text and "verified copies" not in text and "pairs.parquet" not in text


def test_calibration_shows_the_choice_between_few_rows(two: Analysis, capsys: pytest.CaptureFixture[str]):
    counts = (1, 4, 10, 20, 21, 30, 60, 300)
    kept = calibration(counts, (1, 4, 10, 20, 20, 20, 20, 20), 3)
    broken = calibration((5, 6), (0, 0), 0)
    print_summary(replace(two, thresholds=replace(two.thresholds, calibrations=(kept, broken))))
    text = capsys.readouterr().out
    assert [counts[place] for place in kept.telling_places()] == [10, 20, 21, 60]
    (chosen,) = (line for line in text.splitlines() if line.rstrip().endswith("chosen"))
    assert chosen.split()[:3] == [f"{kept.chosen:.3f}", "20", "20"]
    assert sum(line.rstrip().endswith("not kept") for line in text.splitlines()) == 1
    assert "at most 1% of the pairs" in text and "calibration.json" in text


def test_without_any_pair_nothing_is_called_chosen_or_estimated(two: Analysis, capsys: pytest.CaptureFixture[str]):
    def shown(*calibrations: Calibration) -> tuple[list[str], str]:
        print_summary(replace(two, thresholds=replace(two.thresholds, calibrations=calibrations)))
        text = capsys.readouterr().out
        return [line.rstrip() for line in text.splitlines() if line.strip().startswith("cosine, one and two")], text

    none = calibration((0, 0, 0, 0), (0, 0, 0, 0), 3)
    (row,), text = shown(none)
    assert row.split()[4:] == [f"{none.chosen:.3f}", "0", "0", "75.0%", "no", "pair", "at", "all"]
    assert "nothing to choose from, so nothing is estimated, and the loosest of the range is used" in text
    strict = calibration((0, 0, 2, 9), (0, 0, 0, 0), 1)
    (row,), text = shown(strict)
    assert row.split()[4:] == [f"{strict.chosen:.3f}", "0", "0", "75.0%", "chosen"]
    assert "nothing to choose from" not in text


def with_failures(analysis: Analysis, numbers: dict[str, int]) -> Analysis:
    datasets = {
        name: replace(features, failures=tuple(Failure(name, f"{row}.png", "broken") for row in range(n)))
        for (name, features), n in zip(analysis.datasets.items(), numbers.values(), strict=True)
    }
    return replace(analysis, datasets=datasets)


def test_failed_images_are_told_with_their_lists(two: Analysis, four: Analysis, capsys: pytest.CaptureFixture[str]):
    print_summary(two)
    assert "failures.csv" not in capsys.readouterr().out
    print_summary(with_failures(two, {"one": 1, "two": 0}))
    lists = two.output / "dataset" / "one-data" / "analysis" / "failures.csv"
    text = capsys.readouterr().out
    assert f"1 image of one failed, each listed with the reason: {lists}\n" in text and lists.is_file()
    assert text.count("failures.csv") == 1
    print_summary(with_failures(four, {"one": 1, "two": 20, "three": 300, "four": 1000}))
    lists = four.output / "dataset" / "*-data" / "analysis" / "failures.csv"
    assert f"1,321 images of 4 datasets failed, each listed with the reason: {lists}\n" in capsys.readouterr().out


def test_a_curve_without_pairs_shows_where_they_begin():
    assert calibration((0, 0, 0, 0), (0, 0, 0, 0), 3).telling_places() == [3]
    assert calibration((0, 0, 2, 9), (0, 0, 0, 0), 1).telling_places() == [1, 2]


def estimate(value: float | None, n_classes: int, n_test: int = 40) -> Estimate:
    return Estimate(value, None, None, 60, n_test, n_classes)


def carried(source: str, target: str, every: Estimate, without: Estimate | None = None) -> PairTransfer:
    """A pair of which 5 of 45 target images have a copy in the source."""
    gap = None if without is None else subtract(every, without, (0.01, 0.09))
    name = f"{'in_domain' if source == target else 'accuracy'}_logistic"
    return PairTransfer(
        *(source, target, every.n_classes or 0, 0, Removed(4, 60), Removed(5, 45)),
        *((Figure(name, "class", every, without, gap),), ()),
    )


def printed_transfers(analysis: Analysis, capsys: pytest.CaptureFixture[str], *pairs: PairTransfer) -> dict[str, str]:
    """Return the rows of the tables of transfer, first cell to the rest, and all lines under "text"."""
    datasets = tuple(dict.fromkeys(one.source for one in pairs))
    print_transfers(replace(analysis, transfer_matrix=TransferMatrix(datasets, pairs, TransferConfig())))
    text = capsys.readouterr().out
    rows = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in text.splitlines())
    return {row[0]: re.sub(r"\s{2,}", " | ", row[1]) for row in rows if len(row) == 2} | {
        "text": " ".join(text.split())
    }


def test_classes_that_are_lost_with_the_shared_images_are_told_beside_the_figures(
    two: Analysis, capsys: pytest.CaptureFixture[str]
):
    lost = carried("one", "two", estimate(0.8, 7), estimate(0.75, 5, 35))
    kept = carried("two", "one", estimate(0.8, 7), estimate(0.75, 7, 35))
    own = [carried(name, name, estimate(0.9, 8)) for name in ("one", "two")]
    shown = printed_transfers(two, capsys, own[0], lost, kept, own[1])
    assert shown["one to two"] == "5 of 45 | 7 -> 5 | 80.0% | 75.0% (n 35) | +5.0 points | +1.0 to +9.0"
    assert shown["two to one"].startswith("5 of 45 | 7 | 80.0%")
    assert shown["from one"] == "90.0% (n 40) | 80.0% (n 40)"
    assert "on the diagonal they are all those of the dataset, by cross-validation" in shown["text"]


def test_an_accuracy_over_one_class_is_not_shown_as_full_marks(two: Analysis, capsys: pytest.CaptureFixture[str]):
    left = carried("one", "two", estimate(0.8, 2), estimate(1.0, 1, 35))
    never = carried("two", "one", estimate(1.0, 1), estimate(1.0, 1, 35))
    own = [carried("one", "one", estimate(0.9, 2)), carried("two", "two", estimate(1.0, 1))]
    shown = printed_transfers(two, capsys, own[0], left, never, own[1])
    assert shown["one to two"] == "5 of 45 | 2 -> 1 | 80.0% | 1 class | none"
    assert shown["two to one"] == "5 of 45 | 1 | 1 class | 1 class | none"
    assert shown["from two"] == "1 class | 1 class"
    assert "100.0%" not in shown["text"]


def test_the_nearest_of_one_centroid_is_not_shown_as_full_marks(two: Analysis, capsys: pytest.CaptureFixture[str]):
    common = ClassTransfer("a", "a", 7, 9, 0.697, 0.5, None, "a", 9)
    single = replace(transfer("one", "two", common), source=Side("one", "labels.json", 7, 0, 1, ()))
    print_transfers(replace(two, transfers=(single, transfer("two", "one", common))))
    text = capsys.readouterr().out
    assert re.search(r"one to two +1 +9 +0.697 +none +1 class\n", text)
    assert re.search(r"two to one +1 +9 +0.697 +none +1.000\n", text)
    assert "with other classes: of its mean in the second" in " ".join(text.split())


@pytest.mark.parametrize(
    ("held_out", "head"),
    [((), "classes copies groups"), (("two",), "classes out copies groups")],
    ids=["nothing", "a dataset"],
)
def test_images_held_out_have_a_column_only_where_a_dataset_is(
    two: Analysis, capsys: pytest.CaptureFixture[str], held_out: tuple[str, ...], head: str
):
    config = FewShotConfig(held_out=held_out)
    splits = Splits("one", (), (), (), LeftOut(1, 2, 3, 4), ())
    print_few_shot(replace(two, few_shot=(splits,), config=replace(two.config, few_shot=config)))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert any(" ".join(line).endswith(head) for line in lines)
    (row,) = (line for line in lines if line[:1] == ["one"])
    assert row == ["one", "0", "0", "1", "2", *(["3"] if held_out else []), "4", "no", "splits"]


@pytest.mark.parametrize(
    ("high", "text"), [(0.5 + 2.62, "± over 50"), (1.0, "± 50.0"), (0.513, "± 1.3")], ids=["wide", "half", "narrow"]
)
def test_an_interval_wider_than_all_shares_is_not_shown_as_a_number(two: Analysis, high: float, text: str):
    one = SeedVariance("one", "random", 1, "logistic", (), Spread(2, 0.5, 0.1, 1 - high, high), None)
    assert _variance_cell(one) == f"50.0% {text} (n 0)"
