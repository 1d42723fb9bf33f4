"""What was found of pairs of files, on disk: a pair that was judged once is not judged again.

A store holds one kind of finding in parts. A part is one `.npy` file, which appears by one rename and is named by the
digest of its bytes, so that damage on the disk is told from a finding; each of its entries is the key of a pair and
what was found of it. The key is the SHA-256 of both files, cut, in the order in which they were judged; so a moved or
renamed file is known, and a changed one is not. Everything else that changes a finding is in the store's fingerprint.
A store may be deleted at any time; what is needed is found again.

Shapes: m pairs that are asked for, k of them known.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import remove_partials, write_bytes
from overlens.store.blobs import named_if_damaged

CUT_DIGEST_BYTES = 16
"""Bytes of each of the two digests of a key."""

Keys = NDArray[np.bytes_]
"""Fixed strings of both digests, one behind the other."""


@dataclass(frozen=True, slots=True)
class PairStore:
    """Findings below `folder`, which is made when the first are written.

    Args:
        folder: The store's own folder.
        finding: Structured type of what is found of a pair.
    """

    folder: Path
    finding: np.dtype[Any]

    @classmethod
    def open(cls, parent: Path, name: str, fingerprint: Mapping[str, str], finding: np.dtype[Any]) -> "PairStore":
        """Open the store of one kind of finding below `parent`: its folder is named by `name` and the fingerprint.

        Args:
            parent: Where stores are.
            name: What is found.
            fingerprint: Everything that changes a finding, apart from the two files.
            finding: Structured type of a finding; it is a part of the fingerprint.
        """
        facts = json.dumps({**fingerprint, "finding": str(finding.descr)}, sort_keys=True)
        store = cls(parent / f"{name}-{_digest(facts.encode())[:12]}", finding)
        remove_partials(store.folder)
        return store

    def find(self, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Return what is known of pairs.

        Args:
            keys: `(m,)` keys by `make_keys`, in any order; one may stand more than once.

        Returns:
            `(m,)` bool, whether each is known, and `(k,)` findings of those that are, in their order.

        Raises:
            StoreError: A part is damaged.
        """
        wanted, places = np.unique(keys, return_inverse=True)
        is_known = np.zeros(len(wanted), np.bool_)
        found = np.zeros(len(wanted), self.finding)
        for path in sorted(self.folder.glob("*.npy")) if len(wanted) else ():
            part = self._read(path)
            where = np.minimum(np.searchsorted(wanted, part["key"]), len(wanted) - 1)
            is_wanted = wanted[where] == part["key"]
            is_known[where[is_wanted]] = True
            found[where[is_wanted]] = part["finding"][is_wanted]
        return is_known[places], found[places][is_known[places]]

    def write(self, keys: Keys, findings: NDArray[Any]) -> None:
        """Add what was found of pairs, as one part; both are `(m,)`."""
        part = np.empty(len(keys), self._entry)
        part["key"], part["finding"] = keys, findings
        content = io.BytesIO()
        np.save(content, part, allow_pickle=False)
        write_bytes(self.folder / f"{_digest(content.getvalue())[:24]}.npy", content.getvalue())

    @property
    def _entry(self) -> np.dtype[Any]:
        return np.dtype([("key", f"S{2 * CUT_DIGEST_BYTES}"), ("finding", self.finding)])

    def _read(self, path: Path) -> NDArray[Any]:
        with named_if_damaged(path):
            content = path.read_bytes()
            if not _digest(content).startswith(path.stem):
                raise ValueError("other bytes than were written")
            part: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
            if part.dtype != self._entry or part.ndim != 1:
                raise ValueError(f"{part.dtype} of shape {part.shape}")
        return part


def make_keys(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Keys:
    """Return the keys `(m,)` of pairs whose files have these digests, `(m, 16)` uint8 or longer each."""
    both = np.concatenate([left[:, :CUT_DIGEST_BYTES], right[:, :CUT_DIGEST_BYTES]], axis=1)
    return np.ascontiguousarray(both).view(f"S{2 * CUT_DIGEST_BYTES}")[:, 0]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
