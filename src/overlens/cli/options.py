"""Options in groups: a command whose help shows its options under headings, with their defaults."""

from collections.abc import Callable
from typing import Any

import click

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


class Number(click.ParamType[Any]):
    """A number, or a word that stands for one.

    What cannot be read is passed on as it stands: the configuration refuses it, in the same words for every door.
    """

    def __init__(self, kind: type[int] | type[float], word: str = "") -> None:
        kinds = ("INTEGER", "NUMBER") if word else ("integer", "float")
        self.name = kinds[kind is float] + (f" or {word}" if word else "")
        self._kind = kind

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return what the help shows for the value."""
        return self.name.upper() if " or " not in self.name else self.name.replace(" or ", "|")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Read the number, if it is one."""
        try:
            return self._kind(value) if isinstance(value, str) else value
        except ValueError:
            return value


class Share(click.ParamType[Any]):
    """A share such as `5%` or `0.05`, read and checked with the other values of the run."""

    name = "SHARE"


WHOLE, REAL = Number(int), Number(float)
