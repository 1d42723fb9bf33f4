"""Known edits: what copies go through on their way from one dataset to another, done to a picture on purpose.

An edited picture is a copy by construction, so it shows what a method finds and what it misses without anybody having
to judge pairs. Each edit has one fixed, moderate strength; what it leaves to chance (where to crop, which colour)
follows from the seed and the name of the image, so that a picture is always edited in the same way. Edits work at any
size from one pixel on and need no font file: Pillow brings a font of its own.

Shapes: h rows, w columns.
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.errors import ConfigError
from overlens.sampler import draw_number

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
Edit = Callable[[Pixels, np.random.Generator], Pixels]

CROP_AREA = 0.5
BORDER_SHARE = 0.1
BLUR_SHARE = 1 / 150
ROTATION_DEGREES = 5.0
HUE_STEPS = 90  # of 256, so 127 degrees
PERSPECTIVE_SHARE = 0.06
TEXT = "SAMPLE TEXT"


def edit_image(pixels: Pixels, name: str, *, key: str, seed: int = 0) -> Pixels:
    """Return a copy of a picture with one known edit done to it.

    Args:
        pixels: `(h, w, 3)` uint8 RGB, at least one pixel; not changed.
        name: One of `EDITS`.
        key: Name of the image: what is left to chance follows from it.
        seed: Which chances.

    Returns:
        `(h', w', 3)` uint8.

    Raises:
        ConfigError: There is no such edit.
        ValueError: The pixels are of another shape or type.
    """
    if name not in EDITS:
        raise ConfigError(f"unknown edit {name!r}; known: {', '.join(EDITS)}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"pixels must be (h, w, 3) of uint8, got {pixels.dtype} of shape {pixels.shape}")
    chances = np.random.Generator(np.random.PCG64(draw_number(seed, "known edit", name, key)))
    return np.ascontiguousarray(EDITS[name](pixels, chances))


def _crop(pixels: Pixels, chances: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    rows, columns = (max(1, round(side * CROP_AREA**0.5)) for side in (height, width))
    top, left = chances.integers(0, height - rows + 1), chances.integers(0, width - columns + 1)
    return pixels[top : top + rows, left : left + columns]


def _border(pixels: Pixels, chances: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    edge = max(1, round(BORDER_SHARE * max(height, width)))
    framed = np.empty((height + 2 * edge, width + 2 * edge, 3), np.uint8)
    framed[:] = chances.integers(0, 256, 3)
    framed[edge:-edge, edge:-edge] = pixels
    return framed


def _overlay_text(pixels: Pixels, chances: np.random.Generator) -> Pixels:
    from PIL import ImageDraw, ImageFont

    image = _as_image(pixels)
    height, width = pixels.shape[:2]
    place = 0.06 * width, chances.uniform(0.1, 0.7) * height
    font = ImageFont.load_default(size=max(6, width // 8))
    settings: dict[str, Any] = {"fill": (255, 255, 255), "stroke_fill": (0, 0, 0), "stroke_width": max(1, width // 200)}
    ImageDraw.Draw(image).text(place, TEXT, font=font, **settings)
    return np.asarray(image)


def _blur(pixels: Pixels, _: np.random.Generator) -> Pixels:
    from PIL import ImageFilter

    radius = max(0.5, BLUR_SHARE * max(pixels.shape[:2]))
    return np.asarray(_as_image(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _rotate(pixels: Pixels, chances: np.random.Generator) -> Pixels:
    from PIL import Image

    degrees = ROTATION_DEGREES * (1 if chances.integers(2) else -1)
    return np.asarray(_as_image(pixels).rotate(degrees, Image.Resampling.BICUBIC))


def _mirror(pixels: Pixels, _: np.random.Generator) -> Pixels:
    return pixels[:, ::-1]


def _shift_hue(pixels: Pixels, _: np.random.Generator) -> Pixels:
    from PIL import Image

    hue, *others = _as_image(pixels).convert("HSV").split()
    shifted = Image.fromarray(np.asarray(hue) + np.uint8(HUE_STEPS))  # runs over, as hues do
    return np.asarray(Image.merge("HSV", (shifted, *others)).convert("RGB"))


def _grey(pixels: Pixels, _: np.random.Generator) -> Pixels:
    return np.asarray(_as_image(pixels).convert("L").convert("RGB"))


def _tilt(pixels: Pixels, chances: np.random.Generator) -> Pixels:
    import cv2

    height, width = pixels.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moves = chances.uniform(-PERSPECTIVE_SHARE, PERSPECTIVE_SHARE, (4, 2)) * (width, height)
    tilt = cv2.getPerspectiveTransform(corners, corners + moves.astype(np.float32))
    return np.asarray(cv2.warpPerspective(pixels, tilt, (width, height)), np.uint8)


def _halve(pixels: Pixels, _: np.random.Generator) -> Pixels:
    from PIL import Image

    height, width = pixels.shape[:2]
    size = max(1, width // 2), max(1, height // 2)
    return np.asarray(_as_image(pixels).resize(size, Image.Resampling.LANCZOS))


def _recompress(quality: int) -> Edit:
    def recompress(pixels: Pixels, _: np.random.Generator) -> Pixels:
        from PIL import Image

        stream = BytesIO()
        _as_image(pixels).save(stream, "JPEG", quality=quality)
        with Image.open(stream) as image:
            return np.asarray(image.convert("RGB"))

    return recompress


def _as_image(pixels: Pixels) -> "Image":
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels))


EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "crop": _crop,
        "border": _border,
        "text": _overlay_text,
        "blur": _blur,
        "jpeg10": _recompress(10),
        "rotate": _rotate,
        "mirror": _mirror,
        "hue": _shift_hue,
        "grey": _grey,
        "perspective": _tilt,
        "half_size": _halve,
        "jpeg50": _recompress(50),
    }
)
"""Name -> edit: `(h, w, 3)` uint8 pixels and chances to `(h', w', 3)` uint8 pixels."""

HARD_EDITS = tuple(EDITS)[:10]
"""The edits of the accuracy table; the two others, smaller pictures and light compression, are easy to find."""
