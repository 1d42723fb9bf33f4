"""What a model on this machine consists of: the file of its network, files beside it, and its settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overlens.encoders.preprocess import CLIP_PREPROCESSING, Preprocessing, from_processor_config
from overlens.encoders.weights import WAYS_OUT, digest_files
from overlens.errors import ConfigError, ModelError

ONNX_NAMES = ("onnx/vision_model.onnx", "vision_model.onnx", "model.onnx")


def find_onnx(path: Path) -> Path | None:
    """The ONNX file that `path` is or holds; None for a folder of transformers; ModelError if it is neither."""
    if not path.exists():
        raise ConfigError(f"there is no file or folder {path}; {WAYS_OUT}")
    if path.is_file():
        _require_onnx_name(path)
        return path
    for name in ONNX_NAMES:
        if (path / name).is_file():
            return path / name
    if (path / "config.json").is_file():
        return None
    raise ModelError(
        f"the folder {path} holds no model; allowed are {', '.join(ONNX_NAMES)}, or config.json with safetensors"
    )


def digest_onnx(onnx: Path) -> str:
    """SHA-256 of an ONNX file and of the files beside it that hold its large tensors."""
    return digest_files([onnx, *_external_data(onnx)])


def find_preprocessing(onnx: Path) -> Preprocessing:
    """Settings beside the ONNX file or one folder up; without them, CLIP's."""
    for folder in (onnx.parent, onnx.parent.parent):
        path = folder / "preprocessor_config.json"
        if path.is_file():
            return from_processor_config(read_json(path), str(path))
        if onnx.parent.name != "onnx":
            break
    return CLIP_PREPROCESSING


def read_json(path: Path) -> Mapping[str, Any]:
    """Read a file that holds one JSON object; ModelError if it does not."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds {type(values).__name__}; allowed is one JSON object")
    return values


def _require_onnx_name(path: Path) -> None:
    if path.suffix in {".pt", ".pth", ".bin", ".ckpt", ".safetensors"}:
        raise ModelError(
            f"{path} is a PyTorch file; allowed are an ONNX image tower, or a folder with config.json and safetensors"
        )
    if path.suffix != ".onnx":
        raise ModelError(f"{path} does not end in .onnx; allowed are an ONNX image tower, or a model folder")


def _external_data(onnx: Path) -> list[Path]:
    """Files beside the ONNX file that hold its large tensors, by the names that exporters give them."""
    names = (f"{onnx.name}_data", f"{onnx.name}.data")
    return [onnx.with_name(name) for name in names if onnx.with_name(name).is_file()]
