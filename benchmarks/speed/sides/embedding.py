"""Pictures to embeddings by a ViT-B/32 image tower of CLIP, with random weights: they take as long as trained ones.

Shapes: n images, d dimensions.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from speed.records import Answer
from speed.sides.images import batches, list_photos

if TYPE_CHECKING:
    from overlens.encoders import LoadedEncoder

Job = Callable[[], Answer]

ONNX, TORCH, CROPS = "tower.onnx", "tower", "crops.npy"
BATCH = 32
TOKENS, WIDTH, LAYERS, PATCH = 50, 768, 12, 32
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def operations_per_image() -> int:
    """Multiplications and additions of the tower's matrix products on one image."""
    layer = 12 * WIDTH * WIDTH * TOKENS + 2 * TOKENS * TOKENS * WIDTH
    return 2 * (LAYERS * layer + (TOKENS - 1) * 3 * PATCH * PATCH * WIDTH + WIDTH * 512)


def export_tower(folder: Path, **_: Any) -> Job:
    """Make the tower once, from a seed, and write it for transformers and as ONNX."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    class Tower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = model

        def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
            return self.tower(pixel_values=pixel_values).image_embeds

    def job() -> Answer:
        torch.backends.mha.set_fastpath_enabled(False)  # its fused operator has no counterpart in ONNX
        model.save_pretrained(folder / TORCH)
        names = {"input_names": ["pixel_values"], "output_names": ["image_embeds"]}
        axes = {"pixel_values": {0: "images"}, "image_embeds": {0: "images"}}
        example = (torch.zeros(2, 3, 224, 224),)
        torch.onnx.export(Tower(), example, str(folder / ONNX), dynamic_axes=axes, dynamo=False, **names)
        return Answer()

    torch.manual_seed(0)
    config = CLIPVisionConfig(patch_size=PATCH, projection_dim=512, attn_implementation="eager")
    model = CLIPVisionModelWithProjection(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.mul_(1.5)  # as drawn they are so small that all pictures give nearly one vector
    return job


def encode_overlens(folder: Path, *, own: str, precision: str = "auto", **_: Any) -> Job:
    """Encode prepared pictures by the ONNX file, as `overlens compute --clip-model FILE` does."""
    encoder = _load(folder, precision)
    crops = np.load(folder / CROPS)

    def job() -> Answer:
        rows = np.concatenate([encoder.encode(batch)[0] for batch in batches(crops, BATCH)])
        return _save(rows, own, f"in {encoder.info.precision}")

    encoder.encode(crops[:BATCH])
    return job


def encode_torch(folder: Path, *, own: str, half: bool = False, **_: Any) -> Job:
    """Encode prepared pictures by torch through transformers, as simple scripts do."""
    import torch
    from transformers import CLIPVisionModelWithProjection

    kind = torch.bfloat16 if half else torch.float32
    model = CLIPVisionModelWithProjection.from_pretrained(folder / TORCH).eval().to(kind)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in (MEAN, DEVIATION))
    crops = np.load(folder / CROPS)

    def encode(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() - mean) / deviation
        with torch.inference_mode():
            return np.asarray(model(pixel_values=pixels.to(kind)).image_embeds.float())

    def job() -> Answer:
        return _save(np.concatenate([encode(batch) for batch in batches(crops, BATCH)]), own)

    encode(crops[:BATCH])
    return job


def multiply_bf16(folder: Path, *, n: int, **_: Any) -> Job:
    """Multiply bf16 matrices of 4,096 a side by torch: how long n images' worth of multiplications take at best."""
    import torch

    left, right = (torch.randn(4096, 4096).to(torch.bfloat16) for _ in range(2))
    product = torch.empty(4096, 4096, dtype=torch.bfloat16)
    repeats = 8

    def job() -> Answer:
        for _ in range(repeats):
            torch.mm(left, right, out=product)
        done, wanted = repeats * 2 * 4096**3, n * operations_per_image()
        return Answer(f"{operations_per_image() / 1e9:.2f} GFLOP an image", scale=wanted / done)

    torch.mm(left, right, out=product)
    return job


def extract_embeddings(folder: Path, *, n: int, own: str, **_: Any) -> Job:
    """Go from files to hashes and embeddings as `overlens compute` does: decode and hash while the encoder runs."""
    from overlens.config import HashConfig
    from overlens.extract import EMBEDDING, HASH, Extractor, ShardTask

    encoder = _load(folder, "auto")
    files = list_photos(folder, n)

    def job(files: list[Path] = files) -> Answer:
        wanted = HASH, EMBEDDING
        task = ShardTask("photos", tuple(file.name for file in files), tuple(files), wanted, {HASH: {}, EMBEDDING: {}})
        with Extractor(HashConfig(), encoder) as extractor:
            rows = extractor(task).records[EMBEDDING].rows
        return _save(rows, own)

    job(files[:BATCH])
    return job


def _load(folder: Path, precision: str) -> "LoadedEncoder":
    from overlens.config import EncoderConfig
    from overlens.encoders import load_encoder

    return load_encoder(EncoderConfig(str(folder / ONNX), batch_size=BATCH, precision=precision))


def _save(rows: NDArray[np.float32], own: str, words: str = "") -> Answer:
    np.save(Path(own) / "vectors.npy", rows)
    return Answer(f"{len(rows):,} vectors {words}".strip(), files={"vectors": "vectors.npy"})
