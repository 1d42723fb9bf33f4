"""`overlens dedupe`: say which images to remove so that each picture is left once, and write what remains."""

import json
from typing import TYPE_CHECKING, Any

import click

from overlens.cli.compute import compute
from overlens.cli.options import GroupedCommand, grouped_option
from overlens.cli.terminal import add_row, new_table, print_lines, print_table, start_logging
from overlens.config import KEEP_RULES
from overlens.errors import DatasetError
from overlens.run_options import config_from_options, default_options

if TYPE_CHECKING:
    from overlens.dedupe.run import Deduped

REMOVAL = "Removal"
N_EXAMPLES = 3
# Options that mean here what they mean to `overlens compute`.
SHARED = (
    "datasets root output max_images max_failures use_ground_truth method max_candidates clip_model weights precision "
    "batch_size workers engine verbose"
).split()


@click.command(cls=GroupedCommand)
@grouped_option(
    REMOVAL,
    "--keep",
    type=click.Choice(KEEP_RULES),
    default=default_options()["keep"],
    help="Which image of a group of copies stays: the one of most pixels, the first, that of the first dataset, or the "
    "one most like the others.",
)
@grouped_option(
    REMOVAL, "--reference", metavar="NAME", help="Dataset that loses no image; the others lose what is in it."
)
@grouped_option(
    REMOVAL,
    "--across-only",
    is_flag=True,
    help="Leave copies within one dataset alone: remove only what another dataset keeps.",
)
@grouped_option(
    REMOVAL,
    "--apply/--dry-run",
    default=False,
    help="Write the removal list, the audit and the lists of what remains; a dry run only prints.",
)
@grouped_option(REMOVAL, "--json", "as_json", is_flag=True, help="Print the audit as JSON.")
def dedupe(apply: bool, across_only: bool, as_json: bool, verbose: bool, **options: Any) -> None:
    """Say which images to remove so that each picture is left once, and prove that no verified copy is left.

    Only verified copies are removed, and only from lists: no image, list or label of yours is changed. By default
    nothing is written but features; --apply writes to dataset/cross/cleaned/ below the output folder.
    """
    config = config_from_options({**options, "projections": "none"})
    console = start_logging(verbose)

    from overlens.dedupe.run import dedupe as run
    from overlens.progress import TerminalProgress

    result = run(config, across_only=across_only, apply=apply, progress=TerminalProgress(console))
    if as_json:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False, indent=2))
    else:
        _print(result)
    if not result.passed:
        raise DatasetError(_failure(result))


dedupe.params[:0] = [option for option in compute.params if option.name in SHARED]


def _print(result: "Deduped") -> None:
    numbers = result.to_json()
    reasons = list(next(iter(numbers["datasets"].values()))["removed_by_reason"])
    columns = "looked at", "not usable", "remove", *(reason.replace("_", " ") for reason in reasons), "remaining"
    table = new_table("Images to remove, by the verdict that is the reason", "", *columns)
    for name, one in numbers["datasets"].items():
        counts = one["looked_at"], one["failed"], one["removed"], *one["removed_by_reason"].values(), one["remaining"]
        add_row(table, name, *(f"{count:,}" for count in counts))
    print_table(table)
    print_lines([*_examples(result), _audit_line(result), *_next_lines(result)])


def _examples(result: "Deduped") -> list[str]:
    """Some removals of each dataset; names are quoted as Python does, as they may hold anything."""
    shown: dict[str, list[str]] = {}
    for dataset, image, reason, kept_dataset, kept_image, strength, via in result.rows():
        lines = shown.setdefault(dataset, [])
        if len(lines) < N_EXAMPLES:
            chain = ", through other copies" if via else ""
            words = f"{reason.replace('_', ' ')}, {strength}{chain}"
            lines.append(f"  {dataset} {image!r} is {kept_dataset} {kept_image!r} ({words})")
    return ["Such as:", *(line for lines in shown.values() for line in lines)] if shown else []


def _audit_line(result: "Deduped") -> str:
    n_left = result.settled.n_left
    if not len(result.settled.removal):
        return "Nothing to remove: no verified copy was found."
    rounds = f"{len(n_left)} time{'s' * (len(n_left) > 1)}"
    return f"Audit: what remains was searched again, {rounds}; verified copies left: {n_left[-1]}."


def _next_lines(result: "Deduped") -> list[str]:
    if result.problems:
        return ["No list was written; what an earlier run wrote is as it was."]
    if result.cleaned is None:
        return ["Dry run: no list was written. --apply writes the removal list, the audit and what remains."]
    lines = [f"Removal list: {result.layout.removed}", f"Audit: {result.layout.audit}"]
    return lines + [f"What remains of {name}: --datasets {name}={path}" for name, path in result.cleaned.items()]


def _failure(result: "Deduped") -> str:
    if result.problems:
        return f"what was written does not read as what remains: {'; '.join(result.problems)}"
    left = result.left_pairs()
    listed = "; ".join(f"{a} {one!r} and {b} {two!r} ({verdict})" for a, one, b, two, verdict, _ in left[:20])
    more = f"; and {len(left) - 20} more" if len(left) > 20 else ""
    return (
        f"{len(left)} verified pairs are left after {len(result.settled.n_left)} rounds, so no lists are written: "
        f"{listed}{more}. Raise --max-candidates and run again"
    )
