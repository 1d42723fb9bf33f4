"""Conflicts are columns that read as a sequence of records, in memory that names do not fill."""

import tracemalloc

import numpy as np
import pytest

from overlens.label_conflicts import THROUGH_OTHERS, Conflicts, ImageLabels
from overlens.records import Features
from overlens.roster import Roster
from overlens.verdicts import EDITED, SAME_BYTES


def conflicts_of(n):
    """Return n conflicts of datasets a and b, of 2 n images each, of which every third is through others."""
    features = [
        Features(name, tuple(f"{name}{row}" for row in range(2 * n)), tuple("xyz"[row % 3] for row in range(2 * n)))
        for name in "ab"
    ]
    labels = ImageLabels.of(Roster(("a", "b"), (2 * n, 2 * n)), features)
    left, right = np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32) + 2 * n + 1
    right[::2] = left[::2] + 1  # within a
    verdicts = np.where(left % 3 == 2, THROUGH_OTHERS, EDITED).astype(np.uint8)
    return Conflicts(labels, left, right, verdicts, np.full(n, 0.25, np.float32), left // 5)


def test_they_read_as_a_sequence():
    found = conflicts_of(10_000)
    listed = list(found)
    assert len(found) == len(listed) == 10_000
    assert found[5000] == listed[5000]
    assert found[-1] == listed[-1]
    assert list(found[4000:9000:7]) == listed[4000:9000:7]
    assert listed[1] == found[1:][0]
    assert (listed[1].dataset_1, listed[1].image_1, listed[1].class_1) == ("a", "a1", "y")
    assert (listed[1].dataset_2, listed[1].image_2, listed[1].name_2) == ("b", "b2", "z")
    assert [(one.verdict, one.strength, one.group) for one in listed[1:3]] == [("edited", 0.25, 0), (None, None, 0)]
    assert found.local_rows()[:2] == [(0, 1), (1, 2)]
    with pytest.raises(IndexError):
        found[10_000]


def test_they_are_told_apart_by_datasets_and_counted_by_verdict():
    found = conflicts_of(9)
    assert [one.image_2 for one in found.between("a", "b")] == ["b2", "b4", "b6", "b8"]
    assert [one.image_2 for one in found.between("a", "a")] == ["a1", "a3", "a5", "a7", "a9"]
    assert not found.between("b", "b")
    assert found.count_verdicts() == {"edited": 6, None: 3}
    with pytest.raises(ValueError, match="no dataset 'c'"):
        found.between("a", "c")


def test_equal_ones_are_equal():
    found = conflicts_of(9)
    other = Conflicts(
        found.labels, found.left, found.right, np.full(9, SAME_BYTES, np.uint8), found.strengths, found.groups
    )
    assert found == conflicts_of(9)
    assert found != found[1:]
    assert found != other
    assert found != ()


def test_a_column_of_another_length_is_refused():
    found = conflicts_of(3)
    with pytest.raises(ValueError, match="groups must be int32"):
        Conflicts(found.labels, found.left, found.right, found.verdicts, found.strengths, found.groups[1:])


def test_memory_of_writing_them_does_not_grow_with_their_number(tmp_path):
    def peak(n):
        found = conflicts_of(n)
        tracemalloc.start()
        try:
            found.write_csv(tmp_path / "conflicts.csv")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # A record of names each would take 200 bytes and more; the file has 50.
    assert peak(24_000) < 1.5 * peak(6_000)
