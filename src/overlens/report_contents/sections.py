"""The parts of the report that stand there only where a run has something to say: groups, identifiers, failures.

What benchmarks add is in `benchmarks.py`.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from overlens.errors import StoreError
from overlens.finished import FinishedRun
from overlens.finished_pairs import RUNGS
from overlens.report.html.records import Section, Table
from overlens.report.views import count_of, join_names
from overlens.report_contents.benchmarks import conflict_section, score_section, split_section, transfer_section
from overlens.report_contents.files import address_of
from overlens.report_contents.rows import MOST_ROWS, Cell, interval, percent, read_rows
from overlens.report_contents.words import METHODS

if TYPE_CHECKING:
    import pyarrow


def sections_of(run: FinishedRun) -> tuple[Section, ...]:
    """Return the sections of a run that have something to say, in the order of the page."""
    makers: tuple[Callable[[FinishedRun], Section | None], ...] = (
        group_section,
        identifier_section,
        conflict_section,
        split_section,
        transfer_section,
        score_section,
        failure_section,
    )
    return tuple(section for make in makers if (section := make(run)) is not None)


def group_section(run: FinishedRun) -> Section | None:
    """Return the groups of copies, the largest first."""
    path = run.layout.groups
    if not run.made(path):
        return None
    groups = _read_groups(path)
    numbers = np.asarray(groups["group"])
    if not len(numbers):
        return None
    _, starts, sizes = np.unique(numbers, return_index=True, return_counts=True)
    order = np.lexsort((starts, -sizes))[:MOST_ROWS]
    rows = tuple(_group_row(groups, int(starts[one]), int(sizes[one])) for one in order)
    counts = np.bincount(sizes)
    told = [f"{count_of(int(n), 'group')} of {size}" for size, n in enumerate(counts) if n][:6]
    more = ", and larger ones" if np.count_nonzero(counts) > len(told) else ""
    notes = (f"The {len(rows):,} largest of {len(sizes):,}.",) if len(rows) < len(sizes) else ()
    table = Table(
        "Groups of copies",
        ("group", "images", "datasets", "representative", "weakest link"),
        rows,
        (*notes, "A group is as sure as its weakest link: the pair of lowest rung without which it would fall apart."),
        address_of(run, path),
    )
    members = f"{count_of(len(numbers), 'image')} belong to {count_of(len(sizes), 'group')} of copies"
    lead = f"{members}: {join_names(told)}{more}."
    return Section("groups", "Groups of copies", lead, (table,))


def _group_row(groups: "pyarrow.Table", start: int, size: int) -> tuple[Cell, ...]:
    own = groups.slice(start, size)
    datasets = own["dataset"].to_pylist()
    counts = [f"{datasets.count(name):,} in {name}" for name in dict.fromkeys(datasets)]
    is_first = own["representative"].to_pylist()
    image = next((name for name, is_it in zip(own["image"].to_pylist(), is_first, strict=True) if is_it), "")
    weakest = own["weakest_edge"][0].as_py()
    return own["group"][0].as_py(), size, join_names(counts), image, RUNGS[weakest][0]


def _read_groups(path: Path) -> "pyarrow.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read ({error}); run overlens compute again") from error


def identifier_section(run: FinishedRun) -> Section | None:
    """Return how much of what identifiers say ought to be found was found."""
    recalls = [one for one in run.numbers["recall"] if one["n_shared_identifiers"]]
    if not recalls:
        return None
    rows = [
        (
            join_names(one["datasets"]),
            one["n_shared_identifiers"],
            METHODS[method["method"]],
            method["n_found"],
            percent(method["share_found"]),
            interval(*method["interval_95"]),
        )
        for one in recalls
        for method in one["methods"]
    ]
    table = Table(
        "Shared identifiers that were found",
        ("datasets", "shared", "by", "found", "share", "95 % interval"),
        tuple(rows),
        ("A shared identifier is a reason to expect a copy and no proof: one painting has two photographs.",),
        address_of(run, run.layout.missed_identifiers),
    )
    return Section(
        "identifiers", "What identifiers say", "Names or columns identify some images in several datasets.", (table,)
    )


def failure_section(run: FinishedRun) -> Section | None:
    """Return the images that could not be used."""
    tables = [table for name in run.datasets if (table := _failure_table(run, name)) is not None]
    if not tables:
        return None
    n = sum(one["failed"] for one in run.numbers["datasets"].values())
    lead = f"{count_of(n, 'image')} could not be used. Each is named with the reason, and none is in any number above."
    return Section("failures", "Images that could not be used", lead, tuple(tables))


def _failure_table(run: FinishedRun, name: str) -> Table | None:
    n, path = run.numbers["datasets"][name]["failed"], run.of_dataset(name).failures
    if not n or not run.made(path):
        return None
    rows = tuple((one["key"], one["reason"]) for one in islice(read_rows(path), MOST_ROWS))
    notes = (f"The first {len(rows):,} of {n:,}.",) if len(rows) < n else ()
    return Table(name, ("image", "reason"), rows, notes, address_of(run, path))
