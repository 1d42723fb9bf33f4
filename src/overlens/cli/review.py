"""`overlens review`: the desk where people judge pairs, and their decisions as a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from overlens.cli.terminal import print_lines, start_logging
from overlens.counted import counted

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
    help="Write the decisions that count to this table, - for the terminal, and do not serve.",
)
@click.option(
    "--import",
    "import_",
    type=click.Path(path_type=Path),
    help="Take in the decisions of this table, and do not serve.",
)
@click.option("--open/--no-open", "is_opened", default=False, show_default=True, help="Open the page in a browser.")
@click.option("--verbose", is_flag=True, help="Log at DEBUG level; show tracebacks.")
@click.pass_context
def review(
    context: click.Context,
    /,
    root: Path,
    export: Path | None,
    import_: Path | None,
    verbose: bool,
    **serving: Any,
) -> None:
    """Serve a page where people look at the pairs of a run, the doubtful first, and say what they are.

    ROOT is the folder that holds dataset/cross. The address of the page, with its token, is printed; Ctrl-C stops.
    Decisions are kept in dataset/cross/decisions.sqlite the moment they are made, and `overlens compute`, `dedupe` and
    `report` go by them. With --import or --export nothing is served.
    """
    start_logging(verbose)

    from overlens.finished import find_root

    root = find_root(root)
    given = [name for name in serving if context.get_parameter_source(name) != ParameterSource.DEFAULT]
    if import_ is None and export is None:
        if "seed" in given and serving["sample"] is None:
            raise click.UsageError("--seed says which sample is drawn; give --sample N, too")
        sample = None if serving["sample"] is None else (serving["sample"], serving["seed"])
        _serve(root, (serving["host"], serving["port"]), sample, serving["is_opened"])
    elif given:
        names = ", ".join("--open" if name == "is_opened" else f"--{name}" for name in given)
        raise click.UsageError(f"with --import or --export nothing is served, so {names} cannot be used; leave it out")
    if import_ is not None:
        _take_in(root, import_)
    if export is not None:
        _write_out(root, export)


def _serve(root: Path, at: tuple[str, int], sample: tuple[int, int] | None, is_opened: bool) -> None:
    from overlens.review.serve import is_loopback, listen, require_extra, serve_desk

    require_extra()

    from overlens.decisions.store import DecisionStore
    from overlens.finished import FinishedRun
    from overlens.review.desk import Desk

    run = FinishedRun.open(root)
    DecisionStore(run.layout.decisions).require_writable()
    desk = Desk(run, sample=sample)
    host, port = at
    listener = listen(host, port)
    if not is_loopback(listener):
        click.echo(
            f"Warning: the desk is bound to {host}: whoever reaches this machine and knows the token sees the pictures "
            "of this run and can decide. Nothing is encrypted.",
            err=True,
        )
    serve_desk(desk, listener, host, partial(_announce, run.layout.store if is_opened else None))


@contextmanager
def _announce(folder: Path | None, address: str) -> Iterator[None]:
    """Print the address of the page, and open it by way of a page in a folder, if there is one."""
    from overlens.review.serve import redirecting_page

    click.echo(address)
    click.echo("Open this address. Every answer is kept at once; Ctrl-C stops the desk.", err=True)
    if folder is None:
        yield
        return
    with redirecting_page(folder, address) as page:
        click.launch(str(page))
        yield


def _take_in(root: Path, path: Path) -> None:
    from overlens.decisions.store import DecisionStore
    from overlens.decisions.table import import_decisions, read_decisions
    from overlens.finished import FinishedRun
    from overlens.image_table import NamedDigests

    run = FinishedRun.open(root)
    decisions = read_decisions(path, NamedDigests(run.images))
    made = import_decisions(DecisionStore(run.layout.decisions), decisions)
    added = counted(made.n_added, "decision")
    print_lines([f"Imported {added}; {made.n_known:,} were known, {made.n_older:,} are outdated."])


def _write_out(root: Path, path: Path) -> None:
    from overlens.decisions.store import DecisionStore
    from overlens.decisions.table import decisions_csv, write_decisions
    from overlens.finished import FinishedRun
    from overlens.layout import CrossLayout

    store = DecisionStore(CrossLayout(root).decisions)
    # What people said can be had where a run can be read no more.
    latest = store.latest() if store.path.exists() else FinishedRun.open(root).decisions
    if str(path) == "-":
        click.echo(decisions_csv(latest), nl=False)
        return
    write_decisions(path, latest)
    print_lines([f"Exported {counted(len(latest), 'decision')}: {path}"])
