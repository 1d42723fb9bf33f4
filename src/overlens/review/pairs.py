"""The listed pairs of a finished run as columns of numbers, so that any of them can be shown at once.

A page of pairs in the order of doubt takes them from everywhere in `pairs.parquet`, which is compressed in blocks: to
read it again for every page would take seconds. So the numbers are kept, about 110 bytes a pair, and no text: names are
those of the run's images, and the words of a pair are made when it is shown.

Shapes: n images, m listed pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.columns import require_columns
from overlens.config import HASH_TYPES
from overlens.decisions.records import ANSWERS, Pair, pair_of
from overlens.errors import ConfigError, StoreError
from overlens.finished import FinishedRun
from overlens.finished_pairs import sides_of
from overlens.image_table import FILE_DIGEST, ImageTable
from overlens.verdicts import VERDICTS

if TYPE_CHECKING:
    import pyarrow

BATCH_ROWS = 262_144
REFUTED = len(VERDICTS)
"""Code of a machine verdict that is no rung: listed only because somebody decided the pair."""
NO_COUNT = -1
_MACHINE = (*VERDICTS, "refuted")
_REALS = {
    "cosines": "cosine",
    "coarse": "coarse_correlation",
    "fine": "fine_correlation",
    "local": "local_correlation",
    "agreeing": "agreeing_share",
    "scales": "scale",
}


@dataclass(frozen=True, slots=True)
class ListedPairs:
    """The pairs that a run lists, in the order of `pairs.parquet`.

    Attributes:
        left: `(m,)` int32 place of the left image in the run's table.
        right: `(m,)` int32 place of the right one.
        rungs: `(m,)` uint8 place of the verdict in `VERDICTS`.
        machine_rungs: `(m,)` uint8 the same without what people said, or `REFUTED`.
        decisions: `(m,)` uint8 what people had said before the run: code of the answer, 0 for nothing.
        is_same_bytes: `(m,)` bool.
        is_same_pixels: `(m,)` bool.
        bits: `(m, 4)` int16 Hamming distances in the order of `HASH_TYPES`, `NO_COUNT` where not known.
        n_inliers: `(m,)` int32, `NO_COUNT` where none were looked for.
        strengths: `(m,)` float32 how sure the machine verdict is within its rung, 0 to 1.
        cosines: `(m,)` float32; this and all that follow are nan where not known.
        coarse: `(m,)` float32 correlation of the aligned pixels.
        fine: `(m,)` float32 correlation of fine detail.
        local: `(m,)` float32 correlation of most neighbourhoods.
        agreeing: `(m,)` float32 share of neighbourhoods that agree.
        scales: `(m,)` float32 how many times as large the right picture shows things.
        transforms: `(m, 9)` float32 places of the left picture to those of the right one, in shares, row by row.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    rungs: NDArray[np.uint8]
    machine_rungs: NDArray[np.uint8]
    decisions: NDArray[np.uint8]
    is_same_bytes: NDArray[np.bool_]
    is_same_pixels: NDArray[np.bool_]
    bits: NDArray[np.int16]
    n_inliers: NDArray[np.int32]
    strengths: NDArray[np.float32]
    cosines: NDArray[np.float32]
    coarse: NDArray[np.float32]
    fine: NDArray[np.float32]
    local: NDArray[np.float32]
    agreeing: NDArray[np.float32]
    scales: NDArray[np.float32]
    transforms: NDArray[np.float32]

    def __post_init__(self) -> None:
        reals = {name: (np.float32, ()) for name in ("strengths", *_REALS)}
        codes = {name: (np.uint8, ()) for name in ("rungs", "machine_rungs", "decisions")}
        places = {name: (np.int32, ()) for name in ("left", "right", "n_inliers")}
        marks = {name: (np.bool_, ()) for name in ("is_same_bytes", "is_same_pixels")}
        wide = {"bits": (np.int16, (len(HASH_TYPES),)), "transforms": (np.float32, (9,))}
        require_columns(self, len(self.left), {**reals, **codes, **places, **marks, **wide})

    def __len__(self) -> int:
        return len(self.left)

    @classmethod
    def read(cls, run: FinishedRun) -> "ListedPairs":
        """Read the pairs of a run.

        Raises:
            ConfigError: The run has no judged pairs.
            StoreError: `pairs.parquet` cannot be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = run.layout.pairs
        if not run.made(path):
            raise ConfigError(
                f"the run below {run.root} judged no pairs, so there is nothing to review; run overlens compute with "
                "images and without --no-verify"
            )
        try:
            file = pq.ParquetFile(path)
            parts = [_columns_of(batch, run.images) for batch in file.iter_batches(BATCH_ROWS)]
            parts.append(_columns_of(pa.RecordBatch.from_pylist([], file.schema_arrow), run.images))
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise StoreError(f"{path} cannot be read ({error}); run overlens compute again") from error
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in parts[-1]})

    def files_of(self, images: ImageTable, place: int) -> Pair:
        """Return the files of a pair."""
        return pair_of(images.digest(int(self.left[place])), images.digest(int(self.right[place])))

    def row(self, place: int) -> dict[str, Any]:
        """Return a pair as a row of `pairs.parquet`, with the columns that say what it is."""
        decision, transform = int(self.decisions[place]), self.transforms[place]
        bits = zip(HASH_TYPES, self.bits[place].tolist(), strict=True)
        return {
            "verdict": VERDICTS[self.rungs[place]],
            "machine_verdict": _MACHINE[self.machine_rungs[place]],
            "decision": ANSWERS[decision - 1] if decision else None,
            "same_bytes": bool(self.is_same_bytes[place]),
            "same_pixels": bool(self.is_same_pixels[place]),
            **{f"{name}_bits": None if n < 0 else n for name, n in bits},
            "n_inliers": None if self.n_inliers[place] < 0 else int(self.n_inliers[place]),
            "strength": float(self.strengths[place]),
            **{column: _known(getattr(self, name)[place]) for name, column in _REALS.items()},
            "transform": tuple(transform.tolist()) if np.isfinite(transform).all() else None,
        }


@dataclass(frozen=True, slots=True)
class PairIndex:
    """Finds the pairs of two files: several, where images of the run have equal bytes.

    Attributes:
        files: `(f,)` SHA-256 of each file, ascending, each once.
        keys: `(m,)` int64 both places among the files of each pair as one number, ascending.
        places: `(m,)` int32 the pair of each key.
        numbers: `(m,)` int32 number of the pair of files of each pair: equal where the files are.
    """

    files: NDArray[np.bytes_]
    keys: NDArray[np.int64]
    places: NDArray[np.int32]
    numbers: NDArray[np.int32]

    @classmethod
    def build(cls, images: ImageTable, pairs: ListedPairs) -> "PairIndex":
        """Number the files of a run, and order its pairs by them; raises ValueError if the run read no images."""
        if images.digests is None:
            raise ValueError("the run read no images")
        files, numbers = np.unique(images.digests.view(FILE_DIGEST)[:, 0], return_inverse=True)
        left, right = numbers[pairs.left], numbers[pairs.right]
        keys = np.minimum(left, right) * len(files) + np.maximum(left, right)
        places = np.argsort(keys, kind="stable").astype(np.int32)
        ordered = keys[places]
        pair_numbers = np.empty(len(keys), np.int32)
        pair_numbers[places] = np.cumsum(np.diff(ordered, prepend=-1) != 0) - 1
        return cls(files, ordered, places, pair_numbers)

    def once(self, is_wanted: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the places of the pairs that are wanted, of those on equal files one, ascending."""
        wanted = np.flatnonzero(is_wanted)
        return wanted[np.sort(np.unique(self.numbers[wanted], return_index=True)[1])]

    def find(self, pair: Pair) -> NDArray[np.int32]:
        """Return the places of the pairs of two files, ascending; none where the run lists none."""
        sought = np.array(pair, FILE_DIGEST)
        numbers = np.searchsorted(self.files, sought)
        if (numbers == len(self.files)).any() or (self.files[numbers] != sought).any():
            return self.places[:0]
        key = int(numbers.min()) * len(self.files) + int(numbers.max())
        start, end = np.searchsorted(self.keys, [key, key + 1])
        return self.places[start:end]


def _known(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None


def _columns_of(batch: "pyarrow.RecordBatch", images: ImageTable) -> dict[str, Any]:
    left, right = sides_of(images, batch)
    bits = [_whole(batch.column(f"{name}_bits"), np.int16) for name in HASH_TYPES]
    columns = {
        "left": left,
        "right": right,
        "rungs": _codes(batch.column("verdict"), VERDICTS),
        "machine_rungs": _codes(batch.column("machine_verdict"), _MACHINE),
        "decisions": _codes(batch.column("decision"), (None, *ANSWERS)),
        "is_same_bytes": np.array(batch.column("same_bytes").to_pylist(), np.bool_),
        "is_same_pixels": np.array(batch.column("same_pixels").to_pylist(), np.bool_),
        "bits": np.stack(bits, axis=1),
        "n_inliers": _whole(batch.column("n_inliers"), np.int32),
        **(reals := {name: _real(batch.column(column)) for name, column in _REALS.items()}),
        "strengths": np.clip(np.nan_to_num(reals["local"], nan=1.0), 0.0, 1.0),  # of the pixels, whatever people said
        "transforms": _transforms(batch.column("transform")),
    }
    return {field.name: columns[field.name] for field in fields(ListedPairs)}


def _codes(column: "pyarrow.Array", names: Sequence[str | None]) -> NDArray[np.uint8]:
    codes = {name: code for code, name in enumerate(names)}
    return np.array([codes[name] for name in column.to_pylist()], np.uint8)


def _whole(column: "pyarrow.Array", kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    import pyarrow as pa

    return np.asarray(column.cast(pa.int32()).fill_null(NO_COUNT).to_numpy(zero_copy_only=False), kind)


def _real(column: "pyarrow.Array") -> NDArray[np.float32]:
    import pyarrow as pa

    return np.asarray(column.cast(pa.float32()).fill_null(float("nan")).to_numpy(zero_copy_only=False), np.float32)


def _transforms(column: "pyarrow.Array") -> NDArray[np.float32]:
    found = np.full((len(column), 9), np.nan, np.float32)
    is_known = ~np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
    found[is_known] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 9)  # it leaves out what is null
    return found
