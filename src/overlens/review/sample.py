"""The audit sample of a finished run: which images were drawn, for which pairs they stand, and what was judged so far.

The draw is not stored, only that it was made and the answers to it: the name of a sample is its size and seed, the
origin of its decisions carries it, and from these the same sample is drawn again.

Shapes: n images, m listed pairs, u drawn images, k pairs to be judged for them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from overlens.decisions.records import COPY, UNSURE, Decision, Pair, code_of
from overlens.errors import ConfigError
from overlens.finished import FinishedRun
from overlens.image_table import ImageTable
from overlens.review.audit import Estimate, Judged, Stratum, count_beginning, draw_units, estimate_copies
from overlens.review.pairs import REFUTED, ListedPairs, PairIndex
from overlens.verdicts import EDITED, SAME_PIXELS, VERDICTS

ORIGIN = "sample:"
PART_ROWS = 32_768
"""Images whose names are held at once."""
_ORIGIN = re.compile(rf"{ORIGIN}\d+-(\d+)")


@dataclass(frozen=True, slots=True)
class DatasetAudit:
    """What the answers to an audit sample say of the images of one dataset.

    Attributes:
        name: The dataset.
        n_images: Its images.
        n_verified: Those of them that the pixels say have a copy.
        n_certain: Those of them with equal files or pixels, which were not drawn.
        estimate: Images with a copy; None while a stratum of the dataset has no answer that counts.
    """

    name: str
    n_images: int
    n_verified: int
    n_certain: int
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What the answers to an audit sample say of a run so far.

    Attributes:
        name: Size and seed of the sample: "200-0".
        n: Pairs to be judged for it.
        n_judged: Those that were.
        n_counted: Of these, those that count: from the beginning of the order on, without a gap.
        n_unsure: Of these again, those that nobody could tell.
        is_across: Whether it asks for copies in another dataset; else for copies within the only one.
        n_population: Images with a listed pair of that kind.
        estimate: Images of all datasets with a copy; None while a stratum has no answer that counts.
        datasets: The same of each dataset.
    """

    name: str
    n: int
    n_judged: int
    n_counted: int
    n_unsure: int
    is_across: bool
    n_population: int
    estimate: Estimate | None
    datasets: tuple[DatasetAudit, ...]

    @property
    def n_images(self) -> int:
        """Images of the run."""
        return sum(one.n_images for one in self.datasets)

    @property
    def n_verified(self) -> int:
        """Images that the pixels say have a copy."""
        return sum(one.n_verified for one in self.datasets)

    @property
    def n_certain(self) -> int:
        """Images with equal files or pixels."""
        return sum(one.n_certain for one in self.datasets)


@dataclass(frozen=True)
class AuditSample:
    """A drawn sample.

    Attributes:
        name: Size and seed.
        is_across: Whether pairs into another dataset were drawn, or those within the only one.
        datasets: The datasets, before anything is judged.
        sizes: Stratum -> its images.
        strata: `(u,)` stratum of each drawn image, in the order of the draw.
        units: `(u,)` int32 the pair that each stands for, one of those on the same files.
    """

    name: str
    is_across: bool
    datasets: tuple[DatasetAudit, ...]
    sizes: Mapping[Stratum, int]
    strata: tuple[Stratum, ...]
    units: NDArray[np.int32]

    @cached_property
    def _firsts(self) -> NDArray[np.intp]:
        """`(k,)` the first drawn image that stands for each pair."""
        return np.sort(np.unique(self.units, return_index=True)[1])

    @cached_property
    def places(self) -> NDArray[np.int32]:
        """`(k,)` the pairs to be judged, each once, in the order of the draw."""
        return self.units[self._firsts]

    @property
    def origin(self) -> str:
        """Origin of the decisions that are made for it."""
        return ORIGIN + self.name

    def has_origin(self, origin: str) -> bool:
        """Whether decisions of an origin were made for it, or for one of another size, which it goes on from."""
        found = _ORIGIN.fullmatch(origin)
        return found is not None and found[1] == self.name.rpartition("-")[2]

    def result(self, answers: NDArray[np.uint8], is_own: NDArray[np.bool_]) -> AuditResult:
        """Return what was found so far.

        Args:
            answers: `(m,)` what people say of each pair: code, or 0.
            is_own: `(k,)` of which of `places` they said it for this sample, see `own_answers`.
        """
        codes = answers[self.places]
        n_counted = count_beginning(codes > 0, is_own)
        judged = self._judged(answers, n_counted)
        return AuditResult(
            self.name,
            len(codes),
            int((codes > 0).sum()),
            n_counted,
            int((codes[:n_counted] == code_of(UNSURE)).sum()),
            self.is_across,
            sum(one.n_certain for one in self.datasets) + sum(self.sizes.values()),
            estimate_copies([*judged.values()], sum(one.n_certain for one in self.datasets)),
            tuple(replace(one, estimate=_estimate_of(one, judged)) for one in self.datasets),
        )

    def _judged(self, answers: NDArray[np.uint8], n_counted: int) -> dict[Stratum, Judged]:
        """Return what became of the strata by the first pairs of the order."""
        is_all = n_counted == len(self.places)
        n_units = len(self.units) if is_all else int(self._firsts[n_counted - 1]) + 1 if n_counted else 0
        codes = answers[self.units[:n_units]].tolist()
        counts, totals = Counter(zip(self.strata, codes, strict=False)), Counter(self.strata[:n_units])
        judged = {}
        for stratum, size in self.sizes.items():
            n_copies, n_unsure = counts[stratum, code_of(COPY)], counts[stratum, code_of(UNSURE)]
            judged[stratum] = Judged(size, n_copies, totals[stratum] - n_copies - n_unsure, n_unsure)
        return judged


def own_answers(
    sample: AuditSample, images: ImageTable, pairs: ListedPairs, latest: Mapping[Pair, Decision]
) -> NDArray[np.bool_]:
    """Return `(k,)` of which of its pairs people said what counts for this sample, and not on another occasion.

    Args:
        sample: The sample.
        images: The images of the run.
        pairs: Its pairs.
        latest: The decisions that count.
    """
    found = (latest.get(pairs.files_of(images, place)) for place in sample.places.tolist())
    return np.array([one is not None and sample.has_origin(one.origin) for one in found], np.bool_)


def draw_sample(images: ImageTable, pairs: ListedPairs, n: int, seed: int) -> AuditSample:
    """Draw the audit sample of a run.

    Args:
        images: The images of the run.
        pairs: Its pairs.
        n: Images to draw.
        seed: Which draw.

    Raises:
        ConfigError: `n` is too small for the strata of this run, or the seed below 0.
    """
    if n < 1 or seed < 0:
        raise ConfigError(f"a sample of {n:,} with seed {seed} cannot be drawn; allowed are 1 or more, and 0 or more")
    is_across = len(images.dataset_names) > 1
    rows, surest = _surest_pairs(images, pairs, is_across)
    rungs = pairs.machine_rungs[surest]
    members = _strata_of(images, rows[rungs > SAME_PIXELS], rungs[rungs > SAME_PIXELS])
    sizes = {stratum: len(own) for stratum, own in members.items()}
    drawn = draw_units(sizes, _named_parts(images, members, n), n, seed)
    drawn_pairs = surest[np.searchsorted(rows, [row for _, row in drawn])].tolist()
    first: dict[Pair, int] = {}
    units = [first.setdefault(pairs.files_of(images, place), place) for place in drawn_pairs]
    return AuditSample(
        f"{n}-{seed}",
        is_across,
        _datasets_of(images, rows, rungs),
        sizes,
        tuple(stratum for stratum, _ in drawn),
        np.array(units, np.int32),
    )


def _surest_pairs(
    images: ImageTable, pairs: ListedPairs, is_across: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the images with a pair of the kind that is asked for, and the surest such pair of each by its pixels."""
    is_between = images.datasets[pairs.left] != images.datasets[pairs.right]
    places = np.flatnonzero((is_between == is_across) & (pairs.machine_rungs != REFUTED)).astype(np.int32)
    owners, places = np.concatenate([pairs.left[places], pairs.right[places]]), np.concatenate([places, places])
    strengths = np.nan_to_num(pairs.local[places], nan=1.0)
    order = np.lexsort((places, -strengths, pairs.machine_rungs[places], owners))
    owners, first = np.unique(owners[order], return_index=True)
    return owners, places[order][first]


def _strata_of(
    images: ImageTable, rows: NDArray[np.int32], rungs: NDArray[np.uint8]
) -> dict[Stratum, NDArray[np.int32]]:
    """Return the rows of the images of each stratum."""
    codes = images.datasets[rows].astype(np.int64) * len(VERDICTS) + rungs
    members = {}
    for code in np.unique(codes).tolist():
        dataset, rung = divmod(code, len(VERDICTS))
        members[images.dataset_names[dataset], VERDICTS[rung]] = rows[codes == code]
    return members


def _named_parts(
    images: ImageTable, members: Mapping[Stratum, NDArray[np.int32]], n: int
) -> Callable[[Stratum], Iterator[Mapping[str, int]]]:
    n_rows = max(PART_ROWS, n)  # every part is drawn from together with what was drawn before it

    def parts_of(stratum: Stratum) -> Iterator[Mapping[str, int]]:
        rows = members[stratum]
        for start in range(0, len(rows), n_rows):
            part = rows[start : start + n_rows]
            yield dict(zip(images.names.take(part).to_pylist(), part.tolist(), strict=True))

    return parts_of


def _datasets_of(images: ImageTable, rows: NDArray[np.int32], rungs: NDArray[np.uint8]) -> tuple[DatasetAudit, ...]:
    owners, n = images.datasets[rows], len(images.dataset_names)
    counts = (np.bincount(one, minlength=n).tolist() for one in (images.datasets, owners[rungs <= EDITED]))
    n_certain = np.bincount(owners[rungs <= SAME_PIXELS], minlength=n).tolist()
    return tuple(map(DatasetAudit, images.dataset_names, *counts, n_certain))


def _estimate_of(dataset: DatasetAudit, judged: Mapping[Stratum, Judged]) -> Estimate | None:
    return estimate_copies([one for (name, _), one in judged.items() if name == dataset.name], dataset.n_certain)


def answers_of(index: PairIndex, latest: Mapping[Pair, Decision]) -> NDArray[np.uint8]:
    """Return `(m,)` what people say of each pair: code of the answer, 0 for nothing."""
    answers = np.zeros(len(index.places), np.uint8)
    for pair, decision in latest.items():
        answers[index.find(pair)] = code_of(decision.answer)
    return answers


def audit_estimate(run: FinishedRun) -> AuditResult | None:
    """Return what the answers to the last audit sample of a run say; None where nothing counts yet, or none was drawn.

    Raises:
        ConfigError: The sample cannot be drawn from this run.
        StoreError: The pairs of the run cannot be read.
    """
    if run.last_sample is None or not run.images.has_pictures or not run.made(run.layout.pairs):
        return None
    pairs = ListedPairs.read(run)
    sample = draw_sample(run.images, pairs, *run.last_sample)
    answers = answers_of(PairIndex.build(run.images, pairs), run.decisions)
    result = sample.result(answers, own_answers(sample, run.images, pairs, run.decisions))
    return result if result.n_counted else None
