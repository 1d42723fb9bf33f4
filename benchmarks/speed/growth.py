"""How does time grow with the number of rows? Times each search at several sizes and fits the exponent.

Shapes: n rows.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Any

from speed.cases.sets import HASHES, VECTORS
from speed.race import Worker, WorkerError, make_data
from speed.records import MAIN, OVERLENS, Data, Side, Workshop

LEAST_FITTED = 3
"""Sizes that an exponent needs; it is fitted to the larger half of them, as small runs are mostly fixed cost."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One search, and the sizes it is timed at."""

    name: str
    side: Side
    data: Data
    options: Mapping[str, Any]
    sizes: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Growth:
    """Seconds by number of rows, or why there are none."""

    name: str
    group: str
    n: tuple[int, ...] = ()
    seconds: tuple[float, ...] = ()
    failure: str = ""

    @property
    def exponent(self) -> float | None:
        """Slope of log time over log n, fitted to the larger half of the sizes; None of fewer than three."""
        points = [(log(n), log(s)) for n, s in zip(self.n, self.seconds, strict=True)]
        points = points[-max(LEAST_FITTED, (len(points) + 1) // 2) :]
        if len(points) < LEAST_FITTED:
            return None
        mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Growth":
        """Read what `to_json` made."""
        return cls(**{**data, "n": tuple(data["n"]), "seconds": tuple(data["seconds"])})


_COSINE = {"d": 512, "min_similarity": 0.9}
_BITS = {"max_distance_bits": 8}
_VECTOR_SIZES = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000)
_HASH_SIZES = (1000, 10_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000)
_QUICK = (200, 400, 800)

CURVES = (
    Curve(
        "overlens, cosine at least 0.9",
        Side("overlens", "pairs:cosine_overlens", OVERLENS),
        VECTORS,
        _COSINE,
        {"quick": _QUICK, "usual": _VECTOR_SIZES},
    ),
    Curve(
        "numpy in blocks, cosine at least 0.9",
        Side("numpy", "pairs:cosine_numpy", OVERLENS),
        VECTORS,
        _COSINE,
        {"quick": _QUICK, "usual": _VECTOR_SIZES[:6]},
    ),
    Curve(
        "overlens, at most 8 bits",
        Side("overlens", "pairs:hamming_overlens", OVERLENS),
        HASHES,
        _BITS,
        {"quick": _QUICK, "usual": _HASH_SIZES},
    ),
    Curve(
        "faiss IndexBinaryFlat, at most 8 bits",
        Side("faiss", "pairs:hamming_faiss", MAIN, libraries=("faiss-cpu",)),
        HASHES,
        _BITS,
        {"quick": _QUICK, "usual": _HASH_SIZES[:4]},
    ),
)


def measure_growth(workshop: Workshop) -> list[Growth]:
    """Time every curve once at each of its sizes."""
    return [_measure(curve, workshop) for curve in CURVES]


def _measure(curve: Curve, workshop: Workshop) -> Growth:
    sizes = _sizes(curve, workshop)
    seconds: list[float] = []
    failure = workshop.refusal(curve.side)
    own = workshop.folder / "answers" / "growth"
    own.mkdir(parents=True, exist_ok=True)
    try:
        if not failure:
            with (own / "log.txt").open("ab") as log_file:
                seconds = _time_sizes(
                    curve, workshop, own, sizes, Worker(workshop.python(curve.side.environment), log_file)
                )
    except WorkerError as error:
        failure = str(error)
    return Growth(curve.name, curve.data.name, tuple(sizes[: len(seconds)]), tuple(seconds), failure)


def _sizes(curve: Curve, workshop: Workshop) -> Sequence[int]:
    return curve.sizes.get(workshop.scale, curve.sizes["usual"])


def _time_sizes(curve: Curve, workshop: Workshop, own: Path, sizes: Sequence[int], worker: Worker) -> list[float]:
    seconds = []
    largest = max(_sizes(other, workshop)[-1] for other in CURVES if other.data is curve.data)
    with worker:
        for n in sizes:
            size = {**curve.options, "n": n}
            folder = make_data(curve.data, {**size, "n": largest}, workshop)
            options = {**size, "queries": n, "own": str(own)}
            worker.order(
                workshop.timeout_s,
                do="prepare",
                function=curve.side.function,
                folder=str(folder),
                options=options,
                libraries=[],
            )
            seconds.append(worker.order(workshop.timeout_s, do="run")["seconds"])
            print(f"  {curve.name}, {n:,}: {seconds[-1]:.3f} s", file=sys.stderr, flush=True)
    return seconds
