"""Give the verdict of a pair to the pairs of the images that equal its own.

Of images with equal pixels only the first of each dataset is searched and judged. What was found holds for the others
as well, so their pairs are listed too, with their own signals, unless a class of equal images is so large that its own
pairs are not all listed either.

Shapes: n images in all, m judged pairs, s pairs that are added.
"""

from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.copies import MOST_FULL, find_equal
from overlens.candidates.find import CandidatePairs
from overlens.candidates.signals import Signals, Sources, measure_signals
from overlens.verify.alignment import invert
from overlens.verify.judged import REFUTED, JudgedPairs


@dataclass(frozen=True, slots=True)
class _Added:
    """Pairs to add, `(s,)` each: their global rows, the judged pair that speaks for them, and whether it is turned."""

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    of: NDArray[np.intp]
    is_turned: NDArray[np.bool_]


def spread_verdicts(judged: JudgedPairs, sources: Sources, reference: str | None) -> JudgedPairs:
    """Return the judged pairs, and those that follow from them by equality, sorted by left and right.

    Args:
        judged: Every candidate pair with its verdict; refuted ones are not spread.
        sources: What the candidates were found in.
        reference: Dataset whose images are not paired with one another, or None.
    """
    added = _find_added(judged, sources, reference)
    if not len(added.left):
        return judged
    order = np.lexsort((np.append(judged.candidates.right, added.right), np.append(judged.candidates.left, added.left)))
    columns = {
        field.name: np.concatenate([getattr(judged, field.name), getattr(judged, field.name)[added.of]])
        for field in fields(judged)
        if field.name != "candidates"
    }
    turned = len(judged) + np.flatnonzero(added.is_turned)
    columns["shapes"][turned] = columns["shapes"][turned][:, ::-1]
    for place in turned[columns["shapes"][turned, 0, 0] > 0].tolist():
        columns["transforms"][place] = invert(columns["transforms"][place])
    candidates = _join(judged.candidates, added, sources, order)
    return JudgedPairs(candidates, **{name: column[order] for name, column in columns.items()})


def _find_added(judged: JudgedPairs, sources: Sources, reference: str | None) -> _Added:
    number = None if reference is None else sources.roster.number_of(reference)
    first = find_equal(sources, number).first
    sizes = np.bincount(first, minlength=len(first))[first]
    members = np.argsort(first, kind="stable")
    starts = np.searchsorted(first[members], first)
    left, right = judged.candidates.left, judged.candidates.right
    largest = np.maximum(sizes[left], sizes[right])
    spread = (judged.verdicts != REFUTED) & (first[left] != first[right]) & (largest > 1) & (largest <= MOST_FULL)
    known = set(zip(left.tolist(), right.tolist(), strict=True))
    owners = sources.roster.dataset_of(np.arange(len(first)))
    rows: list[tuple[int, int, int, bool]] = []
    # The surest verdict comes first, where equal images have been judged beside one another.
    for place in np.flatnonzero(spread)[np.argsort(judged.verdicts[spread], kind="stable")].tolist():
        sides = (
            members[starts[row] : starts[row] + sizes[row]].tolist() for row in (int(left[place]), int(right[place]))
        )
        for one, two in product(*sides):
            pair = min(one, two), max(one, two)
            if pair not in known and not owners[one] == owners[two] == number:
                known.add(pair)
                rows.append((*pair, place, one > two))
    table = np.array(rows, np.int64).reshape(len(rows), 4)
    return _Added(
        table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2].astype(np.intp), table[:, 3] > 0
    )


def _join(candidates: CandidatePairs, added: _Added, sources: Sources, order: NDArray[np.intp]) -> CandidatePairs:
    signals = measure_signals(sources, added.left, added.right)
    found = {name: getattr(signals, name) for name in Signals.__slots__} | {"left": added.left, "right": added.right}
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(candidates, name), column])[order] for name, column in found.items()
    }
    return replace(candidates, **joined)
