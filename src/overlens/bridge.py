"""Say which class of one dataset is which class of another, and where they contradict: from the pictures they share.

Two datasets that hold the same picture have each said what it shows. The bridge counts, for every two classes, the
pictures that one dataset gives the one and the other the other: a vocabulary made of evidence instead of names. A
picture is a group of verified copies, and counts once for every two classes however many images it has.

A conflict is a pair of copies whose classes do not match: by mapping, id or name between two datasets, and by id within
one, unless the mapping joins the two. It is no proof that one of them is wrong: a picture of two saints is rightly in
the class of either, and each image brings one class here, the first of its source.

Memory: a few columns over the images and the verified pairs, and two rows a pair of classes of each group.

Shapes: n images in all, m verified pairs, t classes of groups (one for each group, dataset and class), q pairs of them.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations, combinations_with_replacement
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.class_matching import NO_CLASS, ClassMap, ClassMatch, DatasetClasses, match_classes
from overlens.counted import counted
from overlens.edges import Edges
from overlens.frames import make_frame
from overlens.groups.find import Groups
from overlens.records import Features
from overlens.roster import Roster
from overlens.same_number import list_same_pairs
from overlens.verdicts import VERDICTS

if TYPE_CHECKING:
    import pandas

_DIGITS = 6
_PAIRS_AT_ONCE = 1 << 18

Codes = NDArray[np.int32]
Couple = tuple[int, int]
Key = tuple[int, int, int, int, int]
"""Group, dataset and class, dataset and class; the smaller dataset, then the smaller class first."""


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
            "share_agreeing": _rounded(self.share_agreeing),
            "classes": [_row_json(row) for row in self.rows],
            "class_match": self.match.to_json(),
        }


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


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """What verified copies say of the labels of all datasets.

    Attributes:
        bridges: One for every two datasets, in the order of the run.
        conflicts: Copies whose classes do not match, the surest verdict first; those without one last.
        n_conflicting_pictures: Groups of copies with a conflict.
        notices: What the user should know.
    """

    bridges: tuple[LabelBridge, ...]
    conflicts: tuple[Conflict, ...]
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
                verdict or "through other images": n for verdict, n in self._count_verdicts().items()
            },
            "n_conflicting_pictures": self.n_conflicting_pictures,
            "notices": list(self.notices),
        }

    def bridge_csv(self) -> str:
        """Return the rows of all bridges as CSV: dataset_a, dataset_b, then the fields of `BridgeRow`."""
        return _csv(BRIDGE_COLUMNS, self._bridge_rows())

    def conflicts_csv(self) -> str:
        """Return the conflicts as CSV with the fields of `Conflict`, no verdict and no strength as empty cells."""
        return _csv(CONFLICT_COLUMNS, map(_CONFLICT_VALUES, self.conflicts))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the rows of all bridges; raises MissingExtraError if pandas is not installed."""
        return make_frame(self._bridge_rows(), BRIDGE_COLUMNS)

    def conflicts_to_pandas(self) -> "pandas.DataFrame":
        """Return the conflicts; raises MissingExtraError if pandas is not installed."""
        return make_frame(map(_CONFLICT_VALUES, self.conflicts), CONFLICT_COLUMNS, {"strength": "Float64"})

    def _bridge_rows(self) -> Iterator[tuple[object, ...]]:
        return ((one.dataset_a, one.dataset_b, *_ROW_VALUES(row)) for one in self.bridges for row in one.rows)

    def _count_verdicts(self) -> dict[str | None, int]:
        counts: dict[str | None, int] = defaultdict(int)
        for one in self.conflicts:
            counts[one.verdict] += 1
        return dict(counts)


BRIDGE_COLUMNS = ("dataset_a", "dataset_b", *(one.name for one in fields(BridgeRow)))
CONFLICT_COLUMNS = tuple(one.name for one in fields(Conflict))
# Not astuple, which copies every value: there may be a hundred thousand conflicts.
_ROW_VALUES, _CONFLICT_VALUES = attrgetter(*BRIDGE_COLUMNS[2:]), attrgetter(*CONFLICT_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Labels:
    """The classes of all images.

    Attributes:
        roster: The datasets.
        classes: The classes of each.
        keys: The keys of the images of each.
        codes: `(n,)` int32, place of each image's class among those of its dataset, or `NO_CLASS`.
        matches: Two places in the roster, the smaller first or one twice -> which of their classes are one.
    """

    roster: Roster
    classes: tuple[DatasetClasses, ...]
    keys: tuple[tuple[str, ...], ...]
    codes: Codes
    matches: Mapping[Couple, ClassMatch]

    @classmethod
    def of(cls, roster: Roster, features: Sequence[Features], class_map: ClassMap | None) -> "_Labels":
        classes = tuple(DatasetClasses.of_features(one) for one in features)
        parts = [np.empty(0, np.int32)]
        for own, one in zip(classes, features, strict=True):
            place = {class_id: code for code, class_id in enumerate(own.ids)}
            codes = [NO_CLASS if label is None else place[label] for label in one.labels]
            parts.append(np.array(codes, np.int32))
        couples = combinations_with_replacement(range(len(classes)), 2)
        matches = {(a, b): match_classes(classes[a], classes[b], class_map) for a, b in couples}
        return cls(roster, classes, tuple(one.keys for one in features), np.concatenate(parts), matches)

    def agree(self, owners: Sequence[Codes], codes: Sequence[Codes]) -> NDArray[np.bool_]:
        """Return `(q,)` whether two classes are one; the first is of the same dataset or an earlier one."""
        agrees = np.zeros(len(owners[0]), np.bool_)
        for (a, b), match in self.matches.items():
            chosen = (owners[0] == a) & (owners[1] == b)
            if chosen.any():
                here = match.codes("source", self.classes[a].ids)[codes[0][chosen]]
                there = match.codes("target", self.classes[b].ids)[codes[1][chosen]]
                agrees[chosen] = (here == there) & (here != NO_CLASS)
        return agrees

    def describe(self, rows: NDArray[np.integer]) -> list[tuple[str, str, str, str]]:
        """Return dataset, key, class id and name of labelled images."""
        places = zip(self.roster.dataset_of(rows).tolist(), self.roster.local(rows).tolist(), strict=True)
        described = []
        for (owner, place), code in zip(places, self.codes[rows].tolist(), strict=True):
            classes = self.classes[owner]
            class_id = classes.ids[code]
            described.append((classes.dataset, self.keys[owner][place], class_id, classes.name_of(class_id)))
        return described


@dataclass(frozen=True, slots=True)
class _ClassPairs:
    """Every two classes that the images of one group have: two of one dataset, or of two, the earlier first.

    Attributes:
        groups: `(q,)` int32 their group.
        owners: `(q,)` int32 twice, place of the dataset.
        codes: `(q,)` int32 twice, place of the class in it.
        rows: `(q,)` int32 twice, the image that stands for it.
        agrees: `(q,)` bool, the classes are one.
    """

    groups: Codes
    owners: tuple[Codes, Codes]
    codes: tuple[Codes, Codes]
    rows: tuple[Codes, Codes]
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
    labels = _Labels.of(roster, features, class_map)
    pairs = _pair_classes(groups, labels)
    counts = groups.count_members() > 0
    couples = list(combinations(range(len(features)), 2))
    bridges = tuple(
        _build_bridge(labels, couple, pairs, int(np.count_nonzero(counts[:, couple[0]] & counts[:, couple[1]])))
        for couple in couples
    )
    conflicts = tuple(_list_conflicts(groups, edges.verified(), labels, pairs))
    n_pictures = len(np.unique(pairs.groups[~pairs.agrees]))
    return LabelComparison(bridges, conflicts, n_pictures, tuple(_notices(bridges)))


def _pair_classes(groups: Groups, labels: _Labels) -> _ClassPairs:
    members = groups.members[labels.codes[groups.members] != NO_CLASS]
    owners, codes, own = labels.roster.dataset_of(members), labels.codes[members], groups.group_of[members]
    is_other = groups.representatives[own] != members if len(members) else np.empty(0, np.bool_)
    # One row for each class of a group in a dataset: by its representative, else its first image.
    order = np.lexsort((members, is_other, codes, owners, own))
    triples = np.stack([own, owners, codes])[:, order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (triples[:, 1:] != triples[:, :-1]).any(axis=0)
    kept = order[is_first]
    blocks = list(list_same_pairs(own[kept], None, at_once=_PAIRS_AT_ONCE))
    left, right = (
        np.concatenate([np.empty(0, np.int32), *(block[side] for block in blocks)]).astype(np.int64) for side in (0, 1)
    )
    left, right = kept[left], kept[right]
    two_owners, two_codes = (owners[left], owners[right]), (codes[left], codes[right])
    agrees = labels.agree(two_owners, two_codes)
    return _ClassPairs(own[left], two_owners, two_codes, (members[left], members[right]), agrees)


def _build_bridge(labels: _Labels, couple: Couple, pairs: _ClassPairs, n_shared: int) -> LabelBridge:
    here, there = (labels.classes[place] for place in couple)
    chosen = (pairs.owners[0] == couple[0]) & (pairs.owners[1] == couple[1])
    groups, codes = pairs.groups[chosen], [column[chosen] for column in pairs.codes]
    n_with_a, n_with_b = (_count_pictures(groups, column) for column in codes)
    kinds, first, counts = np.unique(np.stack(codes, axis=1), axis=0, return_index=True, return_counts=True)
    agrees = pairs.agrees[chosen]
    rows = [
        BridgeRow(
            *(here.ids[a], here.name_of(here.ids[a]), there.ids[b], there.name_of(there.ids[b])),
            *(n, n / n_with_a[a], n / n_with_b[b], bool(agrees[place])),
        )
        for (a, b), place, n in zip(kinds.tolist(), first.tolist(), counts.tolist(), strict=True)
    ]
    rows.sort(key=lambda row: (row.class_a, -row.n_pictures, row.class_b))
    n_labelled = len(np.unique(groups))
    n_agreeing = n_labelled - len(np.unique(groups[~agrees]))
    return LabelBridge(
        here.dataset, there.dataset, labels.matches[couple], tuple(rows), n_shared, n_labelled, n_agreeing
    )


def _count_pictures(groups: Codes, codes: Codes) -> dict[int, int]:
    """Return class -> number of groups that have it."""
    present = np.unique(np.stack([groups, codes], axis=1), axis=0)[:, 1]
    numbers, counts = np.unique(present, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _list_conflicts(groups: Groups, verified: Edges, labels: _Labels, pairs: _ClassPairs) -> Iterator[Conflict]:
    """Yield the judged conflicts, surest first, then the others by group."""
    judged, keys = _judge_conflicts(groups, verified, labels)
    verdicts = [VERDICTS[code] for code in judged.verdicts.tolist()]
    strengths: list[float] = judged.strengths.tolist()
    ends = labels.describe(judged.left), labels.describe(judged.right)
    for first, second, verdict, strength, key in zip(ends[0], ends[1], verdicts, strengths, keys, strict=True):
        yield Conflict(*first, *second, verdict, strength, key[0])
    columns = pairs.groups, pairs.owners[0], pairs.codes[0], pairs.owners[1], pairs.codes[1]
    places, seen = np.flatnonzero(~pairs.agrees), set(keys)
    listed = zip(*(column[places].tolist() for column in columns), strict=True)
    places = places[np.array([key not in seen for key in listed], np.bool_)]
    rows = np.sort(np.stack(pairs.rows)[:, places], axis=0)
    others, numbers = [labels.describe(side) for side in rows], pairs.groups[places].tolist()
    for first, second, group in zip(others[0], others[1], numbers, strict=True):
        yield Conflict(*first, *second, None, None, group)


def _judge_conflicts(groups: Groups, verified: Edges, labels: _Labels) -> tuple[Edges, list[Key]]:
    """Return the verified pairs whose classes are not one, and which classes of which group these are."""
    has_classes = (labels.codes[verified.left] != NO_CLASS) & (labels.codes[verified.right] != NO_CLASS)
    judged = verified.chosen(has_classes)
    rows = judged.left, judged.right
    owners, codes = [labels.roster.dataset_of(row) for row in rows], [labels.codes[row] for row in rows]
    conflicts = np.flatnonzero(~labels.agree(owners, codes))
    numbers = groups.group_of[judged.left[conflicts]].tolist()
    sides = [
        list(zip(owners[side][conflicts].tolist(), codes[side][conflicts].tolist(), strict=True)) for side in (0, 1)
    ]
    keys = [(group, *min(one, other), *max(one, other)) for group, one, other in zip(numbers, *sides, strict=True)]
    return judged.chosen(conflicts), keys


def _notices(bridges: Sequence[LabelBridge]) -> Iterator[str]:
    for one in bridges:
        couple = f"{one.dataset_a} and {one.dataset_b}"
        missing = one.n_shared_pictures - one.n_with_both_labels
        if missing:
            n = counted(one.n_shared_pictures, "shared picture")
            yield f"{couple}: {missing:,} of {n} without a class in one of them, left out of the label bridge"
        if not one.n_shared_pictures:
            yield f"{couple} share no verified picture, so there is no label bridge between them"
        yield from (f"{couple}: {notice}" for notice in one.match.notices)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    table.writerows([_rounded(value) for value in row] for row in rows)
    return text.getvalue()


def _row_json(row: BridgeRow) -> dict[str, object]:
    return {one.name: _rounded(getattr(row, one.name)) for one in fields(BridgeRow)}


def _rounded(value: object) -> object:
    return round(value, _DIGITS) if isinstance(value, float) else value
