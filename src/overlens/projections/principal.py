"""Where do images start on the plane before a projection moves them?

At their first two principal components, from one pass over the rows for the mean, one for the axes and one for the
places. Memory is a tile of rows and the scatter of the dimensions; fewer rows than dimensions are read at once.

The same rows give the same places bit for bit: it is computed in one thread, whatever the number of cores.

Shapes: n images, d dimensions.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows
from overlens.stacked import Rows

TILE_ROWS = 4096


def principal_start(rows: Rows, seed: int) -> NDArray[np.float64]:
    """Return the first two principal components, scaled so that the first has a standard deviation of 1.

    A little noise (standard deviation 0.01) drawn from `seed` sets equal rows apart, because points on one spot push
    each other in no direction. Where all rows are equal, only the noise is left.

    Args:
        rows: `(n, d)` float32, in one matrix or several; read tile by tile.
        seed: Any integer >= 0.

    Returns:
        `(n, 2)` float64.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # the order of additions in BLAS depends on its number of threads
        components = _principal_components(rows)
    spread = components[:, 0].std()
    scaled = components / spread if spread > 1e-6 else np.zeros_like(components)
    return scaled + 0.01 * np.random.default_rng(seed).standard_normal(scaled.shape)


def _principal_components(rows: Rows) -> NDArray[np.float64]:
    n, dim = rows.shape
    tiles = [slice(start, start + TILE_ROWS) for start in range(0, n, TILE_ROWS)]
    mean = sum((rows[tile].sum(axis=0, dtype=np.float64) for tile in tiles), np.zeros(dim)) / n
    axes = _axes_of_few(rows[0:n], mean) if n < dim else _axes_of_many((rows[tile] for tile in tiles), mean)
    # An eigenvector's sign is arbitrary: let its largest entry be positive.
    signs = np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    return np.concatenate([(rows[tile].astype(np.float64) - mean) @ (axes * signs) for tile in tiles])


def _axes_of_many(tiles: Iterable[FloatRows], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first two principal axes, `(d, 2)`, from the scatter of the dimensions."""
    dim = len(mean)
    scatter = np.zeros((dim, dim))
    for tile in tiles:
        centred = tile.astype(np.float64) - mean
        scatter += centred.T @ centred
    axes = np.zeros((dim, 2))
    n_axes = min(2, dim)
    axes[:, :n_axes] = np.linalg.eigh(scatter)[1][:, ::-1][:, :n_axes]
    return axes


def _axes_of_few(rows: FloatRows, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same from the products of the rows, of which there are fewer than dimensions.

    The scatter of 1,280 dimensions takes half a second to decompose, the products of a hundred rows a millisecond.
    """
    centred = rows.astype(np.float64) - mean
    axes: NDArray[np.float64] = np.zeros((len(mean), 2))
    n_axes = min(2, len(rows))
    axes[:, :n_axes] = centred.T @ np.linalg.eigh(centred @ centred.T)[1][:, ::-1][:, :n_axes]
    lengths = np.linalg.norm(axes, axis=0)
    lengths[lengths < 1e-6] = np.inf  # rows that vary along one line only have no second axis
    axes /= lengths
    return axes
