"""How well two pictures agree where they are laid over one another.

Grey levels alone say little: two skies agree. What counts is what remains when broad shades are taken out, and that it
remains alike everywhere: another photograph or another painted version of the same thing agrees in outline and differs
in every detail, while an overlaid text spoils some places and leaves the rest exact. So the correlation is taken at two
scales over the whole, and once more within small neighbourhoods, which then vote.

Shapes: h rows, w columns of the frame.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from overlens.verify.alignment import Laid, blur

Values = NDArray[np.float32]

COARSE_PARTS, FINE_PARTS = 16, 32
"""Broad shades are those wider than this part of the frame's longer side."""
CELLS = 10
"""Neighbourhoods vote at so many places along the longer side."""
AGREEING = 0.7
"""Correlation within a neighbourhood from which it counts as agreeing."""
BEST_SHARE = 0.4
_NOISE = 2.0
_MIN_TEXTURE = 3.0
_MAX_TEXTURE = 20.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two laid pictures agree; all are 0 where they share too little to tell.

    Attributes:
        coarse: Correlation of the pixels without broad shades, -1 to 1.
        fine: The same with only finer detail left, -1 to 1.
        local: Correlation within neighbourhoods that the best 40 % of the texture reaches or passes, -1 to 1.
        agreeing_share: Share of the neighbourhoods with texture that agree, 0 to 1.
        covered_share: Share of the frame that both pictures cover, 0 to 1.
    """

    coarse: float
    fine: float
    local: float
    agreeing_share: float
    covered_share: float


def correlate_coarsely(laid: Laid) -> float:
    """Return the coarse correlation alone, -1 to 1; 0 where the pictures share too little to tell."""
    if not laid.is_enough:
        return 0.0
    side = max(laid.base.shape)
    return _correlate(*_without_shades(laid, side / COARSE_PARTS), laid.covered)


def measure_agreement(laid: Laid) -> Agreement:
    """Measure how two laid pictures agree."""
    if not laid.is_enough:
        return Agreement(0.0, 0.0, 0.0, 0.0, laid.share)
    side = max(laid.base.shape)
    base, other = _without_shades(laid, side / FINE_PARTS)
    local, texture = _correlate_locally(base, other, laid.covered, window=2 * round(side / 16) + 1)
    return Agreement(
        coarse=correlate_coarsely(laid),
        fine=_correlate(base, other, laid.covered),
        local=_reached_by_best(local, laid.covered * np.minimum(texture[0], _MAX_TEXTURE)),
        agreeing_share=_vote(local, np.maximum(*texture) * laid.covered),
        covered_share=laid.share,
    )


def _without_shades(laid: Laid, sigma: float) -> tuple[Values, Values]:
    """Take the broad shades out of both pictures, looking only where both show something."""
    weight = np.maximum(blur(laid.covered, sigma), 1e-3)
    mean = float((laid.other * laid.covered).sum() / laid.covered.sum())
    other = np.where(laid.covered > 0, laid.other, np.float32(mean))
    return (
        np.asarray(laid.base - blur(laid.base * laid.covered, sigma) / weight, np.float32),
        np.asarray(other - blur(other * laid.covered, sigma) / weight, np.float32),
    )


def _correlate(left: Values, right: Values, weight: Values) -> float:
    total = float(weight.sum())
    left = left - float((left * weight).sum()) / total
    right = right - float((right * weight).sum()) / total
    power = float((weight * left * left).sum()) * float((weight * right * right).sum())
    return float((weight * left * right).sum()) / (math.sqrt(power) + 1e-3)


def _correlate_locally(
    left: Values, right: Values, covered: Values, *, window: int
) -> tuple[Values, tuple[Values, Values]]:
    """Return the correlation around each place, and how much texture either picture has there, in grey levels."""
    weight = _mean(covered, window) + 1e-6
    power, other, both = (
        _mean(product * covered, window) / weight for product in (left * left, right * right, left * right)
    )
    power, other = np.maximum(power, 0), np.maximum(other, 0)
    local = np.asarray(both / np.sqrt(power * other + _NOISE**2), np.float32)
    return local, (np.asarray(np.sqrt(power), np.float32), np.asarray(np.sqrt(other), np.float32))


def _mean(values: Values, window: int) -> Values:
    return np.asarray(cv2.blur(values, (window, window)), np.float32)


def _reached_by_best(local: Values, weight: Values) -> float:
    """Return the value that the best `BEST_SHARE` of the weight reaches or passes."""
    local, weight = local[::2, ::2].ravel(), weight[::2, ::2].ravel()
    order = np.argsort(-local, kind="stable")
    gathered = np.cumsum(weight[order], dtype=np.float64)
    place = int(np.searchsorted(gathered, BEST_SHARE * gathered[-1]))
    return float(local[order[min(place, len(order) - 1)]]) if gathered[-1] > 0 else 0.0


def _vote(local: Values, texture: Values) -> float:
    step = max(1, max(local.shape) // CELLS)
    places = np.s_[step // 2 :: step, step // 2 :: step]
    votes = local[places][texture[places] > _MIN_TEXTURE]
    return float((votes > AGREEING).mean()) if len(votes) else 0.0
