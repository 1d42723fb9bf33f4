"""List the images that a table names: a CSV, TSV or Parquet file with the columns path and, if wanted, label.

A relative path starts at the table's folder. The table is the user's own list, so it may point anywhere; the key of an
image is its path as written.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from os.path import normpath
from pathlib import Path

from overlens.config import DatasetSpec
from overlens.errors import ConfigError, DatasetError
from overlens.records import Failure, Listing
from overlens.sources.cap import notice_cap
from overlens.sources.labels import NO_LABELS, as_class_id
from overlens.sources.textfiles import read_table, require_row_length
from overlens.sources.tree import NO_SUCH_FILE

PATH_COLUMNS = ("path", "file", "filename", "image", "name")
LABEL_COLUMNS = ("label", "class")

_BEYOND_CAP = ""

# Path as written, class.
Row = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Table:
    """What a manifest holds: its rows in order, and the name of its class column or ""."""

    rows: Iterable[Row]
    label_column: str


@dataclass(slots=True)
class _Found:
    """What the rows came to so far.

    Attributes:
        key_of: Each file and its key, to see one file under two spellings.
        named: Each distinct path as written, and the key that it stands for, or `_BEYOND_CAP`.
        label_of: Class of each key.
        failure_of: Why an image cannot be used, for each key.
        n_blank: Rows without a path.
        repeated: Paths of images already named.
        contradicted: Keys of images that got a further class.
    """

    key_of: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    label_of: dict[str, str | None] = field(default_factory=dict)
    failure_of: dict[str, str] = field(default_factory=dict)
    n_blank: int = 0
    repeated: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)


def list_manifest(spec: DatasetSpec, manifest: Path, *, max_images: int | None = None) -> Listing:
    """List the images that the table `manifest` names, in its order, or the first `max_images` of them.

    Raises:
        ConfigError: The file is no kind of table that can be read.
        DatasetError: Columns are missing, a row is malformed, or no image is named.
    """
    read = READERS.get(manifest.suffix.lower())
    if read is None:
        raise ConfigError(
            f"{manifest} is neither a folder nor a manifest; a manifest is a file that ends in {', '.join(READERS)}"
        )
    table = read(manifest)
    found = _find_files(manifest.parent, table.rows, max_images)
    if not found.named:
        raise DatasetError(f"{manifest} names no image; list one path a row under the column path")
    return Listing(
        dataset=spec.name,
        keys=tuple(found.label_of),
        paths=tuple(map(Path, found.key_of)),
        labels=tuple(found.label_of.values()),
        label_source=f"manifest column {table.label_column}" if any(found.label_of.values()) else NO_LABELS,
        failures=tuple(Failure(spec.name, key, reason) for key, reason in found.failure_of.items()),
        notices=(*notice_cap(max_images, len(found.named)), *_notices(manifest.name, table, found)),
    )


def _find_files(folder: Path, rows: Iterable[Row], max_images: int | None) -> _Found:
    found = _Found()
    for written, label in rows:
        if not written:
            found.n_blank += 1
        elif written in found.named:
            _note_repeated(found, written, label)
        elif max_images is not None and len(found.named) >= max_images:
            found.named[written] = _BEYOND_CAP
        else:
            _add(found, folder, written, label)
    return found


def _add(found: _Found, folder: Path, written: str, label: str | None) -> None:
    file, reason = _locate(folder, written)
    if reason:
        found.named[written] = written
        found.failure_of[written] = reason
        return
    found.named[written] = key = found.key_of.setdefault(file, written)
    if key == written:
        found.label_of[key] = label
    else:
        _note_repeated(found, written, label)


def _note_repeated(found: _Found, written: str, label: str | None) -> None:
    key = found.named[written]
    found.repeated.append(written)
    if label is None or key not in found.label_of:
        return
    if found.label_of[key] is None:
        found.label_of[key] = label
    elif found.label_of[key] != label:
        found.contradicted.append(key)


def _locate(folder: Path, written: str) -> tuple[str, str]:
    reason = NO_SUCH_FILE
    for spelling in dict.fromkeys((written, written.replace("\\", "/"))):
        try:
            # normpath and not resolve: a link is a file of its own, and resolving costs a look at every folder.
            path = normpath(folder / spelling)
            if Path(path).is_file():
                return path, ""
        except (OSError, ValueError) as error:
            reason = f"{NO_SUCH_FILE}: {getattr(error, 'strerror', None) or error}"
    return "", reason


def _notices(name: str, table: Table, found: _Found) -> Iterator[str]:
    if found.n_blank:
        yield f"{name}: rows without a path, ignored: {found.n_blank}"
    if found.repeated:
        yield f"{name}: repeated images, counted once: {len(found.repeated)} (first: {found.repeated[0]!r})"
    if found.contradicted:
        n_rows, first = len(found.contradicted), found.contradicted[0]
        yield f"{name}: rows that give an image a further class, left out: {n_rows} (first: {first!r})"
    missing = [key for key, label in found.label_of.items() if label is None]
    if missing:
        where = "" if table.label_column else f", as there is no column {' or '.join(LABEL_COLUMNS)}"
        yield f"{name}: images without a class{where}: {len(missing)} of {len(found.label_of)} (first: {missing[0]!r})"


def _read_delimited(path: Path) -> Table:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _sniff_delimiter(path)
    rows = read_table(path, delimiter=delimiter)
    header = next(rows, (1, []))[1]
    path_column, label_column = _choose_columns(path, header)

    def read() -> Iterator[Row]:
        for line, row in rows:
            require_row_length(path, line, row, len(header))
            label = row[label_column].strip() or None if label_column is not None else None
            yield row[path_column].strip(), label

    return Table(read(), "" if label_column is None else header[label_column].strip())


def _sniff_delimiter(path: Path) -> str:
    """Return the delimiter with which the header has a path column; a comma if none does."""
    for delimiter in ",;\t":
        header = next(islice(read_table(path, delimiter=delimiter), 1), (1, []))[1]
        if any(name.strip().lower() in PATH_COLUMNS for name in header):
            return delimiter
    return ","


def _read_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        # Not read_table, which would make columns of folder names such as `year=2020`.
        with pyarrow.parquet.ParquetFile(path) as file:
            header = list(file.schema_arrow.names)
            names = [header[column] for column in _choose_columns(path, header) if column is not None]
            columns = file.read(columns=names)
        written = columns.column(names[0]).to_pylist()
        classes = columns.column(names[1]).to_pylist() if len(names) > 1 else [None] * len(written)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise DatasetError(f"cannot read {path} as Parquet: {error}; check the file") from error
    return Table(_parquet_rows(path, written, classes), names[1] if len(names) > 1 else "")


def _parquet_rows(path: Path, written: list[object], classes: list[object]) -> Iterator[Row]:
    for row, (name, value) in enumerate(zip(written, classes, strict=True), 1):
        if name is not None and not isinstance(name, str):
            raise DatasetError(f"{path}: row {row} has the path {name!r:.60}; wanted is text")
        try:
            yield (name or "").strip(), as_class_id(value)
        except TypeError as error:
            raise DatasetError(f"{path}: the class in row {row} is not usable: {error}; correct the file") from error


def _choose_columns(path: Path, header: list[str]) -> tuple[int, int | None]:
    known = [name.strip().lower() for name in header]
    path_column = next((known.index(name) for name in PATH_COLUMNS if name in known), None)
    label_column = next((known.index(name) for name in LABEL_COLUMNS if name in known), None)
    if path_column is None:
        raise DatasetError(
            f"{path} has the columns {', '.join(map(repr, header)) or 'none'}; wanted is {' or '.join(PATH_COLUMNS)}, "
            f"and for classes {' or '.join(LABEL_COLUMNS)}"
        )
    return path_column, label_column


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".parquet": _read_parquet,
}
