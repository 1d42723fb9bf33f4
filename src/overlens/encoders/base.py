"""The one way in which every encoder is used.

An encoder is any object with `name`, `dim` and `encode`; everything else (preparation, fixed batch shape, rows of
length 1, the mask of unusable rows, the fingerprint) is done here, the same for all of them.

Stored rows are used again only for an encoder that names its weights. One that does not gets a token of its own each
time it is wrapped: its rows are computed anew in every run, which costs time and can never mix two models.

Shapes: b images, s pixels along each side of the input, d dimensions.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from overlens.encoders.preprocess import Pixels, Preprocessing
from overlens.errors import ModelError
from overlens.records import FloatRows, ModelInfo

LOG = logging.getLogger(__name__)


@runtime_checkable
class Encoder(Protocol):
    """What an encoder must have; a bring-your-own object needs no more than this.

    It may also have:
        version: Any text that names its weights, such as a date or a digest; to be changed whenever the same picture
            gets other values. Stored embeddings are found again under it, and without it (or `info`) never.
        info: A `ModelInfo` with a `revision` or `weights_sha256`, in place of `version`; it also names the model in
            every report.
        prepare: `(h, w, 3)` uint8 to `(s, s, 3)` uint8, called in several threads; without it the whole picture is
            squashed to `size` x `size` pixels (attribute `size`, or 224).
        lane: The number of images `encode` is always given; without it that is the batch size of the run.
        encode_lanes: A generator function that takes an iterable of what `encode` takes and yields what `encode` gives
            for each, in order, so that several may be under way at once; it is called in place of `encode`.
    """

    name: str
    dim: int

    def encode(self, batch: Pixels, /) -> NDArray[np.floating]:
        """Encode `(b, s, s, 3)` uint8 to `(b, d)` values of any length; called by one thread at a time."""
        ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model that can be had.

    Attributes:
        info: What it is, to the bit.
        start: Makes its encoder, which may build its network only for the first image.
    """

    info: ModelInfo
    start: Callable[[], Encoder]


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """An encoder at work.

    Attributes:
        encoder: The object that does the work.
        info: What it is, to the bit.
        batch_size: How many images to hand over at once, a multiple of `lane`; it does not change any value.
        prepare: `(h, w, 3)` uint8 to `(s, s, 3)` uint8; safe to call in several threads.
        lane: Number of images that `encoder.encode` is always given, filled up with black ones.
        token: Stands in the fingerprint of an encoder that does not name its weights, random; "" for all others.
    """

    encoder: Encoder
    info: ModelInfo
    batch_size: int
    prepare: Callable[[Pixels], Pixels]
    lane: int
    token: str = ""
    _busy: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def dim(self) -> int:
        """Dimensions d of a row."""
        return self.info.dim

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Everything that changes the values of a row, apart from the image."""
        info = self.info
        facts = {
            "name": info.name,
            "source": info.source,
            "revision": info.revision,
            "weights_sha256": info.weights_sha256,
            "precision": info.precision,
            "dim": str(info.dim),
            "preprocessing": info.preprocessing,
        }
        return {**facts, "token": self.token} if self.token else facts

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about the encoder that the user should read."""
        if not self.token:
            return ()
        return (f"encoder {self.info.name!r} has no version, so its embeddings are computed anew in every run",)

    def encode(self, batch: Pixels) -> tuple[FloatRows, NDArray[np.bool_]]:
        """Encode prepared images; the row of an image does not depend on the others.

        Args:
            batch: `(b, s, s, 3)` uint8, any b.

        Returns:
            `(b, d)` float32 rows of length 1, and `(b,)` whether each row is usable. A row that is not finite or has
            no direction is not usable and is all zero.

        Raises:
            ModelError: The encoder gave something other than one row of d numbers for each image.
        """
        (answer,) = self.encode_batches([batch])
        return answer

    def encode_batches(self, batches: Iterable[Pixels]) -> Iterator[tuple[FloatRows, NDArray[np.bool_]]]:
        """Yield what `encode` gives for each batch, in order, while the next batches are under way.

        The next batches are asked for before the answer to the first is given, in the thread that takes the answers.
        No other thread gets an answer from this encoder before the last one here is taken.
        """
        waiting: deque[int] = deque()
        with self._busy, closing(self._encode_lanes(self._cut(batches, waiting))) as lanes:
            parts: list[FloatRows] = []
            for rows in lanes:
                yield from self._answer_empty(waiting)
                parts.append(self._check(rows))
                if len(parts) * self.lane >= waiting[0]:
                    yield _unit_rows(np.concatenate(parts)[: waiting.popleft()])
                    parts = []
            yield from self._answer_empty(waiting)

    def _encode_lanes(self, lanes: Iterable[Pixels]) -> Generator[NDArray[np.floating]]:
        together: Callable[[Iterable[Pixels]], Generator[NDArray[np.floating]]] | None
        together = getattr(self.encoder, "encode_lanes", None)
        return together(lanes) if together else (self.encoder.encode(lane) for lane in lanes)

    def _cut(self, batches: Iterable[Pixels], waiting: deque[int]) -> Iterator[Pixels]:
        """Cut batches into the fixed shape that keeps images independent of one another; note their lengths."""
        for batch in batches:
            if batch.ndim != 4 or batch.shape[3] != 3 or batch.dtype != np.uint8:
                raise ValueError(f"a batch must be (b, s, s, 3) uint8, got {batch.shape} {batch.dtype}")
            waiting.append(len(batch))
            for start in range(0, len(batch), self.lane):
                part = batch[start : start + self.lane]
                if len(part) < self.lane:
                    part = np.zeros((self.lane, *part.shape[1:]), np.uint8)
                    part[: len(batch) - start] = batch[start:]
                yield part

    def _answer_empty(self, waiting: deque[int]) -> Iterator[tuple[FloatRows, NDArray[np.bool_]]]:
        while waiting and waiting[0] == 0:
            yield _unit_rows(np.empty((waiting.popleft(), self.dim), np.float32))

    def _check(self, found: NDArray[np.floating]) -> FloatRows:
        rows = np.asarray(found)
        if rows.shape != (self.lane, self.dim) or rows.dtype.kind != "f":
            raise ModelError(
                f"encoder {self.info.name!r} gave {rows.dtype} of shape {rows.shape} for {self.lane} images; "
                f"it must give floating-point numbers of shape {(self.lane, self.dim)}"
            )
        return rows.astype(np.float32)


def wrap_encoder(encoder: Encoder, *, batch_size: int = 32, info: ModelInfo | None = None) -> LoadedEncoder:
    """Make any encoder ready for use; an encoder that is ready is returned as it is.

    Args:
        encoder: The object that does the work.
        batch_size: How many images to hand over at once; raised to whole lanes, because a part of one costs as much.
        info: What it is, where that is known from elsewhere; else the object's own `info`, or what can be seen of it.

    Raises:
        TypeError: The object lacks `name`, `dim` or `encode`, or its `info` or `version` is of another kind.
    """
    if isinstance(encoder, LoadedEncoder):
        return encoder
    _require_encoder(encoder)
    prepare = getattr(encoder, "prepare", None) or _squash(int(getattr(encoder, "size", 224)))
    info = info or _info_of(encoder, prepare)
    lane = int(getattr(encoder, "lane", batch_size))
    token = "" if info.revision or info.weights_sha256 else uuid.uuid4().hex
    loaded = LoadedEncoder(encoder, info, -(-batch_size // lane) * lane, prepare, lane, token)
    for sentence in loaded.notices:
        LOG.warning("%s", sentence)
    return loaded


def _require_encoder(encoder: object) -> None:
    if not isinstance(encoder, Encoder) or not callable(encoder.encode):
        raise TypeError(f"an encoder needs name, dim and encode(batch); {type(encoder).__name__} lacks some of these")
    if not isinstance(encoder.name, str) or not isinstance(encoder.dim, int | np.integer) or encoder.dim < 1:
        raise TypeError(f"an encoder's name must be text and its dim at least 1, got {encoder.name!r}, {encoder.dim!r}")
    for name, kind in (("version", str), ("info", ModelInfo)):
        value = getattr(encoder, name, None)
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"an encoder's {name} must be of type {kind.__name__}, got {value!r}")


def _squash(size: int) -> Preprocessing:
    return Preprocessing(size=size, shorter_side=0, resampling="bicubic", mean=(0.0,) * 3, deviation=(1.0,) * 3)


def _info_of(encoder: Encoder, prepare: object) -> ModelInfo:
    version = (getattr(encoder, "version", None) or "").strip()
    info: ModelInfo | None = getattr(encoder, "info", None)
    if info is not None:
        return info if info.revision or info.weights_sha256 else replace(info, revision=version)
    kind = type(encoder)
    return ModelInfo(
        name=encoder.name,
        source=f"Python object {kind.__module__}.{kind.__qualname__}",
        revision=version,
        weights_sha256="",
        precision="unknown",
        dim=int(encoder.dim),
        preprocessing=prepare.describe() if isinstance(prepare, Preprocessing) else "the encoder's own",
        is_clip=False,
    )


def _unit_rows(rows: FloatRows) -> tuple[FloatRows, NDArray[np.bool_]]:
    # float64, so that neither a very long nor a very short row overflows on its way to length 1.
    wide = rows.astype(np.float64)
    lengths = np.sqrt(np.einsum("bd,bd->b", wide, wide))
    usable = np.isfinite(lengths) & (lengths > 0)
    units = np.zeros_like(rows)
    units[usable] = wide[usable] / lengths[usable, None]
    return units, usable
