"""Recall counts identifiers, each by the best of its pairs, and lists those that were not found."""

import csv
import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.config import DatasetSpec, IdentifierConfig, PairConfig
from overlens.decode import image_extensions
from overlens.edges import Edges
from overlens.groups.find import KeepRule, find_groups
from overlens.recall.expected_pairs import best_cosines
from overlens.recall.identifiers import Identifiers, read_identifiers, share_identifiers
from overlens.recall.measure import (
    OUTCOMES,
    IdentifierRecall,
    MethodRecall,
    Verified,
    measure_recall,
    measure_recalls,
    missed_csv,
    wilson_interval,
)
from overlens.records import Features
from overlens.roster import Roster
from overlens.search.cosine import find_cosine_pairs
from overlens.search.reference import list_cosine_pairs, list_hamming_pairs
from overlens.sources import load_published
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_BYTES, SAME_PICTURE, SAME_SCENE

REFUTED_CODE = 255
NO_METHODS = PairConfig(methods=())


def always(config: PairConfig) -> Callable[[str, str], PairConfig]:
    """The same methods and thresholds for every two datasets."""
    return lambda first, second: config


def stated(dataset, values):
    return Identifiers(dataset, tuple(values), "column item", is_stated=True)


def plain_features(dataset, n, **columns):
    return Features(dataset, tuple(f"{dataset}{i}" for i in range(n)), (None,) * n, **columns)


def verify(sizes, pairs):
    """What verification found of datasets a, b, ... from (left, right, verdict) in global rows."""
    roster = Roster(tuple("abc"[: len(sizes)]), tuple(sizes))
    left, right, verdicts = np.array(pairs or np.empty((0, 3)), np.int64).T
    strengths = np.linspace(1, 0.5, len(left)).astype(np.float32)
    edges = Edges(left.astype(np.int32), right.astype(np.int32), verdicts.astype(np.uint8), strengths)
    return Verified(edges, find_groups(roster, edges, KeepRule("first")))


def recall_of(values_a, values_b, pairs):
    shared = share_identifiers(stated("a", values_a), stated("b", values_b))
    features = plain_features("a", len(values_a)), plain_features("b", len(values_b))
    return measure_recall(shared, features, NO_METHODS, verify([len(values_a), len(values_b)], pairs))


def outcome_counts(recall):
    return {outcome: n for outcome, n in recall.by_outcome.items() if n}


def test_each_outcome_is_told_apart():
    values = list("stuvwxyz")
    pairs = [
        (0, 8, SAME_BYTES),
        (1, 9, SAME_PICTURE),
        (2, 10, EDITED),
        (3, 11, SAME_SCENE),
        (4, 12, LOOK_ALIKE),
        (5, 13, REFUTED_CODE),
    ]
    recall = recall_of(values, values, pairs)
    assert recall.by_outcome == {
        **dict.fromkeys(OUTCOMES, 0),
        **{"same_bytes": 1, "same_picture": 1, "edited": 1, "same_scene": 1, "look_alike": 1, "refuted": 1},
        "no_candidate": 2,
    }
    assert recall.methods == (MethodRecall("verified", None, 3, 8),)
    assert [(one.identifier, one.outcome) for one in recall.missed] == [
        ("v", "same_scene"),
        ("w", "look_alike"),
        ("x", "refuted"),
        ("y", "no_candidate"),
        ("z", "no_candidate"),
    ]


def test_two_images_of_one_group_are_found_without_a_pair_of_their_own():
    recall = recall_of(["x", None], ["x", None], [(0, 3, EDITED), (1, 3, EDITED), (1, 2, EDITED), (0, 2, SAME_SCENE)])
    assert outcome_counts(recall) == {"same_group": 1}
    assert recall.missed == () and recall.methods[0].n_found == 1


def test_an_identifier_on_many_images_counts_once_by_its_best_pair():
    pairs = [(0, 3, LOOK_ALIKE), (1, 4, SAME_PICTURE), (2, 3, SAME_SCENE), (0, 1, SAME_BYTES)]
    assert outcome_counts(recall_of(["x"] * 3, ["x"] * 2, pairs)) == {"same_picture": 1}
    worse = recall_of(["x"] * 3, ["x"] * 2, [(0, 3, LOOK_ALIKE), (2, 4, SAME_SCENE), (1, 4, SAME_SCENE)])
    (missed,) = worse.missed
    # Both are of one rung, so the surer one is shown.
    assert (missed.left, missed.right, missed.n_left, missed.n_right, missed.outcome) == (2, 1, 3, 2, "same_scene")


def test_copies_under_different_identifiers_or_none_count_for_nothing():
    assert outcome_counts(recall_of(["x", "y", None], ["x", None, "z"], [(0, 4, SAME_BYTES), (1, 3, SAME_BYTES)])) == {
        "no_candidate": 1
    }


def test_images_of_a_third_dataset_join_groups_and_are_no_pairs():
    identifiers = [stated(name, ["x"]) for name in "abc"]
    features = [plain_features(name, 1) for name in "abc"]
    verified = verify([1, 1, 1], [(2, 0, EDITED), (1, 2, EDITED)])
    recalls = measure_recalls(identifiers, features, always(NO_METHODS), verified)
    assert [(one.dataset_a, one.dataset_b, outcome_counts(one)) for one in recalls] == [
        ("a", "b", {"same_group": 1}),
        ("a", "c", {"edited": 1}),
        ("b", "c", {"edited": 1}),
    ]


def test_datasets_that_share_no_stated_identifier_are_told():
    features = [plain_features(name, 1) for name in "abc"]
    identifiers = [stated(name, [value]) for name, value in zip("abc", "xxy", strict=True)]
    recalls = measure_recalls(identifiers, features, always(PairConfig()))
    assert [(one.dataset_a, one.dataset_b, one.n_shared) for one in recalls] == [
        ("a", "b", 1),
        ("a", "c", 0),
        ("b", "c", 0),
    ]
    assert recalls[1].to_json()["n_shared_identifiers"] == 0 and recalls[1].missed == ()


def test_datasets_that_share_nothing_are_left_out_and_refused_names_are_told():
    features = [plain_features(name, 2) for name in "abc"]
    names = [["img_1", "img_2"], ["img_2", "k"], ["u", "v"]]
    identifiers = [Identifiers(name, tuple(values), "names", False) for name, values in zip("abc", names, strict=True)]
    (recall,) = measure_recalls(identifiers, features, always(NO_METHODS), verify([2, 2, 2], []))
    assert (recall.dataset_a, recall.dataset_b, recall.n_shared, recall.n_refused) == ("a", "b", 0, 1)
    assert recall.methods[0].share_found is None and recall.methods[0].interval == (0, 1)


values = st.lists(st.sampled_from(["x", "y", "z", None]), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(values, values, st.data())
def test_outcomes_are_those_of_a_search_through_all_pairs(values_a, values_b, data):
    n, total = len(values_a), len(values_a) + len(values_b)
    rows = st.tuples(st.integers(0, total - 1), st.integers(0, total - 1)).filter(lambda pair: pair[0] != pair[1])
    chosen = data.draw(st.lists(rows, max_size=12, unique_by=lambda pair: tuple(sorted(pair))))
    verdicts = [data.draw(st.sampled_from([0, 2, 3, 4, 5, REFUTED_CODE])) for _ in chosen]
    pairs = [(*pair, verdict) for pair, verdict in zip(chosen, verdicts, strict=True)]
    group_of = verify([n, total - n], pairs).groups.group_of
    verdict_of = {tuple(sorted(pair)): verdict for *pair, verdict in pairs}
    expected = []
    for value in dict.fromkeys(v for v in values_a if v is not None and v in values_b):
        best = "no_candidate"
        for i, j in ((i, n + j) for i in range(n) for j in range(total - n)):
            if values_a[i] != value or values_b[j - n] != value:
                continue
            verdict = verdict_of.get((i, j))
            found = (
                ["no_candidate"]
                if verdict is None
                else [
                    {
                        **dict(
                            enumerate(
                                ("same_bytes", "same_pixels", "same_picture", "edited", "same_scene", "look_alike")
                            )
                        ),
                        255: "refuted",
                    }[verdict]
                ]
            )
            found += ["same_group"] * bool(group_of[i] >= 0 and group_of[i] == group_of[j])
            best = min([best, *found], key=OUTCOMES.index)
        expected.append(best)
    recall = recall_of(values_a, values_b, pairs)
    assert recall.by_outcome == {outcome: expected.count(outcome) for outcome in OUTCOMES}
    assert len(recall.missed) == recall.n_shared - recall.methods[0].n_found


@pytest.fixture(scope="module")
def scored():
    """Two datasets with vectors and hashes, and identifiers that stand on one to many images."""
    rng = np.random.default_rng(8)
    made, identifiers = [], []
    pool, codes = rng.standard_normal((40, 16)), rng.integers(0, 256, (40, 8), np.uint8)
    for name, n in (("a", 90), ("b", 150)):
        which = rng.integers(0, 40, n)
        rows = pool[which] + rng.choice([0.05, 0.3, 0.8], (n, 1)) * rng.standard_normal((n, 16))
        hashes = codes[which]
        hashes[:, 0] ^= rng.integers(0, 256, n).astype(np.uint8)
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        made.append(plain_features(name, n, embeddings=rows, hashes=hashes))
        identifiers.append(stated(name, [f"k{k}" if k % 5 else None for k in which]))
    return identifiers, made


@pytest.mark.parametrize("pairs_at_once", [1, 7, 4096])
@pytest.mark.parametrize(("cosine", "bits"), [(0.9, 2), (0.5, 4), (1.0, 0)])
def test_methods_find_the_identifiers_of_their_own_pairs(scored, cosine, bits, pairs_at_once, monkeypatch):
    monkeypatch.setattr("overlens.recall.expected_pairs.CHUNK_PAIRS", pairs_at_once)
    identifiers, (a, b) = scored
    lists = {
        "cosine": list_cosine_pairs(a.embeddings, b.embeddings, min_similarity=cosine),
        "perceptual": list_hamming_pairs(a.hashes, b.hashes, max_distance_bits=bits),
    }
    found = {
        method: {identifiers[0].values[i] for i, j in pairs if identifiers[0].values[i] == identifiers[1].values[j]}
        - {None}
        for method, pairs in lists.items()
    }
    (recall,) = measure_recalls(identifiers, [a, b], always(PairConfig(min_similarity=cosine, max_distance_bits=bits)))
    assert {one.method: one.n_found for one in recall.methods} == {name: len(set_) for name, set_ in found.items()}
    assert recall.by_outcome is None
    assert {one.identifier for one in recall.missed}.isdisjoint(found["cosine"] | found["perceptual"])
    assert len(recall.missed) == recall.n_shared - len(found["cosine"] | found["perceptual"])


def test_scores_of_missed_identifiers_are_those_of_the_search_to_the_bit(scored):
    identifiers, (a, b) = scored
    shared = share_identifiers(*identifiers)
    found: dict[str, float] = {}
    for block in find_cosine_pairs(a.embeddings, b.embeddings, min_similarity=-1.0):
        for i, j, score in zip(block.left.tolist(), block.right.tolist(), block.scores.tolist(), strict=True):
            if (value := identifiers[0].values[i]) is not None and value == identifiers[1].values[j]:
                found[value] = max(found.get(value, -1.0), score)
    best = best_cosines(shared, a.embeddings, b.embeddings)
    assert dict(zip(shared.values, best.tolist(), strict=True)) == found


def test_a_method_without_threshold_or_without_features_is_left_out(scored):
    identifiers, (a, b) = scored
    (recall,) = measure_recalls(identifiers, [a, b], always(PairConfig(min_similarity=None)))
    assert [one.method for one in recall.methods] == ["perceptual"]
    bare = [plain_features("a", 90), plain_features("b", 150)]
    (recall,) = measure_recalls(identifiers, bare, always(PairConfig()))
    assert recall.methods == () and len(recall.missed) == recall.n_shared


def test_every_two_datasets_have_thresholds_of_their_own():
    rows = np.eye(2, dtype=np.float32)
    features = [plain_features(name, 2, embeddings=rows) for name in "abc"]
    identifiers = [stated(name, ["x", "y"]) for name in "abc"]
    strict, loose = (
        PairConfig(methods=("cosine",), min_similarity=0.9),
        PairConfig(methods=("cosine",), min_similarity=0.1),
    )
    features[2] = plain_features("c", 2, embeddings=np.full((2, 2), 0.5**0.5, np.float32))
    found = measure_recalls(identifiers, features, lambda *names: loose if "b" in names else strict)
    assert [(one.dataset_a, one.dataset_b, one.methods[0].threshold, one.methods[0].n_found) for one in found] == [
        ("a", "b", 0.1, 2),
        ("a", "c", 0.9, 0),
        ("b", "c", 0.1, 2),
    ]


def test_missed_identifiers_are_listed_as_csv():
    values = ["Xx", 'y,"', "Z"]
    shared = share_identifiers(stated("a", values), stated("b", [value.lower() for value in values]))
    rows = np.eye(3, dtype=np.float32)
    a, b = plain_features("a", 3, embeddings=rows), plain_features("b", 3, embeddings=rows[[0, 2, 1]])
    recall = measure_recall(shared, (a, b), PairConfig(), verify([3, 3], [(0, 3, SAME_SCENE), (1, 4, SAME_BYTES)]))
    table = list(csv.DictReader(io.StringIO(missed_csv([recall], {"a": a.keys, "b": b.keys}))))
    assert [tuple(line.values()) for line in table] == [
        ("a", "a0", "b", "b0", "Xx", "1", "1", "same_scene", "1.0", ""),
        ("a", "a2", "b", "b2", "Z", "1", "1", "no_candidate", "0.0", ""),
    ]
    assert list(table[0]) == [
        *("dataset_a", "image_a", "dataset_b", "image_b", "identifier"),
        *("n_images_a", "n_images_b", "verdict", "cosine", "hash_distance"),
    ]


def test_json_holds_every_number():
    recall = recall_of(["x", "y"], ["x", "y"], [(0, 2, EDITED)])
    written = json.loads(json.dumps(recall.to_json()))
    assert written["methods"][0] | {"interval_95": None} == {
        "method": "verified",
        "threshold": None,
        "n_found": 1,
        "share_found": 0.5,
        "interval_95": None,
    }
    assert (written["datasets"], written["n_shared_identifiers"], written["n_missed"]) == (["a", "b"], 2, 1)
    assert sum(written["by_outcome"].values()) == 2


@pytest.mark.parametrize(
    ("n_found", "n_tried", "interval"),
    # The middle ones as in R. Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_intervals_are_the_published_ones(n_found, n_tried, interval):
    assert wilson_interval(n_found, n_tried) == pytest.approx(interval, abs=5e-5)
    low, high = wilson_interval(n_tried - n_found, n_tried)
    assert (1 - high, 1 - low) == pytest.approx(interval, abs=5e-5)


def test_counts_that_do_not_fit_are_mistakes():
    with pytest.raises(ValueError, match="3 found of 2"):
        MethodRecall("cosine", 0.9, 3, 2)
    with pytest.raises(ValueError, match="do not sum to 2"):
        IdentifierRecall("a", "b", "names", 2, 0, {"edited": 1}, (), ())


@pytest.mark.parametrize(("cosine", "bits", "n_cosine", "n_bits"), [(0.9, 5, 14, 19), (0.8, 8, 19, 19)])
def test_published_collections_share_nineteen_catalogue_numbers(shared_data, cosine, bits, n_cosine, n_bits):
    root = shared_data / "art_published"
    features = [load_published(DatasetSpec(name), root).features for name in ("ArtDL", "ICONCLASS", "wikidata")]
    identifiers = [
        read_identifiers(one.dataset, one.keys, column=None, config=IdentifierConfig(), extensions=image_extensions())
        for one in features
    ]
    (recall,) = measure_recalls(
        identifiers, features, always(PairConfig(min_similarity=cosine, max_distance_bits=bits))
    )
    assert (recall.dataset_a, recall.dataset_b, recall.n_shared, recall.source) == ("ArtDL", "wikidata", 19, "names")
    assert [(one.method, one.n_found) for one in recall.methods] == [("cosine", n_cosine), ("perceptual", n_bits)]


def test_the_known_copies_stated_as_a_column_show_what_cosine_misses(shared_data):
    """The 44 published pairs written into a column: 0.9 finds 26 of them."""
    root = shared_data / "art_published"
    features = [load_published(DatasetSpec(name), root).features for name in ("ArtDL", "wikidata")]
    pairs = json.loads((root / "dataset" / "cross" / "ArtDL_wikidata_perceptual_duplicates.json").read_text())
    found = {}
    for number, (left, right, _) in enumerate(pairs):
        columns = [
            [f"pair {number}" if key == name else None for key in one.keys]
            for one, name in zip(features, (left, right), strict=True)
        ]
        shared = share_identifiers(
            *(stated(one.dataset, column) for one, column in zip(features, columns, strict=True))
        )
        for method in measure_recall(shared, tuple(features), PairConfig(max_distance_bits=8)).methods:
            found[method.method] = found.get(method.method, 0) + method.n_found
    assert (len(pairs), found) == (44, {"cosine": 26, "perceptual": 44})
