"""What a run knows of copies, in the forms in which benchmarks ask for it, and what that knowledge rests on.

Shapes: n images of a dataset.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.analysis import Analysis
from overlens.benchmark.pair_digest import digest_pairs
from overlens.config import RunConfig
from overlens.copies import Copies
from overlens.fewshot.pictures import KnownCopies
from overlens.groups.find import NO_GROUP
from overlens.sources import list_images


def groups_of(copies: Copies | None, dataset: str) -> NDArray[np.int32] | None:
    """Return the group of each image of a dataset, numbered over all datasets, `(n,)`; None if nothing was verified."""
    if copies is None:
        return None
    number = copies.roster.number_of(dataset)
    start, end = copies.roster.offsets[number : number + 2]
    return copies.groups.group_of[start:end]


def known_copies(analysis: Analysis, basis: dict[str, object], dataset: str) -> KnownCopies | None:
    """Return what is known of copies of the images of one dataset; None if nothing was verified."""
    copies, few_shot = analysis.copies, analysis.config.few_shot
    own = groups_of(copies, dataset)
    if copies is None or own is None:
        return None
    held_out = () if few_shot is None else few_shot.held_out
    reached = [groups_of(copies, other) for other in held_out]
    numbers = np.unique(np.concatenate([np.zeros(0, np.int32), *(one for one in reached if one is not None)]))
    return KnownCopies(own, np.isin(own, numbers[numbers != NO_GROUP]), basis)


def why_unknown(config: RunConfig, dataset: str) -> str:
    """Say why copies of the images of a dataset are not all known, or "" if they were looked for."""
    if config.from_embeddings:
        return "--from-embeddings reads no images, so no copies were verified"
    if not config.verify:
        return "--no-verify leaves verification out"
    if dataset == config.reference:
        return "within the reference no copies were looked for"
    return ""


def count_held_out(analysis: Analysis) -> dict[str, int]:
    """Return the number of images that each dataset held out names, those beyond `--max-images` included.

    With the cap they are listed once more, whole: a listing does not say what it left out.

    Raises:
        ConfigError: A dataset is not there any more.
        DatasetError: It cannot be listed.
    """
    config = analysis.config
    held_out = () if config.few_shot is None else config.few_shot.held_out
    if config.max_images is None:
        return {name: analysis.datasets[name].n_attempted for name in held_out}
    return {
        spec.name: list_images(spec, config.root, use_ground_truth=config.use_ground_truth).n_attempted
        for spec in config.datasets
        if spec.name in held_out
    }


def tell_cut(analysis: Analysis, n_listed: Mapping[str, int]) -> Iterator[str]:
    """Say which datasets held out were not looked at as a whole, and what follows; `n_listed` as `count_held_out`."""
    for name, n in n_listed.items():
        n_seen = analysis.datasets[name].n_attempted
        if n > n_seen:
            yield (
                f"--held-out {name}: only the first {n_seen:,} of its {n:,} images were looked at (--max-images), so "
                "copies of the others may be in the splits; leave --max-images out for splits to publish"
            )


def certificate_basis(analysis: Analysis, n_listed: Mapping[str, int]) -> dict[str, object]:
    """Return what certificates say their groups rest on: rule, candidates, encoder, and digest of the pair table.

    Args:
        analysis: The run, its copies found.
        n_listed: Dataset held out -> number of images that it names, also where not all of them were looked at.
    """
    if analysis.copies is None:
        return {}
    told: dict[str, Any] = analysis.copies.to_json()
    keys = [analysis.datasets[name].keys for name in analysis.copies.roster.datasets]
    n_pairs, digest = digest_pairs(analysis.copies.judged.edges, analysis.copies.roster, keys)
    unseen = [n - analysis.datasets[name].n_kept for name, n in n_listed.items()]
    return {
        **told["basis"],
        "searched": {
            name: {
                "attempted": features.n_attempted,
                "kept": features.n_kept,
                "failed": features.n_failed,
                "low_information": analysis.copies.n_low_information[name],
            }
            for name, features in analysis.datasets.items()
        },
        "max_images": analysis.config.max_images,
        "held_out_fully_searched": not any(unseen) if unseen else None,
        "n_images_at_candidate_bound": told["n_images_at_candidate_bound"],
        "encoder": None if analysis.model is None else asdict(analysis.model),
        "n_verified_pairs": n_pairs,
        "verified_pairs_sha256": digest,
        **({"decisions": told["decisions"]} if "decisions" in told else {}),
    }
