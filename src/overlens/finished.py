"""A finished run, read again from its results: what the report and the review desk go by.

Only what `run.json` names is read, so results of earlier runs that lie beside those of this one play no part. Images
are known by their place in the run's own table; a picture is its rendition, or a thumbnail made of its file, whose
bytes must be those that were analysed.

Shapes: n images of all datasets.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.decisions.records import Decision, Pair
from overlens.decisions.store import DecisionStore
from overlens.errors import ConfigError, DecodeError, StoreError
from overlens.evidence import read_rendition
from overlens.image_table import ImageTable, read_images
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.run_record import FORMAT
from overlens.thumbnails import Thumbnails


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
        last_sample: Size and seed of the audit sample that was drawn last, or None.
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
    last_sample: tuple[int, int] | None

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
        store = DecisionStore(layout.decisions)
        return cls(
            root,
            record["overlens"],
            tuple(record["arguments"]),
            record["sources"],
            tuple(record["notices"]),
            frozenset(root / name for name in record["files"]),
            numbers,
            read_images(layout.images, root, tuple(numbers["datasets"])),
            store.latest(),
            next(reversed(store.samples()), None),
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
        thumbnails = _thumbnails(self.root, self.images.dataset(row))
        return thumbnails.get(self.images.digest(row).hex(), self.images.path(row))


def find_root(given: Path) -> Path:
    """Return the folder that holds `dataset/cross`, of which the given one may be a part."""
    places = given, *(given.absolute().parents[:2] if not CrossLayout(given).run.exists() else ())
    return next((place for place in places if CrossLayout(place).run.exists()), given)


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
