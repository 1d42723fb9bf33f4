"""`overlens report`: make the report of a finished run anew, from its results alone."""

from pathlib import Path

import click

from overlens.cli.options import WHOLE
from overlens.cli.terminal import print_lines, start_logging
from overlens.report_contents import MOST_PAIRS


@click.command()
@click.argument("root", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--max-pairs",
    type=WHOLE,
    default=MOST_PAIRS,
    show_default=True,
    metavar="N",
    help="Show at most N pairs, some of every rung; the report says what it leaves out.",
)
@click.option("--verbose", is_flag=True, help="Log at DEBUG level; show tracebacks.")
def report(root: Path, max_pairs: int, verbose: bool) -> None:
    """Write the report of the run whose results are below ROOT, the folder that holds dataset/cross.

    The report is one page that works offline: dataset/cross/report.html. Nothing is measured anew; `overlens compute`
    writes the same page when it ends.
    """
    start_logging(verbose)

    from overlens.report_contents.write import make_report

    made = make_report(root, most_pairs=max_pairs)
    lines = [f"Report: {made.path}", f"All files: {made.path.with_name('index.html')}"]
    if made.n_shown < made.n_listed:
        lines.append(
            f"It shows {made.n_shown:,} of {made.n_listed:,} pairs, some of every rung; --max-pairs N shows more."
        )
    print_lines(lines)
