"""The images of a finished run as columns: who they are, where their files and renditions lie.

Names, paths and digests stay in Arrow's and numpy's flat memory, some 100 bytes an image with them all; as Python
objects they would take several times as much. Text is made for the images that are shown.

Shapes: n images of all datasets, k of them that are looked up.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.digests import DIGEST_BYTES
from overlens.errors import StoreError
from overlens.store.blobs import Blobs

if TYPE_CHECKING:
    import pyarrow

NO_NUMBER = -1
FILE_DIGEST = np.dtype(f"S{DIGEST_BYTES}")  # compares as its bytes do: all are of one length


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Every kept image of a run, dataset after dataset.

    Attributes:
        dataset_names: The datasets in the order of the run.
        datasets: `(n,)` int16 place of each image's dataset, ascending.
        names: `(n,)` text, name of each image.
        label_names: The labels, as people should read them.
        labels: `(n,)` int32 place of each image's label, or `NO_NUMBER`.
        pictures: `(n,)` int32 first image of the run with the same pixels; its own place where that is not known.
        groups: `(n,)` int32 group of copies, or `NO_NUMBER`.
        sizes_px: `(n, 2)` int32 width and height of the upright picture; 0 where not known.
        paths: `(n,)` bytes, file of each; None where the run read none.
        digests: `(n, 32)` uint8 SHA-256 of each file; None likewise.
        renditions: Where the rendition of each is; None where the run kept none.
    """

    dataset_names: tuple[str, ...]
    datasets: NDArray[np.int16]
    names: "pyarrow.ChunkedArray"
    label_names: tuple[str, ...]
    labels: NDArray[np.int32]
    pictures: NDArray[np.int32]
    groups: NDArray[np.int32]
    sizes_px: NDArray[np.int32]
    paths: "pyarrow.ChunkedArray | None"
    digests: NDArray[np.uint8] | None
    renditions: Blobs | None

    def __len__(self) -> int:
        return len(self.datasets)

    @property
    def has_pictures(self) -> bool:
        """Whether the run read images."""
        return self.digests is not None

    def name(self, row: int) -> str:
        """Return the name of an image."""
        return str(self.names[row].as_py())

    def dataset(self, row: int) -> str:
        """Return the dataset of an image."""
        return self.dataset_names[int(self.datasets[row])]

    def path(self, row: int) -> Path:
        """Return the file of an image; raises ValueError if the run read no images."""
        if self.paths is None:
            raise ValueError("the run read no images")
        return Path(os.fsdecode(self.paths[row].as_py()))

    def digest(self, row: int) -> bytes:
        """Return the 32 bytes of SHA-256 of an image's file; raises ValueError if the run read no images."""
        if self.digests is None:
            raise ValueError("the run read no images")
        return bytes(self.digests[row])

    def rows_of(self, datasets: Sequence[str], names: Sequence[str]) -> NDArray[np.int32]:
        """Return `(k,)` int32 places of images by dataset and name, `NO_NUMBER` where the run has no such image.

        Args:
            datasets: `(k,)` dataset of each; an Arrow array is as good as a list.
            names: `(k,)` name of each; likewise.
        """
        owners = _places_in(_texts(self.dataset_names), datasets)
        sought = _texts(names)
        found = np.full(len(owners), NO_NUMBER, np.int32)
        for owner in np.unique(owners[owners >= 0]).tolist():
            start, end = np.searchsorted(self.datasets, [owner, owner + 1]).tolist()
            own = np.flatnonzero(owners == owner)
            there = _places_in(self.names.slice(start, end - start), sought.take(own))
            found[own] = np.where(there >= 0, there + start, NO_NUMBER)
        return found

    def pictures_of(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """Return for those of some files that are in the run: SHA-256 -> first image with the same pixels."""
        wanted = np.array(sorted(digests), FILE_DIGEST)
        if self.digests is None or not len(wanted):
            return {}
        files = self.digests.view(FILE_DIGEST)[:, 0]
        rows = np.flatnonzero(np.isin(files, wanted))
        return {self.digest(row): int(self.pictures[row]) for row in rows.tolist()}

    def with_text(self, text: str) -> NDArray[np.bool_]:
        """Return `(n,)` which images have a text in their name or label, whatever its case."""
        of_label = np.append(_have_text(_texts(self.label_names), text), False)
        return np.asarray(_have_text(self.names, text) | of_label[self.labels])  # the last place, -1, is for no label


class NamedDigests(Mapping[tuple[str, str], bytes]):
    """Dataset and name of an image -> SHA-256 of its file; empty for a run that read no images.

    The first look makes a dictionary, which takes some 300 bytes an image until this is let go.
    """

    def __init__(self, images: ImageTable) -> None:
        self._images = images

    @cached_property
    def _rows(self) -> dict[tuple[str, str], int]:
        owners = map(self._images.dataset_names.__getitem__, self._images.datasets.tolist())
        return {key: row for row, key in enumerate(zip(owners, self._images.names.to_pylist(), strict=True))}

    def __getitem__(self, key: tuple[str, str]) -> bytes:
        if not self._images.has_pictures:
            raise KeyError(key)
        return self._images.digest(self._rows[key])

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((self._images.dataset(row), self._images.name(row)) for row in range(len(self)))

    def __len__(self) -> int:
        return len(self._images) if self._images.has_pictures else 0


def read_images(path: Path, root: Path, datasets: Sequence[str]) -> ImageTable:
    """Read the table of images of a run.

    Args:
        path: The table.
        root: Folder below which the shards of renditions lie.
        datasets: The datasets in the order of the run.

    Raises:
        StoreError: The table cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _table_of(pq.ParquetFile(path).read().unify_dictionaries(), root, tuple(datasets))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read ({error}); run overlens compute again") from error


def _table_of(table: "pyarrow.Table", root: Path, datasets: tuple[str, ...]) -> ImageTable:
    owners = {name: place for place, name in enumerate(datasets)}
    names, codes = _dictionary(table["dataset"])
    of_code = np.array([owners[name] for name in names], np.int16)
    label_names, labels = _dictionary(table["label"])
    is_read = table["path"].null_count == 0
    pictures = _numbers(table["picture"], NO_NUMBER)
    return ImageTable(
        datasets,
        of_code[codes] if len(names) else np.zeros(0, np.int16),
        table["image"],
        label_names,
        labels,
        np.where(pictures < 0, np.arange(len(pictures)), pictures).astype(np.int32),
        _numbers(table["group"], NO_NUMBER).astype(np.int32),
        np.stack([_numbers(table[side], 0) for side in ("width", "height")], axis=1).astype(np.int32),
        table["path"] if is_read else None,
        _digests(table["sha256"]) if is_read else None,
        _blobs(table, root) if table["shard"].null_count == 0 else None,
    )


def _digests(column: "pyarrow.ChunkedArray") -> NDArray[np.uint8]:
    import pyarrow as pa

    fixed = column.cast(pa.binary(DIGEST_BYTES))
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8).reshape(-1, DIGEST_BYTES)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in fixed.chunks
        if len(chunk)
    ]
    return np.concatenate([np.zeros((0, DIGEST_BYTES), np.uint8), *parts])


def _texts(texts: Any) -> "pyarrow.Array | pyarrow.ChunkedArray":  # noqa: ANN401 - pyarrow has no types
    """Return texts as an array of Arrow, whether they come as one, as a dictionary or as a sequence."""
    import pyarrow as pa

    column = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.string())
    return column.cast(pa.string())


def _have_text(texts: "pyarrow.Array | pyarrow.ChunkedArray", sought: str) -> NDArray[np.bool_]:
    import pyarrow.compute as pc

    found = pc.match_substring(texts, sought, ignore_case=True)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _places_in(known: "pyarrow.Array | pyarrow.ChunkedArray", sought: Sequence[str]) -> NDArray[np.int64]:
    """Return the place of each text among the known ones, `NO_NUMBER` where it is none of them."""
    import pyarrow.compute as pc

    return _numbers(pc.index_in(_texts(sought), value_set=known), NO_NUMBER)


def _dictionary(column: "pyarrow.ChunkedArray") -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Return the texts of a column, and the place of each row's text among them, -1 where it has none."""
    encoded = column.combine_chunks()
    names = tuple(encoded.dictionary.to_pylist())
    return names, _numbers(encoded.indices, NO_NUMBER).astype(np.int32)


def _numbers(column: "pyarrow.ChunkedArray | pyarrow.Array", missing: int) -> NDArray[np.int64]:
    import pyarrow as pa

    filled = column.cast(pa.int64()).fill_null(missing)
    return np.asarray(filled.to_numpy(), np.int64)


def _blobs(table: "pyarrow.Table", root: Path) -> Blobs:
    folders, shards = _dictionary(table["shard"])
    extents = np.stack([_numbers(table[name], 0) for name in ("start", "end", "crc32")], axis=1)
    return Blobs(tuple(root / folder for folder in folders), shards.astype(np.intp), extents)
