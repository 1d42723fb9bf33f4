"""The documented files of one dataset, made from its feature store: embeddings, names, labels, hashes, failures.

The rows of `embeddings.npy`, `names.json`, `labels.json` and `hashes.json` belong together. `features.json`, written
last, says of which images, encoder and hash they are; where it is missing beside our own store, an export was cut off.
Rows of other images than those of this run would mislead and are removed first.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import replaced_file, write_bytes, write_json
from overlens.config import HashConfig
from overlens.digests import digest_if_there
from overlens.features import KnownImages
from overlens.hashes.compute import hash_recipe, hashes_to_hex
from overlens.layout import AnalysisLayout
from overlens.records import Failure, Features, HashRows, ModelInfo
from overlens.tables import write_csv

LOG = logging.getLogger(__name__)


def export_features(
    known: KnownImages, layout: AnalysisLayout, model: ModelInfo | None, hashing: HashConfig
) -> Features:
    """Write the feature files of one dataset and return its features, embeddings memory-mapped.

    Files that hold just these rows already are left as they are.
    """
    listing, hashes = known.listing, known.hash_rows()
    names, labels = _list_bytes(known.keys), _list_bytes(known.labels)
    before = _read_description(layout)
    wanted = {"names_sha256": _sha256(names), "labels_sha256": _sha256(labels)}
    description = _with_kept(layout, before, _describe(known, model, hashing))
    if before != {**description, **_digest_files(layout, description)} or not wanted.items() <= before.items():
        _remove_misleading(layout, before, description)
        write_bytes(layout.labels, labels)
        _write_stored(known, layout, hashes, hashing.n_bits)
        write_bytes(layout.names, names)
        write_json(layout.description, {**description, **_digest_files(layout, description)})
    embeddings = None
    if known.stores.embeddings is not None:
        embeddings = np.load(layout.embeddings, mmap_mode="r", allow_pickle=False)
    return Features(
        listing.dataset,
        known.keys,
        known.labels,
        listing.label_source,
        listing.class_names,
        embeddings,
        hashes,
        known.failures,
        known.identifiers,
    )


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """Write the images that could not be used as CSV: dataset, key, reason."""
    write_csv(path, ("dataset", "key", "reason"), ((one.dataset, one.key, one.reason) for one in failures))


def write_rows(path: Path, blocks: Iterator[NDArray[np.float32]], n_rows: int) -> None:
    """Write blocks of float32 rows, `n_rows` in all, as one `.npy` file."""
    with replaced_file(path) as stream:
        for number, block in enumerate(blocks):
            if number == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, block.shape[1])}
                np.lib.format.write_array_header_1_0(stream, header)
            stream.write(np.ascontiguousarray(block, "<f4").tobytes())


def _write_stored(known: KnownImages, layout: AnalysisLayout, hashes: HashRows | None, n_bits: int) -> None:
    if known.stores.embeddings is not None:
        write_rows(layout.embeddings, known.embedding_blocks(), len(known.rows))
    if hashes is not None:
        write_bytes(layout.hashes, _list_bytes(hashes_to_hex(hashes, n_bits)))


def _list_bytes(values: Sequence[str | None]) -> bytes:
    return (json.dumps(values, ensure_ascii=False) + "\n").encode("utf-8")


def _describe(known: KnownImages, model: ModelInfo | None, hashing: HashConfig) -> dict[str, Any]:
    images = json.dumps([known.keys, known.digests])
    stores = {"embeddings": known.stores.embeddings, "hashes": known.stores.hashes}
    described_hashes = {"hash_type": hashing.hash_type, "hash_size": hashing.hash_size, "recipe": hash_recipe()}
    return {
        "n_images": len(known.rows),
        "images_sha256": _sha256(images.encode("utf-8")),
        "scaled_decode": known.stores.scaled,
        "embeddings": asdict(model) if model is not None and known.stores.embeddings is not None else None,
        "hashes": described_hashes if known.stores.hashes is not None else None,
        "stores": {name: store.folder.name for name, store in stores.items() if store is not None},
    }


def _with_kept(layout: AnalysisLayout, before: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    """Return the description, where it is of the same images as before with the parts that this run does not need."""
    if any(before.get(same) != description[same] for same in ("images_sha256", "scaled_decode")):
        return description
    return {
        key: before.get(key) if key in _stored_files(layout) and not value and _is_kept(layout, key, before) else value
        for key, value in description.items()
    }


def _is_kept(layout: AnalysisLayout, part: str, before: dict[str, Any]) -> bool:
    """Whether the file of a part that this run does not need is what was said of it."""
    digest = digest_if_there(_stored_files(layout)[part])
    return digest is not None and digest == before.get(f"{part}_sha256")


def _stored_files(layout: AnalysisLayout) -> dict[str, Path]:
    return {"embeddings": layout.embeddings, "hashes": layout.hashes}


def _digest_files(layout: AnalysisLayout, description: dict[str, Any]) -> dict[str, str | None]:
    """Return the digest of each exported file as it is on the disk; None for one that is missing or not described."""
    stored = {part: path for part, path in _stored_files(layout).items() if description[part]}
    files = {"names": layout.names, "labels": layout.labels, **stored}
    digests = {part: digest_if_there(path) for part, path in files.items()}
    return {f"{part}_sha256": digests.get(part) for part in ("names", "labels", "embeddings", "hashes")}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read_description(layout: AnalysisLayout) -> dict[str, Any]:
    """Return what `features.json` says, or nothing where it is missing or unreadable: then all is written anew."""
    try:
        content = json.loads(layout.description.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _remove_misleading(layout: AnalysisLayout, before: dict[str, Any], description: dict[str, Any]) -> None:
    """Remove the description, and the files it spoke of if their rows are those of other images.

    A file that no description speaks of may be somebody's own; it stays, and nothing here will read it.
    """
    layout.description.unlink(missing_ok=True)
    if before.get("images_sha256") == description["images_sha256"]:
        return
    layout.names.unlink(missing_ok=True)
    for part, path in (("embeddings", layout.embeddings), ("hashes", layout.hashes)):
        if before.get(part) and path.exists():
            path.unlink()
            if not description[part]:
                LOG.warning("%s held rows of other images and is removed", path)
