"""Which outputs are made already: what nothing has changed is neither drawn nor measured again.

For each output it is kept what it was made of, as a fingerprint, and the digest of the bytes that were written: one
small file an output. An output whose file is gone, or holds other bytes, or was made of something else, is made again.
Nothing is kept of when a file was written, so a run that was killed leaves the same bytes as one that was not. The
records may be deleted at any time; then everything is made again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from overlens.atomic import remove_partials, write_bytes, write_json
from overlens.digests import digest_if_there
from overlens.layout import CrossLayout


@dataclass(frozen=True, slots=True)
class Results:
    """The outputs below `root`.

    Attributes:
        root: Outputs are known by their paths below it.
        folder: Where the records are.
        held: Outputs that this run has found to be made already.
    """

    root: Path
    folder: Path
    held: set[Path] = field(default_factory=set)

    @classmethod
    def open(cls, root: Path) -> "Results":
        """Open the records of the outputs below `root`."""
        results = cls(root, CrossLayout(root).results)
        remove_partials(results.folder)
        return results

    def holds(self, path: Path, fingerprint: str) -> bool:
        """Whether the file at `path` is what was made of something with this fingerprint."""
        record = self._read(path)
        is_made = record.get("made_of") == fingerprint and record.get("sha256") == digest_if_there(path)
        if is_made:
            self.held.add(path)
        return is_made

    def record(self, path: Path, fingerprint: str) -> None:
        """Keep that the file at `path` was made of something with this fingerprint."""
        self._keep(path, fingerprint, digest_if_there(path))

    def write(self, path: Path, fingerprint: str, make: Callable[[], bytes]) -> None:
        """Write what `make` returns, unless the file holds just that already."""
        if not self.holds(path, fingerprint):
            content = make()
            write_bytes(path, content)
            self._keep(path, fingerprint, hashlib.sha256(content).hexdigest())

    def _keep(self, path: Path, fingerprint: str, digest: str | None) -> None:
        write_json(self._place(path), {"path": self._name(path), "made_of": fingerprint, "sha256": digest})

    def _read(self, path: Path) -> dict[str, str]:
        """Return what is kept of an output; nothing where there is no record or it is damaged."""
        try:
            record = json.loads(self._place(path).read_bytes())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) and record.get("path") == self._name(path) else {}

    def _place(self, path: Path) -> Path:
        return self.folder / f"{hashlib.sha256(self._name(path).encode()).hexdigest()[:24]}.json"

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix().encode("utf-8", "backslashreplace").decode()
