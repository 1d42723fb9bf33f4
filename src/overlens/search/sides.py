"""The rows of a tile as products take them, and the parts of a tile on all cores.

What every search by products has in common. A part of a tile is small enough to stay in a core's cache; a tile is as
large as memory allows, because the heads of its rows are cut again for each tile they stand in.

Shapes: n rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from overlens.cores import map_parts
from overlens.records import FloatRows
from overlens.search.device import DeviceProducts
from overlens.search.heads import Heads, Split, join_heads
from overlens.search.products import Products
from overlens.search.tiles import Tile, plan_tiles

TILE_ROWS = 65_536
"""Rows whose heads are in memory at once, on either side."""
SPLIT_ROWS = 4096
TOLD_COMPARISONS = 100_000_000

Result = TypeVar("Result")
Progress = Callable[[int], None]


class Sliced(Protocol):
    """A `(n, d)` float32 matrix that shows runs of its rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and dimensions."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> FloatRows: ...


@dataclass(frozen=True, slots=True)
class Side:
    """The rows of one side of a tile, which may stay on disk, their heads, and these cut as products take them."""

    rows: FloatRows
    heads: Heads
    operands: Sequence[Any]

    @classmethod
    def load(cls, rows: FloatRows, split: Split, products: Products) -> "Side":
        """Split and cut `(n, d)` rows; raises ValueError at a value that is not finite."""
        rows = np.ascontiguousarray(rows)  # no copy of what is contiguous, memory-mapped or not
        chunks = [rows[start : start + SPLIT_ROWS] for start in range(0, len(rows), SPLIT_ROWS)]
        heads = join_heads(list(map_parts(split.split, chunks)))
        return cls(rows, heads, products.cut(heads.values))


@dataclass(frozen=True, slots=True)
class Sides:
    """Loads the sides of tiles of one set; those whose parts are on a device stay there."""

    rows: Sliced
    split: Split
    products: Products
    kept: dict[int, Side] = field(default_factory=dict)

    def load(self, start: int, stop: int) -> Side:
        """Return rows `start:stop` as a side."""
        if start in self.kept:
            return self.kept[start]
        side = Side.load(self.rows[start:stop], self.split, self.products)
        if isinstance(self.products, DeviceProducts):
            heads = replace(side.heads, values=np.empty((0, self.split.n_values), np.uint16))
            self.kept[start] = side = replace(side, heads=heads)
        return side


def load_tiles(
    left: Sliced, right: Sliced | None, split: Split, products: Products, *, tile_rows: int
) -> Iterator[tuple[Tile, Side, Side]]:
    """Yield every tile with its upper and its lower side; a tile on the diagonal has one side twice.

    Args:
        left: `(n, d)` rows.
        right: `(m, d)` rows of the second set, or None for one set compared with itself.
        split: How rows are split.
        products: What multiplies their heads.
        tile_rows: Largest height and width of a tile.
    """
    lefts = Sides(left, split, products)
    rights = lefts if right is None else Sides(right, split, products)
    upper, top = None, -1
    for tile in plan_tiles(len(left), None if right is None else len(right), tile_rows=tile_rows):
        if upper is None or tile.left_start != top:
            upper, top = lefts.load(tile.left_start, tile.left_stop), tile.left_start
        yield tile, upper, upper if tile.is_diagonal else rights.load(tile.right_start, tile.right_stop)


def search_parts(
    search: Callable[[Tile], Result],
    tile: Tile,
    part_rows: int,
    progress: Progress | None,
    *,
    weigh: Callable[[Result], int] = lambda _: 1,
    enough: int = 1024,
) -> Iterator[Result]:
    """Yield what `search` finds in each part of a tile, on all cores.

    Args:
        search: Called from several threads at once with a part, by rows of the tile.
        tile: What is searched.
        part_rows: Rows of a part.
        progress: Called now and then with the number of pairs compared since.
        weigh: Weight of a result that waits.
        enough: Weight of results that wait, see `overlens.cores.map_parts`.
    """
    n_right = None if tile.is_diagonal else tile.right_stop - tile.right_start
    parts = plan_tiles(tile.left_stop - tile.left_start, n_right, tile_rows=part_rows)
    n_compared = 0
    numbered = map_parts(lambda part: (part, search(part)), parts, weigh=lambda found: weigh(found[1]), enough=enough)
    for part, found in numbered:
        yield found
        n_compared += part.n_comparisons
        if progress is not None and n_compared >= TOLD_COMPARISONS:
            progress(n_compared)
            n_compared = 0
    if progress is not None and n_compared:
        progress(n_compared)
