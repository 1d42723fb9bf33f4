"""What `overlens models` tells: which encoders are known, whether they are here, and whether they work."""

import time
from dataclasses import dataclass

import numpy as np

from overlens.config import EncoderConfig
from overlens.encoders.choice import ENCODERS, load_encoder
from overlens.encoders.clip import CLIP_TOWERS
from overlens.encoders.offline import DIM, PACKAGE, find_weights
from overlens.encoders.transformers import HUB_PREFIX
from overlens.encoders.weights import find_cached
from overlens.errors import ModelError
from overlens.records import ModelInfo


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One encoder in words, for a table."""

    name: str
    kind: str
    dim: str
    source: str
    present: str


@dataclass(frozen=True, slots=True)
class TestEncode:
    """What a test encode showed: `n_images` usable rows in `seconds`."""

    info: ModelInfo
    n_images: int
    seconds: float


def list_encoders() -> list[CatalogueRow]:
    """Every name that `--clip-model` takes, and the forms of names that stand for many."""
    rows = [_describe(name) for name in ENCODERS.names()]
    rows.append(
        CatalogueRow(f"{HUB_PREFIX}ORG/NAME", 'transformers (extra "torch")', "-", "model hub, or a local folder", "-")
    )
    rows.append(CatalogueRow("PATH", "ONNX or transformers", "-", "an ONNX file or a model folder", "-"))
    return rows


def try_encoder(config: EncoderConfig) -> TestEncode:
    """Load the encoder and encode four pictures twice: alone and together.

    Raises:
        ModelError: A row is not usable, or depends on the other pictures of its batch.
    """
    encoder = load_encoder(config)
    noise = np.random.default_rng(0).integers(0, 256, (4, 240, 320, 3), dtype=np.uint8)
    batch = np.stack([encoder.prepare(pixels) for pixels in noise])
    alone = np.concatenate([encoder.encode(batch[row : row + 1])[0] for row in range(len(batch))])
    started = time.perf_counter()  # the network was built for the first picture
    rows, usable = encoder.encode(batch)
    seconds = time.perf_counter() - started
    if not usable.all():
        raise ModelError(f"encoder {config.model!r} gave {np.count_nonzero(~usable)} of 4 rows that are not finite")
    if not np.array_equal(rows, alone):
        raise ModelError(f"encoder {config.model!r} gives an image another row when it is encoded alone")
    return TestEncode(encoder.info, len(rows), seconds)


def _describe(name: str) -> CatalogueRow:
    if name in CLIP_TOWERS:
        return _describe_clip(name)
    if name == "offline":
        return _describe_offline(name)
    return CatalogueRow(name, "plug-in", "-", "an installed package", "-")


def _describe_clip(name: str) -> CatalogueRow:
    tower = CLIP_TOWERS[name]
    present = "yes" if find_cached(tower.file) else "no"
    return CatalogueRow(name, "CLIP, ONNX", str(tower.dim), f"model hub: {tower.file.repo}", present)


def _describe_offline(name: str) -> CatalogueRow:
    try:
        find_weights()
        present = "yes"
    except ModelError:
        present = "no"
    return CatalogueRow(name, "EfficientNet-Lite0, not CLIP", str(DIM), f"package {PACKAGE}", present)
