"""Read what the user calls classes: the file of `--class-map`, a CSV with the columns class, name and maybe dataset.

`class` is a class id or a name of `classes.csv`, `name` the common name, `dataset` whose class it is; a blank one, like
a missing column, means every dataset. Other columns are left alone, so that a table may carry remarks.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from overlens.class_matching import ALL_DATASETS, ClassMap
from overlens.errors import ConfigError, DatasetError
from overlens.sources.textfiles import read_table, require_row_length


def read_class_map(path: Path, datasets: Sequence[str]) -> ClassMap:
    """Return the class map of a CSV file.

    Args:
        path: The file.
        datasets: Names of the datasets of the run.

    Raises:
        DatasetError: The file cannot be read, lacks a column or a value, or gives one class two names.
        ConfigError: It names a dataset that is not in the run.
    """
    names: dict[tuple[str, str], str] = {}
    for line, row in read_columns(path, ("class", "name"), ("dataset",)):
        written, name, dataset = row["class"], row["name"], row.get("dataset", "") or ALL_DATASETS
        if not written or not name:
            raise DatasetError(
                f"{path}: line {line} has the class {written!r} and the name {name!r}; write both, or remove the line"
            )
        require_known(path, line, dataset, datasets)
        known = names.setdefault((dataset, written), name)
        if known != name:
            whose = f"the class {written!r} of {dataset or 'every dataset'}"
            raise DatasetError(f"{path} names {whose} both {known!r} and {name!r} (line {line}); keep one")
    if not names:
        raise DatasetError(
            f"{path} names no class; write one class and its common name a row, or leave out --class-map"
        )
    return ClassMap(names, path.name)


def require_known(path: Path, line: int, dataset: str, datasets: Sequence[str]) -> None:
    """Raise ConfigError if a line names a dataset that is not in the run; a blank name is none."""
    if dataset and dataset not in datasets:
        raise ConfigError(
            f"{path}: line {line} names the dataset {dataset!r}; the datasets of this run are {', '.join(datasets)}: "
            "correct the name, or remove the line"
        )


def read_columns(path: Path, required: Sequence[str], optional: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and values, without the spaces around them, of the named columns of a CSV file.

    Names of columns may be written in any letter case. Other columns are passed over.

    Args:
        path: The file.
        required: Columns that must be there.
        optional: Columns that may be there; a row has no value for one that is not.

    Raises:
        DatasetError: The file cannot be read, a column is missing or stands twice, or a row has another length than
            the header.
    """
    rows = read_table(path)
    header = [name.strip().lower() for name in next(rows, (1, []))[1]]
    wanted = [name for name in (*required, *optional) if name in header]
    missing = [name for name in required if name not in header]
    twice = [name for name in wanted if header.count(name) > 1]
    if missing or twice:
        fault = f"no column {' and '.join(missing)}" if missing else f"the column {twice[0]} twice"
        may_have = f", and maybe {' and '.join(optional)}" if optional else ""
        raise DatasetError(
            f"{path} has {fault}: its header is {', '.join(map(repr, header)) or 'empty'}; wanted is "
            f"{','.join(required)}{may_have}, each once, with commas between"
        )
    for line, row in rows:
        require_row_length(path, line, row, len(header))
        yield line, {name: row[header.index(name)].strip() for name in wanted}
