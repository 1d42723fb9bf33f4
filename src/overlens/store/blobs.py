"""Bytes of any length for each image of a shard, such as its rendition: one file, and a table of where each one ends.

`blobs.bin` holds the bytes, one image behind the other; `blobs.npy` holds for each where it ends and its CRC-32, so
that damage on the disk is told from a picture. Readers open the file anew each time and hold nothing open, because a
store may have more shards than a process may have files; against decoding a picture that costs nothing.

Shapes: k images of a shard, n images that are read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from overlens.errors import StoreError


@dataclass(frozen=True, slots=True)
class Blobs:
    """Where the bytes of some images are; `get` may be called from several threads and processes at once.

    Attributes:
        folders: Folder of each shard.
        shards: `(n,)` which of these an image is in.
        extents: `(n, 3)` int64: where in the shard's file its bytes begin, where they end, and their CRC-32.
    """

    folders: tuple[Path, ...]
    shards: NDArray[np.intp]
    extents: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.shards.ndim != 1 or self.extents.shape != (len(self.shards), 3):
            raise ValueError(f"shards of shape {self.shards.shape} and extents of {self.extents.shape} do not fit")

    def __len__(self) -> int:
        return len(self.shards)

    def get(self, row: int) -> bytes:
        """Return the bytes of image `row`.

        Raises:
            StoreError: They are damaged, or the store is gone.
        """
        start, end, check = self.extents[row].tolist()
        with named_if_damaged(self.folders[self.shards[row]] / "blobs.bin") as path:
            with path.open("rb", buffering=0) as stream:
                stream.seek(start)
                data = stream.read(end - start)
            if crc32(data) != check:
                raise ValueError(f"other bytes at {start} than were written")
        return data


def write_blobs(folder: Path, blobs: Sequence[bytes]) -> None:
    """Write the bytes of a shard's k kept images into its folder."""
    with (folder / "blobs.bin").open("wb") as stream:
        stream.writelines(blobs)
    ends = np.cumsum([len(blob) for blob in blobs], dtype=np.int64)
    checks = np.array([crc32(blob) for blob in blobs], np.int64)
    np.save(folder / "blobs.npy", np.stack([ends, checks], axis=1), allow_pickle=False)


def read_extents(folder: Path) -> NDArray[np.int64]:
    """Return `(k, 3)` int64 of one shard: start, end and CRC-32 of each blob.

    Raises:
        StoreError: The table is damaged or gone.
    """
    with named_if_damaged(folder / "blobs.npy") as path:
        table: NDArray[np.int64] = np.load(path, allow_pickle=False)
        if table.ndim != 2 or table.shape[1] != 2 or table.dtype != np.int64:
            raise ValueError(f"a table of {table.dtype} of shape {table.shape}")
    starts = np.concatenate([np.zeros(1, np.int64), table[:, 0]])[: len(table)]
    return np.column_stack([starts, table])


@contextmanager
def named_if_damaged(path: Path) -> Iterator[Path]:
    """Turn whatever reading a damaged file raises into a StoreError that names its shard.

    What the system refuses (no permission, too many open files) is said as it is: the shard may be sound.
    """
    try:
        yield path
    except OSError as error:
        if error.errno is None or isinstance(error, FileNotFoundError):
            raise StoreError(f"{path} is damaged ({error}); delete {path.parent} and run again") from error
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, EOFError) as error:
        raise StoreError(f"{path} is damaged ({error}); delete {path.parent} and run again") from error
