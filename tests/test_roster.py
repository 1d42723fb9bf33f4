"""Global rows name every image once, and lead back to its dataset and row."""

import numpy as np
import pytest

from overlens.roster import Roster


def test_every_row_leads_back_to_its_dataset_and_place() -> None:
    roster = Roster(("a", "empty", "b"), (3, 0, 2))
    rows = np.arange(roster.n_images)
    assert roster.dataset_of(rows).tolist() == [0, 0, 0, 2, 2]
    assert roster.local(rows).tolist() == [0, 1, 2, 0, 1]
    assert roster.offsets.tolist() == [0, 3, 3, 5]


def test_gather_reads_each_row_from_its_dataset() -> None:
    roster = Roster(("a", "b"), (3, 2))
    parts = [np.array([[1, 1], [2, 2], [3, 3]]), np.array([[4, 4], [5, 5]])]
    gathered = roster.gather(parts, np.array([4, 0, 2, 3]))
    assert gathered.tolist() == [[5, 5], [1, 1], [3, 3], [4, 4]]


def test_an_unknown_dataset_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no dataset 'c'; known: a, b"):
        Roster(("a", "b"), (1, 1)).number_of("c")


@pytest.mark.parametrize(
    ("datasets", "sizes"),
    [(("a",), (1, 2)), (("a", "a"), (1, 2)), (("a",), (-1,)), (("a", "b"), (2**31 - 1, 1))],
    ids=["lengths", "twice", "negative", "too many"],
)
def test_a_roster_that_cannot_be_is_refused(datasets: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="got"):
        Roster(datasets, sizes)
