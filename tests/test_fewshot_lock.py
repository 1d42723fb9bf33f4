"""The lock of few-shot splits: content not paths, refused when damaged, the same whatever the order of listing."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.config import FewShotConfig
from overlens.errors import ConfigError, StoreError
from overlens.fewshot.digested import DigestedImages
from overlens.fewshot.draw import draw_splits
from overlens.fewshot.lock import (
    LabelOrigin,
    Lock,
    LockedCopies,
    LockedImage,
    content_sha256,
    make_lock,
    name_sha256,
    told_image,
)
from overlens.fewshot.pictures import KnownCopies, LabelledImages
from overlens.groups.find import NO_GROUP

CONFIG = FewShotConfig(k_shots=(1, 2), n_classes=2, n_seeds=2, n_episodes=3)
ORIGIN = LabelOrigin("class folders")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def images_of(n: int = 24, order: list[int] | None = None) -> DigestedImages:
    """Three classes in turn; every seventh image has none; the bytes of 0 and 3, both of class 0, are the same."""
    places = order or list(range(n))
    return DigestedImages(
        tuple(f"folder/{i}.jpg" for i in places),
        tuple(None if i % 7 == 6 else f"class {i % 3}" for i in places),
        tuple(digest("0" if i == 3 else str(i)) for i in places),
    )


def copies_of(order: list[int]) -> KnownCopies:
    """Image 0 and 3 are one picture, so are 1 and 2 of two classes; that of image 4 is in a dataset held out."""
    groups = {0: 5, 3: 5, 1: 2, 2: 2, 4: 9}
    group_of = np.array([groups.get(i, NO_GROUP) for i in order], np.int32)
    return KnownCopies(group_of, np.array([i == 4 for i in order]), {"encoder": "offline", "threshold": 0.9})


def lock_of(order: list[int] | None = None, config: FewShotConfig = CONFIG) -> Lock:
    order = order or list(range(24))
    images, copies = images_of(order=order), copies_of(order)
    splits = draw_splits(LabelledImages("photo", images.keys, images.labels), config=config, copies=copies)
    return make_lock(splits, images, config, origin=ORIGIN, copies=copies)


def test_a_lock_comes_back_as_it_was_written():
    lock = lock_of()
    again = Lock.from_json(json.loads(json.dumps(lock.to_json())))
    assert again == lock
    assert len(lock.splits) == 2 * 2 * 4 and len(lock.images) == 24 - 3


def test_a_lock_is_named_by_the_digest_that_its_file_ends_in():
    lock = lock_of()
    assert lock.sha256 == lock.to_json()["sha256"] != lock_of(config=replace(CONFIG, seed=1)).sha256


def test_options_that_are_not_the_usual_ones_come_back():
    config = replace(CONFIG, short_classes="fewer", n_query=2, n_validation=1, held_out=("test",), disjoint_seeds=True)
    lock = lock_of(config=config)
    assert Lock.from_json(json.loads(json.dumps(lock.to_json()))).config == config


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(24)))
def test_the_order_of_listing_plays_no_part(order: list[int]):
    """But for the images 0 and 3: equal in bytes and class, they are told apart by their names."""
    assert lock_of(list(order)) == lock_of()


def test_it_holds_no_name_and_no_path():
    text = json.dumps(lock_of().to_json())
    assert "folder" not in text.replace("class folders", "") and ".jpg" not in text
    assert name_sha256("folder/1.jpg") in text


def test_groups_are_places_of_images_and_one_image_makes_none():
    lock = lock_of()
    copies = lock.copies
    told = [{lock.images[place].sha256 for place in group} for group in copies.groups]
    assert sorted(map(sorted, told)) == sorted([[digest("0")], sorted([digest("1"), digest("2")])])
    assert [lock.images[place].sha256 for place in copies.in_held_out] == [digest("4")]
    assert copies.basis == {"encoder": "offline", "threshold": 0.9}


def test_without_verification_nothing_is_claimed_of_copies():
    images = images_of()
    splits = draw_splits(LabelledImages("photo", images.keys, images.labels), config=CONFIG)
    lock = make_lock(splits, images, CONFIG, origin=ORIGIN)
    assert lock.copies is None and lock.to_json()["copies"] is None


def test_the_content_of_a_split_is_told_as_the_docstring_says():
    def framed(*texts: str) -> bytes:
        return b"".join(len(text.encode()).to_bytes(8, "big") + text.encode() for text in texts)

    images = images_of()
    config = replace(CONFIG, strategies=("random", "episodic"), k_shots=(1,), n_seeds=1)
    splits = draw_splits(LabelledImages("photo", images.keys, images.labels), config=config)
    lock = make_lock(splits, images, config, origin=ORIGIN)
    digest_of = dict(zip(images.keys, images.digests, strict=True))
    split, episodes = splits.drawn[0].to_json(), splits.episodes[0].to_json()
    told = b""
    for part in ("support", "validation", "query", "test"):
        columns = split if part == "support" else split[part]
        told += framed(part, str(len(columns["names"])))
        for name, label in zip(columns["names"], columns["labels"], strict=True):
            told += framed(label, digest_of[name])
    assert lock.splits[0].sha256 == hashlib.sha256(told).hexdigest()
    told = b""
    for number, episode in enumerate(episodes["episodes"]):
        for part, places in episode.items():
            told += framed(f"{number}/{part}", str(len(places)))
            for place in places:
                told += framed(episodes["images"]["labels"][place], digest_of[episodes["images"]["names"][place]])
    assert lock.splits[1].sha256 == hashlib.sha256(told).hexdigest()


def test_no_two_contents_are_told_alike():
    one, two = told_image("a", digest("1")), told_image("b", digest("2"))
    contents = [
        [("support", [one, two])],
        [("support", [two, one])],
        [("support", [one]), ("query", [two])],
        [("query", [one, two])],
        [("support", [told_image("b", digest("1")), told_image("a", digest("2"))])],
    ]
    assert len({content_sha256(content) for content in contents}) == len(contents)


def edited(**changes: object) -> dict[str, object]:
    return {**lock_of().to_json(), **changes}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(edited(dataset="other"), id="renamed"),
        pytest.param(edited(config={**lock_of().to_json()["config"], "seed": 1}), id="another seed"),
        pytest.param(edited(sha256="0" * 64), id="another digest"),
        pytest.param(edited(images=lock_of().to_json()["images"][1:]), id="cut"),
        pytest.param({key: value for key, value in edited().items() if key != "sha256"}, id="no digest"),
    ],
)
def test_a_lock_that_was_edited_is_refused(content: dict[str, object]):
    with pytest.raises(ConfigError, match=r"splits\.lock is damaged: it is not as it was written"):
        Lock.from_json(content)


def resealed(**changes: object) -> dict[str, object]:
    """A lock whose digest was made anew by somebody who knows how."""
    content = {key: value for key, value in edited(**changes).items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {**content, "sha256": digest(text)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": [{"file": "../../etc/passwd", "sha256": "0" * 64}]}, "no name of a split"),
        ({"copies": {"groups": [[0, 99]], "in_held_out": [], "basis": {}}}, "beyond the 21 images"),
        ({"copies": {"groups": [[0, -1]], "in_held_out": [], "basis": {}}}, "beyond the 21 images"),
        ({"unusable": ["x"]}, "no SHA-256"),
        ({"images": [3]}, "not subscriptable"),
        ({"config": {"n_shots": 3}}, "'n_shots', which this version does not know"),
        ({"config": {"n_classes": "many"}}, "--n-classes"),
    ],
)
def test_a_lock_that_cannot_be_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        Lock.from_json(resealed(**changes))


@pytest.mark.parametrize("content", [None, [], 3, {}, {"names": [], "labels": []}], ids=repr)
def test_what_is_no_lock_is_refused(content: object):
    with pytest.raises(ConfigError, match=r"x\.json is not the lock of few-shot splits"):
        Lock.from_json(content, "x.json")


def test_another_format_or_version_says_which_overlens_to_take():
    with pytest.raises(StoreError, match=r"has format 2, .* check it with overlens 0\.1\.0"):
        Lock.from_json(resealed(lock_version=2))
    for field, words in (("sampler_version", "sampler"), ("rule_version", "rule of the draw")):
        lock = Lock.from_json(resealed(**{field: 77, "overlens": "9.9"}))
        with pytest.raises(StoreError, match=rf"version 77 of the {words}.* check it with overlens 9\.9"):
            lock.require_drawable()
    lock_of().require_drawable()


def test_images_out_of_order_are_a_mistake():
    first, second = LockedImage("0" * 64, "a", "0" * 64), LockedImage("1" * 64, "a", "0" * 64)
    lock = replace(lock_of(), images=(first, second), copies=LockedCopies((), ()))
    with pytest.raises(ValueError, match="sorted"):
        replace(lock, images=(second, first))
