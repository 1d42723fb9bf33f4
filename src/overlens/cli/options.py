"""Options in groups: a command whose help shows its options under headings, with their defaults."""

from collections.abc import Callable
from typing import Any, cast

import click

from overlens.errors import ConfigError
from overlens.run_options import parse_share

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class GroupedOption(click.Option):
    """An option that knows under which heading the help shows it."""

    def __init__(self, *args: Any, heading: str = "Other", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading


class GroupedCommand(click.Command):
    """A command whose help shows its options under their headings, in the order of their first use."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "heading", "Other"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def grouped_option(heading: str, *names: str, **settings: Any) -> Decorator:
    """Like `click.option`, under a heading and with its default shown."""
    settings.setdefault("show_default", True)
    return click.option(*names, cls=GroupedOption, heading=heading, **settings)


class Share(click.ParamType[float]):
    """A share such as `5%` or `0.05`, as a float between 0 and 1."""

    name = "SHARE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the share; the range is checked with the other values of the run."""
        if isinstance(value, float):
            return value
        try:
            return cast(float, parse_share(value))
        except ConfigError as error:
            self.fail(str(error).partition(" ")[2], param, ctx)
