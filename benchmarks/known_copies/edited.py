"""Make edited copies of real pictures, whose pairs are known by construction, and compare overlens with other tools.

Each edit is one run of two datasets, `originals` and `edited`, in which the copy of a picture has its name. A pair of
an original with the edit of another one is wrong, unless the originals are known copies themselves.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFilter, ImageOps

from known_copies.scoring import Case, Found, Known, Pair, Score, make_pair
from known_copies.sets import TWINS, find_images, fit_size
from overlens.calibration.edits import HARD_EDITS, edit_image

Pixels = NDArray[np.uint8]
Name = str
PHASH_BITS = 8
PEER = Path(__file__).with_name("imagededup_pairs.py")


@dataclass(frozen=True, slots=True)
class Edited:
    """Original pictures and one edit of each.

    Attributes:
        originals: Folder of the originals.
        edited: Folder of the copies, under the same names.
        names: Names of the pictures.
    """

    originals: Path
    edited: Path
    names: Sequence[Name]

    @property
    def twins(self) -> frozenset[tuple[Name, Name]]:
        """Originals that are copies of one another, both ways round."""
        present = set(self.names)
        listed = (pair for pairs in TWINS.values() for pair in pairs)
        known = {(one.replace("/", "__"), two.replace("/", "__")) for one, two in listed}
        return frozenset(
            pair for one, two in known for pair in ((one, two), (two, one)) if one in present and two in present
        )

    @property
    def known(self) -> frozenset[Pair]:
        """Every pair of a picture, or its known twin, with an edit of it."""
        same = {make_pair(("originals", name), ("edited", name)) for name in self.names}
        across = {make_pair(("originals", one), ("edited", two)) for one, two in self.twins}
        within = {make_pair((side, one), (side, two)) for one, two in self.twins for side in ("originals", "edited")}
        return frozenset(same | across | within)

    @property
    def asked(self) -> frozenset[Pair]:
        """Every picture with its own edit: what recall is measured on."""
        return frozenset(make_pair(("originals", name), ("edited", name)) for name in self.names)

    def as_case(self, name: str) -> Case:
        """Return the set to run overlens on."""
        folders = {"originals": self.originals, "edited": self.edited}
        known = Known(name, self.known, min_recall=0.95, min_precision=0.99)
        return Case(name, folders, [known], lambda image: folders[image[0]] / image[1])


@dataclass(frozen=True, slots=True)
class Tally:
    """How many copies a tool found, and how many of its pairs are none."""

    n_asked: int
    n_found: int
    n_wrong: int

    @property
    def recall(self) -> float:
        """Share of the copies that were found."""
        return self.n_found / max(self.n_asked, 1)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.n_asked + other.n_asked, self.n_found + other.n_found, self.n_wrong + other.n_wrong)

    @property
    def precision(self) -> float:
        """Share of the pairs that are right, of those found between originals and copies; 1 if there are none."""
        n_pairs = self.n_found + self.n_wrong
        return self.n_found / n_pairs if n_pairs else 1.0


def sample_originals(source: Path, folder: Path, n_images: int, seed: int = 0) -> list[Name]:
    """Copy a seeded sample of a folder's pictures; returns their names."""
    files = find_images(source)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(files))[:n_images])
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for place in chosen.tolist():
        name = files[place].relative_to(source).as_posix().replace("/", "__")
        (folder / name).write_bytes(files[place].read_bytes())
        names.append(name)
    return names


def make_edited(originals: Path, names: Sequence[Name], edit: str, folder: Path) -> Edited:
    """Write one edit of every original, as JPEG of quality 95 (JPEG of quality 10 as that)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with Pillow.open(originals / name) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        if edit == "jpeg10":
            upright.save(folder / name, "JPEG", quality=10)
            continue
        changed = HARDER[edit](upright, name) if edit in HARDER else _edit(upright, edit, name)
        changed.save(folder / name, "JPEG", quality=95)
    return Edited(originals, folder, names)


def _edit(image: Pillow.Image, edit: str, name: Name) -> Pillow.Image:
    return Pillow.fromarray(edit_image(np.asarray(image), edit, key=name))


def _crop_quarter(image: Pillow.Image, name: Name) -> Pillow.Image:
    return _cut(image, name, 0.5)


def _mirror_and_crop(image: Pillow.Image, name: Name) -> Pillow.Image:
    return ImageOps.mirror(_cut(image, name, 0.5**0.5))


def _cut(image: Pillow.Image, name: Name, side_share: float) -> Pillow.Image:
    chances = np.random.default_rng([ord(letter) for letter in name])
    size = [max(1, round(side * side_share)) for side in image.size]
    left, top = (int(chances.integers(0, whole - part + 1)) for whole, part in zip(image.size, size, strict=True))
    return image.crop((left, top, left + size[0], top + size[1]))


def _shrink(image: Pillow.Image, side_px: int) -> Pillow.Image:
    return image.resize(fit_size(image.size, side_px), Pillow.Resampling.LANCZOS)


def _turn(degrees: int) -> Callable[[Pillow.Image, Name], Pillow.Image]:
    return lambda image, _: image.rotate(degrees, Pillow.Resampling.BICUBIC, expand=True)


HARDER: Mapping[str, Callable[[Pillow.Image, Name], Pillow.Image]] = {
    "crop 25 %": _crop_quarter,
    "rotate 15": _turn(15),
    "rotate 45": _turn(45),
    "border 30 %": lambda image, _: ImageOps.expand(image, round(0.3 * max(image.size)), (40, 90, 160)),
    "mirror + crop": _mirror_and_crop,
    "blur sigma 3": lambda image, _: image.filter(ImageFilter.GaussianBlur(3)),
    "64 px": lambda image, _: _shrink(image, 64),
    "32 px": lambda image, _: _shrink(image, 32),
}
"""Stronger edits than those of `overlens.calibration.edits`, which no limit was chosen on."""

EDIT_NAMES = tuple(HARD_EDITS)


def tally_overlens(edited: Edited, scored: Score, found: Found) -> Tally:
    """Count what overlens verified; wrong pairs within either dataset count too."""
    verified = set(found.verified)
    return Tally(len(edited.names), len(verified & edited.asked), len(scored.wrong))


def tally_imagehash(edited: Edited) -> Tally:
    """Count the pairs of ImageHash's phash at a distance of at most `PHASH_BITS`, originals x copies."""
    import imagehash

    sides = []
    for folder in (edited.originals, edited.edited):
        hashes = []
        for name in edited.names:
            with Pillow.open(folder / name) as image:
                hashes.append(imagehash.phash(image.convert("RGB")).hash.ravel())
        sides.append(np.array(hashes))
    distances = (sides[0][:, None, :] != sides[1][None, :, :]).sum(axis=2)
    lefts, rights = np.nonzero(distances <= PHASH_BITS)
    return _tally(edited, ((edited.names[one], edited.names[two]) for one, two in zip(lefts, rights, strict=True)))


def tally_imagededup(edited: Edited, python: Path) -> Tally:
    """Count the pairs of imagededup's PHash at its default distance, originals x copies, run by another Python."""
    command = [str(python), str(PEER), str(edited.originals), str(edited.edited)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return _tally(edited, (tuple(pair) for pair in json.loads(done.stdout.splitlines()[-1])))


def _tally(edited: Edited, pairs: Iterable[tuple[Name, Name]]) -> Tally:
    found = set(pairs)
    n_found = sum(one == two for one, two in found)
    n_wrong = sum(one != two and (one, two) not in edited.twins for one, two in found)
    return Tally(len(edited.names), n_found, n_wrong)
