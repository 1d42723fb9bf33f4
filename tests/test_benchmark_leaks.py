"""Planted copies in pictures of four domains: none crosses a border of a split, and what they add is found."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image, ImageOps

import overlens

pytestmark = pytest.mark.slow

DOMAINS = ("art_painting", "cartoon", "photo", "sketch")
EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: image.resize((image.width * 7 // 10, image.height * 7 // 10)),
    "recompressed": lambda image: image,
    "mirrored": ImageOps.mirror,
}
QUALITY = {"resized": 95, "recompressed": 45, "mirrored": 95}
N_PLANTED, N_OF_CLASS = 60, 12
Named = tuple[str, str]
OPTIONS = {
    "clip_model": "offline",
    "projections": "none",
    "method": "cosine",
    "generate_few_shot": True,
    "k_shots": (1, 3),
    "n_classes": 5,
    "n_episodes": 40,
    "max_candidates": 5,
    "held_out": ("sketch",),
    "evaluate_cross_dataset": True,
}


@pytest.fixture(scope="module")
def planted(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[Named, Named]]]:
    """A part of each domain, and 60 copies in the same class, in another class, or in another dataset."""
    folder, draw = tmp_path_factory.mktemp("planted"), random.Random(7)
    for path in (path for domain in DOMAINS for path in first_images(shared_data / "pacs_mini" / domain)):
        target = folder / path.relative_to(shared_data / "pacs_mini")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    originals = draw.sample(sorted(folder.rglob("*.*")), N_PLANTED)
    pairs = [plant(folder, path, number, draw) for number, path in enumerate(originals)]
    return folder, pairs


def first_images(domain: Path) -> Iterator[Path]:
    for folder in sorted(path for path in domain.iterdir() if path.is_dir()):
        yield from sorted(folder.iterdir())[:N_OF_CLASS]


def plant(folder: Path, path: Path, number: int, draw: random.Random) -> tuple[Named, Named]:
    edit, place = list(EDITS)[number % 3], number // 3 % 3
    domain, label, _ = path.relative_to(folder).parts
    other = domain if place < 2 else draw.choice([one for one in DOMAINS if one != domain])
    labels = sorted(one.name for one in (folder / other).iterdir())
    target = label if place == 0 else draw.choice([one for one in labels if one != label])
    copy = folder / other / target / f"copy_{number:02d}_{edit}.jpg"
    with Image.open(path) as image:
        EDITS[edit](image.convert("RGB")).save(copy, quality=QUALITY[edit])
    return (domain, f"{label}/{path.name}"), (other, f"{target}/{copy.name}")


@pytest.fixture(scope="module")
def certified(planted, tmp_path_factory: pytest.TempPathFactory) -> overlens.Analysis:
    datasets = {domain: planted[0] / domain for domain in DOMAINS}
    return overlens.analyze(datasets, output=tmp_path_factory.mktemp("out"), **OPTIONS)


def parts_of(analysis: overlens.Analysis) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield dataset and name -> part, of every split and every episode."""
    for split in analysis.splits:
        yield split.dataset, {name: part for part, images in split.parts.items() for name in images.names}
    for one in analysis.episodes:
        for episode in one.episodes:
            yield one.dataset, {one.names[place]: part for part, places in episode.parts() for place in places}


def count_crossing(analysis: overlens.Analysis, pairs: list[tuple[Named, Named]]) -> tuple[int, int]:
    """Count planted pairs in two parts of one split, and images in a split whose copy is in the dataset held out."""
    n_parts = n_held_out = 0
    for dataset, part_of in parts_of(analysis):
        for one, other in pairs:
            sides = [part_of.get(name) if domain == dataset else None for domain, name in (one, other)]
            n_parts += None not in sides and sides[0] != sides[1]
            n_held_out += any(
                side is not None and there[0] == "sketch" for side, there in zip(sides, (other, one), strict=True)
            )
    return n_parts, n_held_out


def test_no_planted_copy_crosses_a_border(planted, certified: overlens.Analysis):
    members = certified.groups()
    groups = {member: number for number in range(len(members)) for member in members.members_of(number)}
    missed = [pair for pair in planted[1] if pair[0] not in groups or groups[pair[0]] != groups.get(pair[1])]
    assert not missed
    assert [splits.dataset for splits in certified.few_shot] == ["art_painting", "cartoon", "photo"]
    assert all(splits.n_crossing == 0 and len(splits.drawn) == 18 for splits in certified.few_shot)
    assert count_crossing(certified, planted[1]) == (0, 0)


def test_the_same_splits_with_leaks_do_cross(planted, certified: overlens.Analysis):
    datasets = {domain: planted[0] / domain for domain in DOMAINS}
    options = {**OPTIONS, "allow_leaks": True, "evaluate_cross_dataset": False}
    leaky = overlens.analyze(datasets, output=certified.output, **options)
    assert all(splits.n_crossing > 0 for splits in leaky.few_shot)
    n_parts, n_held_out = count_crossing(leaky, planted[1])
    assert n_parts > 100 and n_held_out > 100


def test_in_domain_is_far_above_cross_domain(certified: overlens.Analysis):
    matrix = certified.transfer_matrix
    for target in DOMAINS:
        own = matrix.pair(target, target).figure("in_domain_logistic").every.value
        others = [matrix.pair(one, target).figure("accuracy_logistic") for one in DOMAINS if one != target]
        assert all(own > one.without.value for one in others)
        assert all(one.every.n_test >= one.without.n_test > 50 for one in others)


def test_conflicts_of_planted_copies_are_listed(planted, certified: overlens.Analysis):
    listed = {
        frozenset({(one.dataset_1, one.image_1), (one.dataset_2, one.image_2)}) for one in certified.labels.conflicts
    }
    conflicting = [pair for pair in planted[1] if pair[0][1].split("/")[0] != pair[1][1].split("/")[0]]
    assert len(conflicting) >= 30 and {frozenset(pair) for pair in conflicting} <= listed


def test_leakage_of_a_fifth_is_found_and_taken_away(shared_data: Path, tmp_path: Path):
    for domain in ("photo", "sketch"):
        for root in ("clean", "leaky"):
            shutil.copytree(shared_data / "pacs_mini" / domain, tmp_path / root / domain, copy_function=shutil.copyfile)
    photos = sorted((tmp_path / "clean" / "photo").rglob("*.*"))
    for path in random.Random(1).sample(photos, len(photos) // 5):
        target = tmp_path / "leaky" / "sketch" / path.parent.name / f"leak_{path.stem}.jpg"
        with Image.open(path) as image:
            image.convert("RGB").resize((180, 180)).save(target, quality=80)
    clean, leaky = (
        overlens.analyze(
            {domain: tmp_path / root / domain for domain in ("photo", "sketch")},
            **{**OPTIONS, "generate_few_shot": False, "held_out": ()},
        ).transfer_matrix
        for root in ("clean", "leaky")
    )
    for source, target in (("sketch", "photo"), ("photo", "sketch")):
        figure = leaky.pair(source, target).figure("accuracy_logistic", "plain")
        before = clean.pair(source, target).figure("accuracy_logistic", "plain").every.value
        assert figure.difference.lower > 0
        assert figure.without.lower <= before <= figure.without.upper
        assert figure.every.value - before > 0.05
        assert leaky.pair(source, target).removed_source.n_removed == len(photos) // 5


def test_split_files_do_not_depend_on_the_order_of_the_list(shared_data: Path, tmp_path: Path):
    images = list(first_images(shared_data / "pacs_mini" / "photo"))
    options = {**OPTIONS, "held_out": (), "evaluate_cross_dataset": False}
    written = []
    for name in ("ordered", "shuffled"):
        if name == "shuffled":
            random.Random(5).shuffle(images)
        manifest = tmp_path / f"{name}.csv"
        manifest.write_text("path,label\n" + "".join(f"{path},{path.parent.name}\n" for path in images))
        overlens.analyze({"photo": manifest}, output=tmp_path / name, **options)
        folder = tmp_path / name / "dataset" / "photo-data" / "analysis" / "photo_few_shot_splits"
        written.append({path.name: path.read_bytes() for path in folder.glob("*.json")} | {"lock": lock_of(folder)})
    assert len(written[0]) == 26
    for one, other in combinations(written, 2):
        assert one == other


def lock_of(folder: Path) -> bytes:
    content = json.loads((folder / "splits.lock").read_bytes())
    return json.dumps([content["splits"], content["images"], content["copies"]]).encode()
