"""One shard of images to features: each file is read and decoded once, for its hash, embedding and evidence together.

Reading, decoding, hashing and the encoder's resizing run in a pool of threads, a bounded number of images ahead;
batches go to the encoder in a stream, so that the next are read while one is encoded. An image that cannot be used is
a reason, never a row. A file that cannot be read at all is reported and not remembered: its next run may be luckier,
and nothing on the file would tell.

Shapes: n images of a shard, k of them kept, b values of a row, s pixels of the encoder's input.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.config import HashConfig
from overlens.cores import available_cores
from overlens.decode import decode_rgb, decode_scaled
from overlens.encoders.base import LoadedEncoder
from overlens.errors import DecodeError
from overlens.evidence import keep_rendition, make_evidence, upright_hash
from overlens.hashes.compute import ORIENTED_SIZE, compute_hash
from overlens.records import Failure
from overlens.store.shards import ShardRecord, Stamp, make_stamp

Pixels = NDArray[np.uint8]

HASH, EMBEDDING, EVIDENCE = "hash", "embedding", "evidence"
FEATURES = (HASH, EMBEDDING, EVIDENCE)


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Images of one dataset whose files are new to the same stores.

    Attributes:
        dataset: Name of the dataset.
        keys: Key of each image.
        paths: File of each image.
        wanted: The features whose stores their files are new to: some of `FEATURES`, in that order.
        known: Feature -> key -> SHA-256 of bytes that have it already; no image is decoded for what it has.
    """

    dataset: str
    keys: tuple[str, ...]
    paths: tuple[Path, ...]
    wanted: tuple[str, ...]
    known: Mapping[str, Mapping[str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class ShardFeatures:
    """What became of the images of one task.

    Attributes:
        records: Feature -> what was computed of it.
        seen: (key, SHA-256, stamp) of every image that was read.
        unreadable: The files that could not be read.
    """

    records: Mapping[str, ShardRecord]
    seen: tuple[tuple[str, str, Stamp], ...]
    unreadable: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What one pass over one file gave.

    Attributes:
        key: Key of the image.
        stamp: Stamp of the file when it was read.
        digest: SHA-256 of its bytes in hexadecimal.
        needed: The features that were not known of these bytes.
        reason: Why it cannot be decoded, or "".
        size_px: (width, height), or (0, 0) where it was not decoded.
        rows: Feature -> its `(b,)` row, for those that need no encoder.
        rendition: Its rendition, where evidence was needed.
        crop: `(s, s, 3)` input for the encoder; dropped once it is encoded.
        embedding_reason: Why it has no embedding, or "".
    """

    key: str
    stamp: Stamp
    digest: str
    needed: frozenset[str]
    reason: str = ""
    size_px: tuple[int, int] = (0, 0)
    rows: Mapping[str, Pixels] = field(default_factory=dict)
    rendition: bytes = b""
    crop: Pixels | None = None
    embedding_reason: str = ""


class Extractor:
    """Turns tasks into features, with one pool of threads for all of them.

    Args:
        hashing: Which hash to compute where a task wants one.
        encoder: Which encoder to run where a task wants an embedding.
        workers: Threads that read and decode; 0 means one for each core this process may use.
        scaled: Whether large JPEGs are decoded at a fraction of their size, see `overlens.decode.decode_scaled`.
    """

    def __init__(
        self, hashing: HashConfig | None, encoder: LoadedEncoder | None, workers: int = 0, *, scaled: bool = False
    ) -> None:
        self._hashing = hashing
        self._encoder = encoder
        self._scaled = scaled
        self._workers = workers or available_cores()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="overlens-decode")
        self.watch: Callable[[int], None] = lambda n_images: None
        """Called with the number of images that are read and decoded, as it goes; for those who watch."""

    def __enter__(self) -> "Extractor":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __call__(self, task: ShardTask) -> ShardFeatures:
        """Compute what `task` wants for each of its images."""
        images: list[ImageFeatures] = []
        unreadable: list[Failure] = []
        vectors: list[NDArray[np.float32]] = []
        for done, rows in self._encode(self._batches(self._read_ahead(task), unreadable)):
            images += done
            vectors += [] if rows is None else [rows]
        return ShardFeatures(
            {name: record for name in task.wanted if (record := _shard(name, images, vectors))},
            tuple((image.key, image.digest, image.stamp) for image in images),
            tuple(unreadable),
        )

    def _read_ahead(self, task: ShardTask) -> Iterator[ImageFeatures | Failure]:
        waiting = iter(zip(task.keys, task.paths, strict=True))
        running: deque[Future[ImageFeatures | Failure]] = deque()
        for key, path in islice(waiting, 4 * self._workers):
            running.append(self._pool.submit(self._extract, task, key, path))
        while running:
            image = running.popleft().result()
            for key, path in islice(waiting, 1):
                running.append(self._pool.submit(self._extract, task, key, path))
            self.watch(1)
            yield image

    def _batches(
        self, images: Iterator[ImageFeatures | Failure], unreadable: list[Failure]
    ) -> Iterator[list[ImageFeatures]]:
        """Group images so that each group holds at most one encoder batch of crops; set unreadable files aside."""
        size = self._encoder.batch_size if self._encoder else 1
        batch: list[ImageFeatures] = []
        n_crops = 0
        for image in images:
            if isinstance(image, Failure):
                unreadable.append(image)
                continue
            batch.append(image)
            n_crops += image.crop is not None
            if n_crops == size:
                yield batch
                batch, n_crops = [], 0
        if batch:
            yield batch

    def _extract(self, task: ShardTask, key: str, path: Path) -> ImageFeatures | Failure:
        try:
            return self._extract_file(task, key, path)
        except OSError as error:
            return Failure(task.dataset, key, f"cannot be read: {error.strerror or error}")
        except MemoryError:
            return Failure(task.dataset, key, "there was not enough memory for it; run again with fewer --workers")

    def _extract_file(self, task: ShardTask, key: str, path: Path) -> ImageFeatures:
        stamp, data = _read(path, key)
        digest = hashlib.sha256(data).hexdigest()
        needed = frozenset(name for name in task.wanted if digest not in task.known[name].get(key, ()))
        seen = ImageFeatures(key, stamp, digest, needed)
        return self._compute(seen, data) if needed else seen

    def _compute(self, seen: ImageFeatures, data: bytes) -> ImageFeatures:
        try:
            pixels, size_px = self._decode(data)
        except DecodeError as error:
            return replace(seen, reason=str(error), embedding_reason=str(error))
        rows: dict[str, Pixels] = {}
        if EVIDENCE in seen.needed:
            rows[EVIDENCE] = make_evidence(pixels, seen.digest, size_px)
        if HASH in seen.needed and self._hashing:
            rows[HASH] = _hash(pixels, self._hashing, rows.get(EVIDENCE))
        return replace(
            seen,
            size_px=size_px,
            rows=rows,
            rendition=keep_rendition(pixels, data) if EVIDENCE in seen.needed else b"",
            crop=self._encoder.prepare(pixels) if EMBEDDING in seen.needed and self._encoder else None,
        )

    def _decode(self, data: bytes) -> tuple[Pixels, tuple[int, int]]:
        """Return the pixels, and (width, height) of the picture in full."""
        if self._scaled:
            return decode_scaled(data)
        pixels = decode_rgb(data)
        return pixels, (pixels.shape[1], pixels.shape[0])

    def _encode(
        self, batches: Iterator[list[ImageFeatures]]
    ) -> Iterator[tuple[list[ImageFeatures], NDArray[np.float32] | None]]:
        """Yield the images of each batch, and the rows of those that have one or None where none was to be encoded."""
        if self._encoder is None:
            yield from ((batch, None) for batch in batches)
            return
        begun: deque[list[ImageFeatures]] = deque()
        for rows, usable in self._encoder.encode_batches(_crops_of(batches, begun)):
            verdicts = iter(usable)
            yield [_without_crop(image, verdicts) for image in begun.popleft()], rows[usable] if len(rows) else None


def _crops_of(batches: Iterator[list[ImageFeatures]], begun: deque[list[ImageFeatures]]) -> Iterator[Pixels]:
    """Yield the crops of each batch for the encoder; note the batch."""
    for batch in batches:
        begun.append(batch)
        crops = [image.crop for image in batch if image.crop is not None]
        yield np.stack(crops) if crops else np.empty((0, 1, 1, 3), np.uint8)


def _read(path: Path, key: str) -> tuple[Stamp, bytes]:
    with path.open("rb") as stream:
        return make_stamp(path, key, os.fstat(stream.fileno())), stream.read()


def _without_crop(image: ImageFeatures, verdicts: Iterator[np.bool_]) -> ImageFeatures:
    if image.crop is None or next(verdicts):
        return replace(image, crop=None)
    return replace(image, crop=None, embedding_reason="the encoder gave no finite vector for it")


def _hash(pixels: Pixels, hashing: HashConfig, evidence: Pixels | None) -> Pixels:
    """Return the packed hash of one image; evidence that was made holds all hashes of one size already."""
    if evidence is not None and hashing.hash_size == ORIENTED_SIZE:
        return upright_hash(evidence, hashing.hash_type)
    return compute_hash(pixels, hashing.hash_type, hashing.hash_size)


def _shard(name: str, images: Sequence[ImageFeatures], vectors: Sequence[NDArray[np.float32]]) -> ShardRecord | None:
    """Gather one feature of the images that needed it."""
    images = [image for image in images if name in image.needed]
    if not images:
        return None
    rows: NDArray[np.generic]
    if name == EMBEDDING:
        rows = np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)
    else:
        kept = [image.rows[name] for image in images if not image.reason]
        rows = np.stack(kept) if kept else np.empty((0, 0), np.uint8)
    return ShardRecord(
        tuple(image.key for image in images),
        tuple(image.stamp for image in images),
        tuple(image.digest for image in images),
        tuple(image.size_px for image in images),
        tuple(image.embedding_reason if name == EMBEDDING else image.reason for image in images),
        rows,
        tuple(image.rendition for image in images if not image.reason) if name == EVIDENCE else None,
    )
