"""Find rows that are equal, without writing a class of a thousand equal rows as half a million pairs.

A class of at most `most_full` rows gives all its pairs. A larger one gives a star: its first row with every other,
which keeps it connected with as many pairs as rows. Where rows of a reference are not to be paired with one another,
each of them is paired with the first other row, and each other row with the first of the reference. How many pairs a
class stands for follows from its size. `first` names the class of every row, so that who searches further can look at
one row for all of them.

Shapes: n rows, b bytes of a row, m pairs.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Columns = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class EqualRows:
    """The pairs that say which rows are equal.

    Attributes:
        left: `(m,)` int32 rows.
        right: `(m,)` int32 rows, `left < right`, each pair once.
        first: `(n,)` int32, the lowest row that is equal to each: its own number where there is none before it.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    first: NDArray[np.int32]


def find_equal_rows(
    rows: NDArray[np.uint8], *, most_full: int, in_reference: NDArray[np.bool_] | None = None
) -> EqualRows:
    """Return pairs that connect all equal rows.

    Args:
        rows: `(n, b)` uint8, such as digests; b at least 1.
        most_full: Largest class that gives all its pairs, at least 2.
        in_reference: `(n,)` bool, rows that are not paired with one another, or None.

    Raises:
        ValueError: `rows` is no matrix of bytes, or `most_full` is below 2.
    """
    if rows.ndim != 2 or rows.dtype != np.uint8 or rows.shape[1] < 1:
        raise ValueError(f"rows must be (n, b) uint8, got {rows.dtype} of shape {rows.shape}")
    if most_full < 2:
        raise ValueError(f"most_full is {most_full}; allowed is 2 or more")
    reference = np.zeros(len(rows), np.bool_) if in_reference is None else in_reference
    members, starts, sizes = _sort_classes(rows)
    first = np.empty(len(rows), np.int32)
    first[members] = np.repeat(members[starts], sizes)
    found: list[Columns] = []
    for size in np.unique(sizes[(sizes > 1) & (sizes <= most_full)]).tolist():
        found.append(_pair_all(members[starts[sizes == size][:, None] + np.arange(size)], reference))
    for start, size in zip(starts[sizes > most_full], sizes[sizes > most_full], strict=True):
        found.append(_pair_star(members[start : start + size], reference))
    left = np.concatenate([np.empty(0, np.int32), *(columns[0] for columns in found)])
    right = np.concatenate([np.empty(0, np.int32), *(columns[1] for columns in found)])
    return EqualRows(np.minimum(left, right), np.maximum(left, right), first)


def _sort_classes(rows: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers class by class, ascending in each, and where each class starts and how many it has."""
    values = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1])))[:, 0]
    _, classes, sizes = np.unique(values, return_inverse=True, return_counts=True)
    members = np.argsort(classes, kind="stable").astype(np.int32)
    return members, np.cumsum(sizes) - sizes, sizes


def _pair_all(classes: NDArray[np.int32], reference: NDArray[np.bool_]) -> Columns:
    """Return all pairs of each of `(c, s)` classes of one size."""
    first, second = np.array(list(combinations(range(classes.shape[1]), 2))).T
    left, right = classes[:, first].ravel(), classes[:, second].ravel()
    allowed = ~(reference[left] & reference[right])
    return left[allowed], right[allowed]


def _pair_star(members: NDArray[np.int32], reference: NDArray[np.bool_]) -> Columns:
    """Return the star of one class: one centre, two if the reference meets others, no pairs if it is alone."""
    inside, outside = members[reference[members]], members[~reference[members]]
    if not len(inside):
        return np.broadcast_to(outside[0], len(outside) - 1), outside[1:]
    if not len(outside):
        return inside[:0], inside[:0]
    left = np.concatenate([inside, np.broadcast_to(inside[0], len(outside) - 1)])
    right = np.concatenate([np.broadcast_to(outside[0], len(inside)), outside[1:]])
    return left, right
