"""What the pictures of few-shot splits and transfer show: plain numbers with the words beside them.

Nothing here knows how a number was found, so that pictures can be drawn, and tested, without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from overlens.report.views import ShownImage

PROBE_WORDS = {
    "nearest_centroid": "nearest-centroid probe",
    "knn": "nearest-neighbour probe",
    "logistic": "logistic probe",
}
DISTANCE_WORDS = {"mmd_squared": "squared MMD", "frechet": "Fréchet distance"}
AVERAGE_WORDS = {"class": "each class counts the same", "plain": "each image counts the same"}


@dataclass(frozen=True, slots=True)
class CleanAccuracy:
    """An accuracy without the images that the other dataset has, too; shares, from 0 to 1.

    Attributes:
        accuracy: The accuracy; None where nothing remains to be tested.
        n_images: Target images that remain.
        change: The accuracy with all images less this one: above 0 where leakage helped; None where one is missing.
        low: Lower end of the 95 % interval of the change, or None.
        high: Upper end, or None.
        n_classes: Classes that remain; None where nobody counted them.
    """

    accuracy: float | None
    n_images: int
    change: float | None = None
    low: float | None = None
    high: float | None = None
    n_classes: int | None = None


@dataclass(frozen=True, slots=True)
class TransferCell:
    """Accuracy of a probe trained on one dataset and tested on another, or on itself by cross-validation.

    Attributes:
        accuracy: Share of the target's images that are named rightly, 0 to 1; None where it cannot be had.
        n_images: Target images that were tested.
        n_classes: Classes that both have.
        in_domain: In-domain accuracy of the target over these classes, where they are not those of its own cell.
        clean: The accuracy without the overlap, where the two share an image; None where they share none.
        why_not: Why there is no accuracy, in words, if there is none.
    """

    accuracy: float | None
    n_images: int
    n_classes: int
    in_domain: float | None = None
    clean: CleanAccuracy | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class DistanceCell:
    """Distance of two datasets, or of two halves of one; `n_images` on each side; None where it cannot be had."""

    value: float | None
    n_images: int


@dataclass(frozen=True, slots=True)
class TransferMatrixView:
    """How one probe carries over between all datasets, and how far apart these are.

    Attributes:
        datasets: Names, in the order of rows and columns.
        probe: One of `PROBE_WORDS`.
        cells: (source, target) -> its cell, a dataset to itself among them; one that is missing was not measured.
        is_verified: Whether copies were looked for, so that it is known which images are shared.
        distances: (dataset, other) -> their distance; of a dataset to itself, its noise floor. May be empty.
        distance: One of `DISTANCE_WORDS`.
        average: One of `AVERAGE_WORDS`.
        encoder: The encoder in words.
        label_source: Where the labels come from, in words.
        unknown_within: Dataset -> why copies within it are not all known, in words; only where it is so.
    """

    datasets: tuple[str, ...]
    probe: str
    cells: Mapping[tuple[str, str], TransferCell]
    is_verified: bool
    distances: Mapping[tuple[str, str], DistanceCell] = field(default_factory=dict)
    distance: str = "mmd_squared"
    average: str = "class"
    encoder: str = ""
    label_source: str = ""
    unknown_within: Mapping[str, str] = field(default_factory=dict)

    def cell(self, source: str, target: str) -> TransferCell:
        """Return a cell, which has no accuracy if nobody measured it."""
        return self.cells.get((source, target), TransferCell(None, 0, 0, why_not="nobody asked for it"))


@dataclass(frozen=True, slots=True)
class SeedPoint:
    """Accuracies of one probe at one strategy and k, over the seeds; shares, from 0 to 1.

    Attributes:
        strategy: "random", "stratified", "long_tail" or "episodic".
        k_shot: Support images of each class.
        probe: One of `PROBE_WORDS`.
        accuracies: Of each seed; none where nothing could be measured.
        mean: Their mean, or None without any.
        interval: Lower and upper end of the 95 % interval of the mean; None with one seed.
        n_classes: Classes of each split or episode.
        n_query: Query images, summed over the seeds.
        n_episodes: Episodes, summed over the seeds; None for splits.
        seeds_needed: Seeds that an interval of one point takes, and the range in which that number lies; None with one
            seed, or where all are alike.
        episodes_needed: The same of episodes, without range; None for splits, too.
        why_not: Why nothing could be measured, in words, if so.
    """

    strategy: str
    k_shot: int
    probe: str
    accuracies: tuple[float, ...]
    mean: float | None
    interval: tuple[float, float] | None
    n_classes: int
    n_query: int
    n_episodes: int | None = None
    seeds_needed: tuple[int, int, int] | None = None
    episodes_needed: int | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class SeedVarianceView:
    """How the accuracy on few-shot splits of one dataset varies over the seeds.

    Attributes:
        dataset: Name of the dataset.
        points: One for each strategy, k and probe.
        encoder: The encoder in words.
        label_source: Where the labels come from, in words.
    """

    dataset: str
    points: tuple[SeedPoint, ...]
    encoder: str = ""
    label_source: str = ""

    @property
    def strategies(self) -> tuple[str, ...]:
        """Strategies in order of first appearance."""
        return tuple(dict.fromkeys(point.strategy for point in self.points))

    @property
    def probes(self) -> tuple[str, ...]:
        """Probes in order of first appearance."""
        return tuple(dict.fromkeys(point.probe for point in self.points))


@dataclass(frozen=True, slots=True)
class ConflictCard:
    """Two verified copies whose classes do not match; the label of each image is the name of its class.

    Attributes:
        left: Image of the first dataset.
        right: Image of the second.
        verdict: Rung by which they are copies; None where they are so through other images only.
        strength: How sure that is, 0 to 1; None likewise.
    """

    left: ShownImage
    right: ShownImage
    verdict: str | None
    strength: float | None


@dataclass(frozen=True, slots=True)
class ConflictView:
    """Copies whose classes do not match, between two datasets or within one.

    Attributes:
        datasets: Dataset of the left and of the right images.
        cards: Those to show.
        n_conflicts: Number of all of them.
        n_compared: Pictures with a class in both datasets; None where that is not known.
    """

    datasets: tuple[str, str]
    cards: tuple[ConflictCard, ...]
    n_conflicts: int
    n_compared: int | None = None
