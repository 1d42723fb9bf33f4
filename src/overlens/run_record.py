"""What a run leaves of itself for whoever reads its results later: its command, its files, and its table of images.

`run.json` names the command, the datasets and every file of this run, so that a report never shows the results of an
earlier one beside those of this. The table of images says for each kept image which file it is and where its rendition
lies, so that pictures can be shown without listing a dataset again, and no path is ever taken from anywhere else.
Nothing in either depends on when or how fast the run was.

Shapes: n images of all datasets.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from overlens.analysis import Analysis
from overlens.atomic import replaced_file, write_json
from overlens.command_line import arguments_of
from overlens.errors import StoreError
from overlens.features import KnownImages
from overlens.groups.find import NO_GROUP
from overlens.layout import CrossLayout
from overlens.records import Features
from overlens.tables import valid_text
from overlens.version import __version__

if TYPE_CHECKING:
    import pyarrow

FORMAT = 2


def forget_record(root: Path) -> None:
    """Remove the record of an earlier run, before its results are replaced: half of each would be nobody's run."""
    path = CrossLayout(root).run
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror or error}; mend that, or use --output PATH") from error


def write_record(analysis: Analysis, known: Sequence[KnownImages], files: Sequence[Path]) -> None:
    """Write what the run was.

    Args:
        analysis: The run.
        known: Its images in the order of its datasets; none where it read none.
        files: Every file that it made.
    """
    layout, root = CrossLayout(analysis.output), analysis.output
    _write_images(layout.images, analysis, known)
    content = {
        "format": FORMAT,
        "overlens": __version__,
        "arguments": list(map(valid_text, arguments_of(analysis.config))),
        "sources": {
            spec.name: valid_text(str(analysis.config.root if spec.path is None else spec.path))
            for spec in analysis.config.datasets
        },
        "notices": list(map(valid_text, analysis.notices)),
        "files": [valid_text(path.relative_to(root).as_posix()) for path in files],
    }
    write_json(layout.run, content)


@dataclass(frozen=True, slots=True)
class _Dataset:
    """One dataset, its images where they were read, and the global row of the first one."""

    features: Features
    known: KnownImages | None
    start: int


def _write_images(path: Path, analysis: Analysis, known: Sequence[KnownImages]) -> None:
    """Write one row an image, dataset after dataset in the order of the run."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replaced_file(path) as stream, pq.ParquetWriter(stream, pa.schema(_kinds()), compression="zstd") as writer:
        for one in _datasets(analysis, known):
            writer.write_table(pa.table(_columns(one, analysis), pa.schema(_kinds())))


def _datasets(analysis: Analysis, known: Sequence[KnownImages]) -> Iterator[_Dataset]:
    images = {one.listing.dataset: one for one in known}
    start = 0
    for name, features in analysis.datasets.items():
        yield _Dataset(features, images.get(name), start)
        start += features.n_kept


def _kinds() -> "list[tuple[str, pyarrow.DataType]]":
    import pyarrow as pa

    return [
        ("dataset", pa.dictionary(pa.int32(), pa.string())),
        ("image", pa.string()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("picture", pa.int32()),
        ("group", pa.int32()),
        ("path", pa.binary()),
        ("sha256", pa.binary()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("shard", pa.dictionary(pa.int32(), pa.string())),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("crc32", pa.int64()),
    ]


def _columns(one: _Dataset, analysis: Analysis) -> dict[str, Any]:
    """Return the columns of one dataset; of a run without images only who they are."""
    import pyarrow as pa

    n = one.features.n_kept
    shown = [
        None if label is None else valid_text(one.features.class_names.get(label, label))
        for label in one.features.labels
    ]
    columns = {
        "dataset": pa.array([one.features.dataset] * n, pa.string()).dictionary_encode(),
        "image": pa.array(map(valid_text, one.features.keys), pa.string()),
        "label": pa.array(shown, pa.string()).dictionary_encode(),
        "picture": _pictures(one, analysis),
        "group": _groups(one, analysis),
        **_file_columns(one.known, n),
        **_size_columns(one, analysis),
        **_rendition_columns(one.known, n, analysis.output),
    }
    kinds = dict(_kinds())
    return {name: column.cast(kinds[name]) for name, column in columns.items()}


def _pictures(one: _Dataset, analysis: Analysis) -> "pyarrow.Array":
    """The place in this table of the first image with the same pixels."""
    import pyarrow as pa

    n = one.features.n_kept
    return pa.nulls(n, pa.int32()) if analysis.copies is None else pa.array(analysis.copies.first[one.start :][:n])


def _groups(one: _Dataset, analysis: Analysis) -> "pyarrow.Array":
    import pyarrow as pa

    if analysis.copies is None:
        return pa.nulls(one.features.n_kept, pa.int32())
    numbers = analysis.copies.groups.group_of[one.start : one.start + one.features.n_kept]
    return pa.array(numbers, pa.int32(), mask=numbers == NO_GROUP)


def _file_columns(known: KnownImages | None, n: int) -> "dict[str, pyarrow.Array]":
    import pyarrow as pa

    if known is None:
        return {"path": pa.nulls(n, pa.binary()), "sha256": pa.nulls(n, pa.binary())}
    paths = (os.fsencode(os.path.abspath(known.listing.paths[row])) for row in known.rows)  # noqa: PTH100 - cheap
    return {
        "path": pa.array(paths, pa.binary(), size=n),
        "sha256": pa.array(map(bytes.fromhex, known.digests), pa.binary(), size=n),
    }


def _size_columns(one: _Dataset, analysis: Analysis) -> "dict[str, pyarrow.Array]":
    import pyarrow as pa

    if analysis.copies is None:
        return {side: pa.nulls(one.features.n_kept, pa.int32()) for side in ("width", "height")}
    sizes = analysis.copies.evidence[analysis.copies.roster.number_of(one.features.dataset)].sizes_px
    return {side: pa.array(np.ascontiguousarray(sizes[:, place])) for place, side in enumerate(("width", "height"))}


def _rendition_columns(known: KnownImages | None, n: int, root: Path) -> "dict[str, pyarrow.Array]":
    """Where the rendition of each image is: its shard below the results, its bytes there and their check."""
    import pyarrow as pa

    if known is None or known.stores.evidence is None:
        numbers = {name: pa.nulls(n, pa.int64()) for name in ("start", "end", "crc32")}
        return {"shard": pa.nulls(n, pa.string()).dictionary_encode(), **numbers}
    blobs = known.renditions()
    folders = pa.array([folder.relative_to(root).as_posix() for folder in blobs.folders], pa.string())
    # In the order of their first use: which shard a store knows first depends on whether it was opened or just made.
    shard = folders.take(pa.array(blobs.shards)).dictionary_encode()
    numbers = {
        name: np.ascontiguousarray(blobs.extents[:, place]) for place, name in enumerate(("start", "end", "crc32"))
    }
    return {"shard": shard, **{name: pa.array(column) for name, column in numbers.items()}}
