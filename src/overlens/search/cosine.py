"""Find every pair of rows whose cosine similarity is at least `min_similarity`.

Exact and tiled: memory is two tiles, time grows with the square of the rows. No approximate index, as a missed pair is
a leaked test image. A low-precision product of the rows, or of a few coordinates that bound them (`heads`), only
proposes candidates, with a slack that is proven to lose none; the score that decides is the float64 dot product of the
stored rows in one fixed order, rounded to float32. So the pairs and scores depend on the rows and on nothing else. A
tile is searched in parts that stay in a core's cache, by one thread a core. Where the process computes on a GPU
already, as its encoder does, the GPU proposes the candidates (`device`) and keeps the heads of all rows meanwhile.

Shapes: n and m rows, d dimensions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from overlens.records import FloatRows, PairBlock
from overlens.search.device import BYTES_PER_VALUE, DeviceProducts, device_in_use
from overlens.search.heads import Split, choose_split, is_worth_a_split
from overlens.search.products import Products, has_bfloat16, make_products
from overlens.search.sides import TILE_ROWS, Progress, Side, load_tiles, search_parts
from overlens.search.tiles import Tile

WAITING_PAIRS, PART_WEIGHT = 262_144, 256


def find_cosine_pairs(
    left: FloatRows,
    right: FloatRows | None,
    *,
    min_similarity: float,
    tile_rows: int = TILE_ROWS,
    progress: Progress | None = None,
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
    return _search(left, right, tile_rows, np.float32(min_similarity), progress)


def _search(
    left: FloatRows, right: FloatRows | None, tile_rows: int, min_score: np.float32, progress: Progress | None
) -> Iterator[PairBlock]:
    split, products = _choose_products(left, left if right is None else right, min_score)
    for tile, upper, lower in load_tiles(left, right, split, products, tile_rows=tile_rows):
        floor = float(min_score) - split.slack(upper.heads, lower.heads)
        search = _TileSearch(upper, lower, tile, min_score, products, floor)
        blocks = search_parts(search, tile, products.part_rows, progress, weigh=_weigh, enough=WAITING_PAIRS)
        yield from (block for block in blocks if len(block))


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


def _weigh(found: PairBlock) -> int:
    return max(PART_WEIGHT, len(found))


_NO_PAIRS = PairBlock(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True)
class _TileSearch:
    """Searches parts of one tile; called from several threads at once."""

    upper: Side
    lower: Side
    tile: Tile
    min_score: np.float32
    products: Products
    floor: float

    def __call__(self, part: Tile) -> PairBlock:
        """Return the pairs of a part, by rows of the whole sets."""
        from overlens.search.kernels import score_pairs

        upper = self.upper.operands[part.left_start // self.products.part_rows]
        lower = self.lower.operands[part.right_start // self.products.part_rows]
        rows, columns = self.products.find(upper, lower, self.floor, is_diagonal=part.is_diagonal)
        if not len(rows):
            return _NO_PAIRS
        rows, columns = rows + part.left_start, columns + part.right_start
        scores = score_pairs(self.upper.rows, self.lower.rows, rows, columns)
        kept = scores >= self.min_score
        first = (rows[kept] + self.tile.left_start).astype(np.int32)
        second = (columns[kept] + self.tile.right_start).astype(np.int32)
        return PairBlock(first, second, scores[kept])
