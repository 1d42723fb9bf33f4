"""What a run shows, and how: progress and notes on stderr, plain text and tables on stdout."""

import logging
import textwrap
from typing import TYPE_CHECKING

import click

from overlens.config import RunConfig
from overlens.counted import counted
from overlens.layout import AnalysisLayout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from overlens.analysis import Analysis

PLAIN_WIDTH, UNBOUNDED_WIDTH = 110, 100_000
N_LISTS_NAMED = 3


def run_with_progress(config: RunConfig, *, verbose: bool) -> "Analysis":
    """Run the analysis; progress and notes go to stderr."""
    console = start_logging(verbose)

    from overlens.pipeline import run
    from overlens.progress import TerminalProgress

    analysis = run(config, TerminalProgress(console))
    if verbose:
        _print_seconds(console, analysis.seconds)
    return analysis


def _print_seconds(console: "Console", seconds: "Mapping[str, float]") -> None:
    """Print what compilation took in this process, then what each stage took, and its share of the run."""
    from overlens.compiled import compile_seconds

    if compiling := compile_seconds():
        console.print(f"Compilation, inside the stages that needed it first: {compiling:.1f} s", markup=False)
    total = sum(seconds.values())
    for stage, taken in sorted({**seconds, "All": total}.items(), key=lambda item: item[1]):
        console.print(f"{stage}: {taken:.2f} s, {taken / total:.1%}", markup=False)


def start_logging(verbose: bool) -> "Console":
    """Send the package's log to stderr, DEBUG and above if `verbose`, else warnings; return the console it uses."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    logger = logging.getLogger("overlens")
    logger.handlers = [_ConsoleHandler(console)]
    logger.handlers[0].setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s" if verbose else "%(message)s"))
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    # Everybody who watches is told why a first run seems to stand still.
    logging.getLogger("overlens.compiled").setLevel(logging.NOTSET if verbose else logging.INFO)
    return console


class _ConsoleHandler(logging.Handler):
    """Writes log lines above a live bar, unwrapped and without markup."""

    def __init__(self, console: "Console") -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self._console.print(self.format(record), markup=False, soft_wrap=True)


def print_lines(lines: list[str]) -> None:
    """Print plain lines on stdout."""
    for line in lines:
        click.echo(line)


def print_failures(n_failed: "Mapping[str, int]", output: "Path") -> None:
    """Print how many images of each dataset could not be used, and where they are listed, or of many datasets in one.

    Args:
        n_failed: Dataset -> number of its images that could not be used.
        output: Folder below which the results are.
    """
    failed = {name: n for name, n in n_failed.items() if n}
    if len(failed) > N_LISTS_NAMED:
        images = counted(sum(failed.values()), "image")
        lists = AnalysisLayout(output, "*").failures
        print_lines([f"{images} of {len(failed)} datasets failed, each listed with the reason: {lists}", ""])
        return
    for name, n in failed.items():
        lists = AnalysisLayout(output, name).failures
        print_lines([f"{counted(n, 'image')} of {name} failed, each listed with the reason: {lists}"])
    print_lines([""] * bool(failed))


def print_table(table: "Table") -> None:
    """Print a table on stdout: on a terminal to its width, else as wide as its names are, so that none is broken."""
    from rich.console import Console

    console = Console(highlight=False)
    wide = Console(highlight=False, width=UNBOUNDED_WIDTH)
    if console.is_terminal:
        if wide.measure(table).maximum > console.width:
            _narrow(table)
        console.print(table)
        return
    wide = Console(highlight=False, width=wide.measure(table).maximum)
    with wide.capture() as capture:
        wide.print(table)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _narrow(table: "Table") -> None:
    """Break the heads of a table at spaces where they are wider than what stands below them, and stand closer."""
    from rich.cells import cell_len
    from rich.text import Text

    for column in table.columns[1:]:
        lines = str(column.header).splitlines()
        texts = [word for line in lines for word in line.split()] + [str(cell) for cell in column.cells]
        width = max(map(cell_len, texts), default=1)
        column.header = Text("\n".join(part for line in lines for part in textwrap.wrap(line, width)))
    table.padding = (0, 1, 0, 0)


def new_table(title: str, *columns: str) -> "Table":
    """Make a table whose first column is text and whose others are numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        # A number is never broken: where there is too little room, the names in the first column go on in a new line.
        table.add_column(Text(column), justify="right" if number else "left", no_wrap=bool(number), overflow="fold")
    return table


def add_row(table: "Table", *cells: object) -> None:
    """Add a row of plain text; names may hold brackets, which are not markup."""
    from rich.text import Text

    table.add_row(*(Text(str(cell)) for cell in cells))


def with_places(words: str, places: list[str]) -> str:
    """Return a sentence that ends with combinations of datasets, or with their number where they would be too long."""
    # Two combinations may be joined by "and" themselves, so they are parted by semicolons.
    line = f"{words}: {'; '.join(places)}."
    return line if len(line) <= PLAIN_WIDTH else f"{words}: {counted(len(places), 'combination')} of datasets."
