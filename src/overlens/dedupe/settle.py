"""Decide what to remove, and look again at what remains, until nothing verified is left.

What remains is searched as a collection of its own, and that can bring pairs into view that were not seen before: the
number of candidates per image is bounded, and the removed ones no longer take their places. What is found then joins
the pairs known before, and removal is decided anew from all of them. Every such round adds a pair, so it ends; the
bound on rounds is there so that it ends soon.

Shapes: n images in all.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.counted import counted
from overlens.decisions.honoured import HonouredDecisions
from overlens.dedupe.removal import Removal, RemovalRule, plan_removal
from overlens.edges import Edges
from overlens.errors import StoreError
from overlens.groups.find import KeepRule, find_groups
from overlens.roster import Roster

MAX_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Found:
    """The pairs among some images.

    Attributes:
        roster: The datasets, with the images that were looked at.
        keys: Keys of these images, dataset by dataset.
        edges: Judged pairs.
        n_pixels: `(n,)` int64, pixels of every image.
        n_capped: Images with more candidates than were looked at.
        n_low_information: Dataset -> images that are too flat to be told by anything but their bytes or pixels.
        decisions: What became of people's decisions, or None if there are none.
    """

    roster: Roster
    keys: tuple[tuple[str, ...], ...]
    edges: Edges
    n_pixels: NDArray[np.int64]
    n_capped: int = 0
    n_low_information: Mapping[str, int] | None = None
    decisions: HonouredDecisions | None = None


FindPairs = Callable[[Mapping[str, AbstractSet[str]]], Found]
"""Finds the pairs among all images but those named, by dataset; without names, among all."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be removed, and what looking again has shown.

    Attributes:
        whole: The pairs among all images.
        removal: The images to remove.
        n_left: Of each round, the verified pairs that were left among what remained.
        left: Those of the last round, in rows of `whole`; none if nothing is left.
        last: The pairs among what remains.
    """

    whole: Found
    removal: Removal
    n_left: tuple[int, ...]
    left: Edges
    last: Found

    def removed_keys(self) -> dict[str, frozenset[str]]:
        """Return the keys to remove, by dataset; every dataset is in it."""
        return _by_dataset(self.whole, self.removal.removed)


def settle(find: FindPairs, keep: str, rule: RemovalRule, *, max_rounds: int = MAX_ROUNDS) -> Settled:
    """Decide what to remove, and look again at what remains until nothing verified is left.

    Args:
        find: Finds the pairs among what remains.
        keep: Which image of a group represents it, one of `overlens.config.KEEP_RULES`.
        rule: What stays beside the representatives.
        max_rounds: How often to look again at most, at least 1.
    """
    whole = find({})
    edges, n_left = whole.edges.verified(), []
    while True:
        groups = find_groups(whole.roster, edges, KeepRule(keep, whole.n_pixels, rule.reference))
        removal = plan_removal(groups, edges, rule)
        # Where nothing goes, what remains is what was looked at.
        rest = find(_by_dataset(whole, removal.removed)) if len(removal) else whole
        seen = _in_rows_of(whole, rest, removal)
        left = seen.chosen(rule.concerns(whole.roster, seen))
        n_left.append(len(left))
        if not len(left) or len(n_left) == max_rounds:
            return Settled(whole, removal, tuple(n_left), left, rest)
        edges = _join(edges, seen).verified()


def _by_dataset(found: Found, rows: NDArray[np.int32]) -> dict[str, frozenset[str]]:
    owners, places = found.roster.dataset_of(rows), found.roster.local(rows)
    return {
        name: frozenset(keys[place] for place in places[owners == number].tolist())
        for number, (name, keys) in enumerate(zip(found.roster.datasets, found.keys, strict=True))
    }


def _in_rows_of(whole: Found, rest: Found, removal: Removal) -> Edges:
    """Return the verified pairs of what remains in rows of the whole."""
    rows = np.delete(np.arange(whole.roster.n_images, dtype=np.int32), removal.removed) if rest is not whole else None
    edges = rest.edges.verified()
    if rows is None:
        return edges
    if len(rows) != rest.roster.n_images:
        n_seen = rest.roster.n_images
        raise StoreError(
            f"{counted(len(rows), 'image remains', 'images remain')}, but {n_seen:,} were looked at; run again"
        )
    return Edges(rows[edges.left], rows[edges.right], edges.verdicts, edges.strengths)


def _join(one: Edges, two: Edges) -> Edges:
    return Edges(
        np.concatenate([one.left, two.left]),
        np.concatenate([one.right, two.right]),
        np.concatenate([one.verdicts, two.verdicts]),
        np.concatenate([one.strengths, two.strengths]),
    )
