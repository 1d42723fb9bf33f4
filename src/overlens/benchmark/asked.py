"""The files that a run is given for its benchmarks, read and checked before the first image: a slip costs no time."""

from collections.abc import Sequence
from dataclasses import dataclass

from overlens.class_matching import ClassMap
from overlens.config import RunConfig
from overlens.decode import image_extensions
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
        ConfigError: A file does not exist, or names a dataset that is not in the run.
        DatasetError: A file is malformed, or it cannot be told which images or classes it means.
    """
    names = [dataset.name for dataset in config.datasets]
    class_map = None if config.class_map is None else read_class_map(config.class_map, names)
    specs = parse_predictions(config.predictions, names)
    tables = tuple(read_predictions(spec, names) for spec in specs)
    listed = [Features(one.dataset, one.keys, one.labels, one.label_source, one.class_names) for one in listings]
    for table in tables:
        assign_predictions(table, listed, image_extensions())
    return Asked(class_map, tables)
