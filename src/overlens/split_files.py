"""Write few-shot splits and sets of episodes in the forms that people read: JSON, NPY, CSV, CoOp lists, class folders.

Episodes are written as JSON and NPY alone: a table says nothing more, and took a third of the room of all files.

Files of one split bear one name. A form that is not asked for is removed where an earlier run left it under that name,
so that two files of one name never hold two splits. The lock, and what was measured on its splits, are removed first,
and the lock is written last: where it is, all files that it names are whole. Nothing is pickled.

Shapes: e episodes, c classes of an episode, m images of a class.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import replaced_file, write_json, write_text
from overlens.config import DatasetSpec
from overlens.counted import counted
from overlens.errors import StoreError
from overlens.fewshot.lock import Lock
from overlens.fewshot.splits import EPISODE_PARTS, Episode, EpisodeSet, Part, Split, Splits
from overlens.layout import SEED_VARIANCE_FILES, AnalysisLayout
from overlens.records import Features
from overlens.sources.cleaned import input_layout
from overlens.split_links import LinkFolders
from overlens.tables import is_formula, write_csv

NO_ROW = -1
# Part of a CoOp list -> parts of a split.
COOP_PARTS = {"train": ("support",), "val": ("validation",), "test": ("query", "test")}
_NEED_FILES = frozenset({"coop", "links"})


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of the images of one dataset: `paths[i]` is that of row i of its features.

    Attributes:
        folder: Where relative paths in lists start.
        paths: One file a row.
    """

    folder: Path
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, spec: DatasetSpec, root: Path, paths: Iterable[Path]) -> "ImageFiles":
        """Return the files of a dataset, relative to its folder of images, or to that of its manifest."""
        layout = input_layout(spec, root)
        if layout is not None:
            return cls(layout.images, tuple(paths))
        place = spec.path or root
        return cls(place if place.is_dir() else place.parent, tuple(paths))

    def relative(self, row: int) -> str:
        """Return the POSIX path of an image from the folder; the absolute one, where none leads there."""
        try:
            return Path(relpath(self.paths[row], self.folder)).as_posix()
        except ValueError:  # on another drive
            return self.paths[row].absolute().as_posix()


@dataclass(frozen=True, slots=True)
class WrittenSplits:
    """What was written, a folder of links as one, and what the user should know."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def write_splits(
    splits: Splits,
    features: Features,
    layout: AnalysisLayout,
    *,
    files: ImageFiles | None = None,
    formats: Sequence[str] = ("json",),
) -> WrittenSplits:
    """Write every split and set of episodes of one dataset; first remove what says anything of earlier ones.

    Args:
        splits: What was drawn.
        features: The images that it was drawn from, with embeddings.
        layout: Where the files go.
        files: The files of the images; None where there are none, and then no form that names files is written.
        formats: Some of `config.SPLIT_FORMATS`; JSON and NPY are always written.

    Raises:
        StoreError: The system refuses to write, or to make links.
    """
    for path in (*map(layout.seed_variance, SEED_VARIANCE_FILES), layout.splits_lock):
        _remove(path)
    writer = _Writer(features, layout, files, formats)
    paths = [path for split in splits.drawn for path in writer.write_split(split)]
    paths += [path for episodes in splits.episodes for path in writer.write_episodes(episodes)]
    return WrittenSplits(tuple(paths), tuple(_tell(splits, features, formats, has_files=files is not None)))


def write_lock(lock: Lock, layout: AnalysisLayout) -> Path:
    """Write the lock of splits that have all been written, one image a line."""
    write_text(layout.splits_lock, _rows_json(lock.to_json()))
    return layout.splits_lock


def episode_rows(episodes: EpisodeSet) -> dict[str, NDArray[np.int32]]:
    """Return which rows of the features each part of every episode holds.

    Returns:
        Part -> `(e, c, m)` int32. The classes of an episode stand in the order of their ids, the same in every part;
        their images in the order of the draw. A class that has fewer images than another ends in `NO_ROW`.
    """
    listed = [_rows_by_class(episodes, one) for one in episodes.episodes]
    return {part: _padded([one[part] for one in listed]) for part in EPISODE_PARTS}


class _Writer:
    """Writes the files of one dataset."""

    def __init__(
        self, features: Features, layout: AnalysisLayout, files: ImageFiles | None, formats: Sequence[str]
    ) -> None:
        self._features, self._layout, self._files = features, layout, files
        self._embeddings = features.require_embeddings()
        self._formats = set(formats) - (_NEED_FILES if files is None else set())
        self._links = LinkFolders.of(features, files.paths) if files and "links" in self._formats else None

    def write_split(self, split: Split) -> Iterator[Path]:
        """Write one split, and remove what an earlier one of its name left in other forms."""
        layout, place = self._layout, split.place
        table, coop, links = layout.split_table(*place), layout.split_coop(*place), layout.split_links(*place)
        for form, path in (("csv", table), ("coop", coop), ("links", links)):
            if form not in self._formats:
                _remove(path)
        write_json(layout.split(*place), split.to_json())
        yield layout.split(*place)
        for part in EPISODE_PARTS:
            path = layout.split_part_embeddings(part, *place) if part != "support" else layout.split_embeddings(*place)
            yield _write_npy(path, np.ascontiguousarray(self._embeddings[split.parts[part].rows], "<f4"))
        if "csv" in self._formats:
            # Exact: programs find files by these names.
            write_csv(table, ("part", "name", "label", "class_name"), self._table_rows(split), exact=True)
            yield table
        if self._files is not None and "coop" in self._formats:
            write_text(coop, _rows_json(self._coop_lists(split, self._files)))
            yield coop
        if self._links is not None:
            yield self._links.write(split, layout)

    def write_episodes(self, episodes: EpisodeSet) -> Iterator[Path]:
        """Write one set of episodes, and remove what an earlier run left of it as a table."""
        layout, place = self._layout, episodes.place
        _remove(layout.split_table(*place))
        write_text(layout.split(*place), _rows_json(episodes.to_json()))
        yield layout.split(*place)
        for part, rows in episode_rows(episodes).items():
            yield _write_npy(layout.episode_rows(part, *place), rows.astype("<i4", copy=False))

    def _table_rows(self, split: Split) -> Iterator[tuple[str, ...]]:
        names = self._features.class_names
        for name, part in split.parts.items():
            for key, label in zip(part.names, part.labels, strict=True):
                yield name, key, label, names.get(label, label)

    def _coop_lists(self, split: Split, files: ImageFiles) -> dict[str, list[tuple[str, int, str]]]:
        number_of = {class_id: number for number, class_id in enumerate(sorted(set(split.labels)))}
        names = self._features.class_names
        return {
            target: [
                (files.relative(row), number_of[label], names.get(label, label))
                for part in parts
                for row, label in zip(split.parts[part].rows.tolist(), split.parts[part].labels, strict=True)
            ]
            for target, parts in COOP_PARTS.items()
        }


def _rows_by_class(episodes: EpisodeSet, one: Episode) -> dict[str, list[NDArray[np.int64]]]:
    codes = {part: episodes.codes[places] for part, places in one.parts()}
    classes = np.unique(np.concatenate(list(codes.values())))
    return {part: [episodes.rows[places[codes[part] == code]] for code in classes] for part, places in one.parts()}


def _padded(episodes: Sequence[Sequence[NDArray[np.int64]]]) -> NDArray[np.int32]:
    n_classes = max(map(len, episodes), default=0)
    n_images = max((len(rows) for classes in episodes for rows in classes), default=0)
    table = np.full((len(episodes), n_classes, n_images), NO_ROW, np.int32)
    for number, classes in enumerate(episodes):
        for place, rows in enumerate(classes):
            table[number, place, : len(rows)] = rows
    return table


def _write_npy(path: Path, array: NDArray[np.generic]) -> Path:
    with replaced_file(path) as stream:
        np.save(stream, array, allow_pickle=False)
    return path


def _rows_json(content: Mapping[str, object]) -> str:
    """Return JSON in which every item of a list at the top stands in a line of its own."""

    def tell(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def body(value: object) -> str:
        if not isinstance(value, list) or not value:
            return tell(value)
        return "[\n" + ",\n".join(f"    {tell(item)}" for item in value) + "\n  ]"

    return "{\n" + ",\n".join(f"  {tell(key)}: {body(value)}" for key, value in content.items()) + "\n}\n"


def _remove(path: Path) -> None:
    """Remove a file or a folder of ours, if it is there; of a link only the link."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot remove {path}, which is of an earlier run: {error.strerror or error}; remove it, or write "
            "elsewhere with --output PATH"
        ) from error


def _tell(splits: Splits, features: Features, formats: Sequence[str], *, has_files: bool) -> Iterator[str]:
    if not has_files and (left := [form for form in formats if form in _NEED_FILES]):
        yield f"there are no images, so splits are not written as {' and '.join(left)}, which name files"
    if "links" in formats and has_files and splits.episodes:
        yield "episodes are not written as links, which would be hundreds of folders; their JSON and NPY files are"
    if "csv" in formats:
        texts = {text for part in _parts_of(splits) for text in (*part.names, *part.labels)}
        if odd := sum(map(is_formula, texts)):
            words = counted(odd, "name or class in the tables looks", "names or classes in the tables look")
            yield f"{words} like a formula to a spreadsheet; import the columns as text"


def _parts_of(splits: Splits) -> Iterator[Part]:
    for split in splits.drawn:
        yield from split.parts.values()
