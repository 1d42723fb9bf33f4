"""Give the verdict of a pair to the pairs of the images that equal its own.

Of images with equal pixels only the first of each dataset is searched and judged. What was found holds for the others
as well, so their pairs are listed too, marked as inferred and with their own signals, unless a class of equal images is
so large that its own pairs are not all listed either. What a person decided of a pair comes with its verdict: decisions
are on pictures (`overlens.verify.decided`), so all judged pairs of the same two have the same one.

Shapes: n images in all, m judged pairs, k of them that speak for others, s pairs that are added.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.copies import MOST_FULL, pair_keys
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

    def chosen(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> "_Added":
        """Return some of them, in the order of `places`."""
        return _Added(self.left[places], self.right[places], self.of[places], self.is_turned[places])


def spread_verdicts(
    judged: JudgedPairs, sources: Sources, first: NDArray[np.int32], reference: str | None
) -> JudgedPairs:
    """Return the judged pairs, and those that follow from them by equality, sorted by left and right.

    Args:
        judged: Every candidate pair with its verdict; refuted ones are not spread.
        sources: What the candidates were found in.
        first: `(n,)` int32, the first row with the same pixels as each.
        reference: Dataset whose images are not paired with one another, or None.
    """
    sizes = np.bincount(first, minlength=len(first))[first]
    left, right = judged.candidates.left, judged.candidates.right
    largest = np.maximum(sizes[left], sizes[right])
    is_spread = (judged.verdicts != REFUTED) & (first[left] != first[right]) & (largest > 1) & (largest <= MOST_FULL)
    if not is_spread.any():
        return judged
    places = np.flatnonzero(is_spread)
    # The surest verdict comes first, where equal images have been judged beside one another.
    places = places[np.argsort(judged.verdicts[places], kind="stable")]
    added = _drop_known(_pair_equals(judged, places, first, sizes), judged, sources, reference)
    return _join(judged, added, sources)


def _pair_equals(
    judged: JudgedPairs, places: NDArray[np.intp], first: NDArray[np.int32], sizes: NDArray[np.intp]
) -> _Added:
    """Return all pairs of images that equal the two of each judged pair, in the order of `places`."""
    members = np.argsort(first, kind="stable").astype(np.int32)
    starts = np.searchsorted(first[members], first)
    left, right = judged.candidates.left[places], judged.candidates.right[places]
    n_pairs = sizes[left] * sizes[right]
    of = np.repeat(np.arange(len(places)), n_pairs)
    number = np.arange(len(of)) - np.repeat(np.cumsum(n_pairs) - n_pairs, n_pairs)
    upper = members[starts[left][of] + number // sizes[right][of]]
    lower = members[starts[right][of] + number % sizes[right][of]]
    return _Added(np.minimum(upper, lower), np.maximum(upper, lower), places[of], upper > lower)


def _drop_known(added: _Added, judged: JudgedPairs, sources: Sources, reference: str | None) -> _Added:
    """Leave out the pairs that were judged themselves, that come again, or that lie within the reference."""
    keys = pair_keys(added.left, added.right)
    is_new = ~np.isin(keys, pair_keys(judged.candidates.left, judged.candidates.right))
    if reference is not None:
        number = sources.roster.number_of(reference)
        owners = [sources.roster.dataset_of(rows) for rows in (added.left, added.right)]
        is_new &= (owners[0] != number) | (owners[1] != number)
    places = np.flatnonzero(is_new)
    return added.chosen(places[np.unique(keys[places], return_index=True)[1]])


def _join(judged: JudgedPairs, added: _Added, sources: Sources) -> JudgedPairs:
    turned = len(judged) + np.flatnonzero(added.is_turned)
    names = [field.name for field in fields(judged) if field.name not in ("candidates", "is_inferred")]
    columns = {name: np.concatenate([getattr(judged, name), getattr(judged, name)[added.of]]) for name in names}
    columns["shapes"][turned] = columns["shapes"][turned][:, ::-1]
    columns["transforms"][turned] = _turn(judged.transforms, added.of[added.is_turned])
    columns["is_inferred"] = np.repeat([False, True], [len(judged), len(added.left)])
    left, right = (
        np.concatenate([getattr(judged.candidates, side), getattr(added, side)]) for side in ("left", "right")
    )
    order = np.argsort(pair_keys(left, right))
    signals = measure_signals(sources, added.left, added.right)
    found = {name: getattr(signals, name) for name in Signals.__slots__}
    known = {name: getattr(judged.candidates, name) for name in found}
    joined: dict[str, Any] = {name: np.concatenate([known[name], found[name]])[order] for name in found}
    candidates: CandidatePairs = replace(judged.candidates, left=left[order], right=right[order], **joined)
    return JudgedPairs(candidates, **{name: column[order] for name, column in columns.items()})


def _turn(transforms: NDArray[np.float64], of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the transforms of judged pairs the other way round; those that were laid over nothing stay unknown."""
    once, where = np.unique(of, return_inverse=True)
    turned = [
        invert(transforms[place]) if np.isfinite(transforms[place]).all() else transforms[place] for place in once
    ]
    return np.array(turned, np.float64).reshape(len(once), 3, 3)[where]
