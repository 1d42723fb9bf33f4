"""Find the class of each image: `labels.json`, else the class folder, else `2_ground_truth.json`, else none.

A class id stays as published; numbers become text. Where several classes are given for one image the first counts,
and a notice says how many were left out: everything downstream compares single classes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from overlens.errors import DatasetError
from overlens.sources.textfiles import read_json, read_table, require_row_length
from overlens.sources.tree import without_image_extension

NO_LABELS = "none"
CLASS_FOLDERS = "class folders"
# Folders that say what an image is for, not what it shows.
_SPLIT_FOLDERS = frozenset({"train", "training", "trainval", "test", "testing", "val", "valid", "validation", "dev"})

Pairs = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Labels:
    """Class id of each image or None, where they come from in words, and what the user should know."""

    values: tuple[str | None, ...]
    source: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """The images that wait for classes, and where these may stand.

    Attributes:
        keys: Key of each image.
        paths: POSIX path of each image under its folder, aligned with `keys`.
        all_paths: The paths of the whole dataset, those beyond `--max-images` included: what folders mean follows from
            all of them, so that a cap changes the class of no image.
        listed: Names as listed, repeated ones included: what a list of classes is aligned with. None: there is no list.
        extensions: Image extensions, lower case with dot; a key and a labelled name may differ by one.
        labels_file: `labels.json`.
        ground_truth_file: `2_ground_truth.json`.
    """

    keys: tuple[str, ...]
    paths: Sequence[str]
    all_paths: Sequence[str]
    listed: Sequence[str] | None
    extensions: frozenset[str]
    labels_file: Path
    ground_truth_file: Path


def find_labels(images: Unlabelled, *, use_ground_truth: bool) -> Labels:
    """Return the class of each image in the stated order, or from the ground truth alone.

    Raises:
        DatasetError: A label file is malformed, or `use_ground_truth` and there is no ground truth.
    """
    truth = images.ground_truth_file
    if use_ground_truth:
        if not truth.is_file():
            raise DatasetError(
                f"--use-ground-truth needs {truth}, which does not exist; add the file or leave out --use-ground-truth"
            )
        return _labels_from_file(images, truth, truth.name)
    if images.labels_file.is_file():
        return _labels_from_file(images, images.labels_file, images.labels_file.name)
    labels = labels_from_folders(images.paths, images.all_paths)
    if labels.source == CLASS_FOLDERS or not truth.is_file():
        return labels
    found = _labels_from_file(images, truth, truth.name)
    why = f"labels come from {truth.name}, as there are no {images.labels_file.name} and no class folders"
    return replace(found, notices=(why, *found.notices))


def labels_from_folders(paths: Sequence[str], all_paths: Sequence[str]) -> Labels:
    """Return the first folder of each image below the deepest folder that holds all images.

    Where all these folders are named like splits (train, test, val ...), the folder below them is the class.

    Args:
        paths: POSIX paths. An image that lies directly in the common folder has no class.
        all_paths: The paths of the whole dataset, which decide on the common folder and on splits.
    """
    folders = [path.split("/")[:-1] for path in all_paths]
    depth = _common_depth(folders)
    notices: list[str] = []
    heads = {folder[depth] for folder in folders if len(folder) > depth}
    if heads and all(head.lower() in _SPLIT_FOLDERS for head in heads):
        depth += 1
        notices.append(
            f"the folders {', '.join(sorted(heads))} are taken for splits, the folders below them for classes"
        )
    values = tuple(_folder_at(depth, path) for path in paths)
    if not any(len(folder) > depth for folder in folders):
        common = "/".join(folders[0][:depth]) if folders and not notices else ""
        notices += [f"all images lie in one folder, {common!r}, so folder names give no classes"] if common else []
        return Labels(values, NO_LABELS, tuple(notices))
    return Labels(values, CLASS_FOLDERS, (*notices, *_notice_missing(paths, values, CLASS_FOLDERS)))


def read_labels_file(path: Path, listed: Sequence[str] | None) -> tuple[Pairs, int]:
    """Read `{name: class}`, `[{"item": name, "class": class}]` or a list of classes aligned with `listed`.

    Returns:
        `(item, class)` in file order, and the number of further classes left out where an item had a list of them.

    Raises:
        DatasetError: The file is none of these, or the aligned list has another length.
    """
    content = read_json(path)
    if isinstance(content, tuple) or content == []:
        raw = list(content)
    elif isinstance(content, list) and content and isinstance(content[0], tuple):
        raw = [_item_and_class(path, number, entry) for number, entry in enumerate(content, 1)]
    elif isinstance(content, list):
        raw = list(zip(_aligned_names(path, content, listed), content, strict=True))
    else:
        raise DatasetError(f"{path} holds {content!r:.60}; wanted is {{name: class}}, a list of items or of classes")
    pairs = [(item, _class_id(path, item, value)) for item, value in raw]
    return pairs, sum(len(value) - 1 for _, value in raw if isinstance(value, list) and value)


def read_class_names(path: Path) -> dict[str, str]:
    """Read `classes.csv` (columns ID and Label, others ignored) as class id -> name; empty if there is no such file.

    Raises:
        DatasetError: A column is missing, a row has another length than the header, or one id has two names.
    """
    if not path.is_file():
        return {}
    rows = read_table(path)
    header = [field.strip() for field in next(rows, (1, []))[1]]
    if "ID" not in header or "Label" not in header:
        raise DatasetError(f"{path} has the columns {', '.join(header) or 'none'}; wanted are ID and Label")
    names: dict[str, str] = {}
    for line, row in rows:
        require_row_length(path, line, row, len(header))
        class_id, name = row[header.index("ID")].strip(), row[header.index("Label")].strip()
        if names.setdefault(class_id, name) != name:
            raise DatasetError(
                f"{path} names the class {class_id!r} both {names[class_id]!r} and {name!r} (line {line}); keep one"
            )
    return {class_id: name for class_id, name in names.items() if class_id and name}


def as_class_id(value: object) -> str | None:
    """Return a class value as text, None for null and empty text.

    Raises:
        TypeError: The value is neither text nor a number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r:.60} is neither text nor a number")
    return str(value).strip() or None


def count_repeated(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the distinct names in order of first standing, and the repetitions in order."""
    seen: set[str] = set()
    repeated: list[str] = []
    distinct: list[str] = []
    for name in names:
        (repeated if name in seen else distinct).append(name)
        seen.add(name)
    return distinct, repeated


def _labels_from_file(images: Unlabelled, path: Path, source: str) -> Labels:
    pairs, n_further = read_labels_file(path, images.listed)
    classes: dict[str, str | None] = {}
    for item, value in pairs:
        if item in classes and value not in (None, classes[item]):
            n_further += 1
        classes[item] = classes.get(item) or value
    find = _finder(classes, images.extensions)
    values = tuple(find(key) for key in images.keys)
    notices = [f"{path.name}: further classes of images that have several, left out: {n_further}"] * bool(n_further)
    return Labels(values, source, (*notices, *_notice_missing(images.keys, values, path.name)))


def _finder(classes: dict[str, str | None], extensions: frozenset[str]) -> Callable[[str], str | None]:
    by_stem: dict[str, str | None] = {}
    for item, value in classes.items():
        by_stem.setdefault(without_image_extension(item, extensions), value)

    def find(key: str) -> str | None:
        if key in classes:
            return classes[key]
        return by_stem.get(without_image_extension(key, extensions))

    return find


def _notice_missing(keys: Sequence[str], values: Sequence[str | None], source: str) -> Iterator[str]:
    missing = [key for key, value in zip(keys, values, strict=True) if value is None]
    if missing:
        yield f"images without a class in {source}: {len(missing)} of {len(keys)} (first: {missing[0]!r})"


def _folder_at(depth: int, path: str) -> str | None:
    folder = path.split("/")[:-1]
    return folder[depth] if len(folder) > depth else None


def _common_depth(folders: list[list[str]]) -> int:
    if not folders:
        return 0
    first, last = min(folders), max(folders)
    depth = 0
    while depth < min(len(first), len(last)) and first[depth] == last[depth]:
        depth += 1
    return depth


def _item_and_class(path: Path, number: int, entry: object) -> tuple[str, object]:
    fields = dict(entry) if isinstance(entry, tuple) else {}
    if not {"item", "class"} <= fields.keys():
        raise DatasetError(f'{path}: entry {number} is {entry!r:.60}; wanted is {{"item": name, "class": class}}')
    item = fields["item"]
    if isinstance(item, bool) or not isinstance(item, str | int):
        raise DatasetError(f"{path}: the item of entry {number} is {item!r:.60}; wanted is an image name")
    return str(item), fields["class"]


def _aligned_names(path: Path, content: list[object], listed: Sequence[str] | None) -> Sequence[str]:
    distinct = [] if listed is None else count_repeated(listed)[0]
    for names in (listed or [], distinct):
        if len(names) == len(content):
            return names
    wanted = "no list of names to align them with" if listed is None else f"{len(listed)} listed names"
    raise DatasetError(f"{path} holds a list of {len(content)} classes for {wanted}; write {{name: class}} instead")


def _class_id(path: Path, item: str, value: object) -> str | None:
    if isinstance(value, list):
        value = value[0] if value else None
    try:
        return as_class_id(value)
    except TypeError as error:
        raise DatasetError(f"{path}: the class of {item!r} is not usable: {error}; correct the file") from error
