"""The overlap as tables and curves, read from the numbers and curves of a run.

Shapes: t thresholds.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from overlens.finished import FinishedRun
from overlens.overlap import VERIFIED_METHOD
from overlens.report.html.records import Containment, Curve, DatasetRow
from overlens.report_contents.files import address_of
from overlens.report_contents.rows import read_rows
from overlens.report_contents.words import METHODS, criterion_of
from overlens.verdicts import VERIFIED

Counts = tuple[tuple[int | None, ...], ...]
Line = tuple[str, str, str, int]
"""Dataset, other dataset, threshold or rung, and images that match."""


def dataset_rows(run: FinishedRun) -> tuple[DatasetRow, ...]:
    """Return what became of the images of each dataset."""
    flat = run.numbers["methods"].get(VERIFIED_METHOD, {}).get("n_low_information", {})
    return tuple(
        DatasetRow(
            name,
            run.sources.get(name, ""),
            one["attempted"],
            one["kept"],
            one["failed"],
            flat.get(name),
            one["label_source"],
            address_of(run, run.of_dataset(name).failures),
        )
        for name, one in run.numbers["datasets"].items()
    )


def containments_of(run: FinishedRun) -> tuple[Containment, ...]:
    """Return how many images each dataset shares with each other one, by each method, the surest first."""
    methods = run.numbers["methods"]
    ordered = sorted(methods, key=list(METHODS).index)
    return tuple(
        Containment(
            method,
            METHODS[method],
            f"Two images match if {criterion_of(method, methods[method])}.",
            _counts(run.datasets, methods[method]),
            _by_rung(run) if method == VERIFIED_METHOD else {},
            address_of(run, run.layout.overlap),
        )
        for method in ordered
    )


def curves_of(run: FinishedRun) -> tuple[Curve, ...]:
    """Return the overlap against the threshold, by each method that has one."""
    return tuple(
        _curve(run, method, run.numbers["methods"][method])
        for method in ("cosine", "perceptual")
        if method in run.numbers["methods"] and run.made(run.layout.curve(method, "csv"))
    )


def _counts(names: tuple[str, ...], numbers: Mapping[str, Any]) -> Counts:
    return tuple(tuple(numbers["within"][a] if a == b else numbers["contained"][a][b] for b in names) for a in names)


def _by_rung(run: FinishedRun) -> dict[str, Counts]:
    """Return the same table for pairs up to each rung; nothing where the run drew no curve."""
    path = run.layout.curve(VERIFIED_METHOD, "csv")
    if not run.made(path):
        return {}
    found = {(a, b, rung): n for a, b, rung, n in _read_curve(path)}
    return {
        rung: tuple(tuple(found.get((a, b, rung)) for b in run.datasets) for a in run.datasets) for rung in VERIFIED
    }


def _curve(run: FinishedRun, method: str, numbers: Mapping[str, Any]) -> Curve:
    path, is_cosine = run.layout.curve(method, "csv"), method == "cosine"
    found: dict[tuple[int, int], dict[float, int]] = {}
    places = {name: place for place, name in enumerate(run.datasets)}
    for a, b, threshold, n in _read_curve(path):
        found.setdefault((places[a], places[b]), {})[float(threshold)] = n
    thresholds = tuple(sorted(next(iter(found.values()), {})))
    return Curve(
        method,
        METHODS[method],
        "" if is_cosine else "bits",
        is_cosine,
        thresholds,
        numbers["min_similarity" if is_cosine else "max_distance_bits"],
        {couple: tuple(counts[threshold] for threshold in thresholds) for couple, counts in found.items()},
        address_of(run, path),
    )


def _read_curve(path: Path) -> Iterator[Line]:
    for row in read_rows(path):
        yield row["dataset"], row["other"], row["threshold"], int(row["n_matched"])
