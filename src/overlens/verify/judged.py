"""Verdicts on pairs of images: what is kept of one pair, and the columns over all of them.

Shapes: m pairs, h rows, w columns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.find import CandidatePairs
from overlens.columns import require_columns
from overlens.decisions.records import COPY, NOT_A_COPY, code_of
from overlens.decisions.records import SAME_SCENE as OF_ONE_SCENE
from overlens.edges import Edges
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_BYTES, SAME_PICTURE, SAME_PIXELS, SAME_SCENE, VERDICTS
from overlens.verify.pair import PairEvidence
from overlens.verify.transforms import MOVED_VIEW, SAME_VIEW, TransformFacts, describe, describe_transform

REFUTED = 255
"""Code of a candidate that neither its pixels nor the run's thresholds support; such pairs are counted, not listed."""

UNDECIDED = 0
"""Code of a pair of which nobody said anything; see `code_of`."""

FINDING = np.dtype(
    [
        ("verdicts", "u1"),
        ("strengths", "<f4"),
        ("n_inliers", "<i4"),
        ("inlier_shares", "<f4"),
        ("coarse", "<f4"),
        ("fine", "<f4"),
        ("local", "<f4"),
        ("agreeing", "<f4"),
        ("transforms", "<f8", (3, 3)),
        ("shapes", "<i4", (2, 2)),
    ]
)
"""What is kept of one pair, by the names of the columns of `JudgedPairs`."""


_MARKS = {"is_inferred": np.bool_, "decisions": np.uint8, "machine_verdicts": np.uint8}


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
        is_inferred: `(m,)` bool, the verdict and what was seen are those of another pair, of images that equal these.
        decisions: `(m,)` uint8 code of what a person answered, see `code_of`, or `UNDECIDED`.
        machine_verdicts: `(m,)` uint8 as `verdicts`, without what people said.
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
    is_inferred: NDArray[np.bool_]
    decisions: NDArray[np.uint8]
    machine_verdicts: NDArray[np.uint8]

    def __post_init__(self) -> None:
        facts = {name: FINDING[name] for name in FINDING.names or ()}
        require_columns(self, len(self.candidates), {name: (kind.base, kind.shape) for name, kind in facts.items()})
        require_columns(self, len(self.candidates), {name: (kind, ()) for name, kind in _MARKS.items()})

    def __len__(self) -> int:
        return len(self.candidates)

    def transform_of(self, place: int) -> TransformFacts | None:
        """Return what the transform of a pair does; None for equal files and pixels, which are not laid over."""
        left, right = map(tuple, self.shapes[place].tolist())
        return describe_transform(self.transforms[place], left, right) if left[0] else None

    def describe(self, place: int) -> str:
        """Say in words what was found of a pair: "edited, 0.94: mirrored"."""
        verdict, facts = int(self.verdicts[place]), self.transform_of(place)
        words = VERDICTS[verdict].replace("_", " ")
        if (verdict <= EDITED) != (self.machine_verdicts[place] <= EDITED):
            return f"{words} (as a person decided)"  # How the pictures were laid on one another is not to be trusted.
        if facts is None:
            return words
        difference = describe(facts)
        if verdict == EDITED and difference == SAME_VIEW:
            difference = MOVED_VIEW
        return f"{words}, {math.floor(100 * float(self.strengths[place])) / 100:.2f}: {difference}"

    @property
    def edges(self) -> Edges:
        """The pairs as edges of groups."""
        return Edges(self.candidates.left, self.candidates.right, self.verdicts, self.strengths)

    def refuting(self, is_unsupported: NDArray[np.bool_]) -> "JudgedPairs":
        """Return the same with those look-alikes refuted that are `(m,)` unsupported by anything else."""
        is_refuted = (self.verdicts == LOOK_ALIKE) & is_unsupported
        verdicts = np.where(is_refuted, np.uint8(REFUTED), self.verdicts)
        return replace(self, verdicts=verdicts, machine_verdicts=verdicts)

    def deciding(self, codes: NDArray[np.uint8]) -> "JudgedPairs":
        """Return the same with what people answered, `(m,)` uint8 codes: it counts before what the pixels say.

        A copy stays on its rung, or becomes "edited"; what is none is a look-alike, or of one scene, and listed
        although it was refuted. Equal files and equal pixels stay what they are, and "unsure" changes nothing.
        """
        verdicts, strengths = self.verdicts.copy(), self.strengths.copy()
        for answer, verdict, above in (
            (COPY, EDITED, SAME_PICTURE),
            (NOT_A_COPY, LOOK_ALIKE, SAME_PIXELS),
            (OF_ONE_SCENE, SAME_SCENE, SAME_PIXELS),
        ):
            is_so = (codes == code_of(answer)) & (self.verdicts > above)
            verdicts[is_so], strengths[is_so] = verdict, 1.0
        return replace(self, verdicts=verdicts, strengths=strengths, decisions=codes)


def pack_findings(found: Sequence[PairEvidence]) -> NDArray[Any]:
    """Return the evidence of m pairs as `(m,)` of `FINDING`."""
    packed = np.empty(len(found), FINDING)
    for place, evidence in enumerate(found):
        agreement = evidence.agreement
        packed[place] = (
            evidence.verdict,
            min(max(agreement.local, 0.0), 1.0),
            evidence.n_inliers,
            evidence.inlier_share,
            agreement.coarse,
            agreement.fine,
            agreement.local,
            agreement.agreeing_share,
            evidence.transform,
            evidence.shapes,
        )
    return packed


def join_findings(candidates: CandidatePairs, places: NDArray[np.intp], findings: NDArray[Any]) -> JudgedPairs:
    """Return the columns over all pairs; those that were not looked at have equal files or pixels.

    Args:
        candidates: The m pairs.
        places: `(k,)` places of those that were looked at.
        findings: `(k,)` of `FINDING`, what was found of them.
    """
    all_findings = np.zeros(len(candidates), FINDING)
    all_findings["verdicts"] = np.where(candidates.same_bytes, SAME_BYTES, SAME_PIXELS)
    all_findings["strengths"], all_findings["n_inliers"] = 1.0, -1
    for name in ("inlier_shares", "coarse", "fine", "local", "agreeing", "transforms"):
        all_findings[name] = np.nan
    all_findings[places] = findings
    columns = {name: all_findings[name].copy() for name in FINDING.names or ()}
    return JudgedPairs(
        candidates,
        **columns,
        is_inferred=np.zeros(len(candidates), np.bool_),
        decisions=np.full(len(candidates), UNDECIDED, np.uint8),
        machine_verdicts=columns["verdicts"],
    )
