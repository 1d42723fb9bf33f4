"""Lay one picture over another: find the transform under which they might be one.

A transform is a 3 x 3 matrix that takes places (x, y, 1) of the left picture to places of the right one, in pixels
whose centres are whole numbers. It is proposed twice, because each way fails where the other works: from the eight
flips and rotations of the whole picture (small, blurred or smooth pictures), and from local features (crops, borders,
a robust affine fit by RANSAC with a fixed seed, then a homography if that explains more). Either is then moved
into place by maximising the correlation (G. Evangelidis and E. Psarakis, "Parametric Image Alignment Using Enhanced
Correlation Coefficient Maximization", PAMI 2008).

Everything is looked at in the frame of the picture that shows less, so that a crop is compared in full.

Shapes: h rows, w columns.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from overlens.hashes.orientation import orient
from overlens.verify.local_features import DETECTION_PX, Matches

Plane = NDArray[np.uint8]
Values = NDArray[np.float32]
Transform = NDArray[np.float64]

THUMB_PX = 32
COARSE_PX = 64
"""Longer side of the frame in which proposals are compared."""
MIN_FINE_PX, MAX_FINE_PX = COARSE_PX, 160
"""Longer side of the frame in which the best proposal is judged: what the smaller picture can show, within these."""
MIN_COVERED_PX = 60
"""Pixels that both pictures must cover in the frame for a correlation to mean anything."""
MIN_INLIERS = 5
DISTINCT_RATIO = 0.85
SEED = 0
_MAX_STRETCH = 3.0
_MAX_SCALE = 10.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Two pictures in the frame of the one that shows less.

    Attributes:
        base: `(h, w)` uint8, the picture that shows less.
        other: The other picture.
        transform: Places of `base` to places of `other`.
        is_swapped: Whether `base` is the right picture.
    """

    base: Plane
    other: Plane
    transform: Transform
    is_swapped: bool

    @property
    def left_to_right(self) -> Transform:
        """Places of the left picture to places of the right one."""
        return invert(self.transform) if self.is_swapped else self.transform

    def moved(self, transform: Transform) -> "Frame":
        """The same pictures under another transform."""
        return Frame(self.base, self.other, transform, self.is_swapped)


@dataclass(frozen=True, slots=True)
class Laid:
    """Two pictures laid over one another in one frame.

    Attributes:
        base: `(h, w)` float32 grey levels.
        other: `(h, w)` float32 grey levels of the other picture, moved into the frame.
        covered: `(h, w)` float32, 1 where both pictures show something, else 0.
    """

    base: Values
    other: Values
    covered: Values

    @property
    def share(self) -> float:
        """Share of the frame that both pictures cover, 0 to 1."""
        return float(self.covered.mean())

    @property
    def is_enough(self) -> bool:
        """Whether enough is covered for a correlation to mean anything."""
        return bool(self.covered.sum() >= MIN_COVERED_PX)


def make_thumb(grey: Plane) -> Values:
    """Return `(32, 32)` float32 of length 1: the picture squashed to a square, without its broad shades."""
    small = cv2.resize(grey, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    small = blur(small, 0.7)
    small -= blur(small, 6.0)
    return small / np.float32(np.sqrt((small * small).sum()) + 1e-3)


def likely_orientations(left: Values, right: Values) -> list[int]:
    """Return the flips and rotations of the right thumb worth trying: as it is, and a better one if there is one."""
    scores = [float((left * orient(right, code)).sum()) for code in range(8)]
    best = int(np.argmax(scores))
    if scores[0] >= scores[best] - 0.05:
        return [0]
    return [best, 0] if scores[best] > 0.25 else [0]


def whole_transform(left: tuple[int, int], right: tuple[int, int], code: int) -> Transform:
    """Return the transform that squashes all of the left picture onto all of the oriented right one.

    Args:
        left: (h, w) of the left picture.
        right: (h, w) of the right picture as it is.
        code: Orientation of the right picture, see `overlens.hashes.orientation`.
    """
    height, width = right[::-1] if code & 4 else right
    return _from_oriented(right, code) @ _stretch(left, (height, width))


def fit_matches(matches: Matches, left: tuple[int, int], right: tuple[int, int]) -> Transform | None:
    """Return the transform that most distinct matches agree on, or None if fewer than five do.

    Args:
        matches: Features of the two pictures that answer one another.
        left: (h, w) of the left picture.
        right: (h, w) of the right picture.
    """
    distinct = matches.ratios < DISTINCT_RATIO
    if distinct.sum() < MIN_INLIERS:
        return None
    units = DETECTION_PX / max(left), DETECTION_PX / max(right)
    sources = (matches.left[distinct] * units[0]).astype(np.float32)
    targets = (matches.right[distinct] * units[1]).astype(np.float32)
    cv2.setRNGSeed(SEED)
    affine, inliers = cv2.estimateAffine2D(
        sources, targets, method=cv2.RANSAC, ransacReprojThreshold=5.0, maxIters=1000, confidence=0.999
    )
    if (
        affine is None
        or inliers.sum() < MIN_INLIERS
        or not _is_plausible(np.asarray(affine, np.float64), matches.is_mirrored)
    ):
        return None
    found = _homography(sources, targets, int(inliers.sum()))
    if found is not None and not _is_plausible(found, matches.is_mirrored):
        found = None
    chosen = np.vstack((affine, (0.0, 0.0, 1.0))) if found is None else found
    return np.asarray(np.diag((1 / units[1], 1 / units[1], 1.0)) @ chosen @ np.diag((units[0], units[0], 1.0)))


def make_frame(left: Plane, right: Plane, transform: Transform) -> Frame:
    """Return the pictures in the frame of the one that shows less."""
    if abs(np.linalg.det(transform[:2, :2])) * left.size > right.size:
        return Frame(right, left, invert(transform), is_swapped=True)
    return Frame(left, right, transform, is_swapped=False)


def refine(frame: Frame, laid: Laid, *, by_homography: bool, n_steps: int) -> Frame | None:
    """Return the frame moved further into place, or None where it cannot be.

    Args:
        frame: Where to start.
        laid: The two pictures as the frame lays them, at the size to look at.
        by_homography: Whether to move by a homography; else by an affine transform.
        n_steps: Most steps.
    """
    if not laid.is_enough:
        return None
    motion = cv2.MOTION_HOMOGRAPHY if by_homography else cv2.MOTION_AFFINE
    start = np.eye(3 if by_homography else 2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, n_steps, 1e-4)
    try:
        _, moved = cv2.findTransformECC(
            laid.base, laid.other, start, motion, criteria, laid.covered.astype(np.uint8), gaussFiltSize=3
        )
    except cv2.error:  # It says so where the pictures have nothing in common.
        return None
    step = np.eye(3)
    step[: len(moved)] = moved
    zoom = _stretch(laid.base.shape, frame.base.shape)
    transform = frame.transform @ zoom @ step @ invert(zoom)
    if np.isfinite(transform).all() and abs(np.linalg.det(transform)) > 1e-9:
        return frame.moved(transform)
    return None


def lay(frame: Frame, side_px: int) -> Laid:
    """Lay the two pictures over one another in a frame whose longer side has `side_px` pixels."""
    scale = side_px / max(frame.base.shape)
    height, width = (max(8, round(side * scale)) for side in frame.base.shape)
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    base = cv2.resize(frame.base, (width, height), interpolation=shrink).astype(np.float32)
    transform = frame.transform @ _stretch((height, width), frame.base.shape)
    source = frame.other.astype(np.float32)
    step = float(np.sqrt(abs(np.linalg.det(transform[:2, :2]))))
    if step > 1.2:
        source = blur(source, min(0.45 * step, 20.0))
    backwards = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    other = cv2.warpPerspective(source, transform, (width, height), flags=backwards, borderMode=cv2.BORDER_REPLICATE)
    shown = cv2.warpPerspective(np.ones_like(source), transform, (width, height), flags=backwards)
    return Laid(base, np.asarray(other, np.float32), (np.asarray(shown) > 0.99).astype(np.float32))


def fine_side_px(left: Plane, right: Plane) -> int:
    """Return the longer side of the frame in which two pictures are judged."""
    shown = min(max(left.shape), max(right.shape))
    return int(np.clip(round(1.5 * shown), MIN_FINE_PX, MAX_FINE_PX))


def count_inliers(matches: Matches, transform: Transform, right: tuple[int, int]) -> int:
    """Count the matches that a transform explains, to 6 pixels of the size at which features are looked for."""
    if not len(matches):
        return 0
    moved = np.column_stack((matches.left, np.ones(len(matches)))) @ transform.T
    with np.errstate(divide="ignore", invalid="ignore"):
        misses = np.hypot(*(moved[:, :2] / moved[:, 2:] - matches.right).T) * DETECTION_PX / max(right)
    return int((misses < 6.0).sum())


def blur(values: Values, sigma: float) -> Values:
    """Return the values smoothed by a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def invert(transform: Transform) -> Transform:
    """Return the transform that undoes another."""
    return np.asarray(np.linalg.inv(transform), np.float64)


def _homography(sources: Values, targets: Values, n_affine: int) -> Transform | None:
    """Return a homography where it explains clearly more matches than the affine transform."""
    if n_affine < 16:
        return None
    found, inliers = cv2.findHomography(sources, targets, cv2.RANSAC, 4.0, maxIters=1000)
    if found is None or inliers.sum() < max(20, 1.05 * n_affine):
        return None
    return np.asarray(found / found[2, 2])


def _is_plausible(transform: Transform, is_mirrored: bool) -> bool:
    """Whether the linear part mirrors as it should, and neither stretches nor scales beyond what an edit does."""
    if (np.linalg.det(transform[:2, :2]) < 0) != is_mirrored:
        return False
    largest, smallest = np.linalg.svd(transform[:2, :2], compute_uv=False)
    return bool(smallest > 1 / _MAX_SCALE and largest < _MAX_SCALE and largest < _MAX_STRETCH * smallest)


def _stretch(source: tuple[int, ...], target: tuple[int, ...]) -> Transform:
    """Places of a picture of size (h, w) to those of the same picture at another size."""
    tall, wide = target[0] / source[0], target[1] / source[1]
    return np.array([[wide, 0, (wide - 1) / 2], [0, tall, (tall - 1) / 2], [0, 0, 1]])


def _from_oriented(shape: tuple[int, int], code: int) -> Transform:
    """Places of `orient(picture, code)` to places of the picture of size (h, w)."""
    height, width = shape[::-1] if code & 4 else shape
    transform: Transform = np.eye(3)
    if code & 1:
        transform = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) @ transform
    if code & 2:
        transform = np.array([[1.0, 0, 0], [0, -1, height - 1], [0, 0, 1]]) @ transform
    if code & 4:
        transform = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]) @ transform
    return transform
