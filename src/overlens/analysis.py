"""What a run found, as one record: the same numbers that the files hold.

Arrays and pair lists stay on disk where they are large; `to_pandas` turns a table into a DataFrame (extra `pandas`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from weakref import finalize

from overlens.calibration.thresholds import Thresholds
from overlens.config import RunConfig
from overlens.copies import Copies
from overlens.errors import ConfigError
from overlens.fewshot import Split
from overlens.frames import make_frame
from overlens.matching import Matches, PairSet
from overlens.overlap import VERIFIED_METHOD, Overlap
from overlens.projections.methods import ProjectionTable
from overlens.recall.measure import IdentifierRecall
from overlens.records import Failure, Features, ModelInfo
from overlens.transfer import Transfer
from overlens.version import __version__

if TYPE_CHECKING:
    import pandas


class Workspace:
    """A temporary folder that is removed when nothing refers to it any more, or by `close`."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="overlens-"))
        self._remove = finalize(self, rmtree, self.path, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder now."""
        self._remove()


@dataclass(frozen=True, slots=True)
class PairTable:
    """All pairs of one method within a dataset or between two, most alike first.

    Attributes:
        first: Dataset of the first names.
        second: Dataset of the second names; the same as `first` for pairs within it.
        rows: (first name, second name, score): cosine similarity, or Hamming distance in bits.
    """

    first: str
    second: str
    rows: tuple[tuple[str, str, float], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def turned(self) -> "PairTable":
        """Return the same pairs from the side of the second dataset."""
        return PairTable(self.second, self.first, tuple((two, one, score) for one, two, score in self.rows))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the columns `dataset_1, name_1, dataset_2, name_2, score`."""
        columns = ["dataset_1", "name_1", "dataset_2", "name_2", "score"]
        rows = [(self.first, one, self.second, two, score) for one, two, score in self.rows]
        return make_frame(rows, columns)


@dataclass(frozen=True, slots=True)
class FailureTable:
    """The images that could not be used."""

    rows: tuple[Failure, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the columns `dataset, key, reason`."""
        rows = [(failure.dataset, failure.key, failure.reason) for failure in self.rows]
        return make_frame(rows, ["dataset", "key", "reason"])


@dataclass(frozen=True, slots=True, repr=False)
class Analysis:
    """Everything a run found.

    Attributes:
        config: What was asked for.
        model: The encoder, resolved; None if none was needed.
        datasets: Features of each dataset by its name.
        matches: Pairs and overlap by method.
        thresholds: The threshold of each method for every two datasets and within each.
        copies: Judged pairs and groups of copies; None where nothing was verified.
        recalls: How many of the identifiers that two datasets share were found.
        splits: Few-shot splits, if asked for.
        transfers: Generalization for each ordered pair of datasets, if asked for.
        projections: Where each image lies, for each dataset and all together, by each method.
        notices: What the user should know: adjustments, skipped outputs, oddities of the input.
        seconds: Time of each stage.
        read: Number of image files that this run opened, by dataset; the others were known already.
    """

    config: RunConfig
    model: ModelInfo | None
    datasets: Mapping[str, Features]
    matches: Mapping[str, Matches]
    thresholds: Thresholds
    copies: Copies | None = None
    recalls: tuple[IdentifierRecall, ...] = ()
    splits: tuple[Split, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    projections: tuple[ProjectionTable, ...] = ()
    notices: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    read: Mapping[str, int] = field(default_factory=dict)
    workspace: "Workspace | None" = field(default=None, repr=False)

    def __repr__(self) -> str:
        """Say in one line what was analysed and where the results are."""
        kept = ", ".join(f"{name} ({features.n_kept:,} images)" for name, features in self.datasets.items())
        return f"<Analysis of {kept} by {' and '.join(self.matches)}; results in {self.output}>"

    @property
    def output(self) -> Path:
        """Folder below which the documented files are."""
        return self.config.output_root

    def overlap(self, method: str) -> Overlap:
        """The overlap by "cosine", "perceptual" or "verified"; raises ConfigError if the run has no such method."""
        overlaps = self.overlaps()
        if method not in overlaps:
            raise ConfigError(f"this run has no method {method!r}; it has {', '.join(overlaps)}")
        return overlaps[method]

    def overlaps(self) -> dict[str, Overlap]:
        """Return the overlap by each method of the run, the verified one last."""
        found = {method: matches.overlap for method, matches in self.matches.items()}
        return found if self.copies is None else {**found, VERIFIED_METHOD: self.copies.overlap.overlap}

    def pairs(self, method: str, first: str, second: str | None = None) -> PairTable:
        """Read the pairs between two datasets, or within the first; all of them, so mind their number."""
        if method not in self.matches:
            raise ConfigError(f"there are no lists of pairs by {method!r}; there are {', '.join(self.matches)}")
        second = second or first
        for pair_set in self.matches[method].pair_sets:
            if (pair_set.first, pair_set.second) == (first, second):
                return _read_pairs(pair_set)
            if (pair_set.second, pair_set.first) == (first, second):
                return _read_pairs(pair_set).turned()
        unknown = [name for name in dict.fromkeys((first, second)) if name not in self.datasets]
        raise ConfigError(
            f"no dataset {' and no '.join(map(repr, unknown))} here; there are {', '.join(self.datasets)}"
        )

    def failures(self) -> FailureTable:
        """Return the images of all datasets that could not be used."""
        return FailureTable(tuple(failure for features in self.datasets.values() for failure in features.failures))

    def to_json(self) -> dict[str, Any]:
        """Return what `overlap.json` holds: every number of the overlap, with what it rests on."""
        return {
            "overlens": __version__,
            "datasets": {name: _dataset_numbers(features) for name, features in self.datasets.items()},
            "reference": self.config.reference,
            "model": None if self.model is None else asdict(self.model),
            "methods": {method: self._method_numbers(method) for method in self.overlaps()},
            "recall": [recall.to_json() for recall in self.recalls],
        }

    def _method_numbers(self, method: str) -> dict[str, Any]:
        pairs, hashing = self.config.pairs, self.config.hashing
        if method == VERIFIED_METHOD and self.copies is not None:
            return self.copies.to_json()
        couples = {"thresholds": self.thresholds.to_json(method)} if self.thresholds.is_automatic(method) else {}
        if method == "cosine":
            basis: dict[str, Any] = {"min_similarity": pairs.min_similarity}
        else:
            basis = {
                "hash_type": hashing.hash_type,
                "hash_size": hashing.hash_size,
                "max_distance_bits": pairs.max_distance_bits,
            }
        return {**basis, **couples, **self.overlap(method).to_json()}


def _dataset_numbers(features: Features) -> dict[str, Any]:
    return {
        "attempted": features.n_attempted,
        "kept": features.n_kept,
        "failed": features.n_failed,
        "label_source": features.label_source,
    }


def _read_pairs(pair_set: PairSet) -> PairTable:
    rows = json.loads(pair_set.path.read_text(encoding="utf-8"))
    return PairTable(pair_set.first, pair_set.second, tuple((one, two, score) for one, two, score in rows))
