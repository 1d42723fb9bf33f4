"""Keep any number of pairs on disk and read them back in order: most alike first, ties by name.

An external merge sort. Pairs gather in memory up to `run_rows`, are sorted and written as one run; reading merges the
runs block by block. Memory depends on `run_rows` and on the number of images (the name ranks), never on the number of
pairs. Cost: 12 bytes of disk a pair, up to twice that while many runs are joined.

Each pair is two sort keys and nothing else: `major` holds the score, mapped to an unsigned integer of the same order,
above the rank of the left name; `minor` is the rank of the right name. Both map back to the pair without loss.

Shapes: n and m images of the left and right dataset, r pairs of a run.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from types import TracebackType
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from overlens.errors import StoreError
from overlens.records import PairBlock

Order = Literal["descending", "ascending"]

_FAN_IN = 64  # runs merged at once: bounds memory and open files however many runs there are
_LINES = 65_536  # pairs put into text at once
_SIGN = np.uint32(0x80000000)


class MatchFlags:
    """Which rows have a match, filled while pairs stream past.

    Attributes:
        left: `(n,)` bool, whether a row of the left dataset stands in any pair.
        right: `(m,)` bool for the right dataset; within one dataset the same array as `left`.
        n_pairs: Number of pairs seen.
    """

    def __init__(self, n_left: int, n_right: int | None) -> None:
        """Start with no match; `n_right` is None for pairs within one dataset."""
        self.left: NDArray[np.bool_] = np.zeros(n_left, np.bool_)
        self.right: NDArray[np.bool_] = self.left if n_right is None else np.zeros(n_right, np.bool_)
        self.n_pairs = 0

    def add(self, block: PairBlock) -> None:
        """Flag both rows of every pair."""
        self.left[block.left] = True
        self.right[block.right] = True
        self.n_pairs += len(block)

    def watch(self, blocks: Iterable[PairBlock]) -> Iterator[PairBlock]:
        """Yield the blocks unchanged, flagging their rows on the way."""
        for block in blocks:
            self.add(block)
            yield block


class PairSpool:
    """Pairs of two datasets, or of one, on disk; a context manager that removes its files.

    Args:
        folder: Where to make a temporary folder for the runs; must exist.
        left_rank: `(n,)` int32, the rank of each left name among the sorted names: a permutation of 0 to n - 1.
        right_rank: `(m,)` int32 for the right names; pass `left_rank` again for pairs within one dataset.
        most_alike_first: "descending" where a larger score is more alike (cosine similarity), "ascending" where a
            smaller one is (Hamming distance).
        run_rows: Pairs sorted at once in memory; the result does not depend on it.
    """

    def __init__(
        self,
        folder: Path,
        left_rank: NDArray[np.int32],
        right_rank: NDArray[np.int32],
        *,
        most_alike_first: Order,
        run_rows: int = 2_000_000,
    ) -> None:
        if run_rows < 1:
            raise ValueError(f"run_rows is {run_rows}; allowed is 1 or more, such as 2000000")
        self._left_rank, self._right_rank = left_rank, right_rank
        self._left_row, self._right_row = _invert(left_rank), _invert(right_rank)
        self._descending = _is_descending(most_alike_first)
        self._run_rows = run_rows
        self._dtype: np.dtype[np.float32] | np.dtype[np.int32] | None = None
        self._pending = _Keys(np.empty(run_rows, np.uint64), np.empty(run_rows, np.uint32))
        self._n_pending = 0
        self._runs: list[_Run] = []
        self._n_runs_written = 0
        self._n_pairs = 0
        self._folder = tempfile.TemporaryDirectory(prefix="pairs-", dir=folder)

    def __enter__(self) -> "PairSpool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the files; the spool cannot be read after that."""
        self._folder.cleanup()

    @property
    def n_pairs(self) -> int:
        """Number of pairs added."""
        return self._n_pairs

    def add(self, block: PairBlock) -> None:
        """Add some pairs; raises ValueError when their scores are of another type than the first ones."""
        if self._dtype is None:
            self._dtype = block.scores.dtype
        if block.scores.dtype != self._dtype:
            raise ValueError(f"this spool holds {self._dtype} scores, got {block.scores.dtype}; use one spool a method")
        keys = self._encode(block)
        start = 0
        while start < len(keys):
            taken = min(len(keys) - start, self._run_rows - self._n_pending)
            self._pending.major[self._n_pending : self._n_pending + taken] = keys.major[start : start + taken]
            self._pending.minor[self._n_pending : self._n_pending + taken] = keys.minor[start : start + taken]
            self._n_pending += taken
            start += taken
            if self._n_pending == self._run_rows:
                self._flush()
        self._n_pairs += len(block)

    def sorted_blocks(self) -> Iterator[PairBlock]:
        """Yield all pairs, most alike first, ties by left name, then by right name. Nothing may be added meanwhile."""
        self._flush()
        while len(self._runs) > _FAN_IN:
            group, rest = self._runs[:_FAN_IN], self._runs[_FAN_IN:]
            self._runs = [*rest, self._write_run(self._merge(group))]
            for run in group:
                run.remove()
        for keys in self._merge(self._runs):
            yield self._decode(keys)

    def top(self, k: int) -> PairBlock:
        """Return the first `k` pairs of that order, or all if there are fewer; reads the first block of each run."""
        blocks: list[PairBlock] = []
        missing = max(k, 0)
        if missing:
            for block in self.sorted_blocks():
                blocks.append(PairBlock(block.left[:missing], block.right[:missing], block.scores[:missing]))
                missing -= len(blocks[-1])
                if not missing:
                    break
        return self._join(blocks)

    def _join(self, blocks: list[PairBlock]) -> PairBlock:
        if not blocks:
            no_rows = np.empty(0, np.int32)
            return PairBlock(no_rows, no_rows, np.empty(0, self._dtype or np.float32))
        columns = [[getattr(block, name) for block in blocks] for name in ("left", "right", "scores")]
        return PairBlock(*(np.concatenate(column) for column in columns))

    def _encode(self, block: PairBlock) -> "_Keys":
        order = _order_scores(block.scores)
        high = (~order if self._descending else order).astype(np.uint64) << np.uint64(32)
        low = self._left_rank[block.left].astype(np.uint64)
        return _Keys(high | low, self._right_rank[block.right].astype(np.uint32))

    def _decode(self, keys: "_Keys") -> PairBlock:
        if self._dtype is None:
            raise ValueError("a spool without pairs has nothing to decode")
        high = (keys.major >> np.uint64(32)).astype(np.uint32)
        left = self._left_row[(keys.major & np.uint64(0xFFFFFFFF)).astype(np.int64)]
        scores = _restore_scores(~high if self._descending else high, self._dtype)
        return PairBlock(left, self._right_row[keys.minor], scores)

    def _flush(self) -> None:
        if self._n_pending:
            keys = _Keys(self._pending.major[: self._n_pending], self._pending.minor[: self._n_pending])
            self._runs.append(self._write_run([keys.sort()]))
            self._n_pending = 0

    def _write_run(self, blocks: Iterable["_Keys"]) -> "_Run":
        path = Path(self._folder.name) / f"run-{self._n_runs_written:06d}"
        self._n_runs_written += 1
        try:
            return _Run.write(path, blocks)
        except OSError as error:
            raise StoreError(f"cannot write pairs under {path.parent.parent} ({error}); free space there") from error

    def _merge(self, runs: Sequence["_Run"]) -> Iterator["_Keys"]:
        block_rows = max(1, self._run_rows // (2 * max(1, len(runs))))
        readers = [_Reader(run, block_rows) for run in runs]
        while readers:
            # All that is not past the nearest end of a buffer is complete: what is still on disk comes later.
            last_major, last_minor = min(reader.last for reader in readers)
            yield _Keys.concatenate([reader.take(last_major, last_minor) for reader in readers]).sort()
            readers = [reader for reader in readers if reader.refill()]


@dataclass(frozen=True, slots=True)
class _Keys:
    """Sort keys of some pairs, see the head of this module."""

    major: NDArray[np.uint64]
    minor: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.major)

    @classmethod
    def concatenate(cls, parts: Sequence["_Keys"]) -> "_Keys":
        if len(parts) == 1:
            return parts[0]
        return cls(np.concatenate([part.major for part in parts]), np.concatenate([part.minor for part in parts]))

    def sort(self) -> "_Keys":
        order = np.lexsort((self.minor, self.major))
        return _Keys(self.major[order], self.minor[order])


@dataclass(frozen=True, slots=True)
class _Run:
    """Sorted keys on disk, one file a column."""

    path: Path
    n_rows: int

    @classmethod
    def write(cls, path: Path, blocks: Iterable[_Keys]) -> "_Run":
        n_rows = 0
        with path.with_suffix(".major").open("wb") as major, path.with_suffix(".minor").open("wb") as minor:
            for keys in blocks:
                major.write(keys.major.data)
                minor.write(keys.minor.data)
                n_rows += len(keys)
        return cls(path, n_rows)

    def read(self, start: int, n_rows: int) -> _Keys:
        major = np.fromfile(self.path.with_suffix(".major"), np.uint64, n_rows, offset=start * 8)
        minor = np.fromfile(self.path.with_suffix(".minor"), np.uint32, n_rows, offset=start * 4)
        return _Keys(major, minor)

    def remove(self) -> None:
        self.path.with_suffix(".major").unlink()
        self.path.with_suffix(".minor").unlink()


class _Reader:
    """Reads one run in blocks; files are open only while a block is read."""

    def __init__(self, run: _Run, block_rows: int) -> None:
        self._run, self._block_rows = run, block_rows
        self._keys = run.read(0, block_rows)
        self._start, self._n_read = 0, len(self._keys)

    @property
    def last(self) -> tuple[int, int]:
        return int(self._keys.major[-1]), int(self._keys.minor[-1])

    def take(self, last_major: int, last_minor: int) -> _Keys:
        """Return and drop the buffered keys up to and including the given one."""
        major, minor = self._keys.major[self._start :], self._keys.minor[self._start :]
        first = int(np.searchsorted(major, np.uint64(last_major), side="left"))
        stop = int(np.searchsorted(major, np.uint64(last_major), side="right"))
        stop = first + int(np.searchsorted(minor[first:stop], np.uint32(last_minor), side="right"))
        self._start += stop
        return _Keys(major[:stop], minor[:stop])

    def refill(self) -> bool:
        """Read the next block when the buffer is used up; returns whether anything is left."""
        if self._start == len(self._keys):
            self._keys = self._run.read(self._n_read, self._block_rows)
            self._start, self._n_read = 0, self._n_read + len(self._keys)
        return len(self._keys) > 0


def write_pairs_json(
    stream: TextIO, blocks: Iterable[PairBlock], left_names: Sequence[str], right_names: Sequence[str]
) -> int:
    """Write the pairs as one JSON list of `[left name, right name, score]`, one pair a line, block by block.

    A cosine similarity is the shortest decimal that gives back its float32; a Hamming distance is an integer.

    Args:
        stream: Text file, to be opened in UTF-8.
        blocks: Pairs in the order to write.
        left_names: Name of each left row.
        right_names: Name of each right row; pass `left_names` again for pairs within one dataset.

    Returns:
        The number of pairs written.
    """
    left_json = _quote_names(left_names)
    right_json = left_json if right_names is left_names else _quote_names(right_names)
    n_pairs = 0
    for block in _cut_blocks(blocks):
        columns = block.left.tolist(), block.right.tolist(), _format_scores(block.scores)
        lines = [f"  [{left_json[i]}, {right_json[j]}, {score}]" for i, j, score in zip(*columns, strict=True)]
        if lines:
            stream.write(",\n" if n_pairs else "[\n")
            stream.write(",\n".join(lines))
        n_pairs += len(lines)
    stream.write("\n]\n" if n_pairs else "[]\n")
    return n_pairs


def _cut_blocks(blocks: Iterable[PairBlock]) -> Iterator[PairBlock]:
    """Cut large blocks, because a pair as text takes twenty times the memory of a pair in columns."""
    for block in blocks:
        for start in range(0, len(block), _LINES):
            part = slice(start, start + _LINES)
            yield PairBlock(block.left[part], block.right[part], block.scores[part])


def _format_scores(scores: NDArray[np.float32] | NDArray[np.int32]) -> list[str]:
    if scores.dtype == np.int32:
        return list(map(str, scores.tolist()))
    if not np.isfinite(scores).all():
        raise ValueError("scores hold values that are not finite, which JSON cannot hold")
    return list(map(str, scores))


def _quote_names(names: Sequence[str]) -> list[str]:
    return [_quote_name(name) for name in names]


def _quote_name(name: str) -> str:
    quoted = dumps(name, ensure_ascii=False)
    # A file name that is not UTF-8 holds lone surrogates, which a UTF-8 file cannot take as they are.
    return quoted if quoted.isascii() or not _has_surrogates(quoted) else dumps(name)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_descending(order: str) -> bool:
    if order not in ("descending", "ascending"):
        raise ValueError(f"most_alike_first is {order!r}; allowed: 'descending', 'ascending'")
    return order == "descending"


def _invert(rank: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the row of each rank; raises ValueError unless the ranks are 0 to n - 1, each once."""
    rows = np.full(len(rank), -1, np.int32)
    if rank.dtype == np.int32 and rank.ndim == 1 and (not len(rank) or (rank.min() >= 0 and rank.max() < len(rank))):
        rows[rank] = np.arange(len(rank), dtype=np.int32)
    if (rows < 0).any() or rank.dtype != np.int32 or rank.ndim != 1:
        raise ValueError(f"name ranks must be int32, 0 to {len(rank) - 1} each once, got {rank.dtype} {rank.shape}")
    return rows


def _order_scores(scores: NDArray[np.generic]) -> NDArray[np.uint32]:
    """Map int32 or float32 to uint32 of the same order; -0.0 becomes 0.0, because the two are equal."""
    if scores.dtype == np.int32:
        return scores.view(np.uint32) ^ _SIGN
    bits = (scores.astype(np.float32) + np.float32(0.0)).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _restore_scores(
    order: NDArray[np.uint32], dtype: "np.dtype[np.float32] | np.dtype[np.int32]"
) -> NDArray[np.float32] | NDArray[np.int32]:
    """Undo `_order_scores`."""
    if dtype == np.int32:
        return (order ^ _SIGN).view(np.int32)
    return np.where(order & _SIGN, order ^ _SIGN, ~order).view(np.float32)
