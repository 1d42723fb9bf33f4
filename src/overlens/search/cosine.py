"""Find every pair of rows whose cosine similarity is at least `min_similarity`.

Exact and tiled: memory is two tiles, time grows with the square of the rows. No approximate index, as a missed pair is
a leaked test image. A low-precision product of the rows, or of a few coordinates that bound them (`heads`), only
proposes candidates, with a slack that is proven to lose none; the score that decides is the float64 dot product of the
stored rows in one fixed order, rounded to float32. So the pairs and scores depend on the rows and on nothing else. A
tile is searched in parts that stay in a core's cache, by one thread a core. Where the process computes on a GPU
already, as its encoder does, the GPU proposes the candidates (`device`) and keeps the heads of all rows meanwhile.

Shapes: n and m rows, d dimensions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from overlens.cores import map_parts
from overlens.records import FloatRows, PairBlock
from overlens.search.device import BYTES_PER_VALUE, DeviceProducts, device_in_use
from overlens.search.heads import Heads, Split, choose_split, is_worth_a_split, join_heads
from overlens.search.products import Products, has_bfloat16, make_products
from overlens.search.tiles import Tile, plan_tiles

TILE_ROWS = 65_536
"""Rows whose heads are in memory at once, on either side."""
SPLIT_ROWS = 4096
WAITING_PAIRS, PART_WEIGHT = 262_144, 256
TOLD_COMPARISONS = 100_000_000


def find_cosine_pairs(
    left: FloatRows,
    right: FloatRows | None,
    *,
    min_similarity: float,
    tile_rows: int = TILE_ROWS,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PairBlock]:
    """Yield every pair with a score of at least `np.float32(min_similarity)`, each once, in no stated order.

    The score is the dot product of the rows as stored; rows that are off length 1 by the rounding of half precision are
    used as they are.

    Args:
        left: `(n, d)` float32 rows of length 1, in memory or memory-mapped.
        right: `(m, d)` float32 rows of the second dataset, or None for pairs within the first, where
            `left < right`.
        min_similarity: Smallest score to report; a pair at exactly this score counts.
        tile_rows: Rows of a tile, whose heads are in memory at once; results do not depend on it.
        progress: Called now and then with the number of pairs compared since; these sum up to
            `count_comparisons(n, m)`.

    Returns:
        Blocks of at most `products.PART_ROWS` squared pairs, or `device.PART_ROWS` squared, with float32 scores.

    Raises:
        ValueError: Rows are not float32 matrices of one width, or hold values that are not finite.
    """
    for name, rows in (("left", left), ("right", left if right is None else right)):
        if rows.ndim != 2 or rows.dtype != np.float32 or rows.shape[1] != left.shape[1]:
            raise ValueError(f"{name} must be float32 rows as wide as the left ones, got {rows.dtype} {rows.shape}")
    if not np.isfinite(min_similarity):
        raise ValueError(f"min_similarity is {min_similarity}; allowed is a number from -1 to 1, such as 0.9")
    tiles = plan_tiles(len(left), None if right is None else len(right), tile_rows=tile_rows)
    return _search(left, left if right is None else right, tiles, np.float32(min_similarity), progress)


def _search(
    left: FloatRows,
    right: FloatRows,
    tiles: Iterator[Tile],
    min_score: np.float32,
    progress: Callable[[int], None] | None,
) -> Iterator[PairBlock]:
    split, products = _choose_products(left, right, min_score)
    lefts = _Sides(left, split, products)
    rights = lefts if left is right else _Sides(right, split, products)
    upper, top = None, -1
    for tile in tiles:
        if upper is None or tile.left_start != top:
            upper, top = lefts.load(tile.left_start, tile.left_stop), tile.left_start
        lower = upper if tile.is_diagonal else rights.load(tile.right_start, tile.right_stop)
        floor = float(min_score) - split.slack(upper.heads, lower.heads)
        yield from _search_tile(_TileSearch(upper, lower, tile, min_score, products, floor), progress)


def _choose_products(left: FloatRows, right: FloatRows, min_score: np.float32) -> tuple[Split, Products]:
    """Return how rows are split for a search, and what multiplies their heads."""
    width = left.shape[1]
    # What can multiply is asked only where it pays, as that may load OpenVINO.
    is_long = is_worth_a_split(len(left), len(right), width)
    n_rows = len(left) + (0 if left is right else len(right))
    device = device_in_use(n_rows * width * BYTES_PER_VALUE) if is_long else None
    if device is not None:  # whole rows, because a GPU multiplies them in the time it takes to look through products
        return Split(width, is_narrow=True), DeviceProducts(device)
    split = choose_split(left, right, float(min_score), has_bfloat16=is_long and has_bfloat16())
    return split, make_products(split)


def _search_tile(search: "_TileSearch", progress: Callable[[int], None] | None) -> Iterator[PairBlock]:
    tile = search.tile
    n_right = None if tile.is_diagonal else tile.right_stop - tile.right_start
    parts = plan_tiles(tile.left_stop - tile.left_start, n_right, tile_rows=search.products.part_rows)
    n_compared = 0
    for part, block in map_parts(search, parts, weigh=_weigh, enough=WAITING_PAIRS):
        if len(block):
            yield block
        n_compared += part.n_comparisons
        if progress is not None and n_compared >= TOLD_COMPARISONS:
            progress(n_compared)
            n_compared = 0
    if progress is not None and n_compared:
        progress(n_compared)


def _weigh(found: tuple[Tile, PairBlock]) -> int:
    return max(PART_WEIGHT, len(found[1]))


_NO_PAIRS = PairBlock(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True)
class _Side:
    """The rows of one side of a tile, which may stay on disk, their heads, and these cut as products take them."""

    rows: FloatRows
    heads: Heads
    operands: Sequence[Any]

    @classmethod
    def load(cls, rows: FloatRows, split: Split, products: Products) -> "_Side":
        rows = np.ascontiguousarray(rows)  # no copy of what is contiguous, memory-mapped or not
        chunks = [rows[start : start + SPLIT_ROWS] for start in range(0, len(rows), SPLIT_ROWS)]
        heads = join_heads(list(map_parts(split.split, chunks)))
        return cls(rows, heads, products.cut(heads.values))


@dataclass(frozen=True, slots=True)
class _Sides:
    """Loads the sides of tiles of one set; those whose parts are on a device stay there."""

    rows: FloatRows
    split: Split
    products: Products
    kept: dict[int, _Side] = field(default_factory=dict)

    def load(self, start: int, stop: int) -> _Side:
        """Return rows `start:stop` as a side."""
        if start in self.kept:
            return self.kept[start]
        side = _Side.load(self.rows[start:stop], self.split, self.products)
        if isinstance(self.products, DeviceProducts):
            heads = replace(side.heads, values=np.empty((0, self.split.n_values), np.uint16))
            self.kept[start] = side = replace(side, heads=heads)
        return side


@dataclass(frozen=True, slots=True)
class _TileSearch:
    """Searches parts of one tile; called from several threads at once."""

    upper: _Side
    lower: _Side
    tile: Tile
    min_score: np.float32
    products: Products
    floor: float

    def __call__(self, part: Tile) -> tuple[Tile, PairBlock]:
        """Return a part and its pairs, by rows of the whole sets."""
        from overlens.search.kernels import score_pairs

        upper = self.upper.operands[part.left_start // self.products.part_rows]
        lower = self.lower.operands[part.right_start // self.products.part_rows]
        rows, columns = self.products.find(upper, lower, self.floor, is_diagonal=part.is_diagonal)
        if not len(rows):
            return part, _NO_PAIRS
        rows, columns = rows + part.left_start, columns + part.right_start
        scores = score_pairs(self.upper.rows, self.lower.rows, rows, columns)
        kept = scores >= self.min_score
        first = (rows[kept] + self.tile.left_start).astype(np.int32)
        second = (columns[kept] + self.tile.right_start).astype(np.int32)
        return part, PairBlock(first, second, scores[kept])
