"""Say how often probes that saw the source recognise the target, and how often those that saw the target itself do.

Across: a probe is trained on the source's images of the common classes and tested on the target's. In-domain: the same
classes by cross-validation on the target alone, which says how hard they are there. Folds are dealt by the sampler,
class after class, so that each has its share of every class; a group of copies is in one fold, else its members would
answer for one another. A class whose pictures are all in one fold (it has one picture) cannot be tested that way: it
is left out and counted.

Shapes: n images of a dataset, t tested images, c classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.probes import Codes, FittedProbe, fit_probe
from overlens.records import FloatRows
from overlens.sampler import draw_number
from overlens.transfer.inputs import Labelled, TransferConfig, number_clusters

NO_FOLD = -1


@dataclass(frozen=True, slots=True)
class Answers:
    """What a probe answered.

    Attributes:
        rows: `(t,)` int64 tested rows of the target, ascending.
        is_right: `(t,)` whether each was recognised.
        n_train: Images it was trained on; of a cross-validation, the images that the folds hold.
        n_left_out: Images of common classes that could not be tested.
        is_converged: Whether every fit came to its end.
    """

    rows: NDArray[np.int64]
    is_right: NDArray[np.bool_]
    n_train: int
    n_left_out: int = 0
    is_converged: bool = True

    def among(self, is_kept: NDArray[np.bool_]) -> "Answers":
        """Return the answers for those rows of the target that are kept, `(n,)`."""
        chosen = is_kept[self.rows]
        return Answers(self.rows[chosen], self.is_right[chosen], self.n_train, self.n_left_out, self.is_converged)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Answers counted by class.

    Attributes:
        n_tested: `(c,)` int64 tested images of each class; 0 for a class that is not tested.
        n_right: `(c,)` int64 recognised ones.
        n_train: Images the probe was trained on.
    """

    n_tested: NDArray[np.int64]
    n_right: NDArray[np.int64]
    n_train: int

    @property
    def n_test(self) -> int:
        """Number of tested images."""
        return int(self.n_tested.sum())

    @property
    def n_classes(self) -> int:
        """Number of tested classes."""
        return int(np.count_nonzero(self.n_tested))

    @property
    def plain(self) -> float | None:
        """Share of tested images that were recognised, 0 to 1; None where none was tested."""
        return float(self.n_right.sum() / self.n_test) if self.n_test else None

    @property
    def class_average(self) -> float | None:
        """Mean over tested classes of the share that was recognised, 0 to 1; None where none was tested."""
        tested = self.n_tested > 0
        return float(np.mean(self.n_right[tested] / self.n_tested[tested])) if tested.any() else None


def count_right(answers: Answers, codes: Codes, n_classes: int) -> Accuracy:
    """Return the answers counted by class.

    Args:
        answers: The answers.
        codes: `(n,)` int64 class of each image of the target.
        n_classes: c.
    """
    tested = codes[answers.rows]
    n_tested = np.bincount(tested, minlength=n_classes)
    return Accuracy(n_tested, np.bincount(tested[answers.is_right], minlength=n_classes), answers.n_train)


def train_on(probe: str, rows: FloatRows, codes: Codes) -> FittedProbe | None:
    """Return a probe trained on the rows that have a class, or None where none has."""
    chosen = np.flatnonzero(codes >= 0)
    return fit_probe(probe, rows[chosen], codes[chosen]) if len(chosen) else None


def test_on(fitted: FittedProbe | None, rows: FloatRows, codes: Codes, n_train: int) -> Answers:
    """Return what a trained probe answers for the rows that have a class; nothing where there is no probe."""
    if fitted is None:
        return Answers(np.zeros(0, np.int64), np.zeros(0, np.bool_), n_train)
    chosen = np.flatnonzero(codes >= 0)
    return Answers(chosen, fitted.classify(rows[chosen]) == codes[chosen], n_train, is_converged=fitted.is_converged)


def cross_validate(probe: str, rows: FloatRows, codes: Codes, folds: NDArray[np.int64]) -> Answers:
    """Return what probes answer for each fold that were trained on the other folds.

    Args:
        probe: One of `PROBES`.
        rows: `(n, d)` float32 unit rows.
        codes: `(n,)` int64 class of each, `NO_CLASS` for none.
        folds: `(n,)` fold of each as `deal_folds` gives it.
    """
    dealt = np.flatnonzero(folds != NO_FOLD)
    is_right = np.zeros(len(rows), np.bool_)
    is_converged = True
    for fold in np.unique(folds[dealt]):
        train, test = dealt[folds[dealt] != fold], dealt[folds[dealt] == fold]
        fitted = fit_probe(probe, rows[train], codes[train])
        is_right[test] = fitted.classify(rows[test]) == codes[test]
        is_converged &= fitted.is_converged
    n_left_out = int(np.count_nonzero(codes >= 0)) - len(dealt)
    return Answers(dealt, is_right[dealt], len(dealt), n_left_out, is_converged)


def deal_folds(dataset: Labelled, codes: Codes, config: TransferConfig) -> NDArray[np.int64]:
    """Return the fold of each image, `(n,)` int64 from 0, `NO_FOLD` for one that cannot be tested or has no class.

    The pictures (groups of copies, or images alone) of each class are put into an order that depends on the seed and
    on their keys alone and dealt one to each fold in turn, going on with the next class where the last one stopped. A
    group whose images have several classes is dealt with the first of them.
    """
    folds = np.full(len(codes), NO_FOLD, np.int64)
    chosen = np.flatnonzero(codes >= 0)
    if not len(chosen):
        return folds
    groups = None if dataset.groups is None else dataset.groups[chosen]
    picture_of = number_clusters(groups, len(chosen))
    classes, numbers = _first_members(dataset.keys, codes, chosen, picture_of, config.seed)
    order = sorted(range(len(classes)), key=lambda picture: (classes[picture], numbers[picture]))
    fold_of = np.empty(len(order), np.int64)
    fold_of[order] = np.arange(len(order)) % config.n_folds
    folds[chosen] = fold_of[picture_of]
    return np.where(_is_testable(folds, codes), folds, NO_FOLD)


def _first_members(
    keys: Sequence[str], codes: Codes, chosen: NDArray[np.int64], picture_of: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], list[int]]:
    """Return of each picture its lowest class and the number that its first key draws."""
    n_pictures = int(picture_of.max()) + 1
    classes = np.full(n_pictures, np.iinfo(np.int64).max)
    np.minimum.at(classes, picture_of, codes[chosen])
    first: dict[int, str] = {}
    for picture, row in zip(picture_of.tolist(), chosen.tolist(), strict=True):
        first[picture] = min(first.get(picture, keys[row]), keys[row])
    return classes, [draw_number(seed, "transfer fold", first[picture]) for picture in range(n_pictures)]


def _is_testable(folds: NDArray[np.int64], codes: Codes) -> NDArray[np.bool_]:
    """Return which images have one of their class in another fold."""
    pairs = np.unique(np.stack([codes[codes >= 0], folds[codes >= 0]]), axis=1)
    classes, n_folds = np.unique(pairs[0], return_counts=True)
    return np.isin(codes, classes[n_folds > 1])
