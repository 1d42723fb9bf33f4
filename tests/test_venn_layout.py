"""Circles hold the numbers of an overlap as areas, and say where circles cannot."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.overlap import Overlap, measure_overlap
from overlens.venn_layout import (
    arrange_circles,
    drawn_areas,
    place_circles,
    venn_layout_error,
    venn_regions,
    worst_region,
)


def overlap_of(sizes: dict[str, int], matches: dict[tuple[str, str], Iterable[int]]) -> Overlap:
    """Overlap in which the images `matches[a, b]` of a have a match in b."""
    across = {}
    for a in sizes:
        for b in sizes:
            if a != b:
                across[a, b] = np.isin(np.arange(sizes[a]), list(matches.get((a, b), ())))
    n_pairs = {(a, b): int(max(across[a, b].sum(), across[b, a].sum())) for a, b in combinations(sizes, 2)}
    within = {name: np.zeros(size, np.bool_) for name, size in sizes.items()}
    return measure_overlap(
        "cosine", within=within, across=across, pairs_within=dict.fromkeys(sizes, 0), pairs_across=n_pairs
    )


TWO = {
    "some": overlap_of({"a": 45, "b": 50}, {("a", "b"): range(42), ("b", "a"): range(41)}),
    "none": overlap_of({"a": 45, "b": 50}, {}),
    "identical": overlap_of({"a": 100, "b": 100}, {("a", "b"): range(100), ("b", "a"): range(100)}),
    "contained": overlap_of({"a": 4500, "b": 12}, {("a", "b"): range(12), ("b", "a"): range(12)}),
    "one large": overlap_of({"a": 100_000, "b": 3}, {("a", "b"): range(1), ("b", "a"): range(1)}),
}
THREE = {
    "chain": overlap_of(
        {"a": 186, "b": 59, "c": 72},
        {("a", "b"): range(12), ("b", "a"): range(13), ("a", "c"): range(10, 80), ("c", "a"): range(65)},
    ),
    "all": overlap_of(
        dict.fromkeys("abc", 100), {pair: range(100) for pair in [*combinations("abc", 2), *combinations("cba", 2)]}
    ),
    "none": overlap_of({"a": 1000, "b": 600, "c": 800}, {}),
    "two inside one": overlap_of(
        {"a": 1000, "b": 60, "c": 80},
        {("a", "b"): range(60), ("b", "a"): range(60), ("a", "c"): range(100, 180), ("c", "a"): range(80)},
    ),
    "one way only": overlap_of(
        {"a": 90, "b": 60, "c": 80}, {("a", "b"): range(3), ("b", "c"): range(6), ("c", "a"): range(7)}
    ),
}
IMPOSSIBLE = overlap_of(
    dict.fromkeys("abc", 100),
    {("a", "c"): range(90), ("c", "a"): range(90), ("b", "c"): range(90), ("c", "b"): range(90)},
)


@st.composite
def overlaps(draw: st.DrawFn) -> Overlap:
    sizes = {name: draw(st.integers(0, 40)) for name in "abc"[: draw(st.integers(1, 3))]}
    matches = {
        (a, b): range(draw(st.integers(0, 40)), draw(st.integers(0, 60))) for a in sizes for b in sizes if a != b
    }
    return overlap_of(sizes, matches)


@settings(max_examples=40, deadline=None)
@given(overlaps())
def test_areas_are_never_negative_and_add_up_to_the_datasets(overlap):
    regions = venn_regions(overlap)
    assert all(region.area >= 0 for region in regions)
    for name, size in overlap.sizes.items():
        assert sum(region.area for region in regions if name in region.datasets) == pytest.approx(size)
    for region in regions:
        if len(region.datasets) > 1:
            assert (region.area > 0) == any(region.counts.values())
            assert region.area <= min((n for n in region.counts.values() if n), default=0)


@pytest.mark.parametrize("overlap", TWO.values(), ids=TWO.keys())
def test_two_circles_show_every_area(overlap):
    regions = venn_regions(overlap)
    circles = place_circles(regions)
    assert np.pi * circles.radii**2 == pytest.approx(list(overlap.sizes.values()))
    assert worst_region(regions, circles) is None


@pytest.mark.parametrize("overlap", THREE.values(), ids=THREE.keys())
def test_three_circles_have_the_size_of_their_datasets(overlap):
    circles = place_circles(venn_regions(overlap))
    assert np.isfinite(circles.centres).all()
    assert np.pi * circles.radii**2 == pytest.approx(list(overlap.sizes.values()))


def test_three_circles_fit_what_three_circles_can_show():
    """Counts measured from circles that exist, whose own layout by pairs would be exact as well."""
    sizes = dict.fromkeys("abc", 20_000)
    ab, ac, bc, abc = range(3000), range(5000, 8000), range(10_000, 13_000), range(15_000, 17_200)
    matches = {("a", "b"): [*ab, *abc], ("b", "a"): [*ab, *abc], ("a", "c"): [*ac, *abc], ("c", "a"): [*ac, *abc]}
    matches |= {("b", "c"): [*bc, *abc], ("c", "b"): [*bc, *abc]}
    regions = venn_regions(overlap_of(sizes, matches))
    areas = drawn_areas(regions, place_circles(regions))
    assert {region.area for region in regions if len(region.datasets) == 2} == {3000}
    for region in regions:
        assert areas[region.datasets] == pytest.approx(region.area, abs=600)


def test_a_region_of_one_direction_is_drawn():
    """All of c match a and b alike, while a and b match c alone."""
    every = {("a", "c"): range(90), ("c", "a"): range(90), ("b", "c"): range(90), ("c", "b"): range(90)}
    regions = venn_regions(overlap_of(dict.fromkeys("abc", 100), every))
    shared = {region.datasets: region.area for region in regions if len(region.datasets) > 1}
    assert shared["a", "c"] == shared["b", "c"] == shared["a", "b", "c"] == pytest.approx(100 / 3)


def test_an_impossible_layout_is_said():
    """a and b share nothing, and each holds all of c."""
    regions = venn_regions(IMPOSSIBLE)
    assert worst_region(regions, place_circles(regions)) is not None


@pytest.mark.parametrize("overlap", TWO.values(), ids=TWO.keys())
def test_two_circles_have_no_layout_error(overlap):
    assert venn_layout_error(overlap) < 0.01
    assert arrange_circles(overlap).describe_misfit() == ()


def test_the_layout_error_is_that_of_the_drawn_regions():
    overlap = THREE["one way only"]
    arrangement = arrange_circles(overlap)
    areas = drawn_areas(arrangement.regions, arrangement.circles)
    off = [
        abs(areas[region.datasets] - region.area) / min(overlap.sizes[name] for name in region.datasets)
        for region in arrangement.regions
    ]
    assert venn_layout_error(overlap) == pytest.approx(max(off), abs=0.001)
    assert venn_layout_error(IMPOSSIBLE) > 0.02
    (sentence,) = arrange_circles(IMPOSSIBLE).describe_misfit()
    assert sentence.startswith("the circles cannot be drawn in proportion, areas are off by up to")


@pytest.mark.parametrize("sizes", [{}, {"a": 0, "b": 0}, dict.fromkeys("abcd", 5)], ids=["none", "empty", "four"])
def test_without_circles_there_is_no_layout_error(sizes):
    overlap = overlap_of(sizes, {})
    assert venn_layout_error(overlap) is None
    with pytest.raises(ValueError, match="circles show 1 to 3 datasets"):
        arrange_circles(overlap)


def test_a_circle_in_another_keeps_clear_of_its_rim():
    circles = arrange_circles(TWO["contained"]).circles
    gap = circles.radii[0] - circles.radii[1] - np.hypot(*(circles.centres[0] - circles.centres[1]))
    assert gap > 0.3 * (circles.radii[0] - circles.radii[1])
