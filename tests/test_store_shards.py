"""Features are stored in shards and found again by key, size and modification time."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from overlens.errors import StoreError
from overlens.store.shards import STAMP_BYTES, FeatureStore, ShardRecord, make_stamp

FACTS = {"hash_type": "phash", "hash_size": "8"}


def stamp(key: str, state: str = "as it was") -> bytes:
    return f"{key}, {state}".encode().ljust(STAMP_BYTES)[:STAMP_BYTES]


def record(
    keys: list[str], *, failed: tuple[str, ...] = (), width: int = 8, blobs: dict[str, bytes] | None = None
) -> ShardRecord:
    kept = [key for key in keys if key not in failed]
    rows = np.array([[ord(key[0])] * width for key in kept], np.uint8).reshape(-1, width)
    return ShardRecord(
        tuple(keys),
        tuple(map(stamp, keys)),
        tuple(f"digest of {key}" for key in keys),
        tuple((4, 3) for _ in keys),
        tuple("broken" if key in failed else "" for key in keys),
        rows,
        None if blobs is None else tuple(blobs[key] for key in kept),
    )


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a", "b", "c"], failed=("b",)))
    store.write(record(["d"]))
    again = FeatureStore.open(tmp_path, "phash", FACTS)
    wanted = [stamp(key) for key in "dca"]
    rows = np.concatenate(list(again.gather(wanted)))
    assert rows[:, 0].tolist() == [ord("d"), ord("c"), ord("a")]
    assert again.entry(stamp("b")).reason == "broken"


def test_a_changed_file_is_not_known(tmp_path: Path):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a"]))
    assert stamp("a") in store
    assert stamp("a", "changed") not in store
    with pytest.raises(KeyError, match="changed"):
        store.entry(stamp("a", "changed"))


def test_a_file_with_known_bytes_gets_its_new_stamp_for_good(tmp_path: Path):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a", "b"]))
    assert store.digests_of("a") == {"digest of a"}
    store.renew(["a", "b", "c"], ["digest of a", "other bytes", "new"], [stamp(key, "touched") for key in "abc"])
    for again in (store, FeatureStore.open(tmp_path, "phash", FACTS)):
        assert stamp("a", "touched") in again
        assert stamp("a") not in again
        assert stamp("b") in again
        assert stamp("b", "touched") not in again
        assert stamp("c", "touched") not in again
        assert next(again.gather([stamp("a", "touched")]))[0, 0] == ord("a")


def test_writing_a_known_shard_renews_its_stamps(tmp_path: Path):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a"]))
    same = record(["a"])
    store.write(ShardRecord(same.keys, (stamp("a", "new"),), same.digests, same.sizes_px, same.reasons, same.rows))
    assert stamp("a", "new") in FeatureStore.open(tmp_path, "phash", FACTS)


def test_many_small_shards_need_few_open_files(tmp_path: Path):
    resource = pytest.importorskip("resource", reason="limits of open files are POSIX")
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    keys = [f"{number:03d}" for number in range(150)]
    for key in keys:
        store.write(record([key]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_open = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 20, hard))
    try:
        assert len(next(store.gather([stamp(key) for key in keys]))) == 150
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_another_fingerprint_is_another_store(tmp_path: Path):
    FeatureStore.open(tmp_path, "phash", FACTS).write(record(["a"]))
    assert stamp("a") not in FeatureStore.open(tmp_path, "phash", {**FACTS, "hash_size": "16"})


def test_shard_names_follow_the_bytes_of_the_images(tmp_path: Path):
    first, second = (FeatureStore.open(tmp_path / name, "phash", FACTS) for name in "ab")
    first.write(record(["a", "b"]))
    second.write(record(["a", "b"]))
    names = [sorted(path.name for path in store.folder.iterdir()) for store in (first, second)]
    assert names[0] == names[1]
    changed = record(["a", "b"])
    second.write(
        ShardRecord(
            changed.keys, changed.stamps, ("other", "digest of b"), changed.sizes_px, changed.reasons, changed.rows
        )
    )
    assert len(list(second.folder.iterdir())) == 2


def test_a_shard_of_failures_only_has_no_rows(tmp_path: Path):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a"], failed=("a",)))
    assert FeatureStore.open(tmp_path, "phash", FACTS).entry(stamp("a")).row == -1


@pytest.mark.parametrize("file", ["rows.npy", "images.parquet", "stamps.npy"])
def test_a_damaged_shard_is_named(tmp_path: Path, file: str):
    store = FeatureStore.open(tmp_path, "phash", FACTS)
    store.write(record(["a"]))
    next(store.folder.glob(f"*/{file}")).write_bytes(b"nothing of the kind")
    with pytest.raises(StoreError, match="is damaged"):
        list(FeatureStore.open(tmp_path, "phash", FACTS).gather([stamp("a")]))


BLOBS = {"a": b"first", "b": b"never kept", "c": b"", "d": bytes(range(256)) * 100}


@pytest.fixture
def blob_store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open(tmp_path, "evidence", FACTS)
    store.write(record(["a", "b", "c"], failed=("b",), blobs=BLOBS))
    store.write(record(["d"], blobs=BLOBS))
    return store


def test_blobs_come_back_in_the_order_asked_for(blob_store: FeatureStore):
    again = FeatureStore.open(blob_store.folder.parent, "evidence", FACTS)
    for store in (blob_store, again):
        blobs = store.locate([stamp(key) for key in "dacd"])
        assert [blobs.get(row) for row in range(len(blobs))] == [BLOBS[key] for key in "dacd"]


def test_no_images_have_no_blobs(blob_store: FeatureStore):
    assert len(blob_store.locate([])) == 0


def test_a_shard_of_failures_only_has_no_blobs(tmp_path: Path):
    store = FeatureStore.open(tmp_path, "evidence", FACTS)
    store.write(record(["a"], failed=("a",), blobs=BLOBS))
    assert next(store.folder.glob("*/blobs.bin")).read_bytes() == b""


def test_threads_read_blobs_at_once(blob_store: FeatureStore):
    blobs = blob_store.locate([stamp(key) for key in "ad"])
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(blobs.get, [0, 1] * 50)) == [BLOBS["a"], BLOBS["d"]] * 50


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": whole[:-1], "changed": whole[:-1] + b"?"}[how])


@pytest.mark.parametrize("how", ["gone", "cut", "changed"])
def test_a_damaged_blob_is_never_taken_for_the_image(blob_store: FeatureStore, how: str):
    blobs = blob_store.locate([stamp(key) for key in "ad"])
    damage(blobs.folders[blobs.shards[1]] / "blobs.bin", how)
    with pytest.raises(StoreError, match=r"blobs\.bin is damaged .*; delete"):
        blobs.get(1)
    assert blobs.get(0) == BLOBS["a"]


@pytest.mark.parametrize("content", [b"", b"no array", "floats"], ids=["empty", "no array", "floats"])
def test_a_damaged_table_of_blobs_is_named(blob_store: FeatureStore, content: bytes | str):
    for path in blob_store.folder.glob("*/blobs.npy"):
        if content == "floats":
            np.save(path, np.zeros((1, 2)))
        else:
            path.write_bytes(content)
    with pytest.raises(StoreError, match=r"blobs\.npy is damaged"):
        blob_store.locate([stamp("a")])


def test_blobs_must_be_as_many_as_the_kept_images():
    with pytest.raises(ValueError, match="2 blobs and 1 kept images do not fit"):
        replace(record(["a", "b"], failed=("b",)), blobs=(b"a", b"b"))


def test_columns_of_a_shard_must_fit_together():
    good = record(["a", "b"])
    with pytest.raises(ValueError, match="do not fit"):
        ShardRecord(good.keys, good.stamps, good.digests, good.sizes_px, ("", "broken"), good.rows)


def test_a_stamp_follows_the_file(tmp_path: Path):
    path, other = tmp_path / "x", tmp_path / "y"
    path.write_bytes(b"12345")
    before = path.stat()
    first = make_stamp(path, "x", before)
    assert first == make_stamp(path, "x", path.stat())
    assert len(first) == STAMP_BYTES
    assert make_stamp(path, "other key", before) != first
    assert make_stamp(other, "x", before) != first
    path.write_bytes(b"54321")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert make_stamp(path, "x", path.stat()) != first, "other bytes of the same size and modification time"
