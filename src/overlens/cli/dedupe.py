"""`overlens dedupe`: say which images to remove so that each picture is left once, and write what remains."""

import json
import shlex
from typing import TYPE_CHECKING, Any

import click

from overlens.cli.compute import compute
from overlens.cli.options import GroupedCommand, grouped_option
from overlens.cli.terminal import add_row, new_table, print_failures, print_lines, print_table, start_logging
from overlens.config import KEEP_RULES
from overlens.counted import counted
from overlens.errors import DatasetError
from overlens.run_options import config_from_options, default_options

if TYPE_CHECKING:
    from overlens.dedupe.run import Deduped

REMOVAL = "Removal"
N_EXAMPLES, N_LISTED = 3, 20
# Options that mean here what they mean to `overlens compute`.
SHARED = (
    "datasets root output max_images max_failures use_ground_truth scaled_decode method max_candidates clip_model "
    "weights precision batch_size workers engine verbose"
).split()
# Options of `overlens compute` that cannot work here: taken, so that the answer says why.
REFUSED = "--from-embeddings", "--no-verify"


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
dedupe.params += [click.Option([name], is_flag=True, hidden=True, help="Refused here.") for name in REFUSED]


def _print(result: "Deduped") -> None:
    numbers = result.to_json()
    reasons = list(next(iter(numbers["datasets"].values()))["removed_by_reason"])
    columns = "looked\nat", "not\nusable", "remove", *(reason.replace("_", "\n") for reason in reasons), "remaining"
    table = new_table("Images to remove, and the verdicts they go by", "", *columns)
    for name, one in numbers["datasets"].items():
        counts = one["looked_at"], one["failed"], one["removed"], *one["removed_by_reason"].values(), one["remaining"]
        add_row(table, name, *(f"{count:,}" for count in counts))
    print_table(table)
    print_failures(result.n_failed, result.config.output_root)
    if n_flat := sum(one["low_information"] for one in numbers["datasets"].values()):
        flat = counted(n_flat, "image is", "images are")
        print_lines([f"{flat} too flat to be told apart; only equal bytes or pixels make a copy of such."])
    if (decisions := result.settled.whole.decisions) is not None:
        print_lines([decisions.summary()])
    print_lines([*_examples(result), _audit_line(result), *_next_lines(result)])


def _examples(result: "Deduped") -> list[str]:
    """Some removals of each dataset; names are quoted as Python does, as they may hold anything."""
    from overlens.verdicts import SAME_PICTURE, VERDICTS

    certain = VERDICTS[:SAME_PICTURE]  # Of equal files and pixels nothing can be more or less sure.
    shown: dict[str, list[str]] = {}
    for dataset, image, reason, kept_dataset, kept_image, strength, via in result.rows():
        lines = shown.setdefault(dataset, [])
        if len(lines) < N_EXAMPLES:
            sure = "" if reason in certain else f", strength {strength}"
            chain = ", through other copies" if via else ""
            words = f"{reason.replace('_', ' ')}{sure}{chain}"
            lines.append(f"  {dataset} {image!r}, a copy of {kept_dataset} {kept_image!r} ({words})")
    return ["The first of each dataset:", *(line for lines in shown.values() for line in lines)] if shown else []


def _audit_line(result: "Deduped") -> str:
    n_left = result.settled.n_left
    if not len(result.settled.removal):
        return "Nothing to remove: no verified copy was found."
    rounds = counted(len(n_left), "time")
    if result.cleaned is None:
        return f"Audit: what would remain was searched, {rounds}; verified copies that would be left: {n_left[-1]:,}."
    return f"Audit: what remains was searched again, {rounds}; verified copies left: {n_left[-1]:,}."


def _next_lines(result: "Deduped") -> list[str]:
    if result.cleaned is None:
        return ["Dry run: no list was written. --apply writes the removal list, the audit and what remains."]
    if not result.passed:
        return [f"Failed audit: {result.layout.audit}, with the list of what was to go: {result.layout.removed.name}"]
    lines = [f"Removal list: {result.layout.removed}", f"Audit: {result.layout.audit}"]
    rest = {name: path for name, path in result.cleaned.items() if result.n_remaining(name)}
    lines += [f"Nothing remains of {name}: leave it out from now on." for name in result.cleaned if name not in rest]
    given = {name: shlex.quote(f"{name}={path}") for name, path in rest.items()}
    return lines + [f"What remains of {name}: --datasets {words}" for name, words in given.items()]


def _failure(result: "Deduped") -> str:
    if result.problems:
        return f"what was written does not read as what remains: {'; '.join(result.problems)}"
    left = result.left_pairs()
    pairs, rounds = counted(len(left), "verified pair is", "verified pairs are"), len(result.settled.n_left)
    listed = "; ".join(f"{a} {one!r} and {b} {two!r} ({verdict})" for a, one, b, two, verdict, _ in left[:N_LISTED])
    first = "" if len(left) <= N_LISTED else f"the first {N_LISTED}: "
    return (
        f"{pairs} left after {counted(rounds, 'round')}, so no lists of what remains are written; raise "
        "--max-candidates and run again "
        f"({first}{listed})"
    )
