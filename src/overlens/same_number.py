"""Which rows carry one number: all pairs of equal numbers, in blocks of a bounded size.

A number says what a row belongs to: a group, an identifier. Blocks are cut by pairs and not by rows, because one row of
ten thousand with the same number has as many pairs as a block and more. The cost is a sort of one column.

Shapes: n and m rows of two columns.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NO_NUMBER = -1

Rows = NDArray[np.int32]


def list_same_pairs(left: Rows, right: Rows | None, *, at_once: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield the rows of one column and of the other that carry one number, each pair once, by left and then right row.

    Args:
        left: `(n,)` int32 numbers, or `NO_NUMBER` for a row that belongs to nothing and pairs with none.
        right: `(m,)` the same of the other column; None for the pairs within `left`, the smaller row first.
        at_once: Largest number of pairs in a block, 1 or more.
    """
    column = left if right is None else right
    order = np.argsort(column, kind="stable").astype(np.int32)
    ordered = column[order]
    rows = np.flatnonzero(left != NO_NUMBER).astype(np.int32)
    starts = np.searchsorted(ordered, left[rows], side="left")
    stops = np.searchsorted(ordered, left[rows], side="right")
    if right is None:
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        starts = places[rows] + 1  # the later rows of the same number: the order is stable
    counts = stops - starts
    ends = np.cumsum(counts)
    n_pairs = int(ends[-1]) if len(ends) else 0
    for first in range(0, n_pairs, at_once):
        pairs = np.arange(first, min(first + at_once, n_pairs))
        owners = np.searchsorted(ends, pairs, side="right")
        yield rows[owners], order[starts[owners] + pairs - (ends - counts)[owners]]
