"""Which options that were given change nothing in a run, and why, so that nobody waits for their effect.

An option counts as given if its value is not the default, which is all that a configuration knows of it. What no user
can mean is refused elsewhere (`overlens.run_options`, `overlens.config`); what merely has no work is told here.
"""

from collections.abc import Iterator
from operator import attrgetter

from overlens.config import RunConfig
from overlens.hashes.compute import ORIENTED_SIZE
from overlens.notices import tell
from overlens.run_options import PLACES

_MODEL = ("clip_model", "weights", "precision")


def tell_unused(config: RunConfig, *, has_object: bool = False) -> list[str]:
    """Say which of the given options have no effect.

    Args:
        config: What is asked for.
        has_object: Whether an encoder object is given, too.
    """
    told = []
    for options, why in _without_effect(config, has_object):
        given = [f"--{option.replace('_', '-')}" for option in options if _is_given(option, config)]
        told += [f"{' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect: {why}"] if given else []
    if has_object and not config.needs_embeddings:
        told.append("the encoder object has no effect: nothing that is asked for needs an encoder")
    return tell("options", told)


def _without_effect(config: RunConfig, has_object: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield options that have no effect in this run, and why."""
    if config.ignored:
        yield config.ignored, "no few-shot splits are drawn without --generate-few-shot"
    if not config.evaluate_cross_dataset:
        yield ("class_map",), "classes are matched only with --evaluate-cross-dataset"
    yield from _encoder_options(config, has_object)
    yield from _pair_options(config)
    for method, option in (("tsne", "tsne_perplexity"), ("umap", "umap_neighbors")):
        if method not in config.projections.methods:
            yield (option,), f"--projections draws no {method}"
    if not config.projections.methods and config.few_shot is None:
        yield ("seed",), "neither projections nor splits are drawn"
    if config.from_embeddings:
        has_threads = bool(config.projections.methods)
        work = ("engine", "scaled_decode") if has_threads else ("engine", "workers", "scaled_decode")
        yield work, "--from-embeddings reads no images"
    if config.output is not None and all(spec.path is not None for spec in config.datasets):
        yield ("root",), "every dataset has a path of its own, and results go to --output"


def _encoder_options(config: RunConfig, has_object: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    if config.from_embeddings:
        yield (*_MODEL, "batch_size"), "--from-embeddings runs no encoder"
    elif not config.needs_embeddings:
        yield (*_MODEL, "batch_size"), "nothing that is asked for needs an encoder"
    elif has_object:
        yield _MODEL, "an encoder object is given instead"


def _pair_options(config: RunConfig) -> Iterator[tuple[tuple[str, ...], str]]:
    """Verified pairs that are no copies are listed by the thresholds, whether or not their method is in use."""
    if not config.verifies:
        why = "--from-embeddings reads no images" if config.from_embeddings else "--no-verify leaves verification out"
        yield ("max_candidates", "keep"), f"{why}, so nothing is verified"
    if "cosine" not in config.pairs.methods and not (config.verifies and config.needs_embeddings):
        yield ("cosine_threshold",), "no embeddings are compared"
    if config.needs_hashes:
        return
    if not config.verifies:
        yield ("hash_type", "hash_size", "hash_threshold"), "no hashes are compared"
    else:
        is_long = config.hashing.hash_size != ORIENTED_SIZE
        options = ("hash_size", "hash_threshold") if is_long else ("hash_size",)
        yield options, f"--method {config.pairs.methods[0]} leaves hashes to verification, whose hashes have 64 bits"


def _is_given(option: str, config: RunConfig) -> bool:
    place = PLACES.get(option)
    # What no field of the configuration holds is only named where it was given.
    return place is None or attrgetter(place)(config) != attrgetter(place)(RunConfig())
