"""Where do two or three circles stand so that every two of them share the right area?

Two circles can share any area that the smaller one holds. Three that all share stand in a triangle of the distances
that follow, or, where there is none, in a flat one with its longest side cut; others stand in a row in which those that
share are neighbours. What three have in common follows from that and may be off.

Shapes: k circles, 1 to 3.
"""

import math
from collections.abc import Mapping
from itertools import combinations, pairwise, permutations

import numpy as np
from numpy.typing import NDArray

GAP = 0.1  # between circles that share nothing, of their mean radius
CUT = 0.8  # of the shortest side, which the longest is longer than the other where it is cut
_HALVINGS = 60

Couple = tuple[int, int]


def place_centres(radii: NDArray[np.float64], shared: Mapping[Couple, float]) -> NDArray[np.float64]:
    """Return `(k, 2)` float64 centres.

    Args:
        radii: `(k,)` radii, above 0.
        shared: For each two circles (i, j), i < j, the area that they share, in the unit of the radii squared.
    """
    distances = {(i, j): _distance(float(radii[i]), float(radii[j]), area) for (i, j), area in shared.items()}
    if len(radii) == 3 and all(area > 0 for area in shared.values()):
        return _triangle(distances)
    orders = permutations(range(len(radii)))
    row = max(orders, key=lambda order: sum(shared[min(two), max(two)] > 0 for two in pairwise(order)))
    steps = [distances[min(two), max(two)] for two in pairwise(row)]
    if len(steps) == 2:  # the two ends share nothing
        missing = max(0.0, distances[min(row[0], row[2]), max(row[0], row[2])] - sum(steps))
        steps = [step + missing / 2 for step in steps]
    centres = np.zeros((len(radii), 2))
    centres[list(row), 0] = np.cumsum([0.0, *steps])
    return centres


def shared_areas(areas: NDArray[np.float64], n_circles: int) -> dict[Couple, float]:
    """Return what every two circles share, from the areas of the regions: bit i of a place is circle i."""
    return {
        (i, j): float(sum(area for code, area in enumerate(areas) if code >> i & 1 and code >> j & 1))
        for i, j in combinations(range(n_circles), 2)
    }


def _distance(one: float, other: float, area: float) -> float:
    """Return the distance at which two circles share an area."""
    small, large = sorted((one, other))
    if area <= 0:
        return small + large + GAP * (small + large) / 2
    near, far = large - small, large + small
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if _lens(small, large, middle) > area else (near, middle)
    return near


def _lens(small: float, large: float, distance: float) -> float:
    """Return the area that two circles share, which are nearer than they are large and not one in the other."""
    height = [
        (distance**2 + own**2 - other**2) / (2 * distance * own) if distance else 1.0
        for own, other in ((small, large), (large, small))
    ]
    angles = [math.acos(min(1.0, max(-1.0, cosine))) for cosine in height]
    sectors = angles[0] * small**2 + angles[1] * large**2
    return sectors - distance * small * math.sin(angles[0])


def _triangle(distances: Mapping[Couple, float]) -> NDArray[np.float64]:
    """Return the corners of a triangle: the first on the left, the second on the right, the third below."""
    sides = dict(distances)
    longest = max(sides, key=lambda couple: sides[couple])
    short, long = sorted(side for couple, side in sides.items() if couple != longest)
    if sides[longest] > short + long:
        sides[longest] = long + CUT * short
    base = sides[0, 1]
    x = (sides[0, 2] ** 2 - sides[1, 2] ** 2 + base**2) / (2 * base) if base > 0 else 0.0
    return np.array([[0.0, 0.0], [base, 0.0], [x, -math.sqrt(max(0.0, sides[0, 2] ** 2 - x**2))]])
