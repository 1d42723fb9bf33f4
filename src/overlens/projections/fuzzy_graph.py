"""How strongly do an image and its neighbours belong together, as UMAP sees it?

Each image measures with a scale of its own: its nearest neighbour belongs to it fully, and the strengths of all its
neighbours sum to log2 of their number. Two images that see each other differently get the probability that at least one
of the two strengths holds (McInnes, Healy and Melville, "UMAP: uniform manifold approximation and projection for
dimension reduction", arXiv:1802.03426, algorithms 2 and 3).

umap-learn computes the same, up to the fifth digit at which it stops its search; but it compiles its functions anew in
every process, six seconds for what numpy does to a hundred images at once. The cost: about twelve seconds for a million
images, which the rest of the projection takes far longer for.

Shapes: n images, k neighbours.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_ROWS_AT_ONCE = 65_536
# Doubling finds the upper end of the scale, halving the rest: enough for all digits of a float32.
_STEPS = 64
# A scale is at least this share of the mean distance; equal images would have one of zero.
_SMALLEST_SCALE = 1e-3


def weigh_neighbours(indices: NDArray[np.int32], distances: FloatRows) -> "csr_matrix":
    """Return the symmetric `(n, n)` float32 matrix of strengths, above 0 up to 1, without entries that are 0.

    Args:
        indices: `(n, k)` neighbours of each image, itself not among them.
        distances: `(n, k)` float32, at least 0, ascending along each row.
    """
    from scipy.sparse import csr_matrix

    n, k = indices.shape
    # The image itself counts as one more neighbour at distance 0.
    overall = float(distances.mean(dtype=np.float64)) * k / (k + 1)
    tiles = [distances[start : start + _ROWS_AT_ONCE] for start in range(0, n, _ROWS_AT_ONCE)]
    strengths = np.concatenate([_strengths(tile.astype(np.float64), overall) for tile in tiles])
    directed = csr_matrix((strengths.ravel(), indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    returned = directed.T.tocsr()
    either = directed + returned - directed.multiply(returned)
    either.eliminate_zeros()
    return either


def _strengths(distances: NDArray[np.float64], overall: float) -> FloatRows:
    """Return the strengths of some rows; `overall` is the mean distance of all images."""
    k = distances.shape[1]
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1)
    nearest[np.isinf(nearest)] = 0.0
    beyond = np.maximum(distances - nearest[:, None], 0.0)
    own = np.where(nearest > 0, distances.sum(axis=1) / (k + 1), overall)
    # Where all images are equal every distance is 0, and so is its share of any scale.
    scales = np.maximum(_find_scales(beyond), np.maximum(_SMALLEST_SCALE * own, np.finfo(np.float64).tiny))
    strengths: FloatRows = np.exp(-beyond / scales[:, None]).astype(np.float32)
    return strengths


def _find_scales(beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scale of each row at which its strengths sum to log2 of the number of neighbours."""
    wanted = np.log2(beyond.shape[1] + 1)
    low, high, scales = np.zeros(len(beyond)), np.full(len(beyond), np.inf), np.ones(len(beyond))
    for _ in range(_STEPS):
        is_too_large = np.exp(-beyond / scales[:, None]).sum(axis=1) > wanted
        low, high = np.where(is_too_large, low, scales), np.where(is_too_large, scales, high)
        scales = np.where(np.isinf(high), 2 * scales, (low + high) / 2)
    return scales
