"""Read what the user calls classes: the file of `--class-map`, a CSV with the columns class, name and maybe dataset.

`class` is a class id or a name of `classes.csv`, `name` the common name, `dataset` whose class it is; a blank one, like
a missing column, means every dataset.
"""

from collections.abc import Sequence
from pathlib import Path

from overlens.class_matching import ALL_DATASETS, ClassMap
from overlens.errors import ConfigError
from overlens.sources.given_tables import read_columns, require_known


def read_class_map(path: Path, datasets: Sequence[str]) -> ClassMap:
    """Return the class map of a CSV file.

    Args:
        path: The file.
        datasets: Names of the datasets of the run.

    Raises:
        ConfigError: The file cannot be read, lacks a column or a value, gives one class two names, or names a dataset
            that is not in the run.
    """
    names: dict[tuple[str, str], str] = {}
    for line, row in read_columns(path, ("class", "name"), ("dataset",)):
        written, name, dataset = row["class"], row["name"], row.get("dataset", "") or ALL_DATASETS
        if not written or not name:
            raise ConfigError(
                f"{path}: line {line} has the class {written!r} and the name {name!r}; write both, or remove the line"
            )
        require_known(path, line, dataset, datasets)
        known = names.setdefault((dataset, written), name)
        if known != name:
            whose = f"the class {written!r} of {dataset or 'every dataset'}"
            raise ConfigError(f"{path} names {whose} both {known!r} and {name!r} (line {line}); keep one")
    if not names:
        raise ConfigError(f"{path} names no class; write one class and its common name a row, or leave out --class-map")
    return ClassMap(names, path.name)
