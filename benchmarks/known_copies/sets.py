"""The sets of real images with known copies, each with what is known of it and what is asked for."""

import csv
import json
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

from known_copies.scoring import Case, Image, Known, Pair, make_pair

IMAGES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SCENES = {("Q4448822", "Q17321337"), ("Q4448822", "Q29939692")}
ART_DATASETS = ("ArtDL", "ICONCLASS", "wikidata")
DISTINCT = ("singletons", "transparent_stamps", "caltech101_mini", "pacs_mini")
TWINS = {
    "caltech101_mini": (
        *((f"Leopards/image_{place:04}.jpg", f"Leopards/image_{place + 100:04}.jpg") for place in range(1, 100, 10)),
        ("hedgehog/image_0001.jpg", "hedgehog/image_0010.jpg"),
        ("llama/image_0001.jpg", "llama/image_0010.jpg"),
    ),
    "pacs_mini": (
        ("art_painting/guitar/pic_055.jpg", "art_painting/guitar/pic_175.jpg"),
        ("cartoon/giraffe/pic_261.jpg", "cartoon/giraffe/pic_276.jpg"),
    ),
}
"""Pictures of the distinct sets that are copies of one another all the same; looked at by eye."""


def art_cases(data: Path) -> list[Case]:
    """Return the artworks: the published pairs between ArtDL and wikidata, of which two show one composition."""
    file = data / "art_published/dataset/cross/ArtDL_wikidata_perceptual_duplicates.json"
    present = {name: set(_lines(data / f"art/dataset/{name}-data/2_test.txt")) for name in ART_DATASETS}
    published = [(one, two) for one, two, _ in json.loads(file.read_text(encoding="utf-8"))]
    listed = [(one, two) for one, two in published if one in present["ArtDL"] and two in present["wikidata"]]
    as_pairs = {names: make_pair(("ArtDL", names[0]), ("wikidata", names[1])) for names in listed}
    known = Known(
        "published pairs of ArtDL and wikidata",
        frozenset(pair for names, pair in as_pairs.items() if names not in SCENES),
        min_precision=0.97,
        scenes=frozenset(pair for names, pair in as_pairs.items() if names in SCENES),
    )

    def locate(image: Image) -> Path:
        return data / f"art/dataset/{image[0]}/JPEGImages/{image[1]}.jpg"

    return [Case("art", dict.fromkeys(ART_DATASETS), [known], locate, {"root": data / "art"})]


def cifar_cases(data: Path) -> list[Case]:
    """Return the CIFAR-10 subset: the near-duplicates that people found by hand, test to train and within test."""
    root = data / "cifar10_dups"
    names = {"test": "cifar_test", "train": "cifar_train"}
    lists = {"test x train": ("groundtruth_test_train.csv", True), "test x test": ("groundtruth_test_test.csv", False)}
    known = []
    for name, (file, is_across) in lists.items():
        pairs = frozenset(_read_cifar(root, file))
        known.append(Known(name, pairs, _across if is_across else _within("test"), 0.85, 0.85))
    datasets = {name: root / folder for name, folder in names.items()}
    return [Case("cifar10_dups", datasets, known, _locate_in(datasets))]


def pdq_cases(data: Path) -> list[Case]:
    """Return one photograph under 12 edits, 8 flips and rotations, and 14 colour modes."""
    folders = {"edits": "bridge-mods", "flips": "reg-test-input", "modes": "misc-images"}
    return [
        _all_pairs(f"pdq_transforms {name}", data / "pdq_transforms" / folder, lambda _: "")
        for name, folder in folders.items()
    ]


def exif_cases(data: Path) -> list[Case]:
    """Return two photographs, each stored in nine orientations."""
    return [_all_pairs("exif_orientation", data / "exif_orientation", lambda key: key.split("_")[0])]


def distinct_cases(data: Path) -> list[Case]:
    """Return the sets of distinct pictures, each for itself, and all four together."""
    apart = [make_distinct_case(name, {name: data / name}) for name in DISTINCT]
    return [*apart, make_distinct_case("all four", {name: data / name for name in DISTINCT})]


def mixed_cases(data: Path) -> list[Case]:
    """Return the test images of other libraries together; their copies are not listed, so all pairs are shown."""
    names = ("hash_repo_images", "imagededup_ukbench", "imagehash_golden", "nasty_pillow")
    datasets = {name: data / name for name in names}
    known = Known("no list", frozenset(), max_wrong_share=0.001)
    return [Case("mixed", datasets, [known], _locate_in(datasets), {"max_failures": 1.0})]


def make_distinct_case(name: str, datasets: dict[str, Path]) -> Case:
    """Return distinct pictures, but for the few `TWINS`."""
    twins = (make_pair((owner, one), (owner, two)) for owner in datasets for one, two in TWINS.get(owner, ()))
    known = Known("distinct pictures", frozenset(twins), min_recall=0.0, max_wrong_share=0.001)
    return Case(name, datasets, [known], _locate_in(datasets))


def make_upscaled_case(data: Path, keys: Iterable[str], folders: dict[str, Path]) -> Case:
    """Return small pictures and the same ones enlarged; within them the listed pairs of the test images are copies."""
    own = {make_pair(("small", key), ("large", key)) for key in keys}
    listed = [(one[1], two[1]) for one, two in _read_cifar(data / "cifar10_dups", "groundtruth_test_test.csv")]
    twins = {make_pair((here, one), (there, two)) for one, two in listed for here in folders for there in folders}
    known = [Known("each with its enlarged copy", frozenset(own), _is_namesake), Known("all", frozenset(own | twins))]
    return Case("upscaled", folders, known, _locate_in(folders))


def find_images(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGES)


def fit_size(size: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Return the size whose longer side is `side_px`."""
    width, height = (max(1, round(side * side_px / max(size))) for side in size)
    return width, height


def _is_namesake(pair: Pair) -> bool:
    return pair[0][1] == pair[1][1]


def _all_pairs(name: str, folder: Path, group_of: Callable[[str], str]) -> Case:
    """Return a folder in which all pictures of one group are copies of one another."""
    both = combinations([path.relative_to(folder).as_posix() for path in find_images(folder)], 2)
    pairs = (make_pair(("images", one), ("images", two)) for one, two in both if group_of(one) == group_of(two))
    known = Known("all pairs", frozenset(pairs), min_precision=1.0)
    return Case(name, {"images": folder}, [known], _locate_in({"images": folder}))


def _read_cifar(root: Path, file: str) -> Iterable[Pair]:
    with (root / file).open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if row[0].startswith("cifar_") and all((root / name).exists() for name in row[:2]):
                yield make_pair(*(_cifar_image(name) for name in row[:2]))


def _cifar_image(name: str) -> Image:
    folder, _, key = name.partition("/")
    return folder.removeprefix("cifar_"), key


def _across(pair: Pair) -> bool:
    return pair[0][0] != pair[1][0]


def _within(dataset: str) -> Callable[[Pair], bool]:
    return lambda pair: pair[0][0] == pair[1][0] == dataset


def _locate_in(folders: dict[str, Path]) -> Callable[[Image], Path]:
    return lambda image: folders[image[0]] / image[1]


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").split()
