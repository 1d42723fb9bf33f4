"""Which results beside those of this run are of an earlier one: they stay, but nobody should take them for new.

Every result is written by a rename, so a file that a run wrote is another file than before; what it found to be made
already is a result of it, too. Stores are no results and are not looked at, nor are the cleaned lists, which another
command writes.
"""

from collections.abc import Mapping, Set
from pathlib import Path

from overlens.config import RunConfig
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.notices import tell


def find_files(config: RunConfig) -> dict[Path, tuple[int, int]]:
    """Return the results that are there now, each with what tells whether it was written anew."""
    found: dict[Path, tuple[int, int]] = {}
    cross = CrossLayout(config.output_root)
    layouts = [AnalysisLayout(config.output_root, spec.name) for spec in config.datasets]
    kept = {cross.mark, cross.store, *cross.of_dedupe, *(layout.store for layout in layouts)}
    for folder in (cross.folder, *(layout.folder for layout in layouts)):
        for path in folder.rglob("*"):
            # A link to an image is a result itself, and its image none.
            if (path.is_symlink() or path.is_file()) and kept.isdisjoint((path, *path.parents)):
                status = path.lstat()
                found[path] = status.st_ino, status.st_mtime_ns
    return found


def tell_leftovers(config: RunConfig, earlier: Mapping[Path, tuple[int, int]], made: Set[Path]) -> list[str]:
    """Say how many results of `earlier` runs are none of this one: not written again, not exports, not in `made`."""
    now, held = find_files(config), _exports(config) | made
    left = sorted(path for path, state in earlier.items() if now.get(path) == state and path not in held)
    if not left:
        return []
    return tell("results", [f"{len(left)} files of earlier runs remain beside those of this one, such as {left[0]}"])


def _exports(config: RunConfig) -> set[Path]:
    layouts = [AnalysisLayout(config.output_root, spec.name) for spec in config.datasets]
    return {path for own in layouts for path in (own.names, own.labels, own.embeddings, own.hashes, own.description)}
