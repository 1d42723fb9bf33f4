"""What transfer is measured on: the rows of a dataset, the classes that two datasets have in common, how often to draw.

Rows are put into the order of their keys first, so that no figure depends on the order in which images are listed: not
the folds, not the draws, not the last bit of a sum. It costs a copy of the rows, where they are not in order already.

Shapes: n images, d dimensions, c common classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from overlens.class_matching import NO_CLASS, ClassMatch, DatasetClasses
from overlens.groups.find import NO_GROUP
from overlens.probes import Codes
from overlens.records import Features, FloatRows
from overlens.transfer.resampling import Bootstrap

Groups = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """How transfer is measured.

    Attributes:
        seed: Seed of the folds, of the bootstrap and of the halves.
        n_folds: Folds of the cross-validation, at least 2.
        n_resamples: Resamples of the bootstrap; with 0 there is no interval.
        n_draws: Draws of halves for the distances.
        max_half: Most images of a half.
    """

    seed: int = 0
    n_folds: int = 5
    n_resamples: int = 1000
    n_draws: int = 20
    max_half: int = 500

    @property
    def bootstrap(self) -> Bootstrap:
        """The draws that intervals come from."""
        return Bootstrap(self.n_resamples, self.seed)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One dataset.

    Attributes:
        dataset: Name of the dataset.
        keys: Key of each image, none twice.
        rows: `(n, d)` float32 unit rows.
        codes: `(n,)` int64 place of each image's class among the classes of the dataset, `NO_CLASS` for none.
        names: Names of its classes.
        groups: `(n,)` int32 group of copies of each image, `NO_GROUP` for none, with the same numbers in all datasets;
            None where nothing was verified.
        copies_unknown: Why copies within the dataset are not all known, in words; "" where they were looked for.
    """

    dataset: str
    keys: tuple[str, ...]
    rows: FloatRows
    codes: Codes
    names: tuple[str, ...]
    groups: Groups | None = None
    copies_unknown: str = ""

    def __post_init__(self) -> None:
        lengths = {len(self.keys), len(self.rows), len(self.codes)} | (
            set() if self.groups is None else {len(self.groups)}
        )
        if len(lengths) > 1:
            raise ValueError(f"{self.dataset}: columns of {sorted(lengths)} images; all must have one length")

    @classmethod
    def of_features(cls, features: Features, groups: Groups | None, copies_unknown: str = "") -> "Labelled":
        """Return the kept images of a dataset.

        Args:
            features: Features with embeddings.
            groups: `(n,)` int32 group of each image, or None where nothing was verified.
            copies_unknown: Why copies within the dataset are not all known, if they are not.
        """
        classes = DatasetClasses.of_features(features)
        place = {class_id: code for code, class_id in enumerate(classes.ids)}
        codes = [NO_CLASS if label is None else place[label] for label in features.labels]
        names = tuple(classes.name_of(class_id) for class_id in classes.ids)
        rows = features.require_embeddings()
        return cls(features.dataset, features.keys, rows, np.array(codes, np.int64), names, groups, copies_unknown)

    def order(self) -> NDArray[np.int64]:
        """Return the rows in the order of their keys."""
        return np.array(sorted(range(len(self.keys)), key=self.keys.__getitem__), np.int64)

    def take(self, order: NDArray[np.int64]) -> "Labelled":
        """Return the images in another order."""
        if np.array_equal(order, np.arange(len(self.keys))):
            return self
        keys = tuple(self.keys[row] for row in order)
        groups = None if self.groups is None else self.groups[order]
        return replace(self, keys=keys, rows=self.rows[order], codes=self.codes[order], groups=groups)


@dataclass(frozen=True, slots=True)
class CommonClasses:
    """The classes that a source and a target have in common.

    Attributes:
        names: Names of the classes.
        source: `(n,)` int64 place of each source image's class among them, `NO_CLASS` for none.
        target: Likewise of the target.
    """

    names: tuple[str, ...]
    source: Codes
    target: Codes

    @classmethod
    def of_match(
        cls, match: ClassMatch, source_labels: Sequence[str | None], target_labels: Sequence[str | None]
    ) -> "CommonClasses":
        """Return the common classes of `match` for images with these class ids."""
        names = tuple(one.key for one in match.classes)
        return cls(names, match.codes("source", source_labels), match.codes("target", target_labels))

    def take(self, source_order: NDArray[np.int64], target_order: NDArray[np.int64]) -> "CommonClasses":
        """Return the codes of the images in another order."""
        return CommonClasses(self.names, self.source[source_order], self.target[target_order])

    def keep(self, source_kept: NDArray[np.bool_], target_kept: NDArray[np.bool_]) -> "CommonClasses":
        """Return the codes without the images that are not kept; a class that one side has lost is nobody's any more.

        Args:
            source_kept: `(n,)` whether each source image stays.
            target_kept: Likewise of the target.
        """
        source = np.where(source_kept, self.source, NO_CLASS)
        target = np.where(target_kept, self.target, NO_CLASS)
        both = np.intersect1d(source[source >= 0], target[target >= 0])
        return CommonClasses(
            self.names,
            np.where(np.isin(source, both), source, NO_CLASS),
            np.where(np.isin(target, both), target, NO_CLASS),
        )


def keep_apart(source: Groups, target: Groups) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which images of each side have no copy on the other side."""
    shared = np.intersect1d(source[source != NO_GROUP], target[target != NO_GROUP])
    return ~np.isin(source, shared), ~np.isin(target, shared)


def number_clusters(groups: Groups | None, n: int) -> NDArray[np.int64]:
    """Return the cluster of each image, `(n,)` int64 from 0 by first member: a group of copies, or an image alone."""
    alone = -1 - np.arange(n)
    owners = alone if groups is None else np.where(groups == NO_GROUP, alone, groups.astype(np.int64))
    _, first, inverse = np.unique(owners, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first)).astype(np.int64)[inverse]
