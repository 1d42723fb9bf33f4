"""A record of columns refuses a column of another type or length, and names it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from overlens.columns import require_columns

WANTED = {"rows": (np.int32, ()), "boxes": (np.float32, (2, 4))}


def test_columns_as_promised_pass_also_without_rows():
    for n in (0, 3):
        require_columns(SimpleNamespace(rows=np.zeros(n, np.int32), boxes=np.zeros((n, 2, 4), np.float32)), n, WANTED)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rows": np.zeros(3, np.int64)}, "rows must be int32 of shape (3,), got int64 of shape (3,)"),
        ({"rows": np.zeros(4, np.int32)}, "rows must be int32 of shape (3,), got int32 of shape (4,)"),
        ({"rows": np.zeros((3, 1), np.int32)}, "got int32 of shape (3, 1)"),
        ({"boxes": np.zeros((3, 4, 2), np.float32)}, "boxes must be float32 of shape (3, 2, 4), got float32 of shape"),
    ],
    ids=["type", "length", "one more axis", "turned"],
)
def test_a_column_that_does_not_fit_is_named_with_what_was_seen(changed: dict[str, np.ndarray], words: str):
    columns = {"rows": np.zeros(3, np.int32), "boxes": np.zeros((3, 2, 4), np.float32), **changed}
    with pytest.raises(ValueError, match=re.escape(words)):
        require_columns(SimpleNamespace(**columns), 3, WANTED)
