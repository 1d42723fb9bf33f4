"""Say which class of one dataset is which class of another, and where they contradict: from the pictures they share.

Two datasets that hold the same picture have each said what it shows. The bridge counts, for every two classes, the
pictures that one dataset gives the one and the other the other: a vocabulary made of evidence instead of names. A
picture is a group of verified copies, and counts once for every two classes however many images it has.

A conflict is a pair of copies whose classes do not match: by mapping, id or name between two datasets, and by id within
one, unless the mapping joins the two. It is no proof that one of them is wrong: a picture of two saints is rightly in
the class of either, and each image brings one class here, the first of its source.

Memory: a few columns over the images, the verified pairs and the pairs of classes of each group.

Shapes: n images in all, m verified pairs, q pairs of classes (of one group, each of one dataset).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations, combinations_with_replacement
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.class_matching import NO_CLASS, ClassMap, ClassMatch, match_classes
from overlens.counted import counted
from overlens.edges import Edges
from overlens.frames import make_frame
from overlens.groups.find import Groups
from overlens.label_conflicts import THROUGH_OTHERS, Conflicts, ImageLabels
from overlens.records import Features
from overlens.same_number import list_same_pairs
from overlens.tables import csv_text, rounded

if TYPE_CHECKING:
    import pandas

_PAIRS_AT_ONCE = 1 << 18
_LOW = (1 << 32) - 1
_MOST_NAMED = 6

Codes = NDArray[np.int32]
Couple = tuple[int, int]
Matches = Mapping[Couple, ClassMatch]
"""Two places in the roster, the smaller first or one twice -> which of their classes are one."""


@dataclass(frozen=True, slots=True)
class BridgeRow:
    """Two classes that share pictures.

    Attributes:
        class_a: Class id in the first dataset.
        name_a: Its name there.
        class_b: Class id in the second dataset.
        name_b: Its name there.
        n_pictures: Pictures that have the one in the first dataset and the other in the second, 1 or more.
        share_of_a: Their share of the pictures with `class_a` that both datasets have and label, above 0 to 1.
        share_of_b: The same of those with `class_b`.
        agrees: Whether the two classes are matched by mapping, id or name.
    """

    class_a: str
    name_a: str
    class_b: str
    name_b: str
    n_pictures: int
    share_of_a: float
    share_of_b: float
    agrees: bool


@dataclass(frozen=True, slots=True)
class LabelBridge:
    """Which class of one dataset is which class of another.

    Attributes:
        dataset_a: The first dataset.
        dataset_b: The second dataset.
        match: Which of their classes are one by mapping, id or name.
        rows: Every two classes that share a picture, by the first class id, then the most pictures first.
        n_shared_pictures: Pictures that both datasets have.
        n_with_both_labels: Those of them with a class in both.
        n_agreeing: Those of them whose classes all match.
    """

    dataset_a: str
    dataset_b: str
    match: ClassMatch
    rows: tuple[BridgeRow, ...]
    n_shared_pictures: int
    n_with_both_labels: int
    n_agreeing: int

    def __post_init__(self) -> None:
        if not 0 <= self.n_agreeing <= self.n_with_both_labels <= self.n_shared_pictures:
            counts = f"{self.n_agreeing} agreeing, {self.n_with_both_labels} labelled, {self.n_shared_pictures} shared"
            raise ValueError(f"{self.dataset_a} and {self.dataset_b}: {counts} pictures")

    @property
    def share_agreeing(self) -> float | None:
        """Share of the pictures with a class in both whose classes match; None if there are none."""
        return self.n_agreeing / self.n_with_both_labels if self.n_with_both_labels else None

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries and lists for `json.dump`, shares rounded to 6 digits."""
        return {
            "datasets": [self.dataset_a, self.dataset_b],
            "n_shared_pictures": self.n_shared_pictures,
            "n_with_both_labels": self.n_with_both_labels,
            "n_agreeing": self.n_agreeing,
            "share_agreeing": rounded(self.share_agreeing),
            "classes": [_row_json(row) for row in self.rows],
            "class_match": self.match.to_json(),
        }


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """What verified copies say of the labels of all datasets.

    Attributes:
        bridges: One for every two datasets, in the order of the run.
        conflicts: Copies whose classes do not match, the surest verdict first; those without one last. A sequence of
            `Conflict` records, which are made when they are read.
        n_conflicting_pictures: Groups of copies with a conflict.
        notices: What the user should know.
    """

    bridges: tuple[LabelBridge, ...]
    conflicts: Conflicts
    n_conflicting_pictures: int
    notices: tuple[str, ...]

    def bridge(self, dataset_a: str, dataset_b: str) -> LabelBridge:
        """Return the bridge of two datasets, in the order of the run; raises KeyError if there is none."""
        for one in self.bridges:
            if {one.dataset_a, one.dataset_b} == {dataset_a, dataset_b}:
                return one
        raise KeyError((dataset_a, dataset_b))

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries and lists for `json.dump`; the conflicts are for `conflicts_csv`."""
        return {
            "bridges": [one.to_json() for one in self.bridges],
            "n_conflicts": len(self.conflicts),
            "n_conflicts_by_verdict": {
                verdict or "through other images": n for verdict, n in self.conflicts.count_verdicts().items()
            },
            "n_conflicting_pictures": self.n_conflicting_pictures,
            "notices": list(self.notices),
        }

    def bridge_csv(self) -> str:
        """Return the rows of all bridges as CSV: dataset_a, dataset_b, then the fields of `BridgeRow`."""
        return csv_text(BRIDGE_COLUMNS, ([rounded(value) for value in row] for row in self._bridge_rows()))

    def conflicts_csv(self) -> str:
        """Return the conflicts as CSV with the fields of `Conflict`, no verdict and no strength as empty cells."""
        return self.conflicts.to_csv()

    def write_conflicts(self, path: Path) -> None:
        """Write what `conflicts_csv` returns to a file, row by row; raises StoreError if the system refuses."""
        self.conflicts.write_csv(path)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the rows of all bridges; raises MissingExtraError if pandas is not installed."""
        return make_frame(self._bridge_rows(), BRIDGE_COLUMNS)

    def conflicts_to_pandas(self) -> "pandas.DataFrame":
        """Return the conflicts; raises MissingExtraError if pandas is not installed."""
        return self.conflicts.to_pandas()

    def _bridge_rows(self) -> Iterator[tuple[object, ...]]:
        return ((one.dataset_a, one.dataset_b, *_ROW_VALUES(row)) for one in self.bridges for row in one.rows)


BRIDGE_COLUMNS = ("dataset_a", "dataset_b", *(one.name for one in fields(BridgeRow)))
_ROW_VALUES = attrgetter(*BRIDGE_COLUMNS[2:])


@dataclass(frozen=True, slots=True)
class _ClassPairs:
    """Every two classes that the images of one group have: two of one dataset, or of two, the earlier first.

    Attributes:
        groups: `(q,)` int32 their group.
        rows: `(q,)` int32 twice, the image that stands for each class.
        owners: `(q,)` int32 twice, place of the dataset.
        agrees: `(q,)` bool, the classes are one.
    """

    groups: Codes
    rows: tuple[Codes, Codes]
    owners: tuple[Codes, Codes]
    agrees: NDArray[np.bool_]


def compare_labels(
    groups: Groups, edges: Edges, features: Sequence[Features], class_map: ClassMap | None = None
) -> LabelComparison:
    """Compare the classes that copies of one picture have.

    Args:
        groups: The groups of copies of all datasets.
        edges: The judged pairs they were made of; those that are not verified are passed over.
        features: Classes and keys of each dataset, in the order of the roster.
        class_map: What the user calls the classes.

    Raises:
        ValueError: The features are not those that the groups are of.
    """
    roster = groups.roster
    if tuple((one.dataset, one.n_kept) for one in features) != tuple(zip(roster.datasets, roster.sizes, strict=True)):
        raise ValueError(f"features of {[one.dataset for one in features]} do not fit groups of {roster}")
    labels = ImageLabels.of(roster, features)
    every = combinations_with_replacement(range(len(features)), 2)
    matches = {(a, b): match_classes(labels.classes[a], labels.classes[b], class_map) for a, b in every}
    pairs = _pair_classes(groups, labels, matches)
    counts = groups.count_members() > 0
    bridges = tuple(
        _build_bridge(labels, (a, b), matches[a, b], pairs, int(np.count_nonzero(counts[:, a] & counts[:, b])))
        for a, b in combinations(range(len(features)), 2)
    )
    conflicts = _list_conflicts(groups, _find_judged(edges, labels, matches), labels, pairs)
    n_pictures = len(np.unique(pairs.groups[~pairs.agrees]))
    return LabelComparison(bridges, conflicts, n_pictures, tuple(_notices(bridges)))


def _agree(labels: ImageLabels, matches: Matches, left: Codes, right: Codes) -> NDArray[np.bool_]:
    """Return whether the classes of each two images are one, `(q,)`; the left one is of no later dataset."""
    owners = labels.roster.dataset_of(left), labels.roster.dataset_of(right)
    agrees = np.zeros(len(left), np.bool_)
    for (a, b), match in matches.items():
        chosen = np.flatnonzero((owners[0] == a) & (owners[1] == b))
        if len(chosen):
            here = match.codes("source", labels.classes[a].ids)[labels.codes[left[chosen]]]
            there = match.codes("target", labels.classes[b].ids)[labels.codes[right[chosen]]]
            agrees[chosen] = (here == there) & (here != NO_CLASS)
    return agrees


def _pair_classes(groups: Groups, labels: ImageLabels, matches: Matches) -> _ClassPairs:
    members = groups.members[labels.codes[groups.members] != NO_CLASS]
    classes, own = labels.numbers(members), groups.group_of[members]
    is_other = groups.representatives[own] != members if len(members) else np.empty(0, np.bool_)
    # One row for each class of a group in a dataset: by its representative, else its first image.
    order = np.lexsort((members, is_other, classes, own))
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (np.diff(own[order]) != 0) | (np.diff(classes[order]) != 0)
    kept = order[is_first]
    chosen, numbers = members[kept], own[kept]
    blocks = list(list_same_pairs(numbers, None, at_once=_PAIRS_AT_ONCE))
    left, right = (np.concatenate([np.empty(0, np.int32), *(block[side] for block in blocks)]) for side in (0, 1))
    rows = chosen[left], chosen[right]
    owners = labels.roster.dataset_of(rows[0]), labels.roster.dataset_of(rows[1])
    return _ClassPairs(numbers[left], rows, owners, _agree(labels, matches, *rows))


def _build_bridge(
    labels: ImageLabels, couple: Couple, match: ClassMatch, pairs: _ClassPairs, n_shared: int
) -> LabelBridge:
    here, there = (labels.classes[place] for place in couple)
    chosen = (pairs.owners[0] == couple[0]) & (pairs.owners[1] == couple[1])
    groups, codes = pairs.groups[chosen], [labels.codes[rows[chosen]] for rows in pairs.rows]
    n_with_a, n_with_b = (_count_pictures(groups, column) for column in codes)
    kinds, first, counts = np.unique(_pack(*codes), return_index=True, return_counts=True)
    agrees = pairs.agrees[chosen]
    rows = [
        BridgeRow(
            *(here.ids[a], here.name_of(here.ids[a]), there.ids[b], there.name_of(there.ids[b])),
            *(n, n / n_with_a[a], n / n_with_b[b], bool(agrees[place])),
        )
        for (a, b), place, n in zip(_unpack(kinds), first.tolist(), counts.tolist(), strict=True)
    ]
    rows.sort(key=lambda row: (row.class_a, -row.n_pictures, row.class_b))
    n_labelled = len(np.unique(groups))
    n_agreeing = n_labelled - len(np.unique(groups[~agrees]))
    return LabelBridge(here.dataset, there.dataset, match, tuple(rows), n_shared, n_labelled, n_agreeing)


def _pack(high: NDArray[np.integer], low: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return two columns of numbers from 0 to 2^31 - 1 as one, in the order of the first, then of the second."""
    return np.asarray(high.astype(np.int64) << 32 | low)


def _unpack(packed: NDArray[np.int64]) -> list[tuple[int, int]]:
    return list(zip((packed >> 32).tolist(), (packed & _LOW).tolist(), strict=True))


def _count_pictures(groups: Codes, codes: Codes) -> dict[int, int]:
    """Return class -> number of groups that have it."""
    numbers, counts = np.unique(np.unique(_pack(groups, codes)) & _LOW, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _find_judged(edges: Edges, labels: ImageLabels, matches: Matches) -> Edges:
    """Return the verified pairs whose classes are not one, surest first."""
    verified = edges.verified()
    has_classes = (labels.codes[verified.left] != NO_CLASS) & (labels.codes[verified.right] != NO_CLASS)
    judged = verified.chosen(has_classes)
    return judged.chosen(~_agree(labels, matches, judged.left, judged.right))


def _list_conflicts(groups: Groups, judged: Edges, labels: ImageLabels, pairs: _ClassPairs) -> Conflicts:
    """Return the judged conflicts, and behind them by group the others: classes that no judged pair of a group has."""
    numbers = groups.group_of[judged.left]
    places = np.flatnonzero(~pairs.agrees)
    left, right = (rows[places] for rows in pairs.rows)
    apart = np.concatenate([judged.left, left]), np.concatenate([judged.right, right])
    keys = _pack(np.concatenate([numbers, pairs.groups[places]]), _number_classes(labels, *apart))
    is_new = ~np.isin(keys[len(judged) :], keys[: len(judged)])
    left, right, places = left[is_new], right[is_new], places[is_new]
    n_others = len(places)
    return Conflicts(
        labels,
        np.concatenate([judged.left, np.minimum(left, right)]),
        np.concatenate([judged.right, np.maximum(left, right)]),
        np.concatenate([judged.verdicts, np.full(n_others, THROUGH_OTHERS, np.uint8)]),
        np.concatenate([judged.strengths, np.zeros(n_others, np.float32)]),
        np.concatenate([numbers, pairs.groups[places]]),
    )


def _number_classes(labels: ImageLabels, left: Codes, right: Codes) -> NDArray[np.int64]:
    """Return one number for the classes of each two images, `(q,)` int64 from 0, whichever image comes first."""
    one, other = labels.numbers(left), labels.numbers(right)
    both = _pack(np.minimum(one, other), np.maximum(one, other))
    return np.asarray(np.unique(both, return_inverse=True)[1], np.int64)


def _notices(bridges: Sequence[LabelBridge]) -> Iterator[str]:
    yield from _notice_apart(bridges)
    for one in bridges:
        couple = f"{one.dataset_a} and {one.dataset_b}"
        missing = one.n_shared_pictures - one.n_with_both_labels
        if missing:
            n = counted(one.n_shared_pictures, "shared picture")
            yield f"{couple}: {missing:,} of {n} without a class in one of them, left out of the label bridge"
        yield from (f"{couple}: {notice}" for notice in one.match.notices)


def _notice_apart(bridges: Sequence[LabelBridge]) -> Iterator[str]:
    """Say in one sentence which datasets share nothing."""
    apart = [f"{one.dataset_a} and {one.dataset_b}" for one in bridges if not one.n_shared_pictures]
    if len(apart) > 1 and len(apart) == len(bridges):
        yield "no two datasets share a verified picture, so there is no label bridge"
    elif len(apart) > _MOST_NAMED:
        places = f"{len(apart):,} of {len(bridges):,} pairs of datasets"
        yield f"{places} share no verified picture, so there is no label bridge between them (first: {apart[0]})"
    elif len(apart) > 1:
        yield f"no verified picture is shared, so there is no label bridge, between {'; '.join(apart)}"
    elif apart:
        yield f"{apart[0]} share no verified picture, so there is no label bridge between them"


def _row_json(row: BridgeRow) -> dict[str, object]:
    return {one.name: rounded(getattr(row, one.name)) for one in fields(BridgeRow)}
