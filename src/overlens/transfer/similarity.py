"""Say how alike a class is in source and target: the cosine of its two mean vectors.

It is the figure `centroid_similarity` of the centroids, here for matched classes and for any weights of the target's
images. On resamples it is had from products of the images of one class with one another, or from weighted sums where a
class has more images than dimensions: whichever is smaller.

Shapes: n images, t target images, c common classes, d dimensions, b resamples at once, g clusters.
"""

import numpy as np
from numpy.typing import NDArray

from overlens.probes import ZERO_LENGTH, Codes, scale_to_unit
from overlens.records import FloatRows
from overlens.transfer.resampling import Statistic, Vectors, Weights, mean_of_known


def mean_directions(rows: FloatRows, codes: Codes, n_classes: int) -> Vectors:
    """Return the mean vector of each class scaled to length 1, `(c, d)`; NaN for a class without one."""
    directions = np.full((n_classes, rows.shape[1]), np.nan)
    for code in np.unique(codes[codes >= 0]):
        members = np.flatnonzero(codes == code)
        direction = scale_to_unit(rows[members].sum(axis=0, dtype=np.float64)[None] / len(members))
        if direction.any():
            directions[code] = direction
    return directions


def similarity_statistic(directions: Vectors, rows: FloatRows, codes: Codes, clusters: NDArray[np.int64]) -> Statistic:
    """Return what gives the class average of the similarity, `(b, 1)`.

    Args:
        directions: `(c, d)` mean directions of the source.
        rows: `(n, d)` float32 rows of the target.
        codes: `(n,)` common class of each, `NO_CLASS` for none.
        clusters: `(n,)` cluster of each; those without a class are not looked at.
    """
    parts = [
        _part(directions[code], rows[members].astype(np.float64), clusters[members])
        for code in np.unique(codes[codes >= 0])
        for members in [np.flatnonzero(codes == code)]
    ]

    def measure(weights: Weights) -> Vectors:
        values = [part(weights) for part in parts]
        return mean_of_known(np.concatenate(values, axis=1) if values else np.zeros((len(weights), 0)))[:, None]

    return measure


def _part(direction: Vectors, rows: Vectors, clusters: NDArray[np.int64]) -> Statistic:
    """Return what gives the similarity of one class, `(b, 1)`."""
    towards = rows @ direction
    products = rows @ rows.T if len(rows) < rows.shape[1] else None

    def measure(weights: Weights) -> Vectors:
        each = weights[:, clusters].astype(np.float64)
        if products is not None:
            squares = ((each @ products) * each).sum(axis=1)
        else:
            squares = np.square(each @ rows).sum(axis=1)
        n_images = each.sum(axis=1)
        # The length of the sum of n vectors that cancel is rounding, n times that of their mean.
        is_known = squares > np.square(ZERO_LENGTH * n_images)
        cosines = np.full(len(each), np.nan)
        np.divide(each @ towards, np.sqrt(np.maximum(squares, 0)), out=cosines, where=is_known)
        clipped: Vectors = np.clip(cosines, -1.0, 1.0)[:, None]
        return clipped

    return measure
