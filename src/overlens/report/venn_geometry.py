"""How large is each region of a Venn diagram, and where do the circles stand?

An overlap has a number for each direction, an area has one. The rule: a circle's area is the size of its dataset; a
shared region's area is the smallest of its directed counts that is not 0 (matching is not transitive, so of three
datasets a region may be empty in one direction), made smaller where a circle could not hold all its regions; what is
left of a circle is drawn as that dataset's own. So no region is larger than the smallest dataset in it. Two circles can
always show this exactly. Three often cannot: the layout of matplotlib-venn, exact for pairs where a triangle allows, is
then moved until the regions fit best, and what still does not fit is measured and said.

Shapes: k circles, 1 to 3. Areas are images; lengths are square roots of images until the diagram is scaled.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from overlens.overlap import Overlap

GRID = 240
SPREAD_COST = (
    0.01  # far below the cost of any region that is off: it only decides where circles that touch nothing stand
)
GOOD_FIT = 0.02


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
    wanted = _areas_by_code(regions, names)
    sizes = np.array([sum(a for code, a in enumerate(wanted) if code >> i & 1) for i in range(len(names))])
    circles = Circles(_first_centres(wanted, sizes), np.sqrt(sizes / np.pi))
    if len(names) == 3 and _worst_miss(wanted, circles) > GOOD_FIT * sizes.min():
        return _move_to_fit(wanted, circles)
    return circles


def drawn_areas(regions: tuple[Region, ...], circles: Circles) -> dict[tuple[str, ...], float]:
    """Return the area in images that each region has in the diagram, measured on a grid."""
    names = [region.datasets[0] for region in regions if len(region.datasets) == 1]
    areas = _measure(circles, 4 * GRID)
    return {region.datasets: float(areas[_code(region.datasets, names)]) for region in regions}


def worst_region(regions: tuple[Region, ...], circles: Circles) -> tuple[Region, float] | None:
    """Return the region whose drawn area is most off, with that area, or None if all regions are to scale.

    To scale means within 2 % of the smallest dataset of the region, and not lost altogether.
    """
    areas = drawn_areas(regions, circles)
    off = [r for r in regions if abs(areas[r.datasets] - r.area) > _tolerance(r, regions)]
    lost = [r for r in regions if areas[r.datasets] < 0.1 * r.area]
    worst = max(off or lost, key=lambda r: abs(areas[r.datasets] - r.area), default=None)
    return None if worst is None else (worst, areas[worst.datasets])


def _tolerance(region: Region, regions: tuple[Region, ...]) -> float:
    smallest = min(sum(r.area for r in regions if name in r.datasets) for name in region.datasets)
    return max(0.5, GOOD_FIT * smallest)


def _code(datasets: tuple[str, ...], names: list[str]) -> int:
    return sum(1 << names.index(name) for name in datasets)


def _areas_by_code(regions: tuple[Region, ...], names: list[str]) -> NDArray[np.float64]:
    areas = np.zeros(1 << len(names))
    for region in regions:
        areas[_code(region.datasets, names)] = region.area
    return areas


def _first_centres(wanted: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let matplotlib-venn lay out two or three circles; its order of subsets is that of the codes 1, 2, 3, ..."""
    if len(sizes) == 1:
        return np.zeros((1, 2))
    from matplotlib_venn.layout.venn2 import exact
    from matplotlib_venn.layout.venn3 import pairwise

    library = exact if len(sizes) == 2 else pairwise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Bad circle positioning": the fit is measured here, and said in the picture
        layout = library.LayoutAlgorithm()(tuple(wanted[1:]))
    # It shrinks all areas so that they sum to 1.
    centres: NDArray[np.float64] = np.array([[point.x, point.y] for point in layout.centers], np.float64)
    centres *= float(np.sqrt(wanted.sum()))
    if np.isfinite(centres).all():
        return centres
    angles = 2 * np.pi * np.arange(len(sizes)) / len(sizes)
    circle: NDArray[np.float64] = np.column_stack([np.cos(angles), np.sin(angles)])
    return circle * float(np.sqrt(sizes.max() / np.pi))


def _measure(circles: Circles, n_points: int) -> NDArray[np.float64]:
    low, high = circles.bounds()
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
