"""Few-shot splits: what they hold, and that nothing but names and seed moves them."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.config import STRATEGIES as CONFIGURED
from overlens.config import DatasetSpec, FewShotConfig
from overlens.errors import ConfigError, DatasetError
from overlens.fewshot import STRATEGIES, draw_splits
from overlens.sources import list_images

# Class c0 has 1 image, c1 has 2, ..., c9 has 10.
KEYS = [f"c{c}/{i}.jpg" for c in range(10) for i in range(c + 1)]
LABELS = [key.split("/")[0] for key in KEYS]
SMALL = FewShotConfig(k_shots=(1, 3), n_classes=4, n_seeds=2)

PROGRAM = """
import json, random
from overlens.config import FewShotConfig
from overlens.fewshot import draw_splits
keys = [f"c{c}/{i}.jpg" for c in range(10) for i in range(c + 1)]
random.Random(SHUFFLE).shuffle(keys)
config = FewShotConfig(k_shots=(1, 3), n_classes=4, n_seeds=2)
splits = draw_splits("D", keys, [key.split("/")[0] for key in keys], config=config)
print(json.dumps([split.to_json() for split in splits.drawn]))
"""


def as_json(splits) -> list[dict[str, object]]:
    return [split.to_json() for split in splits.drawn]


def split_of(splits, strategy: str, k: int, seed: int):
    return next(s for s in splits.drawn if (s.strategy, s.k_shot, s.seed) == (strategy, k, seed))


def test_fixed_splits():
    splits = draw_splits("D", KEYS, LABELS, config=SMALL)
    assert split_of(splits, "random", 1, 0).names == ("c3/3.jpg", "c4/1.jpg", "c7/2.jpg", "c8/2.jpg")
    assert split_of(splits, "stratified", 1, 0).names == ("c6/3.jpg", "c7/2.jpg", "c8/2.jpg", "c9/7.jpg")
    assert split_of(splits, "long_tail", 1, 0).names == ("c0/0.jpg", "c1/0.jpg", "c2/1.jpg", "c5/0.jpg")
    assert (
        hashlib.sha256(json.dumps(as_json(splits)).encode()).hexdigest()
        == "9eb105c41f2b9b30aff6266de7210354b47a045a70c7b90d2347710491d6b6ef"
    )


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_hash_seed_and_listing_order_move_nothing(hash_seed):
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    program = PROGRAM.replace("SHUFFLE", hash_seed)
    printed = subprocess.run(
        [sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True
    ).stdout
    assert json.loads(printed) == as_json(draw_splits("D", KEYS, LABELS, config=SMALL))


def test_the_json_has_the_documented_keys():
    split = draw_splits("D", KEYS, LABELS, config=SMALL).drawn[0]
    assert list(split.to_json()) == ["dataset", "strategy", "k_shot", "n_classes", "seed", "names", "labels"]
    assert json.loads(json.dumps(split.to_json())) == split.to_json()


def test_order_of_splits_and_of_names():
    splits = draw_splits("D", KEYS, LABELS, config=SMALL)
    assert [(s.strategy, s.k_shot, s.seed) for s in splits.drawn] == [
        (strategy, k, seed) for strategy in CONFIGURED for k in (1, 3) for seed in (0, 1)
    ]
    assert all(list(split.labels) == sorted(split.labels) for split in splits.drawn)


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.sampled_from(["x", "y", "z", "ü", "10", "9", None]), min_size=1, max_size=60),
    k_shots=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    n_classes=st.integers(1, 8),
    order=st.randoms(),
)
def test_every_split_keeps_its_promise(labels, k_shots, n_classes, order):
    labels[0] = "x"
    keys = [f"{i}.jpg" for i in range(len(labels))]
    config = FewShotConfig(k_shots=tuple(k_shots), n_classes=n_classes, n_seeds=2)
    splits = draw_splits("D", keys, labels, config=config)
    sizes = Counter(label for label in labels if label is not None)
    for split in splits.drawn:
        eligible = sum(size >= split.k_shot for size in sizes.values())
        assert split.n_classes == len(set(split.labels)) == min(n_classes, eligible)
        assert set(Counter(split.labels).values()) == {split.k_shot}
        assert len(set(split.names)) == len(split.names)
        assert [keys[row] for row in split.rows] == list(split.names)
        assert [labels[row] for row in split.rows] == list(split.labels)
        assert split.rows.dtype == np.int64
    for skipped in splits.skipped:
        assert max(sizes.values()) < skipped.k_shot
    assert len(splits.drawn) + len(splits.skipped) == 3 * len(set(k_shots)) * 2
    assert splits.n_unlabelled == labels.count(None)
    shuffled = list(zip(keys, labels, strict=True))
    order.shuffle(shuffled)
    assert as_json(draw_splits("D", *zip(*shuffled, strict=True), config=config)) == as_json(splits)


def test_splits_of_one_seed_are_nested():
    config = FewShotConfig(k_shots=(1, 2, 5), n_classes=3, n_seeds=3)
    splits = draw_splits("D", KEYS, LABELS, config=config)
    chosen = {}
    for split in splits.drawn:
        for name, label in zip(split.names, split.labels, strict=True):
            chosen.setdefault((split.seed, label, split.k_shot), set()).add(name)
    pairs = [(chosen[s, label, 1], chosen[s, label, 5]) for s, label, k in chosen if k == 5 and (s, label, 1) in chosen]
    assert pairs and all(small <= large for small, large in pairs)


def test_stratified_takes_the_most_frequent_ties_by_class_id():
    labels = ["b"] * 3 + ["a"] * 3 + ["c"] * 4 + ["d"] * 2
    config = FewShotConfig(k_shots=(1,), n_classes=2, strategies=("stratified",))
    splits = draw_splits("D", [str(i) for i in range(len(labels))], labels, config=config)
    assert {split.labels for split in splits.drawn} == {("a", "c")}


def test_long_tail_prefers_rare_classes_and_random_does_not():
    labels = [f"r{i}" for i in range(10) for _ in range(2)] + [f"f{i}" for i in range(10) for _ in range(40)]
    keys = [str(i) for i in range(len(labels))]
    config = FewShotConfig(k_shots=(1,), n_classes=5, n_seeds=100)
    drawn = draw_splits("D", keys, labels, config=config).drawn
    rare = {s: sum(x[0] == "r" for split in drawn if split.strategy == s for x in split.labels) for s in STRATEGIES}
    assert rare["long_tail"] > 450
    assert 190 < rare["random"] < 310
    assert rare["stratified"] == 0


def test_seeds_give_different_splits():
    config = FewShotConfig(k_shots=(1,), n_classes=3, n_seeds=20)
    drawn = draw_splits("D", KEYS, LABELS, config=config).drawn
    for strategy in STRATEGIES:
        assert len({split.names for split in drawn if split.strategy == strategy}) > 5


def test_too_few_classes_are_all_used_and_said():
    splits = draw_splits("D", KEYS, LABELS, config=FewShotConfig(k_shots=(9, 11), n_classes=4, n_seeds=1))
    assert {(split.n_classes, split.requested_n_classes) for split in splits.drawn} == {(2, 4)}
    assert {skipped.reason for skipped in splits.skipped} == {
        "no class has 11 images or more; the most in one class: 10"
    }
    assert splits.notices == ("9-shot: 4 classes were asked for; 2 of 10 have 9 images",)


def test_one_is_not_many_in_what_is_said_of_classes():
    splits = draw_splits("D", ("a", "b", "c"), ("x", "x", "y"), config=FewShotConfig(k_shots=(1, 2), n_classes=3))
    assert splits.notices == (
        "1-shot: 3 classes were asked for; 2 of 2 have 1 image",
        "2-shot: 3 classes were asked for; 1 of 2 has 2 images",
    )


def test_the_name_of_the_dataset_moves_nothing():
    first, second = (draw_splits(name, KEYS, LABELS, config=SMALL).drawn for name in "AB")
    assert [split.names for split in first] == [split.names for split in second]


def test_unlabelled_images_are_counted():
    splits = draw_splits("D", [*KEYS, "x", "y"], [*LABELS, None, None], config=SMALL)
    assert splits.n_unlabelled == 2
    assert "images without a class, in no split: 2" in splits.notices


def test_no_classes_at_all():
    with pytest.raises(DatasetError, match=r"none of its 2 images has one.*--use-ground-truth"):
        draw_splits("D", ["a", "b"], [None, None], config=SMALL)


def test_a_split_checks_its_columns():
    split = draw_splits("D", KEYS, LABELS, config=SMALL).drawn[0]
    with pytest.raises(ValueError, match="4 classes x 1 images, but columns of"):
        replace(split, names=split.names[1:])


def test_unknown_strategy():
    with pytest.raises(ConfigError, match="'greedy' is not known; allowed: random, stratified, long_tail"):
        draw_splits("D", KEYS, LABELS, config=FewShotConfig(strategies=("greedy",)))


def test_configured_strategies_are_the_known_ones():
    assert tuple(STRATEGIES) == CONFIGURED


def test_a_real_long_tail(shared_data):
    spec = DatasetSpec("caltech", shared_data / "caltech101_mini")
    listing = list_images(spec, shared_data, use_ground_truth=False)
    splits = draw_splits("caltech", listing.keys, listing.labels, config=FewShotConfig(k_shots=(1, 5, 10)))
    assert len(splits.drawn) == 27 and not splits.skipped
    assert all(split.n_classes == 10 for split in splits.drawn)
    sizes = Counter(listing.labels)
    most_frequent = sorted(sizes, key=lambda class_id: (-sizes[class_id], class_id))[:10]
    assert set(split_of(splits, "stratified", 5, 0).labels) == set(most_frequent)
    mean = {
        s: np.mean([sizes[x] for t in splits.drawn if (t.strategy, t.k_shot) == (s, 1) for x in t.labels])
        for s in STRATEGIES
    }
    assert mean["long_tail"] < mean["random"] < mean["stratified"]
    order = list(range(len(listing.keys)))
    random.Random(5).shuffle(order)
    again = draw_splits(
        "caltech", [listing.keys[i] for i in order], [listing.labels[i] for i in order], config=FewShotConfig()
    )
    assert as_json(again) == as_json(splits)


def test_a_frame_has_a_row_an_image():
    split = draw_splits("D", KEYS, LABELS, config=SMALL).drawn[1]
    frame = split.to_pandas()
    assert list(frame.columns) == ["dataset", "strategy", "k_shot", "seed", "name", "label"]
    assert frame["name"].tolist() == list(split.names)
    assert frame["label"].tolist() == list(split.labels)
    assert set(frame[["dataset", "strategy", "k_shot", "seed"]].itertuples(index=False, name=None)) == {
        ("D", split.strategy, split.k_shot, split.seed)
    }
