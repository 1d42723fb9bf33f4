"""List the files below a folder once, so that a name is looked up and never joined to a path.

A name from outside can then only reach what the walk found. The cost is one pass over the folder, also when few of its
files are wanted; it reads directory entries and, save for symbolic links, touches no file.

Order is that of Unicode code points of the POSIX path, whatever the file system or locale.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from overlens.errors import DatasetError

LEAVES_FOLDER = "leaves the image folder"
NO_SUCH_FILE = "no such image file"


@dataclass(frozen=True, slots=True)
class FileTree:
    """The files below `root`.

    Attributes:
        root: The folder.
        files: POSIX path under `root` of each file, sorted by code point; a symbolic link to a file is a file.
        outside: Those of `files` that are symbolic links to a place outside `root`.
        broken: Symbolic links to nothing; not among `files`.
        linked_folders: Symbolic links to folders, which are not followed: a link to a parent would never end.
    """

    root: Path
    files: tuple[str, ...]
    outside: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    linked_folders: tuple[str, ...] = ()

    def crosses_link(self, name: str) -> bool:
        """Whether `name` lies below a linked folder."""
        return any(name.startswith(f"{folder}/") for folder in self.linked_folders)


def scan_tree(root: Path, *, hidden: bool = False) -> FileTree:
    """Walk the folder `root`; names that start with a dot are left out unless `hidden`.

    Raises:
        DatasetError: A folder cannot be read.
    """
    plain: list[str] = []
    links: list[str] = []
    folders = [""]
    while folders:
        prefix = folders.pop()
        for entry in _entries(root / prefix):
            name = prefix + entry.name
            if entry.name.startswith(".") and not hidden:
                continue
            if entry.is_symlink():
                links.append(name)
            elif entry.is_dir():
                folders.append(f"{name}/")
            elif entry.is_file():  # not a socket, a pipe or a device, which might block
                plain.append(name)
    return _sort_links(root, plain, links)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DatasetError(f"cannot list the folder {folder}: {error.strerror}; check its permissions") from error


def _sort_links(root: Path, plain: list[str], links: list[str]) -> FileTree:
    home = root.resolve()
    files, outside, broken, linked_folders = plain, [], [], []
    for name in links:
        path = root / name
        if path.is_dir():
            linked_folders.append(name)
        elif path.is_file():
            files.append(name)
            if not path.resolve().is_relative_to(home):
                outside.append(name)
        elif not path.exists():
            broken.append(name)
    return FileTree(root, tuple(sorted(files)), frozenset(outside), frozenset(broken), tuple(sorted(linked_folders)))


def extension_of(name: str) -> str:
    """Return the extension of a POSIX path in lower case with its dot, or ""; ".jpg" alone has none."""
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return f".{extension.lower()}" if dot and stem else ""


def without_image_extension(name: str, extensions: frozenset[str]) -> str:
    """Return `name` without its extension if that is one of an image."""
    extension = extension_of(name)
    return name[: -len(extension)] if extension in extensions else name


def file_refusal(file: str, tree: FileTree) -> str:
    """Return why an image file that the walk found cannot be used, or ""."""
    if file in tree.broken:
        return f"{NO_SUCH_FILE}: symbolic link to a missing file"
    if as_utf8(file) != file:
        return "its file name is not UTF-8; rename the file"
    return ""


def as_utf8(name: str) -> str:
    """Return `name` with bytes that are not UTF-8 written as escapes, to be shown and saved.

    Python keeps such bytes of a file name as lone surrogates, which no UTF-8 file can hold.
    """
    return name.encode(errors="backslashreplace").decode()
