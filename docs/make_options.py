"""Write docs/options.md from the commands themselves: `python docs/make_options.py`. A test compares the two."""

from pathlib import Path
from textwrap import fill

import click

from overlens.cli import overlens

HEAD = """# Options

Made from the commands by `docs/make_options.py`. In [Python](python.md), `--hash-size 16` is `hash_size=16`, and so on.
The choices are explained in [methods](methods.md) and [encoders](encoders.md), the files in [outputs](outputs.md).
"""
TABLE = ["| option | value | default | meaning |", "|---|---|---|---|"]
KINDS = {
    "integer": "whole number",
    "float": "number",
    "text": "text",
    "path": "path",
    "SHARE": "`5%` or `0.05`",
    "NUMBER or auto": "number or `auto`",
    "INTEGER or auto": "whole number or `auto`",
}


def options_page() -> str:
    """Return the page: every command in the order of the overview, every option under its heading."""
    return "\n".join([HEAD, *(line for leaf in _leaves(overlens, "overlens") for line in _section(*leaf))])


def _leaves(command: click.Command, path: str) -> list[tuple[click.Command, str]]:
    if not isinstance(command, click.Group):
        return [(command, path)]
    context = click.Context(command)
    children = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [leaf for name, child in children if child for leaf in _leaves(child, f"{path} {name}")]


def _section(command: click.Command, path: str) -> list[str]:
    context = click.Context(command)
    arguments = [one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)]
    tables: dict[str, list[str]] = {}
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            tables.setdefault(getattr(option, "heading", ""), []).append(_row(option, context))
    lines = [
        f"## {' '.join([path, *arguments])}\n",
        fill(" ".join((command.help or "").split()), 120, break_on_hyphens=False) + "\n",
    ]
    for heading, rows in tables.items():
        lines += [f"### {heading}\n"] * bool(heading) + [*TABLE, *rows, ""]
    return lines


def _row(option: click.Option, context: click.Context) -> str:
    kind = "flag" if option.is_flag else KINDS.get(option.type.name, "")
    if isinstance(option.type, click.Choice):
        kind = ", ".join(f"`{choice}`" for choice in option.type.choices)
    if option.multiple:
        kind = f"{option.metavar or kind}, repeatable"
    default = option.get_default(context)
    values = default if isinstance(default, tuple) else (default,)
    is_stated = not option.is_flag and all(isinstance(value, str | int | float | Path) for value in values)
    shown = f"`{', '.join(map(str, values))}`" if is_stated and values else ""
    return f"| `{option.opts[0]}` | {kind} | {shown} | {option.help} |"


if __name__ == "__main__":
    Path(__file__).with_name("options.md").write_text(options_page(), encoding="utf-8")
