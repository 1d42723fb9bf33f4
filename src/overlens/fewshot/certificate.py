"""Count, from finished splits alone, the groups of copies that cross a border: what a certificate states.

Nothing here knows how splits were drawn, so a certificate is a check of the draw and not a promise of it.

Shapes: n images of a dataset, m images of a part.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from overlens.config import FewShotConfig
from overlens.fewshot.pictures import KnownCopies
from overlens.fewshot.splits import Certificate, EpisodeSet, LeftOut, Split
from overlens.groups.find import NO_GROUP

NOT_VERIFIED = "no copies were verified in this run"

Drawn = TypeVar("Drawn", Split, EpisodeSet)


class Certifier:
    """Certifies the splits of one dataset."""

    def __init__(self, config: FewShotConfig, copies: KnownCopies | None, left_out: LeftOut, why_not: str = "") -> None:
        self._config, self._copies, self._left_out = config, copies, left_out
        self._why_not = why_not or (NOT_VERIFIED if copies is None else "")

    def certify(self, parts: Iterable[Mapping[str, NDArray[np.int64]]]) -> Certificate:
        """Return the certificate of a split, or of many episodes, from the rows of each part.

        Crossings between seeds are counted later, when the splits of all seeds are there: `certify_seeds`.
        """
        config, copies = self._config, self._copies
        borders = config.allow_leaks, config.disjoint_seeds, tuple(config.held_out), self._left_out
        if copies is None or self._why_not:
            return Certificate(self._why_not, None, None, None, None, *borders, {} if copies is None else copies.basis)
        listed = list(parts)
        n_parts = sum(count_crossing(copies.group_of, list(one.values())) for one in listed)
        rows = np.unique(np.concatenate([np.zeros(0, np.int64), *(rows for one in listed for rows in one.values())]))
        reaching = rows[copies.in_held_out[rows]]
        n_held_out = len(np.unique(copies.group_of[reaching])) if config.held_out else None
        n_groups = len(np.unique(copies.group_of[copies.group_of != NO_GROUP]))
        return Certificate(None, n_parts, n_held_out, None, n_groups, *borders, copies.basis)

    def certify_seeds(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        """Return splits with the number of pictures that each shares with those of other seeds, where that is asked.

        Only splits of the same strategy, k and number of classes are held together; those of two k share by design.
        """
        if self._copies is None or self._why_not or not self._config.disjoint_seeds:
            return list(drawn)
        pictures = {one.place: self._pictures_of(one, self._copies.group_of) for one in drawn}
        return [_with_seeds(one, pictures) for one in drawn]

    @staticmethod
    def _pictures_of(drawn: Split | EpisodeSet, group_of: NDArray[np.int32]) -> set[int]:
        """Return the groups of a split, and numbers below all groups for its images without one."""
        if isinstance(drawn, Split):
            rows = np.concatenate([part.rows for part in drawn.parts.values()])
        else:
            rows = drawn.rows[
                np.unique(np.concatenate([places for one in drawn.episodes for _, places in one.parts()]))
            ]
        groups = group_of[rows]
        return set(np.where(groups == NO_GROUP, NO_GROUP - 1 - rows, groups).tolist())


def _with_seeds(drawn: Drawn, pictures: Mapping[tuple[str, int, int, int], set[int]]) -> Drawn:
    strategy, k, n_classes, seed = drawn.place
    others = (found for place, found in pictures.items() if place[:3] == (strategy, k, n_classes) and place[3] != seed)
    n_shared = len(pictures[drawn.place].intersection(chain.from_iterable(others)))
    return replace(drawn, certificate=replace(drawn.certificate, n_crossing_seeds=n_shared))


def count_crossing(group_of: NDArray[np.int32], parts: Sequence[NDArray[np.int64]]) -> int:
    """Return how many groups have images in two parts or more.

    Args:
        group_of: `(n,)` int32, the group of each image, or `NO_GROUP`.
        parts: `(m,)` rows of each part.
    """
    found: Counter[int] = Counter()
    for rows in parts:
        groups = np.unique(group_of[rows])
        found.update(groups[groups != NO_GROUP].tolist())
    return sum(n_parts > 1 for n_parts in found.values())
