"""Files to perceptual hashes, and what of it is decoding alone.

overlens reads files in its own extractor, with one thread a core; ImageHash is used as its manual shows, in a loop.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from speed.records import Answer

Job = Callable[..., Answer]

WARM_FILES = 20


def list_photos(folder: Path, n: int) -> list[Path]:
    """Return n files, spread over the folder, in a fixed order."""
    files = sorted(folder.glob("*/*/*.jpg"), key=lambda file: file.name)
    return files[:n]


def extract_phashes(folder: Path, *, n: int, own: str, scaled: bool = False, **_: Any) -> Job:
    """Hash files as `overlens compute` does: read, digest, decode (large ones scaled, or not), hash."""
    from overlens.config import HashConfig
    from overlens.extract import HASH, Extractor, ShardTask

    def job(files: Sequence[Path] = tuple(list_photos(folder, n))) -> Answer:
        task = ShardTask("photos", tuple(file.name for file in files), tuple(files), (HASH,), {HASH: {}})
        with Extractor(HashConfig(), None, scaled=scaled) as extractor:
            rows = extractor(task).records[HASH].rows
        return save_hashes(rows, own)

    return _warmed(job, folder)


def decode_only(folder: Path, *, n: int, **_: Any) -> Job:
    """Decode files with the threads and the decoder that overlens hashes with, and do nothing with the pixels."""
    from overlens.decode import decode_rgb

    def job(files: Sequence[Path] = tuple(list_photos(folder, n))) -> Answer:
        with _pool() as pool:
            n_pixels = sum(pool.map(lambda file: decode_rgb(file.read_bytes()).size // 3, files))
        return Answer(f"{n_pixels / 1e6:.0f} megapixels")

    return _warmed(job, folder)


def hash_with_imagehash(folder: Path, *, n: int, own: str, types: Sequence[str] = ("phash",), **_: Any) -> Job:
    """Hash files one after the other, as the manual of ImageHash shows."""
    import imagehash
    from PIL import Image

    functions = {"phash": imagehash.phash, "dhash": imagehash.dhash, "whash": imagehash.whash}
    functions["ahash"] = imagehash.average_hash

    def job(files: Sequence[Path] = tuple(list_photos(folder, n))) -> Answer:
        rows = []
        for file in files:
            image = Image.open(file)
            rows.append(np.concatenate([functions[name](image).hash.ravel() for name in types]))
        return save_hashes(np.packbits(rows, axis=1), own)

    return _warmed(job, folder)


def hash_decoded(folder: Path, *, n: int, own: str, types: Sequence[str], **_: Any) -> Job:
    """Decode files and make all the hashes of `types` of each, with one thread a core."""
    from overlens.decode import decode_rgb
    from overlens.hashes.compute import compute_hashes

    def one(file: Path) -> np.ndarray:
        hashes = compute_hashes(decode_rgb(file.read_bytes()), types, 8)
        return np.concatenate([hashes[name] for name in types])

    def job(files: Sequence[Path] = tuple(list_photos(folder, n))) -> Answer:
        with _pool() as pool:
            return save_hashes(np.stack(list(pool.map(one, files))), own)

    return _warmed(job, folder)


def save_hashes(rows: np.ndarray, own: str) -> Answer:
    """Keep `(n, b)` packed hashes for the comparison."""
    np.save(Path(own) / "hashes.npy", rows)
    return Answer(f"{len(rows):,} hashes", files={"hashes": "hashes.npy"})


def _warmed(job: Callable[[Sequence[Path]], Answer], folder: Path) -> Job:
    job(list_photos(folder, WARM_FILES))
    return job


def _pool() -> ThreadPoolExecutor:
    from overlens.cores import available_cores

    return ThreadPoolExecutor(available_cores())


def batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Cut rows into parts of `size`."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
