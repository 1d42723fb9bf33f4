"""The audit sample: drawn the same way again, fair to every stratum, and an interval that holds what it promises."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import overlens
from overlens.decisions.records import DecidedImage
from overlens.decisions.store import DecisionStore
from overlens.errors import ConfigError
from overlens.finished import FinishedRun
from overlens.layout import CrossLayout
from overlens.report_contents.words import findings_of
from overlens.review.audit import (
    FEWEST,
    LEAST,
    Estimate,
    Judged,
    draw_units,
    estimate_copies,
    exact_interval,
    share_out,
)
from overlens.review.pairs import ListedPairs
from overlens.review.sample import audit_estimate, draw_sample
from overlens.testing import encode_picture, make_picture

SIZES = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("wxyz")), st.integers(1, 500), max_size=8)


@given(SIZES, st.integers(1, 800))
@settings(max_examples=200)
def test_every_stratum_gets_its_share(sizes: dict[tuple[str, str], int], n: int):
    least = sum(min(size, FEWEST) for size in sizes.values())
    if least > min(n, sum(sizes.values())):
        with pytest.raises(ConfigError, match="too small"):
            share_out(sizes, n)
        return
    shares = share_out(sizes, n)
    assert sum(shares.values()) == min(n, sum(sizes.values()))
    assert all(min(size, FEWEST) <= shares[name] <= size for name, size in sizes.items())
    if n >= sum(min(size, LEAST) for size in sizes.values()):
        assert all(shares[name] >= min(size, LEAST) for name, size in sizes.items())


def test_shares_follow_sizes():
    shares = share_out({("a", "x"): 1000, ("a", "y"): 3000, ("a", "z"): 4}, 409)
    assert shares["a", "z"] == 4 and abs(shares["a", "y"] / shares["a", "x"] - 3) < 0.2


def test_a_draw_depends_on_names_and_seed_alone():
    strata = {("a", "x"): [f"{one}.png" for one in range(50)], ("b", "x"): [f"{one}.png" for one in range(20)]}
    drawn = draw_units(strata, 20, 3)
    backwards = {name: own[::-1] for name, own in reversed(strata.items())}
    assert draw_units(backwards, 20, 3) == drawn and len(set(drawn)) == 20
    assert draw_units(strata, 20, 4) != drawn
    assert set(drawn) < set(draw_units(strata, 40, 3)), "a larger sample goes on from a smaller one"
    beginning = [stratum for stratum, _ in drawn[:8]]
    assert {beginning.count(stratum) for stratum in strata} <= {2, 3, 4, 5, 6}, "any beginning is spread"


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
    shares = list(share_out(sizes, n).values())
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


def _judge(root: Path, n: int, answers: dict[bool, str], *, seed: int = 0, least: int = 0) -> None:
    """Answer all of a sample but the last `least`, copies and others each in one way."""
    run = FinishedRun.open(root)
    pairs = ListedPairs.read(run)
    sample = draw_sample(run.images, pairs, n, seed)
    store = DecisionStore(CrossLayout(root).decisions)
    for place in sample.places[: len(sample.places) - least].tolist():
        sides = [
            DecidedImage(run.images.digest(row), "", run.images.name(row))
            for row in (int(pairs.left[place]), int(pairs.right[place]))
        ]
        store.decide(*sides, answers[bool(pairs.machine_rungs[place] <= 3)], origin=sample.origin)


RIGHT = {True: "copy", False: "not a copy"}


def test_the_report_states_the_estimate(made: tuple[Path, dict[str, Path]], tmp_path: Path):
    root = Path(shutil.copytree(made[0], tmp_path / "out"))
    assert audit_estimate(FinishedRun.open(root)) is None
    assert not any("Estimated" in sentence for sentence in findings_of(FinishedRun.open(root)))
    _judge(root, 1000, RIGHT)
    result = audit_estimate(FinishedRun.open(root))
    assert result is not None and result.is_across and result.name == "1000-0"
    assert (result.n_images, result.n_certain, result.n_judged) == (18, 2, result.n)
    assert result.estimate == Estimate(12, 12, 12) and result.n_verified == 12, "six pictures are on both sides"
    (sentence,) = [one for one in findings_of(FinishedRun.open(root)) if "Estimated" in one]
    assert "12 (12 to 12, 95 % interval) images have a copy in another dataset" in sentence


def test_the_same_sample_is_drawn_after_a_run_that_honours_it(made: tuple[Path, dict[str, Path]], tmp_path: Path):
    """What people say changes verdicts and strengths, and must not change what was drawn."""
    root = Path(shutil.copytree(made[0], tmp_path / "out"))
    _judge(root, 12, {True: "not a copy", False: "copy"})
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


def test_what_was_judged_so_far_is_told(made: tuple[Path, dict[str, Path]], tmp_path: Path):
    root = Path(shutil.copytree(made[0], tmp_path / "out"))
    _judge(root, 12, RIGHT, seed=5, least=1)
    result = audit_estimate(FinishedRun.open(root))
    assert result is not None and result.name == "12-5" and result.n_judged == result.n - 1


def test_a_sample_that_does_not_fit_the_run_is_told(made: tuple[Path, dict[str, Path]], tmp_path: Path):
    root = Path(shutil.copytree(made[0], tmp_path / "out"))
    images = FinishedRun.open(root).images
    sides = [DecidedImage(images.digest(row), "", images.name(row)) for row in (0, 7)]
    DecisionStore(CrossLayout(root).decisions).decide(*sides, "copy", origin="sample:1-0")
    assert any("cannot be drawn from these results" in one for one in findings_of(FinishedRun.open(root)))


@pytest.mark.parametrize(("n", "seed"), [(0, 0), (-3, 0), (5, -1)])
def test_a_sample_of_nothing_is_refused(made: tuple[Path, dict[str, Path]], n: int, seed: int):
    run = FinishedRun.open(made[0])
    with pytest.raises(ConfigError, match="cannot be drawn"):
        draw_sample(run.images, ListedPairs.read(run), n, seed)
