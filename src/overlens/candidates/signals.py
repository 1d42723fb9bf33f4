"""What the cheap evidence says of given pairs of images: equal digests, hash distances, cosine similarity.

Exact and in one fixed way, whatever search proposed the pair: distances are counted on the stored bits in all eight
orientations of either image, the cosine is the float64 dot product of the stored rows, rounded to float32. Pairs are
measured some thousands at a time, so memory does not grow with what a pair refers to.

Shapes: n images in all, m pairs, d dimensions, t hash types.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.config import HASH_TYPES
from overlens.records import FloatRows
from overlens.roster import Roster

if TYPE_CHECKING:
    from overlens.evidence import Evidence

CHUNK_PAIRS = 4096  # two embeddings of 1,280 dimensions each: 40 MB

INVERSES = (0, 1, 2, 3, 4, 6, 5, 7)
"""The orientation that undoes each: all but the two rotations by 90 degrees undo themselves."""

Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of m pairs.

    Attributes:
        same_bytes: `(m,)` bool, the files are equal.
        same_pixels: `(m,)` bool, the decoded pictures are equal.
        distances: `(m, t)` uint8 bits, for each of `HASH_TYPES` the smallest of either image as it is to the other in
            its eight orientations; it does not depend on which is left.
        orientation: `(m,)` uint8, the code c for which orient(right image, c) is nearest to the left image by the sum
            of the distances, taken either way; the lowest of equally near ones.
        cosine: `(m,)` float32, or nan where no encoder ran.
    """

    same_bytes: NDArray[np.bool_]
    same_pixels: NDArray[np.bool_]
    distances: NDArray[np.uint8]
    orientation: NDArray[np.uint8]
    cosine: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sources:
    """The stored evidence of all images, one entry a dataset in the order of the roster.

    Attributes:
        roster: The datasets.
        evidence: Digests, hashes and detail of each dataset.
        embeddings: `(n_i, d)` float32 rows of each, in memory or memory-mapped, or None where no encoder ran.
    """

    roster: Roster
    evidence: Sequence["Evidence"]
    embeddings: Sequence[FloatRows] | None

    def __post_init__(self) -> None:
        _require_sizes("evidence", [len(part.hashes) for part in self.evidence], self.roster)
        if self.embeddings is not None:
            _require_sizes("embeddings", [len(part) for part in self.embeddings], self.roster)


def measure_signals(sources: Sources, left: Rows, right: Rows) -> Signals:
    """Return the signals of the pairs of global rows `left` and `right`, `(m,)` int32 each."""
    distances, orientation = measure_distances(sources, left, right)
    return Signals(
        same_bytes=_are_equal([part.byte_digests for part in sources.evidence], sources.roster, left, right),
        same_pixels=_are_equal([part.pixel_digests for part in sources.evidence], sources.roster, left, right),
        distances=distances,
        orientation=orientation,
        cosine=measure_cosine(sources, left, right),
    )


def measure_distances(sources: Sources, left: Rows, right: Rows) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the distances `(m, t)` and the nearest orientation `(m,)` of pairs, as `Signals` describes them."""
    from overlens.search.pair_kernels import measure_oriented

    hashes = [part.hashes for part in sources.evidence]
    distances = np.empty((len(left), len(HASH_TYPES)), np.uint8)
    orientation = np.empty(len(left), np.uint8)
    inverses = np.array(INVERSES)
    for start in range(0, len(left), CHUNK_PAIRS):
        part = slice(start, start + CHUNK_PAIRS)
        words = [sources.roster.gather(hashes, rows[part]).view(np.uint64)[..., 0] for rows in (left, right)]
        measure_oriented(words[0], words[1], inverses, (distances[part], orientation[part]))
    return distances, orientation


def measure_cosine(sources: Sources, left: Rows, right: Rows) -> NDArray[np.float32]:
    """Return the `(m,)` float32 cosine similarity of pairs; nan where no encoder ran."""
    if sources.embeddings is None:
        return np.full(len(left), np.nan, np.float32)
    from overlens.search.kernels import score_pairs

    cosine = np.empty(len(left), np.float32)
    for start in range(0, len(left), CHUNK_PAIRS):
        part = slice(start, start + CHUNK_PAIRS)
        rows = [sources.roster.gather(sources.embeddings, side[part]) for side in (left, right)]
        places = np.arange(len(rows[0]))
        cosine[part] = score_pairs(rows[0], rows[1], places, places)
    return cosine


def _are_equal(parts: Sequence[NDArray[np.uint8]], roster: Roster, left: Rows, right: Rows) -> NDArray[np.bool_]:
    equal = np.empty(len(left), np.bool_)
    for start in range(0, len(left), CHUNK_PAIRS):
        part = slice(start, start + CHUNK_PAIRS)
        equal[part] = (roster.gather(parts, left[part]) == roster.gather(parts, right[part])).all(axis=1)
    return equal


def _require_sizes(what: str, sizes: list[int], roster: Roster) -> None:
    if tuple(sizes) != roster.sizes:
        raise ValueError(f"{what} of {sizes} images do not fit the datasets {roster.datasets} of {roster.sizes}")
