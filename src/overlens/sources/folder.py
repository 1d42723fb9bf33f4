"""List any folder of images as a dataset; its sub-folders are the classes.

Hidden files and folders are left out, and so are results that earlier runs wrote below the folder: they would take
places under a cap, and their folders would shift what folders mean. Symbolic links to files are read wherever they
point, because tools that keep large files elsewhere leave such links; links to folders are not followed, since one may
lead back to its own parent.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from overlens.config import DatasetSpec
from overlens.decode import image_extensions
from overlens.errors import DatasetError
from overlens.layout import find_results
from overlens.records import Failure, Listing
from overlens.sources.cap import notice_cap
from overlens.sources.labels import labels_from_folders
from overlens.sources.tree import FileTree, as_utf8, extension_of, file_refusal, scan_tree


def list_folder(spec: DatasetSpec, folder: Path, *, max_images: int | None = None) -> Listing:
    """List every image below `folder`, ordered by the code points of its POSIX path, which is its key.

    Args:
        spec: The dataset; its name goes into the records.
        folder: Where the images are.
        max_images: Use the first so many images only.

    Raises:
        DatasetError: `folder` holds no image, or cannot be read.
    """
    extensions = image_extensions()
    tree = scan_tree(folder)
    found = sorted(file for file in (*tree.files, *tree.broken) if extension_of(file) in extensions)
    if not found:
        raise _no_images(folder, tree)
    images = _without_results(found, folder)
    if not images:
        raise DatasetError(f"no image under {folder} but results of earlier runs ({len(found)}); give another folder")
    reasons = {file: file_refusal(file, tree) for file in images}
    keys = tuple(file for file in images[:max_images] if not reasons[file])
    failed = [file for file in images[:max_images] if reasons[file]]
    labels = labels_from_folders(keys, [file for file in images if not reasons[file]])
    return Listing(
        dataset=spec.name,
        keys=keys,
        paths=tuple(folder / key for key in keys),
        labels=labels.values,
        label_source=labels.source,
        failures=tuple(Failure(spec.name, as_utf8(file), reasons[file]) for file in failed),
        notices=(
            *_notice_left_out(tree, extensions),
            *_notice_results(len(found) - len(images)),
            *notice_cap(max_images, len(images)),
            *labels.notices,
        ),
    )


def _without_results(files: list[str], folder: Path) -> list[str]:
    # One question a folder: a picture is a result because of the folder that it lies in.
    example_of = {file.rpartition("/")[0]: file for file in files}
    of_results = {parent for parent, file in example_of.items() if find_results(folder / file)}
    return [file for file in files if file.rpartition("/")[0] not in of_results]


def _notice_results(n_results: int) -> Iterator[str]:
    if n_results:
        yield f"pictures left out, as they are results of earlier runs: {n_results}"


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
