"""What a run shows: progress and notes on stderr, the summary on stdout."""

import json
import logging
from typing import TYPE_CHECKING, Any

import click

from overlens.config import RunConfig
from overlens.layout import CrossLayout

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from overlens.analysis import Analysis
    from overlens.copies import Copies

PLAIN_WIDTH = 110


def run_and_print(config: RunConfig, *, as_json: bool, verbose: bool) -> "Analysis":
    """Run the analysis with live progress, then print its summary."""
    analysis = run_with_progress(config, verbose=verbose)
    if as_json:
        click.echo(json.dumps(summarise(analysis), ensure_ascii=False, indent=2))
    else:
        print_summary(analysis)
    return analysis


def run_with_progress(config: RunConfig, *, verbose: bool) -> "Analysis":
    """Run the analysis; progress and notes go to stderr."""
    console = start_logging(verbose)

    from overlens.pipeline import run
    from overlens.progress import TerminalProgress

    return run(config, TerminalProgress(console))


def start_logging(verbose: bool) -> "Console":
    """Send the package's log to stderr, DEBUG and above if `verbose`, else warnings; return the console it uses."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    logger = logging.getLogger("overlens")
    logger.handlers = [_ConsoleHandler(console)]
    logger.handlers[0].setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s" if verbose else "%(message)s"))
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    return console


class _ConsoleHandler(logging.Handler):
    """Writes log lines above a live bar, unwrapped and without markup."""

    def __init__(self, console: "Console") -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self._console.print(self.format(record), markup=False, soft_wrap=True)


def summarise(analysis: "Analysis") -> dict[str, Any]:
    """Return the numbers of a run as plain values: those of `overlap.json`, and how the run went."""
    return {
        **analysis.to_json(),
        "read": dict(analysis.read),
        "n_few_shot_splits": len(analysis.splits),
        "n_generalizations": len(analysis.transfers),
        "notices": list(analysis.notices),
        "seconds": {stage: round(seconds, 3) for stage, seconds in analysis.seconds.items()},
        "output": str(analysis.output),
    }


def print_summary(analysis: "Analysis") -> None:
    """Print what the datasets hold, what they share, and where the results are."""
    console = _stdout()
    console.print(_datasets_table(analysis), _overlap_table(analysis))
    if analysis.copies is not None:
        console.print(_verdict_table(analysis, analysis.copies))
        print_lines(_verification_lines(analysis.copies))
    print_lines(_recall_lines(analysis))
    print_lines(analysis.thresholds.lines())
    if analysis.transfers:
        console.print(_transfer_table(analysis))
    if analysis.splits:
        print_lines(
            [f"Few-shot splits: {len(analysis.splits)}, in *_few_shot_splits/ of each dataset's analysis folder."]
        )
    cross = CrossLayout(analysis.output)
    console.print(f"{_model_line(analysis)}\nEvery number with what it rests on: {cross.overlap}", markup=False)
    from overlens.overlap_pictures import MAX_VENN_SETS

    drawing = cross.venn if len(analysis.datasets) <= MAX_VENN_SETS else cross.matrix
    drawn = ", ".join(drawing(method).name for method in analysis.overlaps())
    console.print(f"Pictures and lists of pairs are beside it, such as {drawn}", markup=False)


def print_lines(lines: list[str]) -> None:
    """Print plain lines on stdout."""
    for line in lines:
        click.echo(line)


def print_table(table: "Table") -> None:
    """Print a table on stdout."""
    _stdout().print(table)


def new_table(title: str, *columns: str) -> "Table":
    """Make a table whose first column is text and whose others are numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if number else "left")
    return table


def add_row(table: "Table", *cells: object) -> None:
    """Add a row of plain text; names may hold brackets, which are not markup."""
    from rich.text import Text

    table.add_row(*(Text(str(cell)) for cell in cells))


def _stdout() -> "Console":
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def _datasets_table(analysis: "Analysis") -> "Table":
    table = new_table("Datasets", "dataset", "attempted", "kept", "failed", "read in this run", "labels")
    for name, features in analysis.datasets.items():
        read = analysis.read.get(name, 0)
        counts = (f"{n:,}" for n in (features.n_attempted, features.n_kept, features.n_failed, read))
        add_row(table, name, *counts, features.label_source)
    return table


def _overlap_table(analysis: "Analysis") -> "Table":
    overlaps = list(analysis.overlaps().values())
    table = new_table("Images with a match", "", *(_criterion(analysis, method) for method in analysis.overlaps()))
    for name in analysis.datasets:
        for other in sorted(analysis.datasets, key=lambda one: one != name):
            if name == other == analysis.config.reference:
                continue  # What is taken as given is not compared with itself.
            where = f"within {name}" if other == name else f"{name} in {other}"
            counts = [o.within[name] if other == name else o.contained[name][other] for o in overlaps]
            shares = [overlap.share(name, other) for overlap in overlaps]
            cells = [f"{n:,} of {o.sizes[name]:,} ({s:.1%})" for n, o, s in zip(counts, overlaps, shares, strict=True)]
            add_row(table, where, *cells)
    return table


def _verdict_table(analysis: "Analysis", copies: "Copies") -> "Table":
    from overlens.verdicts import VERDICTS

    table = new_table("Pairs by evidence", "", *(verdict.replace("_", " ") for verdict in VERDICTS))
    for (name, other), counts in copies.overlap.pairs_by_verdict.items():
        if name == other == analysis.config.reference:
            continue
        where = f"within {name}" if name == other else f"{name} and {other}"
        add_row(table, where, *(f"{counts[verdict]:,}" for verdict in VERDICTS))
    return table


def _verification_lines(copies: "Copies") -> list[str]:
    found = copies.overlap
    lines = [f"Verified copies: {found.n_grouped:,} images in {found.n_groups:,} groups; the first four kinds count."]
    if n_flat := sum(copies.n_low_information.values()):
        lines.append(f"{n_flat:,} images are too flat to be told apart; only equal bytes or pixels join them.")
    if n_capped := copies.judged.candidates.n_capped:
        lines.append(f"{n_capped:,} images had more candidates than --max-candidates allows; the best were looked at.")
    return lines


def _recall_lines(analysis: "Analysis") -> list[str]:
    """Say what share of the identifiers that two datasets share was found, by each method."""
    lines = []
    for recall in analysis.recalls:
        if not recall.n_shared:
            continue
        where = f"{recall.dataset_a} and {recall.dataset_b} share {recall.n_shared:,} identifiers ({recall.source})"
        found = (f"{one.method} finds {one.n_found:,} ({one.share_found:.0%})" for one in recall.methods)
        lines.append(f"{where}: {', '.join(found)}.")
    if any(recall.missed for recall in analysis.recalls):
        lines.append(f"Those that were not found: {CrossLayout(analysis.output).missed_identifiers}")
    return lines


def _transfer_table(analysis: "Analysis") -> "Table":
    columns = "common classes", "images", "centroid similarity", "with other classes", "accuracy"
    table = new_table("Generalization, mean over the common classes", "", *columns)
    for transfer in analysis.transfers:
        mean = transfer.class_average
        figures = (mean.centroid_similarity, mean.other_similarity, mean.accuracy)
        cells = ("none" if figure is None else f"{figure:.3f}" for figure in figures)
        where = f"{transfer.source.dataset} to {transfer.target.dataset}"
        add_row(table, where, len(transfer.classes), f"{transfer.n_evaluated:,}", *cells)
    return table


def _criterion(analysis: "Analysis", method: str) -> str:
    config = analysis.config
    if method == "verified":
        return "verified copies"
    if method == "cosine":
        return f"cosine ≥ {analysis.thresholds.words(method)}"
    return f"{config.hashing.hash_type} ≤ {analysis.thresholds.words(method)} of {config.hashing.n_bits} bits"


def _model_line(analysis: "Analysis") -> str:
    model = analysis.model
    if model is None:
        return "No encoder was needed."
    not_clip = " It is not CLIP: its similarities mean something else." if model.is_clip is False else ""
    precision = "" if model.precision == "unknown" else f"{model.precision}, "
    return f"Encoder: {model.name} ({model.source}, {precision}{model.dim} dimensions).{not_clip}"
