"""Read the tables that a user writes for an option: CSV files of which columns are found by their names.

Whatever is wrong with one is a wrong request, found before the first image: ConfigError. Other columns are left alone,
so that a table may carry remarks.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from overlens.errors import ConfigError, DatasetError
from overlens.sources.textfiles import read_table, require_row_length


def read_columns(path: Path, required: Sequence[str], optional: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and values, without the spaces around them, of the named columns of a CSV file.

    Names of columns may be written in any letter case. Other columns are passed over.

    Args:
        path: The file.
        required: Columns that must be there.
        optional: Columns that may be there; a row has no value for one that is not.

    Raises:
        ConfigError: The file cannot be read, a column is missing or stands twice, or a row has another length than
            the header.
    """
    try:
        yield from _read_columns(path, required, optional)
    except DatasetError as error:
        raise ConfigError(str(error)) from error


def require_known(path: Path, line: int, dataset: str, datasets: Sequence[str]) -> None:
    """Raise ConfigError if a line names a dataset that is not in the run; a blank name is none."""
    if dataset and dataset not in datasets:
        raise ConfigError(
            f"{path}: line {line} names the dataset {dataset!r}; the datasets of this run are {', '.join(datasets)}: "
            "correct the name, or remove the line"
        )


def _read_columns(path: Path, required: Sequence[str], optional: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    rows = read_table(path)
    written = next(rows, (1, []))[1]
    header = [name.strip().lower() for name in written]
    _require_header(path, written, header, required, optional)
    wanted = [name for name in (*required, *optional) if name in header]
    for line, row in rows:
        require_row_length(path, line, row, len(header))
        yield line, {name: row[header.index(name)].strip() for name in wanted}


def _require_header(
    path: Path, written: Sequence[str], header: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> None:
    may_have = f", and may name {' and '.join(optional)}" if optional else ""
    wanted = f"the first line must name the columns {' and '.join(required)}{may_have}, with commas between"
    missing = [name for name in required if name not in header]
    twice = [name for name in (*required, *optional) if header.count(name) > 1]
    if not header:
        raise ConfigError(f"{path} is empty; {wanted}")
    if missing:
        raise ConfigError(
            f"{path} has no column {' and '.join(missing)}: its first line is {', '.join(map(repr, written))}; {wanted}"
        )
    if twice:
        raise ConfigError(f"{path} has the column {twice[0]} twice; {wanted}")
