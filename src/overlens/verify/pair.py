"""Judge whether two images are one picture: the evidence of one pair, and the rung of the ladder it reaches.

Two images are one picture if, laid over one another, they agree in detail and over most of what both show, and if local
features answer one another under the same transform. Either alone is not enough: twin pieces of furniture agree in
outline, two photographs of one face share features. What falls short and still shares many features or outlines is the
same scene. Where the limits stand, and what they were measured on, is told in docs/accuracy.md.

Shapes: h rows, w columns.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_PICTURE, SAME_SCENE
from overlens.verify.agreement import Agreement, correlate_coarsely, measure_agreement
from overlens.verify.alignment import (
    COARSE_PX,
    Frame,
    Laid,
    Transform,
    count_inliers,
    fine_side_px,
    fit_matches,
    invert,
    lay,
    likely_orientations,
    make_frame,
    make_thumb,
    refine,
    whole_transform,
)
from overlens.verify.local_features import LocalFeatures, Matches, find_features, match_features

Plane = NDArray[np.uint8]

SMALL_PX = 96
"""A picture whose longer side is below this shows too little for its neighbourhoods to be judged one by one."""
FEW_FEATURES = 30
PLAIN_AGREEMENT = 0.93
"""Local and coarse correlation from which the whole picture speaks for itself, and no features are looked for."""
REFINED_PX = 128
"""Longest side of the frame in which the best proposal is moved into place; it is judged in a larger one if need be."""
MIN_COARSE = 0.4
"""Coarse correlation below which two pictures have nothing to be judged more finely."""


class Picture:
    """One rendition, with what is derived from it when it is first needed."""

    def __init__(self, grey: Plane) -> None:
        """Hold `(h, w)` uint8 grey levels."""
        self.grey = grey

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.grey.shape[0], self.grey.shape[1]

    @cached_property
    def thumb(self) -> NDArray[np.float32]:
        """The picture squashed to a small square."""
        return make_thumb(self.grey)

    @cached_property
    def features(self) -> LocalFeatures:
        """Its local features."""
        return find_features(self.grey)


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """What the pixels say of a pair.

    Attributes:
        verdict: Rung of the ladder: same_picture, edited, same_scene or look_alike.
        agreement: How the pictures agree where they are laid over one another.
        n_inliers: Local features that answer one another under the transform; -1 where none were needed.
        inlier_share: `n_inliers` over all local features that answer one another, 0 to 1; nan where none were needed.
        transform: Places of the left rendition to places of the right one, in pixels.
        shapes: (h, w) of both renditions.
    """

    verdict: int
    agreement: Agreement
    n_inliers: int
    inlier_share: float
    transform: Transform
    shapes: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Placed:
    frame: Frame
    coarse: float


def verify_pair(left: Picture, right: Picture) -> PairEvidence:
    """Judge one pair of pictures by their pixels; the verdict does not depend on which of them comes first."""
    if (left.shape, left.grey.tobytes()) <= (right.shape, right.grey.tobytes()):
        return _judge(left, right)
    found = _judge(right, left)
    return replace(found, transform=invert(found.transform), shapes=(left.shape, right.shape))


def _judge(left: Picture, right: Picture) -> PairEvidence:
    codes = likely_orientations(left.thumb, right.thumb)
    placed = _best([whole_transform(left.shape, right.shape, code) for code in codes], left, right)
    if placed.coarse >= PLAIN_AGREEMENT:
        found = _judge_finely(placed.frame, left, right)
        if min(found[1].local, found[1].fine) >= PLAIN_AGREEMENT and found[1].agreeing_share >= 0.9:
            return _conclude(found, None, left, right)
    matches = match_features(left.features, right.features)
    fitted = [fit_matches(matched, left.shape, right.shape) for matched in matches]
    placed = max(
        (placed, _best([transform for transform in fitted if transform is not None], left, right)),
        key=lambda one: one.coarse,
    )
    if placed.coarse < MIN_COARSE:
        coarse = Agreement(placed.coarse, 0.0, 0.0, 0.0, 0.0)
        return _conclude((placed.frame, coarse), matches, left, right)
    return _conclude(_judge_finely(placed.frame, left, right), matches, left, right)


def _best(transforms: list[Transform], left: Picture, right: Picture) -> _Placed:
    """Move each transform into place and return the one under which the pictures agree best in outline."""
    best = _Placed(make_frame(left.grey, right.grey, whole_transform(left.shape, right.shape, 0)), -2.0)
    for transform in transforms:
        frame = make_frame(left.grey, right.grey, transform)
        laid = lay(frame, COARSE_PX)
        best = max(best, _place(frame, laid), key=lambda one: one.coarse)
        moved = refine(frame, laid, by_homography=False, n_steps=50)
        if moved is not None:
            best = max(best, _place(moved, lay(moved, COARSE_PX)), key=lambda one: one.coarse)
    return best


def _place(frame: Frame, laid: Laid) -> _Placed:
    # A small common part agrees by chance more easily than a large one.
    return _Placed(frame, correlate_coarsely(laid) * min(1.0, laid.share / 0.25))


def _judge_finely(frame: Frame, left: Picture, right: Picture) -> tuple[Frame, Agreement]:
    side_px = fine_side_px(left.grey, right.grey)
    laid = lay(frame, side_px)
    looked_at = lay(frame, REFINED_PX) if side_px > REFINED_PX else laid
    agreed = [(frame, measure_agreement(laid))]
    moved = refine(frame, looked_at, by_homography=True, n_steps=30)
    if moved is not None:
        agreed.append((moved, measure_agreement(lay(moved, side_px))))
    return max(agreed, key=lambda one: one[1].fine)


def _conclude(
    found: tuple[Frame, Agreement], matches: tuple[Matches, Matches] | None, left: Picture, right: Picture
) -> PairEvidence:
    frame, agreement = found
    transform = frame.left_to_right
    n_inliers, share, n_features = -1, float("nan"), 0
    if matches is not None:
        matched = matches[int(np.linalg.det(transform[:2, :2]) < 0)]
        n_inliers = count_inliers(matched, transform, right.shape)
        share = n_inliers / max(len(matched), 1)
        n_features = min(len(left.features), len(right.features))
    sides_px = max(left.shape), max(right.shape)
    is_copy = matches is None or _is_copy(agreement, n_inliers, share, n_features, sides_px)
    if is_copy:
        verdict = SAME_PICTURE if _is_whole(transform, left.shape, right.shape, agreement) else EDITED
    else:
        verdict = SAME_SCENE if _is_scene(agreement, n_inliers, share) else LOOK_ALIKE
    return PairEvidence(verdict, agreement, n_inliers, share, transform, (left.shape, right.shape))


def _is_copy(agreement: Agreement, n_inliers: int, share: float, n_features: int, sides_px: tuple[int, int]) -> bool:
    if min(sides_px) < SMALL_PX:
        return _is_small_copy(agreement, n_inliers, share, is_both=max(sides_px) < SMALL_PX)
    agreeing, local = agreement.agreeing_share, agreement.local
    if n_features < FEW_FEATURES:  # A smooth or bare picture: its pixels must say more, or nearly all features agree.
        answered = n_inliers >= 8 and share >= 0.8
        return (agreeing >= 0.9 and local >= 0.92) or (agreeing >= 0.6 and local >= 0.92 and answered)
    is_alike = agreeing >= 0.8 and local >= 0.8
    is_partly = agreeing >= 0.5 and local >= 0.9
    is_answered = agreeing >= 0.5 and local >= 0.8 and n_inliers >= 25 and share >= 0.65
    # One frame or outline around different things agrees in pixels, while most of the features answer elsewhere.
    is_all_of_it = share >= 0.62 or agreeing >= 0.88 or (agreeing >= 0.8 and local >= 0.93)
    return (is_alike or is_partly or is_answered) and n_inliers >= 8 and is_all_of_it


def _is_small_copy(agreement: Agreement, n_inliers: int, share: float, *, is_both: bool) -> bool:
    """Judge where one picture is small, or both: then things of one build in one pose are alike in all that remains."""
    is_alike = agreement.coarse >= 0.75 and agreement.local >= 0.72 and n_inliers >= 7
    return is_alike and (not is_both or (agreement.coarse >= 0.78 and share >= 0.4))


def _is_scene(agreement: Agreement, n_inliers: int, share: float) -> bool:
    by_features = n_inliers >= 20 and share >= 0.2 and agreement.coarse >= 0.4
    return by_features or (agreement.coarse >= 0.65 and agreement.local >= 0.55 and n_inliers >= 3)


def _is_whole(transform: Transform, left: tuple[int, int], right: tuple[int, int], agreement: Agreement) -> bool:
    """Whether each picture shows all of the other, upright, in the same proportions, with nothing laid over it."""
    corners = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float64)
    moved = corners * (left[1] - 1, left[0] - 1, 1) @ transform.T
    misses = moved[:, :2] / moved[:, 2:] - corners[:, :2] * (right[1] - 1, right[0] - 1)
    aspect = (left[1] / left[0]) / (right[1] / right[0])
    is_placed = np.abs(misses / (right[1], right[0])).max() < 0.025
    is_clear = agreement.agreeing_share >= 0.8 and agreement.fine >= 0.8
    return bool(is_placed and 0.96 < aspect < 1.04 and is_clear)
