"""List a dataset in the documented layout: the names in `2_test.txt`, looked up under `JPEGImages`.

A name is looked up in one listing of the folder and never joined to a path, so it cannot reach anything else. It is the
exact name of a file, else the name of a file without its image extension.

Two names of one file count once: they would be a duplicate that is none.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from overlens.config import DatasetSpec
from overlens.decode import image_extensions
from overlens.errors import ConfigError, DatasetError
from overlens.layout import InputLayout
from overlens.records import Failure, Listing
from overlens.sources.cap import notice_cap
from overlens.sources.labels import Unlabelled, count_repeated, find_labels, read_class_names
from overlens.sources.textfiles import read_lines
from overlens.sources.tree import (
    LEAVES_FOLDER,
    NO_SUCH_FILE,
    FileTree,
    as_utf8,
    extension_of,
    file_refusal,
    scan_tree,
    without_image_extension,
)

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_FAVOURITES = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where each usable name was found: `files[i]` is the POSIX path under the image folder of `keys[i]`.

    `all_files` are the files of all names, those beyond `--max-images` included.
    """

    keys: tuple[str, ...]
    files: tuple[str, ...]
    all_files: tuple[str, ...]
    failures: tuple[Failure, ...]
    notices: tuple[str, ...]


class FolderLayout(InputLayout):
    """The documented files of a dataset whose own folder is named: `root` is the folder that holds it."""

    __slots__ = ()

    @property
    def images(self) -> Path:
        """Folder of the images."""
        return self.root / self.dataset / InputLayout(self.root, self.dataset).images.name

    @property
    def data(self) -> Path:
        """Folder of lists and labels."""
        return self.root / InputLayout(self.root, self.dataset).data.name


def list_documented(
    spec: DatasetSpec, layout: InputLayout, *, use_ground_truth: bool, max_images: int | None = None
) -> Listing:
    """List the images of one dataset in the documented layout.

    Args:
        spec: The dataset; its name goes into the records.
        layout: Where its files are; may carry another name than `spec`.
        use_ground_truth: Take the classes from `2_ground_truth.json` alone.
        max_images: Use the first so many distinct names only, missing images included.

    Raises:
        ConfigError: The image folder is missing.
        DatasetError: No image is named, or a list or label file is malformed.
    """
    folder = layout.images
    if not folder.is_dir():
        raise _missing_dataset(layout)
    listed = _read_names(layout) if layout.names.is_file() else None
    placed = _place_all(spec, layout, max_images) if listed is None else _place(spec, layout, listed[0], max_images)
    images = Unlabelled(
        keys=placed.keys,
        paths=placed.files,
        all_paths=placed.all_files,
        listed=None if listed is None else listed[0],
        extensions=image_extensions(),
        labels_file=layout.labels,
        ground_truth_file=layout.ground_truth,
    )
    labels = find_labels(images, use_ground_truth=use_ground_truth)
    return Listing(
        dataset=spec.name,
        keys=placed.keys,
        paths=tuple(folder / file for file in placed.files),
        labels=labels.values,
        label_source=labels.source,
        class_names=read_class_names(layout.classes),
        failures=placed.failures,
        notices=(*(() if listed is None else listed[1]), *placed.notices, *labels.notices),
    )


def unsafe_reason(name: str) -> str:
    """Return why `name` is refused before any look-up, or "" for a name that stays in its folder."""
    if "\0" in name:
        return f"{LEAVES_FOLDER}: NUL character in the name"
    if _ABSOLUTE.match(name):
        return f"{LEAVES_FOLDER}: absolute path"
    if ".." in re.split(r"[/\\]", name):
        return f"{LEAVES_FOLDER}: '..' in the name"
    return ""


class NameIndex:
    """Look names up among the files of one folder."""

    def __init__(self, tree: FileTree, extensions: frozenset[str]) -> None:
        self._tree = tree
        self._extensions = extensions
        self._found = self._index(tree.files)
        self._composed: dict[str, list[str]] | None = None

    def find(self, name: str) -> list[str]:
        """Return the files that `name` may mean, the one to take first; none if there is none.

        A name that is not found is tried with its backslashes as slashes (lists written on Windows), then in Unicode
        normal form C (macOS decomposes the names of files).
        """
        for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
            found = self._found.get(spelling) or self._found.get(PurePosixPath(spelling).as_posix())
            if found:
                return found
        return [] if name.isascii() else self._find_composed(name)

    def _find_composed(self, name: str) -> list[str]:
        if self._composed is None:
            self._composed = {}
            for known, files in self._found.items():
                self._composed.setdefault(unicodedata.normalize("NFC", known), files)
        return self._composed.get(unicodedata.normalize("NFC", name), [])

    def _index(self, files: tuple[str, ...]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for file in files:
            stem = without_image_extension(file, self._extensions)
            if stem != file:
                found.setdefault(stem, []).append(file)
        for candidates in found.values():
            candidates.sort(key=_favour)
        found.update({file: [file] for file in files})
        return found


def _favour(file: str) -> tuple[int, str]:
    extension = extension_of(file)
    return (_FAVOURITES.index(extension) if extension in _FAVOURITES else len(_FAVOURITES)), file


def _place(spec: DatasetSpec, layout: InputLayout, listed: list[str], max_images: int | None) -> Placed:
    names, repeated = count_repeated(listed)
    tree = scan_tree(layout.images, hidden=True)
    index = NameIndex(tree, image_extensions())
    placed = _look_up(spec, names[:max_images], index, tree)
    is_cut = max_images is not None and len(names) > max_images
    return replace(
        placed,
        # Looking a name up touches no file, so what lies beyond the cap costs no more than its name.
        all_files=_look_up(spec, names, index, tree).files if is_cut else placed.files,
        notices=(
            *_notice_repeated(layout.names.name, repeated),
            *notice_cap(max_images, len(names)),
            *placed.notices,
        ),
    )


def _look_up(spec: DatasetSpec, names: list[str], index: NameIndex, tree: FileTree) -> Placed:
    key_of: dict[str, str] = {}
    failures: list[Failure] = []
    ambiguous: list[tuple[str, list[str]]] = []
    twins: list[tuple[str, str]] = []
    for name in names:
        reason = unsafe_reason(name)
        found = [] if reason else index.find(name)
        reason = reason or _refusal(name, found, tree)
        if reason:
            failures.append(Failure(spec.name, name, reason))
            continue
        if len(found) > 1:
            ambiguous.append((name, found))
        if key_of.setdefault(found[0], name) != name:
            twins.append((key_of[found[0]], name))
    files = tuple(key_of)
    return Placed(tuple(key_of.values()), files, files, tuple(failures), tuple(_notice_choices(ambiguous, twins)))


def _refusal(name: str, found: list[str], tree: FileTree) -> str:
    if not found:
        return f"{NO_SUCH_FILE}: below a link to a folder" if tree.crosses_link(name) else NO_SUCH_FILE
    return _outside(found[0], tree) or file_refusal(found[0], tree)


def _outside(file: str, tree: FileTree) -> str:
    return f"{LEAVES_FOLDER}: symbolic link to a place outside it" if file in tree.outside else ""


def _notice_repeated(source: str, repeated: list[str]) -> Iterator[str]:
    if repeated:
        yield f"{source}: repeated names, counted once: {len(repeated)} (first: {repeated[0]!r})"


def _notice_choices(ambiguous: list[tuple[str, list[str]]], twins: list[tuple[str, str]]) -> Iterator[str]:
    if ambiguous:
        name, found = ambiguous[0]
        others = ", ".join(map(repr, found[1:]))
        yield f"names that fit several files: {len(ambiguous)} (first: {name!r} takes {found[0]!r}, not {others})"
    if twins:
        first, second = twins[0]
        yield f"names of a file already named, left out: {len(twins)} (first: {second!r}, the same as {first!r})"


def _place_all(spec: DatasetSpec, layout: InputLayout, max_images: int | None) -> Placed:
    tree = scan_tree(layout.images)
    extensions = image_extensions()
    files = sorted(file for file in (*tree.files, *tree.broken) if extension_of(file) in extensions)
    if not files:
        raise DatasetError(f"{layout.names} does not exist and there is no image under {layout.images}; add images")
    reasons = {file: _outside(file, tree) or file_refusal(file, tree) for file in files}
    usable = tuple(file for file in files if not reasons[file])
    kept = tuple(file for file in files[:max_images] if not reasons[file])
    failed = [file for file in files[:max_images] if reasons[file]]
    failures = tuple(Failure(spec.name, as_utf8(file), reasons[file]) for file in failed)
    why = f"{layout.names} does not exist: every image under JPEGImages is listed"
    return Placed(kept, kept, usable, failures, (why, *notice_cap(max_images, len(files))))


def _read_names(layout: InputLayout) -> tuple[list[str], tuple[str, ...]]:
    lines = read_lines(layout.names)
    names = [line for line in lines if line.strip()]
    if not names:
        raise DatasetError(f"{layout.names} names no image; list one image name a line, or remove the file")
    n_blank = len(lines) - len(names)
    return names, (f"{layout.names.name}: blank lines, ignored: {n_blank}",) * bool(n_blank)


def _missing_dataset(layout: InputLayout) -> ConfigError:
    home = layout.images.parent.parent
    known = sorted(path.parent.name for path in home.glob(f"*/{layout.images.name}")) if home.is_dir() else []
    there = f"{home} holds {', '.join(known)}: name one of these" if known else f"no dataset is in {home}"
    return ConfigError(
        f"dataset {layout.dataset!r} is not at {layout.images}; {there}, set --root to the folder that holds dataset/, "
        f"or give any folder or manifest: --datasets {layout.dataset}=PATH"
    )
