"""Join verified pairs to groups of copies: who belongs together, by how weak a link, and which image stands for all.

Groups are the connected components over verified pairs (the first four rungs of `overlens.verdicts`); a same-scene or
look-alike pair never joins anything. Connection is transitive: two copies of one picture are in one group although the
pair itself may not have been looked at. That is also the danger, since one wrong pair joins two groups, so each group
says which link it hangs by.

The weakest edge of a group is the weakest link that its connection needs: of all spanning trees take the one with the
strongest links (higher rung first, then larger strength, then lower rows), and of that tree the weakest. Without pairs
weaker than it the group would stay whole; without it and its equals, it would fall apart.

Shapes: n images in all, m pairs, g groups, p images in groups.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.config import KEEP_RULES
from overlens.edges import Edges
from overlens.errors import ConfigError
from overlens.roster import Roster
from overlens.same_number import NO_NUMBER

NO_GROUP = NO_NUMBER


@dataclass(frozen=True, slots=True)
class KeepRule:
    """Which image of a group represents it. Of images that are equally good the lowest global row does.

    Attributes:
        keep: "resolution" (most pixels), "first" (lowest global row), "dataset-order" (of the first dataset in the
            order of the run; of these, most pixels), or "centroid" (the largest mean strength towards the other
            members, where a pair that was not verified counts 0).
        n_pixels: `(n,)` int64, pixels of every image; needed by "resolution" and "dataset-order".
        reference: Dataset whose images come before all others whatever the rule, or None.
    """

    keep: str = "resolution"
    n_pixels: NDArray[np.int64] | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.keep not in KEEP_RULES:
            raise ConfigError(f"--keep {self.keep!r} is not known; allowed: {', '.join(KEEP_RULES)}")
        if self.n_pixels is None and self.keep in ("resolution", "dataset-order"):
            raise ValueError(f"to keep by {self.keep}, n_pixels of every image is needed")


@dataclass(frozen=True, slots=True)
class Groups:
    """All groups of two images or more, in the order of their first members.

    Attributes:
        roster: The datasets that the global rows refer to.
        group_of: `(n,)` int32, the group of each image, or `NO_GROUP`.
        members: `(p,)` int32 global rows, group after group, ascending in each.
        starts: `(g + 1,)` int64, where each group begins in `members`; the last is p.
        representatives: `(g,)` int32 global rows.
        weakest: The weakest edge of each group, g edges.
    """

    roster: Roster
    group_of: NDArray[np.int32]
    members: NDArray[np.int32]
    starts: NDArray[np.int64]
    representatives: NDArray[np.int32]
    weakest: Edges

    def __post_init__(self) -> None:
        if len(self.group_of) != self.roster.n_images or len(self.starts) != len(self.representatives) + 1:
            raise ValueError(f"{len(self.group_of)} images in {len(self.starts) - 1} groups do not fit the datasets")
        if len(self.weakest) != len(self) or self.starts[-1] != len(self.members):
            raise ValueError(f"{len(self)} groups need as many weakest edges, got {len(self.weakest)}")

    def __len__(self) -> int:
        return len(self.representatives)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of images of each group, `(g,)`, each at least 2."""
        return np.diff(self.starts)

    @property
    def n_grouped(self) -> int:
        """Number of images that are in a group."""
        return len(self.members)

    def count_members(self) -> NDArray[np.int32]:
        """Return how many images of each dataset each group has, `(g, datasets)` int32."""
        counts = np.zeros((len(self), len(self.roster.datasets)), np.int32)
        np.add.at(counts, (self.group_of[self.members], self.roster.dataset_of(self.members)), 1)
        return counts

    def members_of(self, number: int) -> NDArray[np.int32]:
        """Return the global rows of one group, numbered from 0, ascending; raises IndexError if there is none."""
        if not 0 <= number < len(self):
            raise IndexError(f"group {number} does not exist; there are {len(self)}")
        return self.members[self.starts[number] : self.starts[number + 1]]


def find_groups(roster: Roster, edges: Edges, rule: KeepRule) -> Groups:
    """Return the groups that the verified ones of `edges` make; the order of the edges does not matter.

    Args:
        roster: The datasets.
        edges: Judged pairs of global rows; pairs that are not verified are passed over.
        rule: How the representative is chosen.

    Raises:
        ValueError: An edge names an image that is not in the roster, or the rule does not fit it.
    """
    _require_fit(roster, edges, rule)
    verified = edges.verified()
    group_of, n_groups = _label_components(roster.n_images, verified)
    members = np.argsort(group_of, kind="stable")[np.count_nonzero(group_of == NO_GROUP) :].astype(np.int32)
    starts = np.searchsorted(group_of[members], np.arange(n_groups + 1)).astype(np.int64)
    ranked = members[_rank_members(roster, members, group_of, verified, rule)]
    weakest = _find_weakest(roster.n_images, group_of, n_groups, verified)
    return Groups(roster, group_of, members, starts, ranked[starts[:-1]], weakest)


def _require_fit(roster: Roster, edges: Edges, rule: KeepRule) -> None:
    rows = np.concatenate([edges.left, edges.right])
    if rows.size and not 0 <= rows.min() <= rows.max() < roster.n_images:
        raise ValueError(f"edges name rows {rows.min()} to {rows.max()}, but there are {roster.n_images} images")
    if rule.n_pixels is not None and rule.n_pixels.shape != (roster.n_images,):
        raise ValueError(f"n_pixels must be one number for each of {roster.n_images}, got {rule.n_pixels.shape}")
    if rule.reference is not None:
        roster.number_of(rule.reference)


def _label_components(n_images: int, verified: Edges) -> tuple[NDArray[np.int32], int]:
    """Return the group of each image, numbered by first member, `NO_GROUP` for images without a pair."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(verified), np.bool_)
    graph = coo_array((ones, (verified.left, verified.right)), shape=(n_images, n_images))
    _, labels = connected_components(graph, directed=False)
    rows = np.unique(np.concatenate([verified.left, verified.right]))
    _, first, inverse = np.unique(labels[rows], return_index=True, return_inverse=True)
    group_of = np.full(n_images, NO_GROUP, np.int32)
    group_of[rows] = np.argsort(np.argsort(first))[inverse]
    return group_of, len(first)


def _find_weakest(n_images: int, group_of: NDArray[np.int32], n_groups: int, verified: Edges) -> Edges:
    """Return the weakest edge of the strongest spanning tree of each group; `verified` comes strongest first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    # Ranks as weights: all different, so there is one tree; from 1, because 0 would mean no edge.
    ranks = np.arange(1, len(verified) + 1, dtype=np.float64)
    graph = coo_array((ranks, (verified.left, verified.right)), shape=(n_images, n_images))
    chosen = np.sort(minimum_spanning_tree(graph.tocsr()).data.astype(np.int64) - 1)
    last = np.zeros(n_groups, np.int64)
    np.maximum.at(last, group_of[verified.left[chosen]], chosen)
    return Edges(verified.left[last], verified.right[last], verified.verdicts[last], verified.strengths[last])


def _rank_members(
    roster: Roster, members: NDArray[np.int32], group_of: NDArray[np.int32], verified: Edges, rule: KeepRule
) -> NDArray[np.int64]:
    """Return the order that sorts `members` by group and, within it, the best representative first."""
    owners = roster.dataset_of(members)
    keys: list[NDArray[np.generic]] = [members]  # np.lexsort: the last key weighs most
    if rule.n_pixels is not None and rule.keep in ("resolution", "dataset-order"):
        keys.append(-rule.n_pixels[members])
    if rule.keep == "dataset-order":
        keys.append(owners)
    if rule.keep == "centroid":
        keys.append(-_sum_strengths(roster.n_images, verified)[members])
    if rule.reference is not None:
        keys.append(owners != roster.number_of(rule.reference))
    return np.lexsort((*keys, group_of[members]))


def _sum_strengths(n_images: int, verified: Edges) -> NDArray[np.float64]:
    """Return the sum of strengths of each image: within a group, all means have one divisor."""
    sums = np.zeros(n_images, np.float64)
    np.add.at(sums, verified.left, verified.strengths)
    np.add.at(sums, verified.right, verified.strengths)
    return sums
