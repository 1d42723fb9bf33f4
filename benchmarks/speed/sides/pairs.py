"""All pairs of rows over a threshold: overlens, numpy, faiss, scikit-learn, and loops in Python.

Everyone gives its pairs to a `PairFile`, so that the list of them counts in nobody's memory unless the library makes
one itself.

Shapes: n rows, d dimensions.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speed.records import Answer

Job = Callable[[], Answer]
Numbers = NDArray[np.integer]

ROWS, PAIRS = "rows.npy", "pairs.bin"
BLOCK_ROWS = 2048
HNSW_QUERIES = 1000
"""Of a graph faiss 1.15 aborts the process where it is asked for the ranges of some thousand rows at once."""


def load_rows(folder: Path, n: int, *, mapped: bool = False) -> NDArray[Any]:
    """Return the first n rows of the data, in memory or mapped."""
    rows = np.load(folder / ROWS, mmap_mode="r")[:n]
    return rows if mapped else np.array(rows)


class PairFile:
    """Appends pairs as `left * n + right`, left < right, to a file."""

    def __init__(self, own: str, n: int) -> None:
        self._n = n
        self._stream = (Path(own) / PAIRS).open("wb")
        self.n_pairs = 0

    def __enter__(self) -> "PairFile":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()

    def add(self, left: Numbers, right: Numbers) -> None:
        """Add the pairs with left < right, and drop the rest: the same pairs seen from the other side."""
        kept = left < right
        codes = left[kept].astype(np.int64) * self._n + right[kept]
        codes.tofile(self._stream)
        self.n_pairs += len(codes)

    def answer(self, scale: float = 1.0, n_queries: int = 0) -> Answer:
        """Say how many there are."""
        numbers = {"pairs": self.n_pairs, **({"queries": n_queries} if n_queries else {})}
        return Answer(f"{self.n_pairs:,} pairs", numbers, {"pairs": PAIRS}, scale=scale)


def cosine_overlens(folder: Path, *, n: int, min_similarity: float, own: str, **_: Any) -> Job:
    """Search memory-mapped rows as `overlens compute` does."""
    from overlens.search import find_cosine_pairs

    rows = load_rows(folder, n, mapped=True)

    def job() -> Answer:
        with PairFile(own, len(rows)) as found:
            for block in find_cosine_pairs(rows, None, min_similarity=min_similarity):
                found.add(block.left, block.right)
        return found.answer()

    list(find_cosine_pairs(np.asarray(rows[:1000]), None, min_similarity=min_similarity))  # compiles
    return job


def cosine_numpy(folder: Path, *, n: int, min_similarity: float, own: str, **_: Any) -> Job:
    """Multiply blocks of the upper half in float32 and keep what reaches the threshold."""
    rows = load_rows(folder, n)
    least = np.float32(min_similarity)

    def job() -> Answer:
        with PairFile(own, len(rows)) as found:
            for top in range(0, len(rows), BLOCK_ROWS):
                for start in range(top, len(rows), BLOCK_ROWS):
                    products = rows[top : top + BLOCK_ROWS] @ rows[start : start + BLOCK_ROWS].T
                    left, right = np.nonzero(products >= least)
                    found.add(left + top, right + start)
        return found.answer()

    return job


def cosine_loops(folder: Path, *, min_similarity: float, n: int, rows_looped: int, own: str, **_: Any) -> Job:
    """Compare every pair by itself in two loops, as simple scripts do, on a few rows."""
    rows = load_rows(folder, rows_looped)

    def job() -> Answer:
        pairs = []
        for left in range(len(rows)):
            for right in range(left + 1, len(rows)):
                if np.dot(rows[left], rows[right]) >= min_similarity:
                    pairs.append((left, right))
        with PairFile(own, n) as found:
            columns = np.array(pairs, np.int64).reshape(-1, 2).T
            found.add(columns[0], columns[1])
        return found.answer((n / len(rows)) ** 2, n_queries=-len(rows))

    return job


def cosine_sklearn(folder: Path, *, n: int, min_similarity: float, own: str, **_: Any) -> Job:
    """Ask scikit-learn for the neighbours within a radius, by brute force."""
    from sklearn.neighbors import NearestNeighbors

    rows = load_rows(folder, n)

    def job() -> Answer:
        model = NearestNeighbors(radius=1 - min_similarity, metric="cosine", algorithm="brute", n_jobs=-1).fit(rows)
        near = model.radius_neighbors(return_distance=False)
        counts = np.array([len(row) for row in near])
        with PairFile(own, len(rows)) as found:
            found.add(np.repeat(np.arange(len(rows)), counts), np.concatenate(near))
        return found.answer()

    return job


def cosine_faiss_flat(folder: Path, *, n: int, **options: Any) -> Job:
    """Search rows by rows in IndexFlatIP."""
    import faiss

    return _faiss_job(load_rows(folder, n), lambda d: faiss.IndexFlatIP(d), **options)


def cosine_faiss_hnsw(folder: Path, *, n: int, **options: Any) -> Job:
    """Build a graph of all rows (M 32, the rest by default) and search it by rows; it misses pairs."""
    import faiss

    metric = faiss.METRIC_INNER_PRODUCT
    return _faiss_job(load_rows(folder, n), lambda d: faiss.IndexHNSWFlat(d, 32, metric), batch=HNSW_QUERIES, **options)


def _faiss_job(
    rows: NDArray[np.float32],
    make_index: Callable[[int], Any],
    *,
    min_similarity: float,
    queries: int,
    own: str,
    batch: int = 0,
    **_: Any,
) -> Job:
    """Index all rows, search by the first `queries`, and scale the time of the search to all of them."""
    least = float(np.nextafter(np.float32(min_similarity), np.float32(-1)))  # faiss reports what lies above its radius

    def job() -> Answer:
        start = time.perf_counter()
        index = make_index(rows.shape[1])
        index.add(rows)
        built = time.perf_counter()
        with PairFile(own, len(rows)) as found:
            for first in range(0, queries, batch or queries):
                limits, _, near = index.range_search(rows[first : min(queries, first + (batch or queries))], least)
                left = first + np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
                found.add(np.minimum(left, near), np.maximum(left, near))
        searched = (time.perf_counter() - built) * len(rows) / queries
        return replace(found.answer(n_queries=queries), seconds=built - start + searched)

    return job


def hamming_overlens(folder: Path, *, n: int, max_distance_bits: int, own: str, **_: Any) -> Job:
    """Search packed hashes as `overlens compute` does."""
    from overlens.search import find_hamming_pairs

    rows = load_rows(folder, n)

    def job() -> Answer:
        with PairFile(own, len(rows)) as found:
            for block in find_hamming_pairs(rows, None, max_distance_bits=max_distance_bits):
                found.add(block.left, block.right)
        return found.answer()

    for part in (1000, 60_000):  # compiles both ways of searching
        list(find_hamming_pairs(rows[:part], None, max_distance_bits=max_distance_bits))
    return job


def hamming_faiss(folder: Path, *, n: int, max_distance_bits: int, queries: int, own: str, **_: Any) -> Job:
    """Search the first rows among all rows in IndexBinaryFlat."""
    import faiss

    rows = load_rows(folder, n)

    def job() -> Answer:
        index = faiss.IndexBinaryFlat(8 * rows.shape[1])
        index.add(rows)
        limits, _, near = index.range_search(rows[:queries], max_distance_bits + 1)
        with PairFile(own, len(rows)) as found:
            left = np.repeat(np.arange(queries), np.diff(limits.astype(np.int64)))
            found.add(np.minimum(left, near), np.maximum(left, near))
        return found.answer(len(rows) / queries, n_queries=queries)

    return job
