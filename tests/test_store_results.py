"""What is made already is told by what it was made of and by its bytes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from overlens.layout import CrossLayout
from overlens.store.fingerprints import fingerprint, made_by, rows_fingerprint
from overlens.store.results import Results


@dataclass(frozen=True, slots=True)
class View:
    names: tuple[str, ...]
    places: np.ndarray


@dataclass(frozen=True, slots=True)
class Other:
    names: tuple[str, ...]
    places: np.ndarray


def write(root: Path, made_of: str, content: bytes = b"picture") -> list[bytes]:
    """Ask for an output, and return what was made for it."""
    made: list[bytes] = []
    Results.open(root).write(root / "a" / "out.png", made_of, lambda: made.append(content) or content)
    return made


def test_an_output_is_made_once_and_again_after_any_change(tmp_path: Path):
    output = tmp_path / "a" / "out.png"
    assert write(tmp_path, "x") == [b"picture"] and write(tmp_path, "x") == []
    assert write(tmp_path, "y", b"other") == [b"other"] and output.read_bytes() == b"other"
    output.write_bytes(b"edited")
    assert write(tmp_path, "y", b"other") == [b"other"] and output.read_bytes() == b"other"
    output.unlink()
    assert write(tmp_path, "y", b"other") == [b"other"]
    (record,) = CrossLayout(tmp_path).results.iterdir()
    for damaged in (b"", b"[]", b'{"path": "b.png"}', b"\xff"):
        record.write_bytes(damaged)
        assert write(tmp_path, "y", b"other") == [b"other"]
        assert write(tmp_path, "y", b"other") == []


def test_records_tell_nothing_of_when_or_where(tmp_path: Path):
    for name in ("here", "there"):
        write(tmp_path / name, "x")
        write(tmp_path / name, "x")
    records = [
        {path.name: path.read_bytes() for path in CrossLayout(tmp_path / name).results.iterdir()}
        for name in ("here", "there")
    ]
    assert records[0] == records[1] and len(records[0]) == 1


def test_outputs_that_were_there_are_told(tmp_path: Path):
    write(tmp_path, "x")
    results = Results.open(tmp_path)
    assert not results.holds(tmp_path / "b.png", "x") and results.held == set()
    assert results.holds(tmp_path / "a" / "out.png", "x") and results.held == {tmp_path / "a" / "out.png"}


VALUES = [
    None, True, 1, 1.0, "1", b"1", "", (), ("",), ("", ""), ("a", "b"), ("ab",), ("a", ("b",)), (1, 2), ((1,), 2),
    {"a": 1}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {frozenset({"a", "b"}): 1}, "\udcff", "\ufffd",
    np.arange(3), np.arange(3.0), np.arange(4).reshape(2, 2), np.arange(4), np.float32(0.1), 0.1, float("nan"),
    View(("a",), np.arange(2)), View(("a",), np.arange(1, 3)), View(("b",), np.arange(2)), Other(("a",), np.arange(2)),
]  # fmt: skip


def test_different_values_have_different_fingerprints_and_equal_ones_the_same():
    found = [fingerprint(value) for value in VALUES]
    assert len(set(found)) == len(VALUES)
    assert fingerprint({frozenset({"b", "a"}): 1}) in found
    assert fingerprint(View(("a",), np.arange(2))) in found
    assert fingerprint({"a", "b"}) != fingerprint(["set", "a", "b"]) != fingerprint(["a", "b"])
    assert fingerprint(["a", 1]) == fingerprint(("a", 1))
    assert fingerprint(1, 2) != fingerprint(12) != fingerprint("1", "2")


@pytest.mark.parametrize("value", [object(), View, np.array([None]), Path("a")])
def test_what_cannot_be_told_is_refused(value: object):
    with pytest.raises(TypeError, match="no fingerprint"):
        fingerprint("a", [value])


def test_rows_are_told_by_their_values_and_matrices_however_they_are_stored():
    rows = np.random.default_rng(0).standard_normal((40_000, 3)).astype(np.float32)
    told = rows_fingerprint([rows[:10], rows[10:]])
    assert rows_fingerprint([np.asfortranarray(rows[:10]), rows[10:]]) == told
    changed = rows.copy()
    changed[-1, -1] += 1
    assert len({told, rows_fingerprint([rows]), rows_fingerprint([rows[:10], changed[10:]])}) == 3


def test_code_is_told_by_its_source_and_its_libraries():
    told = made_by(("report", "png.py"), ("numpy",))
    assert made_by(("png.py", "report"), ("numpy",)) == told
    assert len({told, made_by(("png.py",), ("numpy",)), made_by(("report", "png.py"), ("numpy", "pillow"))}) == 3
