"""Digests: of a file, whether it still holds the bytes that were written, and of texts one after the other."""

import hashlib
from pathlib import Path

DIGEST_BYTES = 32
"""Bytes of a SHA-256."""


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


def framed(text: str) -> bytes:
    """Return the bytes of a text behind their number, so that texts one after the other read in one way only.

    The number is 8 bytes, the greatest first; the text is UTF-8. A name that is not Unicode is no reason to stop
    (Python: `errors="surrogatepass"`).
    """
    data = text.encode(errors="surrogatepass")
    return len(data).to_bytes(8, "big") + data
