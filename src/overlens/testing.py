"""For tests, yours and ours: pictures made from seeds, and a small encoder that needs no weights.

Shapes: b images, s pixels along each side of the encoder's input, d dimensions.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class FakeEncoder:
    """Embeds a picture as the colours of a coarse grid, less their mean: near pictures get near vectors.

    Args:
        cells: Cells along each side of the grid; the embedding has `3 * cells * cells` dimensions.
    """

    name = "fake"
    size = 32

    def __init__(self, cells: int = 8) -> None:
        self.cells = cells
        self.dim = 3 * cells * cells
        self.version = f"colours of {cells} x {cells} cells"
        self.n_encoded = 0

    def encode(self, batch: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return `(b, d)` float32 rows for `(b, s, s, 3)` uint8 pictures; s must be a multiple of the cells."""
        self.n_encoded += len(batch)
        side = batch.shape[1] // self.cells
        grid = batch.reshape(len(batch), self.cells, side, self.cells, side, 3).mean(axis=(2, 4), dtype=np.float64)
        rows = grid.reshape(len(batch), -1)
        centred: NDArray[np.float32] = (rows - rows.mean(axis=1, keepdims=True)).astype(np.float32)
        return centred


def make_picture(seed: int, width: int = 96, height: int = 72) -> NDArray[np.uint8]:
    """Return `(height, width, 3)` uint8: soft waves and a few hard-edged boxes; other seeds give other pictures."""
    generator = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = np.zeros((height, width, 3))
    for _ in range(6):
        fx, fy, phase = generator.uniform(-9, 9) / width, generator.uniform(-9, 9) / height, generator.uniform(0, 6.3)
        waves += np.cos(fx * x + fy * y + phase)[..., None] * generator.uniform(-1, 1, 3)
    for _ in range(5):
        left, top = generator.integers(0, width), generator.integers(0, height)
        right, bottom = left + generator.integers(5, width // 2), top + generator.integers(5, height // 2)
        waves[top:bottom, left:right] = generator.uniform(-3, 3, 3)
    low, high = waves.min(), waves.max()
    pixels: NDArray[np.uint8] = ((waves - low) / (high - low) * 255).astype(np.uint8)
    return pixels


def encode_picture(pixels: NDArray[np.uint8], file_format: str = "PNG", **settings: object) -> bytes:
    """Return the bytes of an image file with these pixels."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, file_format, **settings)
    return stream.getvalue()


def write_pictures(folder: Path, seeds: range, classes: tuple[str, ...] = ("a", "b", "c")) -> None:
    """Write one PNG for each seed below `folder`, dealt to sub-folders named by the classes."""
    for seed in seeds:
        path = folder / classes[seed % len(classes)] / f"{seed:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_picture(make_picture(seed)))
