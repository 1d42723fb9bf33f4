"""The containment matrices as a page writes them: for each method, and each rung of the ladder, a table of texts.

All of them stand in the page, so that it says the same where no script runs; with scripts a reader chooses one.

Shapes: k datasets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from overlens.report.html.records import Containment, Report
from overlens.report.views import share_text

N_SHADES = 10
Counts = tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a matrix.

    Attributes:
        count: Images with a match, or None where nobody looked.
        share: Their share of the dataset, in words; "" where nobody looked or the dataset is empty.
        shade: How dark the field is, from 0 for nothing to `N_SHADES` for everything.
        is_within: Whether the dataset is compared with itself.
    """

    count: int | None
    share: str
    shade: int
    is_within: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """One matrix, and what it is chosen by.

    Attributes:
        method: As in `Containment`.
        rung: The least sure rung that it counts, or "" for the table as the run counts.
        scope: What it counts, in words: "up to and including edited"; "" for the table as the run counts.
        criterion: When two images match, in words.
        rows: `(k, k)` fields.
        file: Where the numbers are.
        is_first: Whether it is the one that the page opens with.
    """

    method: str
    rung: str
    scope: str
    criterion: str
    rows: tuple[tuple[Cell, ...], ...]
    file: str
    is_first: bool


def matrices(report: Report) -> tuple[Matrix, ...]:
    """Return all matrices of a report: method by method, the surest rung first."""
    sizes = [dataset.n_kept for dataset in report.datasets]
    names = {code: name for code, name, _ in report.rungs}
    return tuple(
        Matrix(
            one.method,
            rung,
            _scope(rung, names, is_surest=place == 0),
            one.criterion,
            _cells(counts, sizes),
            one.file,
            is_first=method == 0 and rung == default_rung(one),
        )
        for method, one in enumerate(report.containments)
        for place, (rung, counts) in enumerate(_tables(one))
    )


def default_rung(containment: Containment) -> str:
    """Return the rung whose table is the one that the run counts, the least sure of several; "" if there is none."""
    equal = [rung for rung, counts in containment.by_rung.items() if counts == containment.counts]
    return equal[-1] if equal else ""


def directions(report: Report) -> tuple[tuple[str, str, int, int], ...]:
    """Return (dataset, other, images of it with a match in the other, images of it) by the surest method.

    The largest share comes first; what nobody looked for and datasets without an image are left out.
    """
    if not report.containments:
        return ()
    found = [
        (dataset.name, other.name, count, dataset.n_kept)
        for dataset, row in zip(report.datasets, report.containments[0].counts, strict=True)
        for other, count in zip(report.datasets, row, strict=True)
        if other is not dataset and count is not None and dataset.n_kept
    ]
    return tuple(sorted(found, key=lambda one: -one[2] / one[3]))


def _tables(containment: Containment) -> list[tuple[str, Counts]]:
    own = [] if default_rung(containment) else [("", containment.counts)]
    return own + list(containment.by_rung.items())


def _scope(rung: str, names: dict[str, str], *, is_surest: bool) -> str:
    if not rung:
        return ""
    return f"{'only' if is_surest else 'up to and including'} {names.get(rung, rung)}"


def _cells(counts: Counts, sizes: Sequence[int]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        tuple(_cell(count, size, is_within=row == column) for column, count in enumerate(line))
        for row, (line, size) in enumerate(zip(counts, sizes, strict=True))
    )


def _cell(count: int | None, size: int, *, is_within: bool) -> Cell:
    if count is None or not size:
        return Cell(count, "", 0, is_within)
    return Cell(count, share_text(count / size), -(-N_SHADES * count // size), is_within)
