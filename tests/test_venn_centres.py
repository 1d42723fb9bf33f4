"""Every two circles share the area that they are to share, where that can be."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.venn_centres import place_centres
from overlens.venn_layout import Circles

GRID = 800


def measure(radii: np.ndarray, centres: np.ndarray) -> dict[tuple[int, int], float]:
    """Area that every two circles share, by counting points."""
    circles = Circles(centres, radii)
    low, high = circles.bounds()
    step = (high - low) / GRID
    codes = circles.codes(*(low[axis] + step[axis] * (np.arange(GRID) + 0.5) for axis in (0, 1)))
    area = float(step.prod())
    return {
        (i, j): area * np.count_nonzero((codes >> i & 1) & (codes >> j & 1))
        for i, j in combinations(range(len(radii)), 2)
    }


@settings(max_examples=40, deadline=None)
@given(st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0, 1))
def test_two_circles_share_any_area_that_the_smaller_one_holds(one: float, other: float, share: float):
    radii = np.array([one, other])
    area = share * np.pi * min(one, other) ** 2
    found = measure(radii, place_centres(radii, {(0, 1): area}))[0, 1]
    assert found == pytest.approx(area, abs=0.01 * min(one, other) * max(one, other))


@pytest.mark.parametrize(
    "shared",
    [(1, 1, 1), (2, 1.5, 0.5), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 0), (0, 0, 0)],
    ids=str,
)
def test_three_circles_share_what_every_two_are_to_share(shared: tuple[float, float, float]):
    radii, wanted = np.array([1.0, 1.2, 1.4]), dict(zip([(0, 1), (0, 2), (1, 2)], shared, strict=True))
    assert measure(radii, place_centres(radii, wanted)) == pytest.approx(wanted, abs=0.03)


def test_circles_that_make_no_triangle_have_places_all_the_same():
    """The first two are one circle; the third cannot be nearer to one of them than to the other."""
    radii, full = np.ones(3), np.pi
    for shared in ((full, 0.1, 3.0), (full, full, full), (0.01, 3.1, 3.1)):
        centres = place_centres(radii, dict(zip([(0, 1), (0, 2), (1, 2)], shared, strict=True)))
        assert np.isfinite(centres).all() and centres.shape == (3, 2)
    assert np.allclose(place_centres(radii, dict.fromkeys(combinations(range(3), 2), full)), 0)
    assert place_centres(np.ones(1), {}).tolist() == [[0.0, 0.0]]
