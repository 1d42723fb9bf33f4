"""Read `analysis/features.json`: what our own exports of a dataset hold, written after all of them.

The file ties the exports together: it counts the rows, holds the digest of each, and names the encoder and the hash
that made them. Where it does not fit `names.json`, an export was cut off between two files, and
rows would be taken for those of other images; that is refused. Published data from elsewhere has no such file, and
nothing is known of how it was made.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args, get_type_hints

from overlens.config import HashConfig
from overlens.digests import digest_file
from overlens.errors import ConfigError, DatasetError
from overlens.layout import AnalysisLayout
from overlens.records import ModelInfo
from overlens.sources.textfiles import read_json

_DESCRIPTION_TYPES: Mapping[str, object] = {
    "n_images": int,
    "images_sha256": str,
    "names_sha256": str,
    "embeddings": tuple | None,
    "hashes": tuple | None,
}
_HASH_TYPES: Mapping[str, object] = {"hash_type": str, "hash_size": int, "recipe": str}


@dataclass(frozen=True, slots=True)
class Description:
    """What the exports hold.

    Attributes:
        path: The file that says so.
        model: The encoder of `embeddings.npy`; None if that file is not one of the exports.
        hashing: The hash of `hashes.json`; None if that file is not one of the exports.
        is_scaled: Whether large JPEGs were read at a fraction of their size.
    """

    path: Path
    model: ModelInfo | None
    hashing: HashConfig | None
    is_scaled: bool = False


def read_description(analysis: AnalysisLayout, n_names: int) -> Description | None:
    """Return what the exports in an analysis folder hold, or None if nothing there says so.

    Args:
        analysis: The folder; its `names.json` exists.
        n_names: Number of names in `names.json`.

    Raises:
        DatasetError: The file is malformed, does not fit `names.json`, or lists neither embeddings nor hashes.
    """
    path = analysis.description
    if not path.is_file():
        return None
    read = read_json(path)
    content = _read_object(path, "the file", read, _DESCRIPTION_TYPES)
    if content["names_sha256"] != _digest(analysis.names) or content["n_images"] != n_names:
        raise DatasetError(
            f"{path} does not fit the {n_names} names in {analysis.names.name}: an export was cut off, or these names "
            f"are from elsewhere; run the command without --from-embeddings again, or remove {path.name}"
        )
    stated: dict[str, object] = dict(read) if isinstance(read, tuple) else {}
    _require_unaltered(analysis, stated)
    if content["embeddings"] is None and content["hashes"] is None:
        raise DatasetError(f"{path} lists neither embeddings nor hashes; run the command without --from-embeddings")
    model, hashing = _read_model(path, content["embeddings"]), _read_hashing(path, content["hashes"])
    return Description(path, model, hashing, stated.get("scaled_decode") is True)


def _require_unaltered(analysis: AnalysisLayout, content: Mapping[str, object]) -> None:
    """See that rows are those that were exported; descriptions of earlier versions have no digest of them."""
    for part, path in (("embeddings", analysis.embeddings), ("hashes", analysis.hashes)):
        said = content.get(f"{part}_sha256")
        if content[part] is not None and isinstance(said, str) and path.is_file() and said != _digest(path):
            raise DatasetError(
                f"{path} is not what {analysis.description.name} beside it describes: it was altered, or an export was "
                f"cut off; run the command without --from-embeddings again, or remove {analysis.description.name}"
            )


def _digest(path: Path) -> str:
    try:
        return digest_file(path)
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}; check that it is a readable file") from error


def _read_model(path: Path, content: object) -> ModelInfo | None:
    if content is None:
        return None
    known = get_type_hints(ModelInfo)
    values = _read_object(path, "embeddings", content, {field.name: known[field.name] for field in fields(ModelInfo)})
    return ModelInfo(**values)  # type: ignore[arg-type]  # the types were just checked, by name


def _read_hashing(path: Path, content: object) -> HashConfig | None:
    if content is None:
        return None
    values = _read_object(path, "hashes", content, _HASH_TYPES)
    try:
        return HashConfig(values["hash_type"], values["hash_size"])  # type: ignore[arg-type]  # as above
    except ConfigError as error:
        raise _malformed(path, f"hashes: {error}") from error


def _read_object(path: Path, what: str, content: object, wanted: Mapping[str, object]) -> dict[str, object]:
    """Return the wanted values of a JSON object; others may be there, as later versions may know more."""
    if not isinstance(content, tuple):
        raise _malformed(path, f"{what} is {content!r:.60}; wanted is an object")
    values = dict(content)
    for name, kind in wanted.items():
        if name not in values:
            raise _malformed(path, f"{what} has no {name!r}")
        if not _is_a(values[name], kind):
            raise _malformed(path, f"{name!r} is {values[name]!r:.60}; wanted is {_kind_name(kind)}")
    return {name: values[name] for name in wanted}


def _is_a(value: object, kind: object) -> bool:
    allowed = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    # Exactly the type: True is an int to isinstance.
    return type(value) in allowed


def _kind_name(kind: object) -> str:
    allowed = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    words = {str: "text", int: "a whole number", bool: "true or false", tuple: "an object", types.NoneType: "null"}
    return " or ".join(words[one] for one in allowed)


def _malformed(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"{path} is malformed: {reason}; run the command without --from-embeddings again")
