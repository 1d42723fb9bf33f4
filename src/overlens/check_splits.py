"""Say whether the images of today still give the few-shot splits of a lock: list, digest, draw again, compare.

What copies there are is taken from the lock by the content of the images; copies are not searched again, so this needs
neither an encoder nor the other datasets of the run. It reads every file once and decodes none.

Shapes: m images of today.
"""

import json
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from overlens.config import DatasetSpec
from overlens.cores import map_parts
from overlens.digests import digest_if_there
from overlens.errors import ConfigError, OverlensError
from overlens.fewshot.digested import DigestedImages
from overlens.fewshot.draw import draw_splits
from overlens.fewshot.lock import Lock, lock_splits, name_sha256
from overlens.fewshot.pictures import KnownCopies, LabelledImages
from overlens.groups.find import NO_GROUP
from overlens.layout import SPLITS_LOCK
from overlens.locked_files import check_files
from overlens.progress import Progress
from overlens.records import Listing
from overlens.sources import list_images

# Digest of the file, class id, digest of the name.
_Known = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class Matched:
    """Images of today beside those of a lock; a place is one in the lock, an index one of today.

    Attributes:
        place_of: Index -> place of the image of the same content.
        relabelled: (place, index) of images that are in another class, or in none.
        renamed: (place, index) of images in the same class under another name.
        changed: (place, index) of images whose name is the same and whose content is another.
        missing: Places of images that are not there.
        new: Indices of images with a class that are not in the lock.
    """

    place_of: Mapping[int, int]
    relabelled: tuple[tuple[int, int], ...]
    renamed: tuple[tuple[int, int], ...]
    changed: tuple[tuple[int, int], ...]
    missing: tuple[int, ...]
    new: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CheckedSplits:
    """What a check of one lock found.

    Attributes:
        lock: What the splits should be.
        source: Where the lock was read from.
        images: The images of today.
        matched: These beside those of the lock.
        label_source: Where classes come from today.
        differing: Files of splits that come out otherwise today, or not at all.
        additional: Files of splits that today's images give and the lock does not have.
        why_not_drawn: Why nothing can be drawn today, or "".
        wrong_files: File beside the lock -> why it does not hold what the lock says, or was measured on other splits.
        n_files: Files of splits that lie beside the lock.
        renaming: What was done to the names, in words, where one thing explains all new names; else "".
        notices: Sentences about the listing that the user should read.
    """

    lock: Lock
    source: Path
    images: DigestedImages
    matched: Matched
    label_source: str
    differing: tuple[str, ...]
    additional: tuple[str, ...]
    why_not_drawn: str
    wrong_files: Mapping[str, str]
    n_files: int
    renaming: str
    notices: tuple[str, ...]

    @property
    def n_same(self) -> int:
        """Number of splits that come out as the lock says."""
        return len(self.lock.splits) - len(self.differing)

    @property
    def n_good_files(self) -> int:
        """Number of files of splits beside the lock that hold what it says."""
        return self.n_files - sum(split.file in self.wrong_files for split in self.lock.splits)

    @property
    def is_same(self) -> bool:
        """Whether all splits come out as the lock says, and the files beside it hold them."""
        return not self.differing and not self.wrong_files

    def to_json(self) -> dict[str, Any]:
        """Return what was found; images of today by name, missing ones by the SHA-256 of their file."""
        lock, keys, matched = self.lock, self.images.keys, self.matched
        return {
            "lock": str(self.source),
            "dataset": lock.dataset,
            "same": self.is_same,
            "overlens": lock.overlens,
            "sampler_version": lock.sampler_version,
            "rule_version": lock.rule_version,
            "n_splits": len(lock.splits),
            "n_same": self.n_same,
            "differing": list(self.differing),
            "additional": list(self.additional),
            "why_not_drawn": self.why_not_drawn or None,
            "copies": "as the lock has them" if lock.copies is not None else "not known to the lock",
            "labels_from": {"lock": lock.origin.source, "today": self.label_source},
            "images": {
                "n_in_lock": len(lock.images),
                "n_today": sum(label is not None for label in self.images.labels),
                "missing": [
                    {"sha256": lock.images[p].sha256, "class": lock.images[p].class_id} for p in matched.missing
                ],
                "new": [keys[index] for index in matched.new],
                "changed": [keys[index] for _, index in matched.changed],
                "relabelled": [
                    {"name": keys[i], "class": self.images.labels[i], "class_in_lock": lock.images[p].class_id}
                    for p, i in matched.relabelled
                ],
                "renamed": [keys[index] for _, index in matched.renamed],
                "renaming": self.renaming or None,
            },
            "files": {"n_beside_lock": self.n_files, "wrong": dict(self.wrong_files)},
            "notices": list(self.notices),
        }


def read_lock(path: Path) -> Lock:
    """Read a lock; of a folder, the `splits.lock` in it.

    Raises:
        ConfigError: There is no such file, or it is no lock, or damaged.
        StoreError: It is a lock of another format.
    """
    return Lock.from_json(*_read_content(path))


def _read_content(path: Path) -> tuple[Any, str]:
    """Return the JSON of a lock, and what errors call it."""
    file = path / SPLITS_LOCK if path.is_dir() else path
    try:
        return json.loads(file.read_bytes().decode("utf-8-sig")), str(file)
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no file {file}; give the {SPLITS_LOCK} of few-shot splits: --splits PATH"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror or error}; give a {SPLITS_LOCK} that can be read"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{file} is no JSON, so it is no lock, or it is damaged; give the file {SPLITS_LOCK}"
        ) from error


def check_splits(
    source: Path,
    spec: DatasetSpec,
    root: Path,
    *,
    use_ground_truth: bool | None = None,
    progress: Progress | None = None,
) -> CheckedSplits:
    """Draw the splits of a lock again from the images of today, and compare.

    Args:
        source: The lock, or the folder that it lies in.
        spec: The dataset; its name does not matter.
        root: Folder that holds `dataset/`, for a dataset without a path.
        use_ground_truth: Whether classes come from `2_ground_truth.json`; None does what the lock says.
        progress: Shows how far it has come; by default nothing is shown.

    Raises:
        ConfigError: There is no such lock or dataset.
        DatasetError: The dataset cannot be listed.
        StoreError: The lock is of a version that draws otherwise.
    """
    content, file = _read_content(source)
    lock = Lock.from_json(content, file)
    lock.require_drawable(str(source))
    listing = list_images(
        spec,
        root,
        use_ground_truth=lock.origin.use_ground_truth if use_ground_truth is None else use_ground_truth,
        max_images=lock.origin.max_images,
    )
    images = _digest_today(listing, lock, progress or Progress())
    matched = match_images(lock, images)
    drawn, why_not = _draw_again(lock, images, matched)
    folder = source if source.is_dir() else source.parent
    # The digest as it stands there: a lock of an earlier version may be told in other words today.
    wrong, n_files = check_files(lock, content["sha256"], folder, dict(zip(images.keys, images.digests, strict=True)))
    return CheckedSplits(
        lock=lock,
        source=source,
        images=images,
        matched=matched,
        label_source=listing.label_source,
        differing=tuple(split.file for split in lock.splits if drawn.get(split.file) != split.sha256),
        additional=tuple(sorted(drawn.keys() - {split.file for split in lock.splits})),
        why_not_drawn=why_not,
        wrong_files=wrong,
        n_files=n_files,
        renaming=_explain_names(lock, images, matched),
        notices=listing.notices,
    )


def match_images(lock: Lock, images: DigestedImages) -> Matched:
    """Find each image of a lock among those of today: by all that is known of it, then by less and less."""
    today: list[_Known] = [
        (digest, label, name_sha256(key))
        for key, label, digest in zip(images.keys, images.labels, images.digests, strict=True)
    ]
    locked: list[_Known] = [(image.sha256, image.class_id, image.name_sha256) for image in lock.images]
    # The order of listing must not decide which of several equal files is which.
    indices = sorted(
        range(len(today)), key=lambda i: (today[i][0], today[i][1] is None, today[i][1] or "", today[i][2])
    )
    place_of: dict[int, int] = {}
    for facts in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        place_of |= _match(indices, today, locked, facts, place_of)
    both = place_of | _match(indices, today, locked, (2,), place_of)
    pairs = sorted((place, index) for index, place in place_of.items())
    return Matched(
        place_of=place_of,
        relabelled=tuple((p, i) for p, i in pairs if locked[p][1] != today[i][1]),
        renamed=tuple((p, i) for p, i in pairs if locked[p][1] == today[i][1] and locked[p][2] != today[i][2]),
        changed=tuple(sorted((place, index) for index, place in both.items() if index not in place_of)),
        missing=tuple(sorted(set(range(len(locked))).difference(both.values()))),
        new=tuple(index for index in range(len(today)) if index not in both and today[index][1] is not None),
    )


def _match(
    indices: Sequence[int],
    today: Sequence[_Known],
    locked: Sequence[_Known],
    facts: tuple[int, ...],
    found: Mapping[int, int],
) -> dict[int, int]:
    """Return, of what is not `found` yet, index -> place of images of which the `facts` are the same."""
    taken = set(found.values())
    free: dict[tuple[str | None, ...], deque[int]] = {}
    for place, one in enumerate(locked):
        if place not in taken:
            free.setdefault(tuple(one[fact] for fact in facts), deque()).append(place)
    matched: dict[int, int] = {}
    for index in indices:
        if index not in found and (places := free.get(tuple(today[index][fact] for fact in facts))):
            matched[index] = places.popleft()
    return matched


def _digest_today(listing: Listing, lock: Lock, progress: Progress) -> DigestedImages:
    """Digest the listed files; those that cannot be read, and those that were no images then, are left out."""
    unusable = {*lock.unusable}
    kept: list[tuple[str, str | None, str]] = []
    with progress.stage(f"Digests of {listing.dataset}", len(listing.paths)) as stage:
        digests = map_parts(digest_if_there, listing.paths)
        for key, label, digest in zip(listing.keys, listing.labels, digests, strict=True):
            if digest is not None and digest not in unusable:
                kept.append((key, label, digest))
            stage.advance(digest is not None, failed=digest is None)
    keys, labels, found = zip(*kept, strict=True) if kept else ((), (), ())
    return DigestedImages(keys, labels, found)


def _draw_again(lock: Lock, images: DigestedImages, matched: Matched) -> tuple[dict[str, str], str]:
    """Return file -> digest of the splits that today's images give, and why there are none, if so."""
    rows = [row for row, label in enumerate(images.labels) if label is not None]
    digests = [images.digests[row] for row in rows]
    labelled = LabelledImages(lock.dataset, [images.keys[row] for row in rows], [images.labels[row] for row in rows])
    copies = _copies_of(lock, digests, [matched.place_of.get(row) for row in rows])
    try:
        splits = draw_splits(labelled, config=lock.config, copies=copies)
    except OverlensError as error:
        return {}, str(error)
    return {split.file: split.sha256 for split in lock_splits(splits, digests)}, ""


def _copies_of(lock: Lock, digests: Sequence[str], places: Sequence[int | None]) -> KnownCopies | None:
    """Return what the lock knows of copies of `(m,)` images; an equal file that is new is in the group of the other."""
    if lock.copies is None:
        return None
    group_of = {place: group for group, members in enumerate(lock.copies.groups) for place in members}
    held_out = {*lock.copies.in_held_out}
    place_of = {image.sha256: place for place, image in enumerate(lock.images)}
    known = [
        place_of.get(digest, -1) if place is None else place for digest, place in zip(digests, places, strict=True)
    ]
    return KnownCopies(
        np.array([group_of.get(place, NO_GROUP) for place in known], np.int32),
        np.array([place in held_out for place in known], np.bool_),
        lock.copies.basis,
    )


def _without_extension(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot else name


# How the names of a lock follow from those of today, in words.
_RENAMINGS: dict[str, Callable[[str], str]] = {
    "in the lock they have no extension": _without_extension,
    "in the lock they have no folder": lambda name: name.rpartition("/")[2],
    "in the lock they have neither folder nor extension": lambda name: _without_extension(name.rpartition("/")[2]),
    "in the lock accents are composed (Unicode NFC)": lambda name: unicodedata.normalize("NFC", name),
    "in the lock accents are apart (Unicode NFD)": lambda name: unicodedata.normalize("NFD", name),
}


def _explain_names(lock: Lock, images: DigestedImages, matched: Matched) -> str:
    """Return what was done to names, if one thing explains all new names."""
    for words, change in _RENAMINGS.items():
        same = (name_sha256(change(images.keys[i])) == lock.images[p].name_sha256 for p, i in matched.renamed)
        if matched.renamed and all(same):
            return words
    return ""
