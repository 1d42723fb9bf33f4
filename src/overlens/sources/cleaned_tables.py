"""Take rows out of a manifest: same columns, same order, same dialect.

Of a CSV or TSV file the text of each row that stays is copied as it is, quotes and line endings included. Only a
relative path is replaced, in its row and in no other field, by the absolute path of the file that it means: the new
table lies elsewhere, and a relative path starts at the table. So a row whose path is absolute stays byte for byte.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from os.path import normpath
from pathlib import Path, PureWindowsPath

from overlens.atomic import replaced_file
from overlens.errors import DatasetError
from overlens.sources import manifest
from overlens.sources.textfiles import read_text

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")


def write_table(path: Path, target: Path, files: Mapping[str, Path], labels: Mapping[str, str | None]) -> None:
    """Write the manifest `path` to `target` with one row of each image in `files`.

    The row is the first of the image that has its class, else the first. Rows of an image whose file is missing stay.

    Args:
        path: A manifest that could be listed: .csv, .tsv or .parquet.
        target: Where to write; its folder is made.
        files: Key -> file of each image that stays; a missing file has the path that its key means.
        labels: Key -> class of each of them.
    """
    chosen = _choose_rows(path, files, labels)
    write = _write_parquet if path.suffix.lower() == ".parquet" else _write_delimited
    write(path, target, chosen)


def _choose_rows(path: Path, files: Mapping[str, Path], labels: Mapping[str, str | None]) -> dict[int, str | None]:
    """Return the numbers of the rows that stay, from 0, with the path to write there, or None to leave it."""
    key_of = {str(file): key for key, file in files.items()}
    rows: dict[str, tuple[int, str, bool]] = {}
    for number, (written, label) in enumerate(manifest.READERS[path.suffix.lower()](path).rows):
        key = _key_of(written, path.parent, files, key_of) if written else None
        if key is None:
            continue
        is_labelled = label is not None and label == labels[key]
        if key not in rows or (is_labelled and not rows[key][2] and labels[key] is not None):
            rows[key] = number, written, is_labelled
    return {
        number: None if _is_absolute(written) else normpath(files[key].absolute())
        for key, (number, written, _) in rows.items()
    }


def _key_of(written: str, folder: Path, files: Mapping[str, Path], key_of: Mapping[str, str]) -> str | None:
    if written in files:
        return written
    spellings = (written, written.replace("\\", "/"))
    places = (normpath(folder / spelling) for spelling in spellings if "\0" not in spelling)
    return next((key_of[place] for place in places if place in key_of), None)


def _is_absolute(written: str) -> bool:
    return Path(written).is_absolute() or PureWindowsPath(written).is_absolute()


def _write_delimited(path: Path, target: Path, chosen: Mapping[int, str | None]) -> None:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else manifest.sniff_delimiter(path)
    rows = _raw_rows(read_text(path), delimiter)
    header, names = next(rows)
    column = manifest.choose_columns(path, names)[0]
    with path.open("rb") as source:
        mark = source.read(len(codecs.BOM_UTF8))
    with replaced_file(target) as stream:
        stream.write(codecs.BOM_UTF8 if mark == codecs.BOM_UTF8 else b"")
        stream.write(header.encode())
        for number, (raw, fields) in enumerate(rows):
            if number in chosen:
                new = chosen[number]
                text = raw if new is None else _replace_field(raw, fields, column, new, delimiter)
                stream.write(text.encode())


def _raw_rows(text: str, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the text of each row that is not blank, its line ending included, and its fields."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in _LINE.finditer(text):
            if line[0]:
                taken.append(line[0])
                yield line[0]

    for fields in csv.reader(lines(), delimiter=delimiter, strict=True):
        raw = "".join(taken)
        taken.clear()
        if any(field.strip() for field in fields):
            yield raw, fields


def _replace_field(raw: str, fields: list[str], column: int, new: str, delimiter: str) -> str:
    """Return the text of a row with another value in one field, which is quoted if it was or has to be."""
    ending = raw[len(raw.rstrip("\r\n")) :]
    body = raw[: len(raw) - len(ending)]
    d = re.escape(delimiter)
    spans = [match.span(1) for match in re.finditer(rf'(?:^|{d})("(?:[^"]|"")*"[^{d}]*|[^{d}"][^{d}]*|)', body)]
    if len(spans) != len(fields):
        raise DatasetError(f"the row {raw!r:.200} cannot be taken apart; write paths without line breaks and quotes")
    start, end = spans[column]
    needs_quotes = body[start:end].startswith('"') or any(mark in new for mark in (delimiter, '"', "\r", "\n"))
    written = '"' + new.replace('"', '""') + '"' if needs_quotes else new
    return body[:start] + written + body[end:] + ending


def _write_parquet(path: Path, target: Path, chosen: Mapping[int, str | None]) -> None:
    """Write row group by row group, so that columns of other data need not fit into memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file, replaced_file(target) as stream:
        column = manifest.choose_columns(path, list(file.schema_arrow.names))[0]
        field = file.schema_arrow.field(column)
        first = 0
        with pq.ParquetWriter(stream, file.schema_arrow) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                here = [number for number in range(first, first + len(table)) if number in chosen]
                stays = pa.array([number in chosen for number in range(first, first + len(table))], pa.bool_())
                first, table = first + len(table), table.filter(stays)
                written = table.column(column).to_pylist()
                new = [chosen[number] or old for number, old in zip(here, written, strict=True)]
                values = pa.array(new, pa.string())
                values = values.dictionary_encode() if pa.types.is_dictionary(field.type) else values
                writer.write_table(table.set_column(column, field, values.cast(field.type)))
