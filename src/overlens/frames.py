"""Tables as pandas DataFrames: the only place that loads pandas (extra `pandas`)."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from overlens.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas


def make_frame(rows: Iterable[Sequence[object]], columns: Sequence[str]) -> "pandas.DataFrame":
    """Return a DataFrame of `rows`; raises MissingExtraError if pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("pandas", "pandas") from error
    return pandas.DataFrame(list(rows), columns=list(columns))
