"""The digest of the table of verified pairs: by it two runs show that their certificates rest on the same copies.

The table has one line a pair, a JSON list of dataset, image, dataset, image and verdict, the lesser (dataset, image)
first, and its lines are sorted. It is never held: a pair is one number of 64 bits, the place of both images among all
names and the verdict, and sorting the numbers sorts the lines. That is so because of two JSON strings neither begins
the other: whichever columns of two lines differ first decide, and their order is that of the names as JSON writes them.
That is not the order of the names themselves (`a"b` is written with a backslash), which says who stands first.

The cost: columns of numbers, at most 35 bytes a pair for a moment, and the names of the images that are in one.

Shapes: n images of all datasets, m pairs, k images that are in one.
"""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overlens.edges import Edges
from overlens.roster import Roster
from overlens.verdicts import EDITED, VERIFIED

LINES = 1 << 14
"""Lines that are made at a time."""

# A number holds the places of two images, each below 2^31 as a roster counts them, and a verified verdict: 64 bits.
_VERDICT_BITS, _PLACE_BITS = (len(VERIFIED) - 1).bit_length(), 31


def digest_pairs(edges: Edges, roster: Roster, keys: Sequence[Sequence[str]]) -> tuple[int, str]:
    """Return the number of verified pairs and the digest of their table, whatever order images and pairs came in.

    The digest is SHA-256 over one line a pair, sorted: a JSON list of dataset, image, dataset, image and verdict, the
    lesser (dataset, image) first, separated by ", ", without escapes, each line ended by a line feed, in UTF-8.

    Args:
        edges: Judged pairs, in any order; one that stands more than once counts by its surest verdict.
        roster: The datasets through which their rows count.
        keys: Key of each image of each dataset, in the order of the roster.
    """
    rows = _rows_in_pairs(edges, roster.n_images)
    owners, places = roster.dataset_of(rows).tolist(), roster.local(rows).tolist()
    names = [(roster.datasets[owner], keys[owner][place]) for owner, place in zip(owners, places, strict=True)]
    written = [_written(*name) for name in names]
    # Bytes of UTF-8 sort as the code points that they stand for.
    in_lines = sorted(range(len(rows)), key=written.__getitem__)
    by_name = _places(rows[sorted(range(len(rows)), key=names.__getitem__)], roster.n_images)
    numbers = _number(edges, by_name, _places(rows[in_lines], roster.n_images))
    return len(numbers), _digest(numbers, [written[place] for place in in_lines])


def _rows_in_pairs(edges: Edges, n_images: int) -> NDArray[np.intp]:
    """Return the global rows of the images that are in a verified pair, `(k,)`, rising."""
    is_in_pair = np.zeros(n_images, np.bool_)
    for rows in (edges.left, edges.right):
        is_in_pair[rows[edges.verdicts <= EDITED]] = True
    return np.flatnonzero(is_in_pair)


def _written(*name: str) -> bytes:
    """Return dataset and image as they stand in a line; a name that is not Unicode is no reason to stop."""
    return ", ".join(json.dumps(one, ensure_ascii=False) for one in name).encode(errors="surrogatepass")


def _places(order: NDArray[np.intp], n_images: int) -> NDArray[np.int32]:
    """Return the place in `order` of each global row, `(n,)`; 0 for rows that are not in it."""
    places = np.zeros(n_images, np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places


def _number(edges: Edges, by_name: NDArray[np.int32], by_line: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Return the number of each verified pair, `(m,)`, sorted; of a pair that stands more than once, the least."""
    is_copy = edges.verdicts <= EDITED
    left, right = edges.left[is_copy], edges.right[is_copy]
    is_turned = by_name[left] > by_name[right]
    numbers = by_line[np.where(is_turned, right, left)].astype(np.uint64)
    for value, n_bits in (
        (by_line[np.where(is_turned, left, right)], _PLACE_BITS),
        (edges.verdicts[is_copy], _VERDICT_BITS),
    ):
        numbers <<= np.uint64(n_bits)
        numbers |= value.astype(np.uint64)
    numbers.sort()
    is_first = np.ones(len(numbers), np.bool_)
    pairs = numbers >> np.uint64(_VERDICT_BITS)
    np.not_equal(pairs[1:], pairs[:-1], out=is_first[1:])
    return numbers[is_first]


def _digest(numbers: NDArray[np.uint64], written: Sequence[bytes]) -> str:
    """Return the digest of the lines of `(m,)` numbers, from the images as they are written, by place."""
    digest = hashlib.sha256()
    ends = [f", {json.dumps(verdict)}]\n".encode() for verdict in VERIFIED]
    for start in range(0, len(numbers), LINES):
        some = numbers[start : start + LINES]
        pairs, verdicts = np.divmod(some, np.uint64(1 << _VERDICT_BITS))
        lefts, rights = np.divmod(pairs, np.uint64(1 << _PLACE_BITS))
        columns = zip(lefts.tolist(), rights.tolist(), verdicts.tolist(), strict=True)
        digest.update(b"".join(b"[%b, %b%b" % (written[one], written[two], ends[code]) for one, two, code in columns))
    return digest.hexdigest()
