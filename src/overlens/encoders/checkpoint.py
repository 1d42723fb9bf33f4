"""Read the tensors of a legacy PyTorch checkpoint with neither torch nor the power of pickle.

Such a file is five pickles (magic number, protocol, system, tensors, storage names) and then the raw storages. The
names that its pickles may use are listed in `_ALLOWED`; any other name is refused before it is looked up, so a changed
file can run no code. Only what one known file needs is read: contiguous little-endian storages of float32 and int64.
"""

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from overlens.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: str
    key: str
    n_values: int


@dataclass(frozen=True, slots=True)
class _View:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _View:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError(f"a tensor is built of {type(storage).__name__}")
    return _View(storage, offset, shape, strides)


# What each name in the file means here. Storage types are plain words: they are never called.
_ALLOWED: Mapping[tuple[str, str], Callable[..., Any] | str] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"the name {module}.{name} is not allowed")
        return _ALLOWED[module, name]

    def persistent_load(self, reference: tuple[Any, ...]) -> _Storage:
        kind, dtype, key, _, n_values, view = reference
        if kind != "storage" or view is not None or dtype not in ("<f4", "<i8"):
            raise pickle.UnpicklingError(f"the reference {reference!r} is not a whole storage")
        return _Storage(dtype, key, n_values)


def read_checkpoint(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read every tensor of the legacy PyTorch checkpoint at `path`, by name.

    Raises:
        ModelError: The file is not such a checkpoint, is cut short, or names anything beyond plain tensors.
    """
    try:
        with path.open("rb") as stream:
            return _read(stream)
    except (pickle.UnpicklingError, ValueError, TypeError, KeyError, AttributeError, EOFError) as error:
        raise ModelError(f"{path} cannot be read as a checkpoint of plain tensors: {error}") from error


def _read(stream: BinaryIO) -> dict[str, NDArray[np.generic]]:
    if (_load(stream), _load(stream)) != (_MAGIC, _PROTOCOL):
        raise ValueError("it does not start as a legacy PyTorch checkpoint does")
    if _load(stream).get("little_endian") is not True:
        raise ValueError("it is not little-endian")
    views: dict[str, _View] = _load(stream)
    wanted = {view.storage.key: view.storage for view in views.values()}
    storages = {key: _read_storage(stream, wanted[key]) for key in _load(stream)}
    return {name: _materialise(storages[view.storage.key], view) for name, view in views.items()}


def _load(stream: BinaryIO) -> Any:  # noqa: ANN401  # whatever the pickle holds
    return _RestrictedUnpickler(stream).load()


def _read_storage(stream: BinaryIO, storage: _Storage) -> NDArray[np.generic]:
    n_values = int.from_bytes(stream.read(8), "little")
    if n_values != storage.n_values:
        raise ValueError(f"storage {storage.key} holds {n_values} values, {storage.n_values} were announced")
    return np.frombuffer(stream.read(n_values * np.dtype(storage.dtype).itemsize), storage.dtype, n_values)


def _materialise(storage: NDArray[np.generic], view: _View) -> NDArray[np.generic]:
    last = view.offset + sum((length - 1) * step for length, step in zip(view.shape, view.strides, strict=True))
    if not 0 <= view.offset <= last < len(storage) or min(view.strides, default=0) < 0 or math.prod(view.shape) < 1:
        raise ValueError(f"a tensor of shape {view.shape} lies outside its storage")
    steps = [step * storage.itemsize for step in view.strides]
    return np.array(as_strided(storage[view.offset :], view.shape, steps, writeable=False), order="C")
