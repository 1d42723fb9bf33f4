"""Features of one dataset: those known from earlier runs, and the rest computed now.

A file whose stamp the stores know is not opened; a file with a new stamp and known bytes is read, not decoded. Images
whose files are new to the same stores are cut into shards in listing order, so that the shards of a run that was killed
and started again are those of an undisturbed one.

Shapes: n images listed, k of them kept, d dimensions, b bytes of a packed hash.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.config import HashConfig
from overlens.encoders.base import LoadedEncoder
from overlens.engines import Engine
from overlens.extract import Extractor, ShardFeatures, ShardTask
from overlens.hashes import hash_recipe
from overlens.progress import Stage
from overlens.records import Failure, Listing
from overlens.store import FeatureStore, ShardRecord, Stamp, make_stamp

LOG = logging.getLogger(__name__)
SHARD_IMAGES = 256
DECODER_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one dataset that a run needs; None where the feature is not needed."""

    hashes: FeatureStore | None
    embeddings: FeatureStore | None

    @classmethod
    def open(cls, folder: Path, hashing: HashConfig | None, encoder: LoadedEncoder | None) -> "Stores":
        """Open or plan the stores of one dataset under `folder`."""
        hashes = embeddings = None
        if hashing is not None:
            name = f"{hashing.hash_type}-{hashing.hash_size}"
            facts = {"hash": name, "recipe": hash_recipe(), "decoder": DECODER_VERSION}
            hashes = FeatureStore.open(folder, name, facts)
        if encoder is not None:
            embeddings = FeatureStore.open(folder, "embedding", {**encoder.fingerprint, "decoder": DECODER_VERSION})
        return cls(hashes, embeddings)

    def needed(self) -> tuple[FeatureStore, ...]:
        """The stores that exist for this run."""
        return tuple(store for store in (self.hashes, self.embeddings) if store is not None)

    def missing(self, stamp: Stamp) -> tuple[bool, bool]:
        """Whether the file is new to the store of hashes, and to that of embeddings."""
        return (
            self.hashes is not None and stamp not in self.hashes,
            self.embeddings is not None and stamp not in self.embeddings,
        )


@dataclass(frozen=True, slots=True)
class KnownImages:
    """Images of one dataset whose needed features all exist, in listing order, and where to find them."""

    listing: Listing
    rows: tuple[int, ...]
    stamps: tuple[Stamp, ...]
    digests: tuple[str, ...]
    failures: tuple[Failure, ...]
    n_read: int
    stores: Stores

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the kept images."""
        return tuple(self.listing.keys[row] for row in self.rows)

    @property
    def labels(self) -> tuple[str | None, ...]:
        """Class ids of the kept images."""
        return tuple(self.listing.labels[row] for row in self.rows)

    def hash_rows(self) -> NDArray[np.uint8] | None:
        """`(k, b)` packed hashes of the kept images, or None if none were asked for."""
        return None if self.stores.hashes is None else np.concatenate(list(self.stores.hashes.gather(self.stamps)))

    def embedding_blocks(self) -> Iterator[NDArray[np.float32]]:
        """Embedding rows of the kept images, a bounded number at a time."""
        return iter(()) if self.stores.embeddings is None else self.stores.embeddings.gather(self.stamps)


def compute_features(
    listing: Listing, stores: Stores, extractor: Extractor, engine: Engine, stage: Stage
) -> KnownImages:
    """Compute what the stores miss of the listed images, and tell which images now have all that is needed."""
    stamps, failed = _stamp_files(listing)
    tasks = plan_tasks(listing, stores, stamps)
    n_missing = sum(len(task.keys) for task in tasks)
    stage.advance(cached=len(stamps) - n_missing, failed=len(failed))
    LOG.debug("%s: %d files to read in %d shards", listing.dataset, n_missing, len(tasks))
    extractor.watch = stage.begin
    for outcome in engine.map(extractor, tasks):
        shard = outcome.unwrap()
        _commit(stores.hashes, shard.hashes, shard)
        _commit(stores.embeddings, shard.embeddings, shard)
        failed |= {failure.key: failure for failure in shard.unreadable}
        n_bad = _count_failed(shard)
        stage.advance(len(outcome.task.keys) - n_bad, failed=n_bad)
    return _select_known(listing, stores, stamps, failed, n_missing)


def plan_tasks(listing: Listing, stores: Stores, stamps: Mapping[str, Stamp]) -> list[ShardTask]:
    """Cut the images that miss the same features into shards, in listing order."""
    rows_by_need: dict[tuple[bool, bool], list[int]] = {}
    for row, key in enumerate(listing.keys):
        if key in stamps:
            rows_by_need.setdefault(stores.missing(stamps[key]), []).append(row)
    rows_by_need.pop((False, False), None)
    return [
        _task(listing, stores, rows[start : start + SHARD_IMAGES], need)
        for need, rows in sorted(rows_by_need.items())
        for start in range(0, len(rows), SHARD_IMAGES)
    ]


def _task(listing: Listing, stores: Stores, rows: Sequence[int], need: tuple[bool, bool]) -> ShardTask:
    keys = tuple(listing.keys[row] for row in rows)
    known = [
        {key: digests for key in keys if (digests := store.digests_of(key))} if store is not None and is_new else {}
        for store, is_new in zip((stores.hashes, stores.embeddings), need, strict=True)
    ]
    return ShardTask(listing.dataset, keys, tuple(listing.paths[row] for row in rows), *need, *known)


def _commit(store: FeatureStore | None, record: ShardRecord | None, shard: ShardFeatures) -> None:
    if store is None:
        return
    if record is not None:
        store.write(record)
    keys, digests, stamps = zip(*shard.seen, strict=True) if shard.seen else ((), (), ())
    store.renew(keys, digests, stamps)


def _count_failed(shard: ShardFeatures) -> int:
    record = shard.embeddings or shard.hashes
    return len(shard.unreadable) + (sum(map(bool, record.reasons)) if record is not None else 0)


def _stamp_files(listing: Listing) -> tuple[dict[str, Stamp], dict[str, Failure]]:
    stamps: dict[str, Stamp] = {}
    failed: dict[str, Failure] = {}
    for key, path in zip(listing.keys, listing.paths, strict=True):
        try:
            stamps[key] = make_stamp(path, key, path.stat())
        except OSError as error:
            failed[key] = Failure(listing.dataset, key, f"cannot be read: {error.strerror or error}")
    return stamps, failed


def _select_known(
    listing: Listing, stores: Stores, stamps: Mapping[str, Stamp], failed: dict[str, Failure], n_read: int
) -> KnownImages:
    rows: list[int] = []
    digests: list[str] = []
    for row, key in enumerate(listing.keys):
        if key in failed:
            continue
        reason, digest = _verdict(stores, stamps[key])
        if reason:
            failed[key] = Failure(listing.dataset, key, reason)
        else:
            rows.append(row)
            digests.append(digest)
    ordered = [failed[key] for key in listing.keys if key in failed]
    kept = tuple(stamps[listing.keys[row]] for row in rows)
    failures = (*listing.failures, *ordered)
    return KnownImages(listing, tuple(rows), kept, tuple(digests), failures, n_read, stores)


def _verdict(stores: Stores, stamp: Stamp) -> tuple[str, str]:
    """Why the image cannot be used ("" if it can), and the digest of its bytes."""
    digest = ""
    for store in stores.needed():
        if stamp not in store:
            return "it changed while it was being read; run again", ""
        entry = store.entry(stamp)
        if entry.reason:
            return entry.reason, entry.digest
        digest = entry.digest
    return "", digest
