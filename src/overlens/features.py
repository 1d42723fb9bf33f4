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
from overlens.decode import SCALED_SIDE_PX
from overlens.encoders.base import LoadedEncoder
from overlens.engines import Engine
from overlens.evidence import ROW_BYTES, Evidence, evidence_fingerprint
from overlens.extract import EMBEDDING, EVIDENCE, HASH, Extractor, ShardFeatures, ShardTask
from overlens.hashes.compute import hash_recipe
from overlens.progress import Stage
from overlens.records import Failure, Listing
from overlens.store.blobs import Blobs
from overlens.store.shards import FeatureStore, ShardRecord, Stamp, make_stamp

LOG = logging.getLogger(__name__)
SHARD_IMAGES = 256


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one dataset that a run needs.

    Attributes:
        by_feature: Feature -> its store, in the order of `FEATURES`.
        scaled: Whether the features are of pixels that were decoded at a fraction of their size.
    """

    by_feature: Mapping[str, FeatureStore]
    scaled: bool = False

    @classmethod
    def open(
        cls,
        folder: Path,
        hashing: HashConfig | None,
        encoder: LoadedEncoder | None,
        *,
        evidence: bool = False,
        scaled: bool = False,
    ) -> "Stores":
        """Open or plan the stores of one dataset under `folder`: those of the features that are asked for.

        Features of scaled pixels are other features, in other stores.
        """
        names_and_facts: dict[str, tuple[str, dict[str, str]]] = {}
        if hashing is not None:
            name = f"{hashing.hash_type}-{hashing.hash_size}"
            names_and_facts[HASH] = name, {"hash": name, "recipe": hash_recipe()}
        if encoder is not None:
            names_and_facts[EMBEDDING] = "embedding", dict(encoder.fingerprint)
        if evidence:
            names_and_facts[EVIDENCE] = "evidence", evidence_fingerprint()
        return cls(
            {
                feature: FeatureStore.open(folder, name, {**facts, "decoder": decoder_version(scaled=scaled)})
                for feature, (name, facts) in names_and_facts.items()
            },
            scaled,
        )

    @property
    def hashes(self) -> FeatureStore | None:
        """The store of the perceptual hash."""
        return self.by_feature.get(HASH)

    @property
    def embeddings(self) -> FeatureStore | None:
        """The store of the embeddings."""
        return self.by_feature.get(EMBEDDING)

    @property
    def evidence(self) -> FeatureStore | None:
        """The store of the evidence and renditions."""
        return self.by_feature.get(EVIDENCE)

    def needed(self) -> tuple[FeatureStore, ...]:
        """The stores that exist for this run."""
        return tuple(self.by_feature.values())

    def missing(self, stamp: Stamp) -> tuple[str, ...]:
        """The features whose stores the file is new to."""
        return tuple(feature for feature, store in self.by_feature.items() if stamp not in store)


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

    @property
    def identifiers(self) -> tuple[str | None, ...] | None:
        """Value of the stated identifier column of the kept images, or None where there is no such column."""
        column = self.listing.identifiers
        return None if column is None else tuple(column[row] for row in self.rows)

    def hash_rows(self) -> NDArray[np.uint8] | None:
        """`(k, b)` packed hashes of the kept images, or None if none were asked for."""
        return None if self.stores.hashes is None else np.concatenate(list(self.stores.hashes.gather(self.stamps)))

    def evidence(self) -> Evidence:
        """Evidence of the kept images; raises ValueError if none was asked for."""
        blocks = list(self._evidence_store().gather(self.stamps))
        return Evidence.from_rows(np.concatenate(blocks) if blocks else np.empty((0, ROW_BYTES), np.uint8))

    def renditions(self) -> Blobs:
        """Where the renditions of the kept images are: `get(i)` gives image i's, for `evidence.read_rendition`.

        Raises:
            ValueError: No evidence was asked for.
        """
        return self._evidence_store().locate(self.stamps)

    def embedding_blocks(self) -> Iterator[NDArray[np.float32]]:
        """Embedding rows of the kept images, a bounded number at a time."""
        return iter(()) if self.stores.embeddings is None else self.stores.embeddings.gather(self.stamps)

    def _evidence_store(self) -> FeatureStore:
        if self.stores.evidence is None:
            raise ValueError(f"{self.listing.dataset} has no evidence")
        return self.stores.evidence


def decoder_version(*, scaled: bool) -> str:
    """Return what changes when the same file may give other pixels; it belongs in fingerprints."""
    return f"1, JPEG at 1/8, 1/4 or 1/2 with {SCALED_SIDE_PX} px or more" if scaled else "1"


def compute_features(
    listing: Listing, stores: Stores, extractor: Extractor, engine: Engine, stage: Stage
) -> KnownImages:
    """Compute what the stores miss of the listed images, and tell which images now have all that is needed."""
    stamps, failed = _stamp_files(listing)
    tasks = plan_tasks(listing, stores, stamps)
    n_missing = sum(len(task.keys) for task in tasks)
    stage.advance(cached=len(stamps) - n_missing, failed=len(listing.failures) + len(failed))
    LOG.debug("%s: %d files to read in %d shards", listing.dataset, n_missing, len(tasks))
    extractor.watch = stage.begin
    for outcome in engine.map(extractor, tasks):
        shard = outcome.unwrap()
        for feature, store in stores.by_feature.items():
            _commit(store, shard.records.get(feature), shard)
        failed |= {failure.key: failure for failure in shard.unreadable}
        n_bad = _count_failed(shard)
        stage.advance(len(outcome.task.keys) - n_bad, failed=n_bad)
    return _select_known(listing, stores, stamps, failed, n_missing)


def plan_tasks(listing: Listing, stores: Stores, stamps: Mapping[str, Stamp]) -> list[ShardTask]:
    """Cut the images that miss the same features into shards, in listing order."""
    rows_by_need: dict[tuple[str, ...], list[int]] = {}
    for row, key in enumerate(listing.keys):
        if key in stamps:
            rows_by_need.setdefault(stores.missing(stamps[key]), []).append(row)
    rows_by_need.pop((), None)
    return [
        _task(listing, stores, rows[start : start + SHARD_IMAGES], need)
        for need, rows in sorted(rows_by_need.items())
        for start in range(0, len(rows), SHARD_IMAGES)
    ]


def _task(listing: Listing, stores: Stores, rows: Sequence[int], wanted: tuple[str, ...]) -> ShardTask:
    keys = tuple(listing.keys[row] for row in rows)
    known = {
        feature: {key: digests for key in keys if (digests := stores.by_feature[feature].digests_of(key))}
        for feature in wanted
    }
    return ShardTask(listing.dataset, keys, tuple(listing.paths[row] for row in rows), wanted, known)


def _commit(store: FeatureStore, record: ShardRecord | None, shard: ShardFeatures) -> None:
    if record is not None:
        store.write(record)
    keys, digests, stamps = zip(*shard.seen, strict=True) if shard.seen else ((), (), ())
    store.renew(keys, digests, stamps)


def _count_failed(shard: ShardFeatures) -> int:
    refused = {
        key
        for record in shard.records.values()
        for key, reason in zip(record.keys, record.reasons, strict=True)
        if reason
    }
    return len(shard.unreadable) + len(refused)


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
