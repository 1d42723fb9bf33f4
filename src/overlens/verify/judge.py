"""Judge all candidate pairs by their renditions, many at a time.

Equal files and equal pixels need no look, and neither does a pair whose files were judged by an earlier run. The others
are cut into tasks in their order, and each task is judged by a pool of threads; what was derived from a picture is kept
while its pairs are near, up to `KEPT_PICTURES`. The verdict of a pair depends on its two pictures alone, so what a task
found is kept as soon as it is done, and a run that was killed goes on from there.

Shapes: m pairs, k of a task, h rows, w columns.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.find import CandidatePairs
from overlens.engines import Engine
from overlens.evidence import read_rendition
from overlens.progress import Stage
from overlens.roster import Roster
from overlens.store.pairs import Keys, PairStore
from overlens.verify.judged import FINDING, JudgedPairs, join_findings, pack_findings
from overlens.verify.pair import PairEvidence, Picture, verify_pair

TASK_PAIRS = 256
KEPT_PICTURES = 512

RULE_VERSION = "1"
"""Raised with every change that can change a verdict or a signal of it; verdicts of another version are not used."""


def rule_fingerprint() -> dict[str, str]:
    """Return everything that changes what is found of a pair, apart from its two renditions."""
    import cv2
    import PIL

    versions = {"opencv": str(cv2.__version__), "pillow": PIL.__version__, "numpy": np.__version__}
    return {"rule": RULE_VERSION, **versions}


class Renditions(Protocol):
    """Where the renditions of one dataset are."""

    def get(self, place: int) -> bytes:
        """Return the rendition of the image in this place."""
        ...


@dataclass(frozen=True, slots=True)
class PairTask:
    """Pairs to judge: global rows, k each, and the places of the pairs among all."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    places: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Where verdicts are kept: a store of type `FINDING`, and the key of each of m candidate pairs in it, `(m,)`."""

    store: PairStore
    keys: Keys


def judge_candidates(
    candidates: CandidatePairs, judge: "PairJudge", verdicts: Verdicts, *, engine: Engine, stage: Stage
) -> JudgedPairs:
    """Judge every candidate pair.

    Args:
        candidates: The pairs.
        judge: Looks at pairs.
        verdicts: Those of earlier runs; gets those of this one.
        engine: Runs the tasks.
        stage: Is told of the pairs that need a look, see `needs_look`.

    Returns:
        All pairs with their verdicts; of those that are no copies none is refuted yet.

    Raises:
        StoreError: A stored rendition or verdict is damaged.
    """
    places = np.flatnonzero(needs_look(candidates))
    _, first, same = np.unique(verdicts.keys[places], return_index=True, return_inverse=True)
    once = np.sort(first)  # of pairs of the same files one is judged
    is_known, known = verdicts.store.find(verdicts.keys[places[once]])
    findings = np.zeros(len(candidates), FINDING)
    findings[places[once[is_known]]] = known
    stage.advance(cached=len(known) + len(places) - len(once))
    judge.watch = stage.begin
    for outcome in engine.map(judge, _cut(candidates, places[once], is_known)):
        found, of_task = outcome.unwrap(), outcome.task.places
        verdicts.store.write(verdicts.keys[of_task], found)
        findings[of_task] = found
        stage.advance(len(found))
    return join_findings(candidates, places, findings[places[first[same]]])


def needs_look(candidates: CandidatePairs) -> NDArray[np.bool_]:
    """Return `(m,)` whether each pair is judged by its pixels: equal files and pixels are not."""
    return ~(candidates.same_bytes | candidates.same_pixels)


class PairJudge:
    """Judges tasks of pairs, with one pool of threads for all of them.

    Args:
        roster: The datasets.
        renditions: Where the renditions of each are.
        workers: Threads that judge.
    """

    def __init__(self, roster: Roster, renditions: Sequence[Renditions], workers: int) -> None:
        self._made_of = roster, renditions, workers
        self._pictures = PictureCache(roster, renditions)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="overlens-verify")
        self._held = ExitStack()
        self.watch: Callable[[int], None] = lambda n_pairs: None
        """Called with the number of pairs that are judged, as it goes; for those who watch."""

    def __reduce__(self) -> tuple[type["PairJudge"], tuple[Roster, Sequence[Renditions], int]]:
        return PairJudge, self._made_of  # threads and pictures stay where they are

    def __enter__(self) -> "PairJudge":
        self._held.enter_context(one_thread_each())
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._held.close()

    def __call__(self, task: PairTask) -> NDArray[Any]:
        """Return `(k,)` of `FINDING` for the pairs of a task; raises StoreError if a rendition is damaged."""
        return pack_findings(list(self._pool.map(self._look, task.left, task.right)))

    def _look(self, left: int, right: int) -> PairEvidence:
        evidence = verify_pair(self._pictures.get(left), self._pictures.get(right))
        self.watch(1)
        return evidence


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


def _cut(candidates: CandidatePairs, places: NDArray[np.intp], is_known: NDArray[np.bool_]) -> list[PairTask]:
    """Cut all pairs into tasks and leave out those that are known.

    The cuts do not depend on what is known, so a run that was killed ends with the parts of one that was not.
    """
    starts = range(0, len(places), TASK_PAIRS)
    parts = [places[start : start + TASK_PAIRS][~is_known[start : start + TASK_PAIRS]] for start in starts]
    return [
        PairTask(tuple(candidates.left[part].tolist()), tuple(candidates.right[part].tolist()), part)
        for part in parts
        if len(part)
    ]
