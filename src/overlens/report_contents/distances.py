"""The Hamming distance of the shown pairs as the run's own method measures it: upright, by its own hash and size.

Verification knows the nearest of eight orientations by 64-bit hashes; held against the run's threshold, that would
count mirrored pictures that the method does not match. The hashes are those that the run published.
"""

from collections.abc import Sequence
from dataclasses import replace

from overlens.finished import FinishedRun, read_json
from overlens.report.html.records import ShownPair


def with_run_distances(run: FinishedRun, pairs: Sequence[ShownPair]) -> tuple[ShownPair, ...]:
    """Return the pairs with the distance of the run's perceptual method in bits; None where it did not run.

    Raises:
        StoreError: The hashes of a dataset cannot be read.
    """
    places = {side for pair in pairs for side in (pair.left, pair.right)}
    hashes = _read_hashes(run, places) if "perceptual" in run.numbers["methods"] else {}
    return tuple(replace(pair, bits=_distance(hashes.get(pair.left), hashes.get(pair.right))) for pair in pairs)


def _read_hashes(run: FinishedRun, places: set[int]) -> dict[int, str]:
    """Return the hashes of some images in hexadecimal, one dataset after the other."""
    found: dict[int, str] = {}
    start = 0
    for number, name in enumerate(run.datasets):
        n = int((run.images.datasets == number).sum())
        path = run.of_dataset(name).hashes
        wanted = [place for place in places if start <= place < start + n]
        if wanted and run.made(path):
            hashes = read_json(path)
            found |= {place: hashes[place - start] for place in wanted}
        start += n
    return found


def _distance(one: str | None, other: str | None) -> int | None:
    return None if one is None or other is None else (int(one, 16) ^ int(other, 16)).bit_count()
