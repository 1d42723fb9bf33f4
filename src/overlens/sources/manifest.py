"""List the images that a table names: a CSV, TSV or Parquet file with the columns path and, if wanted, label.

A further column may be asked for by its name: what it holds identifies an image beyond its dataset.

A relative path starts at the table's folder. The table is the user's own list, so it may point anywhere; the key of an
image is its path as written.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
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

# Path as written, class, identifier.
Row = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Table:
    """What a manifest holds: its rows in order, the name of its class column or "", whether it has identifiers."""

    identified_rows: Iterable[Row]
    label_column: str
    has_identifiers: bool

    @property
    def rows(self) -> Iterator[tuple[str, str | None]]:
        """Path as written and class of each row, in order."""
        return ((written, label) for written, label, _ in self.identified_rows)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in the header the columns stand that are read; None for one that is not there."""

    path: int
    label: int | None
    identifier: int | None


@dataclass(slots=True)
class _Found:
    """What the rows came to so far.

    Attributes:
        key_of: Each file and its key, to see one file under two spellings.
        named: Each distinct path as written, and the key that it stands for, or `_BEYOND_CAP`.
        label_of: Class of each key.
        identifier_of: Identifier of each key.
        failure_of: Why an image cannot be used, for each key.
        n_blank: Rows without a path.
        repeated: Paths of images already named.
        contradicted: Keys of images that got a further class.
        n_renamed: Rows that give an image a further identifier.
    """

    key_of: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    label_of: dict[str, str | None] = field(default_factory=dict)
    identifier_of: dict[str, str | None] = field(default_factory=dict)
    failure_of: dict[str, str] = field(default_factory=dict)
    n_blank: int = 0
    repeated: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)
    n_renamed: int = 0


def list_manifest(
    spec: DatasetSpec, manifest: Path, *, max_images: int | None = None, identifier_column: str | None = None
) -> Listing:
    """List the images that the table `manifest` names, in its order, or the first `max_images` of them.

    Args:
        spec: The dataset.
        manifest: The table.
        max_images: Use the first so many distinct paths only.
        identifier_column: Column to read identifiers from, if the table has it.

    Raises:
        ConfigError: The file is no kind of table that can be read.
        DatasetError: Columns are missing, a row is malformed, or no image is named.
    """
    read = READERS.get(manifest.suffix.lower())
    if read is None:
        raise ConfigError(
            f"{manifest} is neither a folder nor a manifest; a manifest is a file that ends in {', '.join(READERS)}"
        )
    table = read(manifest, identifier_column)
    found = _find_files(manifest.parent, table.identified_rows, max_images)
    if not found.named:
        raise DatasetError(
            f"{manifest} names no image: no row below its header has a path; list one path a row under the column path"
        )
    return Listing(
        dataset=spec.name,
        keys=tuple(found.label_of),
        paths=tuple(map(Path, found.key_of)),
        labels=tuple(found.label_of.values()),
        label_source=f"manifest column {table.label_column}" if any(found.label_of.values()) else NO_LABELS,
        failures=tuple(Failure(spec.name, key, reason) for key, reason in found.failure_of.items()),
        notices=(*notice_cap(max_images, len(found.named)), *_notices(manifest.name, table, found)),
        identifiers=tuple(found.identifier_of.values()) if table.has_identifiers else None,
    )


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a manifest; none where the path is not one."""
    if not path.is_file():
        return ()
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        return tuple(pyarrow.parquet.read_schema(path).names)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else sniff_delimiter(path)
    return tuple(name.strip() for name in next(read_table(path, delimiter=delimiter), (1, []))[1])


def _find_files(folder: Path, rows: Iterable[Row], max_images: int | None) -> _Found:
    found = _Found()
    for written, label, identifier in rows:
        if not written:
            found.n_blank += 1
        elif written in found.named:
            _note_repeated(found, written, label, identifier)
        elif max_images is not None and len(found.named) >= max_images:
            found.named[written] = _BEYOND_CAP
        else:
            _add(found, folder, (written, label, identifier))
    return found


def _add(found: _Found, folder: Path, row: Row) -> None:
    written, label, identifier = row
    file, reason = _locate(folder, written)
    if reason:
        found.named[written] = written
        found.failure_of[written] = reason
        return
    found.named[written] = key = found.key_of.setdefault(file, written)
    if key == written:
        found.label_of[key] = label
        found.identifier_of[key] = identifier
    else:
        _note_repeated(found, written, label, identifier)


def _note_repeated(found: _Found, written: str, label: str | None, identifier: str | None) -> None:
    key = found.named[written]
    found.repeated.append(written)
    if key not in found.label_of:
        return
    if not _agrees(found.label_of, key, label):
        found.contradicted.append(key)
    found.n_renamed += not _agrees(found.identifier_of, key, identifier)


def _agrees(known: dict[str, str | None], key: str, value: str | None) -> bool:
    """Take a value for an image that has none, and say whether the image is now known by this one."""
    if known[key] is None:
        known[key] = value
    return value is None or known[key] == value


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
    if found.n_renamed:
        yield f"{name}: rows that give an image a further identifier, left out: {found.n_renamed}"
    missing = [key for key, label in found.label_of.items() if label is None]
    if missing:
        where = "" if table.label_column else f", as there is no column {' or '.join(LABEL_COLUMNS)}"
        yield f"{name}: images without a class{where}: {len(missing)} of {len(found.label_of)} (first: {missing[0]!r})"


def _read_delimited(path: Path, identifier_column: str | None = None) -> Table:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else sniff_delimiter(path)
    rows = read_table(path, delimiter=delimiter)
    header = next(rows, (1, []))[1]
    columns = _Columns(*choose_columns(path, header), _find_column(header, identifier_column))

    def field_of(row: list[str], column: int | None) -> str | None:
        return None if column is None else row[column].strip() or None

    def read() -> Iterator[Row]:
        for line, row in rows:
            require_row_length(path, line, row, len(header))
            yield row[columns.path].strip(), field_of(row, columns.label), field_of(row, columns.identifier)

    label_column = "" if columns.label is None else header[columns.label].strip()
    return Table(read(), label_column, columns.identifier is not None)


def sniff_delimiter(path: Path) -> str:
    """Return the delimiter with which the header has a path column: comma, semicolon or tab; a comma if none does.

    Raises:
        DatasetError: The file cannot be read, is not UTF-8, or breaks the quoting rules.
    """
    for delimiter in ",;\t":
        header = next(islice(read_table(path, delimiter=delimiter), 1), (1, []))[1]
        if any(name.strip().lower() in PATH_COLUMNS for name in header):
            return delimiter
    return ","


def _read_parquet(path: Path, identifier_column: str | None = None) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        # Not read_table, which would make columns of folder names such as `year=2020`.
        with pyarrow.parquet.ParquetFile(path) as file:
            header = list(file.schema_arrow.names)
            columns = _Columns(*choose_columns(path, header), _find_column(header, identifier_column))
            wanted = {header[place] for place in (columns.path, columns.label, columns.identifier) if place is not None}
            values = file.read(columns=sorted(wanted)).to_pydict()
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise DatasetError(f"cannot read {path} as Parquet: {error}; check the file") from error
    n_rows = len(values[header[columns.path]])
    cells: list[list[object]] = [
        [None] * n_rows if place is None else values[header[place]]
        for place in (columns.path, columns.label, columns.identifier)
    ]
    label_column = "" if columns.label is None else header[columns.label]
    return Table(_parquet_rows(path, cells), label_column, columns.identifier is not None)


def _parquet_rows(path: Path, cells: Sequence[list[object]]) -> Iterator[Row]:
    for row, (name, label, identifier) in enumerate(zip(*cells, strict=True), 1):
        if name is not None and not isinstance(name, str):
            raise DatasetError(f"{path}: row {row} has the path {name!r:.60}; wanted is text")
        yield (name or "").strip(), _as_text(path, row, "class", label), _as_text(path, row, "identifier", identifier)


def _as_text(path: Path, row: int, what: str, value: object) -> str | None:
    # A column of whole numbers with gaps is often stored as 12.0 and nan.
    if what == "identifier" and isinstance(value, float) and (value.is_integer() or math.isnan(value)):
        value = None if math.isnan(value) else int(value)
    try:
        return as_class_id(value)
    except TypeError as error:
        raise DatasetError(f"{path}: the {what} in row {row} is not usable: {error}; correct the file") from error


def choose_columns(path: Path, header: list[str]) -> tuple[int, int | None]:
    """Return the places of the path column and of the class column, or None, in the header of the manifest `path`.

    Of several names that would do, the first of `PATH_COLUMNS` or `LABEL_COLUMNS` counts, in any letter case.

    Raises:
        DatasetError: There is no path column, or no column at all.
    """
    if not header:
        raise DatasetError(
            f"{path} is empty, it has no column and no row; wanted is a header with {' or '.join(PATH_COLUMNS)}, and "
            f"for classes {' or '.join(LABEL_COLUMNS)}, and one image a row"
        )
    known = [name.strip().lower() for name in header]
    path_column = next((known.index(name) for name in PATH_COLUMNS if name in known), None)
    label_column = next((known.index(name) for name in LABEL_COLUMNS if name in known), None)
    if path_column is None:
        raise DatasetError(
            f"{path} has the columns {', '.join(map(repr, header))}; wanted is {' or '.join(PATH_COLUMNS)}, "
            f"and for classes {' or '.join(LABEL_COLUMNS)}"
        )
    return path_column, label_column


def _find_column(header: list[str], wanted: str | None) -> int | None:
    """Return the place of a column by its exact name, else by its name in any letter case."""
    names = [name.strip() for name in header]
    for known in (names, [name.lower() for name in names]):
        if wanted is not None and (name := wanted.strip() if known is names else wanted.strip().lower()) in known:
            return known.index(name)
    return None


READERS: dict[str, Callable[..., Table]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".parquet": _read_parquet,
}
