"""What models score with and without the images that another dataset holds: the records, and their tables.

Every figure comes with the number of images that it is of; what cannot be had is None.
"""

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from overlens.frames import make_frame
from overlens.tables import csv_text, rounded
from overlens.transfer.resampling import COVERED

if TYPE_CHECKING:
    import pandas

ANY = "any"
"""Stands for all other datasets together."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What is estimated, and the range that holds the middle 95 % of the draws.

    Attributes:
        value: The estimate.
        low: Lower end of the range.
        high: Upper end of the range.
        n_resamples: Draws that it comes from: those in which there was something to compare.
    """

    value: float
    low: float
    high: float
    n_resamples: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often a model is right on some images.

    Attributes:
        n: The images, 1 or more.
        n_right: Those of them whose class it predicts.
        n_classes: Their classes.
        accuracy: Share that is right, 0 to 1.
        balanced_accuracy: Mean of the shares of each class, 0 to 1.
        n_with_score: Images with a score.
        mean_score: Mean of their scores; None without.
    """

    n: int
    n_right: int
    n_classes: int
    accuracy: float
    balanced_accuracy: float
    n_with_score: int
    mean_score: float | None


@dataclass(frozen=True, slots=True)
class ModelScore:
    """What one model scores on a dataset, with and without the images that another holds.

    Attributes:
        model: Name of the model.
        dataset: The dataset whose images it was asked about.
        other: The other dataset, or `ANY`.
        on_all: On all images.
        on_leaked: On those that the other holds; None if there are none.
        on_clean: On the others, the contamination-adjusted score; None if there are none.
        difference: Accuracy on all less that on clean: what leakage adds. None if no image is clean, or none was drawn.
        balanced_difference: The same of the class-balanced accuracies.
        n_groups: Groups of copies and single images that were drawn from.
    """

    model: str
    dataset: str
    other: str
    on_all: Accuracy
    on_leaked: Accuracy | None
    on_clean: Accuracy | None
    difference: Interval | None
    balanced_difference: Interval | None
    n_groups: int

    def __post_init__(self) -> None:
        if self.n_leaked + self.n_clean != self.on_all.n:
            raise ValueError(f"{self.model}: {self.n_leaked} leaked and {self.n_clean} clean of {self.on_all.n} images")

    @property
    def n_leaked(self) -> int:
        """Images that the other dataset holds."""
        return 0 if self.on_leaked is None else self.on_leaked.n

    @property
    def n_clean(self) -> int:
        """Images that it does not hold."""
        return 0 if self.on_clean is None else self.on_clean.n

    @property
    def adjusted(self) -> float | None:
        """The contamination-adjusted score: accuracy on the clean images, 0 to 1."""
        return None if self.on_clean is None else self.on_clean.accuracy

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries for `json.dump`, floats rounded to 6 digits."""
        return {
            **{name: rounded(value) for name, value in asdict(self).items()},
            "n_leaked": self.n_leaked,
            "n_clean": self.n_clean,
            "adjusted": rounded(self.adjusted),
        }


@dataclass(frozen=True, slots=True)
class RankedModel:
    """Place of a model among all of a dataset; models with as many right share a rank, and the next ones are free.

    Attributes:
        model: Name of the model.
        n_right: Images on which it is right.
        rank: 1 for the best.
        n_right_clean: The same of clean images.
        rank_clean: The same by clean images; None if there are none.
    """

    model: str
    n_right: int
    rank: int
    n_right_clean: int
    rank_clean: int | None


@dataclass(frozen=True, slots=True)
class Swap:
    """Two models whose order is another on clean images: the other way round, or a tie on one side.

    Attributes:
        ahead: The model that has more right on all images; of a tie, the one that has not on clean ones.
        behind: The other.
        difference: Accuracy of `ahead` on all images less that of `behind`, from 0 to 1.
        clean_difference: The same on clean images, 0 or below unless the two tie on all; None if none was drawn.
    """

    ahead: str
    behind: str
    difference: float
    clean_difference: Interval | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The models of one dataset, ranked on the images that all of them predicted.

    Attributes:
        dataset: The dataset.
        other: The other dataset, or `ANY`.
        n: Images that all models predicted.
        n_clean: Those of them that the other does not hold.
        models: The models, best on all images first.
        swaps: Every two models whose order is another on clean images.
    """

    dataset: str
    other: str
    n: int
    n_clean: int
    models: tuple[RankedModel, ...]
    swaps: tuple[Swap, ...]

    @property
    def changes(self) -> bool | None:
        """Whether the order of the models is another on clean images; None if there are none."""
        return bool(self.swaps) if self.n_clean else None

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries and lists for `json.dump`, floats rounded to 6 digits."""
        return {**{name: rounded(value) for name, value in asdict(self).items()}, "changes": self.changes}


@dataclass(frozen=True, slots=True)
class PredictionScores:
    """What all models score, and how they rank.

    Attributes:
        scores: By dataset, model and other dataset, `ANY` last.
        rankings: By dataset and other dataset, where a dataset has several models.
        n_resamples: Draws of every interval.
        seed: Seed of the draws.
        notices: What the user should know.
    """

    scores: tuple[ModelScore, ...]
    rankings: tuple[Ranking, ...]
    n_resamples: int
    seed: int
    notices: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries and lists for `json.dump`, floats rounded to 6 digits."""
        return {
            "interval": {
                "coverage": COVERED,
                "n_resamples": self.n_resamples,
                "seed": self.seed,
                "generator": "PCG64",
            },
            "scores": [one.to_json() for one in self.scores],
            "rankings": [one.to_json() for one in self.rankings],
            "notices": list(self.notices),
        }

    def to_csv(self) -> str:
        """Return one row a score with the columns `SCORE_COLUMNS`, floats to 6 digits; what there is not is empty."""
        return csv_text(SCORE_COLUMNS, ([rounded(value) for value in _row(one)] for one in self.scores))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the same as a DataFrame; raises MissingExtraError if pandas is not installed."""
        whole = {f"{name}_{part}": "Int64" for part in _PARTS for name in ("n_right", "n_classes", "n_with_score")}
        real = {name: "Float64" for name in SCORE_COLUMNS[3:] if not name.startswith("n_")}
        return make_frame(map(_row, self.scores), SCORE_COLUMNS, {**whole, **real})


_PARTS = ("all", "leaked", "clean")
_DIFFERENCES = ("difference", "balanced_difference")
SCORE_COLUMNS = (
    *("model", "dataset", "other"),
    *(f"{one.name}_{part}" for part in _PARTS for one in fields(Accuracy)),
    *(name for kind in _DIFFERENCES for name in (kind, f"{kind}_low", f"{kind}_high")),
    *("n_resamples", "n_groups"),
)


def _row(one: ModelScore) -> tuple[object, ...]:
    figures: list[object] = [one.model, one.dataset, one.other]
    for part in (one.on_all, one.on_leaked, one.on_clean):
        for each in fields(Accuracy):
            # No image is a number, what they come to is not.
            figures.append(getattr(part, each.name) if part is not None else 0 if each.name == "n" else None)
    for difference in (one.difference, one.balanced_difference):
        figures += [None] * 3 if difference is None else [difference.value, difference.low, difference.high]
    return *figures, 0 if one.difference is None else one.difference.n_resamples, one.n_groups
