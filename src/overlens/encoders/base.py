"""Which encoder a name means, and the one way in which every encoder is used.

An encoder is any object with `name`, `dim` and `encode`; everything else (preparation, fixed batch shape, rows of
length 1, the mask of unusable rows, the fingerprint) is done here, the same for all of them.

A name resolves first and starts later: resolving finds and checks the weights, so that a run without them stops before
the first image. There is never a substitute for the model that was named.

Shapes: b images, s pixels along each side of the input, d dimensions.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from overlens.config import EncoderConfig
from overlens.encoders.preprocess import Pixels, Preprocessing
from overlens.errors import ConfigError, ModelError
from overlens.records import FloatRows, ModelInfo
from overlens.registry import Registry

HUB_PREFIX = "hf:"
CLIP_NAMES = ("ViT-B/32", "ViT-B/16", "ViT-L/14")


@runtime_checkable
class Encoder(Protocol):
    """What an encoder must have; a bring-your-own object needs no more than this.

    It may also have:
        info: A `ModelInfo`; without it the name, type, `version` and `dim` of the object identify it.
        prepare: `(h, w, 3)` uint8 to `(s, s, 3)` uint8, called in several threads; without it the whole picture is
            squashed to `size` x `size` pixels (attribute `size`, or 224).
        lane: The number of images `encode` is always given; without it that is the batch size of the run.
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
        start: Builds its encoder; slow, and heavy libraries load here.
    """

    info: ModelInfo
    start: Callable[[], Encoder]


Factory = Callable[[EncoderConfig], Resolved | Encoder]

# Third parties add a function from `EncoderConfig` to an encoder under the entry-point group "overlens.encoders".
ENCODERS: Registry[Factory] = Registry("encoder", "overlens.encoders")


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """An encoder at work.

    Attributes:
        encoder: The object that does the work.
        info: What it is, to the bit.
        batch_size: How many images to hand over at once; it does not change any value.
        prepare: `(h, w, 3)` uint8 to `(s, s, 3)` uint8; safe to call in several threads.
        lane: Number of images that `encoder.encode` is always given, filled up with black ones.
    """

    encoder: Encoder
    info: ModelInfo
    batch_size: int
    prepare: Callable[[Pixels], Pixels]
    lane: int
    _busy: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def dim(self) -> int:
        """Dimensions d of a row."""
        return self.info.dim

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Everything that changes the values of a row, apart from the image."""
        info = self.info
        return {
            "name": info.name,
            "source": info.source,
            "revision": info.revision,
            "weights_sha256": info.weights_sha256,
            "precision": info.precision,
            "dim": str(info.dim),
            "preprocessing": info.preprocessing,
        }

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
        if batch.ndim != 4 or batch.shape[3] != 3 or batch.dtype != np.uint8:
            raise ValueError(f"a batch must be (b, s, s, 3) uint8, got {batch.shape} {batch.dtype}")
        with self._busy:
            parts = [self._encode_lane(part) for part in self._lanes(batch)]
        return _unit_rows(np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32))

    def _lanes(self, batch: Pixels) -> Iterator[Pixels]:
        for start in range(0, len(batch), self.lane):
            yield batch[start : start + self.lane]

    def _encode_lane(self, part: Pixels) -> FloatRows:
        """Encode at most `lane` images in the fixed shape that keeps them independent of one another."""
        full = part
        if len(part) < self.lane:
            full = np.zeros((self.lane, *part.shape[1:]), np.uint8)
            full[: len(part)] = part
        rows = np.asarray(self.encoder.encode(full))
        if rows.shape != (self.lane, self.dim) or rows.dtype.kind != "f":
            raise ModelError(
                f"encoder {self.info.name!r} gave {rows.dtype} of shape {rows.shape} for {self.lane} images; "
                f"it must give floating-point numbers of shape {(self.lane, self.dim)}"
            )
        return rows[: len(part)].astype(np.float32)


def load_encoder(config: EncoderConfig) -> LoadedEncoder:
    """Find, check and start the encoder that `config` names.

    Raises:
        ConfigError: The name is unknown, or the options do not go together.
        ModelError: The weights cannot be had or are not what they should be.
        MissingExtraError: The encoder needs an extra that is not installed.
    """
    return wrap_encoder(_resolve(config).start(), batch_size=config.batch_size)


def resolve_model(config: EncoderConfig) -> ModelInfo:
    """Find and check the weights that `config` names, without starting the encoder; raises as `load_encoder` does."""
    return _resolve(config).info


def wrap_encoder(encoder: Encoder, *, batch_size: int = 32) -> LoadedEncoder:
    """Make any encoder ready for use; an encoder that is ready is returned as it is.

    Raises:
        TypeError: The object lacks `name`, `dim` or `encode`.
    """
    if isinstance(encoder, LoadedEncoder):
        return encoder
    if not isinstance(encoder, Encoder) or not callable(encoder.encode):
        raise TypeError(f"an encoder needs name, dim and encode(batch); {type(encoder).__name__} lacks some of these")
    if not isinstance(encoder.name, str) or not isinstance(encoder.dim, int | np.integer) or encoder.dim < 1:
        raise TypeError(f"an encoder's name must be text and its dim at least 1, got {encoder.name!r}, {encoder.dim!r}")
    prepare = getattr(encoder, "prepare", None) or _squash(int(getattr(encoder, "size", 224)))
    info = getattr(encoder, "info", None) or _info_of(encoder, prepare)
    return LoadedEncoder(encoder, info, batch_size, prepare, int(getattr(encoder, "lane", batch_size)))


def _resolve(config: EncoderConfig) -> Resolved:
    found = _factory(config)(config)
    if isinstance(found, Resolved):
        return found
    loaded = wrap_encoder(found, batch_size=config.batch_size)
    return Resolved(loaded.info, lambda: loaded.encoder)


def _factory(config: EncoderConfig) -> Factory:
    if config.model in ENCODERS:
        return ENCODERS.load(config.model)
    if config.model.startswith(HUB_PREFIX):
        return _transformers()
    if Path(config.model).expanduser().exists():
        return _local()
    known = ", ".join([*ENCODERS.names(), f"{HUB_PREFIX}ORG/NAME"])
    raise ConfigError(
        f"unknown encoder {config.model!r}; "
        f"allowed are {known}, or the path of an ONNX file or a model folder that exists"
    )


def _clip() -> Factory:
    from overlens.encoders.clip import resolve_clip

    return resolve_clip


def _local() -> Factory:
    from overlens.encoders.clip import resolve_local

    return resolve_local


def _offline() -> Factory:
    from overlens.encoders.offline import resolve_offline

    return resolve_offline


def _transformers() -> Factory:
    from overlens.encoders.transformers import resolve_transformers

    return resolve_transformers


for _name in CLIP_NAMES:
    ENCODERS.register(_name, _clip)
ENCODERS.register("offline", _offline)


def _squash(size: int) -> Preprocessing:
    return Preprocessing(size=size, shorter_side=0, resampling="bicubic", mean=(0.0,) * 3, deviation=(1.0,) * 3)


def _info_of(encoder: Encoder, prepare: object) -> ModelInfo:
    kind = type(encoder)
    return ModelInfo(
        name=encoder.name,
        source=f"Python object {kind.__module__}.{kind.__qualname__}",
        revision=str(getattr(encoder, "version", "")),
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
