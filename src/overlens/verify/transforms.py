"""Say what a transform between two pictures does, in numbers and in words.

A transform is a 3 x 3 matrix that takes places (x, y, 1) of the left picture to places of the right one, in pixels
whose centres are whole numbers, so that a picture of w columns reaches from -0.5 to w - 0.5. It may be a homography.
What differs from place to place under one (angle, scale, proportions) is that of its linear part at the middle of what
both pictures show (the centre of gravity of their common part, seen in the left picture).

Plain floats and no arrays: for one small matrix that is several times as fast.

Shapes: h rows, w columns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Place = tuple[float, float]
Matrix = tuple[float, ...]
Box = tuple[float, float, float, float]

SAME_VIEW = "the same view"
MOVED_VIEW = f"{SAME_VIEW}, a little moved or other in parts"
"""What an edited picture is whose transform says no more than that."""
NOWHERE: Box = (0.0, 0.0, 0.0, 0.0)
_SINGULAR = 1e-12
_LEAST_PX = 1e-6


@dataclass(frozen=True, slots=True)
class TransformFacts:
    """What a transform does. Of one that cannot be, or lays the pictures apart, angles and ratios are nan, shares 0.

    Attributes:
        mirrored: Whether the right picture shows the left one as in a mirror.
        rotation_degrees: By how much the right picture is rotated against the left one, -180 to 180, clockwise above 0;
            of a mirrored picture, after the left one was mirrored left to right (so upside down is mirrored and 180).
        scale: Right pixels for a left pixel, the geometric mean of the two directions, above 0.
        aspect_ratio: How much more the left picture's width is enlarged than its height; 1 keeps the proportions, 0.5
            squashes it to half its width.
        perspective: How much the scale varies over the common part: largest over smallest, less 1; 0 if it is the same.
        crop_left: Box of the left picture that the right one shows, in shares 0 to 1 of its sides: left edge.
        crop_top: Its upper edge.
        crop_right: Its right edge.
        crop_bottom: Its lower edge.
        left_share: Share of the left picture's area that the right one shows, 0 to 1.
        right_share: Share of the right picture's area that the left one shows, 0 to 1.
        overlap_area: Area that both show over the area that either shows, in the plane of the left picture, 0 to 1.
    """

    mirrored: bool
    rotation_degrees: float
    scale: float
    aspect_ratio: float
    perspective: float
    crop_left: float
    crop_top: float
    crop_right: float
    crop_bottom: float
    left_share: float
    right_share: float
    overlap_area: float

    @property
    def is_known(self) -> bool:
        """Whether the transform lays the pictures over one another."""
        return self.overlap_area > 0


def describe_transform(
    transform: NDArray[np.floating], left_shape: Sequence[int], right_shape: Sequence[int]
) -> TransformFacts:
    """Return what a transform does to the left picture to make it the right one.

    Args:
        transform: `(3, 3)`, places of the left picture to places of the right one; its scale plays no part.
        left_shape: (h, w) of the left picture, each at least 1.
        right_shape: (h, w) of the right picture, each at least 1.

    Returns:
        The facts. Nothing is known, and nothing raised, where the matrix is not finite or singular, where it lays the
        pictures apart, or where the right picture has its horizon within the left one's plane.

    Raises:
        ValueError: The transform is not 3 x 3, or a picture has no pixels.
    """
    if transform.shape != (3, 3) or min(*left_shape, *right_shape) < 1:
        raise ValueError(
            f"wanted are a 3 x 3 matrix and two pictures, got {transform.shape}, {left_shape, right_shape}"
        )
    matrix = _normalise(tuple(transform.ravel().tolist()), left_shape, right_shape)
    if matrix is None:
        return _unknown()
    outline = _move(_outline(right_shape), _adjugate(matrix))
    if outline is None:
        return _unknown()
    common = _clip(outline, left_shape)
    area = abs(_area(common))
    seen = _move(common, matrix)
    if area < _LEAST_PX or seen is None:
        return _unknown()
    return _measure(matrix, (common, seen, outline), left_shape, right_shape)


def in_shares(transforms: NDArray[np.float64], shapes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return transforms between pictures of any size: their places are shares of width and height, 0 to 1.

    Args:
        transforms: `(m, 3, 3)`, places of the left picture to places of the right one, in pixels.
        shapes: `(m, 2, 2)`, (h, w) of the left and the right picture.

    Returns:
        `(m, 3, 3)` float64 whose last number is 1; nan where a transform is not finite, a picture has no pixels, or
        the upper left corner has no place.
    """
    heights, widths = shapes[..., 0].astype(np.float64), shapes[..., 1].astype(np.float64)
    moved = np.zeros((len(transforms), 2, 3, 3))
    moved[:, :, 0, 0], moved[:, :, 1, 1], moved[:, :, 2, 2] = widths, heights, 1.0
    moved[:, :, :2, 2] = -0.5  # centres of pixels are whole numbers
    with np.errstate(divide="ignore", invalid="ignore"):
        back = np.zeros((len(transforms), 3, 3))
        back[:, 0, 0], back[:, 1, 1], back[:, 2, 2] = 1 / widths[:, 1], 1 / heights[:, 1], 1.0
        back[:, 0, 2], back[:, 1, 2] = 0.5 / widths[:, 1], 0.5 / heights[:, 1]
        shares = back @ transforms @ moved[:, 0]
        shares /= shares[:, 2:, 2:]
    return np.where(np.isfinite(shares).all(axis=(1, 2), keepdims=True), shares, np.nan)


def from_shares(
    shares: NDArray[np.float64], left_shape: Sequence[int], right_shape: Sequence[int]
) -> NDArray[np.float64]:
    """Return one transform `(3, 3)` of `in_shares` for pictures of these sizes (h, w), in pixels."""
    (left_h, left_w), (right_h, right_w) = left_shape, right_shape
    to_pixels = np.array([[right_w, 0, -0.5], [0, right_h, -0.5], [0, 0, 1]])
    to_shares = np.array([[1 / left_w, 0, 0.5 / left_w], [0, 1 / left_h, 0.5 / left_h], [0, 0, 1]])
    return np.asarray(to_pixels @ shares @ to_shares)


def describe(facts: TransformFacts) -> str:
    """Return the facts in words for people, such as "mirrored, shows 48 % of the left picture"."""
    if not facts.is_known:
        return "no part in common"
    words = [_describe_turn(facts), _describe_proportions(facts.aspect_ratio)]
    if facts.left_share < 0.98:
        words.append(f"shows {_percent(facts.left_share)} of the left picture")
    if facts.right_share < 0.98:
        words.append(f"has {_percent(1 - facts.right_share)} that the left picture has not")
    if facts.perspective >= 0.15:
        words.append("seen at an angle")
    return ", ".join(word for word in words if word) or SAME_VIEW


def _measure(
    matrix: Matrix, polygons: tuple[list[Place], list[Place], list[Place]], left: Sequence[int], right: Sequence[int]
) -> TransformFacts:
    common, seen, outline = polygons
    area, whole = abs(_area(common)), left[0] * left[1]
    a, b, c, d = _linear_part(matrix, _centroid(common))
    mirrored = a * d - b * c < 0
    turned = (-a, -c) if mirrored else (a, c)  # the first column once the mirror is taken out
    box = _box(common, left)
    depths = [matrix[6] * x + matrix[7] * y + matrix[8] for x, y in common]
    return TransformFacts(
        mirrored=mirrored,
        # The rotation nearest to the linear part: exact also where it is squashed, before or after it is rotated.
        rotation_degrees=math.degrees(math.atan2(turned[1] - b, turned[0] + d)),
        scale=math.sqrt(abs(a * d - b * c)),
        aspect_ratio=math.hypot(a, c) / math.hypot(b, d),
        # The area scale of a homography goes with the third power of its denominator.
        perspective=(max(map(abs, depths)) / min(map(abs, depths))) ** 1.5 - 1,
        crop_left=box[0],
        crop_top=box[1],
        crop_right=box[2],
        crop_bottom=box[3],
        left_share=_as_share(area / whole),
        right_share=_as_share(abs(_area(seen)) / (right[0] * right[1])),
        overlap_area=_as_share(area / (whole + abs(_area(outline)) - area)),
    )


def _unknown() -> TransformFacts:
    return TransformFacts(False, *(math.nan,) * 4, *NOWHERE, 0.0, 0.0, 0.0)


def _normalise(matrix: Matrix, left: Sequence[int], right: Sequence[int]) -> Matrix | None:
    """Return the matrix with its largest entry near 1, or None if it is not finite or takes an area to none."""
    largest = max(map(abs, matrix))
    if not (all(map(math.isfinite, matrix)) and largest > 0):
        return None
    # By a power of two, which costs no digit: whole pixels stay whole.
    exponent = math.frexp(largest)[1]
    scaled = tuple(math.ldexp(value, -exponent) for value in matrix)
    # In shares of the pictures, where what can be told apart does not depend on their size.
    sides, others = (left[1], left[0], 1), (right[1], right[0], 1)
    shares = [value * sides[i % 3] / others[i // 3] for i, value in enumerate(scaled)]
    most = max(map(abs, shares))
    if not abs(_determinant(tuple(value / most for value in shares))) > _SINGULAR:
        return None
    return scaled


def _determinant(m: Matrix) -> float:
    return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) + m[2] * (m[3] * m[7] - m[4] * m[6])


def _adjugate(m: Matrix) -> Matrix:
    """Return the inverse up to a factor, which plays no part in moving places."""
    a, b, c, d, e, f, g, h, i = m
    return (
        *(e * i - f * h, c * h - b * i, b * f - c * e),
        *(f * g - d * i, a * i - c * g, c * d - a * f),
        *(d * h - e * g, b * g - a * h, a * e - b * d),
    )


def _outline(shape: Sequence[int]) -> list[Place]:
    right, bottom = shape[1] - 0.5, shape[0] - 0.5
    return [(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)]


def _move(places: list[Place], m: Matrix) -> list[Place] | None:
    """Return where the places come to lie, or None if the horizon passes between or through them."""
    depths = [m[6] * x + m[7] * y + m[8] for x, y in places]
    if not depths or not (min(depths) > 0 or max(depths) < 0):
        return None
    moved = [
        ((m[0] * x + m[1] * y + m[2]) / depth, (m[3] * x + m[4] * y + m[5]) / depth)
        for (x, y), depth in zip(places, depths, strict=True)
    ]
    return moved if all(math.isfinite(x) and math.isfinite(y) for x, y in moved) else None


def _clip(places: list[Place], shape: Sequence[int]) -> list[Place]:
    """Return the part of a convex polygon that lies in a picture (I. Sutherland and G. Hodgman, CACM 17, 1974)."""
    for axis, limit, side in ((0, -0.5, 1), (0, shape[1] - 0.5, -1), (1, -0.5, 1), (1, shape[0] - 0.5, -1)):
        kept: list[Place] = []
        for first, second in pairwise([*places, *places[:1]]):
            start, end = side * (first[axis] - limit), side * (second[axis] - limit)
            if start >= 0:
                kept.append(first)
            if (start >= 0) != (end >= 0):
                kept.append(_cross(first, second, start / (start - end)))
        places = kept
    return places


def _cross(first: Place, second: Place, share: float) -> Place:
    return first[0] + share * (second[0] - first[0]), first[1] + share * (second[1] - first[1])


def _area(places: list[Place]) -> float:
    """Return the area of a polygon, below 0 if it runs the other way round."""
    if not places:
        return 0.0
    # From the first corner, so that a small polygon far from the origin keeps its digits.
    x0, y0 = places[0]
    return sum((x - x0) * (v - y0) - (u - x0) * (y - y0) for (x, y), (u, v) in pairwise(places)) / 2


def _centroid(places: list[Place]) -> Place:
    x0, y0 = places[0]
    weights = [(x - x0) * (v - y0) - (u - x0) * (y - y0) for (x, y), (u, v) in pairwise(places)]
    along = sum(weight * (x + u - 2 * x0) for weight, ((x, _), (u, _)) in zip(weights, pairwise(places), strict=True))
    down = sum(weight * (y + v - 2 * y0) for weight, ((_, y), (_, v)) in zip(weights, pairwise(places), strict=True))
    return x0 + along / (3 * sum(weights)), y0 + down / (3 * sum(weights))


def _linear_part(m: Matrix, place: Place) -> tuple[float, float, float, float]:
    """Return the derivative of the transform at a place, row by row."""
    x, y = place
    depth = m[6] * x + m[7] * y + m[8]
    u, v = (m[0] * x + m[1] * y + m[2]) / depth, (m[3] * x + m[4] * y + m[5]) / depth
    return (
        (m[0] - u * m[6]) / depth,
        (m[1] - u * m[7]) / depth,
        (m[3] - v * m[6]) / depth,
        (m[4] - v * m[7]) / depth,
    )


def _box(places: list[Place], shape: Sequence[int]) -> Box:
    across, down = [(x + 0.5) / shape[1] for x, _ in places], [(y + 0.5) / shape[0] for _, y in places]
    return _as_share(min(across)), _as_share(min(down)), _as_share(max(across)), _as_share(max(down))


def _as_share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _describe_turn(facts: TransformFacts) -> str:
    degrees = round(facts.rotation_degrees)
    if facts.mirrored and abs(degrees) == 180:
        return "flipped upside down"
    mirror = "mirrored" if facts.mirrored else ""
    if degrees == 0:
        return mirror
    sense = "" if abs(degrees) == 180 else " clockwise" if degrees > 0 else " counter-clockwise"
    plural = "" if abs(degrees) == 1 else "s"
    return f"{mirror}{', ' if mirror else ''}rotated by {abs(degrees)} degree{plural}{sense}"


def _describe_proportions(aspect_ratio: float) -> str:
    if aspect_ratio < 0.98:
        return f"squashed to {_percent(aspect_ratio)} of its width"
    if aspect_ratio > 1 / 0.98:
        return f"squashed to {_percent(1 / aspect_ratio)} of its height"
    return ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
