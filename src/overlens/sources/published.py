"""Read features that are already there: `analysis/embeddings.npy` with `names.json`, and `hashes.json` beside them.

Rows within 2e-3 of length 1 are used as stored, because published vectors are often rounded to half precision; else all
rows are scaled to length 1, and a notice says so. A row that is no direction (not finite, or zero) becomes a failure.
Float32 rows that need no change stay memory-mapped; any others are copied into memory, 4 bytes a value.

Our own exports say in `features.json` what they hold; a file that it does not list is left over and is not read.

Shapes: n published rows, d dimensions, b bytes of a packed hash.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from overlens.config import DatasetSpec, HashConfig
from overlens.decode import SCALED_NOTICE, image_extensions
from overlens.records import Failure, Features, FloatRows, ModelInfo
from overlens.sources.cap import notice_cap
from overlens.sources.description import read_description
from overlens.sources.labels import Labels, Unlabelled, find_labels, read_class_names
from overlens.sources.published_files import Columns, Place, find_place, notice_files, read_columns, read_names

MAX_LENGTH_ERROR = 2e-3
_ROWS_AT_ONCE = 4096

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """What was read of one dataset.

    Attributes:
        features: The usable rows, in published order.
        n_bits: Length of the perceptual hashes in bits; None without hashes.
        notices: Sentences that the user should read.
        model: The encoder that made the embeddings; None where nobody knows, or without embeddings.
        hashing: The perceptual hash; None where nobody knows, or without hashes.
    """

    features: Features
    n_bits: int | None
    notices: tuple[str, ...] = ()
    model: ModelInfo | None = None
    hashing: HashConfig | None = None


@dataclass(frozen=True, slots=True)
class _Measured:
    """What the rows are: `faults[row]` is why a row cannot be used, `lengths` are `(n,)` float64."""

    lengths: NDArray[np.float64]
    faults: dict[int, str]

    @property
    def are_unit(self) -> bool:
        """Whether every usable row has length 1 to half-precision rounding."""
        usable = np.delete(self.lengths, list(self.faults))
        return bool(np.all(np.abs(usable - 1.0) <= MAX_LENGTH_ERROR))


def load_published(
    spec: DatasetSpec, root: Path, *, use_ground_truth: bool = False, max_images: int | None = None
) -> Published:
    """Read the published features of one dataset.

    Args:
        spec: The dataset. Without a path its `analysis` folder is in the documented layout under `root`; a path is such
            a folder, or the `-data` folder or the dataset folder that belongs to it.
        root: Folder that holds `dataset/`.
        use_ground_truth: Take the classes from `2_ground_truth.json` in the `-data` folder.
        max_images: Use the first so many names only, at least 1, those with an unusable row included.

    Raises:
        DatasetError: Files are missing or malformed, or do not fit together, or a name stands twice.
    """
    place = find_place(spec, root)
    names = read_names(place)
    description = read_description(place.analysis, len(names))
    stored = read_columns(place, names, description)
    columns = stored.first(max_images)
    measured = _measure(columns)
    labels = _find_classes(place, columns.names, names, use_ground_truth)
    return Published(
        features=_as_features(spec, place, columns, measured, labels),
        n_bits=columns.n_bits,
        notices=(
            *notice_files(place, description),
            *((SCALED_NOTICE,) if description and description.is_scaled else ()),
            *notice_cap(max_images, len(names)),
            *_notice_lengths(place, columns, measured),
            *labels.notices,
        ),
        model=description.model if description and columns.embeddings is not None else None,
        hashing=description.hashing if description and columns.hashes is not None else None,
    )


def _as_features(spec: DatasetSpec, place: Place, columns: Columns, measured: _Measured, labels: Labels) -> Features:
    names, hashes = columns.names, columns.hashes
    kept = [row for row in range(len(names)) if row not in measured.faults]
    return Features(
        dataset=spec.name,
        keys=_pick(names, kept),
        labels=_pick(labels.values, kept),
        label_source=labels.source,
        class_names=read_class_names(place.data.classes),
        embeddings=None if columns.embeddings is None else _as_unit_rows(columns.embeddings, measured, kept),
        hashes=hashes if hashes is None or len(kept) == len(names) else hashes[kept],
        failures=tuple(Failure(spec.name, names[row], reason) for row, reason in measured.faults.items()),
    )


def _find_classes(place: Place, names: tuple[str, ...], all_names: tuple[str, ...], use_ground_truth: bool) -> Labels:
    images = Unlabelled(
        keys=names,
        paths=names,
        all_paths=all_names,
        listed=all_names,
        extensions=image_extensions(),
        labels_file=place.analysis.labels,
        ground_truth_file=place.data.ground_truth,
    )
    return find_labels(images, use_ground_truth=use_ground_truth)


def _measure(columns: Columns) -> _Measured:
    """Measure the length of each row of embeddings and find those that are no direction.

    Each row is scaled by its largest value first, so that no square overflows or vanishes.
    """
    rows = columns.embeddings
    if rows is None:
        return _Measured(np.ones(len(columns.names)), {})
    lengths = np.empty(len(rows))
    faults: dict[int, str] = {}
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        tile = np.array(rows[start : start + _ROWS_AT_ONCE], np.float64)
        largest = np.abs(tile).max(axis=1)
        finite, zero = np.isfinite(largest), largest == 0.0
        for row in np.flatnonzero(~finite | zero):
            faults[start + int(row)] = "its embedding is zero" if zero[row] else "its embedding is not finite"
        scale = np.where(finite & ~zero, largest, 1.0)
        tile[~finite] = 0.0
        lengths[start : start + len(tile)] = scale * np.sqrt(np.square(tile / scale[:, None]).sum(axis=1))
    return _Measured(lengths, faults)


def _as_unit_rows(rows: NDArray[np.floating], measured: _Measured, kept: list[int]) -> FloatRows:
    if measured.are_unit and not measured.faults and rows.dtype == np.float32 and rows.flags.c_contiguous:
        return rows.astype(np.float32, copy=False)
    unit = np.empty((len(kept), rows.shape[1]), np.float32)
    for start in range(0, len(kept), _ROWS_AT_ONCE):
        chosen = kept[start : start + _ROWS_AT_ONCE]
        tile = np.asarray(rows[chosen], np.float64)
        unit[start : start + len(tile)] = tile if measured.are_unit else tile / measured.lengths[chosen, None]
    return unit


def _notice_lengths(place: Place, columns: Columns, measured: _Measured) -> tuple[str, ...]:
    if columns.embeddings is None or measured.are_unit:
        return ()
    usable = np.delete(measured.lengths, list(measured.faults))
    lengths = f"{usable.min():.3g} to {usable.max():.3g}"
    return (f"{place.analysis.embeddings.name}: rows have lengths from {lengths}; all are scaled to length 1",)


def _pick(values: tuple[T, ...], rows: list[int]) -> tuple[T, ...]:
    return tuple(values[row] for row in rows)
