"""Whether the files that lie beside a lock hold what it says: those of the splits, and what was measured on them.

The JSON files of the splits are held against the digests of the lock, and the seed variance against the lock's own
digest, which it names. Tables, lists, links and embeddings are not looked at.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from overlens.fewshot.lock import LOCK_KEY, Lock, content_sha256, told_image
from overlens.fewshot.splits import EPISODE_PARTS, PARTS
from overlens.layout import AnalysisLayout


def check_files(lock: Lock, lock_sha256: str, folder: Path, digest_of: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """Hold the files beside a lock against it.

    Args:
        lock: The lock.
        lock_sha256: Its own digest, as it stands in its file.
        folder: Where it lies.
        digest_of: Name of each image of today -> SHA-256 of its file.

    Returns:
        Name of each file that does not belong to the lock -> why, and how many files of splits lie there.
    """
    wrong: dict[str, str] = {}
    n_files = 0
    for split in lock.splits:
        path = folder / split.file
        if path.is_file():
            n_files += 1
            if reason := _split_problem(path, split.sha256, digest_of):
                wrong[split.file] = reason
    variance = folder / AnalysisLayout(folder, lock.dataset).seed_variance("json").name
    if variance.is_file() and (reason := _variance_problem(variance, lock_sha256)):
        wrong[variance.name] = reason
    return wrong, n_files


def _split_problem(path: Path, sha256: str, digest_of: Mapping[str, str]) -> str:
    try:
        parts = list(_parts_of(json.loads(path.read_bytes())))
        absent = sorted({name for _, part in parts for name, _ in part if name not in digest_of})
        if absent:
            return f"it names images that are not there today: {len(absent)} (first: {absent[0]!r})"
        told = [(part, [told_image(label, digest_of[name]) for name, label in pairs]) for part, pairs in parts]
        return "" if content_sha256(told) == sha256 else "it holds other images, classes or parts"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "it is not a split as overlens writes it"


def _variance_problem(path: Path, lock_sha256: str) -> str:
    try:
        named = json.loads(path.read_bytes())[LOCK_KEY]
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    except (ValueError, LookupError, TypeError, RecursionError):
        return "it does not say on which splits it was measured"
    return "" if named == lock_sha256 else "it was measured on the splits of another lock, or of none"


def _parts_of(content: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each part of the JSON of a split or a set of episodes: its name, and names and classes of its images."""
    if "episodes" not in content:
        for part in PARTS:
            columns = content if part == "support" else content[part]
            yield part, list(zip(columns["names"], columns["labels"], strict=True))
        return
    images = list(zip(content["images"]["names"], content["images"]["labels"], strict=True))
    for number, episode in enumerate(content["episodes"]):
        for part in EPISODE_PARTS:
            yield f"{number}/{part}", [images[place] for place in episode[part]]
