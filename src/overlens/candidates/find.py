"""Which pairs of images are worth a close look: everything that any cheap signal proposes, found exactly and bounded.

A pair of images is a candidate if

* its files or its decoded pixels are equal; or
* one of the four hashes of the left image is within that hash's radius of the right image's in one of its eight
  orientations (radii `MAX_DISTANCE_BITS`, loose on purpose: candidates are judged afterwards); or
* their embeddings are among the `neighbours` nearest of each other, or one is the very nearest of the other, within
  a dataset or between two, at `min_cosine` or more. Datasets are searched two by two, so near-duplicates inside one do
  not crowd out the copy in the other; what is mutual among all datasets together is so between two as well.

Images with too little to see enter by equality only: all blank pages hash alike.

The bound. Of what hashes and embeddings propose, an image keeps its best `max_per_image` partners, and a pair stays if
it is among the best of either image. Best is the highest merit: the larger of `1 - distance / (radius + 1)`, over the
hashes within their radius, and `(cosine - min_cosine) / (1 - min_cosine)`; of equal merits the lower row. So at most
n * `max_per_image` pairs stay, and the choice depends on the images alone. Images that had more are counted. Equal
images stand beside the bound: a class of up to `max_per_image` + 1 gives all its pairs, a larger one a star
(`overlens.search.equal`), of which only the centre is searched by hash and embedding.

Memory: a few tiles and `max_per_image` places an image. Time grows with the square of the images.

Shapes: n images in all, m pairs, t hash types, d dimensions.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.shortlist import Shortlist
from overlens.candidates.signals import Signals, Sources, measure_signals
from overlens.config import HASH_TYPES
from overlens.errors import ConfigError
from overlens.records import FloatRows, PairBlock
from overlens.roster import Roster
from overlens.search.equal import EqualRows, find_equal_rows
from overlens.search.mutual import PickedRows, find_mutual_pairs
from overlens.search.oriented import find_oriented_pairs
from overlens.search.tiles import count_comparisons

if TYPE_CHECKING:
    from overlens.evidence import Evidence

__all__ = ["CandidateConfig", "CandidatePairs", "Roster", "count_candidate_comparisons", "find_candidates"]

MAX_DISTANCE_BITS: Mapping[str, int] = {"phash": 10, "dhash": 8, "whash": 3, "ahash": 3}
"""Radius of each hash, of 64 bits: what it takes to find copies while an image has about one candidate by hash."""

Progress = Callable[[int], None]
LocalRows = NDArray[np.int64]
Couple = tuple[int, int]
Columns = tuple[NDArray[np.int32], NDArray[np.int32]]


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
        distances: `(m, t)` uint8 bits, the smallest over the eight orientations for each of `HASH_TYPES`.
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
        wanted: dict[str, tuple[type, tuple[int, ...]]] = {
            "left": (np.int32, ()),
            "right": (np.int32, ()),
            "same_bytes": (np.bool_, ()),
            "same_pixels": (np.bool_, ()),
            "distances": (np.uint8, (len(HASH_TYPES),)),
            "orientation": (np.uint8, ()),
            "cosine": (np.float32, ()),
        }
        for name, (dtype, shape) in wanted.items():
            column = getattr(self, name)
            if column.dtype != dtype or column.shape != (len(self.left), *shape):
                expected = f"{np.dtype(dtype)} of shape {(len(self.left), *shape)}"
                raise ValueError(f"{name} must be {expected}, got {column.dtype} of shape {column.shape}")
        steps = np.diff(self.left.astype(np.int64) << 32 | self.right)
        if not (self.left < self.right).all() or not (steps > 0).all():
            raise ValueError("pairs must have left < right and stand once each, sorted by left and right")

    def __len__(self) -> int:
        return len(self.left)


def find_candidates(
    roster: Roster,
    evidence: Sequence["Evidence"],
    embeddings: Sequence[FloatRows] | None,
    config: CandidateConfig,
    *,
    reference: str | None = None,
    progress: Progress | None = None,
) -> CandidatePairs:
    """Return every pair that a cheap signal proposes, within the bound, with all signals filled in.

    Args:
        roster: The datasets; `evidence` and `embeddings` have one entry for each, in its order.
        evidence: Digests, hashes and detail of each dataset.
        embeddings: `(n_i, d)` float32 rows of length 1 of each dataset, in memory or memory-mapped, or None.
        config: Radii, neighbours and bound.
        reference: Dataset whose images are not paired with one another, or None.
        progress: Called with the number of comparisons made since the last call; these sum up to
            `count_candidate_comparisons`.

    Raises:
        ValueError: Sizes do not fit, or there is no dataset `reference`.
    """
    sources = Sources(roster, evidence, embeddings)
    own_pairs = None if reference is None else roster.number_of(reference)
    equal = _find_equal(sources, config, own_pairs)
    searched = _rows_to_search(sources, equal)
    shortlist = Shortlist(sources, config.max_per_image, config.radii, config.min_cosine)
    for couple in _couples(roster, own_pairs):
        for left, right in _search_couple(sources, couple, searched, config, progress):
            shortlist.add(left, right)
    left, right = _join_pairs([(equal.left, equal.right), shortlist.pairs()])
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


def _find_equal(sources: Sources, config: CandidateConfig, own_pairs: int | None) -> EqualRows:
    """Return the pairs of images with equal bytes or pixels, in global rows."""
    in_reference = np.repeat(np.arange(len(sources.roster.sizes)) == own_pairs, sources.roster.sizes)
    kinds = [[part.byte_digests for part in sources.evidence], [part.pixel_digests for part in sources.evidence]]
    most_full = config.max_per_image + 1
    bytes_, pixels = (
        find_equal_rows(np.concatenate(columns), most_full=most_full, in_reference=in_reference) for columns in kinds
    )
    left, right = _join_pairs([(bytes_.left, bytes_.right), (pixels.left, pixels.right)])
    return EqualRows(left, right, pixels.is_redundant)


def _rows_to_search(sources: Sources, equal: EqualRows) -> list[LocalRows]:
    """Return which rows of each dataset are searched by hash and embedding."""
    parts = np.split(equal.is_redundant, sources.roster.offsets[1:-1])
    return [
        np.flatnonzero(~(redundant | part.low_information))
        for redundant, part in zip(parts, sources.evidence, strict=True)
    ]


def _search_couple(
    sources: Sources,
    couple: Couple,
    searched: Sequence[LocalRows],
    config: CandidateConfig,
    progress: Progress | None,
) -> Iterator[Columns]:
    """Yield pairs of global rows proposed by each hash and by embedding, within a dataset or between two."""
    rows = searched[couple[0]], searched[couple[1]]
    global_rows = [(part + sources.roster.offsets[d]).astype(np.int32) for part, d in zip(rows, couple, strict=True)]
    planned = _count_comparisons(sources.roster, couple)
    actual = count_comparisons(len(rows[0]), None if couple[0] == couple[1] else len(rows[1]))
    for blocks in _searches(sources, couple, rows, config, progress):
        for block in blocks:
            yield global_rows[0][block.left], global_rows[1][block.right]
        if progress is not None and planned > actual:
            progress(planned - actual)  # with images that are set aside


def _searches(
    sources: Sources,
    couple: Couple,
    rows: tuple[LocalRows, LocalRows],
    config: CandidateConfig,
    progress: Progress | None,
) -> Iterator[Iterable[PairBlock]]:
    for place, radius in enumerate(config.radii):
        hashes = [
            sources.evidence[d].hashes[:, :, place][part] for d, part in zip(dict.fromkeys(couple), rows, strict=False)
        ]
        yield find_oriented_pairs(
            hashes[0], hashes[1] if len(hashes) > 1 else None, max_distance_bits=radius, progress=progress
        )
    if sources.embeddings is not None:
        sides = [_pick(sources.embeddings[d], part) for d, part in zip(dict.fromkeys(couple), rows, strict=False)]
        yield [
            find_mutual_pairs(
                sides[0],
                sides[1] if len(sides) > 1 else None,
                k=config.neighbours,
                min_similarity=config.min_cosine,
                progress=progress,
            )
        ]


def _pick(embeddings: FloatRows, rows: LocalRows) -> FloatRows | PickedRows:
    return embeddings if len(rows) == len(embeddings) else PickedRows(embeddings, rows)


def _join_pairs(parts: Sequence[Columns]) -> Columns:
    """Return the pairs of all parts, each once, sorted by left and right."""
    left, right = (np.concatenate(columns).astype(np.int64) for columns in zip(*parts, strict=True))
    keys = np.unique(left << 32 | right)
    return (keys >> 32).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32)
