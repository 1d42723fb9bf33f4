"""What decides an output, as one short text: values, code and libraries.

Two lists of values have one fingerprint if and only if they are equal, type for type; only which kind of sequence, of
mapping or of set holds something makes no difference. Code is told by its source, so that nobody has to remember to
raise a number when a picture is drawn otherwise.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from overlens.records import FloatRows

ROWS_AT_ONCE = 16_384
SOURCES = (".py", ".html", ".css", ".js")


class _Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


def fingerprint(*values: object) -> str:
    """Return a digest of values in hexadecimal.

    Args:
        values: Records, mappings (their order counts), sequences, arrays, texts, numbers, None, one within another.

    Raises:
        TypeError: A value is of a kind whose content cannot be told.
    """
    digest = hashlib.sha256()
    _feed(digest, values)
    return digest.hexdigest()


def rows_fingerprint(parts: Sequence[FloatRows]) -> str:
    """Return a digest of the `(n_i, d)` rows of several matrices in their order; some thousands are read at a time."""
    digest = hashlib.sha256()
    for rows in parts:
        digest.update(f"{rows.dtype.str} {rows.shape} ".encode())
        for start in range(0, len(rows), ROWS_AT_ONCE):
            digest.update(np.ascontiguousarray(rows[start : start + ROWS_AT_ONCE]).data)
    return digest.hexdigest()


@cache
def made_by(modules: tuple[str, ...], distributions: tuple[str, ...]) -> str:
    """Return a digest of code of this package and of the versions of libraries; imports none of them.

    Args:
        modules: Files or folders of the package: "png.py", "report"; of a folder, what lies directly in it.
        distributions: Names of installed libraries.
    """
    package = files("overlens")
    sources = {}
    for name in modules:
        place = package.joinpath(name)
        for path in [place] if name.endswith(".py") else place.iterdir():
            if path.name.endswith(SOURCES):
                sources[f"{name}/{path.name}"] = path.read_bytes()
    return fingerprint(dict(sorted(sources.items())), {name: version(name) for name in distributions})


def _feed(digest: _Digest, value: object) -> None:
    """Add the type, the length where it has one, and the content of a value."""
    if isinstance(value, np.ndarray):
        _feed_array(digest, value)
    elif is_dataclass(value) and not isinstance(value, type):
        content = {field.name: getattr(value, field.name) for field in fields(value)}
        digest.update(f"record {type(value).__name__} ".encode())
        _feed(digest, content)
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)} ".encode())
        _feed(digest, [part for item in value.items() for part in item])
    elif isinstance(value, Set):
        digest.update(b"set ")
        _feed(digest, sorted(value))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        _feed_sequence(digest, value)
    elif isinstance(value, str | bytes | bool | int | float | np.generic | None):
        content_bytes = value if isinstance(value, bytes) else json.dumps(_plain(value)).encode()
        digest.update(f"{type(value).__name__} {len(content_bytes)} ".encode() + content_bytes)
    else:
        raise TypeError(f"a {type(value).__name__} has no fingerprint; give what it is made of")


def _feed_sequence(digest: _Digest, values: Sequence[object]) -> None:
    if values and all(type(value) is str for value in values):  # names of many images: many times faster at once
        content = json.dumps(list(values)).encode()
        digest.update(f"texts {len(values)} {len(content)} ".encode() + content)
        return
    digest.update(f"sequence {len(values)} ".encode())
    for value in values:
        _feed(digest, value)


def _feed_array(digest: _Digest, values: NDArray[np.generic]) -> None:
    if values.dtype.hasobject:
        raise TypeError("an array of objects has no fingerprint; give an array of numbers")
    digest.update(f"array {values.dtype.str} {values.shape} ".encode())
    digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
