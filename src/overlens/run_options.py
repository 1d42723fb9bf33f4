"""The options of the documented command as the configuration of a run: names, defaults, and how values are read."""

from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral
from typing import Any

from overlens.checks import require_choice
from overlens.config import (
    AUTO,
    BOTH,
    DEFAULT_DATASETS,
    METHODS,
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


def default_options() -> dict[str, Any]:
    """Every option of the documented command, under its name with underscores, with its default."""
    default, few_shot = RunConfig(), FewShotConfig()
    return {
        "datasets": DEFAULT_DATASETS,
        "root": default.root,
        "output": default.output,
        "max_images": default.max_images,
        "max_failures": default.max_failures,
        "use_ground_truth": default.use_ground_truth,
        "from_embeddings": default.from_embeddings,
        "method": BOTH,
        "cosine_threshold": default.pairs.min_similarity,
        "hash_threshold": default.pairs.max_distance_bits,
        "false_discovery_rate": default.pairs.false_discovery_rate,
        "hash_size": default.hashing.hash_size,
        "hash_type": default.hashing.hash_type,
        "clip_model": default.encoder.model,
        "weights": default.encoder.weights,
        "precision": default.encoder.precision,
        "batch_size": default.encoder.batch_size,
        "projections": BOTH,
        "tsne_perplexity": default.projections.perplexity,
        "umap_neighbors": default.projections.n_neighbors,
        "generate_few_shot": default.few_shot is not None,
        "k_shots": few_shot.k_shots,
        "n_classes": few_shot.n_classes,
        "n_seeds": few_shot.n_seeds,
        "evaluate_cross_dataset": default.evaluate_cross_dataset,
        "identifier_column": default.identifiers.column,
        "identifier_pattern": default.identifiers.pattern,
        "no_verify": not default.verify,
        "max_candidates": default.verification.max_candidates,
        "keep": default.verification.keep,
        "reference": default.verification.reference,
        "seed": default.projections.seed,
        "workers": default.workers,
        "engine": default.engine,
    }


def config_from_options(given: Mapping[str, Any]) -> RunConfig:
    """Build the configuration of a run from options under their names with underscores.

    Raises:
        ConfigError: An option is not known, or its value cannot work.
    """
    defaults = default_options()
    for name in given.keys() - defaults.keys():
        raise ConfigError(f"unknown option {name!r}; known: {', '.join(defaults)}")
    values = {**defaults, **given}
    for name in ("max_failures", "false_discovery_rate"):
        values[name] = parse_share(values[name], f"--{name.replace('_', '-')}")
    # NumPy's numbers pass for numbers everywhere but in JSON.
    values = {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}
    if values["projections"] is None:
        values["projections"] = "none"
    methods = _chosen("--method", values["method"], METHODS)
    _require_used(methods, values)
    records = {"datasets", "projections"}
    return RunConfig(
        **{field.name: values[field.name] for field in fields(RunConfig) if field.name in values.keys() - records},
        datasets=tuple(map(_as_spec, values["datasets"])),
        encoder=EncoderConfig(
            values["clip_model"], values["weights"], values["precision"], values["batch_size"], values["workers"]
        ),
        hashing=HashConfig(values["hash_type"], values["hash_size"]),
        pairs=PairConfig(
            methods,
            _stated("--cosine-threshold", values["cosine_threshold"]),
            _stated("--hash-threshold", values["hash_threshold"]),
            values["false_discovery_rate"],
        ),
        projections=ProjectionConfig(
            _chosen("--projections", values["projections"], PROJECTIONS, none=()),
            values["tsne_perplexity"],
            values["umap_neighbors"],
            values["seed"],
        ),
        verify=not values["no_verify"],
        verification=VerifyConfig(values["max_candidates"], values["keep"], values["reference"]),
        identifiers=IdentifierConfig(values["identifier_column"], values["identifier_pattern"]),
        few_shot=_few_shot(values) if values["generate_few_shot"] else None,
    )


def parse_share(value: object, option: str = "--max-failures") -> object:
    """Read a share written as `5%` or `0.05` as a number; anything else is returned for the checks to refuse."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ConfigError(f"{option} {value!r} is not a share; write it as 5% or 0.05") from None


def _stated(option: str, value: Any) -> Any:  # noqa: ANN401 - checked when the record is made
    """Return a threshold as stated, or None for `auto`; None itself would be a slip."""
    if value is None:
        raise ConfigError(f"{option} is None; it must be a number or {AUTO!r}")
    return None if value == AUTO else value


def _require_used(methods: tuple[str, ...], values: Mapping[str, Any]) -> None:
    """Refuse to calibrate the threshold of a method that is not in use: nobody asks for that on purpose."""
    for option, method, features in (
        ("cosine_threshold", "cosine", "embeddings"),
        ("hash_threshold", "perceptual", "hashes"),
    ):
        if values[option] == AUTO and method not in methods:
            raise ConfigError(
                f"--{option.replace('_', '-')} {AUTO} has no effect with --method {values['method']}, which compares "
                f"no {features}; choose --method {BOTH} or {method}, or leave it out"
            )


def _as_spec(dataset: object) -> DatasetSpec:
    if isinstance(dataset, DatasetSpec):
        return dataset
    if not isinstance(dataset, str):
        raise ConfigError(f"dataset {dataset!r} is no text; write NAME or NAME=PATH")
    return DatasetSpec.parse(dataset)


def _few_shot(values: Mapping[str, Any]) -> FewShotConfig:
    k_shots = values["k_shots"]
    k_shots = (k_shots,) if isinstance(k_shots, Integral) else tuple(map(int, k_shots))
    return FewShotConfig(k_shots, values["n_classes"], values["n_seeds"], values["seed"])


def _chosen(option: str, value: str, choices: tuple[str, ...], **others: tuple[str, ...]) -> tuple[str, ...]:
    meanings = {**{choice: (choice,) for choice in choices}, BOTH: choices, **others}
    require_choice(option, value, tuple(meanings))
    return meanings[value]
