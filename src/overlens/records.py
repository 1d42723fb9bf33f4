"""What the stages hand to one another: small frozen records of columns.

A record checks its shapes and types when it is made, so that a mistake shows where it was made. Records hold no
open files and know nothing of disks; arrays may be memory-mapped.

Shapes: n images of a dataset, d dimensions of an embedding, b bytes of a packed hash, m pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatRows = NDArray[np.float32]
HashRows = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Failure:
    """One image that was attempted and could not be used."""

    dataset: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source lists of one dataset: row i is the image `keys[i]` at `paths[i]`.

    Attributes:
        dataset: Name of the dataset.
        keys: Identity of each image within the dataset; no key stands twice.
        paths: File of each image.
        labels: Class id of each image as published, or None for an image without a class.
        label_source: Where the labels come from, in words for titles ("labels.json", "class folders", "none").
        class_names: Class id -> name to show. An id that is not in it shows as itself.
        failures: Listed images that cannot be attempted any further (missing file, unsafe name).
        notices: Sentences about the listing that the user should read (blank lines, repeated names).
        identifiers: Value of the stated identifier column for each image, or None where an image has none; None as a
            whole where no column was asked for or the dataset has no such column.
    """

    dataset: str
    keys: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: tuple[str | None, ...]
    label_source: str
    class_names: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    notices: tuple[str, ...] = ()
    identifiers: tuple[str | None, ...] | None = None

    def __post_init__(self) -> None:
        identifiers = self.keys if self.identifiers is None else self.identifiers
        _require_same_length(
            self.dataset, keys=self.keys, paths=self.paths, labels=self.labels, identifiers=identifiers
        )
        _require_unique(self.dataset, self.keys)

    @property
    def n_attempted(self) -> int:
        """Number of images that the dataset names: those listed here and those that failed already."""
        return len(self.keys) + len(self.failures)


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of the kept images of one dataset, row by row.

    Attributes:
        dataset: Name of the dataset.
        keys: Identity of each kept image, in listing order.
        labels: Class id of each image or None.
        label_source: Where the labels come from, in words.
        class_names: Class id -> name to show.
        embeddings: `(n, d)` float32 rows of length 1 (to half-precision rounding), or None if no encoder ran.
        hashes: `(n, b)` uint8 packed perceptual hashes, or None if none were asked for.
        failures: Images that were attempted and not kept.
        identifiers: Value of the stated identifier column for each image; None where there is no such column.
    """

    dataset: str
    keys: tuple[str, ...]
    labels: tuple[str | None, ...]
    label_source: str = "none"
    class_names: Mapping[str, str] = field(default_factory=dict)
    embeddings: FloatRows | None = None
    hashes: HashRows | None = None
    failures: tuple[Failure, ...] = ()
    identifiers: tuple[str | None, ...] | None = None

    def __post_init__(self) -> None:
        columns: dict[str, object] = {"keys": self.keys, "labels": self.labels}
        if self.identifiers is not None:
            columns["identifiers"] = self.identifiers
        if self.embeddings is not None:
            _require_matrix("embeddings", self.embeddings, np.float32)
            columns["embeddings"] = self.embeddings
        if self.hashes is not None:
            _require_matrix("hashes", self.hashes, np.uint8)
            columns["hashes"] = self.hashes
        _require_same_length(self.dataset, **columns)
        _require_unique(self.dataset, self.keys)

    @property
    def n_kept(self) -> int:
        """Number of images with features."""
        return len(self.keys)

    @property
    def n_failed(self) -> int:
        """Number of images that were attempted and not kept."""
        return len(self.failures)

    @property
    def n_attempted(self) -> int:
        """Number of images that the dataset names."""
        return self.n_kept + self.n_failed

    def require_embeddings(self) -> FloatRows:
        """The embeddings; raises ValueError if no encoder ran."""
        if self.embeddings is None:
            raise ValueError(f"{self.dataset} has no embeddings")
        return self.embeddings

    def require_hashes(self) -> HashRows:
        """The packed hashes; raises ValueError if none were asked for."""
        if self.hashes is None:
            raise ValueError(f"{self.dataset} has no perceptual hashes")
        return self.hashes

    def shown_labels(self, class_names: Mapping[str, str] | None = None) -> list[str]:
        """Label of each image as people should read it; an image without a class shows as "unlabelled".

        Args:
            class_names: Names to use instead of the dataset's own, where several datasets are shown together.
        """
        names = self.class_names if class_names is None else class_names
        return ["unlabelled" if label is None else names.get(label, label) for label in self.labels]


@dataclass(frozen=True, slots=True)
class PairBlock:
    """Some pairs of rows, in no stated order.

    Attributes:
        left: `(m,)` int32 rows of the first dataset.
        right: `(m,)` int32 rows of the second; within one dataset `left < right`.
        scores: `(m,)` float32 cosine similarities or int32 Hamming distances in bits.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    scores: NDArray[np.float32] | NDArray[np.int32]

    def __post_init__(self) -> None:
        for name, column in (("left", self.left), ("right", self.right)):
            if column.dtype != np.int32 or column.ndim != 1:
                raise ValueError(f"{name} must be a column of int32, got {column.dtype} of shape {column.shape}")
        if self.scores.dtype not in (np.dtype(np.float32), np.dtype(np.int32)):
            raise ValueError(f"scores must be float32 or int32, got {self.scores.dtype}")
        _require_same_length("pairs", left=self.left, right=self.right, scores=self.scores)

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The encoder that made the embeddings, resolved to the bit: part of every fingerprint and every report.

    Attributes:
        name: What the user asked for ("ViT-B/32", "offline", "hf:org/name", a path).
        source: What it resolved to (a hub repository and file, a package and version, a local file).
        revision: Commit of the hub repository, version of the package, or "".
        weights_sha256: Digest of the weights file, or "" where nothing was loaded (`--from-embeddings`).
        precision: "fp32", "bf16" or "fp16" as resolved, or "unknown".
        dim: Dimensions of the embedding.
        preprocessing: Short exact description of how pixels become the input.
        is_clip: Whether this is a CLIP image tower; titles and tables say so where it is not. None if nobody knows.
    """

    name: str
    source: str
    revision: str
    weights_sha256: str
    precision: str
    dim: int
    preprocessing: str
    is_clip: bool | None


def _require_same_length(owner: str, **columns: object) -> None:
    lengths = {name: len(column) for name, column in columns.items()}  # type: ignore[arg-type]
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{owner}: columns differ in length: {lengths}")


def _require_unique(owner: str, keys: tuple[str, ...]) -> None:
    if len(set(keys)) != len(keys):
        raise ValueError(f"{owner}: {len(keys) - len(set(keys))} keys stand twice")


def _require_matrix(name: str, rows: np.ndarray, dtype: type) -> None:
    if rows.ndim != 2 or rows.dtype != dtype:
        raise ValueError(f"{name} must be a matrix of {np.dtype(dtype)}, got {rows.dtype} of shape {rows.shape}")
