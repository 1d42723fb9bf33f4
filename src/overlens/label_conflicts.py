"""Which copies of one picture have classes that do not match: as columns, and as one record each when asked for.

A conflict is a pair of images. Held are their rows, the verdict and the group, 17 bytes a pair; names, classes and keys
are looked up when a conflict is read, as two large collections may have a hundred thousand of them.

Shapes: n images in all, q conflicts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter, eq
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from overlens.class_matching import NO_CLASS, DatasetClasses
from overlens.columns import Column, require_columns
from overlens.frames import make_frame
from overlens.records import Features
from overlens.roster import Roster
from overlens.tables import csv_text, rounded, write_csv
from overlens.verdicts import VERDICTS

if TYPE_CHECKING:
    import pandas

_ROWS_AT_ONCE = 4096

THROUGH_OTHERS = len(VERDICTS)
"""Verdict code of two images that are copies through other images only."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two copies of one picture whose classes do not match.

    Attributes:
        dataset_1: Dataset of the first image.
        image_1: Key of the first image.
        class_1: Its class id.
        name_1: The name of that class.
        dataset_2: Dataset of the second image, the same as the first or a later one of the run.
        image_2: Key of the second image.
        class_2: Its class id.
        name_2: The name of that class.
        verdict: Rung by which the two are copies; None where they are so through other images only.
        strength: How sure that verdict is within its rung, 0 to 1; None likewise.
        group: Number of their group of copies.
    """

    dataset_1: str
    image_1: str
    class_1: str
    name_1: str
    dataset_2: str
    image_2: str
    class_2: str
    name_2: str
    verdict: str | None
    strength: float | None
    group: int


CONFLICT_COLUMNS = tuple(one.name for one in fields(Conflict))
_VALUES = attrgetter(*CONFLICT_COLUMNS)


@dataclass(frozen=True, slots=True, eq=False)
class ImageLabels:
    """The classes of the images of all datasets.

    Attributes:
        roster: The datasets.
        classes: The classes of each.
        keys: The keys of the images of each.
        codes: `(n,)` int32, place of each image's class among those of its dataset, or `NO_CLASS`.
    """

    roster: Roster
    classes: tuple[DatasetClasses, ...]
    keys: tuple[tuple[str, ...], ...]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, roster: Roster, features: Sequence[Features]) -> "ImageLabels":
        """Return the classes and keys of the kept images of each dataset, in the order of the roster."""
        classes = tuple(DatasetClasses.of_features(one) for one in features)
        parts = [np.empty(0, np.int32)]
        for own, one in zip(classes, features, strict=True):
            place = {class_id: code for code, class_id in enumerate(own.ids)}
            codes = (NO_CLASS if label is None else place[label] for label in one.labels)
            parts.append(np.fromiter(codes, np.int32, one.n_kept))
        return cls(roster, classes, tuple(one.keys for one in features), np.concatenate(parts))

    def numbers(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the class of each of some labelled images as one number, ascending by dataset, then by class id."""
        offsets = np.cumsum([0, *(len(one.ids) for one in self.classes)])
        return np.asarray(offsets[self.roster.dataset_of(rows)] + self.codes[rows], np.int64)

    def describe(self, rows: NDArray[np.integer]) -> Iterator[tuple[str, str, str, str]]:
        """Yield dataset, key, class id and class name of each of some labelled images."""
        owners, places = self.roster.dataset_of(rows).tolist(), self.roster.local(rows).tolist()
        for owner, place, code in zip(owners, places, self.codes[rows].tolist(), strict=True):
            classes = self.classes[owner]
            class_id = classes.ids[code]
            yield classes.dataset, self.keys[owner][place], class_id, classes.name_of(class_id)


@dataclass(frozen=True, slots=True, eq=False)
class Conflicts(Sequence[Conflict]):
    """Conflicts in their order; reads as a sequence of `Conflict`, of which a slice is one, too.

    Attributes:
        labels: The images that the rows refer to, with their classes.
        left: `(q,)` int32 global rows of the first images.
        right: `(q,)` int32 global rows of the second, each larger than that of the first.
        verdicts: `(q,)` uint8 codes of the verdicts, or `THROUGH_OTHERS`.
        strengths: `(q,)` float32, 0 to 1; of no meaning for those through others.
        groups: `(q,)` int32 numbers of the groups of copies.
    """

    labels: ImageLabels
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    verdicts: NDArray[np.uint8]
    strengths: NDArray[np.float32]
    groups: NDArray[np.int32]

    def __post_init__(self) -> None:
        wanted: dict[str, Column] = dict.fromkeys(("left", "right", "groups"), (np.int32, ()))
        require_columns(self, len(self.left), {**wanted, "verdicts": (np.uint8, ()), "strengths": (np.float32, ())})

    def __len__(self) -> int:
        return len(self.left)

    def __iter__(self) -> Iterator[Conflict]:
        for start in range(0, len(self), _ROWS_AT_ONCE):
            block = self[start : start + _ROWS_AT_ONCE]
            ends = self.labels.describe(block.left), self.labels.describe(block.right)
            columns = block.verdicts.tolist(), block.strengths.tolist(), block.groups.tolist()
            for first, second, code, strength, group in zip(*ends, *columns, strict=True):
                is_judged = code != THROUGH_OTHERS
                verdict, strength = (VERDICTS[code], strength) if is_judged else (None, None)
                yield Conflict(*first, *second, verdict, strength, group)

    @overload
    def __getitem__(self, place: int) -> Conflict: ...
    @overload
    def __getitem__(self, place: slice) -> "Conflicts": ...
    def __getitem__(self, place: int | slice) -> "Conflict | Conflicts":
        if isinstance(place, slice):
            return self._chosen(place)
        row = range(len(self))[place]  # raises IndexError as every sequence does
        return next(iter(self._chosen(slice(row, row + 1))))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Conflicts):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as of every record of arrays

    def between(self, dataset: str, other: str) -> "Conflicts":
        """Return those of two datasets, the earlier of the run first, or within one named twice, in their order.

        Raises:
            ValueError: There is no such dataset.
        """
        roster = self.labels.roster
        of_first = roster.dataset_of(self.left) == roster.number_of(dataset)
        return self._chosen(of_first & (roster.dataset_of(self.right) == roster.number_of(other)))

    def local_rows(self) -> list[tuple[int, int]]:
        """Return the rows of both images of each, within their datasets."""
        roster = self.labels.roster
        return list(zip(roster.local(self.left).tolist(), roster.local(self.right).tolist(), strict=True))

    def count_verdicts(self) -> dict[str | None, int]:
        """Return how many there are of each verdict that occurs, the surest first; None is through other images."""
        counts = np.bincount(self.verdicts, minlength=THROUGH_OTHERS + 1).tolist()
        return {verdict: n for verdict, n in zip((*VERDICTS, None), counts, strict=True) if n}

    def to_csv(self) -> str:
        """Return them as CSV with the fields of `Conflict`; no verdict and no strength are empty cells."""
        return csv_text(CONFLICT_COLUMNS, self._rows())

    def write_csv(self, path: Path) -> None:
        """Write what `to_csv` returns to a file, row by row."""
        write_csv(path, CONFLICT_COLUMNS, self._rows())

    def to_pandas(self) -> "pandas.DataFrame":
        """Return them as a table; raises MissingExtraError if pandas is not installed."""
        return make_frame(map(_VALUES, self), CONFLICT_COLUMNS, {"strength": "Float64"})

    def _chosen(self, places: slice | NDArray[np.bool_]) -> "Conflicts":
        ends, judged = (self.left[places], self.right[places]), (self.verdicts[places], self.strengths[places])
        return Conflicts(self.labels, *ends, *judged, self.groups[places])

    def _rows(self) -> Iterator[list[object]]:
        return ([rounded(value) for value in _VALUES(one)] for one in self)
