"""Which results beside those of this run are of an earlier one: they stay, but nobody should take them for new.

Every result is written by a rename, so a file that a run wrote is another file than before; what it found to be made
already is a result of it, too. Stores are no results and are not looked at, nor are what is made of the results
afterwards: the record of the run, its report, and the cleaned lists, which another command writes; nor what people
decided.
"""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from overlens.config import RunConfig
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.notices import tell


def find_files(config: RunConfig) -> dict[Path, tuple[int, int]]:
    """Return the results that are there now, each with what tells whether it was written anew."""
    found: dict[Path, tuple[int, int]] = {}
    cross = CrossLayout(config.output_root)
    layouts = [AnalysisLayout(config.output_root, spec.name) for spec in config.datasets]
    kept = {
        cross.mark,
        cross.store,
        *cross.of_dedupe,
        *cross.of_decisions,
        cross.run,
        cross.report,
        cross.index,
        *(layout.store for layout in layouts),
    }
    for folder in (cross.folder, *(layout.folder for layout in layouts)):
        for path in folder.rglob("*"):
            # A link to an image is a result itself, and its image none.
            if (path.is_symlink() or path.is_file()) and kept.isdisjoint((path, *path.parents)):
                status = path.lstat()
                found[path] = status.st_ino, status.st_mtime_ns
    return found


def split_files(
    config: RunConfig, earlier: Mapping[Path, tuple[int, int]], made: Set[Path]
) -> tuple[list[Path], list[Path]]:
    """Return the results of this run, and those of earlier ones that remain beside them; both in order.

    Args:
        config: The run.
        earlier: What `find_files` found before it.
        made: Results that it found to be made already.
    """
    now, held = find_files(config), _exports(config) | made
    left = {path for path, state in earlier.items() if now.get(path) == state and path not in held}
    return sorted(now.keys() - left), sorted(left)


def old_pages(config: RunConfig) -> list[Path]:
    """Return the pages that an earlier run left, for a run that makes none."""
    layout = CrossLayout(config.output_root)
    return [path for path in (layout.report, layout.index) if path.exists()]


def tell_leftovers(left: Sequence[Path]) -> list[str]:
    """Say how many results of earlier runs there are."""
    if not left:
        return []
    return tell("results", [f"{len(left)} files of earlier runs remain beside those of this one, such as {left[0]}"])


def _exports(config: RunConfig) -> set[Path]:
    layouts = [AnalysisLayout(config.output_root, spec.name) for spec in config.datasets]
    return {path for own in layouts for path in (own.names, own.labels, own.embeddings, own.hashes, own.description)}
