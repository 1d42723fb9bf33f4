"""Pairs by one method: within each dataset and between every two, saved in order, and the overlap they make.

Pairs within a dataset that is taken as given are not looked for: there is no list of them, because an empty one would
say that there are none.

Pairs stream from the search through a spool on disk into the documented JSON lists, so memory does not grow with their
number. What stays is which images have a match, and the few most alike pairs for the galleries.
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.atomic import replaced_text
from overlens.calibration.thresholds import Thresholds
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.overlap import Overlap, measure_overlap
from overlens.progress import Progress
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
    method: str, datasets: Sequence[Features], thresholds: Thresholds, root: Path, progress: Progress
) -> Matches:
    """Find the pairs of every dataset and of every two, and write them below `root` in the documented files.

    Args:
        method: "cosine" or "perceptual".
        datasets: The datasets, in the order of the run.
        thresholds: The threshold of every couple, and which couples are compared.
        root: Below it the files are written.
        progress: Shows how far it has come.

    Raises:
        ConfigError: A couple has no threshold by this method.
    """
    couples = list(combinations_with_replacement(datasets, 2))
    compared = [(left, right) for left, right in couples if thresholds.compares(left.dataset, right.dataset)]
    total = sum(count_comparisons(left.n_kept, None if left is right else right.n_kept) for left, right in compared)
    ranks = {features.dataset: _rank_names(features.keys) for features in datasets}
    flags = {
        (left.dataset, right.dataset): MatchFlags(left.n_kept, None if left is right else right.n_kept)
        for left, right in couples
    }
    pair_sets = []
    with progress.stage(f"Pairs by {method}", total, "comparisons") as stage, _spool_folder(root) as folder:
        for left, right in compared:
            couple = left.dataset, right.dataset
            threshold = thresholds.of(method, *couple)
            blocks = flags[couple].watch(_search(method, (left, right), threshold, stage.advance))
            order = MOST_ALIKE[method]
            with PairSpool(folder, ranks[couple[0]], ranks[couple[1]], most_alike_first=order) as spool:
                for block in blocks:
                    spool.add(block)
                path = _save(method, left, right, spool, root)
                pair_sets.append(PairSet(method, *couple, spool.n_pairs, spool.top(EXAMPLES), path, threshold))
    return Matches(method, tuple(pair_sets), _overlap(method, flags, thresholds.reference))


def _search(
    method: str, couple: tuple[Features, Features], threshold: float, advance: Callable[[int], None]
) -> Iterator[PairBlock]:
    left, right = couple
    within = left is right
    if method == "cosine":
        rows, others = left.require_embeddings(), None if within else right.require_embeddings()
        return find_cosine_pairs(rows, others, min_similarity=threshold, progress=advance)
    hashes, other_hashes = left.require_hashes(), None if within else right.require_hashes()
    return find_hamming_pairs(hashes, other_hashes, max_distance_bits=int(threshold), progress=advance)


def _save(method: str, left: Features, right: Features, spool: PairSpool, root: Path) -> Path:
    if left is right:
        path = AnalysisLayout(root, left.dataset).duplicates(method)
    else:
        path = CrossLayout(root).duplicates(left.dataset, right.dataset, method)
    with replaced_text(path) as stream:
        write_pairs_json(stream, spool.sorted_blocks(), left.keys, left.keys if left is right else right.keys)
    LOG.debug("%d pairs by %s in %s", spool.n_pairs, method, path)
    return path


def _overlap(method: str, flags: Mapping[tuple[str, str], MatchFlags], reference: str | None) -> Overlap:
    own = {first: seen for (first, second), seen in flags.items() if first == second}
    across = {names: seen for names, seen in flags.items() if names[0] != names[1]}
    return measure_overlap(
        method,
        within={name: seen.left for name, seen in own.items()},
        across={names: seen.left for names, seen in across.items()}
        | {(second, first): seen.right for (first, second), seen in across.items()},
        pairs_within={name: None if name == reference else seen.n_pairs for name, seen in own.items()},
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
