"""`overlens.analyze`: the documented command as a function."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from overlens.analysis import Analysis, Workspace
from overlens.config import DatasetSpec
from overlens.encoders import Encoder
from overlens.errors import ConfigError
from overlens.pipeline import run
from overlens.progress import Progress
from overlens.run_options import config_from_options


def analyze(
    datasets: Mapping[str, str | Path | None] | Iterable[str],
    *,
    encoder: Encoder | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Analysis:
    """Find what image datasets share; the same stages, numbers and files as the command.

    Args:
        datasets: Name -> folder or manifest file, or None for a dataset in the documented layout under `root`; or names
            as the command takes them, `NAME` or `NAME=PATH`.
        encoder: An object with `name`, `dim` and `encode(batch)` to use instead of `clip_model`.
        progress: Shows how far the run has come; by default nothing is shown.
        **options: The options of `overlens compute` under their names with underscores, such as `method="cosine"`,
            `cosine_threshold=0.8`, `clip_model="offline"`, `projections="none"`, `output="results"`. Without `root` and
            `output`, the files go to a temporary folder that lives as long as the result.

    Returns:
        The numbers, with tables as DataFrames by `.to_pandas()`: `result.overlap("cosine").to_pandas()`,
        `result.pairs("perceptual", "a", "b").to_pandas()`, `result.failures().to_pandas()`.

    Raises:
        OverlensError: As the command would stop, with the same message.
    """
    named: object = datasets
    if isinstance(datasets, Mapping):
        named = tuple(DatasetSpec(name, _as_path(name, path)) for name, path in datasets.items())
    config = config_from_options({**options, "datasets": named})
    if options.get("root") is not None or options.get("output") is not None:
        return run(config, progress, encoder)
    workspace = Workspace()
    return replace(run(replace(config, output=workspace.path), progress, encoder), workspace=workspace)


def _as_path(dataset: str, path: object) -> Path | None:
    if path is None:
        return None
    if not isinstance(path, str | PathLike):
        raise ConfigError(f"dataset {dataset!r} is at {path!r}; give the path of a folder or a manifest, or None")
    return Path(path)
