"""Where two pictures answer one another: the local features that fit under the transform of their pair.

They are found anew when somebody asks, as verification finds them, since a run keeps how many fit and not where. It
takes about 50 ms for two pictures.

Shapes: k features that fit.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overlens.verify.local_features import DETECTION_PX, find_features, match_features
from overlens.verify.transforms import from_shares

MOST_POINTS = 200
MOST_PX_OFF = 6.0
"""How far from its place a feature may be, in pixels of the size at which features are looked for."""
Pixels = NDArray[np.uint8]


def fitting_points(left: Pixels, right: Pixels, transform: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """Return (x, y) in the left and (x, y) in the right picture of the features that fit, the most distinct first.

    Args:
        left: `(h, w, 3)` uint8.
        right: `(h, w, 3)` uint8.
        transform: Nine numbers: places of the left picture to places of the right one, in shares.

    Returns:
        At most `MOST_POINTS`, in shares of width and height.
    """
    greys = [_grey(pixels) for pixels in (left, right)]
    shapes = [(grey.shape[0], grey.shape[1]) for grey in greys]
    matrix = from_shares(np.reshape(np.asarray(transform, np.float64), (3, 3)), *shapes)
    plain, mirrored = match_features(*map(find_features, greys))
    found = mirrored if np.linalg.det(matrix[:2, :2]) < 0 else plain
    if not len(found):
        return []
    moved = np.column_stack((found.left, np.ones(len(found)))) @ matrix.T
    with np.errstate(divide="ignore", invalid="ignore"):
        misses = np.hypot(*(moved[:, :2] / moved[:, 2:] - found.right).T) * DETECTION_PX / max(shapes[1])
    fitting = np.flatnonzero(misses < MOST_PX_OFF)
    best = fitting[np.argsort(found.ratios[fitting], kind="stable")][:MOST_POINTS]
    sides = [_shares(side[best], shape) for side, shape in zip((found.left, found.right), shapes, strict=True)]
    return [tuple(row) for row in np.round(np.hstack(sides), 5).tolist()]


def _grey(pixels: Pixels) -> Pixels:
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).convert("L"), np.uint8)


def _shares(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.asarray(np.clip((points + 0.5) / np.array(shape[::-1]), 0.0, 1.0))
