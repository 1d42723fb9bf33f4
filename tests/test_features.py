"""Each file is read and decoded once, ever; what cannot be used is a reason, never a row."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overlens.config import HASH_TYPES, DatasetSpec, HashConfig
from overlens.decode import SCALED_SIDE_PX, decode_rgb
from overlens.encoders import LoadedEncoder, wrap_encoder
from overlens.engines import make_engine
from overlens.errors import StoreError
from overlens.evidence import keep_rendition, read_rendition
from overlens.extract import Extractor
from overlens.features import SHARD_IMAGES, KnownImages, Stores, compute_features, plan_tasks
from overlens.progress import Progress
from overlens.records import Listing
from overlens.sources import list_images
from overlens.testing import FakeEncoder, encode_picture, make_picture, write_pictures

HASHING = HashConfig()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    write_pictures(folder, range(20))
    return folder


def extract(
    folder: Path,
    store: Path,
    *,
    hashing: HashConfig | None = HASHING,
    encoder: LoadedEncoder | None = None,
    evidence: bool = True,
    scaled: bool = False,
) -> KnownImages:
    listing = list_images(DatasetSpec("d", folder), folder, use_ground_truth=False)
    encoder = encoder or wrap_encoder(FakeEncoder(), batch_size=8)
    with Extractor(hashing, encoder, workers=3, scaled=scaled) as extractor, Progress().stage("x", 1) as stage:
        stores = Stores.open(store, hashing, encoder, evidence=evidence, scaled=scaled)
        return compute_features(listing, stores, extractor, make_engine("local"), stage)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_second_run_reads_no_image(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = extract(images, tmp_path / "store")
    monkeypatch.setattr("overlens.extract._read", lambda *_: pytest.fail("an image was read"))
    second = extract(images, tmp_path / "store")
    assert (first.n_read, second.n_read) == (20, 0)
    assert np.array_equal(first.hash_rows(), second.hash_rows())
    assert np.array_equal(*(np.concatenate(list(known.embedding_blocks())) for known in (first, second)))


def test_a_second_run_has_the_same_evidence_and_renditions(images: Path, tmp_path: Path):
    first, second = (extract(images, tmp_path / "store") for _ in range(2))
    assert np.array_equal(first.evidence().to_rows(), second.evidence().to_rows())
    for known in (first, second):
        renditions, sizes = known.renditions(), known.evidence().sizes_px
        assert len(renditions) == len(known.keys) == 20
        assert all(read_rendition(renditions.get(row)).shape == (*sizes[row][::-1], 3) for row in range(20))


def test_features_of_scaled_pixels_never_mix_with_those_in_full(tmp_path: Path):
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(3).integers(0, 256, (1100, 1500, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "big.jpg")
    in_full, scaled = (extract(tmp_path / "images", tmp_path / "store", scaled=choice) for choice in (False, True))
    again = extract(tmp_path / "images", tmp_path / "store")
    assert (in_full.n_read, scaled.n_read, again.n_read) == (1, 1, 0)
    assert scaled.evidence().sizes_px.tolist() == in_full.evidence().sizes_px.tolist() == [[1500, 1100]]
    assert not np.array_equal(scaled.evidence().pixel_digests, in_full.evidence().pixel_digests)
    assert max(read_rendition(scaled.renditions().get(0)).shape) == SCALED_SIDE_PX
    assert np.array_equal(again.evidence().to_rows(), in_full.evidence().to_rows())


def test_evidence_is_that_of_the_image_in_its_row(images: Path, tmp_path: Path):
    (images / "a" / "bad.png").write_bytes(b"not a picture")
    known = extract(images, tmp_path / "store")
    evidence, renditions = known.evidence(), known.renditions()
    assert np.array_equal(evidence.hashes[:, 0, HASH_TYPES.index("phash")], known.hash_rows())
    for row, key in enumerate(known.keys):
        data = (images / key).read_bytes()
        assert evidence.byte_digests[row].tobytes() == hashlib.sha256(data).digest()
        assert renditions.get(row) == keep_rendition(decode_rgb(data), data)


@pytest.mark.parametrize("hashing", [HashConfig("whash", 16), HashConfig("dhash", 8)], ids=["whash-16", "dhash-8"])
def test_each_image_is_decoded_once_for_all_its_features(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashing: HashConfig
):
    alone = extract(images, tmp_path / "alone", hashing=hashing, evidence=False)
    decoded = []
    monkeypatch.setattr("overlens.extract.decode_rgb", lambda data: decoded.append(data) or decode_rgb(data))
    known = extract(images, tmp_path / "store", hashing=hashing)
    assert len(decoded) == 20
    assert np.array_equal(known.hash_rows(), alone.hash_rows())


def test_evidence_asked_for_later_computes_nothing_else_again(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    extract(images, tmp_path / "store", evidence=False)
    before = tree(tmp_path / "store")
    monkeypatch.setattr("overlens.extract.compute_hash", lambda *_: pytest.fail("a hash was computed"))
    known = extract(images, tmp_path / "store")
    after = tree(tmp_path / "store")
    assert known.n_read == 20
    assert {name: after[name] for name in before} == before
    assert {name.split("-")[0] for name in after.keys() - before.keys()} == {"evidence"}
    assert np.array_equal(known.evidence().to_rows(), extract(images, tmp_path / "fresh").evidence().to_rows())


def test_an_added_image_adds_one_row_of_evidence(images: Path, tmp_path: Path):
    extract(images, tmp_path / "store")
    write_pictures(images, range(20, 21))
    known = extract(images, tmp_path / "store")
    shards = [np.load(path) for path in (tmp_path / "store").glob("evidence-*/*/rows.npy")]
    assert sorted(map(len, shards)) == [1, 20]
    assert len(known.evidence()) == len(known.renditions()) == 21


def test_without_evidence_there_is_no_store_of_it(images: Path, tmp_path: Path):
    known = extract(images, tmp_path / "store", evidence=False)
    assert not list((tmp_path / "store").glob("evidence-*"))
    for read in (known.evidence, known.renditions):
        with pytest.raises(ValueError, match="d has no evidence"):
            read()


def test_an_added_image_is_the_only_one_read(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    extract(images, tmp_path / "store")
    write_pictures(images, range(20, 21))
    opened = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *args, **kw: opened.append(path) or original(path, *args, **kw))
    assert extract(images, tmp_path / "store").n_read == 1
    assert [path.name for path in opened if path.suffix == ".png"] == ["0020.png"]


def test_touched_files_are_read_once_and_not_decoded(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = extract(images, tmp_path / "store")
    for path in images.rglob("*.png"):
        path.touch()
    monkeypatch.setattr("overlens.extract.decode_rgb", lambda data: pytest.fail("an image was decoded"))
    touched = extract(images, tmp_path / "store")
    again = extract(images, tmp_path / "store")
    assert (touched.n_read, again.n_read) == (20, 0)
    assert np.array_equal(first.hash_rows(), again.hash_rows())


def test_another_folder_with_the_same_names_sizes_and_times_is_another_dataset(tmp_path: Path):
    for name, seed in (("p", 1), ("q", 2)):
        path = tmp_path / name / "x.bmp"
        path.parent.mkdir()
        path.write_bytes(encode_picture(make_picture(seed), "BMP"))
        os.utime(path, ns=(10**18, 10**18))
    first, second = (extract(tmp_path / name, tmp_path / "store") for name in "pq")
    assert second.n_read == 1
    assert not np.array_equal(first.hash_rows(), second.hash_rows())
    assert np.array_equal(second.hash_rows(), extract(tmp_path / "q", tmp_path / "fresh").hash_rows())


def test_an_added_encoder_computes_no_hash_again(images: Path, tmp_path: Path):
    extract(images, tmp_path / "store")
    other = wrap_encoder(FakeEncoder(cells=4))
    known = extract(images, tmp_path / "store", encoder=other)
    assert known.n_read == 20
    assert len([path for path in (tmp_path / "store").iterdir() if path.name.startswith("phash")]) == 1
    assert next(known.embedding_blocks()).shape == (20, 48)


def test_features_are_those_of_the_single_image(images: Path, tmp_path: Path):
    known = extract(images, tmp_path / "store")
    alone = tmp_path / "alone"
    shutil.copytree(images / "b", alone / "b")
    lone = extract(alone, tmp_path / "other")
    rows = [known.keys.index(key) for key in (f"b/{key.split('/')[-1]}" for key in lone.keys)]
    assert np.array_equal(known.hash_rows()[rows], lone.hash_rows())
    everything, part = (np.concatenate(list(found.embedding_blocks())) for found in (known, lone))
    assert np.array_equal(everything[rows], part)
    assert np.allclose(np.linalg.norm(everything, axis=1), 1, atol=1e-6)


def test_a_bad_image_is_a_failure_and_is_remembered(images: Path, tmp_path: Path):
    (images / "a" / "bad.jpg").write_bytes(b"\xff\xd8\xff not really")
    (images / "a" / "empty.png").write_bytes(b"")
    first = extract(images, tmp_path / "store")
    assert [failure.key for failure in first.failures] == ["a/bad.jpg", "a/empty.png"]
    assert all(failure.reason for failure in first.failures)
    assert len(first.rows) == len(first.hash_rows()) == 20
    again = extract(images, tmp_path / "store")
    assert (again.n_read, again.failures) == (0, first.failures)


def test_a_mended_image_is_read_again(images: Path, tmp_path: Path):
    bad = images / "a" / "bad.png"
    bad.write_bytes(b"not yet")
    assert len(extract(images, tmp_path / "store").failures) == 1
    bad.write_bytes(encode_picture(make_picture(99)))
    again = extract(images, tmp_path / "store")
    assert (again.n_read, len(again.failures)) == (1, 0)


def test_a_file_that_vanishes_is_a_failure_that_is_not_remembered(images: Path, tmp_path: Path):
    listing = list_images(DatasetSpec("d", images), images, use_ground_truth=False)
    gone = images / listing.keys[3]
    data = gone.read_bytes()
    gone.unlink()
    encoder = wrap_encoder(FakeEncoder())
    with Extractor(HASHING, encoder) as extractor, Progress().stage("x", 1) as stage:
        stores = Stores.open(tmp_path / "store", HASHING, encoder, evidence=True)
        known = compute_features(listing, stores, extractor, make_engine("local"), stage)
    assert [(failure.key, "cannot be read" in failure.reason) for failure in known.failures] == [
        (listing.keys[3], True)
    ]
    gone.write_bytes(data)
    assert extract(images, tmp_path / "store").n_read == 1


def test_a_picture_the_encoder_cannot_place_is_a_failure(images: Path, tmp_path: Path):
    (images / "a" / "grey.png").write_bytes(encode_picture(np.full((40, 40, 3), 128, np.uint8)))
    known = extract(images, tmp_path / "store")
    assert [failure.key for failure in known.failures] == ["a/grey.png"]
    assert "no finite vector" in known.failures[0].reason


def test_shards_do_not_depend_on_how_far_an_earlier_run_came(images: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("overlens.features.SHARD_IMAGES", 3)
    extract(images, tmp_path / "whole")
    extract(images, tmp_path / "partial")
    shards = sorted(path.parent for path in (tmp_path / "partial").rglob("rows.npy"))
    for shard in shards[::3]:
        shutil.rmtree(shard)
    extract(images, tmp_path / "partial")
    assert tree(tmp_path / "partial") == tree(tmp_path / "whole")


def test_tasks_follow_from_the_listing_alone(tmp_path: Path):
    keys = tuple(f"{i}.png" for i in range(2 * SHARD_IMAGES + 1))
    listing = Listing("d", keys, tuple(map(Path, keys)), (None,) * len(keys), "none")
    stamps = {key: key.encode() for key in keys}
    tasks = plan_tasks(listing, Stores.open(tmp_path, HASHING, None, evidence=True), stamps)
    assert {task.wanted for task in tasks} == {("hash", "evidence")}
    assert [len(task.keys) for task in tasks] == [SHARD_IMAGES, SHARD_IMAGES, 1]
    assert sum((task.keys for task in tasks), ()) == keys


def test_a_shortage_of_memory_is_not_remembered(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(data: bytes) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("overlens.extract.decode_rgb", fail)
        assert len(extract(images, tmp_path / "store").failures) == 20
    again = extract(images, tmp_path / "store")
    assert (again.n_read, again.failures) == (20, ())


def test_a_shard_that_lost_a_file_is_named(images: Path, tmp_path: Path):
    extract(images, tmp_path / "store")
    next((tmp_path / "store").rglob("images.parquet")).unlink()
    with pytest.raises(StoreError, match="is damaged"):
        extract(images, tmp_path / "store")
