import pickle
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray

from overlens.candidates.find import CandidatePairs
from overlens.engines import make_engine
from overlens.errors import StoreError
from overlens.evidence import make_rendition
from overlens.progress import Progress
from overlens.roster import Roster
from overlens.store.pairs import PairStore, make_keys
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_BYTES, SAME_PICTURE, SAME_PIXELS
from overlens.verify import judge as verification
from overlens.verify.judge import PairJudge, PairTask, Verdicts, judge_candidates, rule_fingerprint
from overlens.verify.judged import FINDING, REFUTED, JudgedPairs
from pictures import make_detailed


class Renditions:
    def __init__(self, pictures: list[NDArray[np.uint8]]) -> None:
        self.data = [make_rendition(np.repeat(picture[..., None], 3, axis=2)) for picture in pictures]
        self.n_read = 0

    def get(self, place: int) -> bytes:
        self.n_read += 1
        return self.data[place]


def make_candidates(pairs: list[tuple[int, int]], *, same_bytes: int = -1, same_pixels: int = -1) -> CandidatePairs:
    n_pairs = len(pairs)
    columns = np.array(sorted(pairs), np.int32).reshape(n_pairs, 2)
    places = np.arange(n_pairs)
    return CandidatePairs(
        columns[:, 0].copy(),
        columns[:, 1].copy(),
        places == same_bytes,
        (places == same_bytes) | (places == same_pixels),
        np.zeros((n_pairs, 4), np.uint8),
        np.zeros(n_pairs, np.uint8),
        np.full(n_pairs, np.nan, np.float32),
    )


def judge(
    candidates: CandidatePairs, parts: list[Renditions], folder: Path | None = None, workers: int = 2
) -> JudgedPairs:
    """Judge, with a store of its own or the one in `folder`; every second look-alike is refuted."""
    roster = Roster(tuple("ab"[: len(parts)]), tuple(len(part.data) for part in parts))
    digests = [digest_all(part.data) for part in parts]
    keys = make_keys(*(roster.gather(digests, rows) for rows in (candidates.left, candidates.right)))
    with (
        TemporaryDirectory() as own,
        Progress().stage("judge", len(candidates)) as stage,
        PairJudge(roster, parts, workers) as pair_judge,
    ):
        store = PairStore.open(folder or Path(own), "verdicts", rule_fingerprint(), FINDING)
        judged = judge_candidates(
            candidates, pair_judge, Verdicts(store, keys), engine=make_engine("local"), stage=stage
        )
    return judged.refuting(np.arange(len(candidates)) % 2 == 1)


def digest_all(files: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(sha256(data).digest() for data in files), np.uint8).reshape(-1, 32)


def make_parts() -> list[Renditions]:
    first, second = make_detailed(1), make_detailed(2)
    return [
        Renditions([first, second]),
        Renditions([first[::2, ::2], np.ascontiguousarray(second[:, ::-1]), make_detailed(3)]),
    ]


def test_each_pair_gets_the_verdict_of_its_pictures_across_datasets() -> None:
    judged = judge(make_candidates([(0, 1), (0, 2), (1, 3), (1, 4)]), make_parts())
    assert judged.verdicts.tolist() == [LOOK_ALIKE, SAME_PICTURE, EDITED, REFUTED]
    assert judged.strengths[1] > 0.9 > judged.strengths[0] >= 0
    assert judged.shapes[1].tolist() == [[240, 320], [120, 160]]
    assert np.isfinite(judged.transforms).all()


def test_equal_files_and_pixels_are_not_opened() -> None:
    parts = make_parts()
    judged = judge(make_candidates([(0, 1), (0, 2)], same_bytes=0, same_pixels=1), parts)
    assert judged.verdicts.tolist() == [SAME_BYTES, SAME_PIXELS]
    assert judged.strengths.tolist() == [1.0, 1.0]
    assert [part.n_read for part in parts] == [0, 0]
    assert np.isnan(judged.coarse).all() and (judged.shapes == 0).all()


def test_verdicts_depend_on_neither_threads_nor_tasks_nor_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(left, right) for right in range(5) for left in range(right)]
    wanted = judge(make_candidates(pairs), make_parts(), workers=1)
    monkeypatch.setattr(verification, "TASK_PAIRS", 3)
    monkeypatch.setattr(verification, "KEPT_PICTURES", 1)
    found = judge(make_candidates(pairs), make_parts(), workers=4)
    for name in ("verdicts", "strengths", "n_inliers", "coarse", "fine", "local", "agreeing", "transforms"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name), equal_nan=True), name


def test_a_picture_is_read_once_while_its_pairs_are_near() -> None:
    parts = make_parts()
    judge(make_candidates([(0, 1), (0, 2), (0, 3), (0, 4)]), parts, workers=1)
    assert parts[0].n_read <= 4 and parts[1].n_read <= 4


def test_no_pairs_are_no_problem() -> None:
    assert len(judge(make_candidates([]), make_parts())) == 0


def test_a_damaged_rendition_stops_the_run_and_is_named() -> None:
    parts = make_parts()
    parts[0].data[0] = b"not a picture"
    with pytest.raises(StoreError, match="damaged"):
        judge(make_candidates([(0, 1)]), parts)


def test_columns_of_other_lengths_are_refused() -> None:
    judged = judge(make_candidates([(0, 2)]), make_parts())
    with pytest.raises(ValueError, match=r"verdicts must be uint8 of shape \(1,\)"):
        JudgedPairs(
            judged.candidates, judged.verdicts[:0], *(getattr(judged, name) for name in JudgedPairs.__slots__[2:])
        )


def test_what_was_judged_once_is_not_judged_again_and_comes_back_the_same(tmp_path: Path) -> None:
    pairs = [(left, right) for right in range(5) for left in range(right)]
    first = judge(make_candidates(pairs[:6]), make_parts(), tmp_path)
    parts = make_parts()
    again = judge(make_candidates(pairs[:6]), parts, tmp_path)
    assert [part.n_read for part in parts] == [0, 0]
    more = judge(make_candidates(pairs), parts, tmp_path, workers=1)
    assert sum(part.n_read for part in parts) == 5
    fresh = judge(make_candidates(pairs), make_parts())
    for name in FINDING.names:
        assert np.array_equal(getattr(again, name), getattr(first, name), equal_nan=True), name
        assert np.array_equal(getattr(more, name), getattr(fresh, name), equal_nan=True), name


def test_a_changed_picture_is_judged_anew(tmp_path: Path) -> None:
    judge(make_candidates([(0, 2)]), make_parts(), tmp_path)
    parts = make_parts()
    parts[1].data[0] = parts[1].data[2]
    assert judge(make_candidates([(0, 2)]), parts, tmp_path).verdicts.tolist() == [LOOK_ALIKE]


def test_the_judge_can_be_sent_to_another_process() -> None:
    parts = make_parts()
    roster = Roster(("a", "b"), (2, 3))
    task = PairTask((0, 1), (2, 3), np.arange(2))
    with PairJudge(roster, parts, 2) as here, pickle.loads(pickle.dumps(here)) as there:
        assert there(task).tobytes() == here(task).tobytes()


def test_a_run_that_was_stopped_ends_with_the_files_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "TASK_PAIRS", 3)
    candidates = make_candidates([(left, right) for right in range(5) for left in range(right)])

    def judged_in(folder: Path) -> dict[str, bytes]:
        judge(candidates, make_parts(), folder)
        return {path.name: path.read_bytes() for path in folder.rglob("*.npy")}

    whole = judged_in(tmp_path / "whole")
    assert len(whole) == 4
    judge(candidates, make_parts(), tmp_path / "stopped")
    for path in sorted((tmp_path / "stopped").rglob("*.npy"))[:2]:
        path.unlink()
    assert judged_in(tmp_path / "stopped") == whole


def test_pairs_of_the_same_files_are_judged_once(tmp_path: Path) -> None:
    parts = make_parts()
    parts[1].data[1] = parts[1].data[0]
    judged = judge(make_candidates([(0, 2), (0, 3), (1, 4)]), parts, tmp_path)
    assert judged.verdicts[:2].tolist() == [SAME_PICTURE, SAME_PICTURE]
    assert sum(len(np.load(path)) for path in tmp_path.rglob("*.npy")) == 2
