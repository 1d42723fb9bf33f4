"""Tables as pandas DataFrames: the only place that loads pandas (extra `pandas`)."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from overlens.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas
    import pyarrow


def make_frame(
    rows: Iterable[Sequence[object]], columns: Sequence[str], nullable: Mapping[str, str] | None = None
) -> "pandas.DataFrame":
    """Return a DataFrame of `rows`.

    Args:
        rows: One sequence of values a row.
        columns: Name of each value.
        nullable: Column -> type of pandas that holds missing values, such as "Int64", for columns that may have some.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    frame = _load_pandas().DataFrame(list(rows), columns=list(columns))
    return frame.astype(dict(nullable or {}))


def frame_of(table: "pyarrow.Table") -> "pandas.DataFrame":
    """Return an Arrow table as a DataFrame; whole numbers and truth values stay such where some are missing.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    pandas = _load_pandas()
    import pyarrow

    nullable = {pyarrow.int32(): pandas.Int32Dtype(), pyarrow.bool_(): pandas.BooleanDtype()}
    return table.to_pandas(types_mapper=nullable.get)


def _load_pandas() -> ModuleType:
    try:
        return import_module("pandas")
    except ImportError as error:
        raise MissingExtraError("pandas", "pandas") from error
