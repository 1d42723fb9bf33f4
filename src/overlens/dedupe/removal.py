"""Decide which images of groups of copies go, so that each picture is left once, and say why for each of them.

Of a group one image stays, or all that belong to a dataset which keeps its own: the reference, or with `across_only`
the dataset of the representative. Every other image goes, and its reason is a verified pair:

* the pair of the image and a kept one, the surest there is; else, where no such pair was verified,
* the chain of verified pairs to a kept image whose weakest pair is the surest, and then this weakest pair is the
  reason: a chain proves no more than its weakest link. The images between are told.

Shapes: n images in all, m pairs, p images in groups, r removed images.
"""

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.edges import Edges
from overlens.groups.find import NO_GROUP, Groups
from overlens.roster import Roster
from overlens.verdicts import EDITED, VERDICTS

REMOVAL_COLUMNS = ("dataset", "image", "reason", "kept_dataset", "kept_image", "strength", "via")

# A pair, by its place among the verified ones, strongest first; and the image that comes next.
_Step = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RemovalRule:
    """What stays of a group beside its representative.

    Attributes:
        reference: Dataset none of whose images is ever removed, or None.
        across_only: Whether copies within one dataset stay: of a picture that several datasets share, the dataset of
            the representative keeps all its copies and the others lose theirs.
    """

    reference: str | None = None
    across_only: bool = False

    def concerns(self, roster: Roster, edges: Edges) -> NDArray[np.bool_]:
        """Whether a pair may not be left, `(m,)`: verified, and not one that the rule lets stay."""
        left, right = roster.dataset_of(edges.left), roster.dataset_of(edges.right)
        stays = left == right
        if not self.across_only:
            stays &= left == (-1 if self.reference is None else roster.number_of(self.reference))
        return np.asarray((edges.verdicts <= EDITED) & ~stays)


@dataclass(frozen=True, slots=True)
class Removal:
    """The images to remove.

    Attributes:
        removed: `(r,)` int32 global rows, ascending.
        kept: `(r,)` int32 global rows, the kept twin of each.
        verdicts: `(r,)` uint8 rung codes of the pair that is the reason.
        strengths: `(r,)` float32, how sure that verdict is within its rung, 0 to 1.
        via: The images between a removed one and its twin, in this order; empty where the pair itself was verified.
    """

    removed: NDArray[np.int32]
    kept: NDArray[np.int32]
    verdicts: NDArray[np.uint8]
    strengths: NDArray[np.float32]
    via: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.removed, self.kept, self.verdicts, self.strengths, self.via)}
        if lengths != {len(self.removed)}:
            raise ValueError(f"columns of a removal differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.removed)

    def count_reasons(self, roster: Roster) -> NDArray[np.int64]:
        """Return the removed images of each dataset by verdict, `(datasets, 6)` int64."""
        counts = np.zeros((len(roster.datasets), len(VERDICTS)), np.int64)
        np.add.at(counts, (roster.dataset_of(self.removed), self.verdicts), 1)
        return counts


def plan_removal(groups: Groups, edges: Edges, rule: RemovalRule) -> Removal:
    """Return what to remove of `groups`; the order of `edges` does not matter.

    Args:
        groups: The groups that `edges` make, with representatives chosen for the same reference.
        edges: The judged pairs.
        rule: What stays beside the representatives.

    Raises:
        ValueError: A group holds images of the reference, and its representative is none of them.
    """
    is_kept = _mark_kept(groups, rule)
    removed = np.sort(groups.members[~is_kept[groups.members]])
    verified = edges.verified()
    direct = _find_direct(verified, is_kept)
    chained = [row for row in removed.tolist() if row not in direct]
    has_chain = np.isin(groups.group_of, np.unique(groups.group_of[chained])) & (groups.group_of != NO_GROUP)
    chains = _find_chains(verified, is_kept, has_chain)
    ways = [_follow(row, direct if row in direct else chains) for row in removed.tolist()]
    reasons = np.array([reason for reason, _ in ways], np.int64)
    return Removal(
        removed.astype(np.int32),
        np.array([way[-1] for _, way in ways], np.int32),
        verified.verdicts[reasons],
        verified.strengths[reasons],
        tuple(tuple(way[:-1]) for _, way in ways),
    )


def removal_rows(
    removal: Removal, roster: Roster, keys: Sequence[Sequence[str]]
) -> Iterator[tuple[str, str, str, str, str, str, str]]:
    """Yield the removal list as `REMOVAL_COLUMNS`, one row an image, by dataset and place in it.

    `strength` has four decimals; `via` is a JSON list of `[dataset, image]`, or "" where the pair itself was verified.
    """
    for place, (row, kept) in enumerate(zip(removal.removed.tolist(), removal.kept.tolist(), strict=True)):
        between = [name_of(one, roster, keys) for one in removal.via[place]]
        via = json.dumps(between, ensure_ascii=False) if between else ""
        reason, strength = VERDICTS[removal.verdicts[place]], f"{removal.strengths[place]:.4f}"
        yield *name_of(row, roster, keys), reason, *name_of(kept, roster, keys), strength, via


def name_of(row: int, roster: Roster, keys: Sequence[Sequence[str]]) -> tuple[str, str]:
    """Return the dataset and key of a global row."""
    column = np.array([row])
    owner = int(roster.dataset_of(column)[0])
    return roster.datasets[owner], keys[owner][int(roster.local(column)[0])]


def _mark_kept(groups: Groups, rule: RemovalRule) -> NDArray[np.bool_]:
    """Return whether each image stays, `(n,)`."""
    roster = groups.roster
    owners = roster.dataset_of(np.arange(roster.n_images, dtype=np.int32))
    is_kept = groups.group_of == NO_GROUP
    is_kept[groups.representatives] = True
    holders = np.full(roster.n_images, -1, np.int32)  # of each grouped image, the dataset of its representative
    holders[groups.members] = owners[groups.representatives][groups.group_of[groups.members]]
    if rule.reference is not None:
        is_reference = owners == roster.number_of(rule.reference)
        if (is_reference & (holders != -1) & (holders != owners)).any():
            raise ValueError(f"representatives were not chosen for the reference {rule.reference!r}")
        is_kept |= is_reference
    if rule.across_only:
        is_kept |= owners == holders
    return np.asarray(is_kept)


def _find_direct(verified: Edges, is_kept: NDArray[np.bool_]) -> dict[int, _Step]:
    """Return the surest pair with a kept image, and that image, of each image to remove that has one."""
    keeps_left = is_kept[verified.left]
    numbers = np.flatnonzero(keeps_left != is_kept[verified.right])
    removed = np.where(keeps_left, verified.right, verified.left)[numbers]
    kept = np.where(keeps_left, verified.left, verified.right)[numbers]
    # `verified` comes strongest first, and np.unique gives the first place.
    rows, first = np.unique(removed, return_index=True)
    steps = zip(numbers[first].tolist(), kept[first].tolist(), strict=True)
    return dict(zip(rows.tolist(), steps, strict=True))


def _find_chains(verified: Edges, is_kept: NDArray[np.bool_], concerned: NDArray[np.bool_]) -> dict[int, _Step]:
    """Return the weakest pair of the surest chain to a kept image, and the next image on it, of each concerned image.

    Grown from all kept images at once, strongest pairs first, as Dijkstra's method does with the weakest pair of a
    chain in place of its length.
    """
    neighbours = _list_neighbours(verified, concerned)
    waiting = [(-1, row, -1) for row in sorted(neighbours) if is_kept[row]]
    found: dict[int, _Step] = {}
    settled: set[int] = set()
    while waiting:
        weakest, row, before = heapq.heappop(waiting)
        if row in settled:
            continue
        settled.add(row)
        if before >= 0:
            found[row] = weakest, before
        for number, other in neighbours[row]:
            if other not in settled:
                heapq.heappush(waiting, (max(weakest, number), other, row))
    return found


def _list_neighbours(verified: Edges, concerned: NDArray[np.bool_]) -> dict[int, list[tuple[int, int]]]:
    """Return, for each image, the numbers of its pairs among `verified` and the images at their other ends."""
    numbers = np.flatnonzero(concerned[verified.left])
    neighbours: dict[int, list[tuple[int, int]]] = {}
    for number, left, right in zip(
        numbers.tolist(), verified.left[numbers].tolist(), verified.right[numbers].tolist(), strict=True
    ):
        neighbours.setdefault(left, []).append((number, right))
        neighbours.setdefault(right, []).append((number, left))
    return neighbours


def _follow(row: int, steps: Mapping[int, _Step]) -> tuple[int, list[int]]:
    """Return the pair that is the reason to remove `row`, and the images from there to its kept twin, which is last."""
    reason, way = steps[row][0], [steps[row][1]]
    while way[-1] in steps:
        way.append(steps[way[-1]][1])
    return reason, way
