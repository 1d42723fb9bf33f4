"""One shard of images to features: each file is read and decoded once, then hashed and encoded.

Reading, decoding, hashing and the encoder's resizing run in a pool of threads, a bounded number of images ahead;
batches go to the encoder one at a time. An image that cannot be used is a reason, never a row. A file that cannot be
read at all is reported and not remembered: its next run may be luckier, and nothing on the file would tell.

Shapes: n images of a shard, k of them kept, b bytes of a packed hash, d dimensions, s pixels of the encoder's input.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.config import HashConfig
from overlens.encoders.base import LoadedEncoder
from overlens.errors import DecodeError
from overlens.records import Failure
from overlens.store import FileStamp, ShardRecord

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Images of one dataset that miss the same features."""

    dataset: str
    keys: tuple[str, ...]
    paths: tuple[Path, ...]
    wants_hash: bool
    wants_embedding: bool


@dataclass(frozen=True, slots=True)
class ShardFeatures:
    """What became of the images of one task: a shard for each wanted feature, and the files that could not be read."""

    hashes: ShardRecord | None
    embeddings: ShardRecord | None
    unreadable: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What one pass over one file gave.

    Attributes:
        stamp: Key, size and modification time when it was read.
        digest: SHA-256 of its bytes.
        reason: Why it cannot be decoded, or "".
        size_px: (width, height), or (0, 0).
        hash_row: `(b,)` packed hash, if wanted.
        crop: `(s, s, 3)` input for the encoder, if wanted; dropped once it is encoded.
        embedding_reason: Why it has no embedding, or "".
    """

    stamp: FileStamp
    digest: str
    reason: str = ""
    size_px: tuple[int, int] = (0, 0)
    hash_row: Pixels | None = None
    crop: Pixels | None = None
    embedding_reason: str = ""


class Extractor:
    """Turns tasks into features, with one pool of threads for all of them.

    Args:
        hashing: Which hash to compute where a task wants one.
        encoder: Which encoder to run where a task wants an embedding.
        workers: Threads that read and decode; 0 means one for each core this process may use.
    """

    def __init__(self, hashing: HashConfig | None, encoder: LoadedEncoder | None, workers: int = 0) -> None:
        self._hashing = hashing
        self._encoder = encoder
        self._workers = workers or available_cores()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="overlens-decode")

    def __enter__(self) -> "Extractor":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __call__(self, task: ShardTask) -> ShardFeatures:
        """Compute what `task` wants for each of its images."""
        images: list[ImageFeatures] = []
        unreadable: list[Failure] = []
        vectors: list[NDArray[np.float32]] = []
        for batch in self._batches(self._read_ahead(task), unreadable):
            done, rows = self._encode(batch) if task.wants_embedding else (batch, None)
            images += done
            vectors += [] if rows is None else [rows]
        return ShardFeatures(
            _hash_shard(images, self._hashing) if task.wants_hash and self._hashing else None,
            _embedding_shard(images, vectors, self._encoder) if task.wants_embedding and self._encoder else None,
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
            stamp, data = _read(path, key)
        except OSError as error:
            return Failure(task.dataset, key, f"cannot be read: {error.strerror or error}")
        seen = ImageFeatures(stamp, hashlib.sha256(data).hexdigest())
        try:
            pixels = _decode(data)
        except DecodeError as error:
            return replace(seen, reason=str(error), embedding_reason=str(error))
        seen = replace(seen, size_px=(pixels.shape[1], pixels.shape[0]))
        if task.wants_hash and self._hashing:
            seen = replace(seen, hash_row=_hash(pixels, self._hashing))
        if task.wants_embedding and self._encoder:
            seen = replace(seen, crop=self._encoder.prepare(pixels))
        return seen

    def _encode(self, batch: Sequence[ImageFeatures]) -> tuple[list[ImageFeatures], NDArray[np.float32] | None]:
        crops = [image.crop for image in batch if image.crop is not None]
        if not crops or self._encoder is None:
            return list(batch), None
        rows, usable = self._encoder.encode(np.stack(crops))
        verdicts = iter(usable)
        return [_without_crop(image, verdicts) for image in batch], rows[usable]


def available_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: Path, key: str) -> tuple[FileStamp, bytes]:
    with path.open("rb") as stream:
        status = os.fstat(stream.fileno())
        return FileStamp(key, status.st_size, status.st_mtime_ns), stream.read()


def _decode(data: bytes) -> Pixels:
    from overlens.decode import decode_rgb

    return decode_rgb(data)


def _hash(pixels: Pixels, hashing: HashConfig) -> Pixels:
    from overlens.hashes import compute_hash

    return compute_hash(pixels, hashing.hash_type, hashing.hash_size)


def _without_crop(image: ImageFeatures, verdicts: Iterator[np.bool_]) -> ImageFeatures:
    if image.crop is None or next(verdicts):
        return replace(image, crop=None)
    return replace(image, crop=None, embedding_reason="the encoder gave no finite vector for it")


def _hash_shard(images: Sequence[ImageFeatures], hashing: HashConfig) -> ShardRecord:
    rows = [image.hash_row for image in images if image.hash_row is not None]
    width = (hashing.n_bits + 7) // 8
    stacked = np.stack(rows) if rows else np.empty((0, width), np.uint8)
    return _shard(images, [image.reason for image in images], stacked)


def _embedding_shard(
    images: Sequence[ImageFeatures], vectors: Sequence[NDArray[np.float32]], encoder: LoadedEncoder
) -> ShardRecord:
    stacked = np.concatenate(vectors) if vectors else np.empty((0, encoder.dim), np.float32)
    return _shard(images, [image.embedding_reason for image in images], stacked)


def _shard(images: Sequence[ImageFeatures], reasons: Sequence[str], rows: NDArray[np.generic]) -> ShardRecord:
    return ShardRecord(
        tuple(image.stamp for image in images),
        tuple(image.digest for image in images),
        tuple(image.size_px for image in images),
        tuple(reasons),
        rows,
    )
