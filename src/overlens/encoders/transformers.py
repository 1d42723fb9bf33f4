"""Any image tower of the library transformers, from the model hub or a local folder; the only user of torch.

The pooled output is, in this order: `image_embeds` (CLIP with its projection), `pooler_output`, the mean of
`last_hidden_state` over places. Tensors that a folder lacks would be filled with random numbers by the library; that is
an error here. Only safetensors are read and code from a repository is never run.

On CUDA in half precision unless fp32 or bf16 is asked for; on the processor in bfloat16 or float32. Images run in
lanes of one fixed size, as everywhere. While the device computes one lane, the next is copied to it and the rows of the
last are copied back, from and to pinned memory; on the processor the same steps follow one another.

On the processor in bfloat16 torch splits some products by its number of threads, so that rows made with other numbers
of threads may differ in their last bits (cosine 0.99999 between 1 and 2 threads after three layers of ViT-B width); in
float32 none were seen to differ.

Shapes: b images, s pixels along each side of the input, d dimensions.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.config import EncoderConfig
from overlens.encoders.base import Resolved
from overlens.encoders.modelfiles import read_json
from overlens.encoders.preprocess import Pixels, Preprocessing, from_processor_config
from overlens.encoders.runtime import LANE, resolve_precision
from overlens.encoders.weights import digest_file, digest_files, obtain_folder, tensor_files
from overlens.errors import ConfigError, MissingExtraError, ModelError
from overlens.records import ModelInfo

# Of torch and transformers, which are seldom installed where types are checked.
Tensor = Any
Module = Any
Output = Any

HUB_PREFIX = "hf:"
CUDA_LANE = 128
"""Images of a lane on CUDA, where the time to start the network's kernels is that of some dozen images."""
LANES_AT_ONCE = 2
"""Lanes on their way through a device: one computed, one copied."""

# Towers that stand inside a model of pictures and texts: loading the tower alone spares the text half.
_TOWERS = {
    "clip": "CLIPVisionModelWithProjection",
    "clip_vision_model": "CLIPVisionModelWithProjection",
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
}


def resolve_transformers(config: EncoderConfig) -> Resolved:
    """Find the model `hf:ORG/NAME` on the hub, or `hf:FOLDER` on this machine, and check it."""
    _require_torch()
    target = config.model.removeprefix(HUB_PREFIX)
    folder = Path(target).expanduser() if config.weights is None else config.weights.expanduser()
    if folder.exists():
        return resolve_folder(folder, config, source=f"local folder {folder}", revision="")
    if config.weights is not None or target.count("/") != 1 or target.startswith((".", "/", "~")):
        raise ConfigError(
            f"there is no model folder {folder}; after {HUB_PREFIX} comes ORG/NAME or a folder that exists"
        )
    folder, commit = obtain_folder(target, config.model)
    return resolve_folder(folder, config, source=f"hub {target}", revision=commit)


def resolve_folder(folder: Path, config: EncoderConfig, *, source: str, revision: str) -> Resolved:
    """Load the image tower in a folder of transformers.

    Args:
        folder: Holds config.json, preprocessor_config.json and safetensors.
        config: What the user asked for.
        source: Where the folder is from, in words.
        revision: Commit of the hub, or "" for a local folder, which is known by the digest of its config.json.

    Raises:
        ModelError: The folder lacks a file or a tensor, or its model takes no pictures.
    """
    _require_torch()
    settings = folder / "preprocessor_config.json"
    preprocessing = from_processor_config(read_json(settings), str(settings))
    kind = str(read_json(folder / "config.json").get("model_type", ""))
    weights_sha256 = digest_files(tensor_files(folder))
    tower = TorchTower(load_tower(folder, kind), preprocessing, config)
    info = ModelInfo(
        name=config.model,
        source=f"{source} ({kind}, {tower.place})",
        revision=revision or f"config.json {digest_file(folder / 'config.json')[:16]}",
        weights_sha256=weights_sha256,
        precision=tower.precision,
        dim=tower.measure_dim(),
        preprocessing=preprocessing.describe(),
        is_clip=kind in {"clip", "clip_vision_model"},
    )
    return Resolved(info, lambda: TransformersEncoder(info, tower))


class TransformersEncoder:
    """An image tower of transformers."""

    def __init__(self, info: ModelInfo, tower: "TorchTower") -> None:
        self.info = info
        self.name = info.name
        self.dim = info.dim
        self.lane = tower.lane
        self.prepare = tower.preprocessing
        self._tower = tower

    def encode(self, batch: Pixels) -> NDArray[np.float32]:
        """Encode `(lane, s, s, 3)` uint8 to `(lane, d)` float32, not normalised."""
        return self._tower.run(batch)

    def encode_lanes(self, lanes: Iterable[Pixels]) -> Generator[NDArray[np.float32]]:
        """Yield what `encode` gives for each lane, in order."""
        return self._tower.run_all(lanes)


class TorchTower:
    """A model of torch on its device, in its precision.

    Args:
        model: The image tower.
        preprocessing: How pixels become its input.
        config: Its precision, and its `n_threads`: torch has one pool of threads for the whole process, so a number
            above 0 holds for all that uses torch in it, also afterwards. On CUDA the pool is left alone.
    """

    def __init__(self, model: Module, preprocessing: Preprocessing, config: EncoderConfig) -> None:
        import torch

        self.preprocessing = preprocessing
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        on_cuda = self.device == "cuda"
        self.lane = CUDA_LANE if on_cuda else LANE
        # The lane stands in the fingerprint of CUDA rows alone: its libraries choose their sums by it.
        self.place = f"cuda, {self.lane} at once" if on_cuda else "cpu"
        self.precision = _cuda_precision(config.precision) if on_cuda else resolve_precision(config.precision)
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        if config.n_threads > 0 and not on_cuda:
            torch.set_num_threads(config.n_threads)
        self._model = model.to(self.device, self._dtype).eval()
        self._mean = torch.tensor(preprocessing.mean, device=self.device)
        self._deviation = torch.tensor(preprocessing.deviation, device=self.device)
        self._slots = [LaneSlot(self.device) for _ in range(LANES_AT_ONCE)]

    def run(self, batch: Pixels) -> NDArray[np.float32]:
        """Encode `(b, s, s, 3)` uint8 to `(b, d)` float32."""
        (rows,) = self.run_all([batch])
        return rows

    def run_all(self, batches: Iterable[Pixels]) -> Generator[NDArray[np.float32]]:
        """Yield the rows of batch after batch, in order, with some under way; not for two threads at once."""
        idle, busy = list(self._slots), deque[LaneSlot]()
        for batch in batches:
            if not idle:
                idle.append(busy.popleft())
                yield idle[-1].take()
            busy.append(idle.pop())
            self._start(busy[-1], batch)
        while busy:
            yield busy.popleft().take()

    def _start(self, slot: "LaneSlot", batch: Pixels) -> None:
        import torch

        with torch.inference_mode(), _exact_float32():
            pixels = slot.send(batch).to(torch.float32)
            values = ((pixels - self._mean) / self._deviation).permute(0, 3, 1, 2).contiguous().to(self._dtype)
            slot.fetch(pool_output(self._forward(values)).float())

    def measure_dim(self) -> int:
        """Length of a row, found by encoding black pictures; ModelError if the model does not take them."""
        side = self.preprocessing.size
        try:
            return int(self.run(np.zeros((self.lane, side, side, 3), np.uint8)).shape[1])
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelError(
                f"{type(self._model).__name__} gives no vector for a picture of {side} x {side} pixels: "
                f"{' '.join(str(error).split())[:200]}"
            ) from error

    def _forward(self, values: Tensor) -> Output:
        if hasattr(self._model, "get_image_features"):
            return self._model.get_image_features(pixel_values=values)
        return self._model(pixel_values=values)


class LaneSlot:
    """The way of one lane to a device and of its rows back, beside what the device computes meanwhile.

    Copies run on streams of their own and wait for what they need by events. The buffers are kept from lane to lane and
    used again only after `take`, which waits for the last copy.
    """

    def __init__(self, device: str) -> None:
        import torch

        self._torch, self._device = torch, device
        # Of the processor these are stand-ins that do nothing, and every step is done when its call returns.
        self._on = torch.get_device_module(device)
        self._inward, self._outward = self._on.Stream(), self._on.Stream()
        self._arrived, self._computed, self._done = self._on.Event(), self._on.Event(), self._on.Event()
        self._pixels = self._pixels_there = self._rows = self._rows_there = torch.empty(0)

    def send(self, batch: Pixels) -> Tensor:
        """Start copying `(b, s, s, 3)` uint8 to the device; what is computed from the result waits for its arrival."""
        if self._pixels.shape != batch.shape:
            self._pixels = self._pinned(batch.shape, self._torch.uint8)
            self._pixels_there = self._torch.empty(batch.shape, dtype=self._torch.uint8, device=self._device)
        np.copyto(self._pixels.numpy(), batch)
        with self._on.stream(self._inward):
            self._pixels_there.copy_(self._pixels, non_blocking=True)
            self._arrived.record(self._inward)
        self._on.current_stream().wait_event(self._arrived)
        return self._pixels_there

    def fetch(self, rows: Tensor) -> None:
        """Start copying `(b, d)` float32 back, once they are computed."""
        if self._rows.shape != rows.shape:
            self._rows = self._pinned(rows.shape, self._torch.float32)
        self._rows_there = rows  # kept, or its memory would be given away before it is copied
        self._computed.record(self._on.current_stream())
        with self._on.stream(self._outward):
            self._outward.wait_event(self._computed)
            self._rows.copy_(rows, non_blocking=True)
            self._done.record(self._outward)

    def take(self) -> NDArray[np.float32]:
        """Wait for the rows and return them."""
        self._done.synchronize()
        return np.array(self._rows.numpy())

    def _pinned(self, shape: tuple[int, ...], dtype: Tensor) -> Tensor:
        return self._torch.empty(shape, dtype=dtype, pin_memory=self._device == "cuda")


def pool_output(output: Output) -> Tensor:
    """Take one row for each image out of what a model gave: a tensor `(b, d)`."""
    if not hasattr(output, "keys"):
        return output.flatten(1)
    for name in ("image_embeds", "pooler_output"):
        if output.get(name) is not None:
            return output[name].flatten(1)
    hidden = output["last_hidden_state"]
    return hidden.mean(dim=1) if hidden.ndim == 3 else hidden.flatten(2).mean(dim=2)


def load_tower(folder: Path, kind: str) -> Module:
    """Load the image tower of a folder whose model type is `kind`; no tensor of it may be missing."""
    import transformers

    name = _TOWERS.get(kind, "AutoModel")
    architectures = read_json(folder / "config.json").get("architectures") or []
    if kind == "clip_vision_model" and "CLIPVisionModel" in architectures:
        name = "CLIPVisionModel"  # saved without its projection
    model, missing = _load(getattr(transformers, name), folder)
    if missing and all("pooler" in tensor for tensor in missing):
        model, missing = _load(getattr(transformers, name), folder, add_pooling_layer=False)
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} tensors of {type(model).__name__}, such as {missing[0]}; "
            "the model would be partly random"
        )
    return model


def _load(kind: Module, folder: Path, **options: bool) -> tuple[Module, list[str]]:
    damaged: type[Exception] = import_module("safetensors").SafetensorError
    try:
        with _quiet():
            model, report = kind.from_pretrained(
                folder,
                config=_tower_config(folder),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, damaged) as error:
        raise ModelError(f"{folder} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    return model, sorted(report["missing_keys"])


def _tower_config(folder: Path) -> Module:
    """The settings of the image tower; of a CLIP pair, the length of its vectors stands beside the tower's."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if config.model_type not in _TOWERS or not hasattr(config, "vision_config"):
        return config
    if hasattr(config, "projection_dim"):
        config.vision_config.projection_dim = config.projection_dim
    return config.vision_config


@contextmanager
def _quiet() -> Iterator[None]:
    """Spare the user a table of the text half's tensors, which are left out on purpose, and a bar of milliseconds."""
    from transformers.utils import logging

    verbosity, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bar:
            logging.enable_progress_bar()


def _cuda_precision(asked: str) -> str:
    return "fp16" if asked == "auto" else asked


def _exact_float32() -> AbstractContextManager[Any]:
    """Convolutions in whole float32 (not TF32) and by the same algorithm every time."""
    import torch

    flags: AbstractContextManager[Any] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags


def _require_torch() -> None:
    for library in ("torch", "transformers"):
        if find_spec(library) is None:
            raise MissingExtraError(library, "torch")
