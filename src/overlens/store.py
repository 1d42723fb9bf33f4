"""Features on disk: what was computed once is never computed again.

A store holds one kind of feature (one perceptual hash, or one encoder's embedding) of one dataset, in shards. A shard
is a folder named by a fingerprint of everything that changes its values: the feature's own fingerprint (resolved
model, weights digest, precision, preprocessing, hash type and size, format version) and each image's key and source
bytes. It holds `rows.npy`, one row a kept image, and `images.parquet`, one line an attempted image, failures included.
A shard appears by one rename, so existence means complete.

An image counts as known while its key, size and modification time are those stored; its file is not opened then.

Shapes: n images of a shard, k of them kept, w values in a row.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import new_folder, remove_partials
from overlens.errors import StoreError

FORMAT_VERSION = 1
GATHER_ROWS = 4096


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells an unchanged file without opening it."""

    key: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One shard before it is written: columns over its images, and the rows of those that were kept.

    Attributes:
        stamps: Key, size and modification time of each of the n images, as they were when it was read.
        digests: SHA-256 of each file's bytes in hexadecimal, or "" where it could not be read.
        sizes_px: (width, height) of each decoded image, or (0, 0).
        reasons: Why the image failed, or "" for a kept one.
        rows: `(k, w)` float32 or uint8, one row for each kept image, in order.
    """

    stamps: tuple[FileStamp, ...]
    digests: tuple[str, ...]
    sizes_px: tuple[tuple[int, int], ...]
    reasons: tuple[str, ...]
    rows: NDArray[Any]

    def __post_init__(self) -> None:
        lengths = {len(self.stamps), len(self.digests), len(self.sizes_px), len(self.reasons)}
        n_kept = sum(not reason for reason in self.reasons)
        if len(lengths) != 1 or self.rows.ndim != 2 or len(self.rows) != n_kept:
            raise ValueError(
                f"shard columns {sorted(lengths)}, kept {n_kept}, rows {self.rows.shape} do not fit together"
            )


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the feature of one known image stands; `row` is -1 and `reason` says why where it failed."""

    shard: str
    row: int
    digest: str
    reason: str


@dataclass(slots=True)
class FeatureStore:
    """Shards of one feature of one dataset under `folder`.

    Args:
        folder: The store's own folder; it is made when the first shard is written.
        fingerprint: Everything that changes the values, apart from the image itself.
    """

    folder: Path
    fingerprint: Mapping[str, str]
    _entries: dict[FileStamp, Entry] = field(default_factory=dict, init=False)

    @classmethod
    def open(cls, parent: Path, name: str, fingerprint: Mapping[str, str]) -> "FeatureStore":
        """Open the store of one feature below `parent`: its folder is named by `name` and the fingerprint."""
        complete = {"format": str(FORMAT_VERSION), **fingerprint}
        store = cls(parent / f"{name}-{_digest(json.dumps(complete, sort_keys=True))[:12]}", complete)
        store._load()
        return store

    def __contains__(self, stamp: FileStamp) -> bool:
        return stamp in self._entries

    def __getitem__(self, stamp: FileStamp) -> Entry:
        return self._entries[stamp]

    def write(self, record: ShardRecord) -> None:
        """Commit one shard."""
        name = self._shard_name(record)
        path = self.folder / name
        if not path.exists():
            with new_folder(path) as partial:
                np.save(partial / "rows.npy", record.rows, allow_pickle=False)
                _write_images(partial / "images.parquet", record)
        self._index(name, record.stamps, record.digests, record.reasons)

    def gather(self, stamps: Sequence[FileStamp]) -> Iterator[NDArray[Any]]:
        """Yield the rows of kept images in the order of `stamps`, a bounded number at a time."""
        shards: dict[str, NDArray[Any]] = {}
        for start in range(0, len(stamps), GATHER_ROWS):
            entries = [self._entries[stamp] for stamp in stamps[start : start + GATHER_ROWS]]
            shards = {name: shards[name] if name in shards else self._rows(name) for name in {e.shard for e in entries}}
            yield np.stack([shards[entry.shard][entry.row] for entry in entries])

    def _rows(self, shard: str) -> NDArray[Any]:
        path = self.folder / shard / "rows.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is damaged ({error}); delete {path.parent} and run again") from error

    def _shard_name(self, record: ShardRecord) -> str:
        images = [[stamp.key, digest] for stamp, digest in zip(record.stamps, record.digests, strict=True)]
        return _digest(json.dumps([self.fingerprint, images], sort_keys=True))[:24]

    def _load(self) -> None:
        remove_partials(self.folder)
        for path in sorted(self.folder.glob("*/images.parquet")):
            stamps, digests, reasons = _read_images(path)
            self._index(path.parent.name, stamps, digests, reasons)

    def _index(self, shard: str, stamps: Sequence[FileStamp], digests: Sequence[str], reasons: Sequence[str]) -> None:
        row = 0
        for stamp, digest, reason in zip(stamps, digests, reasons, strict=True):
            self._entries[stamp] = Entry(shard, -1 if reason else row, digest, reason)
            row += not reason


def stamp_file(path: Path, key: str) -> FileStamp:
    """Look up size and modification time of a file; raises OSError where there is none."""
    status = path.stat()
    return FileStamp(key, status.st_size, status.st_mtime_ns)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _write_images(path: Path, record: ShardRecord) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "key": pa.array([stamp.key for stamp in record.stamps], pa.string()),
        "size_bytes": pa.array([stamp.size_bytes for stamp in record.stamps], pa.int64()),
        "mtime_ns": pa.array([stamp.mtime_ns for stamp in record.stamps], pa.int64()),
        "sha256": pa.array(record.digests, pa.string()),
        "width": pa.array([width for width, _ in record.sizes_px], pa.int32()),
        "height": pa.array([height for _, height in record.sizes_px], pa.int32()),
        "reason": pa.array(record.reasons, pa.string()),
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


def _read_images(path: Path) -> tuple[list[FileStamp], list[str], list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["key", "size_bytes", "mtime_ns", "sha256", "reason"]).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged ({error}); delete {path.parent} and run again") from error
    stamps = map(FileStamp, table["key"], table["size_bytes"], table["mtime_ns"])
    return list(stamps), table["sha256"], table["reason"]
