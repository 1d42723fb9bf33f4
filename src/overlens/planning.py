"""What a run will work on, found and checked before the first image is read.

The datasets are listed, the encoder is found and started, labels are looked for where splits need them, and published
features are held against one another. Whatever cannot work is refused here.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

from overlens.config import HashConfig, RunConfig
from overlens.counted import counted
from overlens.decode import SCALED_NOTICE
from overlens.encoders import Encoder, LoadedEncoder, load_encoder, wrap_encoder
from overlens.errors import ConfigError, DatasetError
from overlens.fewshot.draw import require_long_classes
from overlens.hashes.compute import check_hash_size
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.notices import tell
from overlens.records import Failure, Features, Listing, ModelInfo
from overlens.sources import Published, list_images, load_published
from overlens.sources.cleaned import input_layout
from overlens.sources.manifest import column_names
from overlens.unused_options import tell_unused

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """Datasets whose images are to be read: listed, with the encoder at hand if one is needed."""

    listings: tuple[Listing, ...]
    encoder: LoadedEncoder | None
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What the analysis works on: features of every dataset and the encoder that made them, if any."""

    features: tuple[Features, ...]
    model: ModelInfo | None
    hashing: HashConfig
    notices: tuple[str, ...]


def plan_images(config: RunConfig, encoder: Encoder | None = None) -> ImagePlan:
    """List every dataset and start the encoder, or `encoder` in its place, if anything needs it."""
    _require_folders(config)
    require_apart(config)
    if config.needs_hashes:
        check_hash_size(config.hashing.hash_type, config.hashing.hash_size)
    listings = [
        list_images(
            spec,
            config.root,
            use_ground_truth=config.use_ground_truth,
            max_images=config.max_images,
            identifier_column=config.identifiers.column,
        )
        for spec in config.datasets
    ]
    _require_identifiers(config, listings)
    _require_classes(config, {listing.dataset: listing.labels for listing in listings})
    notices = tell_unused(config, has_object=encoder is not None)
    notices += [sentence for listing in listings for sentence in tell(listing.dataset, listing.notices)]
    notices += _tell_same_files(listings)
    notices += tell("decoding", [SCALED_NOTICE]) if config.scaled_decode else []
    loaded = _start_encoder(config, encoder) if config.needs_embeddings else None
    return ImagePlan(tuple(listings), loaded, (*notices, *(loaded.notices if loaded else ())))


def plan_published(config: RunConfig, encoder: Encoder | None = None) -> Material:
    """Read the published features of every dataset and see that they can be compared."""
    _require_folders(config)
    _keep_published(config)
    if encoder is not None:
        raise ConfigError("an encoder object has no work with from_embeddings; leave out one of them")
    found = [
        load_published(spec, config.root, use_ground_truth=config.use_ground_truth, max_images=config.max_images)
        for spec in config.datasets
    ]
    _require_columns(config, found)
    _require_classes(config, {published.features.dataset: published.features.labels for published in found})
    notices = tell_unused(config)
    notices += [line for published in found for line in tell(published.features.dataset, published.notices)]
    model = _common_model(found) if config.needs_embeddings else None
    hashing, hash_notices = _common_hashing(config, found)
    return Material(tuple(one.features for one in found), model, hashing, (*notices, *hash_notices))


def check_failures(config: RunConfig, dataset: str, failures: Sequence[Failure], n_attempted: int) -> None:
    """Raise DatasetError if no image of a dataset can be used, or more have failed than `config` allows."""
    share = len(failures) / max(n_attempted, 1)
    if len(failures) < n_attempted and share <= config.max_failures:
        return
    file = AnalysisLayout(config.output_root, dataset).failures
    words = f"{len(failures):,} of {counted(n_attempted, 'image')} of {dataset} cannot be used ({share:.1%})"
    example = f"the first is {failures[0].key!r}: {failures[0].reason}" if failures else "it names no image"
    if len(failures) == n_attempted:
        raise DatasetError(f"{words}; {example}. All of them are in {file}")
    limit = f"{100 * config.max_failures:.3g}%"
    earlier = ". Earlier results are as they were" if CrossLayout(config.output_root).overlap.exists() else ""
    raise DatasetError(
        f"{words}, more than --max-failures {limit} allows; {example}. All of them are in {file}; mend them, or allow "
        f"more with --max-failures {_next_percent(share)}%{earlier}"
    )


def _next_percent(share: float) -> int:
    return min(100, int(share * 100) + 1)


def _start_encoder(config: RunConfig, encoder: Encoder | None) -> LoadedEncoder:
    if encoder is None:
        loaded = load_encoder(config.encoder)
    else:
        loaded = wrap_encoder(encoder, batch_size=config.encoder.batch_size)
    LOG.debug("encoder: %s", loaded.info)
    return loaded


def _require_folders(config: RunConfig) -> None:
    if config.output is not None:
        # The nearest that exists: below a file no folder can be made.
        place = next(place for place in (config.output, *config.output.absolute().parents) if place.exists())
        if not place.is_dir():
            what = "is a file" if place == config.output else f"would lie below {place}, which is a file"
            raise ConfigError(f"--output {config.output} {what}; give a folder, which is made if it does not exist")
    if not config.root.is_dir():
        raise ConfigError(f"--root {config.root} is no folder; give the one that holds dataset/")


def require_apart(config: RunConfig, replaced: Iterable[Path] = ()) -> None:
    """Refuse to write results where images are read: pictures that a run writes would be images of the next one.

    The documented layout has its results beside its images, `analysis` among the lists; that is apart.

    Args:
        config: What is read, and where results go.
        replaced: Folders that are replaced as a whole, so that no image, list or manifest may be read from inside.

    Raises:
        ConfigError: Results would go into a folder of images, or something is read from what is replaced.
    """
    results = [CrossLayout(config.output_root).folder]
    results += [AnalysisLayout(config.output_root, spec.name).folder for spec in config.datasets]
    for spec in config.datasets:
        layout = input_layout(spec, config.root)
        images, *lists = (layout.images, layout.data) if layout is not None else (spec.path or config.root,)
        for folder in results:
            if _lies_in(folder, images):
                raise _not_apart(spec.name, folder, images)
        for place, folder in product((images, *lists), replaced):
            if _lies_in(place, folder):
                raise _not_apart(spec.name, folder, place)


def _lies_in(place: Path, folder: Path) -> bool:
    return place.resolve().is_relative_to(folder.resolve())


def _not_apart(dataset: str, folder: Path, place: Path) -> ConfigError:
    return ConfigError(
        f"results would go to {folder.resolve()}, and {dataset} is read from {place.resolve()}; choose a folder apart "
        "from it with --output"
    )


def _keep_published(config: RunConfig) -> None:
    """Refuse to replace lists of pairs that no run has written: whoever published them may have them nowhere else."""
    cross = CrossLayout(config.output_root)
    if cross.mark.exists():
        return
    own = [AnalysisLayout(config.output_root, spec.name).folder for spec in config.datasets]
    lists = [path for folder in (cross.folder, *own) for path in sorted(folder.glob("*_duplicates.json"))]
    if lists:
        would = counted(len(lists), "list of pairs", "lists of pairs")
        raise ConfigError(
            f"results would replace {would} that no run of overlens wrote (the first: {lists[0]}); "
            "choose another folder for them with --output"
        )


def _tell_same_files(listings: Sequence[Listing]) -> list[str]:
    """Say where two datasets name the very same files: their overlap is no finding."""
    files = {listing.dataset: set(listing.paths) for listing in listings}
    return [
        line
        for first, second in combinations(files, 2)
        if (n_same := len(files[first] & files[second]))
        for line in tell(
            f"{first} and {second}",
            [f"{counted(n_same, 'file belongs', 'files belong')} to both, so these overlap by themselves"],
        )
    ]


def _require_identifiers(config: RunConfig, listings: Sequence[Listing]) -> None:
    column = config.identifiers.column
    if column is not None and all(listing.identifiers is None for listing in listings):
        columns = {spec.name: column_names(spec.path) for spec in config.datasets if spec.path is not None}
        known = "; ".join(f"{name} has {', '.join(names)}" for name, names in columns.items() if names)
        raise ConfigError(
            f"--identifier-column {column!r} is in none of the datasets; only a manifest (NAME=FILE.csv) has columns"
            f"{f', and {known}' if known else ''}; name one of them, or leave it out to compare names"
        )


def _require_classes(config: RunConfig, datasets: Mapping[str, Sequence[str | None]]) -> None:
    """Refuse what needs classes where there are none, and classes that have too few images whatever their copies are.

    What is held out gets no splits, so it needs no classes for them.
    """
    held_out = config.few_shot.held_out if config.few_shot is not None else ()
    if config.evaluate_cross_dataset:
        _require_labels(datasets)
    elif config.few_shot is not None:
        _require_labels({dataset: labels for dataset, labels in datasets.items() if dataset not in held_out})
    if config.few_shot is not None and config.few_shot.short_classes == "error":
        for dataset in (name for name in datasets if name not in held_out):
            require_long_classes(dataset, datasets[dataset], config.few_shot)


def _require_labels(datasets: Mapping[str, Sequence[str | None]]) -> None:
    for dataset, labels in datasets.items():
        if not any(label is not None for label in labels):
            raise ConfigError(
                f"few-shot splits and generalization need labels, and {dataset} has none; add --use-ground-truth if it "
                "has a 2_ground_truth.json, or give it a labels.json, class sub-folders or a manifest with labels; or, "
                "if splits must only share no image with it, name it by --held-out"
            )


def _require_columns(config: RunConfig, published: Sequence[Published]) -> None:
    for found in published:
        dataset = found.features.dataset
        if config.needs_embeddings and found.features.embeddings is None:
            raise ConfigError(f"{dataset} has no embeddings.npy; add --method perceptual --projections none")
        if config.needs_hashes and found.features.hashes is None:
            raise ConfigError(f"{dataset} has no hashes.json; add --method cosine")


def _common_model(published: Sequence[Published]) -> ModelInfo:
    """Return the encoder of all datasets; raises ConfigError where two are known to differ."""
    widths = {found.features.dataset: found.features.require_embeddings().shape[1] for found in published}
    if len(set(widths.values())) > 1:
        raise ConfigError(f"the embeddings differ in width: {widths}; compare datasets that one encoder made")
    known = {found.features.dataset: found.model for found in published if found.model is not None}
    if len(set(known.values())) > 1:
        names = {dataset: f"{model.name} ({model.source}, {model.precision})" for dataset, model in known.items()}
        raise ConfigError(f"the embeddings are of different encoders: {names}; compare datasets that one encoder made")
    if len(known) == len(published):
        return next(iter(known.values()))
    dim = next(iter(widths.values()))
    return ModelInfo("published embeddings", "analysis/embeddings.npy", "", "", "unknown", dim, "unknown", None)


def _common_hashing(config: RunConfig, published: Sequence[Published]) -> tuple[HashConfig, list[str]]:
    """Return the hash of all datasets: the described one, else the asked-for one with a notice that it is assumed."""
    if not config.needs_hashes:
        return config.hashing, []
    known = {found.features.dataset: found.hashing for found in published if found.hashing is not None}
    if len(set(known.values())) > 1:
        names = {dataset: f"{hashing.hash_type} {hashing.hash_size}" for dataset, hashing in known.items()}
        raise ConfigError(f"the datasets have different hashes: {names}; compute them with one --hash-type")
    hashing = next(iter(known.values()), config.hashing)
    for found in published:
        if found.n_bits != hashing.n_bits:
            raise ConfigError(
                f"{found.features.dataset} has hashes of {found.n_bits} bits and --hash-size {hashing.hash_size} means "
                f"{hashing.n_bits}; give --hash-size {math.isqrt(found.n_bits or 0)}"
            )
    told = []
    if config.hashing not in (HashConfig(), hashing):
        asked = f"{config.hashing.hash_type} {config.hashing.hash_size}"
        told.append(f"it holds {hashing.hash_type} {hashing.hash_size}, so that is compared, and not {asked}")
    if len(known) < len(published):
        unnamed = ", ".join(found.features.dataset for found in published if found.hashing is None)
        told.append(f"nothing says which hash that of {unnamed} holds; {hashing.hash_type} is assumed")
    return hashing, tell("hashes.json", told)
