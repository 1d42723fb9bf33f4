"""The audit sample of a finished run: which images were drawn, for which pairs they stand, and what was judged so far.

Nothing is stored but the answers: the name of a sample is its size and seed, the origin of its decisions carries it,
and from these the same sample is drawn again.

Shapes: n images, m listed pairs, u drawn images.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from overlens.decisions.records import ANSWERS, COPY, UNSURE, Decision, Pair
from overlens.errors import ConfigError
from overlens.finished import FinishedRun
from overlens.image_table import ImageTable
from overlens.review.audit import Estimate, Judged, Stratum, draw_units, estimate_copies
from overlens.review.pairs import REFUTED, ListedPairs, PairIndex
from overlens.verdicts import EDITED, SAME_PIXELS, VERDICTS

ORIGIN = "sample:"
_NAME = re.compile(rf"{ORIGIN}(\d{{1,12}})-(\d{{1,12}})")


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What the answers to an audit sample say of a run so far.

    Attributes:
        name: Size and seed of the sample: "200-0".
        n: Pairs to be judged for it.
        n_judged: Those that were.
        n_unsure: Of these, those that nobody could tell.
        is_across: Whether it asks for copies in another dataset; else for copies within the only one.
        n_images: Images of the run.
        n_population: Images with a listed pair of that kind.
        n_certain: Those of them with equal files or pixels, which were not drawn.
        n_verified: Those of them that the pixels say have a copy.
        estimate: Images with a copy; None while a stratum has no answer.
    """

    name: str
    n: int
    n_judged: int
    n_unsure: int
    is_across: bool
    n_images: int
    n_population: int
    n_certain: int
    n_verified: int
    estimate: Estimate | None


@dataclass(frozen=True)
class AuditSample:
    """A drawn sample.

    Attributes:
        name: Size and seed.
        is_across: Whether pairs into another dataset were drawn, or those within the only one.
        n_images: Images of the run.
        sizes: Stratum -> its images.
        n_certain: Images with equal files or pixels.
        n_verified: Images whose surest pair is a copy by its pixels.
        strata: `(u,)` stratum of each drawn image, in the order of the draw.
        units: `(u,)` int32 the pair that each stands for.
    """

    name: str
    is_across: bool
    n_images: int
    sizes: Mapping[Stratum, int]
    n_certain: int
    n_verified: int
    strata: tuple[Stratum, ...]
    units: NDArray[np.int32]

    @cached_property
    def places(self) -> NDArray[np.int32]:
        """The pairs to be judged, each once, in the order of the draw."""
        _, first = np.unique(self.units, return_index=True)
        return self.units[np.sort(first)]

    @property
    def origin(self) -> str:
        """Origin of the decisions that are made for it."""
        return ORIGIN + self.name

    def result(self, answers: NDArray[np.uint8]) -> AuditResult:
        """Return what `(m,)` answers, place in `ANSWERS` + 1 or 0, say so far."""
        judged = answers[self.places]
        strata = [self._judged(stratum, answers) for stratum in self.sizes]
        return AuditResult(
            self.name,
            len(self.places),
            int((judged > 0).sum()),
            int((judged == _code(UNSURE)).sum()),
            self.is_across,
            self.n_images,
            self.n_certain + sum(self.sizes.values()),
            self.n_certain,
            self.n_verified,
            estimate_copies(strata, self.n_certain),
        )

    def _judged(self, stratum: Stratum, answers: NDArray[np.uint8]) -> Judged:
        own = answers[self.units[[one == stratum for one in self.strata]]]
        n_copies, n_unsure = int((own == _code(COPY)).sum()), int((own == _code(UNSURE)).sum())
        return Judged(self.sizes[stratum], n_copies, int((own > 0).sum()) - n_copies - n_unsure, n_unsure)


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
    drawable, surest = _surest_pairs(images, pairs, is_across)
    rungs = pairs.machine_rungs[surest]
    is_certain = rungs <= SAME_PIXELS
    strata: dict[Stratum, dict[str, int]] = {}
    open_pairs = zip(drawable[~is_certain].tolist(), surest[~is_certain].tolist(), strict=True)
    for image, place in open_pairs:
        stratum = images.dataset(image), VERDICTS[pairs.machine_rungs[place]]
        strata.setdefault(stratum, {})[images.name(image)] = place
    ordered = {stratum: strata[stratum] for stratum in sorted(strata)}
    drawn = draw_units({stratum: [*own] for stratum, own in ordered.items()}, n, seed)
    return AuditSample(
        f"{n}-{seed}",
        is_across,
        len(images),
        {stratum: len(own) for stratum, own in ordered.items()},
        int(is_certain.sum()),
        int((rungs <= EDITED).sum()),
        tuple(stratum for stratum, _ in drawn),
        np.array([ordered[stratum][name] for stratum, name in drawn], np.int32),
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


def answers_of(index: PairIndex, latest: Mapping[Pair, Decision]) -> NDArray[np.uint8]:
    """Return `(m,)` what people say of each pair: place of the answer in `ANSWERS` + 1, 0 for nothing."""
    answers = np.zeros(len(index.places), np.uint8)
    for pair, decision in latest.items():
        answers[index.find(pair)] = _code(decision.answer)
    return answers


def audit_estimate(run: FinishedRun) -> AuditResult | None:
    """Return what the answers to the last audit sample of a run say; None where there is none.

    Raises:
        ConfigError: The sample that was judged cannot be drawn from this run.
        StoreError: The pairs of the run cannot be read.
    """
    found = [match for one in run.decisions.values() if (match := _NAME.fullmatch(one.origin))]
    if not found or not run.images.has_pictures or not run.made(run.layout.pairs):
        return None
    pairs = ListedPairs.read(run)
    sample = draw_sample(run.images, pairs, int(found[-1][1]), int(found[-1][2]))
    return sample.result(answers_of(PairIndex.build(run.images, pairs), run.decisions))


def _code(answer: str) -> int:
    return ANSWERS.index(answer) + 1
