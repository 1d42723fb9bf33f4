"""Choose the classes of a few-shot split.

* random: n classes uniformly.
* stratified: the n classes with most pictures, ties by class id; the seed moves the images only.
* long_tail: n classes with chances that follow one over their number of pictures.
* episodic: n classes uniformly, anew for every episode.
"""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from overlens.errors import ConfigError
from overlens.sampler import draw, draw_weighted

EPISODIC = "episodic"


def choose_random(counts: Mapping[str, int], n: int, seed: int) -> list[str]:
    """Return `n` classes, or all if there are fewer, each with the same chance."""
    return draw(counts, n, seed, "class")


def choose_most_frequent(counts: Mapping[str, int], n: int, seed: int) -> list[str]:
    """Return the `n` classes with most pictures."""
    return sorted(counts, key=lambda class_id: (-counts[class_id], class_id))[:n]


def choose_long_tail(counts: Mapping[str, int], n: int, seed: int) -> list[str]:
    """Return `n` classes, or all if there are fewer, rare ones with higher chances."""
    weights = {class_id: Fraction(1, count) for class_id, count in counts.items()}
    return draw_weighted(weights, n, seed, "long-tail class")


def choose_for_episode(counts: Mapping[str, int], n: int, seed: int, number: int) -> list[str]:
    """Return `n` classes, or all if there are fewer, of one episode."""
    return draw(counts, n, seed, "class of episode", str(number))


# Class id -> number of pictures, number of classes, seed -> chosen classes.
STRATEGIES: dict[str, Callable[[Mapping[str, int], int, int], list[str]]] = {
    "random": choose_random,
    "stratified": choose_most_frequent,
    "long_tail": choose_long_tail,
}


def require_known(strategies: Iterable[str]) -> None:
    """Raise ConfigError for a strategy that is none."""
    for strategy in strategies:
        if strategy not in (*STRATEGIES, EPISODIC):
            known = ", ".join((*STRATEGIES, EPISODIC))
            raise ConfigError(f"few-shot strategy {strategy!r} is not known; allowed: {known}")
