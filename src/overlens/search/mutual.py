"""Find the pairs of rows that are among each other's nearest, and each row's single nearest.

A pair is found if each row is among the `k` most alike rows of the other, or if one of them is the most alike of all
to the other; in both cases only from `min_similarity` on. The first rule alone loses copies where one picture has more
than `k` of them; the second alone loses copies that stand behind a hub. Exact: `overlens.search.nearest` finds the
nearest; of equally alike rows the lower number comes first. Rows with the same label are no neighbours: a picture that
stands in both sets would otherwise take a place in its own list, and edited copies would go for it.

Shapes: n and m rows, d dimensions, k neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows, PairBlock
from overlens.search.nearest import list_nearest
from overlens.search.sides import TILE_ROWS
from overlens.stacked import Rows

_CHUNK_ROWS = 65_536


class PickedRows:
    """Some rows of a `(n, d)` float32 matrix, read slice by slice without a copy of the whole."""

    __slots__ = ("_matrix", "_picked", "labels")

    def __init__(
        self, matrix: FloatRows, picked: NDArray[np.integer], labels: NDArray[np.integer] | None = None
    ) -> None:
        """Show the rows of `matrix` whose numbers `picked` holds, in its order.

        `labels` has one entry for each of these, none of them twice; a row of one set is no neighbour of the row of
        another set with its label.
        """
        if labels is not None and (labels.shape != picked.shape or len(np.unique(labels)) != len(labels)):
            raise ValueError(f"labels of shape {labels.shape} must be different, one for each of {len(picked)} rows")
        self._matrix, self._picked, self.labels = matrix, picked, labels

    def __len__(self) -> int:
        return len(self._picked)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows that are shown, and dimensions."""
        return len(self), int(self._matrix.shape[1])

    @property
    def ndim(self) -> int:
        """Two, as of any matrix."""
        return 2

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """float32, as the matrix."""
        return self._matrix.dtype

    def __getitem__(self, rows: slice) -> FloatRows:
        """Return some of the rows as a C-contiguous array."""
        return np.ascontiguousarray(self._matrix[self._picked[rows]])


@dataclass(frozen=True, slots=True)
class _Side:
    """The rows of one set, and of each the numbers and scores of its nearest in the other."""

    rows: Rows | PickedRows
    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]


def find_mutual_pairs(
    left: Rows | PickedRows,
    right: Rows | PickedRows | None,
    *,
    k: int,
    min_similarity: float,
    tile_rows: int = TILE_ROWS,
    progress: Callable[[int], None] | None = None,
) -> PairBlock:
    """Return the pairs that are mutually among the `k` nearest, or of which one is the very nearest of the other.

    Args:
        left: `(n, d)` float32 rows of length 1, in memory or memory-mapped.
        right: `(m, d)` float32 rows of the second set, or None for pairs within the first, where `left < right`.
        k: Neighbours of each row in the other set, at least 1; where there are fewer rows, all are neighbours.
        min_similarity: Smallest score of a pair, inclusive.
        tile_rows: Rows of a tile; the result does not depend on it.
        progress: Called now and then with the number of pairs compared since; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        Each pair once, sorted by (left, right), with float32 scores.

    Raises:
        ValueError: An option is out of range, or rows are not float32 matrices of finite values and one width.
    """
    _require_rows(left, left if right is None else right)
    if k < 1 or tile_rows < 1 or not np.isfinite(min_similarity):
        raise ValueError(
            f"k is {k}, tile_rows {tile_rows}, min_similarity {min_similarity}; "
            "allowed are 1 or more, 1 or more, and a number from -1 to 1"
        )
    has_labels = right is not None and _labels(left) is not None and _labels(right) is not None
    n_others = max(len(left), len(left if right is None else right))
    n_places = min(k, n_others) + has_labels  # of which one may go to the row of the same label
    floor = float(np.float32(min_similarity))
    lists = list_nearest(left, right, k=n_places, min_similarity=floor, tile_rows=tile_rows, progress=progress)
    first = _Side(left, lists[0].numbers(), lists[0].similarities())
    second = first if right is None else _Side(right, lists[1].numbers(), lists[1].similarities())
    if has_labels:
        first, second = _without_own_label(first, second), _without_own_label(second, first)
    return _select_pairs(first, second, min_similarity)


def _labels(rows: Rows | PickedRows) -> NDArray[np.integer] | None:
    return rows.labels if isinstance(rows, PickedRows) else None


def _without_own_label(side: _Side, other: _Side) -> _Side:
    """Return `side` with one place less: the neighbour of the same label goes, or else the last."""
    own, others = _labels(side.rows), _labels(other.rows)
    if own is None or others is None or not len(others):
        return side
    is_own = (others[np.maximum(side.indices, 0)] == own[:, None]) & (side.indices >= 0)
    kept = np.argsort(is_own, axis=1, kind="stable")[:, :-1]
    indices = np.take_along_axis(side.indices, kept, axis=1)
    return _Side(side.rows, indices, np.take_along_axis(side.similarities, kept, axis=1))


def _require_rows(left: Rows | PickedRows, right: Rows | PickedRows) -> None:
    for name, rows in (("left", left), ("right", right)):
        if rows.ndim != 2 or rows.dtype != np.float32 or rows.shape[1] != left.shape[1]:
            raise ValueError(f"{name} must be float32 rows as wide as the left ones, got {rows.dtype} {rows.shape}")


def _select_pairs(first: _Side, second: _Side, min_similarity: float) -> PairBlock:
    """Return the pairs of both rules, each once; a row's list is sorted, so its nearest stands first."""
    floor = np.float32(min_similarity)
    found = [_list_pairs(first, second, floor)]
    if second is not first:
        right, left, scores = _list_pairs(second, first, floor)
        found.append((left, right, scores))
    left, right, scores = (np.concatenate(columns) for columns in zip(*found, strict=True))
    if second is first:
        left, right = np.minimum(left, right), np.maximum(left, right)
    _, kept = np.unique(left.astype(np.int64) * len(second.rows) + right, return_index=True)
    return PairBlock(left[kept], right[kept], scores[kept])


def _list_pairs(
    side: _Side, other: _Side, floor: np.float32
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    columns = []
    for start in range(0, len(side.indices), _CHUNK_ROWS):
        partners = side.indices[start : start + _CHUNK_ROWS]
        scores = side.similarities[start : start + _CHUNK_ROWS]
        kept = scores >= floor
        kept[:, 1:] &= _is_listed(other.indices, partners[:, 1:], start)
        rows, places = np.nonzero(kept)
        columns.append(((rows + start).astype(np.int32), partners[rows, places], scores[rows, places]))
    if not columns:
        return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
    left, right, found = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return left, right, found


def _is_listed(lists: NDArray[np.int32], partners: NDArray[np.int32], first_number: int) -> NDArray[np.bool_]:
    """Return whether each partner lists the row back, `(r, k)`; row i has the number `first_number + i`."""
    numbers = np.arange(first_number, first_number + len(partners), dtype=np.int32)
    listed = np.zeros(partners.shape, np.bool_)
    if not len(lists):
        return listed
    for place in range(partners.shape[1]):  # one column at a time: k numbers a row, not k²
        listed[:, place] = (lists[np.maximum(partners[:, place], 0)] == numbers[:, None]).any(axis=1)
    return listed & (partners >= 0)  # a free place is below 0
