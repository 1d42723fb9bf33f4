"""Pairs by one method: within each dataset and between every two, saved in order, and the overlap they make.

Pairs stream from the search through a spool on disk into the documented JSON lists, so memory does not grow with their
number. What stays is which images have a match, and the few most alike pairs for the galleries.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import replaced_text
from overlens.calibration.thresholds import Thresholds, given_thresholds
from overlens.config import PairConfig
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.overlap import Overlap, measure_overlap
from overlens.progress import Progress, Stage
from overlens.records import Features, PairBlock
from overlens.search.cosine import find_cosine_pairs
from overlens.search.hamming import find_hamming_pairs
from overlens.search.tiles import count_comparisons
from overlens.spool import MatchFlags, Order, PairSpool, write_pairs_json

LOG = logging.getLogger(__name__)
MOST_ALIKE: dict[str, Order] = {"cosine": "descending", "perceptual": "ascending"}
EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class PairSet:
    """The pairs of one method within a dataset, where `second` is `first`, or between two.

    Attributes:
        method: "cosine" or "perceptual".
        first: Dataset of the left rows.
        second: Dataset of the right rows.
        n_pairs: Number of pairs.
        examples: The most alike of them, at most `EXAMPLES`, in order.
        path: The JSON list that holds them all.
        threshold: Smallest cosine similarity or largest distance in bits, inclusive.
    """

    method: str
    first: str
    second: str
    n_pairs: int
    examples: PairBlock
    path: Path
    threshold: float

    @property
    def is_within(self) -> bool:
        """Whether both images of a pair are of one dataset."""
        return self.first == self.second


@dataclass(frozen=True, slots=True)
class Matches:
    """Everything one method found."""

    method: str
    pair_sets: tuple[PairSet, ...]
    overlap: Overlap


def match_datasets(
    method: str,
    datasets: Sequence[Features],
    config: PairConfig,
    root: Path,
    progress: Progress,
    *,
    thresholds: Thresholds | None = None,
) -> Matches:
    """Find the pairs of every dataset and of every two, and write them below `root` in the documented files.

    Args:
        method: "cosine" or "perceptual".
        datasets: The datasets, in the order of the run.
        config: States the threshold for all couples, unless `thresholds` does.
        root: Below it the files are written.
        progress: Shows how far it has come.
        thresholds: The threshold of every couple; needed where `config` leaves it to calibration.
    """
    if thresholds is None:
        thresholds = given_thresholds(config, [features.dataset for features in datasets])
    couples = list(combinations_with_replacement(datasets, 2))
    total = sum(
        count_comparisons(left.n_kept, None if left is right else right.n_kept)
        for left, right in couples
        if thresholds.compares(left.dataset, right.dataset)
    )
    ranks = {features.dataset: _rank_names(features.keys) for features in datasets}
    flags: dict[tuple[str, str], MatchFlags] = {}
    pair_sets = []
    with progress.stage(f"Pairs by {method}", total, "comparisons") as stage, _spool_folder(root) as folder:
        for left, right in couples:
            names = left.dataset, right.dataset
            flags[names] = MatchFlags(left.n_kept, None if left is right else right.n_kept)
            threshold = thresholds.of(method, *names)
            searched = _search(method, left, right, threshold, stage) if thresholds.compares(*names) else iter(())
            blocks = flags[names].watch(searched)
            order = MOST_ALIKE[method]
            with PairSpool(folder, ranks[names[0]], ranks[names[1]], most_alike_first=order) as spool:
                for block in blocks:
                    spool.add(block)
                path = _save(method, left, right, spool, root)
                pair_sets.append(PairSet(method, *names, spool.n_pairs, spool.top(EXAMPLES), path, threshold))
    return Matches(method, tuple(pair_sets), _overlap(method, flags))


def _search(method: str, left: Features, right: Features, threshold: float, stage: Stage) -> Iterator[PairBlock]:
    within = left is right
    if method == "cosine":
        rows, others = left.require_embeddings(), None if within else right.require_embeddings()
        return find_cosine_pairs(rows, others, min_similarity=threshold, progress=stage.advance)
    hashes, other_hashes = left.require_hashes(), None if within else right.require_hashes()
    return find_hamming_pairs(hashes, other_hashes, max_distance_bits=int(threshold), progress=stage.advance)


def _save(method: str, left: Features, right: Features, spool: PairSpool, root: Path) -> Path:
    if left is right:
        path = AnalysisLayout(root, left.dataset).duplicates(method)
    else:
        path = CrossLayout(root).duplicates(left.dataset, right.dataset, method)
    with replaced_text(path) as stream:
        write_pairs_json(stream, spool.sorted_blocks(), left.keys, left.keys if left is right else right.keys)
    LOG.debug("%d pairs by %s in %s", spool.n_pairs, method, path)
    return path


def _overlap(method: str, flags: Mapping[tuple[str, str], MatchFlags]) -> Overlap:
    across = {names: seen for names, seen in flags.items() if names[0] != names[1]}
    return measure_overlap(
        method,
        within={first: seen.left for (first, second), seen in flags.items() if first == second},
        across={names: seen.left for names, seen in across.items()}
        | {(second, first): seen.right for (first, second), seen in across.items()},
        pairs_within={first: seen.n_pairs for (first, second), seen in flags.items() if first == second},
        pairs_across={names: seen.n_pairs for names, seen in across.items()},
    )


def _rank_names(keys: Sequence[str]) -> NDArray[np.int32]:
    """Return `(n,)` int32, the rank of each key among the sorted keys."""
    ranks = np.empty(len(keys), np.int32)
    ranks[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys), dtype=np.int32)
    return ranks


@contextmanager
def _spool_folder(root: Path) -> Iterator[Path]:
    """Make an empty folder for pairs on their way to their files; a killed run may have left one behind."""
    folder = CrossLayout(root).spool
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
