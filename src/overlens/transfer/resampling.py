"""Say how far figures would move with other images: a cluster bootstrap, paired between figures.

Each resample draws as many pictures (groups of copies, or images alone) as there are, with repetition, so that copies
come and go together (Field and Welsh, "Bootstrapping clustered data", J. Royal Statistical Society B 69, 2007). All
figures are computed on the same resamples, so that the interval of a difference is that of the paired difference. The
interval is the percentile interval (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13).

Nothing is trained anew: a resample is a weight for each image, and figures are weighted sums of what is known of each.
So an interval says how much the choice of target images moves a figure, not how much that of training images does. A
class that a resample does not hold does not count in its class average.

Shapes: g clusters, t images, c classes, b resamples at once, k values of a figure.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.probes import Codes

Vectors = NDArray[np.float64]
Weights = NDArray[np.float32]
# Weights of the clusters `(b, g)` -> values of a figure for each resample `(b, k)`, NaN where it cannot be had.
Statistic = Callable[[Weights], Vectors]

COVERED = 0.95
_WEIGHTS_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How often to draw, 0 or more, and the seed of the draws."""

    n_resamples: int
    seed: int

    def draw_weights(self, n_clusters: int, width: int = 0) -> Iterator[Weights]:
        """Yield how often each resample holds each cluster, `(b, g)`, some resamples at a time, but always once.

        The draws are the same whatever the width.

        Args:
            n_clusters: g.
            width: Values that the caller keeps of a resample, where these are more than clusters.
        """
        generator = np.random.Generator(np.random.PCG64(self.seed))
        at_once = max(1, _WEIGHTS_AT_ONCE // max(1, n_clusters, width))
        for start in range(0, max(1, self.n_resamples), at_once):
            n_now = min(at_once, self.n_resamples - start)
            shape = n_now, n_clusters
            drawn = generator.integers(n_clusters, size=shape) if n_clusters else np.zeros(shape, np.int64)
            drawn += np.arange(n_now)[:, None] * n_clusters
            counted = np.bincount(drawn.ravel(), minlength=n_now * n_clusters)
            yield counted.reshape(shape).astype(np.float32)


def resample(n_clusters: int, statistics: Sequence[Statistic], bootstrap: Bootstrap) -> list[Vectors]:
    """Return the values of each statistic on the same resamples, `(n_resamples, k)` each."""
    blocks = [[statistic(weights) for statistic in statistics] for weights in bootstrap.draw_weights(n_clusters)]
    return [np.concatenate(values) for values in zip(*blocks, strict=True)]


def interval(values: Vectors) -> tuple[float, float] | None:
    """Return the range that holds the middle 95% of the values that are numbers, or None where none is."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    lower, upper = np.percentile(known, [50 * (1 - COVERED), 50 * (1 + COVERED)])
    return float(lower), float(upper)


def share_statistic(clusters: NDArray[np.int64], codes: Codes, is_right: NDArray[np.bool_]) -> Statistic:
    """Return what gives the class average and the plain share of right answers, `(b, 2)`.

    Args:
        clusters: `(t,)` cluster of each tested image.
        codes: `(t,)` class of each.
        is_right: `(t,)` whether it was recognised.
    """
    order, starts = _by_class(codes)
    columns, right = clusters[order], is_right[order].astype(np.float32)

    def measure(weights: Weights) -> Vectors:
        if not len(columns):
            return np.full((len(weights), 2), np.nan)
        each = weights[:, columns]
        n_tested = np.add.reduceat(each, starts, axis=1, dtype=np.float64)
        n_right = np.add.reduceat(each * right, starts, axis=1, dtype=np.float64)
        plain = divide(n_right.sum(axis=1), n_tested.sum(axis=1))
        return np.stack([mean_of_known(divide(n_right, n_tested)), plain], axis=1)

    return measure


def mean_of_known(values: Vectors) -> Vectors:
    """Return the mean of the numbers of each row, NaN where there is none: `(b, c)` -> `(b,)`."""
    return divide(np.nansum(values, axis=1), np.count_nonzero(~np.isnan(values), axis=1))


def _by_class(codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order that sorts by class, and where each class begins in it."""
    order = np.argsort(codes, kind="stable")
    return order, np.unique(codes[order], return_index=True)[1]


def divide(above: Vectors, below: NDArray[np.generic]) -> Vectors:
    """Return the shares, NaN where there is nothing to have a share of."""
    shares = np.full(above.shape, np.nan)
    np.divide(above, below, out=shares, where=below != 0)
    return shares
