"""The data of the cases, made from seeds: photographs, vectors, hashes. Each is written once into a folder of its own.

Shapes: n rows, d dimensions.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speed.records import Workshop

CHUNK_ROWS = 10_000
PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "art_published" / "dataset"


class NoDataError(Exception):
    """Data that cannot be had; the message says why."""


def write_vectors(folder: Path, size: Mapping[str, Any], _: Workshop) -> None:
    """Write random unit rows; one in ten is a near-copy, at all distances, of a row of the first chunk."""
    n, d = size["n"], size["d"]
    rng = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(folder / "rows.npy", mode="w+", dtype=np.float32, shape=(n, d))
    for start in range(0, n, CHUNK_ROWS):
        chunk = rng.standard_normal((min(CHUNK_ROWS, n - start), d), dtype=np.float32)
        copies = len(chunk) // 10
        originals = rows[rng.integers(0, min(CHUNK_ROWS, start), copies)] if start else chunk[copies : 2 * copies]
        chunk[:copies] = _unit(originals) + rng.uniform(0, 1, (copies, 1)) * _noise(rng, copies, d)
        rows[start : start + len(chunk)] = _unit(chunk)
    rows.flush()


def write_published_vectors(folder: Path, size: Mapping[str, Any], _: Workshop) -> None:
    """Write published ViT-B/32 vectors of artworks, repeated to n rows with a little noise.

    Raises:
        NoDataError: They are not beside the repository.
    """
    files = sorted(PUBLISHED.glob("*-data/analysis/embeddings.npy"))
    if not files:
        raise NoDataError("the published vectors (shared/data/art_published) are not beside the repository")
    originals = _unit(np.concatenate([np.load(file) for file in files]).astype(np.float32))
    n, d = size["n"], originals.shape[1]
    rng = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(folder / "rows.npy", mode="w+", dtype=np.float32, shape=(n, d))
    for start in range(0, n, CHUNK_ROWS):
        chosen = np.arange(start, min(start + CHUNK_ROWS, n)) % len(originals)
        noise = rng.uniform(0, size["noise"], (len(chosen), 1)) * _noise(rng, len(chosen), d)
        rows[start : start + len(chosen)] = _unit(originals[chosen] + (noise if start else 0))
    rows.flush()


def write_clusters(folder: Path, size: Mapping[str, Any], _: Workshop) -> None:
    """Write unit rows in 40 clusters of unequal size and width, as embeddings of pictures lie."""
    n, d = size["n"], size["d"]
    rng = np.random.default_rng(0)
    centres, widths = rng.standard_normal((40, d)), rng.uniform(0.4, 1.2, 40)
    shares = 1 / np.arange(1, 41)
    cluster = rng.choice(40, n, p=shares / shares.sum())
    low_rank = rng.standard_normal((n, 24)) @ rng.standard_normal((24, d)) / np.sqrt(24)
    rows = centres[cluster] + widths[cluster, None] * low_rank + 0.2 * rng.standard_normal((n, d))
    np.save(folder / "rows.npy", _unit(rows.astype(np.float32)))


def write_hashes(folder: Path, size: Mapping[str, Any], _: Workshop) -> None:
    """Write 64-bit hashes as pictures have them: 32 ones each, bits that go together, 2 % identical, 2 % near copies.

    The identical ones share 200 values, the commonest value 3,400 of a million; near copies differ in 1 to 12 bits.
    """
    n = size["n"]
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((120, 64)).astype(np.float32)
    rows = np.concatenate([_skewed(rng, mixing, min(100_000, n - start)) for start in range(0, n, 100_000)])
    n_same = n_near = n // 50
    shares = 1 / np.arange(1, 201)
    chosen = rng.permutation(n)
    same, near = chosen[:n_same], chosen[n_same : n_same + n_near]
    rows[same] = rows[chosen[-200:]][rng.choice(200, n_same, p=shares / shares.sum())]
    rows[near] = _flip(rng, rows[rng.permutation(n)[:n_near]])
    np.save(folder / "rows.npy", rows)


def _skewed(rng: np.random.Generator, mixing: NDArray[np.float32], n: int) -> NDArray[np.uint8]:
    """Return `(n, 8)` packed: the upper half of 64 values, which 120 hidden ones of unequal weight make."""
    weights = np.linspace(1.0, 0.3, len(mixing), dtype=np.float32)
    values = (rng.standard_normal((n, len(mixing)), dtype=np.float32) * weights) @ mixing
    return np.packbits(values > np.median(values, axis=1, keepdims=True), axis=1)


def _flip(rng: np.random.Generator, rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    order = rng.random((len(rows), 64)).argsort(axis=1)
    flips = order < rng.integers(1, 13, (len(rows), 1))
    return rows ^ np.packbits(flips, axis=1)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _noise(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float32]:
    """Return `(n, d)` of length about 1."""
    return rng.standard_normal((n, d), dtype=np.float32) / np.float32(np.sqrt(d))
