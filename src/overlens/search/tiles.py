"""Cut the comparison of two sets of rows into tiles, so that memory depends on the tile and not on the sets.

Within one set only the upper triangle is cut; the tiles on the diagonal keep pairs with `left < right`. The plan
follows from the sizes alone, never from the number of workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows `left_start:left_stop` of one set against rows `right_start:right_stop` of another or the same."""

    left_start: int
    left_stop: int
    right_start: int
    right_stop: int
    is_diagonal: bool

    @property
    def n_comparisons(self) -> int:
        """Number of different pairs in the tile."""
        rows = self.left_stop - self.left_start
        return rows * (rows - 1) // 2 if self.is_diagonal else rows * (self.right_stop - self.right_start)


def plan_tiles(n_left: int, n_right: int | None, *, tile_rows: int) -> Iterator[Tile]:
    """Yield tiles that hold every pair once, row of tiles by row of tiles.

    Args:
        n_left: Rows of the left set.
        n_right: Rows of the right set, or None to compare the left set with itself.
        tile_rows: Largest height and width of a tile, at least 1.
    """
    if tile_rows < 1:
        raise ValueError(f"tile_rows is {tile_rows}; allowed is 1 or more, such as 2048")
    stop = n_left if n_right is None else n_right
    for top in range(0, n_left, tile_rows):
        bottom = min(top + tile_rows, n_left)
        for start in range(top if n_right is None else 0, stop, tile_rows):
            yield Tile(top, bottom, start, min(start + tile_rows, stop), n_right is None and start == top)


def count_comparisons(n_left: int, n_right: int | None) -> int:
    """Return how many pairs a search compares: what its progress calls sum up to.

    Args:
        n_left: Rows of the left set.
        n_right: Rows of the right set, or None for one set compared with itself.
    """
    return n_left * (n_left - 1) // 2 if n_right is None else n_left * n_right
