"""Where weights files come from, and that they are what they should be.

A file of the model hub is taken from its local cache, or fetched into it. One short request asks the hub first: it
tells the commit and the digest, and where there is no network it fails within seconds instead of minutes of retries.
A digest that differs from the stated one stops the run.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overlens.errors import ModelError

PROBE_TIMEOUT_S = 5.0
WAYS_OUT = (
    "use a local file (--weights PATH), the encoder that needs no network (--clip-model offline; it is not CLIP), "
    "or no encoder (--method perceptual --projections none, and neither few-shot splits nor generalization)"
)
SINGLE_TENSORS = "model.safetensors"
TENSORS_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository of the model hub, at a commit or a branch."""

    repo: str
    filename: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{self.repo}, {self.filename}"


@dataclass(frozen=True, slots=True)
class Weights:
    """A weights file that is here and whole.

    Attributes:
        path: The file; for several files, their folder.
        source: Where it is from, in words.
        revision: Commit of the hub repository, or "".
        sha256: Digest of the file; of several, the digest of the list of their names and digests.
    """

    path: Path
    source: str
    revision: str
    sha256: str


def digest_file(path: Path) -> str:
    """SHA-256 of the file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_files(paths: Iterable[Path]) -> str:
    """SHA-256 of one file, or of the sorted lines "digest  name" of several."""
    digests = sorted((path.name, digest_file(path)) for path in paths)
    if len(digests) == 1:
        return digests[0][1]
    lines = "".join(f"{digest}  {name}\n" for name, digest in digests)
    return hashlib.sha256(lines.encode()).hexdigest()


def require_digest(path: Path, stated: str, way_out: str) -> str:
    """Return the digest of the file if it is the stated one; ModelError otherwise."""
    seen = digest_file(path)
    if seen != stated:
        raise ModelError(f"{path} is damaged or was changed: its SHA-256 is {seen}, and {stated} is stated; {way_out}")
    return seen


def obtain_file(wanted: HubFile, model: str) -> Weights:
    """Return a file of the hub, from the cache or fetched; ModelError with the three ways out if it cannot be had."""
    path = find_cached(wanted) or fetch_file(wanted, model)
    return _checked(wanted, path, _stated_digest(path))


def obtain_folder(repo: str, model: str) -> tuple[Path, str]:
    """Return the local folder and commit of a transformers model with safetensors, from the cache or fetched."""
    config = HubFile(repo, "config.json")
    path = find_cached(config) or fetch_file(config, model)
    commit = _commit(path)
    _obtain_optional(HubFile(repo, "preprocessor_config.json", commit), model)
    index = HubFile(repo, TENSORS_INDEX, commit)
    if find_cached(index) or not _obtain_optional(HubFile(repo, SINGLE_TENSORS, commit), model):
        index_path = _obtain_optional(index, model)
        for name in _shard_names(index_path) if index_path else ():
            obtain_file(HubFile(repo, name, commit), model)
    return path.parent, commit


def tensor_files(folder: Path) -> list[Path]:
    """The safetensors files that transformers loads from a folder; ModelError if there are none."""
    if (folder / SINGLE_TENSORS).is_file():
        return [folder / SINGLE_TENSORS]
    index = folder / TENSORS_INDEX
    paths = [folder / name for name in _shard_names(index)] if index.is_file() else []
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        raise ModelError(
            f"{folder} has no {missing[0] if missing else SINGLE_TENSORS}; only safetensors are read, "
            "because other formats of PyTorch can run code"
        )
    return paths


def find_cached(wanted: HubFile) -> Path | None:
    """The file in the local cache of the hub, or None; never asks the network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(wanted.repo, wanted.filename, cache_dir=cache_folder(), revision=wanted.revision)
    return Path(found) if isinstance(found, str) else None


def fetch_file(wanted: HubFile, model: str) -> Path:
    """Fetch a file of the hub into the cache and check its digest; ModelError with the three ways out on failure."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    if _offline_is_asked():
        raise _unavailable(wanted, model, "HF_HUB_OFFLINE is set")
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        url = hf_hub_url(wanted.repo, wanted.filename, revision=wanted.revision, endpoint=endpoint)
        stated = get_hf_file_metadata(url, timeout=PROBE_TIMEOUT_S)
        fetched = hf_hub_download(
            wanted.repo, wanted.filename, revision=wanted.revision, cache_dir=cache_folder(), endpoint=endpoint
        )
    except _network_errors() as error:
        raise _unavailable(wanted, model, _reason(error)) from error
    _checked(wanted, Path(fetched), stated.etag or "")
    return Path(fetched)


def cache_folder() -> Path:
    """Where the hub's files are kept, as `huggingface_hub` decides it from the environment."""
    from huggingface_hub import constants

    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    if "HF_HOME" in os.environ:
        return Path(os.environ["HF_HOME"]).expanduser() / "hub"
    return Path(constants.HF_HUB_CACHE)


def _obtain_optional(wanted: HubFile, model: str) -> Path | None:
    """A file that a repository need not have."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return obtain_file(wanted, model).path
    except ModelError as error:
        if isinstance(error.__cause__, EntryNotFoundError):
            return None
        raise


def _checked(wanted: HubFile, path: Path, stated: str) -> Weights:
    # Large files carry their SHA-256 as tag; small ones a git digest, and a cache without links carries none.
    way_out = f"delete {path.resolve()} and fetch it again"
    seen = require_digest(path, stated, way_out) if _is_sha256(stated) else digest_file(path)
    return Weights(path, f"hub {wanted}", _commit(path), seen)


def _stated_digest(path: Path) -> str:
    """The digest by which the cache names the file."""
    return path.resolve().name if path.is_symlink() else ""


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)


def _commit(path: Path) -> str:
    """Commit of a file of the cache: .../snapshots/COMMIT/file."""
    return path.parts[path.parts.index("snapshots") + 1] if "snapshots" in path.parts else ""


def _shard_names(index: Path) -> list[str]:
    """Files that an index of tensors names; each must be a plain name beside it."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{index} is not an index of tensors: {error}") from error
    unsafe = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
    if unsafe:
        raise ModelError(f"{index} names {unsafe[0]!r}; allowed are safetensors files beside it")
    return names


def _offline_is_asked() -> bool:
    from huggingface_hub import constants

    asked = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return asked or bool(constants.HF_HUB_OFFLINE)


def _network_errors() -> tuple[type[Exception], ...]:
    """Base classes of what the hub's client may raise; which HTTP library it uses depends on its version."""
    errors: list[type[Exception]] = [OSError, ValueError]
    for name in ("httpx2", "httpx"):
        library: Any = sys.modules.get(name)
        errors += [library.HTTPError, library.InvalidURL] if library else []
    return tuple(errors)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _unavailable(wanted: HubFile, model: str, reason: str) -> ModelError:
    return ModelError(
        f"the weights of {model} ({wanted}) are not in the local cache and cannot be fetched ({reason}); {WAYS_OUT}"
    )
