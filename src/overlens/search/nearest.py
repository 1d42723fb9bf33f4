"""Keep the `k` most alike rows of every row, exactly: what best matches, mutual pairs and neighbour graphs rest on.

Tiled, one product for both directions, one thread a core. A product of the rows (`products`: in bfloat16 where the
processor multiplies it, else in float32) only shows which pairs could still enter one of both lists, by the slack that
`heads` proves; the score that decides is the float64 dot product of the stored rows in one fixed order, rounded to
float32. Of equally alike rows the lower number comes first. This order is total, so lists depend on the rows and on
nothing else: neither on tiles nor on which thread came first.

Whole rows are multiplied, as a bound by few coordinates (`heads`) lets through most of what is near a row's nearest.
The floor of a list rises as the list fills. Before it holds anything, the k-th largest product of the first part in
which a row stands is one.

Shapes: n and m rows, d dimensions, k places of a list.
"""

from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows
from overlens.search.heads import Split, is_worth_a_split
from overlens.search.products import FloatProducts, NarrowProducts, has_bfloat16, make_products, read_down
from overlens.search.rounding import row_lengths
from overlens.search.sides import TILE_ROWS, Progress, Side, Sliced, load_tiles, search_parts
from overlens.search.tiles import Tile

Places = NDArray[np.int64]
Keys = NDArray[np.signedinteger]

_FREE = np.int64(-0x7F800001) << np.int64(32)  # what `nearest_kernels` makes of minus infinity and row -1
_CHUNK_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Lists:
    """The nearest rows of every row of one set so far.

    Attributes:
        ranks: `(n, k)` int64, descending; see `nearest_kernels`.
        bounds: `(n,)` float64, scores that the last place of each list is known to reach in the end, or need not.
        started: First rows of the parts that have stood in a product.
        locks: One for each part, by its first row; it is held by who writes into the lists of the part.
    """

    ranks: NDArray[np.int64]
    bounds: NDArray[np.float64]
    started: set[int] = field(default_factory=set)
    locks: dict[int, Lock] = field(default_factory=dict)

    @classmethod
    def start(cls, n_rows: int, k: int, min_similarity: float) -> "Lists":
        """Return `n_rows` free lists for scores of `min_similarity` and above, and perhaps some others."""
        return cls(np.full((n_rows, k), _FREE), np.full(n_rows, float(min_similarity)))

    def numbers(self) -> NDArray[np.int32]:
        """Return the `(n, k)` int32 row numbers, the most alike first; -1 where a place is free."""
        numbers = np.empty(self.ranks.shape, np.int32)
        for start in range(0, len(numbers), _CHUNK_ROWS):
            low = self.ranks[start : start + _CHUNK_ROWS].astype(np.uint32)
            numbers[start : start + _CHUNK_ROWS] = (~low).view(np.int32)
        return numbers

    def similarities(self) -> NDArray[np.float32]:
        """Return the `(n, k)` float32 scores, descending; minus infinity where a place is free."""
        scores = np.empty(self.ranks.shape, np.float32)
        for start in range(0, len(scores), _CHUNK_ROWS):
            keys = (self.ranks[start : start + _CHUNK_ROWS] >> np.int64(32)).astype(np.int32)
            scores[start : start + _CHUNK_ROWS] = read_down(keys)
        return scores


def list_nearest(
    left: Sliced,
    right: Sliced | None,
    *,
    k: int,
    min_similarity: float = -np.inf,
    tile_rows: int = TILE_ROWS,
    progress: Progress | None = None,
) -> tuple[Lists, Lists]:
    """Return the `k` most alike right rows of each left row, and the `k` most alike left rows of each right row.

    Args:
        left: `(n, d)` float32 rows of length about 1.
        right: `(m, d)` float32 rows, or None for the other left rows of each left row; both results are then one.
        k: Places of a list, at least 1; some stay free where there are fewer rows.
        min_similarity: Score below which it does not matter what a list holds.
        tile_rows: Rows of a tile, whose products' operands are in memory at once; lists do not depend on it.
        progress: Called now and then with the number of pairs compared since; these sum up to
            `count_comparisons(n, m)`.

    Raises:
        ValueError: Rows hold values that are not finite.
    """
    others = left if right is None else right
    width = left.shape[1]
    # What can multiply is asked only where it pays, as that loads OpenVINO.
    split = Split(width, is_narrow=is_worth_a_split(len(left), len(others), width) and has_bfloat16())
    products = make_products(split)
    lists = Lists.start(len(left), k, min_similarity)
    other_lists = lists if right is None else Lists.start(len(right), k, min_similarity)
    for tile, upper, lower in load_tiles(left, right, split, products, tile_rows=tile_rows):
        slack = split.slack(upper.heads, lower.heads)
        upper_target = _Target.of(upper, lists, tile.left_start)
        lower_target = upper_target if tile.is_diagonal else _Target.of(lower, other_lists, tile.right_start)
        search = _PartSearch(upper_target, lower_target, products, slack)
        for _ in search_parts(search, tile, products.part_rows, progress):
            pass
    return lists, other_lists


@dataclass(frozen=True, slots=True)
class _Target:
    """One side of a tile, a little more than its rows' lengths, its lists, and the number of its first row."""

    side: Side
    lengths: NDArray[np.float64]
    lists: Lists
    first: int

    @classmethod
    def of(cls, side: Side, lists: Lists, first: int) -> "_Target":
        # The sums of lengths and scores may each be off by d + 1 roundings of float64: a product of two covers both.
        return cls(side, row_lengths(side.rows) * (1 + (side.rows.shape[1] + 4) * 2.0**-52), lists, first)

    def cut(self, start: int, stop: int) -> "_Part":
        """Return the rows `start:stop` of the tile."""
        here, there = slice(start, stop), slice(self.first + start, self.first + stop)
        lock = self.lists.locks.setdefault(there.start, Lock())
        lists = self.lists.ranks[there], self.lists.bounds[there]
        return _Part(self.side.rows[here], self.lengths[here], *lists, there.start, lock)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some rows of a target with their lists."""

    rows: FloatRows
    lengths: NDArray[np.float64]
    ranks: NDArray[np.int64]
    bounds: NDArray[np.float64]
    first: int
    lock: Lock

    def write_keys(self, slack: float, dtype: np.dtype[np.signedinteger]) -> Keys:
        """Return what the turned bits of products must reach to enter a list."""
        from overlens.search.nearest_kernels import write_keys

        keys = np.empty(len(self.ranks), dtype)
        write_keys(self.ranks, self.bounds, slack, keys)
        return keys

    def raise_bounds(self, bits: Keys, n_others: int, slack: float) -> None:
        """Raise bounds to what `k` of `n_others` rows reach for certain, whose turned `bits` are not the least."""
        k = self.ranks.shape[1]
        if k > n_others:
            return
        place = bits.shape[1] - k
        reached = read_down(np.partition(bits, place, axis=1)[:, place]) - np.float64(slack)
        with self.lock:
            np.maximum(self.bounds, reached, out=self.bounds)

    def enter(self, rows: Places, numbers: Places, scores: NDArray[np.float32]) -> None:
        """Enter pairs of rows of the part with rows of other numbers."""
        from overlens.search.nearest_kernels import enter_ranks

        with self.lock:
            enter_ranks(self.ranks, rows, numbers, scores)


@dataclass(frozen=True, slots=True)
class _PartSearch:
    """Enters the pairs of a part of a tile into the lists; called from several threads at once."""

    upper: _Target
    lower: _Target
    products: FloatProducts | NarrowProducts
    slack: float

    def __call__(self, tile: Tile) -> None:
        from overlens.search.nearest_kernels import score_places

        upper = self.upper.cut(tile.left_start, tile.left_stop)
        lower = self.lower.cut(tile.right_start, tile.right_stop)
        places = self._list_places(tile, upper, lower)
        if not len(places[0]):
            return
        lengths, ranks = (upper.lengths, lower.lengths), (upper.ranks, lower.ranks)
        scores = score_places((upper.rows, lower.rows), lengths, ranks, (upper.first, lower.first), places)
        upper.enter(places[0], places[1] + lower.first, scores)
        lower.enter(places[1], places[0] + upper.first, scores)

    def _list_places(self, tile: Tile, upper: _Part, lower: _Part) -> tuple[Places, Places]:
        """Return rows and columns of the places that may enter a list."""
        from overlens.search.nearest_kernels import list_either, turn_bits

        step = self.products.part_rows
        operands = self.upper.side.operands[tile.left_start // step], self.lower.side.operands[tile.right_start // step]
        with self.products.multiply(*operands) as bits:
            is_turned = self._start_lists(bits, tile, upper, lower)
            keys = upper.write_keys(self.slack, bits.dtype), lower.write_keys(self.slack, bits.dtype)
            if not is_turned and min(keys[0].min(), keys[1].min()) <= 0:
                turn_bits(bits)
            places: tuple[Places, Places] = list_either(bits, *keys, tile.is_diagonal)
        return places

    def _start_lists(self, bits: Keys, tile: Tile, upper: _Part, lower: _Part) -> bool:
        """Give rows that stand in a product for the first time their bounds; return whether bits were turned for it."""
        from overlens.search.nearest_kernels import turn_bits

        known, other_known = self.upper.lists.started, self.lower.lists.started
        is_new, is_other_new = upper.first not in known, lower.first not in other_known
        if not is_new and not is_other_new:
            return False
        turn_bits(bits)
        if tile.is_diagonal:
            np.fill_diagonal(bits, np.iinfo(bits.dtype).min)  # a row is not its own match
        if is_new:
            upper.raise_bounds(bits, bits.shape[1] - tile.is_diagonal, self.slack)
        if is_other_new and not tile.is_diagonal:
            lower.raise_bounds(np.ascontiguousarray(bits.T), bits.shape[0], self.slack)
        known.add(upper.first)
        other_known.add(lower.first)
        return True
