"""Which images are equal, and which of equal ones are searched for all of them.

Equality is settled by digests, with pairs that do not grow with the square of a class: see `overlens.search.equal`.
Images with equal pixels have equal hashes and embeddings, so one of each dataset speaks for the others, and the copies
of a picture do not fill the lists of what is like it.

Shapes: n images in all, m pairs, r rows that are searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.signals import Sources
from overlens.roster import Roster
from overlens.search.equal import EqualRows, find_equal_rows

MOST_FULL = 21
"""Largest class of equal images that gives all its pairs: 210. Tables stay short of n², whatever else is asked for."""

Columns = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Picked:
    """The rows of one dataset that are searched, `(r,)` int64, and the first global row equal to each, `(r,)` int32."""

    rows: NDArray[np.int64]
    classes: NDArray[np.int32]


def find_equal(sources: Sources, reference: int | None) -> EqualRows:
    """Return the pairs of images with equal bytes or pixels, in global rows, and the first of equal pixels of each."""
    in_reference = np.repeat(np.arange(len(sources.roster.sizes)) == reference, sources.roster.sizes)
    kinds = [[part.byte_digests for part in sources.evidence], [part.pixel_digests for part in sources.evidence]]
    bytes_, pixels = (
        find_equal_rows(np.concatenate(columns), most_full=MOST_FULL, in_reference=in_reference) for columns in kinds
    )
    left, right = join_pairs([(bytes_.left, bytes_.right), (pixels.left, pixels.right)])
    return EqualRows(left, right, pixels.first)


def pick_rows(sources: Sources, first: NDArray[np.int32]) -> list[Picked]:
    """Return which rows of each dataset are searched by hash and embedding: of equal ones the first, if not blank."""
    picked = []
    for classes, part in zip(np.split(first, sources.roster.offsets[1:-1]), sources.evidence, strict=True):
        rows = np.sort(np.unique(classes, return_index=True)[1])
        rows = rows[~part.low_information[rows]]
        picked.append(Picked(rows, classes[rows]))
    return picked


def find_lone_copies(roster: Roster, first: NDArray[np.int32], reference: int | None) -> NDArray[np.int32]:
    """Return the rows of a reference that equal an earlier one of it and none outside, so that no pair joins them."""
    if reference is None:
        return np.empty(0, np.int32)
    start, stop = roster.offsets[reference : reference + 2].tolist()
    has_outside = np.zeros(roster.n_images, np.bool_)
    has_outside[first[:start]] = has_outside[first[stop:]] = True
    rows = np.arange(start, stop, dtype=np.int32)
    lone: NDArray[np.int32] = rows[(first[rows] != rows) & ~has_outside[first[rows]]]
    return lone


def join_pairs(parts: Sequence[Columns]) -> Columns:
    """Return the pairs of all parts, each once, sorted by left and right."""
    keys = np.unique(pair_keys(*(np.concatenate(columns) for columns in zip(*parts, strict=True))))
    return (keys >> 32).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32)


def pair_keys(left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return one number for each pair of rows, in the order of left and right."""
    return np.asarray(left.astype(np.int64) << 32 | right)
