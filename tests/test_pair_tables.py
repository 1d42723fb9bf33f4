"""Tables list judged pairs from the surest on and groups in full, with names as Parquet holds them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest

import overlens.pair_tables
from overlens.candidates.find import CandidatePairs
from overlens.copies import Copies
from overlens.edges import Edges
from overlens.groups.find import Groups, KeepRule, find_groups
from overlens.pair_tables import group_table, judged_table, write_groups, write_pairs
from overlens.records import Features
from overlens.roster import Roster
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_BYTES, SAME_PICTURE
from overlens.verify.judged import FINDING, REFUTED, join_findings

NOT_UTF8 = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
ROSTER = Roster(("a", "b"), (3, 2))
FEATURES = (
    Features("a", ("a0", NOT_UTF8, "a2"), (None,) * 3, embeddings=np.eye(3, dtype=np.float32)),
    Features("b", ("b0", "b1"), (None,) * 2, embeddings=np.eye(2, 3, dtype=np.float32)),
)
# left, right, verdict, strength; the third is refuted, the last an equal file, which nobody laid over the other.
PAIRS = [
    (0, 1, EDITED, 0.5),
    (0, 3, SAME_PICTURE, 0.7),
    (1, 2, REFUTED, 0.9),
    (1, 3, EDITED, 0.8),
    (2, 4, LOOK_ALIKE, 0.1),
    (3, 4, SAME_BYTES, 1.0),
]


def make_copies() -> Copies:
    """The parts of what was found that the tables read, with no pictures behind them."""
    left, right, verdicts, strengths = (np.array(column) for column in zip(*PAIRS, strict=True))
    same_bytes = verdicts == SAME_BYTES
    candidates = CandidatePairs(
        left.astype(np.int32),
        right.astype(np.int32),
        same_bytes,
        same_bytes,
        np.zeros((len(PAIRS), 4), np.uint8),
        np.zeros(len(PAIRS), np.uint8),
        np.full(len(PAIRS), np.nan, np.float32),
    )
    places = np.flatnonzero(~same_bytes)
    findings = np.zeros(len(places), FINDING)
    findings["verdicts"], findings["strengths"] = verdicts[places], strengths[places]
    # Renditions of b are 600 x 300 and those of a 500 x 250; the files of b are twice as large, those of a as they are.
    findings["transforms"], findings["shapes"] = np.eye(3), (250, 500)
    findings["shapes"][right[places] >= ROSTER.offsets[1], 1] = (300, 600)
    sizes = (3, (500, 250)), (2, (1200, 600))
    evidence = [SimpleNamespace(sizes_px=np.full((n, 2), size, np.int32)) for n, size in sizes]
    judged = join_findings(candidates, places, findings)
    groups = find_groups(ROSTER, judged.edges, KeepRule("first"))
    return cast(Copies, SimpleNamespace(judged=judged, roster=ROSTER, evidence=evidence, groups=groups))


def make_groups(*edges: tuple[int, int]) -> Groups:
    left, right = np.array(edges, np.int32).reshape(-1, 2).T.copy()
    verified = Edges(left, right, np.full(len(left), EDITED, np.uint8), np.full(len(left), 0.5, np.float32))
    return find_groups(ROSTER, verified, KeepRule("first"))


def couples(rows: tuple[dict[str, Any], ...]) -> list[tuple[str, str]]:
    return [(row["image_a"], row["image_b"]) for row in rows]


def test_pairs_stand_from_the_surest_on_without_the_refuted():
    rows = judged_table(make_copies(), FEATURES).rows
    assert couples(rows) == [
        ("b0", "b1"),
        ("a0", "b0"),
        ("caf\\udce9.jpg", "b0"),
        ("a0", "caf\\udce9.jpg"),
        ("a2", "b1"),
    ]
    assert [row["verdict"] for row in rows] == ["same_bytes", "same_picture", "edited", "edited", "look_alike"]


@pytest.mark.parametrize(
    ("couple", "n_pairs"), [(("a", "b"), 3), (("b", "a"), 3), (("a", "a"), 1), (("b", "b"), 1)], ids=str
)
def test_pairs_of_two_datasets_or_within_one_are_those_of_the_whole_table(couple: tuple[str, str], n_pairs: int):
    copies = make_copies()
    found, every = judged_table(copies, FEATURES, couple).rows, judged_table(copies, FEATURES).rows
    assert len(found) == n_pairs
    assert couples(found) == couples(
        tuple(row for row in every if sorted((row["dataset_a"], row["dataset_b"])) == sorted(couple))
    )


def test_the_scale_is_that_of_the_files_and_unknown_where_nothing_was_laid_over():
    scales = {(row["image_a"], row["image_b"]): row["scale"] for row in judged_table(make_copies(), FEATURES).rows}
    assert scales["a0", "b0"] == pytest.approx(2.0) and scales["a0", "caf\\udce9.jpg"] == pytest.approx(1.0)
    assert scales["b0", "b1"] is None


def test_what_was_not_measured_is_null_and_no_number():
    rows = {row["image_b"]: row for row in judged_table(make_copies(), FEATURES, ("b", "b")).rows}
    assert [rows["b1"][name] for name in ("cosine", "n_inliers", "fine_correlation", "mirrored")] == [None] * 4


@pytest.mark.parametrize("block_rows", [1, 2, 100])
def test_files_written_in_blocks_hold_the_same_tables(tmp_path: Path, block_rows: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(overlens.pair_tables, "BLOCK_ROWS", block_rows)
    copies, groups = make_copies(), make_groups((0, 3), (1, 4), (2, 4))
    write_pairs(tmp_path / "pairs.parquet", copies, FEATURES)
    write_groups(tmp_path / "groups.parquet", groups, FEATURES)
    assert pq.read_table(tmp_path / "pairs.parquet").equals(judged_table(copies, FEATURES).columns)
    assert pq.read_table(tmp_path / "groups.parquet").equals(group_table(groups, FEATURES).columns)


def test_files_without_rows_have_all_columns_and_types(tmp_path: Path):
    write_groups(tmp_path / "none.parquet", make_groups(), FEATURES)
    write_groups(tmp_path / "some.parquet", make_groups((0, 3)), FEATURES)
    none = pq.read_table(tmp_path / "none.parquet")
    assert none.num_rows == 0 and none.schema.equals(pq.read_table(tmp_path / "some.parquet").schema)


def test_a_group_is_told_with_the_names_of_its_images():
    table = group_table(make_groups((0, 3), (1, 4), (2, 4)), FEATURES)
    assert len(table) == 2
    assert table.members_of(1) == (("a", "caf\\udce9.jpg"), ("a", "a2"), ("b", "b1"))
    assert [row["representative"] for row in table.rows] == [True, False, True, False, False]
