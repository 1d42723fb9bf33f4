"""Records of the figures of transfer: each with all images, without the overlap, and the difference.

Shapes: none; these are numbers.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from overlens.tables import rounded

FIGURE_COLUMNS = (
    *("source", "target", "figure", "average", "images", "value", "lower", "upper"),
    *("n_train", "n_test", "n_classes"),
)
CLASS_COLUMNS = ("source", "target", "class", "figure", "images", "value", "n_train", "n_test", "n_right")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number with what it rests on; of a difference, by how many images and classes the two sides differ.

    Attributes:
        value: The figure; None where it cannot be had.
        lower: Lower end of its 95% range; None without.
        upper: Upper end.
        n_train: Images of the source that it rests on; of a distance, those of one half.
        n_test: Images of the target, likewise.
        n_classes: Classes that it is an average of; None for a distance.
    """

    value: float | None
    lower: float | None
    upper: float | None
    n_train: int
    n_test: int
    n_classes: int | None

    def to_json(self) -> dict[str, object]:
        """Return the fields, floats rounded to 6 digits."""
        return {name: rounded(value) for name, value in asdict(self).items()}


def subtract(every: Estimate, without: Estimate, ends: tuple[float, float] | None) -> Estimate:
    """Return the difference of two estimates, whose own 95% range is `ends`."""
    is_known = every.value is not None and without.value is not None
    return Estimate(
        every.value - without.value if every.value is not None and without.value is not None else None,
        ends[0] if ends and is_known else None,
        ends[1] if ends and is_known else None,
        every.n_train - without.n_train,
        every.n_test - without.n_test,
        None if every.n_classes is None or without.n_classes is None else every.n_classes - without.n_classes,
    )


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a pair of datasets.

    Attributes:
        name: What is measured, such as "accuracy_knn".
        average: "class" (each class counts the same), "plain" (each image does), or "" for a distance.
        every: With all images.
        without: Without the images that have a copy in the other dataset; None where nothing was verified, or where
            it would rest on copies that nobody looked for.
        difference: `every` less `without`, with the interval of the paired difference; None likewise.
        copies_unknown: Why the copies that the figure rests on are not all known, in words; "" where they are.
    """

    name: str
    average: str
    every: Estimate
    without: Estimate | None = None
    difference: Estimate | None = None
    copies_unknown: str = ""

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """Yield "all", "without_overlap" and "difference" with what there is of them."""
        for images, one in (("all", self.every), ("without_overlap", self.without), ("difference", self.difference)):
            if one is not None:
                yield images, one

    def to_json(self) -> dict[str, object]:
        """Return the figure with its three estimates, null for those that cannot be had.

        `copies_unknown` stands only where copies are not known, so that a figure that has it is to be read with it.
        """
        unknown = {"copies_unknown": self.copies_unknown} if self.copies_unknown else {}
        return {
            "figure": self.name,
            "average": self.average,
            "all": self.every.to_json(),
            "without_overlap": None if self.without is None else self.without.to_json(),
            "difference": None if self.difference is None else self.difference.to_json(),
            **unknown,
        }


@dataclass(frozen=True, slots=True)
class ClassFigure:
    """One figure of one common class.

    Attributes:
        class_name: Name of the class.
        figure: What is measured.
        images: "all" or "without_overlap".
        value: The figure; None where no image of the class is tested.
        n_train: Source images of the class; in-domain, images of the class that the folds hold.
        n_test: Target images of the class that it rests on.
        n_right: Recognised ones; None for a similarity.
    """

    class_name: str
    figure: str
    images: str
    value: float | None
    n_train: int
    n_test: int
    n_right: int | None

    def to_json(self) -> dict[str, object]:
        """Return the fields, floats rounded to 6 digits."""
        return {"class": self.class_name} | {
            name: rounded(value) for name, value in asdict(self).items() if name != "class_name"
        }


@dataclass(frozen=True, slots=True)
class Removed:
    """The images that have a copy in the other dataset: how many of how many."""

    n_removed: int
    n_images: int


@dataclass(frozen=True, slots=True)
class PairTransfer:
    """How the classes of one dataset carry over to another, or to itself (in-domain figures only).

    Attributes:
        source: Name of the dataset that is learnt from.
        target: Name of the dataset that is tested.
        n_common_classes: Classes that both have.
        n_left_out: Target images of common classes that cross-validation cannot test.
        removed_source: Source images with a copy in the target; None where nothing was verified.
        removed_target: Target images with a copy in the source; None likewise.
        figures: Figures over all classes.
        classes: Figures of each class.
        notices: Sentences that the user should read.
    """

    source: str
    target: str
    n_common_classes: int
    n_left_out: int
    removed_source: Removed | None
    removed_target: Removed | None
    figures: tuple[Figure, ...]
    classes: tuple[ClassFigure, ...]
    notices: tuple[str, ...] = ()

    def figure(self, name: str, average: str = "class") -> Figure:
        """Return one figure; raises KeyError where the pair has none of that name and average."""
        for one in self.figures:
            if (one.name, one.average) == (name, average):
                return one
        raise KeyError(f"{self.source} to {self.target} has no figure {name!r} with average {average!r}")

    def to_json(self) -> dict[str, object]:
        """Return everything as plain dictionaries and lists, floats rounded to 6 digits."""
        return {
            "source": self.source,
            "target": self.target,
            "n_common_classes": self.n_common_classes,
            "n_left_out": self.n_left_out,
            "removed_source": None if self.removed_source is None else asdict(self.removed_source),
            "removed_target": None if self.removed_target is None else asdict(self.removed_target),
            "figures": [one.to_json() for one in self.figures],
            "classes": [one.to_json() for one in self.classes],
            "notices": list(self.notices),
        }

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Yield one row of `FIGURE_COLUMNS` a figure and choice of images; nothing is rounded."""
        for one in self.figures:
            for images, at in one.estimates():
                ends = (at.value, at.lower, at.upper, at.n_train, at.n_test, at.n_classes)
                yield (self.source, self.target, one.name, one.average, images, *ends)

    def class_rows(self) -> Iterator[tuple[object, ...]]:
        """Yield one row of `CLASS_COLUMNS` a class, figure and choice of images; nothing is rounded."""
        for one in self.classes:
            counts = (one.n_train, one.n_test, one.n_right)
            yield (self.source, self.target, one.class_name, one.figure, one.images, one.value, *counts)
