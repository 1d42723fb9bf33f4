"""Measure transfer between all ordered pairs of datasets, and of each dataset to itself.

Pairs are measured on all cores. Memory is that of the rows of all datasets, twice where they are not in the order of
their keys, and of two halves and some millions of products for each core.

Pairs are in the order of the datasets, source by source, a dataset to itself among them: there, figures are in-domain
over all its own classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from overlens.cores import map_parts
from overlens.errors import DatasetError
from overlens.frames import make_frame
from overlens.probes import PROBES
from overlens.transfer.figures import FIGURE_COLUMNS, PairTransfer
from overlens.transfer.inputs import CommonClasses, Labelled, TransferConfig
from overlens.transfer.pairs import Memory, measure_pair, measure_within

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class TransferMatrix:
    """Transfer between all ordered pairs of datasets, and of each to itself.

    Attributes:
        datasets: Names, in the order given.
        pairs: One for each source and target, source by source.
        config: How they were measured.
        copies_unknown_within: Dataset -> why copies within it are not all known, in words; only where it is so.
    """

    datasets: tuple[str, ...]
    pairs: tuple[PairTransfer, ...]
    config: TransferConfig
    copies_unknown_within: Mapping[str, str] = field(default_factory=dict)

    def pair(self, source: str, target: str) -> PairTransfer:
        """Return one pair; raises KeyError where there is none."""
        for one in self.pairs:
            if (one.source, one.target) == (source, target):
                return one
        raise KeyError(f"{source!r} to {target!r} is not among the datasets {', '.join(self.datasets)}")

    def to_json(self) -> dict[str, object]:
        """Return everything as plain dictionaries and lists, floats rounded to 6 digits.

        `copies_unknown_within` stands only where there is such a dataset.
        """
        unknown = {"copies_unknown_within": dict(self.copies_unknown_within)} if self.copies_unknown_within else {}
        return {
            "datasets": list(self.datasets),
            "probes": list(PROBES),
            "seed": self.config.seed,
            "n_folds": self.config.n_folds,
            "n_resamples": self.config.n_resamples,
            "n_draws": self.config.n_draws,
            **unknown,
            "pairs": [one.to_json() for one in self.pairs],
        }

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Yield one row of `FIGURE_COLUMNS` a pair, figure and choice of images; None where unknown."""
        for one in self.pairs:
            yield from one.rows()

    def class_rows(self) -> Iterator[tuple[object, ...]]:
        """Yield one row of `CLASS_COLUMNS` a pair, class, figure and choice of images."""
        for one in self.pairs:
            yield from one.class_rows()

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row a pair, figure and choice of images: `FIGURE_COLUMNS`. Nothing is rounded.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return make_frame(self.rows(), FIGURE_COLUMNS, {"value": "Float64", "n_classes": "Int64"})


def measure_matrix(
    datasets: Sequence[Labelled],
    common: Mapping[tuple[str, str], CommonClasses],
    config: TransferConfig | None = None,
) -> TransferMatrix:
    """Measure transfer between all ordered pairs of datasets.

    Args:
        datasets: The datasets, of one encoder.
        common: (source, target) -> their common classes, for every ordered pair of different datasets.
        config: How to measure.

    Raises:
        DatasetError: The embeddings differ in dimensions.
    """
    config = config or TransferConfig()
    _require_one_encoder(datasets)
    orders = {one.dataset: one.order() for one in datasets}
    sides = [one.take(orders[one.dataset]) for one in datasets]
    taken = {pair: classes.take(*(orders[name] for name in pair)) for pair, classes in common.items()}
    memory = Memory()

    def measure(pair: tuple[Labelled, Labelled]) -> PairTransfer:
        source, target = pair
        if source is target:
            return measure_within(source, memory, config)
        return measure_pair(source, target, taken[source.dataset, target.dataset], memory, config)

    _load_libraries()
    pairs = tuple(map_parts(measure, [(source, target) for source in sides for target in sides]))
    unknown = {one.dataset: one.copies_unknown for one in datasets if one.copies_unknown}
    return TransferMatrix(tuple(one.dataset for one in datasets), pairs, config, unknown)


def _load_libraries() -> None:
    """Load what the threads use, so that none of them waits for it, and that their products are kept in one thread.

    scipy brings a matrix library of its own, which `map_parts` holds back only if it is there when it begins.
    """
    import scipy.linalg  # noqa: F401
    import sklearn.linear_model  # noqa: F401

    import overlens.search.kernels  # noqa: F401


def _require_one_encoder(datasets: Sequence[Labelled]) -> None:
    dims = {one.dataset: one.rows.shape[1] for one in datasets}
    if len(set(dims.values())) > 1:
        raise DatasetError(f"embeddings differ in dimensions: {dims}; make all with the same encoder")
