"""Does exact cosine search stay small and right at 100,000 images?

Writes synthetic unit vectors with planted near-duplicates to a file, searches them memory-mapped in a fresh process,
and compares the pairs of a sample of rows with a float64 reference. Prints peak memory of the searching process (all of
it: interpreter, libraries, the pages of the mapped file), seconds, pairs and agreement; exits 1 when a bound is broken.

    python benchmarks/pair_memory.py
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from overlens.search import find_cosine_pairs

CHUNK_ROWS = 10_000


def main() -> int:
    """Run the benchmark; returns the exit status."""
    options = parse_options()
    if options.search is not None:
        search(options)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npy"
        write_rows(file, options)
        command = [sys.executable, __file__, *sys.argv[1:], "--search", str(file)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        missed, extra = compare_sample(np.load(file, mmap_mode="r"), found["sample_pairs"], options)
    print(f"{options.rows} rows x {options.dim}, pairs at {options.min_similarity}: {found['n_pairs']}")
    print(f"seconds: {found['seconds']:.1f}   peak memory of the process: {found['peak_mb']:.0f} MB")
    print(f"sample of {options.sample} rows against float64: {len(found['sample_pairs'])} pairs, "
          f"{missed} missed, {extra} extra")  # fmt: skip
    too_big = found["peak_mb"] > options.max_mb
    if too_big:
        print(f"peak memory is over the bound of {options.max_mb} MB", file=sys.stderr)
    return int(too_big or missed > 0 or extra > 0 or not found["sample_pairs"])


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--min-similarity", type=float, default=0.9)
    parser.add_argument("--max-mb", type=int, default=600)
    parser.add_argument("--sample", type=int, default=200, help="rows compared with the reference")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def write_rows(file: Path, options: argparse.Namespace) -> None:
    """Write random unit rows; one in ten is a near-copy, at all distances, of a row of the first chunk."""
    rng = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(options.rows, options.dim))
    for start in range(0, options.rows, CHUNK_ROWS):
        chunk = rng.standard_normal((min(CHUNK_ROWS, options.rows - start), options.dim))
        copies = len(chunk) // 10
        originals = rows[rng.integers(0, CHUNK_ROWS, copies)] if start else chunk[copies : 2 * copies]
        originals = originals / np.linalg.norm(originals, axis=1, keepdims=True)
        noise = rng.standard_normal(originals.shape) / np.sqrt(options.dim)
        chunk[:copies] = originals + rng.uniform(0, 1, (copies, 1)) * noise
        rows[start : start + len(chunk)] = chunk / np.linalg.norm(chunk, axis=1, keepdims=True)
    rows.flush()


def sample_rows(options: argparse.Namespace) -> np.ndarray:
    """Rows to compare: half of them planted copies, half any."""
    rng = np.random.default_rng(1)
    planted = rng.integers(0, options.rows // CHUNK_ROWS or 1, options.sample // 2) * CHUNK_ROWS
    planted += rng.integers(0, min(CHUNK_ROWS, options.rows) // 10, options.sample // 2)
    return np.unique(np.concatenate([planted, rng.integers(0, options.rows, options.sample // 2)]))


def search(options: argparse.Namespace) -> None:
    """Search the file in this process and print what was found, as JSON."""
    rows = np.load(options.search, mmap_mode="r")
    wanted = np.zeros(options.rows, bool)
    wanted[sample_rows(options)] = True
    n_pairs, sample_pairs = 0, []
    start = time.perf_counter()
    for block in find_cosine_pairs(rows, None, min_similarity=options.min_similarity):
        n_pairs += len(block)
        kept = wanted[block.left] | wanted[block.right]
        sample_pairs += zip(
            block.left[kept].tolist(), block.right[kept].tolist(), block.scores[kept].tolist(), strict=True
        )
    seconds = time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    json.dump({"n_pairs": n_pairs, "sample_pairs": sample_pairs, "seconds": seconds, "peak_mb": peak_mb}, sys.stdout)


def compare_sample(rows: np.ndarray, found: list[list[float]], options: argparse.Namespace) -> tuple[int, int]:
    """Return how many pairs of the sampled rows were missed, and how many have no place or a wrong score."""
    sample = sample_rows(options)
    expected: dict[tuple[int, int], float] = {}
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[start : start + CHUNK_ROWS].astype(np.float64)
        scores = (rows[sample].astype(np.float64) @ chunk.T).astype(np.float32)
        for place, column in np.argwhere(scores >= np.float32(options.min_similarity)).tolist():
            pair = tuple(sorted((int(sample[place]), start + column)))
            if pair[0] < pair[1]:
                expected[pair] = float(scores[place, column])
    reported = {(int(left), int(right)): score for left, right, score in found}
    missed = len(expected.keys() - reported.keys())
    wrong = sum(abs(expected.get(pair, 9.0) - score) > 1e-7 for pair, score in reported.items())
    return missed, wrong


if __name__ == "__main__":
    sys.exit(main())
