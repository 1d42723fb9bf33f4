"""Say how far apart the images of two datasets are as wholes, and how far apart halves of one dataset are.

* Squared maximum mean discrepancy, unbiased (Gretton et al., "A kernel two-sample test", JMLR 13, 2012, Lemma 6), with
  the kernel exp(-|x - y|² / (2 s²)), s the median distance between the pooled rows (ibid., section 8). Its mean is 0
  where both sets are drawn from one distribution, so that it may be below 0.
* Fréchet distance of the Gaussians that fit the rows (Dowson and Landau, "The Fréchet distance between multivariate
  normal distributions", J. Multivariate Analysis 12, 1982; of embeddings: Heusel et al., "GANs trained by a two
  time-scale update rule", NeurIPS 2017): |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½). The trace of the root is the sum of
  the singular values of X1 X2ᵀ / (m - 1), rows centred, so that no root of d x d is taken. It is biased upwards, the
  more the fewer rows there are: compare it with the halves only.

Sizes move both, so all sets have as many rows: m, half of the smaller dataset, at most 500. Each draw splits each
dataset at random into two disjoint halves; A against B stands beside A against A and B against B, the noise floor. The
halves of a dataset depend on seed, draw and its name alone. With and without the overlap have the same m, the same
kernel and the same draws, less the images that are removed.

A figure is the mean over the draws, with the range that holds 95% of them. They share images: it says how much the
choice of halves moves the figure and is no confidence interval.

Shapes: n images, m rows of a half, d dimensions, r draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows
from overlens.sampler import draw_number
from overlens.transfer.figures import Estimate, Figure, subtract
from overlens.transfer.inputs import Labelled, TransferConfig
from overlens.transfer.resampling import interval

DISTANCES = ("mmd_squared", "frechet")
SETS = ("between", "source_floor", "target_floor")

Vectors = NDArray[np.float64]
Kept = tuple[NDArray[np.bool_], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Pool:
    """The rows to draw from: `dataset`, `rows` `(n, d)`, `is_kept` `(n,)` those that may be drawn."""

    dataset: str
    rows: FloatRows
    is_kept: NDArray[np.bool_]

    @property
    def n_kept(self) -> int:
        """Rows that may be drawn."""
        return int(np.count_nonzero(self.is_kept))

    def halves(self, size: int, draw: int, seed: int) -> tuple[FloatRows, FloatRows]:
        """Return two disjoint random halves of `size` rows, the same for the same seed, draw and name."""
        state = draw_number(seed, "transfer halves", self.dataset, str(draw)) % 2**128
        order = np.random.Generator(np.random.PCG64(state)).permutation(len(self.rows))
        order = order[self.is_kept[order]]
        return self.rows[order[:size]], self.rows[order[size : 2 * size]]


@dataclass(frozen=True, slots=True)
class Distances:
    """What the draws of halves gave.

    Attributes:
        size: m, rows of a half; 0 where there are too few to draw.
        every: `(r, 2, 3)` of all images: draw, `DISTANCES`, `SETS`.
        without: Likewise without the overlap, the same array where nothing is removed; None where nothing was verified
            or too little remains.
    """

    size: int
    every: Vectors
    without: Vectors | None

    def turned(self) -> "Distances":
        """Return the same with source and target exchanged."""
        without = None if self.without is None else self.without[:, :, [0, 2, 1]]
        return Distances(self.size, self.every[:, :, [0, 2, 1]], without)

    def figures(self) -> Iterator[Figure]:
        """Yield the mean over the draws of each distance with its range, and the difference paired by draw."""
        for row, distance in enumerate(DISTANCES if self.size else ()):
            for column, between in enumerate(SETS):
                name = distance if between == "between" else f"{distance}_{between}"
                every = self.every[:, row, column]
                estimate = self._estimate(every)
                if self.without is None:
                    yield Figure(name, "", estimate)
                    continue
                without = self.without[:, row, column]
                other = self._estimate(without)
                yield Figure(name, "", estimate, other, subtract(estimate, other, interval(every - without)))

    def _estimate(self, values: Vectors) -> Estimate:
        lower, upper = interval(values) or (None, None)
        return Estimate(float(values.mean()), lower, upper, self.size, self.size, None)


def measure_distances(source: Labelled, target: Labelled, kept: Kept | None, config: TransferConfig) -> Distances:
    """Measure how far apart two datasets are, with and without the overlap.

    Args:
        source: The one dataset; images without a class count, too.
        target: The other.
        kept: Which images of each have no copy in the other, `(n,)` each; None where nothing was verified.
        config: How often to draw, and how many rows.
    """
    sides = source, target
    pools = [Pool(side.dataset, side.rows, np.ones(len(side.rows), np.bool_)) for side in sides]
    rests = (
        None if kept is None else [Pool(side.dataset, side.rows, mask) for side, mask in zip(sides, kept, strict=True)]
    )
    size = half_size([*pools, *(rests or ())], config)
    if not size and rests is not None:
        size, rests = half_size(pools, config), None
    if not size:
        return Distances(0, np.zeros((0, 2, 3)), None)
    bandwidth = median_distance(pools[0].halves(size, 0, config.seed)[0], pools[1].halves(size, 0, config.seed)[0])
    every = _draw_all(pools, size, bandwidth, config)
    if rests is None or all(rest.is_kept.all() for rest in rests):
        return Distances(size, every, None if rests is None else every)
    return Distances(size, every, _draw_all(rests, size, bandwidth, config))


def half_size(pools: list[Pool], config: TransferConfig) -> int:
    """Return m: half of the smallest pool, at most `max_half`; 0 where a half would have fewer than 2 rows."""
    size = min(config.max_half, min(pool.n_kept for pool in pools) // 2)
    return size if size >= 2 else 0


def _draw_all(pools: list[Pool], size: int, bandwidth: float, config: TransferConfig) -> Vectors:
    draws = range(config.n_draws)
    return np.stack([measure_draw(pools[0], pools[1], size, bandwidth, (draw, config.seed)) for draw in draws])


def measure_draw(source: Pool, target: Pool, size: int, bandwidth: float, at: tuple[int, int]) -> Vectors:
    """Return both distances for one draw: `(2, 3)`, `DISTANCES` by `SETS`.

    Args:
        source: The one dataset.
        target: The other.
        size: m, at least 2.
        bandwidth: s of the kernel, above 0.
        at: Number of the draw, and the seed.
    """
    halves = [*source.halves(size, *at), *target.halves(size, *at)]
    within = [_mean_kernel(rows, rows, bandwidth, skip=size) for rows in halves]
    pairs = (0, 2), (0, 1), (2, 3)
    discrepancies = [within[i] + within[j] - 2 * _mean_kernel(halves[i], halves[j], bandwidth) for i, j in pairs]
    return np.array([discrepancies, [squared_frechet(halves[i], halves[j]) for i, j in pairs]])


def median_distance(first: FloatRows, second: FloatRows) -> float:
    """Return the median of the distances between different rows of both sets pooled; 1 where it is 0."""
    pooled = np.concatenate([first, second])
    squares = _squared_distances(pooled, pooled)[np.triu_indices(len(pooled), 1)]
    # Rows that are all alike have no scale, and any bandwidth gives 0.
    return float(np.sqrt(np.median(squares))) or 1.0


def squared_mmd(first: FloatRows, second: FloatRows, bandwidth: float) -> float:
    """Return the unbiased estimate of the squared maximum mean discrepancy, -2 to 2.

    Args:
        first: `(m, d)` float32, at least 2 rows.
        second: `(k, d)` likewise.
        bandwidth: s of the kernel, above 0.
    """
    within = sum(_mean_kernel(rows, rows, bandwidth, skip=len(rows)) for rows in (first, second))
    return within - 2 * _mean_kernel(first, second, bandwidth)


def squared_frechet(first: FloatRows, second: FloatRows) -> float:
    """Return the squared Fréchet distance of the Gaussians of two sets of equally many rows, 0 or more.

    This is what is known as the Fréchet distance (FID) of embeddings. Singular values are had as roots of eigenvalues,
    in half the time; those below 1e-8 of the largest are lost, which is far below the rounding of the figure.

    Args:
        first: `(m, d)` float32, at least 2 rows.
        second: `(m, d)` likewise.
    """
    one, other = first.astype(np.float64), second.astype(np.float64)
    shift = one.mean(axis=0) - other.mean(axis=0)
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    cross = one @ other.T
    root_trace = np.sqrt(np.maximum(np.linalg.eigvalsh(cross @ cross.T), 0)).sum()
    spread = np.vdot(one, one) + np.vdot(other, other)
    return max(0.0, float(shift @ shift + (spread - 2 * root_trace) / (len(first) - 1)))


def _mean_kernel(first: FloatRows, second: FloatRows, bandwidth: float, skip: int = 0) -> float:
    """Return the mean kernel over all pairs of rows, less `skip` pairs of a row with itself, whose kernel is 1."""
    squares = _squared_distances(first, second)
    total = np.exp(squares * np.float32(-0.5 / bandwidth**2)).sum(dtype=np.float64)
    if skip:
        total -= np.exp(np.diagonal(squares) * np.float32(-0.5 / bandwidth**2)).sum(dtype=np.float64)
    return float(total / (squares.size - skip))


def _squared_distances(first: FloatRows, second: FloatRows) -> NDArray[np.float32]:
    lengths = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1)
    squares: NDArray[np.float32] = lengths - 2 * (first @ second.T)
    return np.maximum(squares, 0, out=squares)
