"""The audit sample: drawn the same way again, fair to every stratum, and an interval that holds what it promises."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import overlens
from overlens.config import HASH_TYPES
from overlens.decisions.records import DecidedImage, Decision, Occasion
from overlens.decisions.store import DecisionStore
from overlens.errors import ConfigError
from overlens.finished import FinishedRun
from overlens.image_table import ImageTable
from overlens.layout import CrossLayout
from overlens.report_contents.words import findings_of
from overlens.review.audit import (
    FEWEST,
    LEAST,
    PURPOSE,
    Estimate,
    Judged,
    Stratum,
    count_beginning,
    draw_units,
    estimate_copies,
    exact_interval,
    seats,
)
from overlens.review.pairs import ListedPairs
from overlens.review.sample import AuditResult, AuditSample, audit_estimate, draw_sample, own_answers
from overlens.sampler import draw
from overlens.testing import encode_picture, make_picture
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_PICTURE, SAME_SCENE

STRATA = st.tuples(st.sampled_from("ab"), st.sampled_from("wxyz"))
SIZES = st.dictionaries(STRATA, st.integers(1, 500), max_size=8)


def _least(sizes: Mapping[Stratum, int]) -> int:
    return sum(min(size, FEWEST) for size in sizes.values())


@given(SIZES, st.integers(1, 800))
@settings(max_examples=200)
def test_every_stratum_gets_its_share(sizes: dict[Stratum, int], n: int):
    if _least(sizes) > min(n, sum(sizes.values())):
        with pytest.raises(ConfigError, match=f"give --sample {_least(sizes)} or more"):
            seats(sizes, n)
        return
    shares = Counter(seats(sizes, n))
    assert shares.total() == min(n, sum(sizes.values()))
    assert all(min(size, FEWEST) <= shares[name] <= size for name, size in sizes.items())
    if n >= sum(min(size, LEAST) for size in sizes.values()):
        assert all(shares[name] >= min(size, LEAST) for name, size in sizes.items())


@given(SIZES, st.integers(1, 800), st.integers(0, 40))
@settings(max_examples=100)
def test_a_larger_sample_goes_on_from_a_smaller_one(sizes: dict[Stratum, int], n: int, n_more: int):
    smaller = seats(sizes, max(n, _least(sizes)))
    assert seats(dict(reversed(sizes.items())), max(n, _least(sizes)) + n_more)[: len(smaller)] == smaller


def test_one_more_takes_from_nobody():
    """These shares were 10, 2, 2 and then 5, 5, 5 where they were made anew for every size."""
    sizes = {("a", "w"): 100, ("a", "x"): 10, ("a", "y"): 10}
    shares = [Counter(seats(sizes, n)) for n in range(6, 40)]
    assert all(smaller < larger for smaller, larger in pairwise(shares))
    assert (shares[0], shares[9]) == (Counter(dict.fromkeys(sizes, 2)), Counter(dict.fromkeys(sizes, 5)))


def test_shares_follow_sizes():
    shares = Counter(seats({("a", "x"): 1000, ("a", "y"): 3000, ("a", "z"): 4}, 409))
    assert shares["a", "z"] == 4 and abs(shares["a", "y"] / shares["a", "x"] - 3) < 0.2


def _draw(
    strata: Mapping[Stratum, Sequence[str]], n: int, seed: int, n_part: int = 7
) -> tuple[tuple[Stratum, int], ...]:
    """Draw from names such as "12.png", each of which stands for its number."""

    def parts_of(stratum: Stratum) -> Iterator[dict[str, int]]:
        own = strata[stratum]
        for start in range(0, len(own), n_part):
            yield {name: int(Path(name).stem) for name in own[start : start + n_part]}

    return draw_units({stratum: len(own) for stratum, own in strata.items()}, parts_of, n, seed)


def test_a_draw_depends_on_names_and_seed_alone():
    strata = {("a", "x"): [f"{one}.png" for one in range(50)], ("b", "x"): [f"{one}.png" for one in range(20)]}
    drawn = _draw(strata, 20, 3)
    backwards = {name: own[::-1] for name, own in reversed(strata.items())}
    assert _draw(backwards, 20, 3, n_part=3) == drawn and len(set(drawn)) == 20
    assert _draw(strata, 20, 4) != drawn
    beginning = [stratum for stratum, _ in drawn[:8]]
    assert {beginning.count(stratum) for stratum in strata} <= {2, 3, 4, 5, 6}, "any beginning is spread"


def test_the_images_of_a_stratum_are_those_of_the_shared_draw():
    strata = {("a", "x"): [f"{one}.png" for one in range(50)], ("b", "x"): [f"{one}.png" for one in range(20)]}
    drawn = _draw(strata, 20, 3)
    for stratum, own in strata.items():
        numbers = [number for one, number in drawn if one == stratum]
        assert [f"{number}.png" for number in numbers] == draw(own, len(numbers), 3, PURPOSE, *stratum)


@given(
    st.dictionaries(STRATA, st.integers(1, 30), max_size=4), st.integers(1, 60), st.integers(0, 60), st.integers(0, 9)
)
@settings(max_examples=50)
def test_the_images_of_a_smaller_sample_are_the_first_of_a_larger_one(
    sizes: dict[Stratum, int], n: int, n_more: int, seed: int
):
    strata = {stratum: [f"{one}.png" for one in range(size)] for stratum, size in sizes.items()}
    n = max(n, _least(sizes))
    smaller, larger = _draw(strata, n, seed), _draw(strata, n + n_more, seed)
    assert larger[: len(smaller)] == smaller and len(set(larger)) == len(larger) == min(n + n_more, sum(sizes.values()))


@pytest.mark.parametrize(
    ("found", "tried", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (1, 100, 0.00025, 0.0545)],
)
def test_the_interval_of_a_share_is_the_exact_one(found: int, tried: int, low: float, high: float):
    assert exact_interval(found, tried) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("n_copies", [0, 20])
def test_an_interval_is_not_empty_where_all_answers_agree(n_copies: int):
    strata = [Judged(500, n_copies, 20 - n_copies, 0)] * 2
    estimate = estimate_copies(strata, 7)
    assert estimate is not None and estimate.value == 7 + 1000 * n_copies / 20
    assert estimate.high - estimate.low > 50
    assert 7 + 2 * n_copies <= estimate.low <= estimate.value <= estimate.high <= 1007 - 2 * (20 - n_copies)


def test_a_census_leaves_no_doubt():
    assert estimate_copies([Judged(30, 12, 18, 0), Judged(5, 5, 0, 0)]) == Estimate(17, 17, 17)
    assert estimate_copies([], 4) == Estimate(4, 4, 4)


def test_unsure_answers_widen_the_interval_to_both_ends():
    sure, unsure = estimate_copies([Judged(30, 12, 18, 0)]), estimate_copies([Judged(30, 10, 16, 4)])
    assert sure is not None and unsure == Estimate(12, 10, 14)
    told, open_ = estimate_copies([Judged(500, 40, 40, 0)]), estimate_copies([Judged(500, 35, 35, 10)])
    assert told is not None and open_ is not None and open_.low < told.low and open_.high > told.high


def test_there_is_no_estimate_before_every_stratum_has_an_answer():
    assert estimate_copies([Judged(30, 12, 18, 0), Judged(5, 0, 0, 0)]) is None


POPULATIONS = {
    "as runs have them": [(500, 0.99), (200, 0.9), (300, 0.2), (2000, 0.01)],
    "half and half": [(1000, 0.5)] * 4,
    "hardly any copy": [(3000, 0.002)] * 4,
    "hardly any other": [(1000, 0.998), (3000, 0.999)],
    "two strata": [(400, 0.97), (5000, 0.03)],
    "one stratum": [(800, 0.93)],
    "eight strata": [(300, 0.98), (100, 0.9), (100, 0.3), (1000, 0.02)] * 2,
}


@pytest.mark.parametrize("n", [60, 200, 400])
@pytest.mark.parametrize("population", POPULATIONS.values(), ids=POPULATIONS)
def test_the_interval_covers_the_truth_as_often_as_it_says(population: Sequence[tuple[int, float]], n: int):
    """By design it covers more often where shares are near 0 or 1; 400 draws tell 95 % to within 3 %."""
    generator = np.random.Generator(np.random.PCG64(n))
    sizes = {("a", f"{place:02d}"): size for place, (size, _) in enumerate(population)}
    copies = [round(size * share) for size, share in population]
    counts = Counter(seats(sizes, n))
    shares = [counts[stratum] for stratum in sizes]
    n_covered, values = 0, []
    for _ in range(400):
        strata = []
        for size, n_copies, n_own in zip(sizes.values(), copies, shares, strict=True):
            found = int(generator.hypergeometric(n_copies, size - n_copies, n_own))
            strata.append(Judged(size, found, n_own - found, 0))
        estimate = estimate_copies(strata)
        assert estimate is not None and 0 <= estimate.low <= estimate.value <= estimate.high <= sum(sizes.values())
        values.append(estimate.value)
        n_covered += estimate.low <= sum(copies) <= estimate.high
    assert n_covered / 400 >= 0.92
    assert abs(np.mean(values) - sum(copies)) < 4 * np.std(values) / 20 + 1e-9, "the estimate is not biased"


# ---- of pairs that were judged before, or with gaps ----


@pytest.mark.parametrize(
    ("judged", "own", "n"),
    [
        ("", "", 0),
        ("......", "......", 0),
        ("xx....", "xx....", 2),
        ("xx.xxx", "xx.xxx", 2),
        ("xxxx..", "xx....", 2),
        ("xxxx..", "..x...", 3),
        ("xx..x.", "....x.", 0),
        ("xxxxxx", "......", 6),
    ],
    ids=["none", "nothing judged", "in order", "a gap", "others follow", "others before", "out of turn", "all"],
)
def test_what_counts_is_the_beginning_up_to_the_last_own_answer(judged: str, own: str, n: int):
    assert count_beginning(np.array([*judged]) == "x", np.array([*own]) == "x") == n


def _table(sizes: Mapping[str, int]) -> ImageTable:
    """Return images of some datasets, which nothing else is known of than their names and digests."""
    import pyarrow as pa

    n = sum(sizes.values())
    none = np.full(n, -1, np.int32)
    known = {
        "dataset_names": tuple(sizes),
        "datasets": np.repeat(np.arange(len(sizes), dtype=np.int16), [*sizes.values()]),
        "names": pa.chunked_array([pa.array([f"{one}.png" for one in range(n)], pa.string())]),
        "label_names": (),
        **dict.fromkeys(("labels", "groups"), none),
        "pictures": np.arange(n, dtype=np.int32),
        "sizes_px": np.zeros((n, 2), np.int32),
        "digests": np.random.default_rng(0).integers(0, 256, (n, 32), np.uint8),
    }
    return ImageTable(**{field.name: known.get(field.name) for field in fields(ImageTable)})


def _listed(
    left: NDArray[np.intp], right: NDArray[np.intp], rungs: NDArray[np.intp], sure: NDArray[np.float64]
) -> ListedPairs:
    """Return pairs of which no more is known than their rung by the pixels and how sure it is."""
    m = len(left)
    known = {
        "left": left.astype(np.int32),
        "right": right.astype(np.int32),
        **dict.fromkeys(("rungs", "machine_rungs"), rungs.astype(np.uint8)),
        "decisions": np.zeros(m, np.uint8),
        **dict.fromkeys(("is_same_bytes", "is_same_pixels"), np.zeros(m, np.bool_)),
        "bits": np.zeros((m, len(HASH_TYPES)), np.int16),
        "n_inliers": np.zeros(m, np.int32),
        "local": sure.astype(np.float32),
        "transforms": np.zeros((m, 9), np.float32),
    }
    none = np.full(m, np.nan, np.float32)
    return ListedPairs(**{field.name: known.get(field.name, none) for field in fields(ListedPairs)})


N_PAIRS, N_DRAWS = 1000, 250


@cache
def _doubtful(*, is_ladder: bool, n_sharing: int) -> tuple[ImageTable, ListedPairs, NDArray[np.uint8]]:
    """Return 1,000 pairs and what they are: the weaker they are, the fewer are copies."""
    generator = np.random.Generator(np.random.PCG64(5))
    sure = generator.random(N_PAIRS)
    ladder = np.array([LOOK_ALIKE, SAME_SCENE, EDITED, SAME_PICTURE])[np.digitize(sure, [0.25, 0.5, 0.8])]
    left = np.arange(N_PAIRS)
    pairs = _listed(left, N_PAIRS + left // n_sharing, ladder if is_ladder else np.full(N_PAIRS, EDITED), sure)
    is_copy = generator.random(N_PAIRS) < 1.6 * sure - 0.3
    return _table({"a": N_PAIRS, "b": N_PAIRS}), pairs, np.where(is_copy, 1, 2).astype(np.uint8)


@cache
def _draws(*, is_ladder: bool, n_sharing: int) -> tuple[AuditSample, ...]:
    images, pairs, _ = _doubtful(is_ladder=is_ladder, n_sharing=n_sharing)
    return tuple(draw_sample(images, pairs, 200, seed) for seed in range(N_DRAWS))


def _judge_in_order(sample: AuditSample, truth: NDArray[np.uint8], before: NDArray[np.intp], n: int) -> AuditResult:
    """Return the result where some pairs were judged before, and then `n` of the others in the order of the draw."""
    answers = np.zeros_like(truth)
    answers[before] = truth[before]
    own = sample.places[answers[sample.places] == 0][:n]
    answers[own] = truth[own]
    return sample.result(answers, np.isin(sample.places, own))


@pytest.mark.parametrize(("n_before", "n"), [(0, 20), (0, 60), (150, 20), (150, 60), (600, 20)])
@pytest.mark.parametrize(
    ("is_ladder", "n_sharing"), [(False, 1), (True, 1), (True, 3)], ids=["one rung", "four rungs", "shared pairs"]
)
def test_answers_given_before_do_not_shift_the_estimate(is_ladder: bool, n_sharing: int, n_before: int, n: int):
    """Where the 150 weakest pairs count with 20 of the sample, the truth is covered 51 times of 1,000 only."""
    images, pairs, truth = _doubtful(is_ladder=is_ladder, n_sharing=n_sharing)
    before = np.argsort(pairs.local)[:n_before]
    census = _judge_in_order(draw_sample(images, pairs, 2 * N_PAIRS, 0), truth, before, N_PAIRS)
    results = [_judge_in_order(one, truth, before, n) for one in _draws(is_ladder=is_ladder, n_sharing=n_sharing)]
    assert all(n <= one.n_counted <= one.n_judged for one in results)
    for place, true in enumerate(_copies(census)):
        found = [_copies(one)[place] for one in results]
        assert np.mean([one.low <= true.value <= one.high for one in found]) >= 0.93
        values = [one.value for one in found]
        assert abs(np.mean(values) - true.value) < 4 * np.std(values) / N_DRAWS**0.5, "the estimate is not biased"


def _copies(result: AuditResult) -> tuple[Estimate, ...]:
    """Return the estimates of all datasets and of each."""
    found = [one for one in (result.estimate, *(one.estimate for one in result.datasets)) if one is not None]
    assert len(found) == len(result.datasets) + 1
    return tuple(found)


def test_equal_files_are_judged_once():
    """Two images of each side are equal files: four pairs are listed, and a person says once what they are."""
    images = _table({"a": 3, "b": 3})
    assert images.digests is not None
    images.digests[[1, 4]] = images.digests[[0, 3]]
    left, right = np.array([0, 0, 1, 1, 2]), np.array([3, 4, 3, 4, 5])
    pairs = _listed(left, right, np.full(5, EDITED), np.linspace(0.9, 0.5, 5))
    sample = draw_sample(images, pairs, 6, 0)
    assert len(sample.units) == 6 and len(sample.places) == 2
    answers = np.array([1, 1, 1, 1, 2], np.uint8)
    copies = [(one.name, one.estimate) for one in sample.result(answers, np.ones(2, np.bool_)).datasets]
    assert copies == [("a", Estimate(2, 2, 2)), ("b", Estimate(2, 2, 2))]


@pytest.mark.parametrize(
    ("origin", "is_own"),
    [("sample:40-3", True), ("sample:8-3", True), ("sample:40-33", False), ("sample:40-13", False), ("desk", False)],
)
def test_answers_of_a_draw_are_told_by_their_origin(origin: str, *, is_own: bool):
    images, pairs, _ = _doubtful(is_ladder=True, n_sharing=1)
    sample = draw_sample(images, pairs, 40, 3)
    sides = [DecidedImage(images.digest(int(side[sample.places[1]])), "", "") for side in (pairs.left, pairs.right)]
    decision = Decision(1, min(sides), max(sides), "copy", "2026-01-31T12:00:00.000Z", Occasion(origin))
    own = own_answers(sample, images, pairs, {decision.pair: decision})
    assert own.tolist() == [place == 1 and is_own for place in range(len(sample.places))]


# ---- of a run ----


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """Return the folder of a run of two datasets: one picture is equal, five are recompressed, others are other."""
    root = tmp_path_factory.mktemp("audit")
    for number in range(6):
        _write(root / "left" / f"{number}.png", encode_picture(make_picture(number, 160, 120)))
        kind = ("PNG", {}) if number == 0 else ("JPEG", {"quality": 60})
        content = encode_picture(make_picture(number, 160, 120), kind[0], **kind[1])
        _write(root / "right" / f"{number}.{kind[0].lower()}", content)
    for number in range(6):
        _write(root / "right" / f"other {number}.png", encode_picture(make_picture(50 + number, 160, 120)))
    datasets = {name: root / name for name in ("left", "right")}
    _run(datasets, root / "out")
    return root / "out", datasets


def _run(datasets: dict[str, Path], output: Path) -> None:
    overlens.analyze(datasets, output=output, clip_model="offline", projections="none", no_report=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _judge(root: Path, answers: Mapping[bool, str], places: slice = slice(None), *, origin: str = "") -> None:
    """Answer pairs of the sample that was drawn last, copies and others each in one way."""
    run = FinishedRun.open(root)
    assert run.last_sample is not None
    pairs = ListedPairs.read(run)
    sample = draw_sample(run.images, pairs, *run.last_sample)
    store = DecisionStore(CrossLayout(root).decisions)
    for place in sample.places[places].tolist():
        sides = [
            DecidedImage(run.images.digest(row), "", run.images.name(row))
            for row in (int(pairs.left[place]), int(pairs.right[place]))
        ]
        store.decide(*sides, answers[bool(pairs.machine_rungs[place] <= EDITED)], Occasion(origin or sample.origin))


def _draw_anew(root: Path, n: int, seed: int = 0) -> None:
    DecisionStore(CrossLayout(root).decisions).record_sample(n, seed)


def _said(root: Path) -> list[str]:
    return [one for one in findings_of(FinishedRun.open(root)) if "stimated by people" in one or "audit sample" in one]


RIGHT = {True: "copy", False: "not a copy"}


@pytest.fixture
def root(made: tuple[Path, dict[str, Path]], tmp_path: Path) -> Path:
    """Return a copy of the results."""
    return Path(shutil.copytree(made[0], tmp_path / "out"))


def test_the_report_states_the_estimate_of_each_dataset(root: Path):
    assert audit_estimate(FinishedRun.open(root)) is None and not _said(root)
    _draw_anew(root, 1000)
    assert audit_estimate(FinishedRun.open(root)) is None and not _said(root), "nothing was judged"
    _judge(root, RIGHT)
    result = audit_estimate(FinishedRun.open(root))
    assert result is not None and result.is_across and result.name == "1000-0"
    assert (result.n_images, result.n_certain, result.n_judged, result.n_counted) == (18, 2, result.n, result.n)
    assert result.estimate == Estimate(12, 12, 12) and result.n_verified == 12, "six pictures are on both sides"
    datasets = [(one.name, one.n_images, one.n_verified, one.n_certain, one.estimate) for one in result.datasets]
    assert datasets == [("left", 6, 6, 1, Estimate(6, 6, 6)), ("right", 12, 6, 1, Estimate(6, 6, 6))]
    end = "6 to 6, 95 % interval) have a copy in"
    assert _said(root) == [
        f"Estimated by people: 6 of 6 images of left (100 %; {end} right, where the pixels say 6.",
        f"Estimated by people: 6 of 12 images of right (50 %; {end} left, where the pixels say 6.",
        f"{result.n} of {result.n} pairs of the audit sample 1000-0 were judged.",
    ]


def test_the_same_sample_is_drawn_after_a_run_that_honours_it(root: Path, made: tuple[Path, dict[str, Path]]):
    """What people say changes verdicts and strengths, and must not change what was drawn."""
    _draw_anew(root, 12)
    _judge(root, {True: "not a copy", False: "copy"})
    before = FinishedRun.open(root)
    drawn = draw_sample(before.images, ListedPairs.read(before), 12, 0)
    result = audit_estimate(before)
    _run(made[1], root)
    after = FinishedRun.open(root)
    pairs = ListedPairs.read(after)
    assert (pairs.rungs != pairs.machine_rungs).any(), "the run honoured what was said"
    again = draw_sample(after.images, pairs, 12, 0)
    assert again.strata == drawn.strata and again.sizes == drawn.sizes
    assert audit_estimate(after) == result


def test_what_was_judged_so_far_is_told(root: Path):
    _draw_anew(root, 12, 5)
    _judge(root, RIGHT, slice(-1))
    result = audit_estimate(FinishedRun.open(root))
    assert result is not None and result.name == "12-5" and result.n_judged == result.n_counted == result.n - 1


def test_what_counts_is_told(root: Path):
    _draw_anew(root, 12)
    _judge(root, RIGHT, slice(-3, None), origin="desk")
    assert audit_estimate(FinishedRun.open(root)) is None and not _said(root), "none of the sample's own"
    _judge(root, dict.fromkeys(RIGHT, "unsure"), slice(1))
    (said,) = _said(root)
    assert said.startswith("4 of ") and "12-0 were judged; what counts is the beginning of its order, 1 pair. " in said
    assert said.endswith("That is too few for an estimate, as every stratum needs an answer.")
    _judge(root, RIGHT, slice(1, -4))
    assert "1 answer is unsure: the intervals allow for either." in _said(root)[-1]


def test_a_larger_sample_takes_the_answers_of_a_smaller_one_along(root: Path):
    _draw_anew(root, 8)
    _judge(root, RIGHT)
    smaller = audit_estimate(FinishedRun.open(root))
    _draw_anew(root, 12)
    larger = audit_estimate(FinishedRun.open(root))
    assert smaller is not None and larger is not None and smaller.name != larger.name
    assert larger.n_counted == smaller.n_counted == smaller.n < larger.n
    _draw_anew(root, 8, seed=1)
    other = audit_estimate(FinishedRun.open(root))
    assert other is None or other.n_counted == other.n, "of another draw nothing counts but the whole"


def test_a_sample_that_others_judged_counts_once_it_is_whole(root: Path):
    _draw_anew(root, 1000)
    _judge(root, RIGHT, slice(-1), origin="desk")
    assert audit_estimate(FinishedRun.open(root)) is None
    _judge(root, RIGHT, slice(-1, None), origin="desk")
    result = audit_estimate(FinishedRun.open(root))
    assert result is not None and result.n_counted == result.n and result.estimate == Estimate(12, 12, 12)


def test_a_sample_that_does_not_fit_the_run_is_told(root: Path):
    _draw_anew(root, 1)
    assert any("cannot be drawn from these results" in one for one in _said(root))


@pytest.mark.parametrize(("n", "seed"), [(0, 0), (-3, 0), (5, -1)])
def test_a_sample_of_nothing_is_refused(made: tuple[Path, dict[str, Path]], n: int, seed: int):
    run = FinishedRun.open(made[0])
    with pytest.raises(ConfigError, match="cannot be drawn"):
        draw_sample(run.images, ListedPairs.read(run), n, seed)
