"""How pixels of any size become the square that an encoder takes in.

One record states it in full, for the code, the fingerprint and the report alike. Resizing equals Pillow's, which
antialiases; sizes and crops are rounded as torchvision rounds them, because the published CLIP vectors were made that
way. The subtraction of the mean is left to the encoder's graph, so that only bytes travel between threads.

Shapes: h x w pixels of a picture, s pixels along each side of the input.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.errors import ModelError
from overlens.resizing import RESAMPLINGS as RESIZED
from overlens.resizing import resize

Pixels = NDArray[np.uint8]

# Beyond this only the crop is resized, not the whole picture: a strip of 1 x 60,000 pixels would take gigabytes.
MAX_RESIZED_SIDE = 16_384

RESAMPLINGS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From pixels to the input of an encoder.

    Attributes:
        size: Side s of the input in pixels.
        shorter_side: Length that the shorter side is resized to before a centre crop of `size`; 0 squashes the whole
            picture to `size` x `size`, so that nothing is cut off.
        resampling: A value of `RESAMPLINGS`.
        mean: Subtracted from each channel, on the scale 0 to 255.
        deviation: Each channel is then divided by it, on the scale 0 to 255.
    """

    size: int
    shorter_side: int
    resampling: str
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.shorter_side and self.shorter_side < self.size:
            raise ValueError(f"shorter_side must be 0 or at least {self.size}, got {self.shorter_side}")
        if self.resampling not in RESAMPLINGS.values():
            raise ValueError(f"resampling must be one of {tuple(RESAMPLINGS.values())}, got {self.resampling!r}")

    def __call__(self, pixels: Pixels) -> Pixels:
        """Resize and crop: `(h, w, 3)` uint8 to `(s, s, 3)` uint8."""
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
            raise ValueError(f"pixels must be (h, w, 3) uint8 with h, w >= 1, got {pixels.shape} {pixels.dtype}")
        pixels = np.ascontiguousarray(pixels)
        if not self.shorter_side:
            return self._resize(pixels, (self.size, self.size))
        height, width = pixels.shape[:2]
        n_columns, n_rows = resized_size(width, height, self.shorter_side)
        top, left = _crop_offset(n_rows, self.size), _crop_offset(n_columns, self.size)
        if max(n_rows, n_columns) > MAX_RESIZED_SIDE:
            across, down = width / n_columns, height / n_rows
            box = left * across, top * down, (left + self.size) * across, (top + self.size) * down
            return self._resize_by_pillow(pixels, (self.size, self.size), box)
        return self._resize(pixels, (n_rows, n_columns), (top, left))

    def _resize(self, pixels: Pixels, shape: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> Pixels:
        """Resize to `shape` (rows, columns) and return the square of the input's size at `corner` (row, column)."""
        window = slice(corner[0], corner[0] + self.size), slice(corner[1], corner[1] + self.size)
        if self.resampling not in RESIZED:
            return np.ascontiguousarray(self._resize_by_pillow(pixels, shape)[window])
        return resize(pixels, shape, self.resampling, window=window)

    def _resize_by_pillow(
        self, pixels: Pixels, shape: tuple[int, int], box: tuple[float, float, float, float] | None = None
    ) -> Pixels:
        from PIL import Image

        method = Image.Resampling[self.resampling.upper()]
        return np.asarray(Image.fromarray(pixels).resize(shape[::-1], method, box=box), np.uint8)

    def normalise(self, batch: Pixels) -> NDArray[np.float32]:
        """Subtract the mean and divide by the deviation: `(b, s, s, 3)` uint8 to float32 of the same shape."""
        shifted = batch.astype(np.float32) - np.asarray(self.mean, np.float32)
        return np.asarray(shifted / np.asarray(self.deviation, np.float32), np.float32)

    def describe(self) -> str:
        """Everything that changes the input, in one line."""
        shape = (
            f"shorter side to {self.shorter_side} px, centre crop {self.size}"
            if self.shorter_side
            else f"whole picture to {self.size} x {self.size} px"
        )
        numbers = [" ".join(f"{value:.8g}" for value in column) for column in (self.mean, self.deviation)]
        return f"RGB, {shape}, Pillow {self.resampling}, minus ({numbers[0]}) over ({numbers[1]})"


# The constants of OpenAI's release, times 255.
CLIP_PREPROCESSING = Preprocessing(
    size=224,
    shorter_side=224,
    resampling="bicubic",
    mean=(0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255),
    deviation=(0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255),
)


def resized_size(width: int, height: int, shorter_side: int) -> tuple[int, int]:
    """Size after the shorter side became `shorter_side`; the longer one is cut to whole pixels, as in torchvision."""
    if width <= height:
        return shorter_side, int(shorter_side * height / width)
    return int(shorter_side * width / height), shorter_side


def _crop_offset(length: int, size: int) -> int:
    return round((length - size) / 2.0)


def from_processor_config(config: Mapping[str, Any], where: str) -> Preprocessing:
    """Read the settings of a Hugging Face image processor (`preprocessor_config.json`).

    Args:
        config: The parsed file.
        where: The file, for messages.

    Raises:
        ModelError: The settings ask for something that is not a resize to a square or a resize and a centre crop.
    """
    try:
        shorter_side, side = _geometry(config)
        scale = 1 / float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
        shifts = config.get("do_normalize", True)
        return Preprocessing(
            size=side,
            shorter_side=shorter_side,
            resampling=RESAMPLINGS[int(config.get("resample", 3))],
            mean=_channels(config["image_mean"] if shifts else [0.0] * 3, scale),
            deviation=_channels(config["image_std"] if shifts else [1.0] * 3, scale),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the image settings in {where} cannot be followed ({error}); allowed are one square size, or a shorter "
            "side with a square centre crop, and a mean and deviation of three channels"
        ) from error


# Processors for which one plain number as `size` means the shorter side; for all others it means a square.
_SHORTER_SIDE_PROCESSORS = ("CLIP", "ChineseCLIP", "Bit")


def _geometry(config: Mapping[str, Any]) -> tuple[int, int]:
    """Return (shorter side or 0, side of the square)."""
    if not config.get("do_resize", True) or config.get("crop_pct"):
        raise ValueError("no plain resize")
    size, crops = config["size"], bool(config.get("do_center_crop"))
    kind = str(config.get("image_processor_type", config.get("feature_extractor_type", "CLIP")))
    if isinstance(size, int):
        by_shorter_side = crops and kind.startswith(_SHORTER_SIDE_PROCESSORS)
        size = {"shortest_edge": size} if by_shorter_side else {"height": size, "width": size}
    sides = {name: int(value) for name, value in size.items() if value is not None}
    if sides.keys() == {"shortest_edge"} and crops:
        return sides["shortest_edge"], _square(config.get("crop_size", sides["shortest_edge"]))
    if sides.keys() != {"height", "width"} or (crops and _square(config["crop_size"]) != _square(sides)):
        raise ValueError(f"size {size}, centre crop {config.get('crop_size') if crops else 'none'}")
    return 0, _square(sides)


def _square(size: int | Mapping[str, int]) -> int:
    if isinstance(size, int):
        return size
    height, width = int(size["height"]), int(size["width"])
    if height != width:
        raise ValueError(f"{height} x {width} is not a square")
    return height


def _channels(values: Iterable[float], scale: float) -> tuple[float, float, float]:
    red, green, blue = (float(value) * scale for value in values)
    return red, green, blue
