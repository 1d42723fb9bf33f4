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

from overlens.adjusted_scores import PredictionScores
from overlens.bridge import LabelComparison
from overlens.calibration.thresholds import Thresholds, not_looked_for
from overlens.checks import require_dataset
from overlens.config import RunConfig
from overlens.copies import Copies
from overlens.errors import ConfigError, StoreError
from overlens.fewshot.splits import EpisodeSet, Split, Splits
from overlens.fewshot.variance import SeedVariance
from overlens.frames import make_frame
from overlens.matching import Matches, PairSet
from overlens.overlap import VERIFIED_METHOD, Overlap
from overlens.pair_tables import GroupTable, JudgedTable, group_table, judged_table
from overlens.projections.methods import ProjectionTable
from overlens.recall.identifiers import Identifiers
from overlens.recall.measure import IdentifierRecall
from overlens.records import Failure, Features, ModelInfo
from overlens.transfer.centroids import Transfer
from overlens.transfer.matrix import TransferMatrix
from overlens.venn_layout import venn_layout_error
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
        identifiers: The identifiers of each dataset, row by row, and where they come from.
        recalls: How many of the identifiers that two datasets share were found.
        few_shot: Few-shot splits and episodes of each dataset that is not held out, if asked for.
        variances: Dataset -> how much the accuracy of simple probes depends on the seed of its splits.
        transfers: Generalization for each ordered pair of datasets, if asked for.
        transfer_matrix: All figures of generalization with and without the overlap, if asked for.
        labels: Which class of one dataset is which of another by their copies, if generalization is asked for.
        scores: What models score with and without the images that other datasets hold, if predictions are given.
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
    identifiers: tuple[Identifiers, ...] = ()
    recalls: tuple[IdentifierRecall, ...] = ()
    few_shot: tuple[Splits, ...] = ()
    variances: Mapping[str, tuple[SeedVariance, ...]] = field(default_factory=dict)
    transfers: tuple[Transfer, ...] = ()
    transfer_matrix: TransferMatrix | None = None
    labels: LabelComparison | None = None
    scores: PredictionScores | None = None
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

    @property
    def splits(self) -> tuple[Split, ...]:
        """Few-shot splits of all datasets, by dataset, strategy, k and seed."""
        return tuple(split for splits in self.few_shot for split in splits.drawn)

    @property
    def episodes(self) -> tuple[EpisodeSet, ...]:
        """Sets of few-shot episodes of all datasets, by dataset, k and seed."""
        return tuple(episodes for splits in self.few_shot for episodes in splits.episodes)

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
        """Read the pairs by "cosine" or "perceptual" between two datasets, or within the first.

        All of them are read, so mind their number. Judged pairs have a verdict and evidence instead of one score:
        `judged_pairs`.

        Raises:
            ConfigError: The run has no such method or dataset, or it is the reference twice.
            StoreError: The list is no longer where the run has written it.
        """
        if method == VERIFIED_METHOD and self.copies is not None:
            raise ConfigError(
                "verified pairs have a verdict and evidence instead of one score; take result.judged_pairs(first, "
                "second), or read pairs.parquet"
            )
        if method not in self.matches:
            raise ConfigError(f"there are no lists of pairs by {method!r}; there are {', '.join(self.matches)}")
        couple = self._require_compared(first, first if second is None else second)
        for pair_set in self.matches[method].pair_sets:
            if (pair_set.first, pair_set.second) == couple:
                return _read_pairs(pair_set)
        return next(
            _read_pairs(one).turned() for one in self.matches[method].pair_sets if (one.second, one.first) == couple
        )

    def judged_pairs(self, first: str | None = None, second: str | None = None) -> JudgedTable:
        """Return the judged pairs that were not refuted, with verdict and evidence, as `pairs.parquet` holds them.

        Args:
            first: A dataset; without it the pairs of all datasets.
            second: Another one; without it the pairs within the first.

        Raises:
            ConfigError: Nothing was verified, there is no dataset of such a name, or it is the reference twice.
        """
        copies, features = self._require_copies(), list(self.datasets.values())
        if first is None and second is not None:
            raise ConfigError(f"of judged pairs only the second dataset is given, {second!r}; give the first one, too")
        if first is None:
            return judged_table(copies, features)
        return judged_table(copies, features, self._require_compared(first, first if second is None else second))

    def groups(self) -> GroupTable:
        """Return the images of all groups of copies, as `groups.parquet` holds them.

        Raises:
            ConfigError: Nothing was verified.
        """
        return group_table(self._require_copies().groups, list(self.datasets.values()))

    def _require_copies(self) -> Copies:
        if self.copies is None:
            raise ConfigError(
                "nothing was verified in this run, so there are no judged pairs and no groups; run it on images, and "
                "without no_verify"
            )
        return self.copies

    def _require_compared(self, first: str, second: str) -> tuple[str, str]:
        for name in (first, second):
            require_dataset(name, self.datasets)
        if not self.thresholds.compares(first, second):
            raise ConfigError(not_looked_for(first))
        return first, second

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
            "scaled_decode": self.config.scaled_decode,
            "methods": {method: self._method_numbers(method) for method in self.overlaps()},
            "identifiers": {
                one.dataset: {"source": one.source, "n_identified": one.n_identified} for one in self.identifiers
            },
            "recall": [recall.to_json() for recall in self.recalls],
        }

    def _method_numbers(self, method: str) -> dict[str, Any]:
        return {**self._counts(method), "venn_layout_error": venn_layout_error(self.overlap(method))}

    def _counts(self, method: str) -> dict[str, Any]:
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
    try:
        rows = json.loads(pair_set.path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(
            f"{pair_set.path} cannot be read ({error.strerror}); run the analysis again with output=FOLDER, and keep it"
        ) from error
    return PairTable(pair_set.first, pair_set.second, tuple((one, two, score) for one, two, score in rows))
