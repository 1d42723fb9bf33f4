"""How many images are copies, estimated from what people said of a few: a stratified sample and its interval.

What is drawn are images, because an overlap is told in images: every image with a listed pair into another dataset
stands for the surest of its pairs, and a person says whether that is a copy. (A run of one dataset: its pairs within.)
The strata are dataset and rung by the pixels, since the rung says most of how likely a pair is a copy. Equal files and
equal pixels are a fact and are not drawn: they count in full. Every other stratum gets at least `LEAST` images, or all
of it, or `FEWEST` where that is too many, and the rest is shared out in proportion to size. Verdicts, places and
strengths that enter are those of the pixels alone, and the draw goes by names and seed: so the same sample is drawn
again at any time, also after a run that honoured the answers, and its images are judged in an order that is random too,
which makes what has been judged so far a sample as well.

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

Shapes: h strata, u units (images).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from overlens.errors import ConfigError
from overlens.sampler import draw, order

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


def share_out(sizes: Mapping[Stratum, int], n: int) -> dict[Stratum, int]:
    """Return how many images each stratum gets.

    Args:
        sizes: Stratum -> its images, at least 1.
        n: Size of the sample; all images where there are not more.

    Raises:
        ConfigError: `n` is too small for every stratum to get `FEWEST`, or all it has.
    """
    n = min(n, sum(sizes.values()))
    floors = {name: min(size, LEAST) for name, size in sizes.items()}
    if sum(floors.values()) > n:
        floors = {name: min(size, FEWEST) for name, size in sizes.items()}
    if (least := sum(floors.values())) > n:
        raise ConfigError(
            f"a sample of {n:,} is too small for the {len(sizes):,} strata of this run; give --sample {least} or more"
        )
    shares = dict(floors)
    while (rest := n - sum(shares.values())) > 0:
        open_sizes = {name: sizes[name] for name in sizes if shares[name] < sizes[name]}
        exact = {name: Fraction(rest * size, sum(open_sizes.values())) for name, size in open_sizes.items()}
        whole = {name: min(math.floor(part), sizes[name] - shares[name]) for name, part in exact.items()}
        if not any(whole.values()):
            for name in sorted(exact, key=lambda one: (-exact[one], one))[:rest]:
                whole[name] = 1
        shares = {name: n_own + whole.get(name, 0) for name, n_own in shares.items()}
    return shares


def draw_units(strata: Mapping[Stratum, Sequence[str]], n: int, seed: int) -> tuple[tuple[Stratum, str], ...]:
    """Return stratum and name of the images of the sample, in the order in which they should be judged.

    Every beginning of that order is spread over the strata as the whole is.

    Args:
        strata: Stratum -> names of its images, each at least one.
        n: Size of the sample.
        seed: Which draw.

    Raises:
        ConfigError: `n` is too small, see `share_out`.
    """
    shares = share_out({name: len(own) for name, own in strata.items()}, n)
    ranked: list[tuple[Fraction, Stratum, str]] = []
    for stratum, own in strata.items():
        drawn = draw(own, shares[stratum], seed, PURPOSE, *stratum)
        ranked += [(Fraction(2 * place + 1, 2 * len(drawn)), stratum, name) for place, name in enumerate(drawn)]
    first = {stratum: place for place, stratum in enumerate(_shuffled(strata, seed))}
    ranked.sort(key=lambda one: (one[0], first[one[1]], one[2]))
    return tuple((stratum, name) for _, stratum, name in ranked)


def _shuffled(strata: Mapping[Stratum, Sequence[str]], seed: int) -> list[Stratum]:
    named = {repr(stratum): stratum for stratum in strata}
    return [named[name] for name in order(named, seed, PURPOSE)]


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
