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
from overlens.fewshot.certificate import count_crossing
from overlens.fewshot.draw import draw_splits, require_long_classes
from overlens.fewshot.pictures import KnownCopies, LabelledImages, Shots
from overlens.fewshot.strategies import EPISODIC, STRATEGIES
from overlens.groups.find import NO_GROUP
from overlens.sources import list_images

# Class c0 has 1 image, c1 has 2, ..., c9 has 10.
KEYS = [f"c{c}/{i}.jpg" for c in range(10) for i in range(c + 1)]
LABELS = [key.split("/")[0] for key in KEYS]
PLAIN = tuple(STRATEGIES)
SMALL = FewShotConfig(k_shots=(1, 3), n_classes=4, n_seeds=2, strategies=PLAIN)

FIXED_SPLITS = "f7a78ba125b87e7f899f528c77e2c4384f5ff805fa06091458da2de595db6200"
FIXED_EPISODES = "9a2b82459565abceb8588130b9b78501259d24bcad64c578a65c2dd3ab3c7272"
FIXED_SUPPORT = ["c1/0.jpg", "c3/1.jpg", "c7/2.jpg"]

PROGRAM = """
import json, random
from overlens.config import FewShotConfig
from overlens.fewshot.draw import draw_splits
from overlens.fewshot.pictures import LabelledImages
keys = [f"c{c}/{i}.jpg" for c in range(10) for i in range(c + 1)]
random.Random(SHUFFLE).shuffle(keys)
config = FewShotConfig(k_shots=(1, 3), n_classes=4, n_seeds=2, strategies=("random", "stratified", "long_tail"))
splits = draw_splits(LabelledImages("D", keys, [key.split("/")[0] for key in keys]), config=config)
print(json.dumps([split.to_json() for split in splits.drawn]))
"""


def as_json(splits) -> list[dict[str, object]]:
    return [split.to_json() for split in splits.drawn]


def split_of(splits, strategy: str, k: int, seed: int):
    return next(s for s in splits.drawn if (s.strategy, s.k_shot, s.seed) == (strategy, k, seed))


def test_fixed_splits():
    splits = draw_splits(LabelledImages("D", KEYS, LABELS), config=SMALL)
    assert split_of(splits, "random", 1, 0).names == ("c3/3.jpg", "c4/1.jpg", "c7/2.jpg", "c8/2.jpg")
    assert split_of(splits, "stratified", 1, 0).names == ("c6/3.jpg", "c7/2.jpg", "c8/2.jpg", "c9/7.jpg")
    assert split_of(splits, "long_tail", 1, 0).names == ("c1/0.jpg", "c2/1.jpg", "c5/0.jpg", "c7/2.jpg")
    assert digest([[part.to_json() for part in split.parts.values()] for split in splits.drawn]) == FIXED_SPLITS


def test_fixed_episodes():
    config = FewShotConfig(k_shots=(1, 2), n_classes=3, n_seeds=1, n_episodes=3, strategies=("episodic",))
    one, two = draw_splits(LabelledImages("D", KEYS, LABELS), config=config).episodes
    assert [one.names[place] for place in one.episodes[0].support] == FIXED_SUPPORT
    assert digest([many.to_json()["episodes"] for many in (one, two)]) == FIXED_EPISODES


def digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_hash_seed_and_listing_order_move_nothing(hash_seed):
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    program = PROGRAM.replace("SHUFFLE", hash_seed)
    printed = subprocess.run(
        [sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True
    ).stdout
    assert json.loads(printed) == as_json(draw_splits(LabelledImages("D", KEYS, LABELS), config=SMALL))


def test_the_json_has_the_documented_keys():
    split = draw_splits(LabelledImages("D", KEYS, LABELS), config=SMALL).drawn[0]
    content = split.to_json()
    assert list(content) == [
        *("dataset", "strategy", "k_shot", "n_classes", "seed", "names", "labels"),
        *("validation", "query", "test", "certificate"),
    ]
    assert content["query"] == {"names": list(split.parts["query"].names), "labels": list(split.parts["query"].labels)}
    assert json.loads(json.dumps(content)) == content


def test_order_of_splits_and_of_names():
    splits = draw_splits(LabelledImages("D", KEYS, LABELS), config=SMALL)
    assert [(s.strategy, s.k_shot, s.seed) for s in splits.drawn] == [
        (strategy, k, seed) for strategy in PLAIN for k in (1, 3) for seed in (0, 1)
    ]
    assert all(list(split.labels) == sorted(split.labels) for split in splits.drawn)


COPIED = st.lists(
    st.tuples(st.sampled_from(["x", "y", "z", "ü", "10", None]), st.integers(-3, 8)), min_size=2, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(
    images=COPIED,
    k_shots=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    n_classes=st.integers(1, 8),
    n_query=st.none() | st.integers(1, 3),
    n_validation=st.none() | st.integers(0, 2),
    disjoint_seeds=st.booleans(),
    order=st.randoms(),
)
def test_every_split_keeps_its_promise(images, k_shots, n_classes, n_query, n_validation, disjoint_seeds, order):
    images[0] = ("x", NO_GROUP)
    keys, labels = [f"{i}.jpg" for i in range(len(images))], [label for label, _ in images]
    config = FewShotConfig(
        tuple(k_shots),
        n_classes,
        n_seeds=2,
        n_query=n_query,
        n_validation=n_validation,
        n_episodes=3,
        disjoint_seeds=disjoint_seeds,
    )
    splits = draw_splits(LabelledImages("D", keys, labels), config=config, copies=known(images))
    for split in splits.drawn:
        check_split(split, images, keys, config)
    for episodes in splits.episodes:
        assert episodes.certificate.n_crossing == 0
        assert len(episodes.episodes) == 3
        for episode in episodes.episodes:
            support = Counter(episodes.codes[episode.support].tolist())
            assert set(support.values()) == {episodes.k_shot} and len(support) == episodes.n_classes
            check_parts([episodes.rows[places] for _, places in episode.parts()], images)
    assert len(splits) + len(splits.skipped) == 4 * len(set(k_shots)) * 2
    shuffled = list(zip(keys, images, strict=True))
    order.shuffle(shuffled)
    other_keys, others = zip(*shuffled, strict=True)
    again = draw_splits(
        LabelledImages("D", other_keys, [label for label, _ in others]), config=config, copies=known(others)
    )
    assert as_json(again) == as_json(splits)
    assert [one.to_json() for one in again.episodes] == [one.to_json() for one in splits.episodes]


def known(images, in_held_out=()) -> KnownCopies:
    groups = np.array([max(group, NO_GROUP) for _, group in images], np.int32)
    return KnownCopies(groups, np.isin(np.arange(len(images)), in_held_out), {})


def check_split(split, images, keys, config) -> None:
    """Every picture of the chosen classes is in one part, once; k is kept, stated numbers too; nothing crosses."""
    shots = Shots.of(config, split.k_shot, is_episode=False)
    assert set(Counter(split.labels).values()) == {split.k_shot}
    assert split.certificate.n_crossing == 0
    for part in split.parts.values():
        assert [keys[row] for row in part.rows] == list(part.names)
        assert [images[row][0] for row in part.rows] == list(part.labels)
        assert part.rows.dtype == np.int64
    check_parts([part.rows for part in split.parts.values()], images)
    n_query = Counter(split.parts["query"].labels)
    assert min(n_query[label] for label in set(split.labels)) >= (config.n_query or 1)
    if config.n_query:
        assert set(n_query.values()) == {config.n_query}
    if config.n_validation:
        assert set(Counter(split.parts["validation"].labels).values()) == {config.n_validation}
    if not config.disjoint_seeds:
        for label in set(split.labels):
            n_drawn = sum(part.labels.count(label) for part in split.parts.values())
            assert n_drawn == count_pictures(images, label) >= shots.demand


def count_pictures(images, label) -> int:
    classes_of: dict[int, set[str]] = {}
    for other, group in images:
        if group >= 0 and other is not None:
            classes_of.setdefault(group, set()).add(other)
    whole = {group for other, group in images if other == label and group >= 0 and len(classes_of[group]) == 1}
    return len(whole) + sum(other == label and group < 0 for other, group in images)


def check_parts(parts, images) -> None:
    rows = np.concatenate(parts).tolist()
    pictures = [images[row][1] if images[row][1] >= 0 else -1 - row for row in rows]
    assert len(set(pictures)) == len(pictures)


def test_disjoint_seeds_share_no_picture():
    images = [(f"c{i % 3}", i // 6 if i < 90 else NO_GROUP) for i in range(180)]
    images = [(f"c{group % 3}" if group >= 0 else label, group) for label, group in images]
    keys = [f"{i}.jpg" for i in range(len(images))]
    config = FewShotConfig(k_shots=(1, 2), n_classes=3, n_episodes=20, n_query=2, disjoint_seeds=True)
    splits = draw_splits(LabelledImages("D", keys, [label for label, _ in images]), config=config, copies=known(images))
    assert splits.drawn and splits.episodes
    seen: dict[tuple[str, int], dict[int, set[int]]] = {}
    for split in splits.drawn:
        rows = np.concatenate([part.rows for part in split.parts.values()]).tolist()
        pictures = {images[row][1] if images[row][1] >= 0 else -1 - row for row in rows}
        seen.setdefault((split.strategy, split.k_shot), {})[split.seed] = pictures
        assert split.certificate.n_crossing_seeds == 0
    for by_seed in seen.values():
        assert sum(map(len, by_seed.values())) == len(set().union(*by_seed.values()))
    assert {one.certificate.n_crossing_seeds for one in splits.episodes} == {0}


def test_allow_leaks_does_cross_and_says_so():
    images = [("c", i // 2) for i in range(40)] + [("d", NO_GROUP)] * 20
    keys, labels = [f"{i}.jpg" for i in range(len(images))], [label for label, _ in images]
    config = FewShotConfig(k_shots=(5,), n_classes=2, n_episodes=10)
    tight = draw_splits(LabelledImages("D", keys, labels), config=config, copies=known(images, in_held_out=(0, 1)))
    loose = draw_splits(
        LabelledImages("D", keys, labels),
        config=replace(config, allow_leaks=True, held_out=("E",)),
        copies=known(images, (0, 1)),
    )
    assert tight.n_crossing == 0
    assert tight.left_out.copies == 19 and tight.left_out.held_out == 2
    assert loose.n_crossing > 0 and loose.left_out.copies == 0
    for split in loose.drawn:
        rows = [part.rows.tolist() for part in split.parts.values()]
        crossing = {
            images[row][1]
            for row in rows[0]
            for part in rows[1:]
            for other in part
            if images[row][1] == images[other][1] != NO_GROUP
        }
        assert split.certificate.n_crossing_parts >= len(crossing)
    assert any(split.certificate.n_crossing_held_out for split in loose.drawn)


def test_a_crossing_group_counts_once():
    groups = np.array([0, 0, 0, 1, 1, NO_GROUP, NO_GROUP], np.int32)
    assert count_crossing(groups, [np.array([0, 3]), np.array([1, 5]), np.array([2, 6])]) == 1
    assert count_crossing(groups, [np.array([0, 1, 5]), np.array([3, 4, 6])]) == 0


def test_a_picture_with_many_copies_is_drawn_no_more_often_than_others():
    images = [("c", 0)] * 10 + [("c", NO_GROUP)] * 9 + [("d", NO_GROUP)] * 10
    keys = [f"{i:02d}.jpg" for i in range(len(images))]
    config = FewShotConfig(k_shots=(1,), n_classes=2, n_seeds=600, n_query=1, n_validation=0, strategies=("random",))
    drawn = draw_splits(
        LabelledImages("D", keys, [label for label, _ in images]), config=config, copies=known(images)
    ).drawn
    # 600 draws with chance 1/10: a standard deviation is 7.3.
    assert 30 < sum(keys[0] in split.names for split in drawn) < 90
    assert not any(key in split.names for split in drawn for key in keys[1:10])


def test_short_classes_are_an_error_before_any_copy_is_known():
    with pytest.raises(ConfigError, match="'c0' has 1"):
        require_long_classes("D", LABELS, replace(SMALL, short_classes="error"))
    require_long_classes("D", LABELS[-19:], replace(SMALL, short_classes="error"))


def test_copies_with_two_classes_are_in_no_split():
    images = [("c", 0), ("d", 0), ("c", 1), ("c", 1), *[("c", NO_GROUP)] * 8, *[("d", NO_GROUP)] * 8]
    keys = [f"{i}.jpg" for i in range(len(images))]
    splits = draw_splits(LabelledImages("D", keys, [label for label, _ in images]), config=SMALL, copies=known(images))
    assert splits.left_out.conflicting == 2 and splits.left_out.copies == 1
    assert "images whose copies have another class, in no split: 2" in splits.notices
    assert all(not {0, 1} & set(part.rows.tolist()) for split in splits.drawn for part in split.parts.values())


def test_without_verified_copies_nothing_is_certified():
    splits = draw_splits(
        LabelledImages("D", KEYS, LABELS), config=SMALL, why_unknown="--no-verify leaves verification out"
    )
    certificate = splits.drawn[0].certificate
    assert splits.n_crossing is certificate.n_crossing is certificate.n_groups is None
    assert certificate.to_json()["not_counted_because"] == "--no-verify leaves verification out"


@pytest.mark.parametrize(
    ("shots", "n", "divided"),
    [
        (Shots(5), 40, (5, 5, 15)),
        (Shots(5), 9, (5, 1, 3)),
        (Shots(5), 6, (5, 0, 1)),
        (Shots(5), 4, (3, 0, 1)),
        (Shots(1, n_query=3), 10, (1, 5, 3)),
        (Shots(1, n_query=3), 6, (1, 2, 3)),
        (Shots(1, n_validation=4), 10, (1, 4, 5)),
        (Shots(1, 2, 2), 5, (1, 2, 2)),
        (Shots(3, 4, 2), 6, (3, 0, 3)),
        (Shots(5, most_validation=0), 40, (5, 0, 15)),
    ],
)
def test_how_pictures_are_divided(shots, n, divided):
    assert shots.divide(n) == divided


def test_short_classes():
    config = replace(SMALL, k_shots=(4,), n_query=2, n_validation=1)
    skipped = draw_splits(LabelledImages("D", KEYS, LABELS), config=config)
    assert "4-shot: 6 of 10 classes have fewer than 7 pictures (4 support, 2 query, 1 validation)" in skipped.notices[0]
    assert {label for split in skipped.drawn for label in split.labels} == {"c6", "c7", "c8", "c9"}
    fewer = draw_splits(LabelledImages("D", KEYS, LABELS), config=replace(config, n_classes=10, short_classes="fewer"))
    assert "none of 1 with a single picture" in fewer.notices[0]
    counts = Counter(fewer.drawn[0].labels)
    assert counts == {f"c{c}": min(4, c) for c in range(1, 10)}
    with pytest.raises(ConfigError, match=r"6 of 10 classes have fewer than 7 pictures for 4-shot.*'c0' has 1"):
        draw_splits(LabelledImages("D", KEYS, LABELS), config=replace(config, short_classes="error"))


def test_the_query_is_the_same_for_every_k_where_there_is_room():
    keys, labels = [f"{i}" for i in range(100)], ["a", "b"] * 50
    drawn = draw_splits(LabelledImages("D", keys, labels), config=FewShotConfig(n_seeds=1, n_episodes=5))
    assert len({split.parts["query"].names for split in drawn.drawn if split.strategy == "random"}) == 1
    assert len({tuple(one.episodes[0].query.tolist()) for one in drawn.episodes}) == 1


def test_episodes_take_all_pictures_alike():
    keys, labels = [f"{i:02d}" for i in range(40)], ["a"] * 20 + ["b"] * 20
    config = FewShotConfig(k_shots=(2,), n_classes=2, n_seeds=1, n_query=3, n_episodes=2000, strategies=("episodic",))
    (episodes,) = draw_splits(LabelledImages("D", keys, labels), config=config).episodes
    counts = np.bincount(np.concatenate([one.support for one in episodes.episodes]), minlength=40)
    # 2,000 draws with chance 1/10: a standard deviation is 13.4.
    assert np.all(np.abs(counts - 200) < 70)


def test_splits_of_one_seed_are_nested():
    config = FewShotConfig(k_shots=(1, 2, 5), n_classes=3, n_seeds=3)
    splits = draw_splits(LabelledImages("D", KEYS, LABELS), config=config)
    chosen = {}
    for split in splits.drawn:
        for name, label in zip(split.names, split.labels, strict=True):
            chosen.setdefault((split.seed, label, split.k_shot), set()).add(name)
    pairs = [(chosen[s, label, 1], chosen[s, label, 5]) for s, label, k in chosen if k == 5 and (s, label, 1) in chosen]
    assert pairs and all(small <= large for small, large in pairs)


def test_stratified_takes_the_most_frequent_ties_by_class_id():
    labels = ["b"] * 3 + ["a"] * 3 + ["c"] * 4 + ["d"] * 2
    config = FewShotConfig(k_shots=(1,), n_classes=2, strategies=("stratified",))
    splits = draw_splits(LabelledImages("D", [str(i) for i in range(len(labels))], labels), config=config)
    assert {split.labels for split in splits.drawn} == {("a", "c")}


def test_long_tail_prefers_rare_classes_and_random_does_not():
    labels = [f"r{i}" for i in range(10) for _ in range(2)] + [f"f{i}" for i in range(10) for _ in range(40)]
    keys = [str(i) for i in range(len(labels))]
    config = FewShotConfig(k_shots=(1,), n_classes=5, n_seeds=100, n_episodes=1)
    drawn = draw_splits(LabelledImages("D", keys, labels), config=config).drawn
    rare = {s: sum(x[0] == "r" for split in drawn if split.strategy == s for x in split.labels) for s in STRATEGIES}
    assert rare["long_tail"] > 450
    assert 190 < rare["random"] < 310
    assert rare["stratified"] == 0


def test_seeds_give_different_splits():
    config = FewShotConfig(k_shots=(1,), n_classes=3, n_seeds=20, n_episodes=1)
    drawn = draw_splits(LabelledImages("D", KEYS, LABELS), config=config).drawn
    for strategy in STRATEGIES:
        assert len({split.names for split in drawn if split.strategy == strategy}) > 5


def test_too_few_classes_are_all_used_and_said():
    splits = draw_splits(
        LabelledImages("D", KEYS, LABELS), config=FewShotConfig(k_shots=(9, 11), n_classes=4, n_seeds=1)
    )
    assert {(split.n_classes, split.requested_n_classes) for split in splits.drawn} == {(1, 4)}
    assert {skipped.reason for skipped in splits.skipped} == {
        "no class has 12 pictures or more; the most in one class: 10"
    }
    assert "9-shot: 4 classes were asked for; 1 can take part" in splits.notices
    words = "all classes that can take part are in every split, so random, stratified, long_tail are the same"
    assert f"9-shot: {words}" in splits.notices
    assert not any(words in notice for notice in draw_splits(LabelledImages("D", KEYS, LABELS), config=SMALL).notices)


def test_the_name_of_the_dataset_moves_nothing():
    first, second = (draw_splits(LabelledImages(name, KEYS, LABELS), config=SMALL).drawn for name in "AB")
    assert [split.names for split in first] == [split.names for split in second]


def test_unlabelled_images_are_counted():
    splits = draw_splits(LabelledImages("D", [*KEYS, "x", "y"], [*LABELS, None, None]), config=SMALL)
    assert splits.left_out.unlabelled == 2
    assert "images without a class, in no split: 2" in splits.notices


def test_no_classes_at_all():
    with pytest.raises(DatasetError, match=r"none of its 2 images has one.*--use-ground-truth"):
        draw_splits(LabelledImages("D", ["a", "b"], [None, None]), config=SMALL)


def test_a_split_checks_its_parts():
    split = draw_splits(LabelledImages("D", KEYS, LABELS), config=SMALL).drawn[0]
    with pytest.raises(ValueError, match="support images do not fit 4 x 1"):
        replace(split, parts={**split.parts, "support": split.parts["test"]})
    with pytest.raises(ValueError, match="a split has the parts support, validation, query, test"):
        replace(split, parts={"support": split.support})
    with pytest.raises(ValueError, match="columns of one part have one length"):
        replace(split.support, names=split.names[1:])


def test_unknown_strategy():
    with pytest.raises(ConfigError, match="'greedy' is not known; allowed: random, stratified, long_tail"):
        FewShotConfig(strategies=("greedy",))


def test_configured_strategies_are_the_known_ones():
    assert (*STRATEGIES, EPISODIC) == CONFIGURED


def test_a_real_long_tail(shared_data):
    spec = DatasetSpec("caltech", shared_data / "caltech101_mini")
    listing = list_images(spec, shared_data, use_ground_truth=False)
    splits = draw_splits(LabelledImages("caltech", listing.keys, listing.labels), config=FewShotConfig(n_episodes=20))
    assert len(splits.drawn) == 27 and len(splits.episodes) == 9 and not splits.skipped
    assert all(len(split.parts[part]) for split in splits.drawn for part in ("support", "query"))
    # Of twelve classes with ten images four have no eleventh to ask for.
    assert {split.n_classes for split in splits.drawn if split.k_shot == 10} == {8}
    assert {split.n_classes for split in splits.drawn if split.k_shot < 10} == {10}
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
        LabelledImages("caltech", [listing.keys[i] for i in order], [listing.labels[i] for i in order]),
        config=FewShotConfig(n_episodes=20),
    )
    assert as_json(again) == as_json(splits)


def test_a_frame_has_a_row_an_image():
    split = draw_splits(LabelledImages("D", KEYS, LABELS), config=SMALL).drawn[1]
    frame = split.to_pandas()
    assert list(frame.columns) == ["dataset", "strategy", "k_shot", "seed", "part", "name", "label"]
    support = frame[frame["part"] == "support"]
    assert support["name"].tolist() == list(split.names)
    assert support["label"].tolist() == list(split.labels)
    assert len(frame) == sum(map(len, split.parts.values()))
    assert set(frame[["dataset", "strategy", "k_shot", "seed"]].itertuples(index=False, name=None)) == {
        ("D", split.strategy, split.k_shot, split.seed)
    }
