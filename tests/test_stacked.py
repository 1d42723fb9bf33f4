"""Several matrices read as one give what one matrix gives, bit for bit, and only the slice that is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.projections.principal import principal_start
from overlens.search.neighbours import find_nearest
from overlens.stacked import StackedRows


def make_parts(lengths, width=5, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((sum(lengths), width))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return np.split(rows, np.cumsum(lengths)[:-1]), rows


LENGTHS = st.lists(st.integers(0, 7), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(LENGTHS, st.none() | st.integers(-50, 50), st.none() | st.integers(-50, 50))
def test_any_slice_is_that_of_the_joined_matrix(lengths, start, stop):
    parts, joined = make_parts(lengths)
    stacked = StackedRows(parts)
    found = stacked[start:stop]
    assert (len(stacked), stacked.shape, stacked.ndim, stacked.dtype) == (len(joined), joined.shape, 2, joined.dtype)
    np.testing.assert_array_equal(found, joined[start:stop])
    assert found.dtype == np.float32 and found.flags.c_contiguous and not found.flags.writeable


@pytest.mark.parametrize(
    "lengths",
    [(30,), (11, 19), (0, 13, 0, 0, 17, 0), (1,) * 30],
    ids=["one", "two", "with empty ones", "a row each"],
)
@pytest.mark.parametrize("width", [6, 100], ids=["more rows than dimensions", "fewer"])
def test_neighbours_and_start_are_those_of_the_joined_matrix(lengths, width):
    parts, joined = make_parts(lengths, width)
    stacked = StackedRows(parts)
    for tile_rows in (4, 2048):
        found, expected = (find_nearest(rows, k=5, tile_rows=tile_rows) for rows in (stacked, joined))
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.similarities, expected.similarities)
    assert principal_start(stacked, 3).tobytes() == principal_start(joined, 3).tobytes()


def test_parts_may_lie_on_the_disk(tmp_path):
    parts, joined = make_parts((8, 5))
    for place, part in enumerate(parts):
        np.save(tmp_path / f"{place}.npy", part)
    mapped = [np.load(tmp_path / f"{place}.npy", mmap_mode="r") for place in range(2)]
    np.testing.assert_array_equal(StackedRows(mapped)[6:10], joined[6:10])


def test_only_the_slice_comes_into_memory():
    row = np.arange(1000, dtype=np.float32)
    vast = np.broadcast_to(row, (10**9, 1000))  # 4 TB if anybody copied it
    stacked = StackedRows([vast, vast])
    assert len(stacked) == 2 * 10**9
    np.testing.assert_array_equal(stacked[10**9 - 2 : 10**9 + 1], np.stack([row] * 3))


def test_the_parts_stay_writable_for_their_owner():
    parts, _ = make_parts((4, 3))
    StackedRows(parts)[0:2]
    assert all(part.flags.writeable for part in parts)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "at least one"),
        ([np.ones((2, 3))], "part 0 must be float32 .* it is float64"),
        ([np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)], r"part 1 .* \(2, 3\); .* \(2, 4\)"),
        ([np.ones(3, np.float32)], "part 0"),
    ],
    ids=["none", "type", "width", "dimensions"],
)
def test_what_cannot_be_stacked_is_named(parts, message):
    with pytest.raises(ValueError, match=message):
        StackedRows(parts)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (3, TypeError, "only slices"),
        (np.array([1, 2]), TypeError, "only slices"),
        (slice(0, 4, 2), ValueError, "step of 2"),
        (slice(None, None, -1), ValueError, "step of -1"),
    ],
    ids=["a row", "rows", "every other", "backwards"],
)
def test_anything_but_consecutive_rows_is_refused(rows, error, message):
    with pytest.raises(error, match=message):
        StackedRows(make_parts((4, 3))[0])[rows]
