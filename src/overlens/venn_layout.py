"""How large is each region of a Venn diagram, and where do the circles stand?

An overlap has a number for each direction, an area has one. The rule: a circle's area is the size of its dataset; a
shared region's area is the smallest of its directed counts that is not 0 (matching is not transitive, so of three
datasets a region may be empty in one direction), made smaller where a circle could not hold all its regions; what is
left of a circle is drawn as that dataset's own. So no region is larger than the smallest dataset in it. Two circles can
always show this exactly. Three often cannot: a layout that is exact for every two of them where a triangle allows is
then moved until the regions fit best, and what still does not fit is measured and said.

Shapes: k circles, 1 to 3. Areas are images; lengths are square roots of images until the diagram is scaled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.venn_centres import place_centres, shared_areas

if TYPE_CHECKING:
    from overlens.overlap import Overlap

GRID = 240
SPREAD_COST = (
    0.01  # far below the cost of any region that is off: it only decides where circles that touch nothing stand
)
GOOD_FIT = 0.02
MAX_SETS = 3
CLEAR_OF_RIM, INSIDE = 0.03, 0.5


@dataclass(frozen=True, slots=True)
class Region:
    """Images that match in exactly these datasets, or in none but their own.

    Attributes:
        datasets: The one to three datasets whose circles cover the region.
        counts: Dataset -> number of its images in the region.
        area: Area to draw, in images, never negative.
    """

    datasets: tuple[str, ...]
    counts: Mapping[str, int]
    area: float


@dataclass(frozen=True, slots=True)
class Circles:
    """Circles of a diagram: `(k, 2)` float64 centres and `(k,)` float64 radii, in one unit of length."""

    centres: NDArray[np.float64]
    radii: NDArray[np.float64]

    def codes(self, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return for the grid of `ys` by `xs` which circles cover each point: bit i is circle i."""
        codes = np.zeros((len(ys), len(xs)), np.uint8)
        for place, ((x, y), radius) in enumerate(zip(self.centres, self.radii, strict=True)):
            inside = (xs[None, :] - x) ** 2 + (ys[:, None] - y) ** 2 <= radius**2
            codes |= inside.astype(np.uint8) << np.uint8(place)
        return codes

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower left and the upper right corner around all circles."""
        return (self.centres - self.radii[:, None]).min(axis=0), (self.centres + self.radii[:, None]).max(axis=0)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The circles of an overlap, and how far their regions are from their numbers.

    Attributes:
        regions: Every region and the area that it should have.
        circles: One circle for each dataset that holds images.
        error: Largest difference between the drawn and the wanted area of a region, as a share of the smallest dataset
            that the region lies in; 0 to 1 to three decimals, as areas are measured on a grid.
        worst: The region whose drawn area is most off, with that area in images; None if all regions are to scale.
    """

    regions: tuple[Region, ...]
    circles: Circles
    error: float
    worst: tuple[Region, float] | None

    def describe_misfit(self, names: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Say in one sentence that circles cannot show the numbers in proportion, and by how much, or say nothing.

        Args:
            names: How the sentence writes the name of each dataset; by default as it is.
        """
        if self.worst is None:
            return ()
        region, area = self.worst
        written = tuple(names[name] for name in region.datasets) if names else region.datasets
        where = _join(written) + (" alone" if len(region.datasets) < len(self.circles.radii) else "")
        n_drawn, percent = round(area), 100 * max(self.error, 0.001)
        return (
            f"the circles cannot be drawn in proportion, areas are off by up to {percent:.1f} % of the smaller circle: "
            f"the region of {where} is drawn as large as {n_drawn:,} {'image' if n_drawn == 1 else 'images'} "
            f"instead of {region.area:,.0f}",
        )


def arrange_circles(overlap: "Overlap") -> Arrangement:
    """Return where the circles of one to three datasets stand, and how well they fit; pure, and the same every time.

    Raises:
        ValueError: No dataset holds an image, or there are more than three that do.
    """
    regions = venn_regions(overlap)
    if not any(len(region.datasets) == 1 for region in regions) or sum(map(bool, overlap.sizes.values())) > MAX_SETS:
        raise ValueError(f"circles show 1 to {MAX_SETS} datasets that hold images, got {dict(overlap.sizes)}")
    circles = place_circles(regions)
    areas = drawn_areas(regions, circles)
    error = max(abs(areas[r.datasets] - r.area) / _smallest(r, regions) for r in regions)
    return Arrangement(regions, circles, round(error, 3), _worst(regions, areas))


def venn_layout_error(overlap: "Overlap") -> float | None:
    """Return `Arrangement.error` of the Venn diagram of an overlap, or None where there is none to draw."""
    n_sets = sum(1 for size in overlap.sizes.values() if size)
    return arrange_circles(overlap).error if 1 <= n_sets and len(overlap.sizes) <= MAX_SETS else None


def venn_regions(overlap: "Overlap") -> tuple[Region, ...]:
    """Return the regions of the datasets that hold images, single ones first; areas of a dataset sum to its size."""
    names = tuple(name for name, size in overlap.sizes.items() if size)
    groups = [group for size in range(2, len(names) + 1) for group in combinations(names, size)]
    counts = {group: _directed_counts(overlap, group) for group in groups}
    wanted = {group: min((n for n in counts[group].values() if n), default=0) for group in groups}
    load = {name: sum(wanted[group] for group in groups if name in group) for name in names}
    fits = {name: min(1.0, overlap.sizes[name] / load[name]) if load[name] else 1.0 for name in names}
    shared = [Region(group, counts[group], wanted[group] * min(fits[name] for name in group)) for group in groups]
    own = []
    for name in names:
        left = overlap.sizes[name] - sum(region.area for region in shared if name in region.datasets)
        own.append(Region((name,), {name: overlap.regions[name].get(frozenset(), 0)}, max(0.0, left)))
    return (*own, *shared)


def _directed_counts(overlap: "Overlap", group: tuple[str, ...]) -> dict[str, int]:
    return {name: overlap.regions[name].get(frozenset(group) - {name}, 0) for name in group}


def place_circles(regions: tuple[Region, ...]) -> Circles:
    """Place one circle per dataset, its area the size of the dataset, so that the regions come out as well as can be.

    Args:
        regions: From `venn_regions`, of one to three datasets.
    """
    names = [region.datasets[0] for region in regions if len(region.datasets) == 1]
    return _place(tuple(_areas_by_code(regions, names).tolist()))


@lru_cache(maxsize=32)
def _place(areas: tuple[float, ...]) -> Circles:
    """Place circles for the areas by code; kept, as a diagram is asked for its error and then drawn."""
    wanted, n_circles = np.array(areas), len(areas).bit_length() - 1
    sizes = np.array([sum(a for code, a in enumerate(wanted) if code >> i & 1) for i in range(n_circles)])
    radii = np.sqrt(sizes / np.pi)
    circles = Circles(place_centres(radii, shared_areas(wanted, n_circles)), radii)
    if n_circles == MAX_SETS and _worst_miss(wanted, circles) > GOOD_FIT * sizes.min():
        circles = _move_to_fit(wanted, circles)
    circles = _move_inside(wanted, circles)
    circles.centres.setflags(write=False)
    circles.radii.setflags(write=False)
    return circles


def _move_inside(wanted: NDArray[np.float64], circles: Circles) -> Circles:
    """Move a circle that lies in another away from its rim, as two rims that touch are read as one."""
    for inner, outer in permutations(range(len(circles.radii)), 2):
        is_inside = not any(area >= 0.5 for code, area in enumerate(wanted) if code >> inner & 1 > code >> outer & 1)
        way = circles.centres[outer] - circles.centres[inner]
        if not is_inside or circles.radii[outer] - circles.radii[inner] < CLEAR_OF_RIM * circles.radii[outer]:
            continue
        held = np.hypot(*(circles.centres - circles.centres[inner]).T) < circles.radii[inner]
        held &= circles.radii <= circles.radii[inner]
        moved = Circles(circles.centres + np.outer(held, way * INSIDE), circles.radii)
        if _worst_miss(wanted, moved) <= _worst_miss(wanted, circles) + 0.1 * GOOD_FIT * circles.radii.min() ** 2:
            circles = moved
    return circles


def drawn_areas(regions: tuple[Region, ...], circles: Circles) -> dict[tuple[str, ...], float]:
    """Return the area in images that each region has in the diagram, measured on a grid over its smallest circle."""
    names = [region.datasets[0] for region in regions if len(region.datasets) == 1]
    measured = [_measure(circles, 4 * GRID, within=place) for place in range(len(names))]
    areas = {}
    for region in regions:
        smallest = min((names.index(name) for name in region.datasets), key=lambda place: circles.radii[place])
        areas[region.datasets] = float(measured[smallest][_code(region.datasets, names)])
    return areas


def worst_region(regions: tuple[Region, ...], circles: Circles) -> tuple[Region, float] | None:
    """Return the region whose drawn area is most off, with that area, or None if all regions are to scale.

    To scale means within 2 % of the smallest dataset of the region, and not lost altogether.
    """
    return _worst(regions, drawn_areas(regions, circles))


def _worst(regions: tuple[Region, ...], areas: Mapping[tuple[str, ...], float]) -> tuple[Region, float] | None:
    off = [r for r in regions if abs(areas[r.datasets] - r.area) > _tolerance(r, regions)]
    lost = [r for r in regions if areas[r.datasets] < 0.1 * r.area]
    worst = max(off or lost, key=lambda r: abs(areas[r.datasets] - r.area), default=None)
    return None if worst is None else (worst, areas[worst.datasets])


def _tolerance(region: Region, regions: tuple[Region, ...]) -> float:
    return max(0.5, GOOD_FIT * _smallest(region, regions))


def _smallest(region: Region, regions: tuple[Region, ...]) -> float:
    """Return the size of the smallest dataset that a region lies in."""
    return min(sum(r.area for r in regions if name in r.datasets) for name in region.datasets)


def _join(names: tuple[str, ...]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{names[0]}, {' and '.join(names[1:])}"


def _code(datasets: tuple[str, ...], names: list[str]) -> int:
    return sum(1 << names.index(name) for name in datasets)


def _areas_by_code(regions: tuple[Region, ...], names: list[str]) -> NDArray[np.float64]:
    areas = np.zeros(1 << len(names))
    for region in regions:
        areas[_code(region.datasets, names)] = region.area
    return areas


def _measure(circles: Circles, n_points: int, *, within: int | None = None) -> NDArray[np.float64]:
    """Return the area of each code, of those in the box around all circles, or around one."""
    box = circles if within is None else Circles(circles.centres[[within]], circles.radii[[within]])
    low, high = box.bounds()
    step = (high - low) / n_points
    xs, ys = (low[axis] + step[axis] * (np.arange(n_points) + 0.5) for axis in (0, 1))
    counts = np.bincount(circles.codes(xs, ys).ravel(), minlength=1 << len(circles.radii))
    areas: NDArray[np.float64] = counts.astype(np.float64) * float(step.prod())
    return areas


def _worst_miss(wanted: NDArray[np.float64], circles: Circles) -> float:
    return float(np.abs(_measure(circles, GRID) - wanted)[1:].max())


def _move_to_fit(wanted: NDArray[np.float64], circles: Circles) -> Circles:
    """Move the centres to the least sum of |log(1 + drawn) - log(1 + wanted)|, which lets small regions count."""
    from scipy.optimize import minimize

    scale = float(circles.radii.sum())

    def cost(flat: NDArray[np.float64]) -> float:
        moved = Circles(flat.reshape(-1, 2) * scale, circles.radii)
        misses = np.abs(np.log1p(_measure(moved, GRID)) - np.log1p(wanted))[1:]
        spread = sum(float(np.hypot(*(a - b))) for a, b in combinations(moved.centres, 2)) / scale
        return float(misses.sum()) + SPREAD_COST * spread

    start = circles.centres.ravel() / scale
    corners = np.vstack([start, start + 0.1 * np.eye(len(start))])
    options = {"initial_simplex": corners, "maxfev": 1500, "xatol": 1e-4, "fatol": 1e-4}
    found = minimize(cost, start, method="Nelder-Mead", options=options)
    return Circles(found.x.reshape(-1, 2) * scale, circles.radii)
