"""The files that a run is given for its benchmarks, read and checked before the first image: a slip costs no time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from overlens.class_matching import ClassMap, DatasetClasses, check_class_map
from overlens.config import RunConfig
from overlens.decode import image_extensions
from overlens.errors import ConfigError, DatasetError
from overlens.notices import tell
from overlens.records import Features, Listing
from overlens.sources.class_map import read_class_map
from overlens.sources.predictions import PredictionTable, assign_predictions, parse_predictions, read_predictions


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user calls classes, or None, and what models predict."""

    class_map: ClassMap | None
    predictions: tuple[PredictionTable, ...]


def read_asked(config: RunConfig, listings: Sequence[Listing]) -> Asked:
    """Read the files that `config` names.

    Args:
        config: Which files there are.
        listings: The images that predictions must be of; without listings nobody knows them, and none may be given.

    Raises:
        ConfigError: A file does not exist, is malformed, or names a dataset that is not in the run; or it cannot be
            told which images or classes it means.
    """
    names = [dataset.name for dataset in config.datasets]
    if config.class_map is not None and not config.class_map.is_file():
        raise ConfigError(f"--class-map {config.class_map} is not a file; give a CSV with the columns class and name")
    class_map = None if config.class_map is None else read_class_map(config.class_map, names)
    specs = parse_predictions(config.predictions, names)
    tables = tuple(read_predictions(spec, names) for spec in specs)
    listed = [Features(one.dataset, one.keys, one.labels, one.label_source, one.class_names) for one in listings]
    return Asked(class_map, tuple(_settle(table, listed) for table in tables))


def tell_class_map(asked: Asked, features: Sequence[Features]) -> list[str]:
    """Say which lines of the class map name no class of the datasets, and what else is odd about it."""
    if asked.class_map is None:
        return []
    return tell("class map", check_class_map(asked.class_map, [DatasetClasses.of_features(one) for one in features]))


def _settle(table: PredictionTable, listed: Sequence[Features]) -> PredictionTable:
    """Return the table with the dataset of every row, told by all listed images: those that fail move nothing."""
    try:
        found, _ = assign_predictions(table, listed, image_extensions())
    except DatasetError as error:  # of listed images: no dataset is at fault, the request is
        raise ConfigError(str(error)) from error
    stated = Counter(row.dataset for row in table.rows)
    guessed = next((one.dataset for one in found if one.n_rows > stated[one.dataset]), None)
    return replace(table, rows=tuple(replace(row, dataset=row.dataset or guessed) for row in table.rows))
