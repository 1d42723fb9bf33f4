"""A finished run, read again from its results: what the report and the review desk go by.

Only what `run.json` names is read, so results of earlier runs that lie beside those of this one play no part. Images
are known by their place in the run's own table; a picture is its rendition, or a thumbnail made of its file, whose
bytes must be those that were analysed.

Shapes: n images of all datasets.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.decisions.records import Decision, Pair
from overlens.decisions.store import DecisionStore
from overlens.errors import ConfigError, DecodeError, StoreError
from overlens.evidence import read_rendition
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.run_record import FORMAT
from overlens.store.blobs import Blobs
from overlens.thumbnails import Thumbnails

if TYPE_CHECKING:
    import pyarrow

NO_NUMBER = -1


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Every kept image of a run, dataset after dataset.

    Attributes:
        dataset_names: The datasets in the order of the run.
        datasets: `(n,)` int16 place of each image's dataset.
        names: Name of each image.
        label_names: The labels, as people should read them.
        labels: `(n,)` int32 place of each image's label, or `NO_NUMBER`.
        groups: `(n,)` int32 group of copies, or `NO_NUMBER`.
        sizes_px: `(n, 2)` int32 width and height of the upright picture; 0 where not known.
        paths: `(n,)` file of each, as bytes; empty where the run read none.
        digests: SHA-256 of each file; empty likewise.
        renditions: Where the rendition of each is; None where the run kept none.
    """

    dataset_names: tuple[str, ...]
    datasets: NDArray[np.int16]
    names: tuple[str, ...]
    label_names: tuple[str, ...]
    labels: NDArray[np.int32]
    groups: NDArray[np.int32]
    sizes_px: NDArray[np.int32]
    paths: tuple[bytes, ...]
    digests: tuple[bytes, ...]
    renditions: Blobs | None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def has_pictures(self) -> bool:
        """Whether the run read images."""
        return bool(self.paths)

    def rows_by_name(self) -> dict[tuple[str, str], int]:
        """Return the place of each image by its dataset and name."""
        owners = [self.dataset_names[place] for place in self.datasets.tolist()]
        return {key: row for row, key in enumerate(zip(owners, self.names, strict=True))}

    def digests_by_name(self) -> dict[tuple[str, str], bytes]:
        """Return the SHA-256 of each image's file by its dataset and name; none where the run read no images."""
        return {key: self.digests[row] for key, row in self.rows_by_name().items()} if self.has_pictures else {}


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run whose results lie below `root`.

    Attributes:
        root: Folder that holds `dataset/`.
        version: Of overlens that made them.
        arguments: Arguments of `overlens compute` that make them again.
        sources: Dataset -> where its images are listed, as it was given.
        notices: What the run told its user.
        files: Every file that the run made.
        numbers: What `overlap.json` holds.
        images: Every kept image.
        decisions: What people said of pairs up to now, in part perhaps after the run.
    """

    root: Path
    version: str
    arguments: tuple[str, ...]
    sources: Mapping[str, str]
    notices: tuple[str, ...]
    files: frozenset[Path]
    numbers: Mapping[str, Any]
    images: ImageTable
    decisions: Mapping[Pair, Decision]

    @classmethod
    def open(cls, root: Path) -> "FinishedRun":
        """Read a run again.

        Raises:
            ConfigError: There are no results of a finished run, or those of a run that another version wrote.
            StoreError: They cannot be read, or are damaged.
        """
        layout = CrossLayout(root)
        record = _read_record(layout)
        numbers = read_json(layout.overlap)
        try:
            return cls._of(root, record, numbers)
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"{layout.run} does not fit the results beside it ({error!r}); run overlens compute again"
            ) from error

    @classmethod
    def _of(cls, root: Path, record: Mapping[str, Any], numbers: Mapping[str, Any]) -> "FinishedRun":
        layout = CrossLayout(root)
        return cls(
            root,
            record["overlens"],
            tuple(record["arguments"]),
            record["sources"],
            tuple(record["notices"]),
            frozenset(root / name for name in record["files"]),
            numbers,
            _read_images(layout.images, root, tuple(numbers["datasets"])),
            DecisionStore(layout.decisions).latest(),
        )

    @property
    def layout(self) -> CrossLayout:
        """Its results across datasets."""
        return CrossLayout(self.root)

    def of_dataset(self, name: str) -> AnalysisLayout:
        """Its results of one dataset."""
        return AnalysisLayout(self.root, name)

    def made(self, path: Path) -> bool:
        """Whether a file is a result of this run."""
        return path in self.files

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets in the order of the run."""
        return self.images.dataset_names

    def picture(self, row: int) -> NDArray[np.uint8]:
        """Return `(h, w, 3)` uint8 pixels of an image, at most 512 a side.

        Raises:
            DecodeError: Its file is gone, holds other bytes by now, or cannot be decoded.
            StoreError: Its rendition is damaged.
        """
        if self.images.renditions is not None:
            return read_rendition(self.images.renditions.get(row))
        if not self.images.has_pictures:
            raise DecodeError("the run read no images")
        digest, path = self.images.digests[row].hex(), Path(os.fsdecode(self.images.paths[row]))
        return _thumbnails(self.root, self.datasets[int(self.images.datasets[row])]).get(digest, path)


@lru_cache(maxsize=64)
def _thumbnails(root: Path, dataset: str) -> Thumbnails:
    return Thumbnails.open(AnalysisLayout(root, dataset).store)


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return what a JSON file of results holds; raises StoreError if it is gone or damaged."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}; run overlens compute again") from error
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error}); run overlens compute again") from error


def _read_record(layout: CrossLayout) -> Mapping[str, Any]:
    if not layout.run.exists():
        raise ConfigError(
            f"there is no finished run below {layout.root} (no file {layout.run}); give the folder that holds "
            "dataset/cross, or run overlens compute first"
        )
    record = read_json(layout.run)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ConfigError(
            f"{layout.run} is of another version of overlens, {_version_of(record)}; run overlens compute again"
        )
    return record


def _version_of(record: object) -> str:
    return str(record.get("overlens", "unknown")) if isinstance(record, dict) else "unknown"


def _read_images(path: Path, root: Path, datasets: tuple[str, ...]) -> ImageTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read().unify_dictionaries().combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read ({error}); run overlens compute again") from error
    owners = {name: place for place, name in enumerate(datasets)}
    names, codes = _dictionary(table["dataset"])
    of_code = np.array([owners[name] for name in names], np.int16)
    label_names, labels = _dictionary(table["label"])
    is_read = table["path"].null_count == 0
    return ImageTable(
        datasets,
        of_code[codes] if len(names) else np.zeros(0, np.int16),
        tuple(table["image"].to_pylist()),
        label_names,
        labels,
        _numbers(table["group"], NO_NUMBER).astype(np.int32),
        np.stack([_numbers(table[side], 0) for side in ("width", "height")], axis=1).astype(np.int32),
        tuple(table["path"].to_pylist()) if is_read else (),
        tuple(table["sha256"].to_pylist()) if is_read else (),
        _blobs(table, root) if table["shard"].null_count == 0 else None,
    )


def _dictionary(column: "pyarrow.ChunkedArray") -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Return the texts of a column, and the place of each row's text among them, -1 where it has none."""
    encoded = column.combine_chunks()
    names = tuple(encoded.dictionary.to_pylist())
    return names, _numbers(encoded.indices, NO_NUMBER).astype(np.int32)


def _numbers(column: "pyarrow.ChunkedArray | pyarrow.Array", missing: int) -> NDArray[np.int64]:
    return np.asarray(column.fill_null(missing).to_numpy(), np.int64)


def _blobs(table: "pyarrow.Table", root: Path) -> Blobs:
    folders, shards = _dictionary(table["shard"])
    extents = np.stack([_numbers(table[name], 0) for name in ("start", "end", "crc32")], axis=1)
    return Blobs(tuple(root / folder for folder in folders), shards.astype(np.intp), extents)
