"""Find the files of published features and read them: names, embeddings, hashes, and what is said about them.

Embeddings are memory-mapped. Everything else is held in memory: names and hashes are small beside them. Files that do
not fit together are refused, because rows would be taken for those of other images.

Shapes: n published rows, d dimensions, b bytes of a packed hash.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.config import DatasetSpec
from overlens.errors import ConfigError, DatasetError, StoreError
from overlens.hashes.compute import hashes_from_hex
from overlens.layout import AnalysisLayout, InputLayout
from overlens.records import HashRows
from overlens.sources.description import Description
from overlens.sources.labels import count_repeated
from overlens.sources.textfiles import read_json


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one dataset: results, and lists and labels; their file names are those of the layouts."""

    analysis: AnalysisLayout
    data: InputLayout


@dataclass(frozen=True, slots=True)
class Columns:
    """What the files hold, row by row as `names`: `embeddings` are `(n, d)` as stored, memory-mapped."""

    names: tuple[str, ...]
    embeddings: NDArray[np.floating] | None
    hashes: HashRows | None
    n_bits: int | None

    def first(self, n: int | None) -> "Columns":
        """Return the first `n` rows, or all."""
        embeddings = None if self.embeddings is None else self.embeddings[:n]
        hashes = None if self.hashes is None else self.hashes[:n]
        return Columns(self.names[:n], embeddings, hashes, self.n_bits)


class _AnalysisAt(AnalysisLayout):
    """Results in the folder `root` itself."""

    __slots__ = ()

    @property
    def folder(self) -> Path:
        """The `analysis` folder."""
        return self.root


class _DataAt(InputLayout):
    """Lists and labels in the folder `root` itself."""

    __slots__ = ()

    @property
    def data(self) -> Path:
        """Folder of lists and labels."""
        return self.root


def find_place(spec: DatasetSpec, root: Path) -> Place:
    """Return the folders of the published features of one dataset: those that hold `names.json`.

    Raises:
        ConfigError: No such folder.
    """
    if spec.path is None:
        place = Place(AnalysisLayout(root, spec.name), InputLayout(root, spec.name))
        if place.analysis.names.is_file():
            return place
        looked_at = [place.analysis.folder]
    else:
        given = spec.path.absolute()
        looked_at = [given, given / "analysis", given.parent / f"{given.name}-data" / "analysis"]
        for folder in looked_at:
            data = folder.parent if folder.name == "analysis" else folder
            place = Place(_AnalysisAt(folder, spec.name), _DataAt(data, spec.name))
            if place.analysis.names.is_file():
                return place
    raise ConfigError(
        f"no published embeddings of {spec.name!r}: there is no {place.analysis.names.name} in "
        f"{' or '.join(map(str, looked_at))}; give the analysis folder: NAME=PATH, or leave out --from-embeddings"
    )


def read_names(place: Place) -> tuple[str, ...]:
    """Return the names of the rows, of which none stands twice.

    Raises:
        DatasetError: The file is malformed, or a name stands twice.
    """
    path = place.analysis.names
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise DatasetError(f"{path} holds {content!r:.60}; wanted is a list of image names, one a row")
    names = tuple(str(name) for name in content)
    for row, name in enumerate(content):
        if isinstance(name, bool) or not isinstance(name, str | int) or not names[row]:
            raise DatasetError(f"{path}: entry {row + 1} is {name!r:.60}; wanted is an image name")
    repeated = count_repeated(names)[1]
    if repeated:
        raise DatasetError(
            f"{path} holds {len(repeated)} names more than once (first: {repeated[0]!r}); give every row its own name"
        )
    return names


def read_columns(place: Place, names: tuple[str, ...], description: Description | None) -> Columns:
    """Read the files of features that are there and, where there is a description, are listed in it.

    Raises:
        DatasetError: There is no such file, or one is malformed or does not fit the names or the description.
    """
    read_hashes = description is None or description.hashing is not None
    hashes, n_bits = _read_hashes(place, len(names)) if read_hashes else (None, None)
    read_rows = description is None or description.model is not None
    rows = _open_embeddings(place, len(names)) if read_rows else None
    if rows is None and hashes is None:
        folder, needed = place.analysis.folder, (place.analysis.embeddings.name, place.analysis.hashes.name)
        listed = "" if description is None else f" that {description.path.name} lists"
        raise DatasetError(f"{folder} holds neither {needed[0]} nor {needed[1]}{listed}; give one of them")
    if description is not None:
        _require_described(place, description, rows, n_bits)
    return Columns(names, rows, hashes, n_bits)


def _require_described(
    place: Place, description: Description, rows: NDArray[np.floating] | None, n_bits: int | None
) -> None:
    again = "they are not of one run, so run the command without --from-embeddings again"
    if rows is not None and description.model is not None and rows.shape[1] != description.model.dim:
        raise DatasetError(
            f"{place.analysis.embeddings} has {rows.shape[1]} dimensions and {description.path.name} says "
            f"{description.model.dim}; {again}"
        )
    if n_bits is not None and description.hashing is not None and n_bits != description.hashing.n_bits:
        raise DatasetError(
            f"{place.analysis.hashes} holds hashes of {n_bits} bits and {description.path.name} says "
            f"{description.hashing.n_bits}; {again}"
        )


def notice_files(place: Place, description: Description | None) -> Iterator[str]:
    """Yield what the user should know about files that are there and not listed, or listed and not there."""
    if description is None:
        return
    listed = {place.analysis.embeddings: description.model, place.analysis.hashes: description.hashing}
    for path, maker in listed.items():
        if maker is None and path.is_file():
            yield f"{path.name} is not used: {description.path.name} does not list it, so it is of another run"
        elif maker is not None and not path.is_file():
            yield f"{path.name} is listed in {description.path.name} and does not exist"


def _open_embeddings(place: Place, n_names: int) -> NDArray[np.floating] | None:
    """Return the `(n, d)` rows as stored, memory-mapped; None if there is no such file."""
    path = place.analysis.embeddings
    if not path.is_file():
        return None
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"cannot read {path} as a NumPy array: {error}; save it again with numpy.save") from error
    if not isinstance(rows, np.ndarray) or not np.issubdtype(rows.dtype, np.floating):
        kind = rows.dtype if isinstance(rows, np.ndarray) else "an archive of arrays"
        raise DatasetError(f"{path} holds {kind}; wanted is one array of floating-point numbers")
    if rows.ndim != 2 or rows.shape[1] == 0 or len(rows) != n_names:
        names = place.analysis.names.name
        raise DatasetError(
            f"{path} has the shape {rows.shape} and {names} names {n_names} images; wanted is ({n_names}, dimensions)"
        )
    return rows


def _read_hashes(place: Place, n_names: int) -> tuple[HashRows | None, int | None]:
    path = place.analysis.hashes
    if not path.is_file():
        return None, None
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(value, str) for value in content):
        raise DatasetError(f"{path} holds no list of hashes; wanted is one hash in hexadecimal a row")
    if len(content) != n_names:
        names = place.analysis.names.name
        raise DatasetError(f"{path} holds {len(content)} hashes and {names} names {n_names} images; wanted is one each")
    try:
        return hashes_from_hex(content)
    except StoreError as error:
        raise DatasetError(f"{path}: {error}") from error
