"""Do the sides of a case find the same? Each function returns, for each side, how its answer stands to the first's."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speed.records import Answer, Comparison

NEAR_THRESHOLD = 1e-6
NEIGHBOURS = 15


def compare_hashes(comparison: Comparison) -> Mapping[str, str]:
    """Count the hashes that are equal bit for bit."""
    hashes = {
        name: np.load(folder / answer.files["hashes"])
        for name, (answer, folder) in comparison.answers.items()
        if "hashes" in answer.files
    }
    first = next(iter(hashes.values()))
    words = {}
    for name, rows in list(hashes.items())[1:]:
        shared = min(first.shape[1], rows.shape[1])  # the first of several hashes is the one that all have
        n_equal = int((first[:, :shared] == rows[:, :shared]).all(axis=1).sum())
        words[name] = "the same bits" if n_equal == len(first) else f"{n_equal:,} of {len(first):,} the same bits"
    return words


def compare_pairs(comparison: Comparison) -> Mapping[str, str]:
    """Compare the sets of pairs; where they differ, say how near the threshold the differing ones are."""
    n = comparison.size["n"]
    found = {name: _load_pairs(*given) for name, given in comparison.answers.items()}
    reference = next(iter(found.values()))
    words = {}
    for name, codes in list(found.items())[1:]:
        expected = _restrict(reference, n, int(comparison.answers[name][0].numbers.get("queries", 0)))
        missing, extra = np.setdiff1d(expected, codes), np.setdiff1d(codes, expected)
        if not len(missing) and not len(extra):
            words[name] = f"the same {len(expected):,} pairs"
            continue
        words[name] = f"{len(expected) - len(missing):,} of {len(expected):,} pairs, {len(extra):,} others"
        if "min_similarity" in comparison.size:
            words[name] += _tell_distance(comparison, np.concatenate([missing, extra]))
    return words


def _load_pairs(answer: Answer, folder: Path) -> NDArray[np.int64]:
    return np.unique(np.fromfile(folder / answer.files["pairs"], np.int64))


def _restrict(codes: NDArray[np.int64], n: int, queries: int) -> NDArray[np.int64]:
    """Keep the pairs that touch the first `queries` rows; of a negative number, those among the first rows only."""
    if queries == 0:
        return codes
    left, right = codes // n, codes % n
    return codes[left < queries] if queries > 0 else codes[right < -queries]


def _tell_distance(comparison: Comparison, codes: NDArray[np.int64]) -> str:
    """Say so if all these pairs lie within rounding of the threshold."""
    n, least = comparison.size["n"], comparison.size["min_similarity"]
    rows = np.load(comparison.data / "rows.npy", mmap_mode="r")
    farthest = 0.0
    for start in range(0, min(len(codes), 200_000), 10_000):
        left, right = np.divmod(codes[start : start + 10_000], n)
        scores = np.einsum("nd,nd->n", rows[left].astype(np.float64), rows[right].astype(np.float64))
        farthest = max(farthest, float(np.abs(scores - least).max()))
    return f" (all differences within {NEAR_THRESHOLD:g} of the threshold)" if farthest < NEAR_THRESHOLD else ""


def compare_vectors(comparison: Comparison) -> Mapping[str, str]:
    """State the lowest cosine between the rows of the same picture."""
    rows = {
        name: np.load(folder / answer.files["vectors"]).astype(np.float64)
        for name, (answer, folder) in comparison.answers.items()
        if "vectors" in answer.files
    }
    units = {name: values / np.linalg.norm(values, axis=1, keepdims=True) for name, values in rows.items()}
    first = next(iter(units.values()))
    return {
        name: f"lowest cosine {np.einsum('nd,nd->n', first, values).min():.5f}"
        for name, values in list(units.items())[1:]
    }


def compare_maps(comparison: Comparison) -> Mapping[str, str]:
    """State for each map on the plane how many of a point's nearest 15 rows are among its nearest 15 points."""
    rows = np.load(comparison.data / "rows.npy")
    chosen = np.random.default_rng(0).permutation(len(rows))[:1000]
    exact = _nearest(rows, chosen)
    words = {}
    for name, (answer, folder) in comparison.answers.items():
        shares = {kind: _share_kept(np.load(folder / file), chosen, exact) for kind, file in answer.files.items()}
        words[name] = "neighbours kept: " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())
    return words


def _nearest(points: NDArray[np.float32], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    squares = np.einsum("nd,nd->n", points, points)
    distances = squares - 2 * points[chosen] @ points.T
    distances[np.arange(len(chosen)), chosen] = np.inf
    return np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def _share_kept(points: NDArray[np.float32], chosen: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    kept = _nearest(points.astype(np.float32), chosen)
    return float(np.mean([len(np.intersect1d(*both)) for both in zip(exact, kept, strict=True)]) / NEIGHBOURS)


def compare_planted(comparison: Comparison) -> Mapping[str, str]:
    """Count which of the planted copies each side found, and how many other pairs it gave."""
    planted = {frozenset(pair) for pair in json.loads((comparison.data / "planted.json").read_text())}
    words = {}
    for name, (answer, folder) in comparison.answers.items():
        if "names" not in answer.files:
            continue
        pairs = {frozenset(pair) for pair in json.loads((folder / answer.files["names"]).read_text())}
        present = {pair for pair in planted if all((comparison.data / file).exists() for file in pair)}
        words[name] = f"{len(pairs & present)} of {len(present)} planted copies, {len(pairs - present):,} other pairs"
    return words
