"""What the pictures show: one small input record per kind of picture.

The records hold numbers and the words to show beside them, so that a picture of one dataset and one of several, a PNG
and a page, come from the same functions and say the same.

Shapes: n images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.projections import METHOD_NAMES
from overlens.records import FloatRows, ModelInfo

if TYPE_CHECKING:
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
    """

    method: str
    coordinates: FloatRows
    names: tuple[str, ...]
    labels: tuple[str, ...]
    datasets: tuple[str, ...]
    label_source: str
    encoder: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.coordinates.shape != (n, 2) or len(self.labels) != n or len(self.datasets) != n:
            shape, lengths = self.coordinates.shape, (n, len(self.labels), len(self.datasets))
            raise ValueError(f"coordinates {shape} and names, labels, datasets {lengths} differ in length")

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """The datasets in order of first appearance."""
        return tuple(dict.fromkeys(self.datasets))

    def title(self, coloured_by: str) -> str:
        """Say what is drawn: method, datasets and colouring."""
        method = METHOD_NAMES[self.method]
        return f"{method} of {join_names(self.dataset_names or ('no dataset',))}, coloured by {coloured_by}"

    def subtitle(self) -> str:
        """Say from what it is drawn: number of images, encoder and source of labels."""
        return f"{count_of(len(self.names), 'image')} · {self.encoder} · labels: {self.label_source}"


@dataclass(frozen=True, slots=True)
class OverlapText:
    """The words beside an overlap.

    Attributes:
        criterion: When two images match, in words: "cosine similarity ≥ 0.9".
        encoder: The encoder in words, or "" where none took part.
        attempted: Dataset -> number of images that were attempted, where known.
    """

    criterion: str
    encoder: str = ""
    attempted: Mapping[str, int] = field(default_factory=dict)

    def title(self, overlap: "Overlap") -> str:
        """Say which datasets are compared."""
        names = overlap.datasets or ("no dataset",)
        return f"Images shared by {join_names(names) if len(names) <= 3 else f'{len(names)} datasets'}"

    def lines(self) -> tuple[str, ...]:
        """Say when two images match, and which encoder decided."""
        return (" · ".join(part for part in (f"two images match at {self.criterion}", self.encoder) if part),)

    def failures(self, overlap: "Overlap") -> tuple[str, ...]:
        """Name the images that were attempted and are not in the overlap, in one sentence or none."""
        failed = {name: self.attempted.get(name, size) - size for name, size in overlap.sizes.items()}
        parts = [f"{n:,} of {name}" for name, n in failed.items() if n > 0]
        return (f"Images that could not be read and are not counted: {join_names(parts)}.",) if parts else ()


@dataclass(frozen=True, slots=True)
class PairCard:
    """One pair in a gallery; pixels are `(height, width, 3)` uint8, or None where the image cannot be read any more."""

    left_name: str
    left_dataset: str
    left_label: str
    left_pixels: NDArray[np.uint8] | None
    right_name: str
    right_dataset: str
    right_label: str
    right_pixels: NDArray[np.uint8] | None
    score_text: str


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
