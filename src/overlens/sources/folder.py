"""List any folder of images as a dataset; its sub-folders are the classes.

Hidden files and folders are left out. Symbolic links to files are read wherever they point, because tools that keep
large files elsewhere leave such links; links to folders are not followed, since one may lead back to its own parent.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from overlens.config import DatasetSpec
from overlens.decode import image_extensions
from overlens.errors import DatasetError
from overlens.records import Failure, Listing
from overlens.sources.labels import labels_from_folders
from overlens.sources.tree import FileTree, as_utf8, extension_of, file_refusal, scan_tree


def list_folder(spec: DatasetSpec, folder: Path) -> Listing:
    """List every image below `folder`, ordered by the code points of its POSIX path, which is its key.

    Raises:
        DatasetError: `folder` holds no image, or cannot be read.
    """
    extensions = image_extensions()
    tree = scan_tree(folder)
    images = sorted(file for file in (*tree.files, *tree.broken) if extension_of(file) in extensions)
    if not images:
        raise _no_images(folder, tree)
    reasons = {file: file_refusal(file, tree) for file in images}
    keys = tuple(file for file, reason in reasons.items() if not reason)
    labels = labels_from_folders(keys)
    return Listing(
        dataset=spec.name,
        keys=keys,
        paths=tuple(folder / key for key in keys),
        labels=labels.values,
        label_source=labels.source,
        failures=tuple(Failure(spec.name, as_utf8(file), reason) for file, reason in reasons.items() if reason),
        notices=(*_notice_left_out(tree, extensions), *labels.notices),
    )


def _notice_left_out(tree: FileTree, extensions: frozenset[str]) -> Iterator[str]:
    others = [file for file in tree.files if extension_of(file) not in extensions]
    if others:
        yield f"files without an image extension, ignored: {len(others)} (first: {others[0]!r})"
    if tree.linked_folders:
        first = tree.linked_folders[0]
        yield f"links to folders, not followed: {len(tree.linked_folders)} (first: {first!r})"


def _no_images(folder: Path, tree: FileTree) -> DatasetError:
    seen = Counter(extension_of(file) or "no extension" for file in tree.files).most_common(5)
    files = ", ".join(f"{as_utf8(extension)} ({count})" for extension, count in seen)
    found = f"no image but {files}" if files else "no visible file at all"
    links = f"; links to folders, which are not followed: {len(tree.linked_folders)}" if tree.linked_folders else ""
    return DatasetError(f"no image under {folder}: it holds {found}{links}; give a folder that holds images")
