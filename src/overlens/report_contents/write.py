"""Write the report of a finished run and the page that lists its files, unless they show just that already."""

from dataclasses import dataclass
from pathlib import Path

from overlens.atomic import sole_writer
from overlens.checks import require_at_least
from overlens.decisions.records import digest_decisions
from overlens.digests import digest_if_there
from overlens.finished import FinishedRun, find_root
from overlens.report.html.page import render_index, render_report
from overlens.report_contents import MOST_PAIRS
from overlens.report_contents.gather import gather_report
from overlens.report_contents.pairs import count_listed
from overlens.store.fingerprints import fingerprint, made_by
from overlens.store.results import Results

MODULES = (
    *("report_contents", "report/html", "report/html/templates", "report/html/static"),
    *(
        "finished.py",
        "finished_pairs.py",
        "image_table.py",
        "decisions",
        "evidence.py",
        "verify",
        "counted.py",
        "tables.py",
        "thumbnails.py",
        "verdicts.py",
        "report/views.py",
        "report/style.py",
        "report/plotly_page.py",
    ),
)


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report that was written.

    Attributes:
        path: Where.
        n_listed: Pairs that the run lists.
        n_shown: Those of them that the report shows.
    """

    path: Path
    n_listed: int
    n_shown: int


def make_report(root: Path, *, most_pairs: int = MOST_PAIRS) -> MadeReport:
    """Write the report of the run whose results are below a folder.

    Args:
        root: Folder that holds `dataset/cross`, or that folder itself.
        most_pairs: Largest number of pairs that it shows, at least 1.

    Raises:
        ConfigError: There is no finished run.
        StoreError: A file of the run is gone or damaged, another run writes there, or the report cannot be written.
    """
    require_at_least("--max-pairs", most_pairs, 1, such_as=MOST_PAIRS)
    run = FinishedRun.open(find_root(root))
    with sole_writer(run.layout.mark):
        path = write_report(run, Results.open(run.root), most_pairs=most_pairs)
    n_listed = sum(count_listed(run).values())
    return MadeReport(path, n_listed, min(n_listed, most_pairs))


def write_report(run: FinishedRun, results: Results, *, most_pairs: int = MOST_PAIRS) -> Path:
    """Write `report.html` and `index.html`, and return the path of the report.

    Raises:
        StoreError: A file of the run is gone or damaged, or the report cannot be written.
    """
    layout, made_of = run.layout, _made_of(run, most_pairs)
    if not (results.holds(layout.report, made_of) and results.holds(layout.index, made_of)):
        report = gather_report(run, most_pairs=most_pairs)
        results.write(layout.report, made_of, lambda: render_report(report).encode())
        results.write(layout.index, made_of, lambda: render_index(report).encode())
    return layout.report


def _made_of(run: FinishedRun, most_pairs: int) -> str:
    """Return what decides the report: the code, the record of the run, and every file that is read for it."""
    code = made_by(MODULES, ("jinja2", "numpy", "pillow", "plotly", "pyarrow"))
    read = {str(path.relative_to(run.root)): digest_if_there(path) for path in sorted(run.files) if _is_read(path)}
    decided = digest_decisions(run.decisions.values()), run.last_sample
    own = digest_if_there(run.layout.run), digest_if_there(run.layout.images)
    return fingerprint(code, most_pairs, decided, own, read)


def _is_read(path: Path) -> bool:
    """Whether a file may decide what the report shows; the large arrays do not."""
    return path.suffix in (".json", ".csv", ".parquet", ".lock") or path.name.startswith(
        ("venn_", "upset_", "overlap_")
    )
