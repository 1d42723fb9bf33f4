"""CLIP image towers, and any other image tower in an ONNX file, run by OpenVINO on the processor.

No torch: OpenAI's weights are published as ONNX. The bytes of the prepared picture go in; mean and deviation are part
of the compiled graph. Preparation equals OpenAI's, so vectors compare with published ones.

Shapes: b images, s pixels along each side of the input, d dimensions.
"""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.config import EncoderConfig
from overlens.encoders.base import Resolved
from overlens.encoders.modelfiles import digest_onnx, find_onnx, find_preprocessing
from overlens.encoders.preprocess import CLIP_PREPROCESSING, Pixels, Preprocessing
from overlens.encoders.runtime import LANE, Graph, Tower, import_openvino, last_line, resolve_precision
from overlens.encoders.transformers import resolve_folder
from overlens.encoders.weights import HubFile, Weights, obtain_file
from overlens.errors import ConfigError, ModelError
from overlens.records import ModelInfo

INPUT = "pixel_values"
OUTPUTS = ("image_embeds", "pooler_output")
VISION_FILE = "onnx/vision_model.onnx"


@dataclass(frozen=True, slots=True)
class ClipTower:
    """A published CLIP image tower: where it is and how long its vectors are."""

    file: HubFile
    dim: int


CLIP_TOWERS: Mapping[str, ClipTower] = {
    "ViT-B/32": ClipTower(
        HubFile("Xenova/clip-vit-base-patch32", VISION_FILE, "4c1807b705b1d015fb032789cc4d221b23025a6f"), 512
    ),
    "ViT-B/16": ClipTower(HubFile("Xenova/clip-vit-base-patch16", VISION_FILE), 512),
    "ViT-L/14": ClipTower(HubFile("Xenova/clip-vit-large-patch14", VISION_FILE), 768),
}


@dataclass(frozen=True, slots=True)
class TowerShape:
    """What an ONNX image tower takes and gives: `lane` images of `size` pixels a side, `dim` values in `output`."""

    lane: int
    size: int
    output: str
    dim: int


def resolve_clip(config: EncoderConfig) -> Resolved:
    """Find the weights of a named CLIP tower, in `config.weights` or on the hub, and check their shape."""
    tower = CLIP_TOWERS[config.model]
    if config.weights is not None:
        found = _resolve_path(config.weights.expanduser(), config)
    else:
        found = _resolve_onnx(obtain_file(tower.file, config.model), CLIP_PREPROCESSING, config)
    if found.info.dim != tower.dim:
        raise ModelError(
            f"{found.info.source} gives vectors of {found.info.dim} values, and {config.model} has {tower.dim}; "
            "name it by its path (--clip-model PATH) to use it as what it is"
        )
    return found


def resolve_local(config: EncoderConfig) -> Resolved:
    """Check the ONNX file or model folder that `config.model` is the path of."""
    if config.weights is not None:
        raise ConfigError(
            f"--weights {config.weights} and --clip-model {config.model} both name a local model; give one of them"
        )
    return _resolve_path(Path(config.model).expanduser(), config)


class OnnxEncoder:
    """An image tower from an ONNX file."""

    def __init__(
        self, info: ModelInfo, path: Path, shape: TowerShape, preprocessing: Preprocessing, n_threads: int = 0
    ) -> None:
        self.info = info
        self.name = info.name
        self.dim = shape.dim
        self.lane = shape.lane
        self.prepare = preprocessing
        self._tower = Tower(lambda: _with_bytes_in(*read_tower(path), preprocessing), info.precision, n_threads)

    def encode(self, batch: Pixels) -> NDArray[np.float32]:
        """Encode `(lane, s, s, 3)` uint8 to `(lane, d)` float32, not normalised."""
        return self._tower.run(batch)

    def encode_lanes(self, lanes: Iterable[Pixels]) -> Generator[NDArray[np.float32]]:
        """Yield what `encode` gives for each lane, in order."""
        return self._tower.run_all(lanes)


def read_tower(path: Path) -> tuple[Graph, TowerShape]:
    """Read an ONNX image tower with its batch fixed, and check that it is one.

    Raises:
        ModelError: The file cannot be read, has another input than `pixel_values` `(b, 3, s, s)`, or no output
            `image_embeds` or `pooler_output` `(b, d)`.
    """
    try:
        model = import_openvino().Core().read_model(str(path))
    except RuntimeError as error:
        raise ModelError(f"{path} cannot be read as an ONNX model: {last_line(error)}") from error
    lane, size = _fix_input(model, path)
    output = next((name for name in OUTPUTS if name in _names(model.outputs)), None)
    if output is None:
        raise ModelError(f"{path} gives {_names(model.outputs)}; an image tower gives {' or '.join(OUTPUTS)}")
    shape = model.output(output).get_partial_shape()
    if shape.rank.get_length() != 2 or not shape[1].is_static:
        raise ModelError(f"{path} gives {output} of shape {shape}; allowed is (images, values)")
    return model, TowerShape(lane, size, output, shape[1].get_length())


def _resolve_path(path: Path, config: EncoderConfig) -> Resolved:
    onnx = find_onnx(path)
    if onnx is None:
        return resolve_folder(path, config, source=f"local folder {path}", revision="")
    weights = Weights(onnx, f"local file {onnx}", "", digest_onnx(onnx))
    return _resolve_onnx(weights, find_preprocessing(onnx), config)


def _resolve_onnx(weights: Weights, preprocessing: Preprocessing, config: EncoderConfig) -> Resolved:
    precision = resolve_precision(config.precision)
    _, shape = read_tower(weights.path)
    if preprocessing == CLIP_PREPROCESSING:
        preprocessing = replace(preprocessing, size=shape.size, shorter_side=shape.size)
    if preprocessing.size != shape.size:
        raise ModelError(
            f"{weights.path} takes {shape.size} pixels a side, "
            f"and its preprocessor_config.json makes {preprocessing.size}"
        )
    info = ModelInfo(
        name=config.model,
        source=weights.source,
        revision=weights.revision,
        weights_sha256=weights.sha256,
        precision=precision,
        dim=shape.dim,
        preprocessing=preprocessing.describe(),
        is_clip=shape.output == "image_embeds",
    )
    return Resolved(info, partial(OnnxEncoder, info, weights.path, shape, preprocessing, config.n_threads))


def _fix_input(model: Graph, path: Path) -> tuple[int, int]:
    """Give the input its fixed shape; return (lane, size)."""
    if _names(model.inputs) != [INPUT]:
        raise ModelError(f"{path} takes {_names(model.inputs)}; an image tower takes one input, {INPUT}")
    shape = model.input(INPUT).get_partial_shape()
    if shape.rank.is_dynamic or shape.rank.get_length() != 4:
        raise ModelError(f"{path} takes {INPUT} of shape {shape}; allowed is (images, 3, side, side)")
    usual = (LANE, 3, CLIP_PREPROCESSING.size, CLIP_PREPROCESSING.size)
    fixed = [side.get_length() if side.is_static else length for side, length in zip(shape, usual, strict=True)]
    if fixed[1] != 3 or fixed[2] != fixed[3]:
        raise ModelError(f"{path} takes {INPUT} of shape {shape}; allowed is (images, 3, side, side)")
    try:
        model.reshape({INPUT: fixed})
    except RuntimeError as error:
        raise ModelError(f"{path} does not run on pictures of shape {fixed}: {last_line(error)}") from error
    return fixed[0], fixed[2]


def _with_bytes_in(model: Graph, shape: TowerShape, preprocessing: Preprocessing) -> Graph:
    """Put bytes `(lane, s, s, 3)` before the tower and leave only its vectors behind it."""
    openvino = import_openvino()
    from openvino import preprocess

    only = openvino.Model([model.output(shape.output)], model.get_parameters(), "image_tower")
    steps = preprocess.PrePostProcessor(only)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    pixels = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    pixels.mean(list(preprocessing.mean)).scale(list(preprocessing.deviation))
    steps.output().tensor().set_element_type(openvino.Type.f32)
    return steps.build()


def _names(ports: Iterable[Graph]) -> list[str]:
    return [name for port in ports for name in sorted(port.get_names())[:1]]
