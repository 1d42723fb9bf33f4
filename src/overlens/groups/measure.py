"""How far datasets overlap by their groups of copies: containment, Jaccard, regions, and counts by rung.

Everything follows from the groups. An image of A is in B if its group holds an image of B, whether or not that very
pair was looked at; so containment is transitive and does not depend on which of many copies were compared. Counted in
pictures instead of files, a group is one, and an image without a group is a group of one: Jaccard is the share of such
pictures that both have among those that either has.

Shapes: n images, m pairs, g groups, d datasets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from overlens.edges import Edges
from overlens.groups.find import NO_GROUP, Groups
from overlens.overlap import VERIFIED_METHOD, Overlap, measure_overlap
from overlens.verdicts import VERDICTS, VERIFIED

Couple = tuple[str, str]


@dataclass(frozen=True, slots=True)
class VerifiedOverlap:
    """How far any number of datasets overlap by verified groups.

    Attributes:
        overlap: Directed counts and exclusive regions of images, by the method "verified".
        n_groups: Groups of two images or more.
        n_grouped: Images in them.
        pictures: Set of datasets -> number of pictures that exactly these have; a picture is a group or an image
            without one. Sums to the number of different pictures.
        jaccard: (A, B), and (B, A) alike -> pictures in both / pictures in either, 0 to 1; 0 where both are empty.
        pairs_by_verdict: (A, B), A before B or A twice -> rung -> number of judged pairs, all six rungs. A dataset that
            is taken as given does not stand twice, as no pair within it was looked for.
        groups_by_weakest: Rung of the weakest edge -> number of groups, the four verified rungs.
    """

    overlap: Overlap
    n_groups: int
    n_grouped: int
    pictures: Mapping[frozenset[str], int]
    jaccard: Mapping[Couple, float]
    pairs_by_verdict: Mapping[Couple, Mapping[str, int]]
    groups_by_weakest: Mapping[str, int]

    def __post_init__(self) -> None:
        n_pictures = sum(self.overlap.sizes.values()) - self.n_grouped + self.n_groups
        if sum(self.pictures.values()) != n_pictures:
            raise ValueError(f"regions hold {sum(self.pictures.values())} pictures, but there are {n_pictures}")
        if sum(self.groups_by_weakest.values()) != self.n_groups:
            raise ValueError(f"weakest edges {dict(self.groups_by_weakest)} do not count {self.n_groups} groups")

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries and lists for `json.dump`: what `Overlap.to_json` holds, and the groups."""
        names = sorted(self.overlap.sizes)
        regions = sorted(self.pictures, key=lambda datasets: (len(datasets), sorted(datasets)))
        return {
            **self.overlap.to_json(),
            "n_groups": self.n_groups,
            "n_grouped_images": self.n_grouped,
            "pictures": [{"datasets": sorted(region), "n_pictures": self.pictures[region]} for region in regions],
            "jaccard": {name: {other: self.jaccard[name, other] for other in names if other != name} for name in names},
            "pairs_by_verdict": [
                {"datasets": list(couple), **counts} for couple, counts in sorted(self.pairs_by_verdict.items())
            ],
            "groups_by_weakest_edge": dict(self.groups_by_weakest),
        }


def measure_groups(groups: Groups, edges: Edges, reference: str | None = None) -> VerifiedOverlap:
    """Return the overlap that groups make.

    Args:
        groups: The groups of all datasets.
        edges: The judged pairs they were made of, those that are not verified included.
        reference: Dataset that is taken as given: nobody looked for copies within it, so that they have no number.
    """
    counts = groups.count_members()
    pairs = _count_pairs(groups, edges)
    if reference is not None:
        pairs.pop((reference, reference), None)
    return VerifiedOverlap(
        overlap=_measure_images(groups, counts, pairs),
        n_groups=len(groups),
        n_grouped=groups.n_grouped,
        pictures=_count_pictures(groups, counts),
        jaccard=_measure_jaccard(groups, counts),
        pairs_by_verdict=pairs,
        groups_by_weakest={
            name: int(np.count_nonzero(groups.weakest.verdicts == code)) for code, name in enumerate(VERIFIED)
        },
    )


def _measure_images(groups: Groups, counts: NDArray[np.int32], pairs: Mapping[Couple, Mapping[str, int]]) -> Overlap:
    names = groups.roster.datasets
    # One row more, without members, stands for images without a group: it is the last, and NO_GROUP is -1.
    padded = np.concatenate([counts, np.zeros((1, len(names)), np.int32)])
    parts = np.split(groups.group_of, groups.roster.offsets[1:-1]) if names else []
    n_verified = {couple: sum(table[name] for name in VERIFIED) for couple, table in pairs.items()}
    numbered = list(enumerate(names))
    return measure_overlap(
        VERIFIED_METHOD,
        within={name: padded[parts[own], own] > 1 for own, name in numbered},
        across={
            (name, other): padded[parts[own], place] > 0
            for own, name in numbered
            for place, other in numbered
            if own != place
        },
        pairs_within={name: n_verified.get((name, name)) for name in names},
        pairs_across={couple: n for couple, n in n_verified.items() if couple[0] != couple[1]},
    )


def _count_pairs(groups: Groups, edges: Edges) -> dict[Couple, dict[str, int]]:
    """Return how many pairs of each rung stand within each dataset and between every two."""
    names = groups.roster.datasets
    owners = groups.roster.dataset_of(edges.left), groups.roster.dataset_of(edges.right)
    table = np.zeros((len(names), len(names), 256), np.int64)
    np.add.at(table, (np.minimum(*owners), np.maximum(*owners), edges.verdicts), 1)
    numbered = list(enumerate(names))
    return {
        (name, other): dict(zip(VERDICTS, table[first, second].tolist(), strict=False))
        for (first, name), (second, other) in combinations_with_replacement(numbered, 2)
    }


def _count_pictures(groups: Groups, counts: NDArray[np.int32]) -> dict[frozenset[str], int]:
    names = groups.roster.datasets
    shared, n_shared = np.unique(counts > 0, axis=0, return_counts=True)
    pictures = {
        frozenset(name for name, holds in zip(names, row, strict=True) if holds): int(n)
        for row, n in zip(shared, n_shared, strict=True)
    }
    for name, n in zip(names, _count_lone(groups), strict=True):
        if n:
            pictures[frozenset((name,))] = pictures.get(frozenset((name,)), 0) + n
    return pictures


def _measure_jaccard(groups: Groups, counts: NDArray[np.int32]) -> dict[Couple, float]:
    holds, lone = counts > 0, _count_lone(groups)
    shares = {}
    for (first, name), (second, other) in combinations(enumerate(groups.roster.datasets), 2):
        n_both = np.count_nonzero(holds[:, first] & holds[:, second])
        n_either = np.count_nonzero(holds[:, first] | holds[:, second]) + lone[first] + lone[second]
        shares[name, other] = shares[other, name] = float(n_both / n_either) if n_either else 0.0
    return shares


def _count_lone(groups: Groups) -> list[int]:
    """Return how many images of each dataset are in no group."""
    lone = np.flatnonzero(groups.group_of == NO_GROUP)
    counts: list[int] = np.bincount(groups.roster.dataset_of(lone), minlength=len(groups.roster.datasets)).tolist()
    return counts
