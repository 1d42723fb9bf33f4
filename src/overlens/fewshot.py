"""Draw few-shot splits: n classes, k images of each, by three strategies.

* random: n classes uniformly.
* stratified: the n classes with most images, ties by class id; the seed moves the images only.
* long_tail: n classes with chances that follow one over their number of images.

No class and no image is drawn twice. A class with fewer than k images is not eligible. The order in which the images
of a class are drawn depends on seed, class and names alone, so splits are nested: for one seed the 1-shot images of a
class are among its 5-shot images, whatever the strategy. The dataset's name plays no part: renaming it changes nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.config import FewShotConfig
from overlens.counted import counted
from overlens.errors import ConfigError, DatasetError
from overlens.frames import make_frame
from overlens.sampler import draw, draw_weighted

if TYPE_CHECKING:
    import pandas

# Class id -> name of its images -> row.
Classes = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Split:
    """One few-shot split: column i is the image `names[i]` of class `labels[i]` at row `rows[i]` of the features.

    Attributes:
        dataset: Name of the dataset.
        strategy: "random", "stratified" or "long_tail".
        k_shot: Images of each class.
        n_classes: Classes that were drawn.
        requested_n_classes: Classes that were asked for; more than `n_classes` where too few are eligible.
        seed: Seed of the draw.
        rows: `(n_classes * k_shot,)` int64.
        names: Keys, ordered by class id, then in the order of the draw.
        labels: Class ids as published.
    """

    dataset: str
    strategy: str
    k_shot: int
    n_classes: int
    requested_n_classes: int
    seed: int
    rows: NDArray[np.int64]
    names: tuple[str, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.rows), len(self.names), len(self.labels), self.n_classes * self.k_shot}
        if len(lengths) > 1:
            raise ValueError(f"{self.n_classes} classes x {self.k_shot} images, but columns of {sorted(lengths)}")

    def to_json(self) -> dict[str, object]:
        """Return the split as its file holds it; `n_classes` is the number of classes that were drawn."""
        return {
            "dataset": self.dataset,
            "strategy": self.strategy,
            "k_shot": self.k_shot,
            "n_classes": self.n_classes,
            "seed": self.seed,
            "names": list(self.names),
            "labels": list(self.labels),
        }

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row an image: dataset, strategy, k_shot, seed, name, label.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        split = (self.dataset, self.strategy, self.k_shot, self.seed)
        rows = [(*split, name, label) for name, label in zip(self.names, self.labels, strict=True)]
        return make_frame(rows, ["dataset", "strategy", "k_shot", "seed", "name", "label"])


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
        drawn: The splits.
        skipped: Those for which no class is eligible.
        n_unlabelled: Images without a class, which no split can hold.
        notices: Sentences that the user should read.
    """

    drawn: tuple[Split, ...]
    skipped: tuple[SkippedSplit, ...]
    n_unlabelled: int
    notices: tuple[str, ...]


def draw_splits(dataset: str, keys: Sequence[str], labels: Sequence[str | None], *, config: FewShotConfig) -> Splits:
    """Draw one split for every strategy, k and seed of `config`.

    Args:
        dataset: Name of the dataset.
        keys: Key of each image, no key twice.
        labels: Class id of each image or None, aligned with `keys`.
        config: What to draw.

    Raises:
        ConfigError: A strategy is unknown.
        DatasetError: No image has a class.
    """
    _require_known(config.strategies)
    classes = _group(keys, labels)
    if not classes:
        raise DatasetError(
            f"few-shot splits of {dataset!r} need classes, and none of its {len(keys)} images has one; add labels.json "
            "or class folders, or give --use-ground-truth if there is a 2_ground_truth.json"
        )
    n_unlabelled = sum(label is None for label in labels)
    sampler = _SplitSampler(dataset, classes, config)
    outcomes = [
        sampler.draw(strategy, k, seed)
        for strategy in dict.fromkeys(config.strategies)
        for k in dict.fromkeys(config.k_shots)
        for seed in config.seeds
    ]
    drawn = tuple(outcome for outcome in outcomes if isinstance(outcome, Split))
    skipped = tuple(outcome for outcome in outcomes if isinstance(outcome, SkippedSplit))
    return Splits(drawn, skipped, n_unlabelled, tuple(_notices(classes, n_unlabelled, config)))


class _SplitSampler:
    """Draw the splits of one dataset; remembers the images of each seed and class, which all strategies share."""

    def __init__(self, dataset: str, classes: Classes, config: FewShotConfig) -> None:
        self._dataset = dataset
        self._classes = classes
        self._config = config
        self._images: dict[tuple[int, str], list[str]] = {}

    def draw(self, strategy: str, k: int, seed: int) -> Split | SkippedSplit:
        counts = _eligible(self._classes, k)
        if not counts:
            most = max(map(len, self._classes.values()))
            reason = f"no class has {k} images or more; the most in one class: {most}"
            return SkippedSplit(self._dataset, strategy, k, seed, reason)
        chosen = sorted(STRATEGIES[strategy](counts, self._config.n_classes, seed))
        pairs = [(class_id, name) for class_id in chosen for name in self._draw_images(class_id, seed)[:k]]
        return Split(
            dataset=self._dataset,
            strategy=strategy,
            k_shot=k,
            n_classes=len(chosen),
            requested_n_classes=self._config.n_classes,
            seed=seed,
            rows=np.array([self._classes[class_id][name] for class_id, name in pairs], np.int64),
            names=tuple(name for _, name in pairs),
            labels=tuple(class_id for class_id, _ in pairs),
        )

    def _draw_images(self, class_id: str, seed: int) -> list[str]:
        if (seed, class_id) not in self._images:
            names, most = self._classes[class_id], max(self._config.k_shots)
            self._images[seed, class_id] = draw(names, most, seed, "image", class_id)
        return self._images[seed, class_id]


def _choose_random(counts: dict[str, int], n: int, seed: int) -> list[str]:
    return draw(counts, n, seed, "class")


def _choose_most_frequent(counts: dict[str, int], n: int, seed: int) -> list[str]:
    return sorted(counts, key=lambda class_id: (-counts[class_id], class_id))[:n]


def _choose_long_tail(counts: dict[str, int], n: int, seed: int) -> list[str]:
    weights = {class_id: Fraction(1, count) for class_id, count in counts.items()}
    return draw_weighted(weights, n, seed, "long-tail class")


# Class id -> number of images, number of classes, seed -> chosen classes.
STRATEGIES: dict[str, Callable[[dict[str, int], int, int], list[str]]] = {
    "random": _choose_random,
    "stratified": _choose_most_frequent,
    "long_tail": _choose_long_tail,
}


def _group(keys: Sequence[str], labels: Sequence[str | None]) -> Classes:
    classes: Classes = {}
    for row, (key, label) in enumerate(zip(keys, labels, strict=True)):
        if label is not None:
            classes.setdefault(label, {})[key] = row
    return classes


def _eligible(classes: Classes, k: int) -> dict[str, int]:
    return {class_id: len(images) for class_id, images in classes.items() if len(images) >= k}


def _notices(classes: Classes, n_unlabelled: int, config: FewShotConfig) -> Iterable[str]:
    if n_unlabelled:
        yield f"images without a class, in no split: {n_unlabelled}"
    for k in dict.fromkeys(config.k_shots):
        n_eligible = len(_eligible(classes, k))
        if 0 < n_eligible < config.n_classes:
            have = f"{n_eligible} of {len(classes)} {'has' if n_eligible == 1 else 'have'} {counted(k, 'image')}"
            yield f"{k}-shot: {config.n_classes} classes were asked for; {have}"


def _require_known(strategies: Iterable[str]) -> None:
    for strategy in strategies:
        if strategy not in STRATEGIES:
            raise ConfigError(f"few-shot strategy {strategy!r} is not known; allowed: {', '.join(STRATEGIES)}")
