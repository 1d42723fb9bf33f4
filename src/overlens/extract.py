"""One shard of images to features: each file is read and decoded once, then hashed and encoded.

Reading, decoding, hashing and the encoder's resizing run in a pool of threads, a bounded number of images ahead;
batches go to the encoder one at a time. An image that cannot be used is a reason, never a row. A file that cannot be
read at all is reported and not remembered: its next run may be luckier, and nothing on the file would tell.

Shapes: n images of a shard, k of them kept, b bytes of a packed hash, d dimensions, s pixels of the encoder's input.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.config import HashConfig
from overlens.decode import decode_rgb
from overlens.encoders.base import LoadedEncoder
from overlens.errors import DecodeError
from overlens.hashes import compute_hash
from overlens.records import Failure
from overlens.store import ShardRecord, Stamp, make_stamp

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Images of one dataset whose files are new to the same stores.

    Attributes:
        dataset: Name of the dataset.
        keys: Key of each image.
        paths: File of each image.
        wants_hash: Whether their files are new to the store of hashes.
        wants_embedding: Whether their files are new to the store of embeddings.
        hashed: Key -> SHA-256 of bytes that have a hash already; such an image is not decoded for its hash.
        embedded: Key -> SHA-256 of bytes that have an embedding already.
    """

    dataset: str
    keys: tuple[str, ...]
    paths: tuple[Path, ...]
    wants_hash: bool
    wants_embedding: bool
    hashed: Mapping[str, frozenset[str]]
    embedded: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class ShardFeatures:
    """What became of the images of one task.

    Attributes:
        hashes: The hashes that were computed, if any.
        embeddings: The embeddings that were computed, if any.
        seen: (key, SHA-256, stamp) of every image that was read.
        unreadable: The files that could not be read.
    """

    hashes: ShardRecord | None
    embeddings: ShardRecord | None
    seen: tuple[tuple[str, str, Stamp], ...]
    unreadable: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What one pass over one file gave.

    Attributes:
        key: Key of the image.
        stamp: Stamp of the file when it was read.
        digest: SHA-256 of its bytes in hexadecimal.
        needs_hash: Whether its hash was not known.
        needs_embedding: Whether its embedding was not known.
        reason: Why it cannot be decoded, or "".
        size_px: (width, height), or (0, 0) where it was not decoded.
        hash_row: `(b,)` packed hash.
        crop: `(s, s, 3)` input for the encoder; dropped once it is encoded.
        embedding_reason: Why it has no embedding, or "".
    """

    key: str
    stamp: Stamp
    digest: str
    needs_hash: bool
    needs_embedding: bool
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
        for batch in self._batches(self._read_ahead(task), unreadable):
            done, rows = self._encode(batch)
            images += done
            vectors += [] if rows is None else [rows]
        return ShardFeatures(
            _hash_shard([image for image in images if image.needs_hash]),
            _embedding_shard([image for image in images if image.needs_embedding], vectors),
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
        needs_hash = task.wants_hash and digest not in task.hashed.get(key, ())
        needs_embedding = task.wants_embedding and digest not in task.embedded.get(key, ())
        seen = ImageFeatures(key, stamp, digest, needs_hash, needs_embedding)
        return self._compute(seen, data) if needs_hash or needs_embedding else seen

    def _compute(self, seen: ImageFeatures, data: bytes) -> ImageFeatures:
        try:
            pixels = decode_rgb(data)
        except DecodeError as error:
            return replace(seen, reason=str(error), embedding_reason=str(error))
        seen = replace(seen, size_px=(pixels.shape[1], pixels.shape[0]))
        if seen.needs_hash and self._hashing:
            row = compute_hash(pixels, self._hashing.hash_type, self._hashing.hash_size)
            seen = replace(seen, hash_row=row)
        if seen.needs_embedding and self._encoder:
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


def _read(path: Path, key: str) -> tuple[Stamp, bytes]:
    with path.open("rb") as stream:
        return make_stamp(path, key, os.fstat(stream.fileno())), stream.read()


def _without_crop(image: ImageFeatures, verdicts: Iterator[np.bool_]) -> ImageFeatures:
    if image.crop is None or next(verdicts):
        return replace(image, crop=None)
    return replace(image, crop=None, embedding_reason="the encoder gave no finite vector for it")


def _hash_shard(images: Sequence[ImageFeatures]) -> ShardRecord | None:
    rows = [image.hash_row for image in images if image.hash_row is not None]
    return _shard(images, [image.reason for image in images], np.stack(rows) if rows else np.empty((0, 0), np.uint8))


def _embedding_shard(images: Sequence[ImageFeatures], vectors: Sequence[NDArray[np.float32]]) -> ShardRecord | None:
    rows = np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)
    return _shard(images, [image.embedding_reason for image in images], rows)


def _shard(images: Sequence[ImageFeatures], reasons: Sequence[str], rows: NDArray[np.generic]) -> ShardRecord | None:
    if not images:
        return None
    return ShardRecord(
        tuple(image.key for image in images),
        tuple(image.stamp for image in images),
        tuple(image.digest for image in images),
        tuple(image.size_px for image in images),
        tuple(reasons),
        rows,
    )
