"""Read features that are already there: `analysis/embeddings.npy` with `names.json`, and `hashes.json` beside them.

Rows within 2e-3 of length 1 are used as stored, because published vectors are often rounded to half precision; else all
rows are scaled to length 1, and a notice says so. A row that is no direction (not finite, or zero) becomes a failure.
Float32 rows that need no change stay memory-mapped; any others are copied into memory, 4 bytes a value.

Shapes: n published rows, d dimensions, b bytes of a packed hash.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from overlens.config import DatasetSpec
from overlens.decode import image_extensions
from overlens.errors import DatasetError, StoreError
from overlens.hashes import hashes_from_hex
from overlens.layout import AnalysisLayout, InputLayout
from overlens.records import Failure, Features, FloatRows, HashRows
from overlens.sources.labels import Labels, Unlabelled, count_repeated, find_labels, read_class_names
from overlens.sources.textfiles import read_json

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
    """

    features: Features
    n_bits: int | None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """Folders of one dataset: results, and lists and labels; their file names are those of the layouts."""

    analysis: AnalysisLayout
    data: InputLayout


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


class _AnalysisAt(AnalysisLayout):
    """Results in the folder `root` itself."""

    __slots__ = ()

    @property
    def folder(self) -> Path:
        """The `analysis` folder."""
        return self.root


class _DataAt(InputLayout):
    """Lists and labels in the folder `root` itself."""

    __slots__ = ()

    @property
    def data(self) -> Path:
        """Folder of lists and labels."""
        return self.root


def load_published(spec: DatasetSpec, root: Path, *, use_ground_truth: bool = False) -> Published:
    """Read the published features of one dataset.

    Args:
        spec: The dataset. Without a path its `analysis` folder is in the documented layout under `root`; a path is such
            a folder, or the `-data` folder or the dataset folder that belongs to it.
        root: Folder that holds `dataset/`.
        use_ground_truth: Take the classes from `2_ground_truth.json` in the `-data` folder.

    Raises:
        DatasetError: Files are missing or malformed, or do not agree in length, or a name stands twice.
    """
    place = _find_place(spec, root)
    names = _read_names(place)
    hashes, n_bits = _read_hashes(place, len(names))
    stored = _open_embeddings(place, len(names), needed=hashes is None)
    measured = _Measured(np.ones(len(names)), {}) if stored is None else _measure(stored)
    labels = _find_classes(place, names, use_ground_truth)
    kept = [row for row in range(len(names)) if row not in measured.faults]
    features = Features(
        dataset=spec.name,
        keys=_pick(names, kept),
        labels=_pick(labels.values, kept),
        label_source=labels.source,
        class_names=read_class_names(place.data.classes),
        embeddings=None if stored is None else _as_unit_rows(stored, measured, kept),
        hashes=hashes if hashes is None or len(kept) == len(names) else hashes[kept],
        failures=tuple(Failure(spec.name, names[row], reason) for row, reason in measured.faults.items()),
    )
    return Published(features, n_bits, (*_notice_lengths(place, stored, measured), *labels.notices))


def _find_place(spec: DatasetSpec, root: Path) -> _Place:
    if spec.path is None:
        place = _Place(AnalysisLayout(root, spec.name), InputLayout(root, spec.name))
        if place.analysis.names.is_file():
            return place
        looked_at = [place.analysis.folder]
    else:
        given = spec.path.absolute()
        looked_at = [given, given / "analysis", given.parent / f"{given.name}-data" / "analysis"]
        for folder in looked_at:
            data = folder.parent if folder.name == "analysis" else folder
            place = _Place(_AnalysisAt(folder, spec.name), _DataAt(data, spec.name))
            if place.analysis.names.is_file():
                return place
    raise DatasetError(
        f"no published embeddings of {spec.name!r}: there is no {place.analysis.names.name} in "
        f"{' or '.join(map(str, looked_at))}; give the analysis folder: NAME=PATH, or leave out --from-embeddings"
    )


def _read_names(place: _Place) -> tuple[str, ...]:
    path = place.analysis.names
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise DatasetError(f"{path} holds {content!r:.60}; wanted is a list of image names, one a row")
    names = tuple(str(name) for name in content)
    for row, name in enumerate(content):
        if isinstance(name, bool) or not isinstance(name, str | int) or not names[row]:
            raise DatasetError(f"{path}: entry {row + 1} is {name!r:.60}; wanted is an image name")
    repeated = count_repeated(names)[1]
    if repeated:
        raise DatasetError(
            f"{path} holds {len(repeated)} names more than once (first: {repeated[0]!r}); give every row its own name"
        )
    return names


def _open_embeddings(place: _Place, n_names: int, *, needed: bool) -> NDArray[np.floating] | None:
    """Return the `(n, d)` rows as stored, memory-mapped; None if there is no such file and none is needed."""
    path = place.analysis.embeddings
    if not path.is_file():
        if needed:
            raise DatasetError(f"neither {path} nor {place.analysis.hashes.name} beside it exists; give one of them")
        return None
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"cannot read {path} as a NumPy array: {error}; save it again with numpy.save") from error
    if not isinstance(rows, np.ndarray) or not np.issubdtype(rows.dtype, np.floating):
        kind = rows.dtype if isinstance(rows, np.ndarray) else "an archive of arrays"
        raise DatasetError(f"{path} holds {kind}; wanted is one array of floating-point numbers")
    if rows.ndim != 2 or rows.shape[1] == 0 or len(rows) != n_names:
        names = place.analysis.names.name
        raise DatasetError(
            f"{path} has the shape {rows.shape} and {names} names {n_names} images; wanted is ({n_names}, dimensions)"
        )
    return rows


def _read_hashes(place: _Place, n_names: int) -> tuple[HashRows | None, int | None]:
    path = place.analysis.hashes
    if not path.is_file():
        return None, None
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(value, str) for value in content):
        raise DatasetError(f"{path} holds no list of hashes; wanted is one hash in hexadecimal a row")
    if len(content) != n_names:
        names = place.analysis.names.name
        raise DatasetError(f"{path} holds {len(content)} hashes and {names} names {n_names} images; wanted is one each")
    try:
        return hashes_from_hex(content)
    except StoreError as error:
        raise DatasetError(f"{path}: {error}") from error


def _find_classes(place: _Place, names: tuple[str, ...], use_ground_truth: bool) -> Labels:
    images = Unlabelled(
        keys=names,
        paths=names,
        listed=names,
        extensions=image_extensions(),
        labels_file=place.analysis.labels,
        ground_truth_file=place.data.ground_truth,
    )
    return find_labels(images, use_ground_truth=use_ground_truth)


def _measure(rows: NDArray[np.floating]) -> _Measured:
    """Measure the length of each row and find those that are no direction.

    Each row is scaled by its largest value first, so that no square overflows or vanishes.
    """
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


def _notice_lengths(place: _Place, rows: NDArray[np.floating] | None, measured: _Measured) -> tuple[str, ...]:
    if rows is None or measured.are_unit:
        return ()
    usable = np.delete(measured.lengths, list(measured.faults))
    lengths = f"{usable.min():.3g} to {usable.max():.3g}"
    return (f"{place.analysis.embeddings.name}: rows have lengths from {lengths}; all are scaled to length 1",)


def _pick(values: tuple[T, ...], rows: list[int]) -> tuple[T, ...]:
    return tuple(values[row] for row in rows)
