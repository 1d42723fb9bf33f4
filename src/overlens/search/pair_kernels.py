"""The inner loops that candidates need, compiled: distances in all orientations, bounded lists of the best partners.

Serial, and they release the GIL. Importing this module loads numba, so its users import it inside their functions.

Shapes: m pairs, n images, t hash types of one 64-bit word, k places of a list.
"""

import numpy as np
from numpy.typing import NDArray

from overlens.compiled import compiled
from overlens.search.kernels import Floats, Places, Rows, Words, count_bits


@compiled()
def measure_oriented(
    left: Words, right: Words, inverses: Places, nearest: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    """Write the smallest distances over the orientations, `(m, t)` uint8, and the nearest orientation, `(m,)` uint8.

    `left` and `right` are `(m, 8, t)` uint64 hashes of the images of each pair in all orientations, `inverses` the
    `(8,)` codes that undo each code, `nearest` both outputs. Each image as it is counts against the other oriented, so
    that distances do not depend on which is left. The nearest orientation of the right image has the smallest sum of
    distances in either way; of equal ones the lowest code.
    """
    distances, orientation = nearest
    for pair in range(left.shape[0]):
        distances[pair] = 255
        smallest = np.uint64(1 << 20)
        for code in range(right.shape[1]):
            totals = np.uint64(0), np.uint64(0)
            for t in range(left.shape[2]):
                forth = count_bits(left[pair, 0, t] ^ right[pair, code, t])
                back = count_bits(left[pair, inverses[code], t] ^ right[pair, 0, t])
                totals = totals[0] + forth, totals[1] + back
                distances[pair, t] = min(distances[pair, t], forth, back)
            if min(totals) < smallest:
                smallest = min(totals)
                orientation[pair] = code


@compiled()
def enter_partners(
    images: Rows, others: Rows, merits: Floats, lists: tuple[Rows, Floats], is_full: NDArray[np.bool_]
) -> None:
    """Enter `others` into the lists of `images`, best first, each once; mark images that had more than fit.

    `lists` is partners `(n, k)` int32, -1 where free, and merits `(n, k)` float32. Higher merit comes first, of equal
    ones the lower partner. A pair that comes again counts by its highest merit. As the order is total and a partner
    that had to go stands behind k better ones for good, the lists do not depend on the order of the pairs.
    """
    partners, kept_merits = lists
    k = partners.shape[1]
    for pair in range(images.shape[0]):
        image, other, merit = images[pair], others[pair], merits[pair]
        place = k  # where it belongs
        known = -1  # where it stands already
        for slot in range(k):
            partner = partners[image, slot]
            better = partner < 0 or merit > kept_merits[image, slot]
            if place == k and (better or (merit == kept_merits[image, slot] and other < partner)):
                place = slot
            if partner == other:
                known = slot
            if partner < 0 or partner == other:
                break
        if known < 0:
            known = k - 1
            if partners[image, known] >= 0:
                is_full[image] = True
        if place == k:
            continue
        for slot in range(known, place, -1):
            partners[image, slot] = partners[image, slot - 1]
            kept_merits[image, slot] = kept_merits[image, slot - 1]
        partners[image, place] = other
        kept_merits[image, place] = merit
