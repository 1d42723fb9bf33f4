"""How many images are copies, estimated from what people said of a few: a stratified sample and its interval.

What is drawn are images, because an overlap is told in images: every image with a listed pair into another dataset
stands for the surest of its pairs, and a person says whether that is a copy. (A run of one dataset: its pairs within.)
The strata are dataset and rung by the pixels, since the rung says most of how likely a pair is a copy. Equal files and
equal pixels are a fact and are not drawn: they count in full. Every other stratum gets at least `LEAST` images, or all
of it, or `FEWEST` where that is too many, and the rest is shared out in proportion to size. The images of all strata
stand in one order, and the sample of any size is its beginning: so what has been judged of it without a gap is a sample
as well, and what was judged for a smaller one is of use to a larger one. What enters, verdicts, places and strengths,
is of the pixels alone, and the draw goes by names and seed: the same sample is drawn again at any time, also after a
run that honoured the answers.

The estimate is the sum over the strata of size times share of copies, and its interval is made of the interval of each
stratum: the distances from share to end, times size, are added in squares, for either end on its own (MOVER: G. Y. Zou,
W. Huang, X. Zhang, "A note on confidence interval estimation for a linear function of binomial proportions",
Computational Statistics and Data Analysis 53, 2009). Those of the strata are exact (Clopper and Pearson, Biometrika 26,
1934) and not Wilson's, with which a simulated population of rare copies was covered 84 times of 100 only; it costs
intervals that are a twentieth wider. So an interval is never empty, also where every answer is the same. Drawing
without repetition from few is honoured: n answers of N tell as much as n (N - 1) / (N - n) of infinitely many, and all
N leave no doubt. Neither end leaves what the answers prove: not fewer copies than were seen, nor more than all but
those seen to be none. "unsure" counts half in the estimate, as no copy for the lower end and as a copy for the upper.

What the sample cannot tell: whether an image has a copy that no listed pair shows, and whether a less sure pair of an
image is a copy where its surest is none.

Shapes: k pairs to be judged.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from overlens.errors import ConfigError
from overlens.sampler import draw

LEAST, FEWEST = 5, 2
"""Images that every stratum gets if it has them: what is aimed at, and what a sample cannot do without."""
PURPOSE = "audit sample"

Stratum = tuple[str, str]
"""Dataset and rung."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one stratum.

    Attributes:
        size: Images in it, at least 1.
        n_copies: Drawn images that were judged to be copies.
        n_others: Drawn images that were judged to be none.
        n_unsure: Drawn images of which the answer is "unsure".
    """

    size: int
    n_copies: int
    n_others: int
    n_unsure: int

    @property
    def n(self) -> int:
        """How many were judged."""
        return self.n_copies + self.n_others + self.n_unsure


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of images, and its 95 % interval: 0 <= low <= value <= high."""

    value: float
    low: float
    high: float


def seats(sizes: Mapping[Stratum, int], n: int) -> tuple[Stratum, ...]:
    """Return from which stratum each image of a sample is, in the order in which they should be judged.

    A smaller sample is the beginning of a larger one. By turns, the largest stratum first, every stratum gets `LEAST`;
    from there on the next is that with the highest size / (images it has + 1) (highest averages; D'Hondt, Jefferson).

    Args:
        sizes: Stratum -> its images, at least 1.
        n: Size of the sample; all images where there are not more.

    Raises:
        ConfigError: `n` is too small for every stratum to get `FEWEST`, or all it has.
    """
    n = min(n, sum(sizes.values()))
    if (fewest := sum(min(size, FEWEST) for size in sizes.values())) > n:
        raise ConfigError(
            f"a sample of {n:,} is too small for the {len(sizes):,} strata of this run; give --sample {fewest} or more"
        )
    ranked = heapq.merge(*(_ranks(stratum, size) for stratum, size in sizes.items()))
    return tuple(stratum for *_, stratum in islice(ranked, n))


def _ranks(stratum: Stratum, size: int) -> Iterator[tuple[bool, float, int, Stratum]]:
    """Return the rank of each image of a stratum among the images of all, ascending."""
    for place in range(size):
        is_late = place >= LEAST
        yield is_late, -size / (place + 1) if is_late else place, -size, stratum


def draw_units(
    sizes: Mapping[Stratum, int], parts_of: Callable[[Stratum], Iterable[Mapping[str, int]]], n: int, seed: int
) -> tuple[tuple[Stratum, int], ...]:
    """Return stratum and number of the images of the sample, in the order in which they should be judged.

    Args:
        sizes: Stratum -> its images, at least 1.
        parts_of: Returns the images of a stratum part by part, so that not all need to be held: name -> number. Which
            part an image is in plays no part.
        n: Size of the sample.
        seed: Which draw.

    Raises:
        ConfigError: `n` is too small, see `seats`.
    """
    ordered = seats(sizes, n)
    drawn = {
        stratum: iter(_draw_first(parts_of(stratum), n_own, seed, stratum))
        for stratum, n_own in Counter(ordered).items()
    }
    return tuple((stratum, next(drawn[stratum])) for stratum in ordered)


def _draw_first(parts: Iterable[Mapping[str, int]], n: int, seed: int, stratum: Stratum) -> list[int]:
    """Return the numbers of the first `n` images of a stratum: those of all are among those of the parts."""
    first: dict[str, int] = {}
    for part in parts:
        found = {**first, **part}
        first = {name: found[name] for name in draw(found, n, seed, PURPOSE, *stratum)}
    return [*first.values()]


def count_beginning(is_judged: NDArray[np.bool_], is_own: NDArray[np.bool_]) -> int:
    """Return how many pairs count: all if all are judged, else those up to the last own one that has no gap before it.

    A pair that was judged before it was its turn, by whoever looked for doubtful ones, is no random choice. So neither
    such a pair nor the next gap behind it decides where the part that counts ends.

    Args:
        is_judged: `(k,)` whether each was judged, in the order of the draw.
        is_own: `(k,)` whether that was for the sample.
    """
    if is_judged.all():
        return len(is_judged)
    own = np.flatnonzero(is_own[: int(np.argmin(is_judged))])
    return int(own[-1]) + 1 if len(own) else 0


def estimate_copies(strata: Sequence[Judged], n_certain: int = 0) -> Estimate | None:
    """Return how many images are copies; None while a stratum has no answer.

    Args:
        strata: What people said, stratum by stratum.
        n_certain: Images that are copies in any case.
    """
    if any(one.n == 0 for one in strata):
        return None
    value = math.fsum(one.size * (one.n_copies + one.n_unsure / 2) / one.n for one in strata)
    lows = [_ends(one.n_copies, one) for one in strata]
    highs = [_ends(one.n_copies + one.n_unsure, one) for one in strata]
    sizes = [one.size for one in strata]
    low, high = _sum(sizes, [share for _, share, _ in lows]), _sum(sizes, [share for _, share, _ in highs])
    low -= math.hypot(*(size * (share - end) for size, (end, share, _) in zip(sizes, lows, strict=True)))
    high += math.hypot(*(size * (end - share) for size, (_, share, end) in zip(sizes, highs, strict=True)))
    least, most = sum(one.n_copies for one in strata), sum(one.size - one.n_others for one in strata)
    low, high = min(max(low, least), value), max(min(high, most), value)
    return Estimate(n_certain + value, n_certain + low, n_certain + high)


def exact_interval(n_found: float, n_tried: float) -> tuple[float, float]:
    """Return the 95 % interval of Clopper and Pearson of a share; the counts may be fractions, `n_tried` above 0."""
    from scipy.special import betaincinv

    low = 0.0 if n_found <= 0 else float(betaincinv(n_found, n_tried - n_found + 1, 0.025))
    return low, 1.0 if n_found >= n_tried else float(betaincinv(n_found + 1, n_tried - n_found, 0.975))


def _sum(sizes: Sequence[int], shares: Sequence[float]) -> float:
    return math.fsum(size * share for size, share in zip(sizes, shares, strict=True))


def _ends(n_copies: int, one: Judged) -> tuple[float, float, float]:
    """Return the lower end, the share and the upper end of one stratum."""
    share = n_copies / one.n
    if one.n >= one.size:
        return share, share, share
    n = one.n * (one.size - 1) / (one.size - one.n)
    low, high = exact_interval(share * n, n)
    return min(low, share), share, max(high, share)
