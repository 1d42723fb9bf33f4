"""Oriented hash search finds exactly the pairs that a comparison of everything finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overlens.search.oriented import find_oriented_pairs
from overlens.search.tiles import count_comparisons

Pairs = set[tuple[int, int]]


def make_hashes(seed: int, n: int, n_bytes: int = 2) -> NDArray[np.uint8]:
    """Return `(n, 8, b)` hashes, many of them a few bits from another in some orientation."""
    generator = np.random.default_rng(seed)
    hashes = generator.integers(0, 256, (n, 8, n_bytes), dtype=np.uint8)
    for row in range(1, n, 2):
        hashes[row, generator.integers(8)] = hashes[generator.integers(row), 0]
        hashes[row, :, 0] ^= np.uint8(1 << generator.integers(8))
    return hashes


def list_pairs(left: NDArray[np.uint8], right: NDArray[np.uint8] | None, radius: int) -> Pairs:
    others = left if right is None else right
    bits = np.unpackbits(left[:, None, :1] ^ others[None], axis=-1).sum(axis=-1).min(axis=-1)
    back = np.unpackbits(left[:, None] ^ others[None, :, :1], axis=-1).sum(axis=-1).min(axis=-1)
    bits = np.minimum(bits, back)
    return {(i, j) for i, j in np.argwhere(bits <= radius).tolist() if right is not None or i < j}


def search(left: NDArray[np.uint8], right: NDArray[np.uint8] | None, radius: int, tile_rows: int) -> Pairs:
    blocks = find_oriented_pairs(left, right, max_distance_bits=radius, tile_rows=tile_rows)
    return {pair for block in blocks for pair in zip(block.left.tolist(), block.right.tolist(), strict=True)}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(0, 24),
    m=st.one_of(st.none(), st.integers(0, 16)),
    radius=st.integers(0, 6),
    tile_rows=st.sampled_from([1, 7, 1000]),
)
def test_finds_what_comparing_everything_finds(seed: int, n: int, m: int | None, radius: int, tile_rows: int) -> None:
    left, right = make_hashes(seed, n), None if m is None else make_hashes(seed + 1, m)
    if right is not None and n:
        right[::3, 5] = left[0, 0]
    assert search(left, right, radius, tile_rows) == list_pairs(left, right, radius)


def test_the_pairs_do_not_depend_on_which_side_is_left() -> None:
    left, right = make_hashes(3, 60), make_hashes(4, 50)
    found = search(left, right, 3, 16)
    assert found == {(i, j) for j, i in search(right, left, 3, 16)} != set()


def test_64_bit_hashes_in_many_tiles() -> None:
    hashes = make_hashes(3, 300, 8)
    assert search(hashes, None, 10, 64) == list_pairs(hashes, None, 10) != set()


@pytest.mark.parametrize("m", [None, 13])
def test_progress_sums_to_the_comparisons(m: int | None) -> None:
    seen: list[int] = []
    right = None if m is None else make_hashes(2, m)
    list(find_oriented_pairs(make_hashes(1, 20), right, max_distance_bits=3, tile_rows=8, progress=seen.append))
    assert sum(seen) == count_comparisons(20, m)


def test_hashes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"left must be \(n, 8, b\) uint8"):
        find_oriented_pairs(np.zeros((3, 4, 8), np.uint8), None, max_distance_bits=3)
    with pytest.raises(ValueError, match="max_distance_bits is -1"):
        find_oriented_pairs(np.zeros((3, 8, 8), np.uint8), None, max_distance_bits=-1)
