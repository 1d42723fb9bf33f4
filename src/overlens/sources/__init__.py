"""Where images and labels come from: the documented layout, a folder, a manifest, or published embeddings.

A source lists; it opens no image. What it finds wrong with one image is a failure of that image, what it finds odd
about the dataset is a notice, and what makes the dataset unusable raises.
"""

from dataclasses import replace
from os.path import normpath
from pathlib import Path

from overlens.config import DatasetSpec
from overlens.errors import ConfigError
from overlens.layout import InputLayout
from overlens.records import Listing
from overlens.sources.documented import FolderLayout, list_documented
from overlens.sources.folder import list_folder
from overlens.sources.manifest import column_names, list_manifest
from overlens.sources.published import Published, load_published

__all__ = ["Published", "documented_at", "list_images", "load_published"]


def list_images(
    spec: DatasetSpec,
    root: Path,
    *,
    use_ground_truth: bool,
    max_images: int | None = None,
    identifier_column: str | None = None,
) -> Listing:
    """List the images of one dataset with their classes.

    Args:
        spec: The dataset. Without a path it is in the documented layout under `root`; a path is a folder of images, a
            dataset folder of the documented layout, or a manifest (.csv, .tsv, .parquet).
        root: Folder that holds `dataset/`.
        use_ground_truth: Take the classes from `2_ground_truth.json`. A folder or a manifest keeps its own classes, and
            a notice says so.
        max_images: Use the first so many distinct names only, at least 1, missing images included. They are the first
            lines of `2_test.txt`, the first rows of a manifest, or in a folder the first by code point.
        identifier_column: Column of a manifest to read identifiers from. A dataset without it is listed all the same,
            without identifiers, and a notice says so.

    Raises:
        ConfigError: There is no such dataset, or its path is a file of no known kind.
        DatasetError: It has no images, or a list or label file is malformed.
    """
    listing = _list(spec, root, use_ground_truth, max_images, identifier_column)
    if identifier_column is None or listing.identifiers is not None:
        return listing
    known = column_names(spec.path) if spec.path is not None else ()
    having = f" among {', '.join(known)}" if known else ""
    notice = f"there is no column {identifier_column!r}{having}, so images are identified by their names"
    return replace(listing, notices=(*listing.notices, notice))


def _list(
    spec: DatasetSpec, root: Path, use_ground_truth: bool, max_images: int | None, identifier_column: str | None
) -> Listing:
    if spec.path is None:
        layout = InputLayout(root, spec.name)
        return list_documented(spec, layout, use_ground_truth=use_ground_truth, max_images=max_images)
    if not spec.path.exists():
        raise ConfigError(f"dataset {spec.name!r}: {spec.path} does not exist; give a folder or a manifest: NAME=PATH")
    if not spec.path.is_dir():
        listing = list_manifest(spec, spec.path, max_images=max_images, identifier_column=identifier_column)
        return _keeping_classes(listing, "manifest", use_ground_truth)
    found = documented_at(spec.path)
    if found is not None:
        return list_documented(spec, found, use_ground_truth=use_ground_truth, max_images=max_images)
    listing = list_folder(spec, spec.path, max_images=max_images)
    return _keeping_classes(listing, "folder", use_ground_truth)


def _keeping_classes(listing: Listing, kind: str, use_ground_truth: bool) -> Listing:
    if not use_ground_truth:
        return listing
    return replace(listing, notices=(*listing.notices, f"--use-ground-truth: a {kind} keeps its own classes"))


def documented_at(folder: Path) -> InputLayout | None:
    """Return the layout if `folder` is a dataset folder of the documented layout, or its `-data` folder, else None.

    The layout takes its name from the folder, which need not be that of the dataset.
    """
    # Not resolve(): a linked dataset folder has its lists beside the link.
    place = Path(normpath(folder.absolute()))
    for name in dict.fromkeys((place.name, place.name.removesuffix("-data"))):
        layout = FolderLayout(place.parent, name)
        if name and layout.images.is_dir():
            return layout
    return None
