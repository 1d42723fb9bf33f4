"""Three small labelled datasets with known overlap, made from the photographs that two packages carry.

Each photograph is cut into four quarters that share no pixel; the quarters are dealt to three datasets, then copies of
known kinds are planted. So every overlap is known, and what the analysis finds can be held against it.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from overlens.atomic import write_bytes, write_json, write_text
from overlens.errors import MissingExtraError
from overlens.layout import InputLayout
from overlens.tables import write_csv

if TYPE_CHECKING:
    from PIL.Image import Image

    from overlens.copies import Copies
    from overlens.records import Features

DATASETS = ("gallery", "archive", "web")
CLASSES = {
    "animal": "Animals and plants",
    "object": "Things on a table",
    "place": "Places and machines",
    "sky": "Sky and space",
    "texture": "Ground and walls",
    "science": "Under the microscope",
}
PHOTOGRAPHS = {
    "skimage": {
        "astronaut.png": "sky",
        "brick.png": "texture",
        "camera.png": "place",
        "chelsea.png": "animal",
        "coffee.png": "object",
        "coins.png": "object",
        "grass.png": "texture",
        "gravel.png": "texture",
        "hubble_deep_field.jpg": "sky",
        "ihc.png": "science",
        "moon.png": "sky",
        "motorcycle_left.png": "place",
        "page.png": "object",
        "retina.jpg": "science",
        "rocket.jpg": "sky",
        "text.png": "object",
    },
    "sklearn": {"china.jpg": "place", "flower.jpg": "animal"},
}
FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
JPEG_QUALITY = 92
EDITS = ("identical", "resized", "recompressed", "cropped", "mirrored")


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a demo dataset: which original it shows, and how it was edited ("" for an original)."""

    dataset: str
    name: str
    label: str
    original: str
    edit: str
    data: bytes


@dataclass(frozen=True, slots=True)
class PlantedPair:
    """Two images of different datasets that show one original; `edit` says how they differ."""

    edit: str
    first: tuple[str, str]
    second: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How many pairs of one kind were planted, and how many of them each method found."""

    edit: str
    n_planted: int
    n_found: Mapping[str, int]


def make_pictures() -> list[Picture]:
    """Cut, deal and edit the photographs; the same pictures every time.

    Raises:
        MissingExtraError: The packages that carry the photographs are not installed.
    """
    quarters = [quarter for package in PHOTOGRAPHS for quarter in _cut_package(package)]
    dealt: dict[str, list[Picture]] = {dataset: [] for dataset in DATASETS}
    for number, (name, label, image) in enumerate(quarters):
        dataset = DATASETS[(0, 0, 1, 2)[number % 4]]
        dealt[dataset].append(Picture(dataset, name, label, name, "", _jpeg(image)))
    gallery, archive = dealt["gallery"], dealt["archive"]
    copies = [_copy(picture, "archive", EDITS[i % len(EDITS)]) for i, picture in enumerate(gallery[:30:2])]
    copies += [_copy(picture, "web", EDITS[(i + 1) % len(EDITS)]) for i, picture in enumerate(gallery[:10:2])]
    copies += [_copy(picture, "web", EDITS[i % len(EDITS)]) for i, picture in enumerate(archive[:10:2])]
    return [picture for pictures in dealt.values() for picture in pictures] + copies


def planted_pairs(pictures: Sequence[Picture]) -> list[PlantedPair]:
    """Every pair of images of different datasets that show one original."""
    shown: dict[str, list[Picture]] = {}
    for picture in pictures:
        shown.setdefault(picture.original, []).append(picture)
    return [
        PlantedPair(_difference(first, second), (first.dataset, first.name), (second.dataset, second.name))
        for same in shown.values()
        for first, second in combinations(same, 2)
    ]


def write_datasets(pictures: Sequence[Picture], root: Path) -> None:
    """Write the datasets in the documented layout below `root`, and what was planted as `planted.json`."""
    for dataset in DATASETS:
        layout = InputLayout(root, dataset)
        own = [picture for picture in pictures if picture.dataset == dataset]
        for picture in own:
            _write_if_other(layout.images / f"{picture.name}.jpg", picture.data)
        write_text(layout.names, "".join(f"{picture.name}\n" for picture in own))
        write_json(layout.ground_truth, [{"item": picture.name, "class": picture.label} for picture in own])
        write_csv(layout.classes, ("ID", "Label"), CLASSES.items())
    planted = [{"edit": pair.edit, "first": pair.first, "second": pair.second} for pair in planted_pairs(pictures)]
    write_text(root / "planted.json", json.dumps(planted, indent=1) + "\n")


def measure_recovery(
    planted: Sequence[PlantedPair], found: Mapping[str, set[frozenset[tuple[str, str]]]]
) -> list[Recovery]:
    """Hold the pairs each method found against the planted ones, one line for each kind of edit."""
    kinds = sorted({pair.edit for pair in planted}, key=lambda edit: (*EDITS, edit).index(edit))
    return [
        Recovery(kind, len(of_kind), {method: len(of_kind & pairs) for method, pairs in found.items()})
        for kind in kinds
        for of_kind in [{frozenset((pair.first, pair.second)) for pair in planted if pair.edit == kind}]
    ]


def verified_pairs(copies: "Copies", datasets: Mapping[str, "Features"]) -> set[frozenset[tuple[str, str]]]:
    """Return the pairs of images of different datasets that are in one group of copies, each image (dataset, name)."""
    images = [(name, key) for name, features in datasets.items() for key in features.keys]
    groups = (copies.groups.members_of(number).tolist() for number in range(len(copies.groups)))
    pairs = (pair for members in groups for pair in combinations((images[row] for row in members), 2))
    return {frozenset(pair) for pair in pairs if pair[0][0] != pair[1][0]}


def _cut_package(package: str) -> list[tuple[str, str, "Image"]]:
    from PIL import Image

    try:
        folder = files(package)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the package {package}, whose photographs the demo uses,", "demo") from error
    quarters = []
    for file, label in PHOTOGRAPHS[package].items():
        data = folder.joinpath(*FOLDERS[package].split("/"), file).read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            photograph = opened.convert("RGB")
        stem = file.partition(".")[0].replace("_", "-")
        quarters += [(f"{stem}-{i}", label, quarter) for i, quarter in enumerate(_cut(photograph), start=1)]
    return quarters


def _cut(photograph: "Image") -> list["Image"]:
    width, height = photograph.width // 2, photograph.height // 2
    return [photograph.crop((x, y, x + width, y + height)) for y in (0, height) for x in (0, width)]


def _copy(picture: Picture, dataset: str, edit: str) -> Picture:
    name = f"{picture.name}-{edit}"
    return Picture(dataset, name, picture.label, picture.original, edit, _edited(picture.data, edit))


def _edited(data: bytes, edit: str) -> bytes:
    from PIL import Image, ImageOps

    if edit == "identical":
        return data
    with Image.open(io.BytesIO(data)) as image:
        if edit == "resized":
            return _jpeg(image.resize((image.width * 3 // 5, image.height * 3 // 5), Image.Resampling.LANCZOS))
        if edit == "recompressed":
            return _jpeg(image, quality=25)
        if edit == "cropped":
            return _jpeg(ImageOps.crop(image, border=min(image.size) // 25))
        return _jpeg(ImageOps.mirror(image))


def _jpeg(image: "Image", quality: int = JPEG_QUALITY) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _difference(first: Picture, second: Picture) -> str:
    edits = [picture.edit for picture in (first, second) if picture.edit]
    return edits[0] if len(edits) == 1 else "two different copies"


def _write_if_other(path: Path, data: bytes) -> None:
    """Leave a file alone that holds `data` already, so that a second demo reads no image."""
    if not path.exists() or path.read_bytes() != data:
        write_bytes(path, data)
