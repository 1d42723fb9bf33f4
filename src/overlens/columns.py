"""Records of columns: that each column has the type and the shape which the record promises.

Shapes: n rows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

Column = tuple[Any, tuple[int, ...]]
"""Type of a column's values, and its shape behind n."""


def require_columns(record: object, n_rows: int, wanted: Mapping[str, Column]) -> None:
    """Check that the attributes of a record that `wanted` names are arrays of `n_rows` rows, of these types and shapes.

    Raises:
        ValueError: One is of another type or shape.
    """
    for name, (dtype, shape) in wanted.items():
        column = getattr(record, name)
        if column.dtype != dtype or column.shape != (n_rows, *shape):
            expected = f"{np.dtype(dtype)} of shape {(n_rows, *shape)}"
            raise ValueError(f"{name} must be {expected}, got {column.dtype} of shape {column.shape}")
