"""Which pairs of images are worth a close look: everything that any cheap signal proposes, found exactly and bounded.

A pair of images is a candidate if

* its files or its decoded pixels are equal; or
* one of the four hashes of either image is within that hash's radius of the other image's in one of its eight
  orientations (radii `MAX_DISTANCE_BITS`, loose on purpose: candidates are judged afterwards); or
* their embeddings are among the `neighbours` nearest of each other, or one is the very nearest of the other, within
  a dataset or between two, at `min_cosine` or more. Datasets are searched two by two, so near-duplicates inside one do
  not crowd out the copy in the other; what is mutual among all datasets together is so between two as well.

Images with too little to see enter by equality only: all blank pages hash alike.

The bound. Of what hashes and embeddings propose, an image keeps its best `max_per_image` partners, and a pair stays if
it is among the best of either image. Best is the highest merit: the largest of `1 - distance / (radius + 1)` over the
hashes that propose the pair, and of `(cosine - min_cosine) / (1 - min_cosine)` if its embeddings do; of equal merits
the lower row. So at most n * `max_per_image` pairs stay, and the choice depends on the images alone. Images that had
more are counted.

Equal images stand beside all this: a class of up to `MOST_FULL` gives all its pairs, a larger one a star
(`overlens.search.equal`), and nothing else pairs two of them. Of images with equal pixels only the first of each
dataset is searched by hash and embedding, for the lists of an image would otherwise fill with copies of one picture
and lose the edit that stands behind these. So a picture more or less that its dataset has already changes nothing for
any other image. What is alike to it is paired with the first of its dataset alone, and reaches the others through their
equality; only copies of a reference that has no equal outside, which are not paired with one another, share its list.

Memory: a few tiles, `max_per_image` places of 8 bytes and the evidence columns, 316 bytes, an image; embeddings may be
memory-mapped. Time grows with the square of the images.

Shapes: n images in all, m pairs, t hash types, d dimensions.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.copies import Picked, find_equal, find_lone_copies, join_pairs, pick_rows
from overlens.candidates.shortlist import Shortlist
from overlens.candidates.signals import Signals, Sources, measure_signals
from overlens.columns import Column, require_columns
from overlens.config import HASH_TYPES
from overlens.errors import ConfigError
from overlens.roster import Roster
from overlens.search.mutual import PickedRows, find_mutual_pairs
from overlens.search.oriented import find_oriented_pairs
from overlens.search.tiles import count_comparisons

if TYPE_CHECKING:
    pass

__all__ = ["CandidateConfig", "CandidatePairs", "Roster", "count_candidate_comparisons", "find_candidates"]

MAX_DISTANCE_BITS: Mapping[str, int] = {"phash": 10, "dhash": 8, "whash": 3, "ahash": 3}
"""Radius of each hash, of 64 bits: what it takes to find copies while an image has about one candidate by hash."""

Progress = Callable[[int], None]
Couple = tuple[int, int]
Proposals = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class CandidateConfig:
    """How candidates are found.

    Attributes:
        max_per_image: Candidates that an image keeps by hash and embedding, at least 1.
        neighbours: Nearest neighbours that are looked at in each dataset, at least 1.
        min_cosine: Smallest cosine similarity of a pair proposed by embedding, inclusive, -1 to below 1.
        max_distance_bits: Radius of each of `HASH_TYPES`, inclusive, 0 to 63 bits.
    """

    max_per_image: int = 20
    neighbours: int = 5
    min_cosine: float = 0.4
    max_distance_bits: Mapping[str, int] = field(default_factory=lambda: dict(MAX_DISTANCE_BITS))

    def __post_init__(self) -> None:
        for option, value in (("--max-candidates", self.max_per_image), ("neighbours", self.neighbours)):
            if value < 1:
                raise ConfigError(f"{option} {value} is too small; allowed is 1 or more")
        if not (math.isfinite(self.min_cosine) and -1 <= self.min_cosine < 1):
            raise ConfigError(f"min_cosine {self.min_cosine} is out of range; allowed is -1 to below 1, such as 0.4")
        if set(self.max_distance_bits) != set(HASH_TYPES):
            raise ConfigError(f"max_distance_bits names {sorted(self.max_distance_bits)}; name each of {HASH_TYPES}")
        for hash_type, radius in self.max_distance_bits.items():
            if not 0 <= radius < 64:
                raise ConfigError(f"the radius of {hash_type} is {radius} bits; allowed is 0 to 63")

    @property
    def radii(self) -> tuple[int, ...]:
        """Radius of each hash in the order of `HASH_TYPES`, bits."""
        return tuple(self.max_distance_bits[hash_type] for hash_type in HASH_TYPES)


@dataclass(frozen=True, slots=True)
class CandidatePairs:
    """Pairs of images to look at, each once, sorted by (left, right), with every cheap signal.

    Attributes:
        left: `(m,)` int32 global rows.
        right: `(m,)` int32 global rows, `left < right`.
        same_bytes: `(m,)` bool, the files are equal.
        same_pixels: `(m,)` bool, the decoded pictures are equal.
        distances: `(m, t)` uint8 bits, the smallest over the eight orientations of either for each of `HASH_TYPES`.
        orientation: `(m,)` uint8, the code c for which orient(right image, c) is nearest to the left image.
        cosine: `(m,)` float32, nan where no encoder ran.
        n_capped: Images that had more candidates than they may keep.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    same_bytes: NDArray[np.bool_]
    same_pixels: NDArray[np.bool_]
    distances: NDArray[np.uint8]
    orientation: NDArray[np.uint8]
    cosine: NDArray[np.float32]
    n_capped: int = 0

    def __post_init__(self) -> None:
        wanted: dict[str, Column] = {
            "left": (np.int32, ()),
            "right": (np.int32, ()),
            "same_bytes": (np.bool_, ()),
            "same_pixels": (np.bool_, ()),
            "distances": (np.uint8, (len(HASH_TYPES),)),
            "orientation": (np.uint8, ()),
            "cosine": (np.float32, ()),
        }
        require_columns(self, len(self.left), wanted)
        steps = np.diff(self.left.astype(np.int64) << 32 | self.right)
        if not (self.left < self.right).all() or not (steps > 0).all():
            raise ValueError("pairs must have left < right and stand once each, sorted by left and right")

    def __len__(self) -> int:
        return len(self.left)


def find_candidates(
    sources: Sources,
    config: CandidateConfig,
    *,
    reference: str | None = None,
    progress: Progress | None = None,
) -> CandidatePairs:
    """Return every pair that a cheap signal proposes, within the bound, with all signals filled in.

    Args:
        sources: The datasets, their digests, hashes and detail, and embeddings of length 1 or none.
        config: Radii, neighbours and bound.
        reference: Dataset whose images are not paired with one another, or None.
        progress: Called with the number of comparisons made since the last call; these sum up to
            `count_candidate_comparisons`.

    Raises:
        ValueError: There is no dataset `reference`.
    """
    roster = sources.roster
    own_pairs = None if reference is None else roster.number_of(reference)
    equal = find_equal(sources, own_pairs)
    searched = pick_rows(sources, equal.first)
    shortlist = Shortlist(roster.n_images, config.max_per_image)
    for couple in _couples(roster, own_pairs):
        for left, right, merits in _search_couple(sources, couple, searched, config, progress):
            differ = equal.first[left] != equal.first[right]
            shortlist.add(left[differ], right[differ], merits[differ])
    copies = find_lone_copies(roster, equal.first, own_pairs)
    left, right = join_pairs(
        [(equal.left, equal.right), shortlist.pairs(), shortlist.pairs_as(copies, equal.first[copies])]
    )
    signals = measure_signals(sources, left, right)
    columns = {name: getattr(signals, name) for name in Signals.__slots__}
    return CandidatePairs(left, right, **columns, n_capped=shortlist.n_capped)


def count_candidate_comparisons(roster: Roster, *, with_embeddings: bool, reference: str | None = None) -> int:
    """Return what the progress calls of `find_candidates` sum up to."""
    own_pairs = None if reference is None else roster.number_of(reference)
    n_searches = len(HASH_TYPES) + with_embeddings
    return n_searches * sum(_count_comparisons(roster, couple) for couple in _couples(roster, own_pairs))


def _couples(roster: Roster, own_pairs: int | None) -> list[Couple]:
    """Return every dataset with itself and every two, but not dataset `own_pairs` with itself."""
    couples = combinations_with_replacement(range(len(roster.datasets)), 2)
    return [couple for couple in couples if couple != (own_pairs, own_pairs)]


def _count_comparisons(roster: Roster, couple: Couple) -> int:
    first, second = couple
    return count_comparisons(roster.sizes[first], None if first == second else roster.sizes[second])


def _search_couple(
    sources: Sources,
    couple: Couple,
    searched: Sequence[Picked],
    config: CandidateConfig,
    progress: Progress | None,
) -> Iterator[Proposals]:
    """Yield global rows and merits of what each hash and the embedding propose within a dataset or between two."""
    picked = searched[couple[0]], searched[couple[1]]
    starts = sources.roster.offsets[list(couple)]
    rows = [(part.rows + start).astype(np.int32) for part, start in zip(picked, starts, strict=True)]
    planned = _count_comparisons(sources.roster, couple)
    actual = count_comparisons(len(rows[0]), None if couple[0] == couple[1] else len(rows[1]))
    for proposals in _searches(sources, couple, picked, config, progress):
        for left, right, merits in proposals:
            yield rows[0][left], rows[1][right], merits
        if progress is not None and planned > actual:
            progress(planned - actual)  # with images that are set aside


def _searches(
    sources: Sources,
    couple: Couple,
    picked: tuple[Picked, Picked],
    config: CandidateConfig,
    progress: Progress | None,
) -> Iterator[Iterable[Proposals]]:
    """Yield what each search proposes, in searched rows."""
    for place, radius in enumerate(config.radii):
        hashes = [
            sources.evidence[d].hashes[:, :, place][part.rows]
            for d, part in zip(dict.fromkeys(couple), picked, strict=False)
        ]
        blocks = find_oriented_pairs(
            hashes[0], None if couple[0] == couple[1] else hashes[1], max_distance_bits=radius, progress=progress
        )
        yield ((b.left, b.right, (1 - b.scores / (radius + 1)).astype(np.float32)) for b in blocks)
    if sources.embeddings is not None:
        sides = [
            PickedRows(sources.embeddings[d], part.rows, part.classes) for d, part in zip(couple, picked, strict=True)
        ]
        found = find_mutual_pairs(
            sides[0],
            None if couple[0] == couple[1] else sides[1],
            k=config.neighbours,
            min_similarity=config.min_cosine,
            progress=progress,
        )
        merits = (found.scores - config.min_cosine) / (1 - config.min_cosine)
        yield [(found.left, found.right, np.clip(merits, 0, 1).astype(np.float32))]
