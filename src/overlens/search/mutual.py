"""Find the pairs of rows that are among each other's nearest, and each row's single nearest.

A pair is found if each row is among the `k` most alike rows of the other, or if one of them is the most alike of all
to the other; in both cases only from `min_similarity` on. The first rule alone loses copies where one picture has more
than `k` of them; the second alone loses copies that stand behind a hub. Exact and tiled, as
`overlens.search.neighbours`: a float32 product only skips what cannot enter, by proven slack, and the one fixed score
decides; of equally alike rows the lower number comes first. Rows with the same label are no neighbours: a picture that
stands in both sets would otherwise take a place in its own list, and edited copies would go for it. One product serves
both directions, and within one set only the upper half is multiplied. Memory: two tiles, their product twice, and k + 1
numbers a row.

Shapes: n and m rows, d dimensions, k neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows, PairBlock
from overlens.search.rounding import largest_norm, score_slack
from overlens.search.tiles import Tile, plan_tiles
from overlens.stacked import Rows

_CHUNK_ROWS = 65_536
_BLOCK = 256


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
    """The rows of one set and their nearest in the other so far; `offset` tells the numbers of two sets apart."""

    rows: Rows | PickedRows
    offset: int
    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]
    floors: NDArray[np.float64]

    @classmethod
    def start(cls, rows: Rows | PickedRows, offset: int, k: int, min_similarity: float) -> "_Side":
        n = len(rows)
        return cls(
            rows,
            offset,
            np.full((n, k), -1, np.int32),
            np.full((n, k), -np.inf, np.float32),
            np.full(n, np.float64(np.float32(min_similarity))),
        )


def find_mutual_pairs(
    left: Rows | PickedRows,
    right: Rows | PickedRows | None,
    *,
    k: int,
    min_similarity: float,
    tile_rows: int = 2048,
    progress: Callable[[int], None] | None = None,
) -> PairBlock:
    """Return the pairs that are mutually among the `k` nearest, or of which one is the very nearest of the other.

    Args:
        left: `(n, d)` float32 rows of length 1, in memory or memory-mapped.
        right: `(m, d)` float32 rows of the second set, or None for pairs within the first, where `left < right`.
        k: Neighbours of each row in the other set, at least 1; where there are fewer rows, all are neighbours.
        min_similarity: Smallest score of a pair, inclusive.
        tile_rows: Rows of a tile; the result does not depend on it.
        progress: Called after each tile with the number of pairs compared in it; these sum up to
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
    n_places = k + has_labels  # of which one may go to the row of the same label
    first = _Side.start(left, 0, n_places, min_similarity)
    second = first if right is None else _Side.start(right, len(left), n_places, min_similarity)
    for tile in plan_tiles(len(left), None if right is None else len(right), tile_rows=tile_rows):
        _merge_tile(first, second, tile)
        if progress is not None:
            progress(tile.n_comparisons)
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
    is_own = (others[np.maximum(side.indices - other.offset, 0)] == own[:, None]) & (side.indices >= 0)
    kept = np.argsort(is_own, axis=1, kind="stable")[:, :-1]
    indices = np.take_along_axis(side.indices, kept, axis=1)
    return _Side(side.rows, side.offset, indices, np.take_along_axis(side.similarities, kept, axis=1), side.floors)


def _require_rows(left: Rows | PickedRows, right: Rows | PickedRows) -> None:
    for name, rows in (("left", left), ("right", right)):
        if rows.ndim != 2 or rows.dtype != np.float32 or rows.shape[1] != left.shape[1]:
            raise ValueError(f"{name} must be float32 rows as wide as the left ones, got {rows.dtype} {rows.shape}")


def _merge_tile(first: _Side, second: _Side, tile: Tile) -> None:
    left = np.ascontiguousarray(first.rows[tile.left_start : tile.left_stop])
    right = left if tile.is_diagonal else np.ascontiguousarray(second.rows[tile.right_start : tile.right_stop])
    slack = score_slack(left.shape[1], largest_norm(left) * largest_norm(right))
    scores = left @ right.T
    _update(first, (tile.left_start, second.offset + tile.right_start), (left, right), scores, slack)
    if not tile.is_diagonal:
        # Tiles come row by row, so that each column of tiles also meets the left rows in ascending order.
        offsets = second.offset + tile.right_start, tile.left_start
        _update(second, offsets, (right, left), _transpose(scores), slack)


def _transpose(scores: FloatRows) -> FloatRows:
    """Return a C-contiguous transpose, block by block: three times as fast as at once, because it stays in cache."""
    turned = np.empty(scores.shape[::-1], np.float32)
    for row in range(0, scores.shape[0], _BLOCK):
        for column in range(0, scores.shape[1], _BLOCK):
            block = scores[row : row + _BLOCK, column : column + _BLOCK]
            turned[column : column + _BLOCK, row : row + _BLOCK] = block.T
    return turned


def _update(
    side: _Side, offsets: tuple[int, int], rows: tuple[FloatRows, FloatRows], scores: FloatRows, slack: float
) -> None:
    """Enter a tile of approximate scores into the lists of `side`; `offsets` are the first row and column of it."""
    from overlens.search.kernels import update_nearest

    start = offsets[0] - side.offset
    places = slice(start, start + len(scores))
    k = side.indices.shape[1]
    if side.indices[start, 0] < 0 and scores.shape[1] > k:
        # The k-th best of one tile, less the rounding: what the weakest is known to reach in the end.
        reached = np.partition(scores, scores.shape[1] - 1 - k, axis=1)[:, scores.shape[1] - 1 - k]
        np.maximum(side.floors[places], reached.astype(np.float64) - slack, out=side.floors[places])
    nearest = side.indices[places], side.similarities[places]
    update_nearest(scores, rows, offsets, side.floors[places], slack, nearest)


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
        partners = side.indices[start : start + _CHUNK_ROWS] - np.int32(other.offset)
        scores = side.similarities[start : start + _CHUNK_ROWS]
        kept = scores >= floor
        kept[:, 1:] &= _is_listed(other.indices, partners[:, 1:], start + side.offset)
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
