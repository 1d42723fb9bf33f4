"""Write what remains of a dataset in the form in which it came, so that overlens and others can read it again.

No image is copied, moved or changed; what is written names them. Below one folder:

    dataset/NAME/JPEGImages          a link to the images of a dataset in the documented layout
    dataset/NAME-data/               its lists and labels, without what was removed; classes.csv as it is
    manifests/NAME/                  a manifest under its own name, with the same columns
                                     for a folder of images: images.csv (path, label) and keep.txt (its keys)

The folder serves as `--root` for datasets of the documented layout. Relative paths of a manifest become absolute, as
they would start at another place; that changes the keys of these images. Images that could not be read were not looked
at, and stay, except those that were refused when the files of a folder were listed: nothing names them but the folder,
and a name that is not UTF-8 cannot stand in a list. An image that is named twice is named once.
"""

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

from overlens.atomic import write_bytes, write_text
from overlens.config import DatasetSpec
from overlens.decode import image_extensions
from overlens.errors import ConfigError, DatasetError
from overlens.layout import CleanedLayout, InputLayout
from overlens.records import Failure, Listing
from overlens.sources import documented_at, list_images
from overlens.sources.cleaned_lists import filter_labels, filter_names
from overlens.sources.cleaned_tables import write_table
from overlens.sources.labels import CLASS_FOLDERS
from overlens.sources.textfiles import read_lines
from overlens.tables import write_csv


@dataclass(frozen=True, slots=True)
class CleanedRequest:
    """What to write of one dataset.

    Attributes:
        spec: The dataset.
        root: Folder that holds `dataset/`, for a dataset without a path.
        listing: The dataset as it was listed.
        removed: Keys of the images that go.
        use_ground_truth: Whether the listing took its classes from `2_ground_truth.json`.
    """

    spec: DatasetSpec
    root: Path
    listing: Listing
    removed: AbstractSet[str]
    use_ground_truth: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(self.removed - {*self.listing.keys})
        if unknown:
            raise ValueError(f"{self.spec.name} lists no {unknown[0]!r}, which is to be removed")

    @property
    def kept(self) -> tuple[int, ...]:
        """Rows of the listing that stay."""
        return tuple(row for row, key in enumerate(self.listing.keys) if key not in self.removed)

    def names(self) -> list[str]:
        """Return the keys that stay, and the names that a list of the user gives to images that could not be found."""
        named = () if list_left_out(self.spec, self.root, self.listing) else self.listing.failures
        return [self.listing.keys[row] for row in self.kept] + [failure.key for failure in named]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was written of one dataset.

    Attributes:
        dataset: Its name.
        path: What to give as `NAME=PATH`, below the folder.
        notices: Sentences that the user should read.
        is_whole: Whether nothing is missing to read it again; a link may be.
    """

    dataset: str
    path: Path
    notices: tuple[str, ...] = ()
    is_whole: bool = True


def write_cleaned(request: CleanedRequest, folder: Path) -> Cleaned:
    """Write what remains of a dataset below `folder`, and leave the dataset as it is.

    Raises:
        DatasetError: A name that remains cannot stand in a list of the documented layout.
        StoreError: A file cannot be written.
    """
    layout = input_layout(request.spec, request.root)
    if layout is not None:
        return _write_documented(request, layout, folder)
    path = request.spec.path or request.root
    if not path.is_dir():
        target = CleanedLayout(folder).manifest(request.spec.name, path.name)
        listing = request.listing
        files = {listing.keys[row]: listing.paths[row] for row in request.kept}
        labels = {listing.keys[row]: listing.labels[row] for row in request.kept}
        missing = {failure.key: Path(normpath(path.parent / failure.key)) for failure in listing.failures}
        write_table(path, target, {**missing, **files}, {**dict.fromkeys(missing), **labels})
        return Cleaned(request.spec.name, target.relative_to(folder))
    return _write_folder(request, folder)


def check_cleaned(request: CleanedRequest, folder: Path, cleaned: Cleaned) -> str:
    """Return what differs when the written files are read again, or "": the same images with the same classes."""
    spec = DatasetSpec(cleaned.dataset, folder / cleaned.path)
    if not request.kept or not cleaned.is_whole:
        return ""
    try:
        listing = list_images(spec, folder, use_ground_truth=request.use_ground_truth)
    except (ConfigError, DatasetError) as error:
        return str(error)
    before = request.listing
    wanted = {_resolved(before.paths[row]): (before.labels[row] or "").strip() for row in request.kept}
    found = {_resolved(path): (label or "").strip() for path, label in zip(listing.paths, listing.labels, strict=True)}
    if wanted == found:
        return ""
    odd = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    return f"{len(odd)} images differ, such as {odd[0]!r}: {wanted.get(odd[0])!r} became {found.get(odd[0])!r}"


def input_layout(spec: DatasetSpec, root: Path) -> InputLayout | None:
    """Return where a dataset is, if it is in the documented layout."""
    if spec.path is None:
        return InputLayout(root, spec.name)
    return documented_at(spec.path) if spec.path.is_dir() else None


def list_left_out(spec: DatasetSpec, root: Path, listing: Listing) -> tuple[Failure, ...]:
    """Return the images refused at listing that no list of the user names, so that none of what remains names them.

    They are files whose names are not UTF-8, and links to nothing or out of the image folder. Where a manifest or
    `2_test.txt` names the images, there are none: its names stay.
    """
    layout = input_layout(spec, root)
    if layout is None:
        is_named = not (spec.path or root).is_dir()
    else:
        is_named = layout.names.is_file()
    return () if is_named else listing.failures


def _resolved(path: Path) -> str:
    # The folder, not the file: two names of one file, one of them a link, are two images.
    return str(path.parent.resolve() / path.name)


def _write_documented(request: CleanedRequest, layout: InputLayout, folder: Path) -> Cleaned:
    target, listing, notices = InputLayout(folder, request.spec.name), request.listing, []
    names = request.names()
    listed = None
    if layout.names.is_file():
        listed = [line for line in read_lines(layout.names) if line.strip()]
        write_bytes(target.names, filter_names(layout.names, names))
    else:
        _require_lines(request.spec.name, names)
        write_text(target.names, "".join(f"{name}\n" for name in names))
    stays = {*names}
    ordered = names if listed is None else [name for name in dict.fromkeys(listed) if name in stays]
    for source, copy in ((layout.labels, target.labels), (layout.ground_truth, target.ground_truth)):
        if source.is_file():
            try:
                write_bytes(copy, filter_labels(source, listed, ordered, image_extensions()))
            except DatasetError as error:
                notices.append(f"{source.name} is not written: {error}")
    if listing.label_source == CLASS_FOLDERS:
        # What folder names mean follows from all images, so from here on it would follow from fewer.
        write_bytes(target.labels, _json_labels(request))
        notices.append(f"{target.labels.name} now says what the class folders said")
    if layout.classes.is_file():
        write_bytes(target.classes, layout.classes.read_bytes())
    problem = _link(target.images, layout.images)
    place = target.images.parent.relative_to(folder)
    return Cleaned(request.spec.name, place, (*notices, *problem), is_whole=not problem)


def _json_labels(request: CleanedRequest) -> bytes:
    labels = {request.listing.keys[row]: request.listing.labels[row] for row in request.kept}
    return (json.dumps(labels, ensure_ascii=False, indent=2) + "\n").encode()


def _require_lines(dataset: str, names: list[str]) -> None:
    for name in names:
        if name != name.strip(" \t") or "\n" in name or "\r" in name:
            raise DatasetError(
                f"{dataset}: the name {name!r} cannot stand in a list of one name a line; rename the file"
            )


def _link(link: Path, images: Path) -> list[str]:
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(normpath(images.absolute()), target_is_directory=True)
    except OSError as error:
        return [f"{link} cannot be a link to the images ({error.strerror}); put one there to read the cleaned dataset"]
    return []


def _write_folder(request: CleanedRequest, folder: Path) -> Cleaned:
    listing, layout, name = request.listing, CleanedLayout(folder), request.spec.name
    manifest, list_of_keys = layout.folder_manifest(name), layout.folder_keys(name)
    rows = ((normpath(listing.paths[row].absolute()), listing.labels[row] or "") for row in request.kept)
    write_csv(manifest, ("path", "label"), rows, exact=True)
    keys = [listing.keys[row] for row in request.kept]
    broken = [key for key in keys if "\n" in key or "\r" in key]
    if broken:
        notice = f"{list_of_keys.name} is not written, as the name {broken[0]!r} holds a line break"
        return Cleaned(name, manifest.relative_to(folder), (notice,))
    write_text(list_of_keys, "".join(f"{key}\n" for key in keys))
    return Cleaned(name, manifest.relative_to(folder))
