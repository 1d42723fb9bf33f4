"""Which images of a dataset splits may hold, in which order a seed takes them, and how many go to each part.

A *picture* is an image, or a group of verified copies: a split holds at most one image of a picture, so that no copy
crosses from one part to another and k shots are k different pictures. Left out are images without a class, pictures
whose images have several classes, because one of these must be wrong or the picture shows both, and pictures that a
dataset held out has, too.

The order of a class is a draw by seed, class and names (`overlens.sampler`). Of a picture its first image by name is
drawn, so that one with many copies is drawn no more often than others. The support comes from the beginning of the
order, query and validation from its end: so the 1-shot support is part of the 5-shot support, and where there are
enough pictures both are measured on the same query.

Shapes: n images of a dataset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from overlens.config import FewShotConfig
from overlens.fewshot.splits import LeftOut
from overlens.groups.find import NO_GROUP
from overlens.sampler import order

AUTO_QUERY, AUTO_VALIDATION = 15, 5

# Class id -> name of its images -> row.
Classes = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """The images of one dataset, by name and class.

    Attributes:
        dataset: Name of the dataset.
        keys: Key of each image, no key twice.
        labels: Class id of each image or None, aligned with `keys`.
    """

    dataset: str
    keys: Sequence[str]
    labels: Sequence[str | None]

    def __post_init__(self) -> None:
        if len(self.keys) != len(self.labels):
            raise ValueError(f"{self.dataset}: {len(self.keys)} images do not fit {len(self.labels)} classes")

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class KnownCopies:
    """What is known of copies of the images of one dataset.

    Attributes:
        group_of: `(n,)` int32, the group of each image over all datasets, or `NO_GROUP`.
        in_held_out: `(n,)` bool, whether the group of an image has an image in a dataset that is held out.
        basis: What the groups rest on, as certificates say it.
    """

    group_of: NDArray[np.int32]
    in_held_out: NDArray[np.bool_]
    basis: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.group_of.shape != self.in_held_out.shape:
            raise ValueError(f"{self.group_of.shape} groups do not fit {self.in_held_out.shape} images")


@dataclass(frozen=True, slots=True)
class Pool:
    """The images that splits of a dataset may hold.

    Attributes:
        classes: Class id -> name -> row.
        group_of: Row -> group, of the images that are in one; empty where copies are not regarded.
        n_pictures: Class id -> number of its pictures.
        left_out: The images that are in no split.
    """

    classes: Classes
    group_of: Mapping[int, int]
    n_pictures: Mapping[str, int]
    left_out: LeftOut

    def order_pictures(self, class_id: str, seed: int, purpose: str = "image") -> list[str]:
        """Return one image of each picture of a class, in the order in which a seed takes them."""
        return order(self.list_pictures(class_id), seed, purpose, class_id)

    def list_pictures(self, class_id: str) -> list[str]:
        """Return one image of each picture of a class, the first by name, sorted."""
        rows, first = self.classes[class_id], []
        seen: set[int] = set()
        for name in sorted(rows):
            group = self.group_of.get(rows[name])
            if group is None or group not in seen:
                first.append(name)
            if group is not None:
                seen.add(group)
        return first

    def dealt(self, seeds: Sequence[int], seed: int) -> "Pool":
        """Return the share of one seed, where the pictures of each class are dealt to `seeds` in turn."""
        place, classes = list(seeds).index(seed), {}
        for class_id, rows in self.classes.items():
            own = self.order_pictures(class_id, seeds[0], "image of a seed")[place :: len(seeds)]
            groups = {group for name in own if (group := self.group_of.get(rows[name])) is not None}
            classes[class_id] = {name: rows[name] for name in own}
            classes[class_id] |= {name: row for name, row in rows.items() if self.group_of.get(row) in groups}
        return Pool(classes, self.group_of, _count_pictures(classes, self.group_of), self.left_out)


@dataclass(frozen=True, slots=True)
class Shots:
    """How many pictures of a class each part takes; a stated number is exact, None takes up to `most`.

    Attributes:
        k: Support.
        n_query: Query.
        n_validation: Validation.
        most_validation: What None means for validation.
    """

    k: int
    n_query: int | None = None
    n_validation: int | None = None
    most_validation: int = AUTO_VALIDATION

    @classmethod
    def of(cls, config: FewShotConfig, k: int, *, is_episode: bool) -> "Shots":
        """Return the numbers for splits, or for episodes, which have validation images only if asked for."""
        return cls(k, config.n_query, config.n_validation, 0 if is_episode else AUTO_VALIDATION)

    @property
    def demand(self) -> int:
        """Pictures that a class needs; one with fewer is short."""
        return self.k + (self.n_query or 1) + (self.n_validation or 0)

    def __str__(self) -> str:
        """Say what a class needs, in words."""
        query = "at least 1 query" if self.n_query is None else f"{self.n_query} query"
        validation = f", {self.n_validation} validation" if self.n_validation else ""
        return f"{self.k} support, {query}{validation}"

    def divide(self, n: int) -> tuple[int, int, int]:
        """Return how many of `n` pictures, at least 2, are support, validation and query; the rest is test.

        A short class fills its support first, but for one query picture, then the query, then the validation.
        """
        support = min(self.k, n - 1)
        rest = n - support
        if self.n_query is not None:
            query = min(self.n_query, rest)
            validation = min(self._most_validation, rest - query)
        elif self.n_validation is not None:
            validation = min(self.n_validation, rest - 1)
            query = min(AUTO_QUERY, rest - validation)
        else:
            # As many to three as to one, like 15 to 5.
            validation = min(self._most_validation, rest * AUTO_VALIDATION // (AUTO_QUERY + AUTO_VALIDATION))
            query = min(AUTO_QUERY, rest - validation)
        return support, validation, query

    @property
    def _most_validation(self) -> int:
        return self.most_validation if self.n_validation is None else self.n_validation


def find_pool(images: LabelledImages, copies: KnownCopies | None, *, allow_leaks: bool) -> Pool:
    """Return the images that splits may hold.

    Args:
        images: All images of a dataset.
        copies: What is known of their copies, or None where nothing was verified.
        allow_leaks: Whether to draw images as if none had copies.
    """
    classes = group_by_class(images.keys, images.labels)
    n_unlabelled = sum(label is None for label in images.labels)
    if copies is None or allow_leaks:
        return Pool(classes, {}, _count_pictures(classes, {}), LeftOut(unlabelled=n_unlabelled))
    group_of = {row: int(copies.group_of[row]) for row in np.flatnonzero(copies.group_of != NO_GROUP).tolist()}
    conflicting = _find_conflicts(images.labels, group_of)
    kept: Classes = {}
    n_conflicting = n_held_out = 0
    for class_id, rows in classes.items():
        for name, row in rows.items():
            if group_of.get(row) in conflicting:
                n_conflicting += 1
            elif copies.in_held_out[row]:
                n_held_out += 1
            else:
                kept.setdefault(class_id, {})[name] = row
    n_pictures = _count_pictures(kept, group_of)
    n_copies = sum(map(len, kept.values())) - sum(n_pictures.values())
    return Pool(kept, group_of, n_pictures, LeftOut(n_unlabelled, n_conflicting, n_held_out, n_copies))


def group_by_class(keys: Sequence[str], labels: Sequence[str | None]) -> Classes:
    """Return the images of each class with their rows."""
    classes: Classes = {}
    for row, (key, label) in enumerate(zip(keys, labels, strict=True)):
        if label is not None:
            classes.setdefault(label, {})[key] = row
    return classes


def _find_conflicts(labels: Sequence[str | None], group_of: Mapping[int, int]) -> set[int]:
    """Return the groups whose images have several classes."""
    found: dict[int, set[str]] = {}
    for row, group in group_of.items():
        label = labels[row]
        if label is not None:
            found.setdefault(group, set()).add(label)
    return {group for group, classes in found.items() if len(classes) > 1}


def _count_pictures(classes: Classes, group_of: Mapping[int, int]) -> dict[str, int]:
    return {class_id: len({group_of.get(row, -1 - row) for row in rows.values()}) for class_id, rows in classes.items()}
