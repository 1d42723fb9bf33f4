"""The digest of a file: whether it still holds the bytes that were written."""

import hashlib
from pathlib import Path


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in pieces; raises OSError where it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_if_there(path: Path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal, or None where there is none that can be read."""
    try:
        return digest_file(path)
    except OSError:
        return None
