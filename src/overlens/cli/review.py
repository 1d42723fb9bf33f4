"""`overlens review`: the desk where people judge pairs, and their decisions as a table."""

from pathlib import Path

import click

from overlens.cli.terminal import print_lines, start_logging

LOOPBACK = "127.0.0.1"


@click.command()
@click.argument("root", type=click.Path(path_type=Path), default=Path())
@click.option("--host", default=LOOPBACK, show_default=True, metavar="ADDRESS", help="Address to bind to.")
@click.option("--port", type=int, default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--sample",
    type=int,
    metavar="N",
    help="Draw an audit sample of N images: from the answers follows how large the overlap is, with an interval.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which sample is drawn.")
@click.option(
    "--export",
    type=click.Path(path_type=Path),
    help="Write the decisions that count to this table, and do not serve.",
)
@click.option(
    "--import",
    "import_",
    type=click.Path(path_type=Path),
    help="Take in the decisions of this table, and do not serve.",
)
@click.option("--open/--no-open", "is_opened", default=False, show_default=True, help="Open the page in a browser.")
@click.option("--verbose", is_flag=True, help="Log at DEBUG level; show tracebacks.")
def review(
    root: Path,
    host: str,
    port: int,
    sample: int | None,
    seed: int,
    export: Path | None,
    import_: Path | None,
    is_opened: bool,
    verbose: bool,
) -> None:
    """Serve a page where people look at the pairs of a run, the doubtful first, and say what they are.

    ROOT is the folder that holds dataset/cross. The address of the page, with its token, is printed; Ctrl-C stops.
    Decisions are kept in dataset/cross/decisions.sqlite the moment they are made, and `overlens compute`, `dedupe` and
    `report` go by them. With --import or --export nothing is served.
    """
    start_logging(verbose)
    if import_ is not None:
        _take_in(root, import_)
    if export is not None:
        _write_out(root, export)
    if import_ is None and export is None:
        _serve(root, (host, port), None if sample is None else (sample, seed), is_opened)


def _serve(root: Path, at: tuple[str, int], sample: tuple[int, int] | None, is_opened: bool) -> None:
    from overlens.review.serve import is_loopback, listen, require_extra, serve_desk

    require_extra()

    from overlens.finished import FinishedRun
    from overlens.review.desk import Desk

    desk = Desk(FinishedRun.open(root), sample=sample)
    host, port = at
    listener = listen(host, port)
    if not is_loopback(host):
        click.echo(
            f"Warning: the desk is bound to {host}: whoever reaches this machine and knows the token sees the pictures "
            "of this run and can decide. Nothing is encrypted.",
            err=True,
        )

    def announce(address: str) -> None:
        click.echo(address)
        click.echo("Open this address. Every answer is kept at once; Ctrl-C stops the desk.", err=True)
        if is_opened:
            click.launch(address)

    serve_desk(desk, listener, host, announce)


def _take_in(root: Path, path: Path) -> None:
    from overlens.decisions.store import DecisionStore
    from overlens.decisions.table import import_decisions, read_decisions
    from overlens.finished import FinishedRun
    from overlens.image_table import NamedDigests

    run = FinishedRun.open(root)
    decisions = read_decisions(path, NamedDigests(run.images))
    made = import_decisions(DecisionStore(run.layout.decisions), decisions)
    print_lines([f"Imported {made.n_added:,} decisions; {made.n_known:,} were known, {made.n_older:,} are outdated."])


def _write_out(root: Path, path: Path) -> None:
    from overlens.decisions.table import write_decisions
    from overlens.finished import FinishedRun

    run = FinishedRun.open(root)
    write_decisions(path, run.decisions)
    print_lines([f"Exported {len(run.decisions):,} decisions: {path}"])
