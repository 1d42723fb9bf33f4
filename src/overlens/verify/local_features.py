"""Local features of a picture, and those of two pictures that answer one another.

SIFT (D. Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004) from OpenCV, described as
RootSIFT (R. Arandjelović and A. Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012)
in whole numbers, so that every product of two descriptions is exact in float32 and a match depends on no thread count.
The description of a mirrored picture is the same numbers in another order, so mirroring costs no second detection.

Shapes: h rows, w columns, n features, m matches.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

DETECTION_PX = 256
"""Longer side at which features are looked for; smaller pictures are enlarged to it, if that is not too much."""
MAX_ENLARGEMENT = 4.0
MAX_FEATURES = 400
MAX_RATIO = 0.95
"""A match is dropped if the second nearest description is hardly further away than the nearest."""
_MAX_VALUE = 255.0

Points = NDArray[np.float64]
Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LocalFeatures:
    """Features of one picture.

    Attributes:
        points: `(n, 2)` float64 places (x, y) in pixels of the picture.
        descriptions: `(n, 128)` float32 whole numbers, 0 to 255.
    """

    points: Points
    descriptions: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class Matches:
    """Features of two pictures that are each other's nearest.

    Attributes:
        left: `(m, 2)` places in the first picture.
        right: `(m, 2)` places in the second.
        ratios: `(m,)` distance to the nearest description over that to the second nearest, 0 to 1; small is distinct.
        is_mirrored: Whether the second picture was described as its mirror image.
    """

    left: Points
    right: Points
    ratios: NDArray[np.float32]
    is_mirrored: bool

    def __len__(self) -> int:
        return len(self.left)


def find_features(grey: Plane) -> LocalFeatures:
    """Return the strongest features of a picture, at most `MAX_FEATURES`, in a fixed order.

    Args:
        grey: `(h, w)` uint8.
    """
    height, width = grey.shape
    scale = min(DETECTION_PX / max(height, width), MAX_ENLARGEMENT)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    resized = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    keypoints, found = _detector().detectAndCompute(resized, None)
    if found is None or len(keypoints) == 0:
        return LocalFeatures(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    places = np.array([keypoint.pt for keypoint in keypoints])
    strength = np.array([keypoint.response for keypoint in keypoints])
    order = np.lexsort((places[:, 1], places[:, 0], -strength))[:MAX_FEATURES]
    scales = np.array([width / size[0], height / size[1]])
    return LocalFeatures((places[order] + 0.5) * scales - 0.5, _root(np.asarray(found[order], np.float32)))


def match_features(left: LocalFeatures, right: LocalFeatures) -> tuple[Matches, Matches]:
    """Match the features of two pictures as they are, and with the second one described as its mirror image.

    Places are those in the pictures as they are, in both.
    """
    if len(left) < 2 or len(right) < 2:
        nowhere, none = np.zeros((0, 2)), np.zeros(0, np.float32)
        return Matches(nowhere, nowhere, none, is_mirrored=False), Matches(nowhere, nowhere, none, is_mirrored=True)
    products = left.descriptions @ np.concatenate((right.descriptions, right.descriptions[:, _MIRRORED])).T
    plain, mirrored = products[:, : len(right)], products[:, len(right) :]
    return _mutual(left, right, plain, is_mirrored=False), _mutual(left, right, mirrored, is_mirrored=True)


def _mutual(left: LocalFeatures, right: LocalFeatures, products: NDArray[np.float32], *, is_mirrored: bool) -> Matches:
    rows = np.arange(len(left))
    nearest = products.argmax(axis=1)
    is_mutual = products.argmax(axis=0)[nearest] == rows
    rows, nearest = rows[is_mutual], nearest[is_mutual]
    kept = products[rows]
    best = kept[np.arange(len(rows)), nearest]
    kept[np.arange(len(rows)), nearest] = -1
    ratios = np.sqrt(_distance(best) / np.maximum(_distance(kept.max(axis=1, initial=-1)), 1.0)).astype(np.float32)
    distinct = ratios < MAX_RATIO
    return Matches(left.points[rows[distinct]], right.points[nearest[distinct]], ratios[distinct], is_mirrored)


def _distance(products: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distance of two RootSIFT descriptions, whose length is the same for all, from their product."""
    return np.asarray(np.maximum(2 * (_MAX_VALUE**2 - products), 1e-3), np.float32)


def _root(found: NDArray[np.float32]) -> NDArray[np.float32]:
    shares = found / np.maximum(found.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(np.round(np.sqrt(shares) * _MAX_VALUE), np.float32)


def _detector() -> cv2.SIFT:
    return cv2.SIFT.create(nfeatures=MAX_FEATURES, contrastThreshold=0.02)


def _mirror_order() -> NDArray[np.int64]:
    """Order of the 128 numbers in the mirrored picture: rows of the 4 x 4 cells and the 8 directions run backwards."""
    cells = np.arange(128).reshape(4, 4, 8)
    order: NDArray[np.int64] = cells[::-1][:, :, (-np.arange(8)) % 8].ravel()
    return order


_MIRRORED = _mirror_order()
