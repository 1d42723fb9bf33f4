"""Features are stored in shards and found again by key, size and modification time."""

from pathlib import Path

import numpy as np
import pytest

from overlens.errors import StoreError
from overlens.store import FeatureStore, FileStamp, ShardRecord, stamp_file

FACTS = {"hash_type": "phash", "hash_size": "8"}


def record(keys: list[str], *, failed: tuple[str, ...] = (), width: int = 8) -> ShardRecord:
    kept = [key for key in keys if key not in failed]
    rows = np.array([[ord(key[0])] * width for key in kept], np.uint8).reshape(-1, width)
    return ShardRecord(
        tuple(FileStamp(key, 10, 20) for key in keys),
        tuple(f"digest of {key}" for key in keys),
        tuple((4, 3) for _ in keys),
        tuple("broken" if key in failed else "" for key in keys),
        rows,
    )


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a", "b", "c"], failed=("b",)))
    store.write(record(["d"]))
    again = FeatureStore.open(tmp_path, "phash", FACTS)
    wanted = [FileStamp(key, 10, 20) for key in "dca"]
    rows = np.concatenate(list(again.gather(wanted)))
    assert rows[:, 0].tolist() == [ord("d"), ord("c"), ord("a")]
    assert again[FileStamp("b", 10, 20)].reason == "broken"


@pytest.mark.parametrize(
    "stamp", [FileStamp("a", 11, 20), FileStamp("a", 10, 21), FileStamp("A", 10, 20)], ids=["size", "time", "key"]
)
def test_a_changed_file_is_not_known(tmp_path: Path, stamp: FileStamp):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a"]))
    assert FileStamp("a", 10, 20) in store
    assert stamp not in store


def test_another_fingerprint_is_another_store(tmp_path: Path):
    FeatureStore.open(tmp_path, "phash", FACTS).write(record(["a"]))
    assert FileStamp("a", 10, 20) not in FeatureStore.open(tmp_path, "phash", {**FACTS, "hash_size": "16"})


def test_shard_names_follow_the_bytes_of_the_images(tmp_path: Path):
    first, second = (FeatureStore.open(tmp_path / name, "phash", FACTS) for name in "ab")
    first.write(record(["a", "b"]))
    second.write(record(["a", "b"]))
    names = [sorted(path.name for path in store.folder.iterdir()) for store in (first, second)]
    assert names[0] == names[1]
    changed = record(["a", "b"])
    second.write(ShardRecord(changed.stamps, ("other", "digest of b"), changed.sizes_px, changed.reasons, changed.rows))
    assert len(list(second.folder.iterdir())) == 2


def test_a_shard_of_failures_only_has_no_rows(tmp_path: Path):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a"], failed=("a",)))
    assert FeatureStore.open(tmp_path, "phash", FACTS)[FileStamp("a", 10, 20)].row == -1


@pytest.mark.parametrize("file", ["rows.npy", "images.parquet"])
def test_a_damaged_shard_is_named(tmp_path: Path, file: str):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a"]))
    next(store.folder.glob(f"*/{file}")).write_bytes(b"PAR1 nothing")
    with pytest.raises(StoreError, match="is damaged"):
        list(FeatureStore.open(tmp_path, "phash", FACTS).gather([FileStamp("a", 10, 20)]))


def test_columns_of_a_shard_must_fit_together():
    good = record(["a", "b"])
    with pytest.raises(ValueError, match="do not fit"):
        ShardRecord(good.stamps, good.digests, good.sizes_px, ("", "broken"), good.rows)


def test_a_stamp_follows_the_file(tmp_path: Path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    stamp = stamp_file(path, "x")
    assert stamp.size_bytes == 5
    path.write_bytes(b"123456")
    assert stamp_file(path, "x") != stamp
