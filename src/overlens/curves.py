"""How many images have a match, at every threshold: nobody has to believe one.

A curve counts the images of one dataset that have a match in another, or in itself, as the threshold moves. It follows
from the best match of every image, so one search gives all thresholds, and the number at a run's own threshold is the
number that its `Overlap` holds. Where the evidence of a pair has rungs, the rungs take the place of thresholds.

Shapes: n images of one dataset, t thresholds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from overlens.overlap import compared_couples
from overlens.records import HashRows
from overlens.search.best import (
    Distances,
    Scores,
    best_cosine,
    best_cosines,
    best_distance,
    best_distances,
)
from overlens.stacked import Rows
from overlens.tables import csv_text
from overlens.verdicts import VERIFIED

Threshold = float | int | str
Progress = Callable[[int], None]
Searched = TypeVar("Searched")
Best = TypeVar("Best")

LOWEST_HUNDREDTH, HIGHEST_HUNDREDTH = 50, 99
WIDEST_DISTANCE = 32
_CSV_HEAD = ("method", "dataset", "other", "threshold", "n_matched", "share")


@dataclass(frozen=True, slots=True)
class OverlapCurve:
    """How many images of `dataset` have a match in `other`, for each threshold.

    Attributes:
        method: "cosine", "perceptual" or "verified".
        dataset: The dataset whose images are counted.
        other: Where the match is; the same as `dataset` for matches within it.
        thresholds: Cosine similarities or Hamming distances in bits, ascending, or rungs from the surest on; a match
            at exactly the threshold counts.
        n_matched: Number of images with a match, for each threshold; it never falls as the threshold gets looser.
        size: Number of images of `dataset`.
    """

    method: str
    dataset: str
    other: str
    thresholds: tuple[Threshold, ...]
    n_matched: tuple[int, ...]
    size: int

    def __post_init__(self) -> None:
        if len(self.thresholds) != len(self.n_matched):
            raise ValueError(f"{len(self.thresholds)} thresholds and {len(self.n_matched)} counts differ in length")
        if len(set(self.thresholds)) != len(self.thresholds):
            raise ValueError(f"a threshold stands twice: {self.thresholds}")
        if not all(0 <= n <= self.size for n in self.n_matched):
            raise ValueError(f"{self.dataset!r} has {self.size} images, so {self.n_matched} cannot have a match")
        loosening = self.n_matched[::-1] if self.method == "cosine" else self.n_matched
        if sorted(loosening) != list(loosening):
            raise ValueError(f"fewer matches at a looser threshold: {self.n_matched} at {self.thresholds}")

    @property
    def is_within(self) -> bool:
        """Whether matches lie in the dataset itself."""
        return self.dataset == self.other

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the images that have a match, 0 to 1, for each threshold; 0 for an empty dataset."""
        return tuple(n / self.size if self.size else 0.0 for n in self.n_matched)

    def count_at(self, threshold: Threshold) -> int:
        """Return the number of images with a match at one of the thresholds; raises ValueError at another."""
        if threshold not in self.thresholds:
            raise ValueError(
                f"this curve has no threshold {threshold!r}; it has {', '.join(map(str, self.thresholds))}"
            )
        return self.n_matched[self.thresholds.index(threshold)]


def cosine_thresholds(own: Iterable[float]) -> tuple[float, ...]:
    """Return 0.50, 0.51, ... 0.99 and the run's own thresholds, ascending; the steps go down to a lower own one.

    1.00 is left out, unless asked for: whether equal pictures reach it is a matter of the last bit.
    """
    asked = {float(similarity) for similarity in own}
    lowest = min([LOWEST_HUNDREDTH, *(math.ceil(similarity * 100) for similarity in asked)])
    grid = {hundredth / 100 for hundredth in range(lowest, HIGHEST_HUNDREDTH + 1)}
    return tuple(sorted(grid | asked))


def distance_thresholds(n_bits: int, own: Iterable[int]) -> tuple[int, ...]:
    """Return every distance from 0 to 32, or to one bit less than the hash, and the run's own ones, ascending."""
    return tuple(sorted({*range(min(WIDEST_DISTANCE, n_bits - 1) + 1), *own}))


def cosine_curves(
    embeddings: Mapping[str, Rows],
    *,
    min_similarities: Iterable[float],
    reference: str | None = None,
    progress: Progress | None = None,
) -> tuple[OverlapCurve, ...]:
    """Return the curves of every dataset within itself and in every other, by cosine similarity.

    Args:
        embeddings: Dataset -> `(n, d)` float32 rows of length 1.
        min_similarities: The run's own thresholds, -1 to 1; counts there equal those of the run's pair search.
        reference: Dataset that is not compared with itself, or None.
        progress: Called with the number of pairs compared since the last call.

    Returns:
        One curve for each dataset and each other, in the order of `embeddings`; within it, the dataset itself first,
        but for the reference.
    """
    thresholds = cosine_thresholds(min_similarities)
    search = partial(best_cosine, progress=progress), partial(best_cosines, progress=progress)
    best = _search_all(embeddings, reference, *search)
    counted = {names: count_alike(scores, thresholds) for names, scores in best.items()}
    return _collect("cosine", {name: len(rows) for name, rows in embeddings.items()}, thresholds, counted)


def distance_curves(
    hashes: Mapping[str, HashRows],
    *,
    n_bits: int,
    max_distances: Iterable[int],
    reference: str | None = None,
    progress: Progress | None = None,
) -> tuple[OverlapCurve, ...]:
    """Return the curves of every dataset within itself and in every other, by Hamming distance.

    Args:
        hashes: Dataset -> `(n, b)` uint8 packed hashes.
        n_bits: Length of a hash in bits, at most 8 b.
        max_distances: The run's own thresholds in bits; counts there equal those of the run's pair search.
        reference: As in `cosine_curves`.
        progress: Called with the number of pairs compared since the last call.

    Returns:
        As `cosine_curves`.
    """
    thresholds = distance_thresholds(n_bits, max_distances)
    search = partial(best_distance, progress=progress), partial(best_distances, progress=progress)
    best = _search_all(hashes, reference, *search)
    counted = {names: count_close(distances, thresholds, n_bits) for names, distances in best.items()}
    return _collect("perceptual", {name: len(rows) for name, rows in hashes.items()}, thresholds, counted)


def rung_curves(
    sizes: Mapping[str, int], best_rungs: Mapping[tuple[str, str], Mapping[str, int]]
) -> tuple[OverlapCurve, ...]:
    """Return the curves of verified matches: images with a match on the surest rung, on the two surest, and so on.

    Args:
        sizes: Dataset -> number of its images.
        best_rungs: (A, B) -> verified rung -> number of images of A whose surest match in B is on it; B may be A.
            Rungs without an image may be absent; a couple that is absent has no curve.

    Returns:
        As `cosine_curves`, with the verified rungs as thresholds.

    Raises:
        ValueError: A rung is not a verified one, or a couple names an unknown dataset.
    """
    for names, rungs in best_rungs.items():
        if not set(names) <= set(sizes) or not set(rungs) <= set(VERIFIED):
            raise ValueError(
                f"{names} with rungs {sorted(rungs)}; allowed are {', '.join(sizes)} and {', '.join(VERIFIED)}"
            )
    counted = {
        names: tuple(np.cumsum([rungs.get(rung, 0) for rung in VERIFIED]).tolist())
        for names, rungs in best_rungs.items()
    }
    return _collect("verified", sizes, VERIFIED, counted)


def count_alike(best: Scores, thresholds: Sequence[float]) -> tuple[int, ...]:
    """Return how many of `(n,)` float32 best scores reach each threshold, compared in float32 as pair search does."""
    ordered = np.sort(best)
    limits = np.asarray(thresholds, np.float64).astype(np.float32)
    return tuple((len(best) - np.searchsorted(ordered, limits, side="left")).tolist())


def count_close(best: Distances, thresholds: Sequence[int], n_bits: int) -> tuple[int, ...]:
    """Return how many of `(n,)` int32 best distances are within each threshold; above `n_bits` there is no match."""
    ordered = np.sort(best[best <= n_bits])
    return tuple(np.searchsorted(ordered, np.asarray(thresholds), side="right").tolist())


def curves_csv(curves: Sequence[OverlapCurve]) -> str:
    """Return a table with the columns method, dataset, other, threshold, n_matched, share; a line for each threshold.

    Numbers are the shortest that read back as the same. Lines end in a line feed.
    """
    rows = (
        (curve.method, curve.dataset, curve.other, *columns)
        for curve in curves
        for columns in zip(curve.thresholds, curve.n_matched, curve.shares, strict=True)
    )
    return csv_text(_CSV_HEAD, rows)


def _search_all(
    rows: Mapping[str, Searched],
    reference: str | None,
    within: Callable[[Searched, None], Best],
    across: Callable[[Searched, Searched], tuple[Best, Best]],
) -> dict[tuple[str, str], Best]:
    """Return the best match of every image of A in B, for all (A, B), by one search within and one of each two.

    The reference is not searched within.
    """
    best: dict[tuple[str, str], Best] = {}
    for first, second in compared_couples(rows, reference):
        if first != second:
            best[first, second], best[second, first] = across(rows[first], rows[second])
        else:
            best[first, first] = within(rows[first], None)
    return best


def _collect(
    method: str,
    sizes: Mapping[str, int],
    thresholds: tuple[Threshold, ...],
    counted: Mapping[tuple[str, str], tuple[int, ...]],
) -> tuple[OverlapCurve, ...]:
    couples = [(name, other) for name in sizes for other in (name, *(o for o in sizes if o != name))]
    return tuple(
        OverlapCurve(method, name, other, thresholds, counted[name, other], sizes[name])
        for name, other in couples
        if (name, other) in counted
    )
