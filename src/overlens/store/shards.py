"""Features on disk: what was computed once is never computed again.

A store holds one kind of feature (one perceptual hash, or one encoder's embedding) of one dataset, in shards. A shard
is a folder named by a fingerprint of everything that changes its values: the feature's own fingerprint (resolved
model, weights digest, precision, preprocessing, hash recipe and size, format version) and each image's key and source
bytes. It appears by one rename, so existence means complete, and holds

* `rows.npy`: one row for each kept image;
* `images.parquet`: one line for each attempted image, failures included: key, SHA-256, width, height, reason;
* `blobs.bin` and `blobs.npy`, for a feature that has them: bytes of any length for each kept image, one behind the
  other, and for each where it ends and its CRC-32;
* `stamps.npy`: for each of the attempted images a stamp of the file it was read from (path, size, times of change).

An image whose file has a known stamp is not opened. Where the stamp is new but key and bytes are known (a file that was
touched, a folder that was moved), the image is read, not decoded, and gets its new stamp. A store may be deleted at any
time; what is needed is computed again.

Shapes: n images of a shard, k of them kept, w values in a row.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import new_folder, remove_partials, replaced_file
from overlens.errors import StoreError
from overlens.store.blobs import Blobs, named_if_damaged, read_extents, write_blobs

FORMAT_VERSION = 2
GATHER_ROWS = 4096
STAMP_BYTES = 16
SLOT_BITS = 24

Stamp = bytes


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One shard before it is written: columns over its images, and the rows of those that were kept.

    Attributes:
        keys: Key of each of the n images.
        stamps: Stamp of each file, as it was when it was read.
        digests: SHA-256 of each file's bytes in hexadecimal.
        sizes_px: (width, height) of each decoded image, or (0, 0).
        reasons: Why the image failed, or "" for a kept one.
        rows: `(k, w)` float32 or uint8, one row for each kept image, in order.
        blobs: Bytes of each kept image, in order, or None for a feature without such.
    """

    keys: tuple[str, ...]
    stamps: tuple[Stamp, ...]
    digests: tuple[str, ...]
    sizes_px: tuple[tuple[int, int], ...]
    reasons: tuple[str, ...]
    rows: NDArray[Any]
    blobs: tuple[bytes, ...] | None = None

    def __post_init__(self) -> None:
        columns = self.keys, self.stamps, self.digests, self.sizes_px, self.reasons
        lengths = {len(column) for column in columns}
        n_kept = sum(not reason for reason in self.reasons)
        if len(lengths) != 1 or self.rows.ndim != 2 or len(self.rows) != n_kept:
            raise ValueError(f"shard columns {sorted(lengths)}, kept {n_kept}, rows {self.rows.shape} do not fit")
        if self.blobs is not None and len(self.blobs) != n_kept:
            raise ValueError(f"{len(self.blobs)} blobs and {n_kept} kept images do not fit")


@dataclass(frozen=True, slots=True)
class Entry:
    """The feature of one known image: `row` is -1 and `reason` says why where it failed."""

    shard: str
    row: int
    digest: str
    reason: str


@dataclass(slots=True)
class _Shard:
    """What is kept in memory of one shard: columns over its n images."""

    name: str
    digests: NDArray[np.bytes_]
    rows: NDArray[np.int32]
    reasons: dict[int, str]
    stamps: NDArray[np.uint8]


@dataclass(slots=True)
class FeatureStore:
    """Shards of one feature of one dataset under `folder`, which is made when the first shard is written.

    Args:
        folder: The store's own folder.
        fingerprint: Everything that changes the values, apart from the image itself.
    """

    folder: Path
    fingerprint: Mapping[str, str]
    _shards: list[_Shard] = field(default_factory=list, init=False)
    _slots: dict[Stamp, int] = field(default_factory=dict, init=False)
    _by_key: dict[str, list[int]] | None = field(default=None, init=False)

    @classmethod
    def open(cls, parent: Path, name: str, fingerprint: Mapping[str, str]) -> "FeatureStore":
        """Open the store of one feature below `parent`: its folder is named by `name` and the fingerprint."""
        complete = {"format": str(FORMAT_VERSION), **fingerprint}
        store = cls(parent / f"{name}-{_digest(json.dumps(complete, sort_keys=True))[:12]}", complete)
        remove_partials(store.folder)
        for path in sorted(store.folder.glob("*/")):
            store._add(_read_shard(path))
        return store

    def __contains__(self, stamp: Stamp) -> bool:
        return stamp in self._slots

    def entry(self, stamp: Stamp) -> Entry:
        """Return what is known of the image whose file has `stamp`; raises KeyError if nothing is."""
        shard, place = self._locate(self._slots[stamp])
        row = int(shard.rows[place])
        return Entry(shard.name, row, shard.digests[place].decode(), shard.reasons.get(place, ""))

    def digests_of(self, key: str) -> frozenset[str]:
        """SHA-256 of every file that was known under `key`, in hexadecimal."""
        located = map(self._locate, self._slots_of(key))
        return frozenset(shard.digests[place].decode() for shard, place in located)

    def write(self, record: ShardRecord) -> None:
        """Commit one shard; of one that is there already only the stamps are renewed."""
        images = [[key, digest] for key, digest in zip(record.keys, record.digests, strict=True)]
        name = _digest(json.dumps([self.fingerprint, images], sort_keys=True))[:24]
        path = self.folder / name
        if path.exists():
            self.renew(record.keys, record.digests, record.stamps)
            return
        with new_folder(path) as partial:
            np.save(partial / "rows.npy", record.rows, allow_pickle=False)
            np.save(partial / "stamps.npy", _stack_stamps(record.stamps), allow_pickle=False)
            if record.blobs is not None:
                write_blobs(partial, record.blobs)
            _write_images(partial / "images.parquet", record)
        self._add(_read_shard(path))

    def renew(self, keys: Sequence[str], digests: Sequence[str], stamps: Sequence[Stamp]) -> None:
        """Give images that are known by key and bytes, but not by stamp, their new stamp; others are left alone."""
        touched: dict[int, _Shard] = {}
        for key, digest, stamp in zip(keys, digests, stamps, strict=True):
            for slot in () if stamp in self._slots else self._slots_of(key):
                shard, place = self._locate(slot)
                if shard.digests[place].decode() == digest:
                    self._slots.pop(shard.stamps[place].tobytes(), None)
                    shard.stamps[place] = np.frombuffer(stamp, np.uint8)
                    self._slots[stamp] = slot
                    touched[slot >> SLOT_BITS] = shard
                    break
        for shard in touched.values():
            with replaced_file(self.folder / shard.name / "stamps.npy") as stream:
                np.save(stream, shard.stamps, allow_pickle=False)

    def gather(self, stamps: Sequence[Stamp]) -> Iterator[NDArray[Any]]:
        """Yield the rows of kept images in the order of `stamps`, a bounded number at a time.

        An image that failed has no row and must not be among them.
        """
        for start in range(0, len(stamps), GATHER_ROWS):
            slots = [self._slots[stamp] for stamp in stamps[start : start + GATHER_ROWS]]
            yield self._take(np.array(slots, np.int64))

    def locate(self, stamps: Sequence[Stamp]) -> Blobs:
        """Tell where the blobs of kept images are, in the order of `stamps`; the feature must have blobs."""
        slots = np.array([self._slots[stamp] for stamp in stamps], np.int64)
        places = slots & ((1 << SLOT_BITS) - 1)
        numbers, shards = np.unique(slots >> SLOT_BITS, return_inverse=True)
        extents = np.empty((len(slots), 3), np.int64)
        for index, number in enumerate(numbers):
            shard, wanted = self._shards[number], shards == index
            extents[wanted] = read_extents(self.folder / shard.name)[shard.rows[places[wanted]]]
        return Blobs(tuple(self.folder / self._shards[number].name for number in numbers), shards, extents)

    def remove(self) -> None:
        """Delete the store; rows that `gather` has given stay good."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._shards, self._slots, self._by_key = [], {}, None

    def _take(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        numbers = slots >> SLOT_BITS
        block: NDArray[Any] | None = None
        for number in np.unique(numbers):
            shard, wanted = self._shards[number], numbers == number
            rows = _open_rows(self.folder / shard.name)
            if block is None:
                block = np.empty((len(slots), rows.shape[1]), rows.dtype)
            places = slots[wanted] & ((1 << SLOT_BITS) - 1)
            block[wanted] = rows[shard.rows[places]]
        if block is None:
            raise ValueError("no rows were asked for")
        return block

    def _add(self, read: tuple[_Shard, list[str]]) -> None:
        shard, keys = read
        base = len(self._shards) << SLOT_BITS
        self._shards.append(shard)
        for place, stamp in enumerate(shard.stamps):
            self._slots[stamp.tobytes()] = base + place
        if self._by_key is not None:
            for place, key in enumerate(keys):
                self._by_key.setdefault(key, []).append(base + place)

    def _locate(self, slot: int) -> tuple[_Shard, int]:
        return self._shards[slot >> SLOT_BITS], slot & ((1 << SLOT_BITS) - 1)

    def _slots_of(self, key: str) -> list[int]:
        if self._by_key is None:
            self._by_key = {}
            for number, shard in enumerate(self._shards):
                for place, one in enumerate(_read_table(self.folder / shard.name, ["key"])["key"]):
                    self._by_key.setdefault(one, []).append((number << SLOT_BITS) + place)
        return self._by_key.get(key, [])


def make_stamp(path: Path, key: str, status: os.stat_result) -> Stamp:
    """Return what tells an unchanged file without opening it: a digest of key, place, size and times of change."""
    facts = [key, os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns]  # noqa: PTH100 - cheap
    return hashlib.blake2b(_encode(json.dumps(facts)), digest_size=STAMP_BYTES).digest()


def _digest(text: str) -> str:
    return hashlib.sha256(_encode(text)).hexdigest()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _stack_stamps(stamps: Sequence[Stamp]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(stamps), np.uint8).reshape(-1, STAMP_BYTES)


def _write_images(path: Path, record: ShardRecord) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "key": pa.array(record.keys, pa.string()),
        "sha256": pa.array(record.digests, pa.string()),
        "width": pa.array([width for width, _ in record.sizes_px], pa.int32()),
        "height": pa.array([height for _, height in record.sizes_px], pa.int32()),
        "reason": pa.array(record.reasons, pa.string()),
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


def _read_shard(folder: Path) -> tuple[_Shard, list[str]]:
    table = _read_table(folder, ["key", "sha256", "reason"])
    reasons = {place: reason for place, reason in enumerate(table["reason"]) if reason}
    is_kept = np.array([not reason for reason in table["reason"]], np.bool_)
    rows = np.where(is_kept, np.cumsum(is_kept) - 1, -1).astype(np.int32)
    with named_if_damaged(folder / "stamps.npy") as path:
        stamps = np.load(path, allow_pickle=False)
    digests = np.array(table["sha256"], "S64")
    if stamps.shape != (len(digests), STAMP_BYTES) or stamps.dtype != np.uint8:
        raise StoreError(f"{folder} is damaged (stamps of shape {stamps.shape}); delete it and run again")
    return _Shard(folder.name, digests, rows, reasons, stamps), table["key"]


def _open_rows(folder: Path) -> NDArray[Any]:
    with named_if_damaged(folder / "rows.npy") as path:
        rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return rows


def _read_table(folder: Path, columns: list[str]) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq

    with named_if_damaged(folder / "images.parquet") as path:
        # `read_table` would load pandas, where it is installed, which takes longer than many shards.
        table: dict[str, list[Any]] = pq.ParquetFile(path).read(columns).to_pydict()
    return table
