"""Draw without repetition in a way that is the same on every platform and in every version of every library.

Each thing gets a number from SHA-256 over (version, seed, purpose, names); sorting by it is the draw. So a draw depends
on the names and on the seed alone: not on listing order, hash seed, processor or NumPy. It costs one digest a thing,
about a microsecond. Where few of many things are drawn very often, places in a sorted list are drawn instead, at one
digest a drawn thing. A change of anything here changes published splits: raise VERSION and keep the old numbers apart.
"""

import heapq
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from hashlib import sha256
from typing import TYPE_CHECKING

from overlens.digests import framed

if TYPE_CHECKING:
    import hashlib

VERSION = 1

# Digits of the logarithm in a weighted draw. Decimal rounds ln correctly, so all platforms agree on every digit;
# math.log leaves the last bits to the C library.
_CONTEXT = Context(prec=50, rounding=ROUND_HALF_EVEN)
_DIGEST_BITS = 256


def draw_number(seed: int, purpose: str, *names: str) -> int:
    """Return a uniform number in 0 <= number < 2**256 that depends on the arguments alone.

    Each part is preceded by its length, so that ("ab", "c") and ("a", "bc") differ.
    """
    digest = _begin(seed, purpose, *names)
    return int.from_bytes(digest.digest(), "big")


def order(names: Iterable[str], seed: int, purpose: str, *context: str) -> list[str]:
    """Return the distinct `names` in the order in which they are drawn; their own order does not matter.

    Args:
        names: What to draw from.
        seed: Which draw.
        purpose: What is drawn, so that draws for different ends are independent.
        context: Names that the draw is within, such as the class of the images.
    """
    return [name for _, name in sorted(_numbered(names, seed, purpose, *context))]


def draw(names: Iterable[str], n: int, seed: int, purpose: str, *context: str) -> list[str]:
    """Return `n` of the distinct `names`, or all if there are fewer, uniformly and without repetition.

    It is the beginning of their `order`, so the draw of a smaller n is the beginning of the draw of a larger one.

    Args:
        names: What to draw from; their order does not matter.
        n: How many, at least 0.
        seed: Which draw.
        purpose: What is drawn, so that draws for different ends are independent.
        context: Names that the draw is within, such as the class of the images.
    """
    return [name for _, name in heapq.nsmallest(n, _numbered(names, seed, purpose, *context))]


def draw_places(n_places: int, n: int, seed: int, purpose: str, *context: str) -> list[int]:
    """Return `n` of the places 0 to `n_places` - 1, or all if there are fewer, uniformly and without repetition.

    The beginning of a shuffle (Fisher and Yates; Knuth, "The Art of Computer Programming" 2, algorithm 3.4.2P): for i
    from 0 on, place i changes with place i + number mod (n_places - i), where the number is that of the name i. The
    draw of a smaller n is the beginning of that of a larger one.
    """
    start = _begin(seed, purpose, *context)
    moved: dict[int, int] = {}
    drawn = []
    for i in range(min(n, n_places)):
        digest = start.copy()
        digest.update(framed(str(i)))
        chosen = i + int.from_bytes(digest.digest(), "big") % (n_places - i)
        drawn.append(moved.get(chosen, chosen))
        moved[chosen] = moved.get(i, i)
    return drawn


def _numbered(names: Iterable[str], seed: int, purpose: str, *context: str) -> list[tuple[bytes, str]]:
    """Return each name behind its number, as bytes, which sort as the numbers do."""
    start = _begin(seed, purpose, *context)
    numbered = []
    for name in set(names):
        digest = start.copy()
        digest.update(framed(name))
        numbered.append((digest.digest(), name))
    return numbered


def _begin(seed: int, purpose: str, *names: str) -> "hashlib._Hash":
    return sha256(b"".join(map(framed, ("overlens sampler", str(VERSION), str(seed), purpose, *names))))


def draw_weighted(weights: Mapping[str, Fraction], n: int, seed: int, purpose: str) -> list[str]:
    """Return `n` names, or all if there are fewer, without repetition and with chances that follow their weights.

    The first is drawn with chance weight / sum of weights, the next likewise among the rest, and so on: every name
    gets -ln(u) / weight with u uniform in (0, 1), and the smallest come first (Efraimidis and Spirakis, "Weighted
    random sampling with a reservoir", Information Processing Letters 97, 2006, algorithm A).

    Args:
        weights: Name -> weight above 0.
        n: How many, at least 0.
        seed: Which draw.
        purpose: What is drawn, so that draws for different ends are independent.

    Raises:
        ValueError: A weight is not above 0.
    """
    for name, weight in weights.items():
        if not weight > 0:
            raise ValueError(f"the weight of {name!r} is {weight}; wanted is a weight above 0")

    def waiting_time(name: str) -> tuple[Decimal, str]:
        weight = weights[name]
        scaled = _CONTEXT.multiply(_log_uniform(draw_number(seed, purpose, name)), Decimal(-weight.denominator))
        return _CONTEXT.divide(scaled, Decimal(weight.numerator)), name

    return heapq.nsmallest(n, weights, key=waiting_time)


def _log_uniform(number: int) -> Decimal:
    """Return ln((number + 1/2) / 2**256); the half keeps it finite and below 0."""
    odds = _CONTEXT.divide(Decimal(2 * number + 1), Decimal(2 ** (_DIGEST_BITS + 1)))
    return _CONTEXT.ln(odds)
