"""`overlens check`: say whether the images of today still give the few-shot splits that were published."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from overlens.cli.options import GroupedCommand, grouped_option
from overlens.cli.terminal import print_lines, start_logging
from overlens.config import DatasetSpec
from overlens.counted import counted
from overlens.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from overlens.check_splits import CheckedSplits

LOCKS, DATA, RUN = "Splits", "Datasets", "Run"
PATH = click.Path(path_type=Path)
N_SHOWN = 3


@click.command(cls=GroupedCommand)
@grouped_option(
    LOCKS,
    "--splits",
    "locks",
    type=PATH,
    multiple=True,
    metavar="PATH",
    help="A splits.lock, or the folder that it lies in; repeat it.",
)
@grouped_option(
    DATA,
    "--datasets",
    multiple=True,
    metavar="NAME[=PATH]",
    help="Where the images of a lock are now: NAME is its dataset, PATH any folder or manifest. By default they are in "
    "the documented layout under ROOT.",
)
@grouped_option(DATA, "--root", type=PATH, default=Path(), help="Folder that holds `dataset/`.")
@grouped_option(
    DATA,
    "--use-ground-truth/--no-ground-truth",
    default=None,
    show_default=False,
    help="Take labels from 2_ground_truth.json, or not. By default as the lock says.",
)
@grouped_option(RUN, "--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@grouped_option(RUN, "--verbose", is_flag=True, help="Log at DEBUG level; show tracebacks.")
def check(
    locks: tuple[Path, ...],
    datasets: tuple[str, ...],
    root: Path,
    use_ground_truth: bool | None,
    as_json: bool,
    verbose: bool,
) -> None:
    """Say whether the images of today still give the few-shot splits that a splits.lock names.

    The images are listed, their files digested, and the splits drawn again. Names may lie anywhere, on another machine
    and platform: what counts is the content of the files, their classes, and their names. Which images are copies of
    one another is taken from the lock and not searched again. Nothing is written.
    """
    if not locks:
        raise ConfigError("no lock is named; give the splits.lock that lies beside the splits: --splits splits.lock")
    console = start_logging(verbose)

    from overlens.check_splits import check_splits, read_lock
    from overlens.progress import TerminalProgress

    progress = TerminalProgress(console)
    specs = _specs(datasets, [read_lock(path).dataset for path in locks])
    checked = [
        check_splits(path, spec, root, use_ground_truth=use_ground_truth, progress=progress)
        for path, spec in zip(locks, specs, strict=True)
    ]
    if as_json:
        found = {"same": all(one.is_same for one in checked), "locks": [one.to_json() for one in checked]}
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        print_lines([line for one in checked for line in _lines(one)])
    failures = [_failure(one) for one in checked if not one.is_same]
    if failures:
        raise DatasetError("; ".join(failures))


def _specs(datasets: Sequence[str], names: Sequence[str]) -> list[DatasetSpec]:
    """Return where the dataset of each lock is: as given, else in the documented layout."""
    known = ", ".join(dict.fromkeys(names))
    given: dict[str, DatasetSpec] = {}
    for text in datasets:
        if "=" not in text and text not in names and Path(text).exists():
            raise ConfigError(f"--datasets {text!r} has no name; write --datasets {names[0]}={text}")
        spec = DatasetSpec.parse(text)
        if spec.name not in names:
            instead = f"--datasets {names[0]}={'PATH' if spec.path is None else spec.path}"
            raise ConfigError(f"no lock is of a dataset {spec.name!r}; given are locks of {known}: write {instead}")
        if spec.name in given:
            raise ConfigError(f"dataset {spec.name!r} is named twice; name each dataset once")
        given[spec.name] = spec
    return [given.get(name, DatasetSpec(name)) for name in names]


def _lines(one: "CheckedSplits") -> list[str]:
    lock, n = one.lock, len(one.lock.splits)
    copies = "copies are taken from the lock and were not searched again"
    lines = [
        f"{lock.dataset}: {one.n_same:,} of {counted(n, 'split')} {'is' if one.n_same == 1 else 'are'} the same",
        f"  images: {len(lock.images):,} in the lock, {sum(label is not None for label in one.images.labels):,} with a "
        f"class today; {copies if lock.copies is not None else 'the lock knows nothing of copies'}",
    ]
    lines += [f"  {words}" for words in _differences(one)]
    if one.label_source != lock.origin.source:
        lines.append(f"  classes come from {one.label_source} today, and came from {lock.origin.source}")
    if one.differing:
        lines.append(f"  not the same: {_some(one.differing)}")
    if one.additional:
        lines.append(f"  drawn today and not in the lock: {_some(one.additional)}")
    if one.n_files:
        absent = f"; {n - one.n_files:,} are not there" if n > one.n_files else ""
        lines.append(f"  files beside the lock: {one.n_good_files:,} of {one.n_files:,} hold what it says{absent}")
    lines += [f"  {file}: {reason}" for file, reason in [*one.wrong_files.items()][:N_SHOWN]]
    return lines


def _differences(one: "CheckedSplits") -> list[str]:
    """What is no longer as it was about the images, in words; names are quoted, as they may hold anything."""
    keys, labels, locked, matched = one.images.keys, one.images.labels, one.lock.images, one.matched
    lines = []
    if matched.missing:
        digests = [f"{locked[p].sha256[:12]}… of class {locked[p].class_id!r}" for p in matched.missing]
        lines.append(f"missing: {_some(digests)}")
    if matched.new:
        lines.append(f"new: {_some([repr(keys[i]) for i in matched.new])}")
    if matched.changed:
        lines.append(f"changed, the same name with other content: {_some([repr(keys[i]) for _, i in matched.changed])}")
    if matched.relabelled:
        moved = [f"{keys[i]!r} is {labels[i]!r} and was {locked[p].class_id!r}" for p, i in matched.relabelled]
        lines.append(f"in another class: {_some(moved)}")
    if matched.renamed:
        why = f"; {one.renaming}" if one.renaming else ""
        lines.append(
            f"under another name, and draws go by names: {_some([repr(keys[i]) for _, i in matched.renamed])}{why}"
        )
    return lines


def _failure(one: "CheckedSplits") -> str:
    matched, name = one.matched, one.lock.dataset
    if not one.differing:
        files = counted(len(one.wrong_files), "file beside the lock does", "files beside the lock do")
        return f"{name}: {files} not hold what it says, such as {next(iter(one.wrong_files))}; get them again"
    counts = (
        (len(matched.missing), "missing"),
        (len(matched.new), "new"),
        (len(matched.changed), "changed"),
        (len(matched.relabelled), "in another class"),
        (len(matched.renamed), "under another name"),
    )
    seen = ", ".join(f"{n:,} {word}" for n, word in counts if n)
    why = (
        f"images: {seen}"
        if seen
        else "its images are the same: this version of overlens draws otherwise, which is a fault of it"
    )
    is_only_new = bool(matched.new) and not any(n for n, word in counts if word != "new")
    step = "leave out the new images" if is_only_new else "restore the images"
    if not seen:
        step = f"draw with overlens {one.lock.overlens}, which made the lock"
    nothing = f"; nothing can be drawn: {one.why_not_drawn}" if one.why_not_drawn else ""
    return (
        f"{name}: {len(one.differing):,} of {counted(len(one.lock.splits), 'split')} differ ({why}){nothing}; "
        f"{step}, or take the splits from their files and not from a new draw"
    )


def _some(things: Sequence[str]) -> str:
    more = f" and {len(things) - N_SHOWN:,} more" if len(things) > N_SHOWN else ""
    return f"{len(things):,} ({', '.join(things[:N_SHOWN])}{more})"
