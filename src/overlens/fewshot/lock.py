"""The lock of the few-shot splits of one dataset: what they were drawn from and what came out, told in digests.

An image is the SHA-256 of its file, its class, and the SHA-256 of its name, because a draw goes by names; paths and
names themselves are not in it. Groups of copies are places in the list of images, so whoever has the images can draw
again without searching for copies. A digest over all of it, written last, refuses a lock that was damaged or edited.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import Any

from overlens import sampler
from overlens.config import FewShotConfig
from overlens.digests import framed
from overlens.errors import ConfigError, StoreError
from overlens.fewshot.digested import DigestedImages
from overlens.fewshot.draw import RULE_VERSION
from overlens.fewshot.pictures import KnownCopies
from overlens.fewshot.splits import EpisodeSet, Split, Splits
from overlens.groups.find import NO_GROUP
from overlens.layout import SPLITS_LOCK, AnalysisLayout, is_split_name
from overlens.version import __version__

LOCK_VERSION = 1
LOCK_KEY = "splits_lock_sha256"
"""Key under which other files name a lock, by its own digest."""
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LabelOrigin:
    """How the images and classes of a dataset were listed: `records.Listing.label_source` and two options."""

    source: str
    use_ground_truth: bool = False
    max_images: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class LockedImage:
    """One image with a class."""

    sha256: str
    class_id: str
    name_sha256: str


@dataclass(frozen=True, slots=True)
class LockedCopies:
    """What was known of copies.

    Attributes:
        groups: Places in the list of images, of each group that has two of them or more.
        in_held_out: Places of images whose group reaches into a dataset held out.
        basis: What the groups rest on, as certificates say it.
    """

    groups: tuple[tuple[int, ...], ...]
    in_held_out: tuple[int, ...]
    basis: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LockedSplit:
    """Name of the file of a split or a set of episodes, and the digest of what it holds (`content_sha256`)."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Lock:
    """What the splits of one dataset were drawn from, and what they hold.

    Attributes:
        overlens: Version that drew them.
        sampler_version: `overlens.sampler.VERSION` at that time.
        rule_version: `overlens.fewshot.draw.RULE_VERSION` at that time.
        dataset: Name of the dataset.
        config: What was asked for.
        origin: How the images were listed.
        images: Images with a class, sorted.
        unusable: Digests of files that were listed and are no readable images, sorted.
        copies: What was known of copies, or None where nothing was verified.
        splits: The splits, then the sets of episodes.
    """

    overlens: str
    sampler_version: int
    rule_version: int
    dataset: str
    config: FewShotConfig
    origin: LabelOrigin
    images: tuple[LockedImage, ...]
    unusable: tuple[str, ...]
    copies: LockedCopies | None
    splits: tuple[LockedSplit, ...]

    def __post_init__(self) -> None:
        if list(self.images) != sorted(self.images):
            raise ValueError("images of a lock must be sorted")
        digests = [image.sha256 for image in self.images] + [image.name_sha256 for image in self.images]
        wrong = [
            text
            for text in (*digests, *self.unusable, *(split.sha256 for split in self.splits))
            if not _is_sha256(text)
        ]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no SHA-256")
        places = () if self.copies is None else (*chain.from_iterable(self.copies.groups), *self.copies.in_held_out)
        if not all(isinstance(place, int) and 0 <= place < len(self.images) for place in places):
            raise ValueError(f"groups name places beyond the {len(self.images)} images")
        # Names of files become paths.
        odd = [split.file for split in self.splits if not is_split_name(split.file)]
        if odd:
            raise ValueError(f"{odd[0]!r} is no name of a split")

    def to_json(self) -> dict[str, object]:
        """Return the lock as its file holds it, its own digest last."""
        content = {
            "lock_version": LOCK_VERSION,
            "overlens": self.overlens,
            "sampler_version": self.sampler_version,
            "rule_version": self.rule_version,
            "dataset": self.dataset,
            "config": asdict(self.config),
            "labels": asdict(self.origin),
            "copies": None if self.copies is None else asdict(self.copies),
            "splits": [asdict(split) for split in self.splits],
            "unusable": list(self.unusable),
            "images": [
                {"sha256": image.sha256, "class": image.class_id, "name_sha256": image.name_sha256}
                for image in self.images
            ],
        }
        return {**content, "sha256": _canonical_sha256(content)}

    @property
    def sha256(self) -> str:
        """The digest of all of it, by which other files name this lock."""
        return str(self.to_json()["sha256"])

    @classmethod
    def from_json(cls, content: object, source: str = SPLITS_LOCK) -> "Lock":
        """Return the lock that a file holds.

        Args:
            content: The decoded JSON.
            source: What errors call the file.

        Raises:
            ConfigError: It is no lock, or not as it was written.
            StoreError: It is a lock of another format.
        """
        if not isinstance(content, dict) or "lock_version" not in content:
            raise ConfigError(
                f"{source} is not the lock of few-shot splits; give the file {SPLITS_LOCK} that lies beside them"
            )
        if content["lock_version"] != LOCK_VERSION:
            raise StoreError(
                f"{source} has format {content['lock_version']!r}, and overlens {__version__} reads format "
                f"{LOCK_VERSION}; check it with overlens {content.get('overlens')}"
            )
        rest = {key: value for key, value in content.items() if key != "sha256"}
        if content.get("sha256") != _canonical_sha256(rest):
            raise ConfigError(f"{source} is damaged: it is not as it was written; get it again from who published it")
        try:
            return cls._parse(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"{source} is damaged: {error}; get it again from who published it") from error

    @classmethod
    def _parse(cls, content: Mapping[str, Any]) -> "Lock":
        copies = content["copies"]
        return cls(
            overlens=content["overlens"],
            sampler_version=content["sampler_version"],
            rule_version=content["rule_version"],
            dataset=content["dataset"],
            config=_parse_config(content["config"]),
            origin=LabelOrigin(**content["labels"]),
            images=tuple(LockedImage(row["sha256"], row["class"], row["name_sha256"]) for row in content["images"]),
            unusable=tuple(content["unusable"]),
            copies=None
            if copies is None
            else LockedCopies(tuple(map(tuple, copies["groups"])), tuple(copies["in_held_out"]), dict(copies["basis"])),
            splits=tuple(LockedSplit(row["file"], row["sha256"]) for row in content["splits"]),
        )

    def require_drawable(self, source: str = SPLITS_LOCK) -> None:
        """Raise StoreError where this version of overlens draws in another way than the one that made the lock."""
        for what, made, here in (
            ("sampler", self.sampler_version, sampler.VERSION),
            ("rule of the draw", self.rule_version, RULE_VERSION),
        ):
            if made != here:
                raise StoreError(
                    f"{source} was made with version {made} of the {what}, and overlens {__version__} has version "
                    f"{here}, which draws other splits; check it with overlens {self.overlens}"
                )


def make_lock(
    splits: Splits,
    images: DigestedImages,
    config: FewShotConfig,
    *,
    origin: LabelOrigin,
    copies: KnownCopies | None = None,
) -> Lock:
    """Return the lock of splits.

    Args:
        splits: The splits of one dataset, drawn from `images` in their order.
        images: Every image that was drawn from, those without a class included.
        config: What was asked for.
        origin: How the images were listed.
        copies: What was known of copies, aligned with `images`.
    """
    entries = [
        (LockedImage(digest, label, name_sha256(key)), index)
        for index, (key, label, digest) in enumerate(zip(images.keys, images.labels, images.digests, strict=True))
        if label is not None
    ]
    entries.sort()
    return Lock(
        overlens=__version__,
        sampler_version=sampler.VERSION,
        rule_version=RULE_VERSION,
        dataset=splits.dataset,
        config=config,
        origin=origin,
        images=tuple(image for image, _ in entries),
        unusable=tuple(sorted(images.unusable)),
        copies=None if copies is None else _lock_copies(copies, [index for _, index in entries]),
        splits=tuple(lock_splits(splits, images.digests)),
    )


def lock_splits(splits: Splits, digests: Sequence[str]) -> list[LockedSplit]:
    """Return the file name of each split and set of episodes, and the digest of what it holds.

    Args:
        splits: The splits of one dataset.
        digests: SHA-256 of the image in each row that they were drawn from.
    """
    layout = AnalysisLayout(Path(), splits.dataset)
    told = [(split.place, _told_split(split, digests)) for split in splits.drawn]
    told += [(episodes.place, _told_episodes(episodes, digests)) for episodes in splits.episodes]
    return [LockedSplit(layout.split(*place).name, sha256) for place, sha256 in told]


def content_sha256(parts: Iterable[tuple[str, Sequence[bytes]]]) -> str:
    """Return the digest of what a split holds, in SHA-256.

    Of each part: its name, the number of its images in decimal, and its images in order, each as `told_image`. The
    parts of an episode are called by its number, as "0/support". Every text is preceded by its length in bytes, as 8
    bytes, the highest first.
    """
    digest = hashlib.sha256()
    for name, images in parts:
        digest.update(framed(name) + framed(str(len(images))) + b"".join(images))
    return digest.hexdigest()


def told_image(class_id: str, sha256: str) -> bytes:
    """Return an image as `content_sha256` takes it: its class id, then the SHA-256 of its file."""
    return framed(class_id) + framed(sha256)


def name_sha256(key: str) -> str:
    """Return the SHA-256 of a name."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _told_split(split: Split, digests: Sequence[str]) -> str:
    return content_sha256(
        (name, [told_image(label, digests[row]) for label, row in zip(part.labels, part.rows.tolist(), strict=True)])
        for name, part in split.parts.items()
    )


def _told_episodes(episodes: EpisodeSet, digests: Sequence[str]) -> str:
    images = [
        told_image(episodes.class_ids[code], digests[row])
        for code, row in zip(episodes.codes.tolist(), episodes.rows.tolist(), strict=True)
    ]
    return content_sha256(
        (f"{number}/{part}", [images[place] for place in places.tolist()])
        for number, episode in enumerate(episodes.episodes)
        for part, places in episode.parts()
    )


def _lock_copies(copies: KnownCopies, rows: Sequence[int]) -> LockedCopies:
    """Tell groups by places: the image in row `rows[i]` has place i."""
    groups: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        if (group := int(copies.group_of[row])) != NO_GROUP:
            groups.setdefault(group, []).append(place)
    held_out = tuple(place for place, row in enumerate(rows) if copies.in_held_out[row])
    shared = sorted(tuple(places) for places in groups.values() if len(places) > 1)
    return LockedCopies(tuple(shared), held_out, dict(copies.basis))


def _parse_config(content: Mapping[str, Any]) -> FewShotConfig:
    unknown = content.keys() - {one.name for one in fields(FewShotConfig)}
    if unknown:
        raise ValueError(f"its config names {min(unknown)!r}, which this version does not know")
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in content.items()}
    return FewShotConfig(**values)


def _canonical_sha256(content: Mapping[str, object]) -> str:
    """Return the digest of JSON with sorted keys, without spaces, in ASCII."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _is_sha256(text: object) -> bool:
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None
