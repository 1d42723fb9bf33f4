"""What a few-shot split and a set of episodes hold: images by part, and a certificate that no copy crosses.

Every split has four parts: *support* to learn from, *validation* to choose by, *query* to measure with, and *test*,
every other picture of its classes. An episode has the first three; a set of them shares one list of images.

Shapes: m images of a part, n images that a set of episodes draws from, c classes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.frames import make_frame

if TYPE_CHECKING:
    import pandas

PARTS = ("support", "validation", "query", "test")
EPISODE_PARTS = PARTS[:3]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many images of a dataset can be in no split, each counted once, by the first reason that holds.

    Attributes:
        unlabelled: Images without a class.
        conflicting: Images of a picture whose images have several classes.
        held_out: Images of a picture that a dataset held out has, too.
        copies: Further images of a picture: a split holds one of them.
    """

    unlabelled: int = 0
    conflicting: int = 0
    held_out: int = 0
    copies: int = 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What can be said of copies in a split, and on what that rests.

    A group of verified copies crosses if it has images on both sides of a border. Counts are None where nobody looked.

    Attributes:
        why_not: Why crossings are not counted, or None where they are.
        n_crossing_parts: Groups with images in two parts of the split; of episodes, the sum over them.
        n_crossing_held_out: Groups of its images that reach into a dataset held out; None also without one.
        n_crossing_seeds: Pictures that the split shares with splits of other seeds, each counted once; None unless
            seeds were to be disjoint. A picture is a group, or an image that has no copy: not only groups are counted.
            The other splits are those of the same strategy, k and number of classes, and no others.
        n_groups: Groups of verified copies that have an image of the dataset.
        allow_leaks: Whether images were drawn as if none had copies.
        disjoint_seeds: Whether no picture may be in splits of two seeds.
        held_out: Datasets held out.
        left_out: Images of the dataset that can be in no split.
        basis: Encoder, thresholds and rule of the verified pairs, and the digest of their table.
    """

    why_not: str | None
    n_crossing_parts: int | None
    n_crossing_held_out: int | None
    n_crossing_seeds: int | None
    n_groups: int | None
    allow_leaks: bool
    disjoint_seeds: bool
    held_out: tuple[str, ...]
    left_out: LeftOut
    basis: Mapping[str, object]

    @property
    def n_crossing(self) -> int | None:
        """Sum of the counts of all borders, 0 where the split is free of leaks; None where nobody looked.

        Groups, and where seeds were to be disjoint also the single images that two of them share.
        """
        if self.n_crossing_parts is None:
            return None
        return self.n_crossing_parts + (self.n_crossing_held_out or 0) + (self.n_crossing_seeds or 0)

    def to_json(self) -> dict[str, object]:
        """Return the fields as the files hold them, `n_crossing_groups` first."""
        return {
            "n_crossing_groups": self.n_crossing,
            "not_counted_because": self.why_not,
            "n_crossing_parts": self.n_crossing_parts,
            "n_crossing_held_out": self.n_crossing_held_out,
            "n_crossing_seeds": self.n_crossing_seeds,
            "n_groups": self.n_groups,
            "allow_leaks": self.allow_leaks,
            "disjoint_seeds": self.disjoint_seeds,
            "held_out": list(self.held_out),
            "left_out_images": asdict(self.left_out),
            "basis": dict(self.basis),
        }


@dataclass(frozen=True, slots=True)
class Part:
    """Images of one part: column i is the image `names[i]` of class `labels[i]` at row `rows[i]` of the features.

    Attributes:
        names: Keys, ordered by class id, then in the order of the draw.
        labels: Class ids as published.
        rows: `(m,)` int64.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    rows: NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {len(self.names), len(self.labels), len(self.rows)}
        if len(lengths) > 1:
            raise ValueError(f"columns of one part have one length, got {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.names)

    def to_json(self) -> dict[str, object]:
        """Return names and class ids."""
        return {"names": list(self.names), "labels": list(self.labels)}


@dataclass(frozen=True, slots=True)
class Split:
    """One few-shot split.

    Attributes:
        dataset: Name of the dataset.
        strategy: "random", "stratified" or "long_tail".
        k_shot: Support images of each class; with `--short-classes fewer` a short class has fewer.
        n_classes: Classes that were drawn.
        requested_n_classes: Classes that were asked for; more than `n_classes` where too few are eligible.
        seed: Seed of the draw.
        parts: The images of each of `PARTS`.
        certificate: What can be said of copies.
    """

    dataset: str
    strategy: str
    k_shot: int
    n_classes: int
    requested_n_classes: int
    seed: int
    parts: Mapping[str, Part]
    certificate: Certificate

    def __post_init__(self) -> None:
        if tuple(self.parts) != PARTS:
            raise ValueError(f"a split has the parts {', '.join(PARTS)}, got {', '.join(self.parts)}")
        if len(set(self.support.labels)) != self.n_classes or len(self.support) > self.n_classes * self.k_shot:
            raise ValueError(f"{len(self.support)} support images do not fit {self.n_classes} x {self.k_shot}")

    @property
    def support(self) -> Part:
        """The images to learn from."""
        return self.parts["support"]

    @property
    def names(self) -> tuple[str, ...]:
        """Keys of the support images."""
        return self.support.names

    @property
    def labels(self) -> tuple[str, ...]:
        """Class ids of the support images."""
        return self.support.labels

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the support images, `(m,)`."""
        return self.support.rows

    @property
    def place(self) -> tuple[str, int, int, int]:
        """Strategy, k, classes asked for and seed: what tells the splits of a dataset apart."""
        return self.strategy, self.k_shot, self.requested_n_classes, self.seed

    def to_json(self) -> dict[str, object]:
        """Return the split as its file holds it; names and labels at the top are those of the support."""
        return {
            "dataset": self.dataset,
            "strategy": self.strategy,
            "k_shot": self.k_shot,
            "n_classes": self.n_classes,
            "seed": self.seed,
            **self.support.to_json(),
            **{name: part.to_json() for name, part in self.parts.items() if name != "support"},
            "certificate": self.certificate.to_json(),
        }

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row an image: dataset, strategy, k_shot, seed, part, name, label.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        split = (self.dataset, self.strategy, self.k_shot, self.seed)
        rows = [
            (*split, part, name, label)
            for part, images in self.parts.items()
            for name, label in zip(images.names, images.labels, strict=True)
        ]
        return make_frame(rows, ["dataset", "strategy", "k_shot", "seed", "part", "name", "label"])


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode: `(m,)` int32 places in the images of its set, by class, then in the order of the draw."""

    support: NDArray[np.int32]
    validation: NDArray[np.int32]
    query: NDArray[np.int32]

    def parts(self) -> Iterator[tuple[str, NDArray[np.int32]]]:
        """Yield the name of each part and its places."""
        yield from zip(EPISODE_PARTS, (self.support, self.validation, self.query), strict=True)


@dataclass(frozen=True, slots=True)
class EpisodeSet:
    """Many N-way k-shot episodes over one list of images.

    Attributes:
        dataset: Name of the dataset.
        k_shot: Support images of each class of an episode.
        n_classes: Classes of each episode.
        requested_n_classes: Classes that were asked for.
        seed: Seed of the draw.
        names: Keys of the images, sorted.
        class_ids: Class ids, sorted.
        codes: `(n,)` int32, the place of each image's class in `class_ids`.
        rows: `(n,)` int64 rows of the features.
        episodes: The episodes in order.
        certificate: What can be said of copies.
    """

    dataset: str
    k_shot: int
    n_classes: int
    requested_n_classes: int
    seed: int
    names: tuple[str, ...]
    class_ids: tuple[str, ...]
    codes: NDArray[np.int32]
    rows: NDArray[np.int64]
    episodes: tuple[Episode, ...]
    certificate: Certificate

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.codes) == len(self.rows):
            raise ValueError(f"{len(self.names)} images with {len(self.codes)} classes and {len(self.rows)} rows")

    @property
    def strategy(self) -> str:
        """Always "episodic"."""
        return "episodic"

    @property
    def place(self) -> tuple[str, int, int, int]:
        """Strategy, k, classes asked for and seed: what tells the splits of a dataset apart."""
        return self.strategy, self.k_shot, self.requested_n_classes, self.seed

    def to_json(self) -> dict[str, object]:
        """Return the set as its file holds it: episodes as places in `images`, whose classes stand in `labels`."""
        labels = [self.class_ids[code] for code in self.codes.tolist()]
        return {
            "dataset": self.dataset,
            "strategy": self.strategy,
            "k_shot": self.k_shot,
            "n_classes": self.n_classes,
            "seed": self.seed,
            "n_episodes": len(self.episodes),
            "images": {"names": list(self.names), "labels": labels},
            "episodes": [{part: places.tolist() for part, places in one.parts()} for one in self.episodes],
            "certificate": self.certificate.to_json(),
        }


@dataclass(frozen=True, slots=True)
class SkippedSplit:
    """A split that cannot be drawn, and why."""

    dataset: str
    strategy: str
    k_shot: int
    seed: int
    reason: str


@dataclass(frozen=True, slots=True)
class Splits:
    """All splits of one dataset, ordered by strategy, k and seed as configured.

    Attributes:
        dataset: Name of the dataset.
        drawn: The splits.
        episodes: The sets of episodes.
        skipped: Those for which no class is eligible.
        left_out: Images that can be in no split.
        notices: Sentences that the user should read.
        lock_sha256: Digest of their lock, once that is written; None where there is none.
    """

    dataset: str
    drawn: tuple[Split, ...]
    episodes: tuple[EpisodeSet, ...]
    skipped: tuple[SkippedSplit, ...]
    left_out: LeftOut
    notices: tuple[str, ...]
    lock_sha256: str | None = None

    def __len__(self) -> int:
        """Number of files of splits: splits and sets of episodes."""
        return len(self.drawn) + len(self.episodes)

    @property
    def n_crossing(self) -> int | None:
        """What crosses a border, summed over all splits; None where nobody looked."""
        certificates = [one.certificate for one in self.drawn] + [one.certificate for one in self.episodes]
        counts = [one.n_crossing for one in certificates]
        return None if None in counts else sum(count for count in counts if count is not None)
