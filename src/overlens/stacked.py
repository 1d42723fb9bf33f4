"""Read several matrices as one, without copying them into one.

A combined projection looks at the rows of all datasets; a million rows of 1,280 dimensions in one matrix would take
5 GB. Here they stay where they are, mapped from the disk, and only the slice that is asked for comes into memory. The
cost: a slice that crosses a border is copied, and nothing but slices of consecutive rows can be asked for.

Shapes: n rows in all, d dimensions, p parts.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from overlens.records import FloatRows


class StackedRows:
    """The rows of several `(n_i, d)` float32 matrices in their order, as one read-only `(n, d)` matrix."""

    __slots__ = ("_ends", "_parts", "_width")

    def __init__(self, parts: Sequence[FloatRows]) -> None:
        """Stack `parts`; raises ValueError if there is none, or one is not a float32 matrix as wide as the first."""
        if not parts:
            raise ValueError("there is nothing to stack: at least one matrix is needed")
        for place, part in enumerate(parts):
            if part.ndim != 2 or part.dtype != np.float32 or part.shape[1] != parts[0].shape[1]:
                raise ValueError(
                    f"part {place} must be float32 rows as wide as the first part, which is {parts[0].shape}; "
                    f"it is {part.dtype} of shape {part.shape}"
                )
        self._parts = tuple(parts)
        self._ends = tuple(accumulate(len(part) for part in parts))
        self._width = int(parts[0].shape[1])

    def __len__(self) -> int:
        return self._ends[-1]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows in all, and dimensions."""
        return len(self), self._width

    @property
    def ndim(self) -> int:
        """Two, as of any matrix."""
        return 2

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """float32, which all parts are."""
        return np.dtype(np.float32)

    def __getitem__(self, rows: slice) -> FloatRows:
        """Return consecutive rows as a read-only C-contiguous `(r, d)` float32 array.

        Raises:
            TypeError: `rows` is no slice.
            ValueError: `rows` leaves rows out or runs backwards.
        """
        if not isinstance(rows, slice):
            raise TypeError(f"only slices of rows can be read, such as rows[0:10]; got {rows!r}")
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"only consecutive rows can be read, got a step of {step}")
        pieces = self._pieces(start, max(start, stop))
        joined = np.ascontiguousarray(pieces[0]).view() if len(pieces) == 1 else np.concatenate(pieces)
        joined.flags.writeable = False
        return joined

    def _pieces(self, start: int, stop: int) -> list[FloatRows]:
        """Return what each part holds of the rows from `start` to before `stop`; one piece without rows if none."""
        first = min(bisect_right(self._ends, start), len(self._parts) - 1)
        pieces: list[FloatRows] = []
        for part, end in zip(self._parts[first:], self._ends[first:], strict=True):
            begin = end - len(part)
            if pieces and begin >= stop:
                break
            if len(part) or not pieces:
                pieces.append(part[max(0, start - begin) : max(0, stop - begin)])
        return pieces


Rows = FloatRows | StackedRows
"""Embedding rows in one matrix or in several."""
