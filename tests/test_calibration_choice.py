"""A threshold is chosen by counted pairs: the most generous whose list keeps the stated rate, said with its counts."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.calibration.choice import COSINES, Calibration, Grounds, bound_share, calibrate, choose
from overlens.calibration.edit_scores import EditScores
from overlens.calibration.judged import Judged
from overlens.groups.find import NO_GROUP
from overlens.records import Features
from overlens.search.cosine import find_cosine_pairs
from overlens.search.hamming import find_hamming_pairs
from overlens.verdicts import LOOK_ALIKE
from test_calibration_judged import judge

EDITS = EditScores(("crop", "grey"), np.array([[0.7, 0.9], [0.3, 0.95], [np.nan, 0.999]], np.float32))


def grounds(judged: Judged, rate: float) -> Grounds:
    return Grounds(judged, {name: {"cosine": EDITS, "perceptual": EDITS} for name in "ab"}, rate)


def make_datasets(n_copies: int, seed: int = 0, n: int = 60, noise: float = 0.15) -> tuple[list[Features], Judged]:
    """Two datasets whose first `n_copies` images are copies of one another, in rows and in hashes."""
    generator = np.random.Generator(np.random.PCG64(seed))
    base = generator.normal(size=(2 * n, 24)) + 0.7 * generator.normal(size=24)
    rows = base.copy()
    rows[n : n + n_copies] = rows[:n_copies] + noise * generator.normal(size=(n_copies, 24))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    bits = generator.integers(0, 2, (2 * n, 64))
    bits[n : n + n_copies] = bits[:n_copies] ^ (generator.random((n_copies, 64)) < 0.05)
    hashes = np.packbits(bits.astype(np.uint8), axis=1)
    names = {"a": slice(0, n), "b": slice(n, 2 * n)}
    datasets = [
        Features(
            name,
            tuple(f"{name}{i}" for i in range(n)),
            (None,) * n,
            embeddings=rows[part].astype(np.float32),
            hashes=np.ascontiguousarray(hashes[part]),
        )
        for name, part in names.items()
    ]
    groups = [*range(n_copies), *[NO_GROUP] * (n - n_copies)] * 2
    return datasets, judge({"a": n, "b": n}, groups, [(n - 1, 2 * n - 1, LOOK_ALIKE)])


def found_pairs(method: str, datasets: list[Features], threshold: float) -> list[tuple[int, int]]:
    left, right = datasets
    if method == "cosine":
        blocks = find_cosine_pairs(left.embeddings, right.embeddings, min_similarity=threshold)
    else:
        blocks = find_hamming_pairs(left.hashes, right.hashes, max_distance_bits=int(threshold))
    return [pair for block in blocks for pair in zip(block.left.tolist(), block.right.tolist(), strict=True)]


@pytest.mark.parametrize("method", ["cosine", "perceptual"])
def test_counts_are_those_of_the_lists_that_a_run_would_write(method: str):
    datasets, judged = make_datasets(25)
    found = calibrate(method, tuple(datasets), grounds(judged, 0.01))
    for place in range(0, len(found.thresholds), 4):
        pairs = found_pairs(method, datasets, found.thresholds[place])
        copies = [pair for pair in pairs if pair[0] == pair[1] < 25]
        counts = found.n_pairs[place], found.n_verified[place], found.n_refuted[place]
        assert counts == (len(pairs), len(copies), int((59, 59) in pairs))
    assert max(found.n_verified) == 25 and max(found.n_refuted) <= 1


@pytest.mark.parametrize("method", ["cosine", "perceptual"])
def test_the_chosen_threshold_keeps_the_rate_and_no_looser_one_does(method: str):
    datasets, judged = make_datasets(40, noise=0.4)
    found = calibrate(method, tuple(datasets), grounds(judged, 0.05))
    false = [n - v for n, v in zip(found.n_pairs, found.n_verified, strict=True)]
    assert found.is_kept and found.n_verified[found.place] >= 20
    assert false[found.place] <= 0.05 * found.n_pairs[found.place]
    assert all(f > 0.05 * n for f, n in list(zip(false, found.n_pairs, strict=True))[found.place + 1 :])
    assert found.false_discovery_rate(found.place) <= 0.05 < found.upper_bound(found.place)


def test_pairs_within_a_dataset_count_once():
    (one, _), _ = make_datasets(0)
    twin = replace(
        one,
        embeddings=np.concatenate([one.embeddings[:30], one.embeddings[:30]]),
        hashes=np.tile(one.hashes[:30], (2, 1)),
    )
    judged = judge({"a": 60}, [*range(30)] * 2)
    for method in ("cosine", "perceptual"):
        found = calibrate(method, (twin, twin), grounds(judged, 0.0))
        assert found.is_kept and found.n_pairs[found.place] == found.n_verified[found.place] == 30
        assert found.where == "within a"


@pytest.mark.parametrize("method", ["cosine", "perceptual"])
def test_without_verified_pairs_nothing_is_reported(method: str):
    datasets, judged = make_datasets(0)
    found = calibrate(method, tuple(datasets), grounds(judged, 0.5))
    assert found.is_kept and found.n_pairs[found.place] == 0
    assert found.place == len(found.thresholds) - 1 or found.n_pairs[found.place + 1] > 0
    assert found.has_choice == (found.n_pairs[-1] > 0)
    reason = "no pair is a verified copy" if found.has_choice else "there was nothing to choose from"
    assert found.reason.startswith(reason)
    assert found.false_discovery_rate(found.place) is None and found.upper_bound(found.place) is None


def test_where_no_threshold_keeps_the_rate_the_strictest_is_used_and_said():
    (one, other), _ = make_datasets(0)
    blank = [replace(features, hashes=np.zeros_like(features.hashes)) for features in (one, other)]
    found = calibrate("perceptual", tuple(blank), Grounds(judge({"a": 60, "b": 60}, [NO_GROUP] * 120), {}, 0.01))
    assert (found.chosen, found.is_kept, found.recall(0)) == (0, False, None)
    assert found.reason.endswith("even at the strictest 3,600 of 3,600 pairs are no verified copies")


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=12), rate=st.floats(0, 0.9)
)
def test_the_choice_is_the_most_generous_that_keeps_the_rate(steps: list[tuple[int, int]], rate: float):
    verified = np.cumsum([v for v, _ in steps]).tolist()
    pairs = np.cumsum([v + f for v, f in steps]).tolist()
    kept = [place for place, (n, v) in enumerate(zip(pairs, verified, strict=True)) if n - v <= rate * n]
    assert choose(pairs, verified, rate) == (kept[-1] if kept else 0)


def test_one_false_pair_at_the_top_does_not_cost_a_thousand_copies():
    assert choose([1, 500, 1001, 1200], [0, 499, 1000, 1001], 0.01) == 2


@pytest.mark.parametrize(
    ("hits", "n", "bound"),
    [(0, 0, 1.0), (3, 3, 1.0), (0, 10, 1 - 0.05**0.1), (0, 299, 1 - 0.05 ** (1 / 299)), (1, 10, 0.3941633)],
    ids=["nothing", "all", "none of 10", "none of 299", "one of 10"],
)
def test_the_bound_is_that_of_clopper_and_pearson(hits: int, n: int, bound: float):
    # Without a hit the bound is 1 - 0.05^(1/n); one of 10 is from the published tables.
    assert bound_share(hits, n) == pytest.approx(bound, abs=1e-6)


def test_recall_of_edits_is_the_share_of_the_sample():
    datasets, judged = make_datasets(5)
    found = calibrate("cosine", tuple(datasets), grounds(judged, 0.01))
    place = COSINES.index(0.9)
    assert (found.n_edited, found.edits) == (6, ("crop", "grey"))
    assert found.n_found[place] == (0, 6) and found.recall(place) == pytest.approx(0.5)
    assert found.recall(COSINES.index(0.5), "crop") == pytest.approx(2 / 6)  # an edit without a vector is not found


def test_small_counts_are_said_to_be_small():
    def chosen(n: int) -> Calibration:
        return Calibration("cosine", "a", "b", 0.01, (0.9,), (n,), (n,), (0,), (), ((),), 0, 0)

    assert "0 of 7 pairs are no verified copies" in chosen(7).reason
    assert "at most 34.8% with 95 % confidence, too few to show a rate of 0.01" in chosen(7).reason
    assert "too few" not in chosen(400).reason


def test_without_any_pair_the_reason_says_that_there_was_no_choice():
    datasets, judged = make_datasets(0)
    far = [replace(one, hashes=np.full_like(one.hashes, 255 * row)) for row, one in enumerate(datasets)]
    found = calibrate("perceptual", (far[0], far[1]), grounds(judged, 0.01))
    assert (found.n_pairs[-1], found.has_choice, found.chosen) == (0, False, 16)
    assert found.reason.startswith("there was nothing to choose from") and "nothing is estimated" in found.reason
    assert found.reason.endswith("the loosest is used")


def test_the_curve_is_told_in_json_and_the_reason_in_words():
    datasets, judged = make_datasets(25)
    found = calibrate("cosine", tuple(datasets), grounds(judged, 0.01))
    content = json.loads(json.dumps(found.to_json()))
    assert (content["datasets"], content["threshold"], len(content["curve"])) == (
        ["a", "b"],
        found.chosen,
        len(COSINES),
    )
    assert content["curve"][found.place]["recall_by_edit"].keys() == {"crop", "grey"}
    assert content["reason"] == found.reason and found.reason.startswith("the most generous that keeps")


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit pairs"):
        Calibration("cosine", "a", "b", 0.01, (0.9,), (3,), (4,), (0,), (), ((),), 0, 0)
    with pytest.raises(ValueError, match="2 thresholds need as many counts"):
        Calibration("cosine", "a", "b", 0.01, (0.9, 0.8), (3,), (3,), (0,), (), ((),), 0, 0)
    with pytest.raises(ValueError, match="a column for each of 2 edits"):
        EditScores(("crop", "grey"), np.zeros((3, 1), np.float32))
