"""How fast are the transformers encoder and the search for cosine pairs on a GPU, and are the pairs the same?

Needs the extra `torch` and nothing from the network: the tower is a CLIP ViT-B/32 of random weights, the vectors are
random with planted near-copies. Both run through the package's own functions. Without a CUDA device everything runs on
the processor, to show that the program works; give it small sizes then. Prints one JSON object; exits 1 where pairs
differ from the reference.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --images 64 --rows 5000 --sample 100          # without a GPU
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from overlens.config import EncoderConfig
from overlens.encoders import LoadedEncoder, load_encoder
from overlens.search import cosine, find_cosine_pairs
from overlens.search.device import device_in_use

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIDE, WIDTH, INNER, LAYERS, PLACES, PATCH_VALUES = 224, 768, 3072, 12, 50, 3072
CHUNK_ROWS = 50_000
SETTINGS = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_center_crop": True,
    "resample": 3,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def main() -> int:
    """Run the benchmark; returns the exit status."""
    options = parse_options()
    if DEVICE == "cuda":
        torch.cuda.init()
    found = {"machine": describe_machine(), "encoder": measure_encoder(options), "pairs": measure_pairs(options)}
    print(json.dumps(found, indent=2))
    pairs = found["pairs"]
    return int(bool(pairs["missed"] or pairs["extra"] or pairs["differ_from_processor"]) or not pairs["sample_pairs"])


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16_384, help="images of one pass through the encoder")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--min-similarity", type=float, default=0.9)
    parser.add_argument("--sample", type=int, default=200, help="rows compared with a float64 reference")
    parser.add_argument("--repeats", type=int, default=5, help="measurements, of which the median is told")
    return parser.parse_args()


def describe_machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "no GPU: the processor"
    versions = {library.__name__: library.__version__ for library in (torch, transformers, np)}
    return {"device": name, "cuda": torch.version.cuda, **versions}


def measure_encoder(options: argparse.Namespace) -> dict[str, Any]:
    """Return images a second of the encoder, of its network alone, and the rate of its own matrix products.

    "host to host" counts everything from bytes in memory to rows in memory, lengths made 1 on the processor included;
    "network alone" runs the same network on pixels that are on the device already, one lane after another.
    """
    with tempfile.TemporaryDirectory() as folder:
        save_tower(Path(folder))
        encoder = load_encoder(EncoderConfig(model=f"hf:{folder}"))
    n_lanes = max(1, options.images // encoder.lane)
    lane = np.random.default_rng(0).integers(0, 256, (encoder.lane, SIDE, SIDE, 3), dtype=np.uint8)
    tower = encoder.encoder._tower
    pixels = torch.from_numpy(lane).to(DEVICE).permute(0, 3, 1, 2).to(tower._dtype) / 255

    def run_network() -> None:
        with torch.inference_mode():
            for _ in range(n_lanes):
                tower._forward(pixels)

    seconds = {
        "host to host": lambda: exhaust(encoder, lane, n_lanes),
        "one lane at a time": lambda: [encoder.encode(lane) for _ in range(n_lanes)],
        "network alone": run_network,
    }
    rates = {name: n_lanes * encoder.lane / seconds_of(run, options.repeats) for name, run in seconds.items()}
    ceiling = measure_products(encoder.lane, tower._dtype, options.repeats)
    flops = image_flops()
    return {
        "precision": encoder.info.precision,
        "lane": encoder.lane,
        "images_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ceiling_tflops": {name: round(rate / 1e12, 3) for name, rate in ceiling.items()},
        "share_of_best_ceiling": {name: round(rate * flops / max(ceiling.values()), 3) for name, rate in rates.items()},
        "same_rows_whatever_the_batch": rows_are_stable(encoder),
    }


def save_tower(folder: Path) -> None:
    """Write a CLIP ViT-B/32 image tower of random weights as transformers stores it."""
    torch.manual_seed(0)
    config = transformers.CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS, num_attention_heads=12, patch_size=32
    )
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(SETTINGS))


def image_flops() -> float:
    """Return the floating-point operations of the matrix products for one image."""
    layer = PLACES * (4 * WIDTH**2 + 2 * WIDTH * INNER) + 2 * PLACES**2 * WIDTH
    return 2.0 * (LAYERS * layer + (PLACES - 1) * PATCH_VALUES * WIDTH)


def exhaust(encoder: LoadedEncoder, lane: np.ndarray, n_lanes: int) -> None:
    """Encode the same lane many times in one stream of batches."""
    for _ in encoder.encode_batches(lane for _ in range(n_lanes)):
        pass


def rows_are_stable(encoder: LoadedEncoder) -> bool:
    """Whether an image gets the same row alone, among others, and under way with others."""
    batch = np.random.default_rng(1).integers(0, 256, (encoder.lane + 3, SIDE, SIDE, 3), dtype=np.uint8)
    rows = encoder.encode(batch)[0]
    alone = np.concatenate([encoder.encode(batch[place : place + 1])[0] for place in (0, 1, len(batch) - 1)])
    return bool(np.array_equal(rows[[0, 1, -1]], alone))


def measure_products(lane: int, dtype: torch.dtype, repeats: int) -> dict[str, float]:
    """Return operations a second of bare products: of the network's largest shapes, and of large squares."""
    size = 8192 if DEVICE == "cuda" else 1024
    shapes = {
        "first of a block": (lane * PLACES, WIDTH, INNER),
        "second of a block": (lane * PLACES, INNER, WIDTH),
        "bfloat16 squares": (size, size, size),
    }
    rates = {}
    for name, (rows, inner, columns) in shapes.items():
        kind = torch.bfloat16 if name.startswith("bfloat16") else dtype
        left = torch.randn(rows, inner, device=DEVICE).to(kind)
        right = torch.randn(inner, columns, device=DEVICE).to(kind)
        n_times = 50 if DEVICE == "cuda" else 3

        def multiply(left: torch.Tensor = left, right: torch.Tensor = right, n_times: int = n_times) -> None:
            for _ in range(n_times):
                left @ right

        rates[name] = 2.0 * rows * inner * columns * n_times / seconds_of(multiply, repeats)
    return rates


def measure_pairs(options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of a search on the device, and how its pairs agree with two other ways."""
    rows = make_rows(options.rows, options.dim)
    n_bytes = rows.size * 2
    on_device = device_in_use(n_bytes) or ("no room on the GPU" if DEVICE == "cuda" else DEVICE)
    search_on(DEVICE)
    started = time.perf_counter()
    left, right, _ = gather(find_cosine_pairs(rows, None, min_similarity=options.min_similarity))
    seconds = time.perf_counter() - started
    sample = np.random.default_rng(1).choice(len(rows), min(options.sample, len(rows)), replace=False)
    is_sampled = np.isin(left, sample) | np.isin(right, sample)
    found = set(zip(left[is_sampled].tolist(), right[is_sampled].tolist(), strict=True))
    missed, extra = compare(rows, sample, found, options.min_similarity)
    few = rows[: min(len(rows), 20_000)]
    search_on(None)
    expected = as_set(gather(find_cosine_pairs(few, None, min_similarity=options.min_similarity)))
    search_on(DEVICE)
    again = as_set(gather(find_cosine_pairs(few, None, min_similarity=options.min_similarity)))
    return {
        "proposed_on": on_device,
        "rows": len(rows),
        "seconds": round(seconds, 2),
        "comparisons_per_second": round(len(rows) * (len(rows) - 1) / 2 / seconds),
        "pairs": len(left),
        "sample_pairs": len(found),
        "missed": missed,
        "extra": extra,
        "differ_from_processor": len(expected ^ again),
    }


def search_on(device: str | None) -> None:
    """Let a search of any length run on a device of torch, or on the processor as it does without torch."""
    cosine.device_in_use = lambda n_bytes: device  # type: ignore[assignment]
    cosine.is_worth_a_split = lambda *sizes: device is not None  # type: ignore[assignment]


def make_rows(n_rows: int, dim: int) -> np.ndarray:
    """Return unit rows of which one in fifty is a near-copy of another, at cosines from about 0.8 to 1."""
    rows = np.empty((n_rows, dim), np.float32)
    for start in range(0, n_rows, CHUNK_ROWS):
        rng = np.random.default_rng([0, start])
        chunk = rng.standard_normal((min(CHUNK_ROWS, n_rows - start), dim), np.float32)
        n_copies = len(chunk) // 50
        chunk /= np.linalg.norm(chunk, axis=1, keepdims=True)
        noise = rng.standard_normal((n_copies, dim)) * rng.uniform(0, 0.75, (n_copies, 1)) / np.sqrt(dim)
        chunk[len(chunk) - n_copies :] = (rows if start else chunk)[:n_copies] + noise
        rows[start : start + len(chunk)] = chunk / np.linalg.norm(chunk, axis=1, keepdims=True)
    return rows


def gather(blocks: Iterator[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the left rows, right rows and scores of all blocks."""
    columns = [(block.left, block.right, block.scores) for block in blocks]
    if not columns:
        return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
    left, right, scores = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return left, right, scores


def as_set(columns: tuple[np.ndarray, ...]) -> set[tuple[float, ...]]:
    """Return pairs with their scores as a set."""
    return set(zip(*(column.tolist() for column in columns), strict=True))


def compare(
    rows: np.ndarray, sample: np.ndarray, found: set[tuple[int, int]], min_similarity: float
) -> tuple[int, int]:
    """Return how many pairs of the sampled rows were missed and how many were too many, against float64."""
    loose: set[tuple[int, int]] = set()
    strict: set[tuple[int, int]] = set()
    for start in range(0, len(rows), CHUNK_ROWS):
        scores = rows[sample].astype(np.float64) @ rows[start : start + CHUNK_ROWS].T.astype(np.float64)
        # The reference adds in another order, so a score within a float32 step of the limit may fall either way.
        for limit, pairs in ((min_similarity - 1e-6, loose), (min_similarity + 1e-6, strict)):
            for place, column in np.argwhere(scores >= limit).tolist():
                one, other = int(sample[place]), column + start
                if one != other:
                    pairs.add((min(one, other), max(one, other)))
    return len(strict - found), len(found - loose)


def seconds_of(run: Callable[[], object], repeats: int) -> float:
    """Return the median seconds of some runs after a first one, each until the device is done."""
    taken = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        run()
        torch.get_device_module(DEVICE).synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    sys.exit(main())
