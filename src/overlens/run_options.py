"""The options of the documented command as the configuration of a run: names, defaults, and how values are read."""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from os import PathLike
from pathlib import Path
from typing import Any

from overlens.checks import require_choice, require_kind
from overlens.config import (
    AUTO,
    BOTH,
    DEFAULT_DATASETS,
    METHODS,
    PATH_OPTIONS,
    PROJECTIONS,
    DatasetSpec,
    EncoderConfig,
    FewShotConfig,
    HashConfig,
    IdentifierConfig,
    PairConfig,
    ProjectionConfig,
    RunConfig,
    VerifyConfig,
)
from overlens.errors import ConfigError

PLACES = {
    "root": "root",
    "output": "output",
    "max_images": "max_images",
    "max_failures": "max_failures",
    "use_ground_truth": "use_ground_truth",
    "from_embeddings": "from_embeddings",
    "scaled_decode": "scaled_decode",
    "cosine_threshold": "pairs.min_similarity",
    "hash_threshold": "pairs.max_distance_bits",
    "false_discovery_rate": "pairs.false_discovery_rate",
    "hash_size": "hashing.hash_size",
    "hash_type": "hashing.hash_type",
    "clip_model": "encoder.model",
    "weights": "encoder.weights",
    "precision": "encoder.precision",
    "batch_size": "encoder.batch_size",
    "tsne_perplexity": "projections.perplexity",
    "umap_neighbors": "projections.n_neighbors",
    "evaluate_cross_dataset": "evaluate_cross_dataset",
    "class_map": "class_map",
    "identifier_column": "identifiers.column",
    "identifier_pattern": "identifiers.pattern",
    "max_candidates": "verification.max_candidates",
    "keep": "verification.keep",
    "reference": "verification.reference",
    "seed": "projections.seed",
    "workers": "workers",
    "engine": "engine",
}
"""Options that are one field of the configuration, and where it stands; the others are read in words of their own."""

FEW_SHOT = {
    "k_shots": "k_shots",
    "n_classes": "n_classes",
    "n_seeds": "n_seeds",
    "strategies": "strategies",
    "n_query": "n_query",
    "n_validation": "n_validation",
    "n_episodes": "n_episodes",
    "short_classes": "short_classes",
    "held_out": "held_out",
    "allow_leaks": "allow_leaks",
    "disjoint_seeds": "disjoint_seeds",
    "split_formats": "formats",
}
"""Options of few-shot splits, and the field of `FewShotConfig` that each is."""


def default_options() -> dict[str, Any]:
    """Every option of the documented command, under its name with underscores, with its default."""
    default, few_shot = RunConfig(), FewShotConfig()
    return {
        "datasets": DEFAULT_DATASETS,
        "method": BOTH,
        "projections": BOTH,
        "no_verify": not default.verify,
        "no_report": not default.report,
        "generate_few_shot": default.few_shot is not None,
        **{option: _shown(getattr(few_shot, field)) for option, field in FEW_SHOT.items()},
        "predictions": default.predictions,
        **{option: attrgetter(place)(default) for option, place in PLACES.items()},
    }


def config_from_options(given: Mapping[str, Any]) -> RunConfig:
    """Build the configuration of a run from options under their names with underscores.

    Raises:
        ConfigError: An option is not known, or its value cannot work.
    """
    values = _read(given)
    methods = _chosen("--method", values["method"], METHODS)
    _require_used(methods, values)
    for name in ("cosine_threshold", "hash_threshold"):
        values[name] = _stated(name, values[name])
    fields: dict[str, dict[str, Any]] = {}
    for option, place in PLACES.items():
        record, _, field = place.rpartition(".")
        fields.setdefault(record, {})[field] = values[option]
    drawn = _chosen("--projections", values["projections"], PROJECTIONS, none=())
    few_shot, datasets = _few_shot(values), _as_specs(values["datasets"])
    _require_names(few_shot.held_out, [spec.name for spec in datasets])
    return RunConfig(
        datasets=datasets,
        predictions=_as_texts("--predictions", values["predictions"]),
        encoder=EncoderConfig(**fields["encoder"], n_threads=values["workers"]),
        hashing=HashConfig(**fields["hashing"]),
        pairs=PairConfig(methods, **fields["pairs"]),
        projections=ProjectionConfig(drawn, **fields["projections"]),
        few_shot=few_shot if _flag(values, "generate_few_shot") else None,
        verify=not _flag(values, "no_verify"),
        report=not _flag(values, "no_report"),
        verification=VerifyConfig(**fields["verification"]),
        identifiers=IdentifierConfig(**fields["identifiers"]),
        ignored=() if values["generate_few_shot"] else _given_few_shot(few_shot),
        **fields[""],
    )


def parse_share(value: object) -> object:
    """Read a share written as `5%` or `0.05` as a number; anything else is returned for the checks to refuse."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        share = float(text.removesuffix("%"))
    except ValueError:
        return value
    if not text.endswith("%"):
        return share
    return share / 100 if 0 <= share <= 100 else value


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every option: as given, or its default; those that stand for others as what they mean."""
    defaults = default_options()
    for name in given.keys() - defaults.keys():
        raise ConfigError(f"unknown option {name!r}; known: {', '.join(defaults)}")
    values = {name: _plain(value) for name, value in {**defaults, **given}.items()}
    for name in ("max_failures", "false_discovery_rate"):
        values[name] = parse_share(values[name])
    for name in PATH_OPTIONS:
        values[name] = Path(values[name]) if isinstance(values[name], str | PathLike) else values[name]
    if values["projections"] is None:
        values["projections"] = "none"
    return values


def _stated(name: str, value: Any) -> Any:  # noqa: ANN401 - checked when the record is made
    """Return a threshold as stated, or None for `auto`; None itself would be a slip."""
    if value is None:
        raise ConfigError(f"--{name.replace('_', '-')} is None; it must be a number or {AUTO!r}")
    return None if _is_auto(value) else value


def _is_auto(value: object) -> bool:
    return isinstance(value, str) and value == AUTO


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return a NumPy number as Python's own: NumPy's pass for numbers everywhere but in JSON."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _flag(values: Mapping[str, Any], name: str) -> bool:
    value = values[name]
    require_kind(f"--{name.replace('_', '-')}", value, bool, "True or False")
    return bool(value)


def _require_used(methods: tuple[str, ...], values: Mapping[str, Any]) -> None:
    """Refuse to calibrate the threshold of a method that is not in use: nobody asks for that on purpose."""
    for option, method, features in (
        ("cosine_threshold", "cosine", "embeddings"),
        ("hash_threshold", "perceptual", "hashes"),
    ):
        if _is_auto(values[option]) and method not in methods:
            raise ConfigError(
                f"--{option.replace('_', '-')} {AUTO} has no effect with --method {values['method']}, which compares "
                f"no {features}; choose --method {BOTH} or {method}, or leave it out"
            )


def _as_specs(datasets: object) -> tuple[DatasetSpec, ...]:
    if isinstance(datasets, str) or not isinstance(datasets, Iterable):
        raise ConfigError(f"datasets is {datasets!r}; give a list of names, or a mapping of names to paths")
    return tuple(one if isinstance(one, DatasetSpec) else DatasetSpec.parse(one) for one in datasets)


def _few_shot(values: Mapping[str, Any]) -> FewShotConfig:
    """Return how splits are drawn; made, and so checked, also where none are."""
    fields = {field: values[option] for option, field in FEW_SHOT.items()}
    fields |= {name: _several(fields[name]) for name in ("k_shots", "strategies", "held_out", "formats")}
    fields |= {name: _stated(name, fields[name]) for name in ("n_query", "n_validation")}
    return FewShotConfig(**fields, seed=values["seed"])


def _require_names(held_out: Sequence[str], names: Sequence[str]) -> None:
    """Refuse `NAME=PATH` for a dataset held out: it must be among the datasets, where its path stands already."""
    for text in held_out:
        name, equals, _ = text.partition("=")
        if equals and text not in names:
            known = ", ".join(names)
            step = f"write --held-out {name}" if name in names else f"give --datasets {text}, and --held-out {name}"
            raise ConfigError(
                f"--held-out {text!r} has a path, and takes the name alone of one of the datasets ({known}); {step}"
            )


def _several(value: object) -> tuple[Any, ...]:
    """Return the values of an option that may be repeated, or the one value that is given instead."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(map(_plain, value))
    return (value,)


def _shown(value: object) -> object:
    """Return a default of few-shot splits as it is written: what is chosen by itself is `auto`."""
    return AUTO if value is None else value


def _given_few_shot(few_shot: FewShotConfig) -> tuple[str, ...]:
    default = FewShotConfig()
    return tuple(option for option, field in FEW_SHOT.items() if getattr(few_shot, field) != getattr(default, field))


def _as_texts(option: str, value: object) -> tuple[str, ...]:
    """Return the values of an option that names files, each as text."""
    given = _several(value)
    for one in given:
        require_kind(option, one, str | PathLike, "FILE or NAME=FILE, or several in a list")
    return tuple(str(one) for one in given)


def _chosen(option: str, value: str, choices: tuple[str, ...], **others: tuple[str, ...]) -> tuple[str, ...]:
    meanings = {**{choice: (choice,) for choice in choices}, BOTH: choices, **others}
    require_choice(option, value, tuple(meanings))
    return meanings[value]
