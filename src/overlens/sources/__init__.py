"""Where images and labels come from: the documented layout, a folder, a manifest, or published embeddings.

A source lists; it opens no image. What it finds wrong with one image is a failure of that image, what it finds odd
about the dataset is a notice, and what makes the dataset unusable raises.
"""

from os.path import normpath
from pathlib import Path

from overlens.config import DatasetSpec
from overlens.errors import DatasetError
from overlens.layout import InputLayout
from overlens.records import Listing
from overlens.sources.documented import FolderLayout, list_documented
from overlens.sources.folder import list_folder
from overlens.sources.manifest import list_manifest
from overlens.sources.published import Published, load_published

__all__ = ["Published", "list_images", "load_published"]


def list_images(spec: DatasetSpec, root: Path, *, use_ground_truth: bool) -> Listing:
    """List the images of one dataset with their classes.

    Args:
        spec: The dataset. Without a path it is in the documented layout under `root`; a path is a folder of images, a
            dataset folder of the documented layout, or a manifest (.csv, .tsv, .parquet).
        root: Folder that holds `dataset/`.
        use_ground_truth: Take the classes from `2_ground_truth.json`. A folder or a manifest keeps its own classes.

    Raises:
        ConfigError: The path is a file of no known kind.
        DatasetError: There is no such dataset, it has no images, or a list or label file is malformed.
    """
    if spec.path is None:
        return list_documented(spec, InputLayout(root, spec.name), use_ground_truth=use_ground_truth)
    if not spec.path.exists():
        raise DatasetError(f"dataset {spec.name!r}: {spec.path} does not exist; give a folder or a manifest: NAME=PATH")
    if not spec.path.is_dir():
        return list_manifest(spec, spec.path)
    layout = _documented_at(spec.path)
    if layout is not None:
        return list_documented(spec, layout, use_ground_truth=use_ground_truth)
    return list_folder(spec, spec.path)


def _documented_at(folder: Path) -> InputLayout | None:
    """Return the layout if `folder` is a dataset folder of the documented layout, or its `-data` folder."""
    # Not resolve(): a linked dataset folder has its lists beside the link.
    place = Path(normpath(folder.absolute()))
    for name in dict.fromkeys((place.name, place.name.removesuffix("-data"))):
        layout = FolderLayout(place.parent, name)
        if name and layout.images.is_dir():
            return layout
    return None
