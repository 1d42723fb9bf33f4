"""What the pictures show: one small input record per kind of picture.

The records hold numbers and the words to show beside them, so that a picture of one dataset and one of several, a PNG
and a page, come from the same functions and say the same.

Shapes: n images.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.projections.methods import METHOD_NAMES
from overlens.records import FloatRows, ModelInfo
from overlens.report.names import names_in_words

if TYPE_CHECKING:
    from overlens.curves import OverlapCurve
    from overlens.overlap import Overlap

COLOURINGS = ("dataset", "label")


def describe_encoder(model: ModelInfo | None) -> str:
    """Name the encoder as titles do; one that is not CLIP says so."""
    if model is None:
        return "unknown encoder"
    return f"encoder {model.name}" + ("" if model.is_clip is not False else " (not CLIP)")


def join_names(names: tuple[str, ...] | list[str]) -> str:
    """Join names as prose does: "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def count_of(n: int, singular: str) -> str:
    """Return the number with its noun: "1 image", "1,864 images", "2 classes"."""
    plural = singular + ("es" if singular.endswith("s") else "s")
    return f"{n:,} {singular if n == 1 else plural}"


def share_text(share: float) -> str:
    """Return a share with the figures that count: "0", "0.0013 %", "0.42 %", "3.4 %", "42 %", "99.9 %", "100 %".

    Only nothing shows as "0" and only everything as "100 %".
    """
    percent = 100 * share
    if percent in (0, 100):
        return "100 %" if percent else "0"
    if percent > 99:
        return f"{min(percent, 99.9):.1f} %"
    decimals = max(0, 1 - math.floor(math.log10(percent)))
    shown = f"{percent:.{decimals}f}"
    return (shown.rstrip("0").rstrip(".") if decimals else shown) + " %"


NOT_LOOKED_FOR = "not looked for"
"""What stands where a number would be, if nobody looked."""


@dataclass(frozen=True, slots=True)
class ProjectionView:
    """Images on a plane, of one dataset or of several; row i of every column is one image.

    Attributes:
        method: "tsne" or "umap".
        coordinates: `(n, 2)` float32, finite.
        names: Name of each image.
        labels: Label of each image as people should read it.
        datasets: Dataset of each image.
        label_source: Where the labels come from, in words.
        encoder: The encoder in words, see `describe_encoder`.
        notes: Sentences about adjusted values.
        colours: Colours of labels, no two alike, that other maps have, too; labels without one get what is left.
    """

    method: str
    coordinates: FloatRows
    names: tuple[str, ...]
    labels: tuple[str, ...]
    datasets: tuple[str, ...]
    label_source: str
    encoder: str
    notes: tuple[str, ...] = ()
    colours: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.coordinates.shape != (n, 2) or len(self.labels) != n or len(self.datasets) != n:
            shape, lengths = self.coordinates.shape, (n, len(self.labels), len(self.datasets))
            raise ValueError(f"coordinates {shape} and names, labels, datasets {lengths} differ in length")

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """The datasets in order of first appearance."""
        return tuple(dict.fromkeys(self.datasets))

    def title(self, coloured_by: str, *, drawn: bool) -> str:
        """Say what is drawn: method, datasets and colouring; `drawn` where letters may lack that a page has."""
        method = METHOD_NAMES[self.method]
        names = tuple(names_in_words(self.dataset_names).values()) if drawn else self.dataset_names
        return f"{method} of {join_names(names or ('no dataset',))}, coloured by {coloured_by}"

    def subtitle(self) -> str:
        """Say from what it is drawn: number of images, encoder and source of labels."""
        return f"{count_of(len(self.names), 'image')} · {self.encoder} · labels: {self.label_source}"


@dataclass(frozen=True, slots=True)
class OverlapText:
    """The words beside an overlap.

    Attributes:
        criterion: When two images match, in words: "at cosine similarity ≥ 0.9".
        encoder: The encoder in words, or "" where none took part.
        attempted: Dataset -> number of images that were attempted, where known.
    """

    criterion: str
    encoder: str = ""
    attempted: Mapping[str, int] = field(default_factory=dict)

    def title(self, overlap: "Overlap") -> str:
        """Say which datasets are compared."""
        names = tuple(names_in_words(overlap.datasets).values()) or ("no dataset",)
        if len(names) == 1:
            return f"Images with a match within {names[0]}"
        return f"Images shared by {join_names(names) if len(names) <= 3 else f'{len(names)} datasets'}"

    def lines(self) -> tuple[str, ...]:
        """Say when two images match, and which encoder decided."""
        return (" · ".join(part for part in (f"two images match {self.criterion}", self.encoder) if part),)

    def failures(self, overlap: "Overlap") -> tuple[str, ...]:
        """Name the images that were attempted and are not in the overlap, in one sentence or none."""
        failed = {name: self.attempted.get(name, size) - size for name, size in overlap.sizes.items()}
        words = names_in_words(overlap.datasets)
        parts = [f"{n:,} of {words[name]}" for name, n in failed.items() if n > 0]
        return (f"Images that could not be read and are not counted: {join_names(parts)}.",) if parts else ()

    def unsought(self, overlap: "Overlap") -> tuple[str, ...]:
        """Name the dataset within which no match was looked for, in one sentence or none."""
        words = names_in_words(overlap.datasets)
        names = [words[name] for name, n_matched in overlap.within.items() if n_matched is None]
        return (f"Matches within {join_names(names)}, the reference, were not looked for.",) if names else ()


@dataclass(frozen=True, slots=True)
class ShownImage:
    """One image of a pair; pixels are `(height, width, 3)` uint8, or None where it cannot be read any more."""

    name: str
    label: str
    pixels: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True)
class PairCard:
    """One pair in a gallery, what was found of it in words, and how the right image differs from the left one."""

    left: ShownImage
    right: ShownImage
    found: str
    difference: str = ""


@dataclass(frozen=True, slots=True)
class GalleryText:
    """The words of a gallery.

    Attributes:
        datasets: Dataset of the left and of the right images; twice the same for pairs within one.
        n_pairs: Number of all pairs that were found; the picture says how many of them it shows.
        what: What the pairs are: "Alike images".
        order: Which pairs these are, where there are more: "the 10 most alike" of them.
        about: How to read them, in sentences or parts of one.
        none: What to say where there are no pairs.
    """

    datasets: tuple[str, str]
    n_pairs: int
    what: str
    order: str
    about: tuple[str, ...]
    none: str

    def title(self, n_shown: int) -> str:
        """Say what is shown, and how many of how many."""
        words = names_in_words(self.datasets)
        first, second = (words[name] for name in self.datasets)
        title = f"{self.what} within {first}" if first == second else f"{self.what} between {first} and {second}"
        if not n_shown:
            return title
        if n_shown < self.n_pairs:
            shown = f"the {n_shown} {self.order}" if n_shown > 1 else "one"
            return f"{title}: {shown} of {self.n_pairs:,} pairs"
        return f"{title}: {'the only pair' if n_shown == 1 else f'all {n_shown} pairs'}"


@dataclass(frozen=True, slots=True)
class TransferRow:
    """How alike one class is in two datasets; similarities are cosines, from -1 to 1.

    The centroid similarity is None where a mean vector is zero: such a class has a row and no bar.
    """

    label: str
    n_source: int
    n_target: int
    centroid_similarity: float | None
    mean_similarity: float


@dataclass(frozen=True, slots=True)
class TransferView:
    """How alike the common classes of two datasets are.

    Attributes:
        source: Name of the source dataset.
        target: Name of the target dataset.
        rows: One row per common class.
        overall: Mean of the centroid similarities over the common classes, or None if there is none.
        encoder: The encoder in words.
        label_source: Where the labels come from, in words.
    """

    source: str
    target: str
    rows: tuple[TransferRow, ...]
    overall: float | None
    encoder: str
    label_source: str


@dataclass(frozen=True, slots=True)
class CurveView:
    """How many images have a match at every threshold of one method.

    Attributes:
        curves: The curves of every dataset in every other and within itself, all over the same thresholds. A dataset
            within which nothing was looked for has no curve within itself.
        own: The run's own threshold of each curve, one of its thresholds.
        measure: What is compared with the threshold, in words: "cosine similarity", "Hamming distance of phash".
        encoder: The encoder in words, or "" where none took part.
    """

    curves: tuple["OverlapCurve", ...]
    own: tuple[float, ...]
    measure: str
    encoder: str = ""

    def __post_init__(self) -> None:
        if len({(curve.method, curve.thresholds) for curve in self.curves}) > 1:
            raise ValueError("curves of one picture must be of one method and over the same thresholds")
        for curve, threshold in zip(self.curves, self.own, strict=True):
            curve.count_at(threshold)  # which refuses a threshold that it has not

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets in order of first appearance."""
        return tuple(dict.fromkeys(curve.dataset for curve in self.curves))

    @property
    def common_threshold(self) -> float | None:
        """The threshold that all curves have, or None where they have several."""
        return self.own[0] if len(set(self.own)) == 1 else None

    @property
    def is_similarity(self) -> bool:
        """Whether a higher threshold is stricter."""
        return bool(self.curves) and self.curves[0].method == "cosine"

    def title(self) -> str:
        """Say what is drawn."""
        return f"How the overlap depends on the threshold: {self.measure}"

    def lines(self) -> tuple[str, ...]:
        """Say how to read it, and which encoder decided."""
        how = "each line: the share of a dataset's images with a match in another dataset, dashed: within the dataset"
        return (" · ".join(part for part in (how, self.encoder) if part),)


@dataclass(frozen=True, slots=True)
class SharedRegion:
    """The images whose copies lie in exactly these datasets.

    Attributes:
        datasets: Names of the datasets, at least one, none twice.
        n_groups: Number of groups of copies, each of which counts once however many images it has.
        n_images: Number of their images, in all of the datasets together.
    """

    datasets: tuple[str, ...]
    n_groups: int
    n_images: int

    def __post_init__(self) -> None:
        if not self.datasets or len(set(self.datasets)) != len(self.datasets):
            raise ValueError(f"a region needs at least one dataset and each once, got {self.datasets}")
        if not 0 <= self.n_groups * len(self.datasets) <= self.n_images:
            raise ValueError(
                f"{self.n_groups} groups of {self.datasets} cannot have {self.n_images} images: "
                "each has at least one in every dataset"
            )
