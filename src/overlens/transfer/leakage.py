"""Say how much of the transfer from one dataset to another is leakage: each figure with and without the overlap.

Without the overlap means that images whose group of copies reaches into the other dataset are removed on both sides,
and that probes are trained anew on what remains of the source. In-domain, nothing is trained anew: a fold never holds
a copy of an image of another, so the same answers are counted over the images that remain. A class that one side has
lost is no common class any more; `n_classes` shows it.

The mean of images drawn with repetition is noisier than that of the images themselves, so similarities of resamples lie
below the figure. Their ranges are moved by the mean gap, so that they lie about the figure; those of shares need not.

Where nothing is removed, nothing is computed twice: the difference is 0, from 0 to 0.

Folds and clusters rest on the copies within the target. Where nobody looked for these, figures say so, and there is no
in-domain figure without the overlap: its answers may come from copies that stayed.

Shapes: n images, t tested images, c common classes, b resamples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.probes import Codes
from overlens.transfer.accuracy import Accuracy, Answers, count_right
from overlens.transfer.figures import ClassFigure, Estimate, Figure, subtract
from overlens.transfer.inputs import CommonClasses, Labelled, number_clusters
from overlens.transfer.resampling import Bootstrap, Statistic, Vectors, interval, resample, share_statistic
from overlens.transfer.similarity import mean_directions, similarity_statistic

ALL, WITHOUT = "all", "without_overlap"


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure over some images: values, what they rest on, and how to get them on a resample.

    Attributes:
        averages: Name of each value.
        values: One for each average; None where it cannot be had.
        counts: n_train, n_test, n_classes.
        statistic: Weights of the clusters -> `(b, k)`.
        classes: The figure of each class.
        is_biased: Whether values on resamples lie to one side of the figure; such a figure has one average.
    """

    averages: tuple[str, ...]
    values: tuple[float | None, ...]
    counts: tuple[int, int, int]
    statistic: Statistic
    classes: tuple[ClassFigure, ...]
    is_biased: bool = False

    def centre(self, drawn: Vectors) -> Vectors:
        """Return the values on resamples, moved to lie about the figure where they do not by themselves."""
        if not self.is_biased or self.values[0] is None or np.isnan(drawn).all():
            return drawn
        centred: Vectors = drawn + (self.values[0] - np.nanmean(drawn))
        return centred


@dataclass(frozen=True, slots=True)
class View:
    """Two datasets with the images that are looked at.

    Attributes:
        source: The dataset that is learnt from.
        target: The dataset that is tested.
        common: Codes of the images that are looked at.
        clusters: `(n,)` cluster of each target image.
        images: "all" or "without_overlap".
    """

    source: Labelled
    target: Labelled
    common: CommonClasses
    clusters: NDArray[np.int64]
    images: str


def cluster_target(target: Labelled, codes: Codes) -> tuple[NDArray[np.int64], int]:
    """Return the cluster of each target image of a common class, `(n,)`, -1 for others, and how many clusters are."""
    chosen = np.flatnonzero(codes >= 0)
    numbers = number_clusters(None if target.groups is None else target.groups[chosen], len(chosen))
    clusters = np.full(len(codes), -1, np.int64)
    clusters[chosen] = numbers
    return clusters, int(numbers.max()) + 1 if len(numbers) else 0


def measure_answers(name: str, view: View, answers: Answers, train_codes: Codes) -> Measured:
    """Return the accuracy of a probe.

    Args:
        name: Name of the figure.
        view: The images that are looked at.
        answers: What the probe answered for the target.
        train_codes: Class of each image it was trained on, `NO_CLASS` for others.
    """
    codes = view.common.target
    counted = count_right(answers, codes, len(view.common.names))
    n_train = np.bincount(train_codes[train_codes >= 0], minlength=len(view.common.names))
    return Measured(
        ("class", "plain"),
        (counted.class_average, counted.plain),
        (counted.n_train, counted.n_test, counted.n_classes),
        share_statistic(view.clusters[answers.rows], codes[answers.rows], answers.is_right),
        tuple(_class_accuracies(name, view, counted, n_train)),
    )


def _class_accuracies(name: str, view: View, counted: Accuracy, n_train: NDArray[np.int64]) -> Iterator[ClassFigure]:
    for code, class_name in enumerate(view.common.names):
        n_test, n_right = int(counted.n_tested[code]), int(counted.n_right[code])
        value = n_right / n_test if n_test else None
        yield ClassFigure(class_name, name, view.images, value, int(n_train[code]), n_test, n_right)


def measure_similarity(view: View) -> Measured:
    """Return the similarity of the mean vectors of each class."""
    source, target, common = view.source, view.target, view.common
    n_classes = len(common.names)
    directions = mean_directions(source.rows, common.source, n_classes)
    cosines = (directions * mean_directions(target.rows, common.target, n_classes)).sum(axis=1).clip(-1, 1)
    known = cosines[~np.isnan(cosines)]
    return Measured(
        ("class",),
        (float(known.mean()) if len(known) else None,),
        (int(np.count_nonzero(common.source >= 0)), int(np.count_nonzero(common.target >= 0)), len(known)),
        similarity_statistic(directions, target.rows, common.target, view.clusters),
        tuple(_class_similarities(view, cosines)),
        is_biased=True,
    )


def _class_similarities(view: View, cosines: Vectors) -> Iterator[ClassFigure]:
    n_here, n_there = (
        np.bincount(codes[codes >= 0], minlength=len(cosines)) for codes in (view.common.source, view.common.target)
    )
    for code, class_name in enumerate(view.common.names):
        value = None if np.isnan(cosines[code]) else float(cosines[code])
        counts = int(n_here[code]), int(n_there[code]), None
        yield ClassFigure(class_name, "centroid_similarity", view.images, value, *counts)


def compare(
    every: dict[str, Measured],
    without: dict[str, Measured],
    n_clusters: int,
    bootstrap: Bootstrap,
    *,
    copies_unknown: str = "",
) -> tuple[Figure, ...]:
    """Return the figures with their intervals.

    Args:
        every: Name of a figure -> what it is with all images.
        without: Likewise without the overlap, for the figures of which that is known. The same record for one that the
            overlap does not touch.
        n_clusters: Clusters of the target to draw from.
        bootstrap: How to draw.
        copies_unknown: Why copies within the target are not all known, if so: all clusters rest on them.
    """
    touched = {name: one for name, one in without.items() if one is not every[name]}
    measured = [*every.values(), *touched.values()]
    values_of = resample(n_clusters, [one.statistic for one in measured], bootstrap)
    drawn = [one.centre(values) for one, values in zip(measured, values_of, strict=True)]
    drawn_all = dict(zip(every, drawn, strict=False))
    drawn_without = drawn_all | dict(zip(touched, drawn[len(every) :], strict=True))
    figures = []
    for name, one in every.items():
        other = without.get(name)
        for column, average in enumerate(one.averages):
            values = drawn_all[name][:, column], drawn_without[name][:, column]
            at = _at(one, column, values[0]), None if other is None else _at(other, column, values[1])
            gap = None if at[1] is None else subtract(at[0], at[1], interval(values[0] - values[1]))
            figures.append(Figure(name, average, *at, gap, copies_unknown))
    return tuple(figures)


def _at(one: Measured, column: int, values: Vectors) -> Estimate:
    lower, upper = interval(values) or (None, None)
    return Estimate(one.values[column], lower, upper, *one.counts)
