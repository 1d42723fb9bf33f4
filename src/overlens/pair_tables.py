"""The judged pairs and the groups of copies as tables: `pairs.parquet` and `groups.parquet`, or the same in memory.

One row a pair with its verdict and every signal behind it, so that nobody has to believe the verdict; one row an image
of a group. Candidates that were refuted are counted elsewhere and not listed. Images that are too flat to be told apart
are listed in `low_information.csv`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import replaced_file
from overlens.config import HASH_TYPES
from overlens.copies import Copies
from overlens.decisions.records import ANSWERS, code_of
from overlens.errors import ConfigError
from overlens.frames import frame_of
from overlens.groups.find import NO_GROUP, Groups
from overlens.records import Features
from overlens.roster import Roster
from overlens.store.fingerprints import made_by
from overlens.tables import valid_text, write_csv
from overlens.verdicts import VERDICTS
from overlens.verify.judged import REFUTED, JudgedPairs
from overlens.verify.transforms import in_shares

if TYPE_CHECKING:
    import pandas
    import pyarrow

Scalar = TypeVar("Scalar", bound=np.generic)

BLOCK_ROWS = 16_384
FACTS = {
    "mirrored": "bool",
    "rotation_degrees": "float32",
    "scale": "float32",
    "aspect_ratio": "float32",
    "crop_left": "float32",
    "crop_top": "float32",
    "crop_right": "float32",
    "crop_bottom": "float32",
    "overlap_area": "float32",
}
"""What is told of the transform of a pair, and its type; null for equal files and pixels."""


@dataclass(frozen=True, slots=True)
class JudgedTable:
    """Judged pairs with verdict and evidence, as `pairs.parquet` holds them.

    Attributes:
        columns: Arrow table with the columns of the file, by verdict from the surest on, strongest first.
    """

    columns: "pyarrow.Table"

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def rows(self) -> tuple[dict[str, Any], ...]:
        """One dictionary a pair, from the name of a column to its value, None where it has none."""
        return tuple(self.columns.to_pylist())

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the same columns; raises MissingExtraError if pandas is not installed."""
        return frame_of(self.columns)


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The images of all groups of copies, as `groups.parquet` holds them.

    Attributes:
        columns: Arrow table with the columns of the file, group after group.
        starts: `(g + 1,)` int64, where each group begins in it; the last is its length.
    """

    columns: "pyarrow.Table"
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.starts) - 1

    @property
    def rows(self) -> tuple[dict[str, Any], ...]:
        """One dictionary an image, from the name of a column to its value."""
        return tuple(self.columns.to_pylist())

    def members_of(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return dataset and name of each image of one group, numbered from 0; raises ConfigError if there is none."""
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < len(self):
            allowed = f"they are numbered 0 to {len(self) - 1}" if len(self) else "there are no groups"
            raise ConfigError(f"there is no group {number!r}; {allowed}")
        own = self.columns.slice(self.starts[number], self.starts[number + 1] - self.starts[number])
        return tuple(zip(own["dataset"].to_pylist(), own["image"].to_pylist(), strict=True))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the columns group, dataset, image, representative, weakest_edge, weakest_strength.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame_of(self.columns)


def tabled_by() -> str:
    """Return a digest of the code and the library that make the tables."""
    modules = "pair_tables.py", "verify", "verdicts.py", "evidence.py", "roster.py", "decisions"
    return made_by(modules, ("numpy", "pyarrow"))


def judged_table(copies: Copies, features: Sequence[Features], couple: tuple[str, str] | None = None) -> JudgedTable:
    """Return the judged pairs that were not refuted; of two datasets, or within the one named twice, or all."""
    import pyarrow as pa

    rows = _listed_rows(copies, couple)
    return JudgedTable(pa.table(_judged_columns(copies, _Names(copies.roster, features), rows)))


def group_table(groups: Groups, features: Sequence[Features]) -> GroupTable:
    """Return the images of every group, group after group."""
    import pyarrow as pa

    columns = _group_columns(_Names(groups.roster, features), groups, groups.members)
    return GroupTable(pa.table(columns), groups.starts)


def write_pairs(path: Path, copies: Copies, features: Sequence[Features]) -> None:
    """Write every judged pair that was not refuted, by verdict, strongest first."""
    rows, names = _listed_rows(copies), _Names(copies.roster, features)

    def columns(block: NDArray[np.intp]) -> dict[str, Any]:
        return _judged_columns(copies, names, block)

    _write(path, map(columns, _cut(rows)), columns(rows[:0]))


def write_groups(path: Path, groups: Groups, features: Sequence[Features]) -> None:
    """Write the images of every group, group after group."""
    names = _Names(groups.roster, features)

    def columns(block: NDArray[np.int32]) -> dict[str, Any]:
        return _group_columns(names, groups, block)

    _write(path, map(columns, _cut(groups.members)), columns(groups.members[:0]))


def write_low_information(path: Path, copies: Copies, features: Sequence[Features]) -> None:
    """Write the images that are too flat to be told apart as CSV: dataset, image, detail in grey levels."""
    rows = (
        (one.dataset, one.keys[row], f"{evidence.detail[row]:.2f}")
        for one, evidence in zip(features, copies.evidence, strict=True)
        for row in np.flatnonzero(evidence.low_information).tolist()
    )
    write_csv(path, ("dataset", "image", "detail"), rows)


def _listed_rows(copies: Copies, couple: tuple[str, str] | None = None) -> NDArray[np.intp]:
    """Return the places of the pairs that were not refuted, by verdict, strongest first."""
    judged, roster = copies.judged, copies.roster
    is_listed = judged.verdicts != REFUTED
    if couple is not None:
        wanted = sorted(map(roster.number_of, couple))
        owners = roster.dataset_of(judged.candidates.left), roster.dataset_of(judged.candidates.right)
        is_listed &= (owners[0] == wanted[0]) & (owners[1] == wanted[1])
    rows = np.flatnonzero(is_listed)
    return rows[np.lexsort((rows, -judged.strengths[rows], judged.verdicts[rows]))]


def _cut(rows: NDArray[Scalar]) -> Iterator[NDArray[Scalar]]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]


class _Names:
    """Dataset and key of each global row."""

    def __init__(self, roster: Roster, features: Sequence[Features]) -> None:
        self._roster = roster
        self._keys = [one.keys for one in features]

    def datasets(self, rows: NDArray[np.int32]) -> "pyarrow.Array":
        import pyarrow as pa

        return pa.array(
            [valid_text(self._roster.datasets[owner]) for owner in self._roster.dataset_of(rows)], pa.string()
        )

    def images(self, rows: NDArray[np.int32]) -> "pyarrow.Array":
        import pyarrow as pa

        owners, places = self._roster.dataset_of(rows).tolist(), self._roster.local(rows).tolist()
        keys = [valid_text(self._keys[owner][place]) for owner, place in zip(owners, places, strict=True)]
        return pa.array(keys, pa.string())


def _judged_columns(copies: Copies, names: _Names, rows: NDArray[np.intp]) -> dict[str, Any]:
    import pyarrow as pa

    pairs = copies.judged.candidates
    groups = [copies.groups.group_of[side[rows]] for side in (pairs.left, pairs.right)]
    joined = pa.array(groups[0].astype(np.int32), mask=(groups[0] != groups[1]) | (groups[0] == NO_GROUP))
    columns = {**_pair_columns(names, copies.judged, rows), **_fact_columns(copies, rows), "group": joined}
    return {**columns, **_decision_columns(copies.judged, rows)}


def _pair_columns(names: _Names, judged: JudgedPairs, rows: NDArray[np.intp]) -> dict[str, Any]:
    import pyarrow as pa

    pairs = judged.candidates
    left, right = pairs.left[rows], pairs.right[rows]
    distances = {f"{name}_bits": pairs.distances[rows, place] for place, name in enumerate(HASH_TYPES)}
    return {
        "dataset_a": names.datasets(left),
        "image_a": names.images(left),
        "dataset_b": names.datasets(right),
        "image_b": names.images(right),
        "verdict": pa.array([VERDICTS[code] for code in judged.verdicts[rows]], pa.string()),
        "strength": judged.strengths[rows],
        "same_bytes": pairs.same_bytes[rows],
        "same_pixels": pairs.same_pixels[rows],
        "inferred": judged.is_inferred[rows],
        **distances,
        "orientation": pairs.orientation[rows],
        "cosine": _known(pairs.cosine[rows]),
        "n_inliers": pa.array(judged.n_inliers[rows], mask=judged.n_inliers[rows] < 0),
        "inlier_share": _known(judged.inlier_shares[rows]),
        "coarse_correlation": _known(judged.coarse[rows]),
        "fine_correlation": _known(judged.fine[rows]),
        "local_correlation": _known(judged.local[rows]),
        "agreeing_share": _known(judged.agreeing[rows]),
    }


def _decision_columns(judged: JudgedPairs, rows: NDArray[np.intp]) -> dict[str, Any]:
    """What a person answered, or null, and the verdict without that, "refuted" where no pixel and no number says so."""
    import pyarrow as pa

    answers = {code_of(answer): answer for answer in ANSWERS}
    machine = {**dict(enumerate(VERDICTS)), REFUTED: "refuted"}
    return {
        "decision": pa.array([answers.get(code) for code in judged.decisions[rows].tolist()], pa.string()),
        "machine_verdict": pa.array([machine[code] for code in judged.machine_verdicts[rows].tolist()], pa.string()),
    }


def _fact_columns(copies: Copies, rows: NDArray[np.intp]) -> dict[str, Any]:
    import pyarrow as pa

    facts = [copies.judged.transform_of(row) for row in rows.tolist()]
    columns = {
        name: pa.array([None if one is None else getattr(one, name) for one in facts], kind, from_pandas=True)
        for name, kind in FACTS.items()
    }
    # Transforms are found on renditions; people think in the pixels of their files.
    zooms = _zooms(copies, rows)
    scales = [None if one is None else one.scale * zoom for one, zoom in zip(facts, zooms.tolist(), strict=True)]
    return {
        **columns,
        "scale": pa.array(scales, FACTS["scale"], from_pandas=True),
        "transform": _transform_column(copies.judged, rows),
    }


def _transform_column(judged: JudgedPairs, rows: NDArray[np.intp]) -> "pyarrow.Array":
    """Nine numbers a pair, row by row: places of the left picture to places of the right one, in shares of each."""
    import pyarrow as pa

    shares = in_shares(judged.transforms[rows], judged.shapes[rows]).reshape(-1, 9)
    is_none = ~np.isfinite(shares).all(axis=1)
    return pa.FixedSizeListArray.from_arrays(pa.array(shares.ravel()), 9, mask=pa.array(is_none))


def _zooms(copies: Copies, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """How many pixels of a file one pixel of its rendition stands for, of the right image over the left one."""
    pairs, sizes = copies.judged.candidates, [one.sizes_px for one in copies.evidence]
    left, right = (copies.roster.gather(sizes, side[rows]).max(axis=1, initial=1) for side in (pairs.left, pairs.right))
    shapes = np.maximum(copies.judged.shapes[rows].max(axis=2, initial=1), 1)
    return np.asarray((right / shapes[:, 1]) / (left / shapes[:, 0]))


def _group_columns(names: _Names, groups: Groups, members: NDArray[np.int32]) -> dict[str, Any]:
    import pyarrow as pa

    numbers = groups.group_of[members]
    weakest = groups.weakest.verdicts[numbers]
    return {
        "group": numbers,
        "dataset": names.datasets(members),
        "image": names.images(members),
        "representative": groups.representatives[numbers] == members,
        "weakest_edge": pa.array([VERDICTS[code] for code in weakest], pa.string()),
        "weakest_strength": groups.weakest.strengths[numbers],
    }


def _known(values: NDArray[np.float32]) -> "pyarrow.Array":
    import pyarrow as pa

    return pa.array(values, from_pandas=True)


def _write(path: Path, blocks: Iterator[dict[str, Any]], none: dict[str, Any]) -> None:
    """Write blocks of columns one after the other; `none` has the same columns without rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replaced_file(path) as stream, pq.ParquetWriter(stream, pa.table(none).schema, compression="zstd") as writer:
        for block in blocks:
            writer.write_table(pa.table(block))
