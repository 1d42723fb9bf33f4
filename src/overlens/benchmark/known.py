"""What a run knows of copies, in the forms in which benchmarks ask for it, and what that knowledge rests on.

Shapes: n images of a dataset.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.analysis import Analysis
from overlens.config import RunConfig
from overlens.copies import Copies
from overlens.fewshot.pictures import KnownCopies
from overlens.groups.find import NO_GROUP
from overlens.records import Features
from overlens.verdicts import VERDICTS


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


def certificate_basis(analysis: Analysis) -> dict[str, object]:
    """Return what certificates say their groups rest on: rule, candidates, encoder, and digest of the pair table."""
    if analysis.copies is None:
        return {}
    told: dict[str, Any] = analysis.copies.to_json()
    n_pairs, digest = digest_pairs(analysis.copies, list(analysis.datasets.values()))
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
        "n_images_at_candidate_bound": told["n_images_at_candidate_bound"],
        "encoder": None if analysis.model is None else asdict(analysis.model),
        "n_verified_pairs": n_pairs,
        "verified_pairs_sha256": digest,
    }


def digest_pairs(copies: Copies, features: Sequence[Features]) -> tuple[int, str]:
    """Return the number of verified pairs and the digest of their table, whatever order images and pairs came in.

    The digest is SHA-256 over one line a pair, sorted: a JSON list of dataset, image, dataset, image and verdict, the
    lesser (dataset, image) first, separated by ", ", without escapes, each line ended by a line feed, in UTF-8.
    """
    edges = copies.judged.edges.verified()
    names = [_names(copies, features, rows) for rows in (edges.left, edges.right)]
    verdicts = [VERDICTS[code] for code in edges.verdicts.tolist()]
    lines = (
        json.dumps([*min(one, two), *max(one, two), verdict], ensure_ascii=False)
        for one, two, verdict in zip(*names, verdicts, strict=True)
    )
    table = "".join(f"{line}\n" for line in sorted(lines))
    return len(edges), hashlib.sha256(table.encode("utf-8", "surrogatepass")).hexdigest()


def _names(copies: Copies, features: Sequence[Features], rows: NDArray[np.int32]) -> list[tuple[str, str]]:
    owners, places = copies.roster.dataset_of(rows).tolist(), copies.roster.local(rows).tolist()
    return [(features[one].dataset, features[one].keys[place]) for one, place in zip(owners, places, strict=True)]
