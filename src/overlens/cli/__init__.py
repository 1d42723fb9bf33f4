"""The command line: one module per command, loaded when its command is named.

Results go to stdout, progress and logs to stderr. Exit status: 0 done; 1 the run failed or a stated limit was passed,
with one line that says why and what next; 2 wrong usage, which includes what was named and does not exist; 130 stopped
by Ctrl-C.
"""

import importlib
import logging
import sys
from collections.abc import Sequence

import click

from overlens.errors import ConfigError, OverlensError
from overlens.version import __version__

COMMANDS = {
    "compute": "Find what the datasets share, and write every documented result.",
    "check": "Say whether the images of today still give the few-shot splits that were published.",
    "dedupe": "Say which copies to remove, prove that none is left, and write what remains.",
    "demo": "Run the whole analysis on three small datasets made of real photographs.",
    "report": "Write the report of a finished run anew: one page that works offline.",
    "review": "Look at the doubtful pairs of a finished run and say what they are, in a browser.",
    "models": "List, fetch and verify encoders.",
}


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command runs; the overview needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, as they are shown."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"overlens.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="overlens")
def overlens() -> None:
    """Which images do these datasets share, by how much in each direction, and on what evidence.

    Start with `overlens demo`, then `overlens compute --help`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    verbose = "--verbose" in arguments
    try:
        status = overlens.main(arguments, prog_name="overlens", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        if "extra argument" in error.message:
            click.echo("An option that takes several values is repeated: --datasets a=x --datasets b=y", err=True)
        status = error.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. What was finished is kept: the same command goes on from there.", err=True)
        status = 130
    except OverlensError as error:
        status = _report(error, verbose)
    except BrokenPipeError:
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _report(error: OverlensError, verbose: bool) -> int:
    if verbose:
        logging.getLogger("overlens").error("traceback of the error below", exc_info=error)
    click.echo(f"Error: {error}", err=True)
    return 2 if isinstance(error, ConfigError) else 1
