"""The documented files of one dataset, made from its feature store: embeddings, names, labels, hashes, failures.

The rows of `embeddings.npy`, `names.json`, `labels.json` and `hashes.json` belong together. Where a run makes other
rows than an earlier one and does not need one of these files, the earlier file would mislead and is removed.
"""

import csv
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import replaced_file, replaced_text, write_json, write_text
from overlens.features import KnownImages
from overlens.fewshot import Split
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.records import Failure, Features
from overlens.transfer import Transfer

LOG = logging.getLogger(__name__)


def export_features(known: KnownImages, layout: AnalysisLayout, n_bits: int) -> Features:
    """Write the documented feature files of one dataset and return its features, embeddings memory-mapped."""
    _remove_misleading(layout, known)
    _write_list(layout.names, known.keys)
    _write_list(layout.labels, known.labels)
    hashes = known.hash_rows()
    if hashes is not None:
        _write_hashes(layout.hashes, hashes, n_bits)
    embeddings = None
    if known.stores.embeddings is not None:
        write_rows(layout.embeddings, known.embedding_blocks(), len(known.rows))
        embeddings = np.load(layout.embeddings, mmap_mode="r", allow_pickle=False)
    listing = known.listing
    return Features(
        listing.dataset,
        known.keys,
        known.labels,
        listing.label_source,
        listing.class_names,
        embeddings,
        hashes,
        known.failures,
    )


def export_splits(splits: Sequence[Split], features: Features, layout: AnalysisLayout) -> None:
    """Write each split as JSON, and its embedding rows in the order of its names as `.npy`."""
    embeddings = features.require_embeddings()
    for split in splits:
        place = split.strategy, split.k_shot, split.requested_n_classes, split.seed
        write_json(layout.split(*place), split.to_json())
        write_rows(layout.split_embeddings(*place), iter([embeddings[split.rows]]), len(split.rows))


def export_transfer(transfer: Transfer, layout: CrossLayout) -> None:
    """Write the generalization from one dataset to another as JSON."""
    write_json(layout.transfer(transfer.source.dataset, transfer.target.dataset, "json"), transfer.to_json())


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """Write the images that could not be used as CSV: dataset, key, reason."""
    with replaced_text(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["dataset", "key", "reason"])
        writer.writerows([failure.dataset, failure.key, failure.reason] for failure in failures)


def write_rows(path: Path, blocks: Iterator[NDArray[np.float32]], n_rows: int) -> None:
    """Write blocks of float32 rows, `n_rows` in all, as one `.npy` file."""
    with replaced_file(path) as stream:
        for number, block in enumerate(blocks):
            if number == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, block.shape[1])}
                np.lib.format.write_array_header_1_0(stream, header)
            stream.write(np.ascontiguousarray(block, "<f4").tobytes())


def _write_list(path: Path, values: Sequence[str | None]) -> None:
    write_text(path, json.dumps(values, ensure_ascii=False) + "\n")


def _write_hashes(path: Path, hashes: NDArray[np.uint8], n_bits: int) -> None:
    from overlens.hashes import hashes_to_hex

    _write_list(path, hashes_to_hex(hashes, n_bits))


def _remove_misleading(layout: AnalysisLayout, known: KnownImages) -> None:
    """Remove aligned files of an earlier run whose rows are not the rows of this one."""
    if _read_names(layout.names) == list(known.keys):
        return
    for path, needed in ((layout.embeddings, known.stores.embeddings), (layout.hashes, known.stores.hashes)):
        if needed is None and path.exists():
            LOG.warning("%s belonged to another list of images and is removed", path)
            path.unlink()


def _read_names(path: Path) -> list[str] | None:
    try:
        names: list[str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return names
