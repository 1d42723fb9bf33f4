"""Measure one ordered pair of datasets, or one dataset by itself, and do once what several pairs ask for.

That is: a probe trained on the same images of a source, the cross-validation of a target on the same classes, the
distances of a pair in its other direction.

Shapes: n images.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from hashlib import sha256
from threading import Lock
from typing import Any, TypeVar, cast

import numpy as np

from overlens.class_matching import NO_CLASS
from overlens.probes import PROBES, Codes
from overlens.transfer.accuracy import Answers, cross_validate, deal_folds, test_on, train_on
from overlens.transfer.distances import Distances, Kept, measure_distances
from overlens.transfer.figures import ClassFigure, PairTransfer, Removed
from overlens.transfer.inputs import CommonClasses, Labelled, TransferConfig, keep_apart
from overlens.transfer.leakage import (
    ALL,
    WITHOUT,
    Measured,
    View,
    cluster_target,
    compare,
    measure_answers,
    measure_similarity,
)

Result = TypeVar("Result")
IN_DOMAIN = "in_domain_"


@dataclass(frozen=True, slots=True)
class Memory:
    """What has been asked for, to be done once, also where two threads ask at the same moment."""

    _lock: Any = field(default_factory=Lock)
    _known: dict[object, "Future[Any]"] = field(default_factory=dict)

    def once(self, key: object, make: Callable[[], Result]) -> Result:
        """Return what `make` gives; only the first that asks with this key calls it, the others wait."""
        with self._lock:
            is_first = key not in self._known
            future = self._known.setdefault(key, Future())
        if is_first:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
        return cast(Result, future.result())


@dataclass(frozen=True, slots=True)
class _Sight:
    """The figures of a view, and what went on while they were had."""

    figures: dict[str, Measured]
    n_left_out: int
    unconverged: tuple[str, ...]


def measure_pair(
    source: Labelled, target: Labelled, common: CommonClasses, memory: Memory, config: TransferConfig
) -> PairTransfer:
    """Measure how the classes of `source` carry over to `target`: every figure with and without the overlap.

    Args:
        source: The dataset that is learnt from; images in the order of their keys.
        target: The dataset that is tested; likewise.
        common: Their common classes.
        memory: What other pairs have asked for.
        config: How to measure.
    """
    common = common.keep(np.ones(len(source.keys), np.bool_), np.ones(len(target.keys), np.bool_))
    kept = _keep_apart(source, target)
    clusters, n_clusters = cluster_target(target, common.target)
    view = View(source, target, common, clusters, ALL)
    every = _look(view, common.target, memory, config)
    without = _Sight({}, 0, ()) if kept is None else _look_without(view, every, kept, memory, config)
    unknown = target.copies_unknown
    figures = compare(every.figures, without.figures, n_clusters, config.bootstrap, copies_unknown=unknown)
    return PairTransfer(
        source.dataset,
        target.dataset,
        n_common_classes=len(np.unique(common.target[common.target >= 0])),
        n_left_out=every.n_left_out,
        removed_source=None if kept is None else Removed(int(np.count_nonzero(~kept[0])), len(kept[0])),
        removed_target=None if kept is None else Removed(int(np.count_nonzero(~kept[1])), len(kept[1])),
        figures=(*figures, *_recall_distances(source, target, kept, memory, config).figures()),
        classes=tuple(_list_classes(every, without)),
        notices=tuple(_tell([every, without])),
    )


def measure_within(dataset: Labelled, memory: Memory, config: TransferConfig) -> PairTransfer:
    """Measure the in-domain accuracy of a dataset over all its own classes.

    Args:
        dataset: The dataset; images in the order of their keys.
        memory: What other pairs have asked for.
        config: How to measure.
    """
    clusters, n_clusters = cluster_target(dataset, dataset.codes)
    common = CommonClasses(dataset.names, dataset.codes, dataset.codes)
    sight = _look_in_domain(View(dataset, dataset, common, clusters, ALL), dataset.codes, memory, config)
    unknown = dataset.copies_unknown
    return PairTransfer(
        dataset.dataset,
        dataset.dataset,
        n_common_classes=len(np.unique(dataset.codes[dataset.codes >= 0])),
        n_left_out=sight.n_left_out,
        removed_source=None,
        removed_target=None,
        figures=compare(sight.figures, {}, n_clusters, config.bootstrap, copies_unknown=unknown),
        classes=tuple(_list_classes(sight, sight)),
        notices=tuple(_tell([sight])),
    )


def _keep_apart(source: Labelled, target: Labelled) -> Kept | None:
    if source.groups is None or target.groups is None:
        return None
    return keep_apart(source.groups, target.groups)


def _look(view: View, dealt_codes: Codes, memory: Memory, config: TransferConfig) -> _Sight:
    """Return all figures of a view but the distances; `dealt_codes` are the classes that folds are dealt for."""
    figures = {"centroid_similarity": measure_similarity(view)}
    unconverged = []
    for probe in PROBES:
        answers = _recall_answers(probe, view, memory)
        figures[f"accuracy_{probe}"] = measure_answers(f"accuracy_{probe}", view, answers, view.common.source)
        unconverged += [] if answers.is_converged else [probe]
    within = _look_in_domain(view, dealt_codes, memory, config)
    return _Sight(figures | within.figures, within.n_left_out, (*unconverged, *within.unconverged))


def _look_without(view: View, every: _Sight, kept: Kept, memory: Memory, config: TransferConfig) -> _Sight:
    """Return the figures without the overlap that are known; those that it does not touch are those of `every`."""
    rest = view.common.keep(*kept)
    is_same = _digest(rest.source, rest.target) == _digest(view.common.source, view.common.target)
    view_of_rest = replace(view, common=rest, images=WITHOUT)
    sight = every if is_same else _look(view_of_rest, view.common.target, memory, config)
    if not view.target.copies_unknown:
        return sight
    # Where nobody looked for copies within the target, its folds may hold copies of one another that are not removed.
    return replace(sight, figures={name: one for name, one in sight.figures.items() if not name.startswith(IN_DOMAIN)})


def _list_classes(every: _Sight, without: _Sight) -> Iterator[ClassFigure]:
    touched = (one for name, one in without.figures.items() if one is not every.figures[name])
    for measured in (*every.figures.values(), *touched):
        yield from measured.classes


def _look_in_domain(view: View, dealt_codes: Codes, memory: Memory, config: TransferConfig) -> _Sight:
    figures, n_left_out, unconverged = dict[str, Measured](), 0, []
    for probe in PROBES:
        answers = _recall_validation(probe, view.target, dealt_codes, memory, config)
        trained = np.full(len(dealt_codes), NO_CLASS)
        trained[answers.rows] = dealt_codes[answers.rows]
        seen = answers.among(view.common.target >= 0)
        figures[f"{IN_DOMAIN}{probe}"] = measure_answers(f"{IN_DOMAIN}{probe}", view, seen, trained)
        n_left_out = answers.n_left_out
        unconverged += [] if answers.is_converged else [probe]
    return _Sight(figures, n_left_out, tuple(unconverged))


def _recall_answers(probe: str, view: View, memory: Memory) -> Answers:
    source, target, common = view.source, view.target, view.common
    key = "trained", probe, source.dataset, _digest(common.source)
    if probe == "knn":  # Nothing is learnt, and to remember it would be to keep the rows.
        fitted = train_on(probe, source.rows, common.source)
    else:
        fitted = memory.once(key, lambda: train_on(probe, source.rows, common.source))
    return test_on(fitted, target.rows, common.target, int(np.count_nonzero(common.source >= 0)))


def _recall_validation(probe: str, target: Labelled, codes: Codes, memory: Memory, config: TransferConfig) -> Answers:
    key = "validated", probe, target.dataset, _digest(codes)

    def validate() -> Answers:
        return cross_validate(probe, target.rows, codes, deal_folds(target, codes, config))

    return memory.once(key, validate)


def _recall_distances(
    source: Labelled, target: Labelled, kept: Kept | None, memory: Memory, config: TransferConfig
) -> Distances:
    """Return the distances, measured in the order of the names of the datasets."""
    if source.dataset > target.dataset:
        turned = None if kept is None else (kept[1], kept[0])
        return _recall_distances(target, source, turned, memory, config).turned()
    key = "distances", source.dataset, target.dataset
    return memory.once(key, lambda: measure_distances(source, target, kept, config))


def _digest(*codes: Codes) -> bytes:
    digest = sha256()
    for column in codes:
        digest.update(np.ascontiguousarray(column).data)
    return digest.digest()


def _tell(sights: list[_Sight]) -> Iterator[str]:
    if n := sights[0].n_left_out:
        yield f"images whose class has no picture in another fold, left out of the in-domain figures: {n}"
    unconverged = sorted({probe for sight in sights for probe in sight.unconverged})
    if unconverged:
        yield f"fits that did not converge, whose figures are approximate: {', '.join(unconverged)}"
