"""Judge all candidate pairs by their renditions, many at a time.

Equal files and equal pixels need no look. The other pairs are cut into tasks in their order, and each task is judged by
a pool of threads; what was derived from a picture is kept while its pairs are near, up to `KEPT_PICTURES`. The verdict
of a pair depends on its two pictures alone.

Shapes: m pairs, h rows, w columns.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.find import CandidatePairs
from overlens.engines import Engine
from overlens.evidence import read_rendition
from overlens.groups.find import Edges
from overlens.progress import Stage
from overlens.roster import Roster
from overlens.verdicts import LOOK_ALIKE, SAME_BYTES, SAME_PIXELS, VERDICTS
from overlens.verify.pair import PairEvidence, Picture, verify_pair
from overlens.verify.transforms import TransformFacts, describe, describe_transform

TASK_PAIRS = 256
KEPT_PICTURES = 512
REFUTED = 255
"""Code of a candidate that neither its pixels nor the run's thresholds support; such pairs are counted, not listed."""


class Renditions(Protocol):
    """Where the renditions of one dataset are."""

    def get(self, place: int) -> bytes:
        """Return the rendition of the image in this place."""
        ...


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """What verification found, for each candidate pair in its order.

    Attributes:
        candidates: The pairs and their cheap signals.
        verdicts: `(m,)` uint8 rung codes of `overlens.verdicts`, or `REFUTED`.
        strengths: `(m,)` float32, how sure the verdict is within its rung, 0 to 1.
        n_inliers: `(m,)` int32 local features that answer one another; -1 where none were looked for.
        inlier_shares: `(m,)` float32, of all features that answer one another; nan where none were looked for.
        coarse: `(m,)` float32 correlation of the aligned pixels without broad shades; nan for equal files or pixels.
        fine: `(m,)` float32 the same with only finer detail left.
        local: `(m,)` float32 correlation that the best 40 % of all neighbourhoods reach.
        agreeing: `(m,)` float32 share of the neighbourhoods that agree.
        transforms: `(m, 3, 3)` float64 places of the left rendition to places of the right one; nan where none.
        shapes: `(m, 2, 2)` int32 (h, w) of the left and the right rendition; 0 where they were not opened.
    """

    candidates: CandidatePairs
    verdicts: NDArray[np.uint8]
    strengths: NDArray[np.float32]
    n_inliers: NDArray[np.int32]
    inlier_shares: NDArray[np.float32]
    coarse: NDArray[np.float32]
    fine: NDArray[np.float32]
    local: NDArray[np.float32]
    agreeing: NDArray[np.float32]
    transforms: NDArray[np.float64]
    shapes: NDArray[np.int32]

    def __post_init__(self) -> None:
        for field in fields(self)[1:]:
            if len(getattr(self, field.name)) != len(self.candidates):
                raise ValueError(f"{field.name} must be {len(self.candidates)}, got {len(getattr(self, field.name))}")

    def __len__(self) -> int:
        return len(self.candidates)

    def transform_of(self, place: int) -> TransformFacts | None:
        """Return what the transform of a pair does; None for equal files and pixels, which are not laid over."""
        left, right = map(tuple, self.shapes[place].tolist())
        return describe_transform(self.transforms[place], left, right) if left[0] else None

    def describe(self, place: int) -> str:
        """Say in words what was found of a pair: "edited, 0.94: mirrored"."""
        verdict = VERDICTS[self.verdicts[place]].replace("_", " ")
        facts = self.transform_of(place)
        return (
            verdict
            if facts is None
            else f"{verdict}, {math.floor(100 * float(self.strengths[place])) / 100:.2f}: {describe(facts)}"
        )

    @property
    def edges(self) -> Edges:
        """The pairs as edges of groups."""
        return Edges(self.candidates.left, self.candidates.right, self.verdicts, self.strengths)


def judge_candidates(
    candidates: CandidatePairs,
    is_listed: NDArray[np.bool_],
    pictures: "PictureCache",
    engine: Engine,
    *,
    workers: int,
    stage: Stage,
) -> JudgedPairs:
    """Judge every candidate pair.

    Args:
        candidates: The pairs.
        is_listed: `(m,)` bool, whether a pair that turns out to be no copy is one that a method of the run reports, and
            so is called a look-alike instead of refuted.
        pictures: The pictures of all datasets.
        engine: Runs the tasks.
        workers: Threads that judge.
        stage: Is told of judged pairs, m in all.

    Raises:
        StoreError: A stored rendition is damaged.
    """
    judged = _without_look(candidates)
    places = np.flatnonzero(~(candidates.same_bytes | candidates.same_pixels))
    stage.advance(len(candidates) - len(places))
    with one_thread_each(), ThreadPoolExecutor(workers, thread_name_prefix="overlens-verify") as pool:

        def judge(task: NDArray[np.intp]) -> list[PairEvidence]:
            lefts, rights = (column[task].tolist() for column in (candidates.left, candidates.right))
            return list(pool.map(lambda left, right: _look(pictures, left, right, stage), lefts, rights))

        for outcome in engine.map(judge, _cut(places)):
            _fill(judged, outcome.task, outcome.unwrap())
            stage.advance(len(outcome.task))
    judged.verdicts[(judged.verdicts == LOOK_ALIKE) & ~is_listed] = REFUTED
    return judged


class PictureCache:
    """Pictures of all datasets by global row; the `KEPT_PICTURES` last used stay in memory.

    Args:
        roster: The datasets.
        renditions: Where the renditions of each are.
    """

    def __init__(self, roster: Roster, renditions: Sequence[Renditions]) -> None:
        self._roster = roster
        self._renditions = renditions
        self._kept: OrderedDict[int, Picture] = OrderedDict()
        self._lock = Lock()

    def get(self, row: int) -> Picture:
        """Return the picture of a global row; raises StoreError if its rendition is damaged."""
        with self._lock:
            if row in self._kept:
                self._kept.move_to_end(row)
                return self._kept[row]
        owner = int(self._roster.dataset_of(np.array([row]))[0])
        data = self._renditions[owner].get(row - int(self._roster.offsets[owner]))
        picture = Picture(read_rendition(data, grey=True))
        with self._lock:
            self._kept[row] = picture
            if len(self._kept) > KEPT_PICTURES:
                self._kept.popitem(last=False)
        return picture


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep OpenCV and BLAS from starting threads of their own: those of the pool are enough for all cores."""
    import cv2
    from threadpoolctl import threadpool_limits

    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        cv2.setNumThreads(n_threads)


def _look(pictures: PictureCache, left: int, right: int, stage: Stage) -> PairEvidence:
    evidence = verify_pair(pictures.get(left), pictures.get(right))
    stage.begin(1)
    return evidence


def _cut(places: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [places[start : start + TASK_PAIRS] for start in range(0, len(places), TASK_PAIRS)]


def _without_look(candidates: CandidatePairs) -> JudgedPairs:
    """Return the columns as they are for equal files and pixels, to be filled for all other pairs."""
    n_pairs = len(candidates)

    def unknown() -> NDArray[np.float32]:
        return np.full(n_pairs, np.nan, np.float32)

    return JudgedPairs(
        candidates,
        verdicts=np.where(candidates.same_bytes, SAME_BYTES, SAME_PIXELS).astype(np.uint8),
        strengths=np.ones(n_pairs, np.float32),
        n_inliers=np.full(n_pairs, -1, np.int32),
        inlier_shares=unknown(),
        coarse=unknown(),
        fine=unknown(),
        local=unknown(),
        agreeing=unknown(),
        transforms=np.full((n_pairs, 3, 3), np.nan),
        shapes=np.zeros((n_pairs, 2, 2), np.int32),
    )


def _fill(judged: JudgedPairs, places: NDArray[np.intp], found: Sequence[PairEvidence]) -> None:
    agreed = [evidence.agreement for evidence in found]
    columns: dict[str, list[object]] = {
        "verdicts": [evidence.verdict for evidence in found],
        "strengths": [min(max(agreement.local, 0.0), 1.0) for agreement in agreed],
        "n_inliers": [evidence.n_inliers for evidence in found],
        "inlier_shares": [evidence.inlier_share for evidence in found],
        "coarse": [agreement.coarse for agreement in agreed],
        "fine": [agreement.fine for agreement in agreed],
        "local": [agreement.local for agreement in agreed],
        "agreeing": [agreement.agreeing_share for agreement in agreed],
        "transforms": [evidence.transform for evidence in found],
        "shapes": [evidence.shapes for evidence in found],
    }
    for name, values in columns.items():
        getattr(judged, name)[places] = values
