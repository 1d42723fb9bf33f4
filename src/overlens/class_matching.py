"""Say which classes of two datasets are one: by a mapping that the user states, by class id, by name.

Three steps, in this order; a class that a step has matched is out of the later ones:

1. mapping: what the user's mapping gives one name. A class that is not in it joins by its id, else by its name, where
   that is a name of the mapping; so only the odd ones need a row. A class in it is matched by it and by nothing else.
2. id: equal class ids. A bare number is no name: where both datasets name it and the names differ, it is left.
3. name: equal names. A class without a name is named by its id.

Equal is what differs in letter case, spaces, underscores, hyphens and ways of composing a character only. Where both
datasets have two spellings of one form ("A" and "a" among letters), the spelling carries meaning and only equal
spellings match. Else all spellings of a form are one class, also two of one dataset.

The cost of names after ids: "crane", the bird and the machine, under ids that only one dataset has, becomes one class.
It is told, and a mapping keeps them apart.

Shapes: n images, c common classes.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from overlens.counted import counted
from overlens.records import Features

Side = Literal["source", "target"]
Step = Literal["mapping", "id", "name"]
SIDES: tuple[Side, Side] = ("source", "target")

NO_CLASS = -1
ALL_DATASETS = ""
"""Dataset of a row of a class map that counts for every dataset."""

_GAPS = re.compile(r"[\s_-]+")
# The sign of "-1" is no gap.
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")


@dataclass(frozen=True, slots=True)
class DatasetClasses:
    """The classes that the images of one dataset have.

    Attributes:
        dataset: Name of the dataset.
        ids: Class ids, ascending, each once.
        names: Class id -> name to show; an id that is not in it has none. May name other classes, too.
    """

    dataset: str
    ids: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if list(self.ids) != sorted(set(self.ids)):
            raise ValueError(f"{self.dataset}: class ids must be ascending and distinct")

    @classmethod
    def of(cls, dataset: str, labels: Iterable[str | None], names: Mapping[str, str] | None = None) -> "DatasetClasses":
        """Return the classes that occur among the labels of a dataset's images."""
        return cls(dataset, tuple(sorted({label for label in labels if label is not None})), names or {})

    @classmethod
    def of_features(cls, features: Features) -> "DatasetClasses":
        """Return the classes of the kept images of a dataset."""
        return cls.of(features.dataset, features.labels, features.class_names)

    def name_of(self, class_id: str) -> str:
        """Return the name of a class, or its id where it has none."""
        return self.names.get(class_id, class_id)


@dataclass(frozen=True, slots=True)
class ClassMap:
    """What the user calls classes, whatever the datasets call them.

    Attributes:
        names: (dataset or `ALL_DATASETS`, class id or name as written) -> common name.
        source: Where it comes from, for messages.
    """

    names: Mapping[tuple[str, str], str]
    source: str = "the class map"
    _folded: dict[tuple[str, str], str | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        folded: dict[tuple[str, str], str | None] = {}
        for (dataset, written), name in self.names.items():
            key = dataset, fold_name(written)
            # Two spellings with two names count as they are written only.
            folded[key] = name if folded.get(key, name) == name else None
        object.__setattr__(self, "_folded", folded)

    def name_of(self, dataset: str, class_id: str, class_name: str | None = None) -> str | None:
        """Return the common name of a class, or None where the map does not name it.

        A row of the dataset counts before one of all datasets, the id before the name, the spelling as written before
        a folded one.
        """
        for owner in (dataset, ALL_DATASETS):
            for text in (class_id, class_name):
                name = None if text is None else self.look_up(owner, text)
                if name is not None:
                    return name
        return None

    def look_up(self, owner: str, text: str) -> str | None:
        """Return the common name that the rows of `owner` give one class id or name, or None."""
        return self.names.get((owner, text)) or self._folded.get((owner, fold_name(text)))


@dataclass(frozen=True, slots=True)
class CommonClass:
    """One class that both datasets have.

    Attributes:
        key: What it is called in tables: the name that the mapping gives, the class id, or the name. No two common
            classes have one key, and it does not depend on which dataset is the source.
        name: Name to show, the source's where the two differ.
        source_ids: Its class ids in the source, ascending, one or more.
        target_ids: Its class ids in the target, ascending, one or more.
        by: The step that matched it.
    """

    key: str
    name: str
    source_ids: tuple[str, ...]
    target_ids: tuple[str, ...]
    by: Step

    def ids(self, side: Side) -> tuple[str, ...]:
        """Return the class ids of one side."""
        return self.source_ids if side == "source" else self.target_ids


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """Which classes of two datasets are one.

    Attributes:
        source: Name of the one dataset.
        target: Name of the other.
        classes: The common classes, ordered by key.
        only_source: Class ids that only the source has, ascending.
        only_target: Class ids that only the target has, ascending.
        notices: What the user should know of how they were matched.
    """

    source: str
    target: str
    classes: tuple[CommonClass, ...]
    only_source: tuple[str, ...]
    only_target: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the common classes and those that only one side has, as plain dictionaries and lists."""
        return {
            "datasets": [self.source, self.target],
            "n_common_classes": len(self.classes),
            "common": [
                {
                    "key": one.key,
                    "name": one.name,
                    "ids": [list(one.source_ids), list(one.target_ids)],
                    "matched_by": one.by,
                }
                for one in self.classes
            ],
            "only": [list(self.only_source), list(self.only_target)],
            "notices": list(self.notices),
        }

    def places(self, side: Side) -> dict[str, int]:
        """Return the place in `classes` of each class id of one side that is matched."""
        return {class_id: place for place, one in enumerate(self.classes) for class_id in one.ids(side)}

    def codes(self, side: Side, labels: Sequence[str | None]) -> NDArray[np.int64]:
        """Return the place in `classes` of each label, `(n,)` int64, `NO_CLASS` where it has none.

        Args:
            side: Whose labels they are.
            labels: Class id of each image, or None.
        """
        places = self.places(side)
        return np.array([NO_CLASS if one is None else places.get(one, NO_CLASS) for one in labels], np.int64)


@dataclass(slots=True)
class _Form:
    """What is written in one folded form: side -> spelling -> class ids."""

    spellings: dict[Side, dict[str, list[str]]] = field(default_factory=lambda: {side: {} for side in SIDES})

    def add(self, side: Side, spelling: str, class_id: str) -> None:
        self.spellings[side].setdefault(spelling, []).append(class_id)

    def split(self) -> "Iterator[_Form]":
        """Yield the form whole; or each spelling that both sides have, where these tell two spellings apart."""
        shared = sorted(self.spellings["source"].keys() & self.spellings["target"].keys())
        if len(shared) < 2:
            yield self
        else:
            for spelling in shared:
                yield _Form({side: {spelling: self.spellings[side][spelling]} for side in SIDES})

    def ids(self, side: Side) -> tuple[str, ...]:
        return tuple(sorted(class_id for ids in self.spellings[side].values() for class_id in ids))

    @property
    def is_common(self) -> bool:
        return all(self.spellings.values())

    def written(self) -> list[str]:
        """Return the spellings of both sides, ascending."""
        return sorted(self.spellings["source"].keys() | self.spellings["target"].keys())


Sides = Mapping[Side, DatasetClasses]
Waiting = dict[Side, tuple[str, ...]]
Spell = Callable[[Side, str], str | None]


@dataclass(slots=True)
class _Found:
    """What the steps came to so far.

    Attributes:
        classes: The common classes.
        keys: Their keys.
        variants: The first two spellings of each that is written in several.
        refused: Bare numbers that name two things, with a name of each side.
    """

    classes: list[CommonClass] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    variants: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)


def fold_name(text: str) -> str:
    """Return the form of a class id or name in which it is compared.

    Compatibility forms of Unicode (NFKC), case folded, runs of white space, underscores and hyphens as one space. A
    bare number keeps its sign; what is nothing but gaps stays as it is.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()
    return plain if _NUMBER.fullmatch(plain) else _GAPS.sub(" ", plain).strip() or plain


def match_classes(source: DatasetClasses, target: DatasetClasses, class_map: ClassMap | None = None) -> ClassMatch:
    """Match the classes of two datasets; matched with itself, a dataset keeps apart what the mapping does not join.

    Args:
        source: Classes of the one.
        target: Classes of the other; the same classes match whichever is the source.
        class_map: What the user calls them.
    """
    sides: Sides = {"source": source, "target": target}
    stated = {} if class_map is None else _stated_names(sides, class_map)
    waiting = {side: one.ids for side, one in sides.items()}
    found = _Found()
    for step, spell in _steps(sides, stated):
        waiting = _match_step(step, spell, sides, waiting, found)
    notices = tuple(_notices(sides, waiting, found))
    ordered = tuple(sorted(found.classes, key=lambda one: one.key))
    return ClassMatch(source.dataset, target.dataset, ordered, waiting["source"], waiting["target"], notices)


def check_class_map(class_map: ClassMap, datasets: Sequence[DatasetClasses]) -> tuple[str, ...]:
    """Return what the user should know of a class map: rows that name no class, classes that two rows name otherwise.

    Args:
        class_map: The map.
        datasets: The classes of every dataset of the run.
    """
    known = {
        one.dataset: {fold_name(text) for class_id in one.ids for text in _texts(one, class_id)} for one in datasets
    }
    known[ALL_DATASETS] = set().union(*known.values())
    unknown = [place for place in sorted(class_map.names) if fold_name(place[1]) not in known.get(place[0], ())]
    torn = [(one, class_id) for one in datasets for class_id in one.ids if _is_torn(class_map, one, class_id)]
    notices = []
    if unknown:
        dataset, text = unknown[0]
        rows = counted(len(unknown), "row names a class", "rows name classes")
        notices.append(
            f"{class_map.source}: {rows} that no image {f'of {dataset} ' * bool(dataset)}has (first: {text!r})"
        )
    if torn:
        one, class_id = torn[0]
        classes = counted(len(torn), "class has", "classes have")
        notices.append(
            f"{class_map.source}: {classes} one common name by id and another by name; the one by id counts (first: "
            f"{class_id!r}, {one.name_of(class_id)!r}, of {one.dataset})"
        )
    return tuple(notices)


def _texts(one: DatasetClasses, class_id: str) -> tuple[str, str]:
    return class_id, one.name_of(class_id)


def _is_torn(class_map: ClassMap, one: DatasetClasses, class_id: str) -> bool:
    for owner in (one.dataset, ALL_DATASETS):
        by_id, by_name = (class_map.look_up(owner, text) for text in _texts(one, class_id))
        if by_id and by_name:
            return by_id != by_name
    return False


def _stated_names(sides: Sides, class_map: ClassMap) -> dict[tuple[Side, str], str]:
    """Return the common name of each class that the mapping names, or whose id or name is one of these names."""
    stated = {
        (side, class_id): name
        for side, one in sides.items()
        for class_id in one.ids
        if (name := class_map.name_of(one.dataset, class_id, one.names.get(class_id)))
    }
    name_of = {fold_name(name): name for name in sorted(stated.values(), reverse=True)}
    for side, one in sides.items():
        for class_id in one.ids:
            joined = next(
                (name_of[form] for text in _texts(one, class_id) if (form := fold_name(text)) in name_of), None
            )
            if joined:
                stated.setdefault((side, class_id), joined)
    return stated


def _steps(sides: Sides, stated: Mapping[tuple[Side, str], str]) -> Iterator[tuple[Step, Spell]]:
    def unless_stated(spell: Callable[[Side, str], str]) -> Spell:
        return lambda side, class_id: None if (side, class_id) in stated else spell(side, class_id)

    yield "mapping", lambda side, class_id: stated.get((side, class_id))
    yield "id", unless_stated(lambda side, class_id: class_id)
    yield "name", unless_stated(lambda side, class_id: sides[side].name_of(class_id))


def _match_step(step: Step, spell: Spell, sides: Sides, waiting: Waiting, found: _Found) -> Waiting:
    """Add what one step matches to `found`; return what still waits."""
    for whole in _forms(spell, waiting):
        # The names of a mapping are the user's own: two spellings of one are one.
        for form in [whole] if step == "mapping" else whole.split():
            here, there = (_names_of(sides[side], form.ids(side)) for side in SIDES)
            if step == "id" and _is_number(form.written()[0]) and _are_unlike(here, there):
                found.refused.append((form.written()[0], min(here), min(there)))
            else:
                _settle(step, form, sides, found)
    settled = {side: {class_id for one in found.classes for class_id in one.ids(side)} for side in SIDES}
    return {side: tuple(class_id for class_id in waiting[side] if class_id not in settled[side]) for side in SIDES}


def _forms(spell: Spell, waiting: Waiting) -> list[_Form]:
    """Return the forms that both sides have, in the order of their folded text."""
    forms: defaultdict[str, _Form] = defaultdict(_Form)
    for side in SIDES:
        for class_id in waiting[side]:
            spelling = spell(side, class_id)
            if spelling is not None:
                forms[fold_name(spelling)].add(side, spelling, class_id)
    return [form for _, form in sorted(forms.items()) if form.is_common]


def _settle(step: Step, form: _Form, sides: Sides, found: _Found) -> None:
    names = [sides[side].names.get(class_id) for side in SIDES for class_id in form.ids(side)]
    written = form.written()
    shown = written[0] if step == "mapping" else next(filter(None, names), written[0])
    # A name may be the id of another class.
    key = next(key for n in count(1) if (key := written[0] if n == 1 else f"{written[0]} ({n})") not in found.keys)
    found.keys.add(key)
    found.classes.append(CommonClass(key, shown, form.ids("source"), form.ids("target"), step))
    if len(written) > 1 and step != "mapping":
        found.variants.append((written[0], written[1]))


def _notices(sides: Sides, waiting: Waiting, found: _Found) -> Iterator[str]:
    source, target = sides["source"], sides["target"]
    if source.dataset == target.dataset:
        return
    if source.ids and target.ids and not found.classes:
        yield (
            f"{source.dataset} and {target.dataset} have no class in common, by id or by name; "
            "say which are one with --class-map FILE"
        )
    yield from _notice_names(source, target, found)
    if found.variants:
        first, second = found.variants[0]
        n = counted(len(found.variants), "class matches", "classes match")
        yield f"{n} although written in several ways (first: {first!r} and {second!r})"
    yield from _notice_folded(sides, found)
    yield from _notice_taken(sides, waiting, found)


def _notice_names(source: DatasetClasses, target: DatasetClasses, found: _Found) -> Iterator[str]:
    by_id = [one for one in found.classes if one.by == "id"]
    called = [(one, _names_of(source, one.source_ids), _names_of(target, one.target_ids)) for one in by_id]
    differ = [(one.key, min(here), min(there)) for one, here, there in called if _are_unlike(here, there)]
    if differ:
        key, here, there = differ[0]
        n = counted(len(differ), "class has", "classes have")
        yield f"{n} one id and two names, matched by id (first: {key!r} is {here!r} and {there!r})"
    bare = [one.key for one, here, there in called if _is_number(one.key) and not (here and there)]
    if bare:
        n = counted(len(bare), "class id is a bare number and matches", "class ids are bare numbers and match")
        yield f"{n} without names on both sides that would confirm it (first: {bare[0]!r}); add them in classes.csv"
    if found.refused:
        number, here, there = found.refused[0]
        n = counted(len(found.refused), "class id is a bare number", "class ids are bare numbers")
        yield f"{n} with two names, not matched by id (first: {number!r} is {here!r} and {there!r})"


def _notice_folded(sides: Sides, found: _Found) -> Iterator[str]:
    for side in SIDES:
        folded = [one.ids(side) for one in found.classes if len(one.ids(side)) > 1]
        if folded:
            n = counted(len(folded), "common class joins", "common classes join")
            yield f"{n} several classes of {sides[side].dataset} (first: {', '.join(map(repr, folded[0]))})"


def _notice_taken(sides: Sides, waiting: Waiting, found: _Found) -> Iterator[str]:
    """Tell of classes that would match by name, had their counterpart not been matched otherwise."""
    for side, other in (SIDES, SIDES[::-1]):
        taken = _folded(sides[other].name_of(class_id) for one in found.classes for class_id in one.ids(other))
        left = [class_id for class_id in waiting[side] if fold_name(sides[side].name_of(class_id)) in taken]
        if left:
            n = counted(len(left), "class", "classes")
            yield (
                f"{n} of {sides[side].dataset} not matched: what {sides[other].dataset} calls so is another class by "
                f"mapping or id (first: {left[0]!r}, {sides[side].name_of(left[0])!r})"
            )


def _names_of(one: DatasetClasses, ids: Iterable[str]) -> set[str]:
    return {one.names[class_id] for class_id in ids if class_id in one.names}


def _are_unlike(here: set[str], there: set[str]) -> bool:
    return bool(here and there) and not _folded(here) & _folded(there)


def _folded(texts: Iterable[str]) -> set[str]:
    return {fold_name(text) for text in texts}


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(fold_name(text)) is not None
