"""In which order pairs are looked at, and which: the doubtful ones first.

Doubt is distance to the border between copies and the rest. On the one side stand the verified pairs, the last rung
first and within it the weakest; on the other those that were not verified, the scene before the look-alike and within
it the strongest. The two sides take turns, so that whoever stops at any time has seen as many of either, and the
nearest of both. A pair that a person decided before the run counts as the rung that its pixels gave it, at the strength
of its pixels.

Shapes: n images, m listed pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.config import HASH_TYPES
from overlens.decisions.records import ANSWERS, code_of
from overlens.errors import ConfigError
from overlens.image_table import ImageTable
from overlens.review.pairs import ListedPairs
from overlens.verdicts import EDITED, VERDICTS

ORDERS = ("doubt", "surest", "listed")
JUDGED = ("any", "no", "yes", *ANSWERS)


@dataclass(frozen=True, slots=True)
class PairFilter:
    """Which pairs to show; "" and None leave open.

    Attributes:
        dataset: One image at least is of this dataset.
        other: The other one is of this dataset.
        label: One image at least has this label.
        rungs: Codes of the rungs that the pixels say; empty for all.
        judged: One of `JUDGED`.
        strength: Smallest and largest strength, inclusive.
        max_bits: Largest Hamming distance by the hash of the run, inclusive; pairs without one are left out.
        min_cosine: Smallest cosine similarity, inclusive; pairs without one are left out.
        text: Names or labels of one image at least hold this text, whatever its case.
        is_sample: Whether only pairs of the audit sample are shown.
    """

    dataset: str = ""
    other: str = ""
    label: str = ""
    rungs: tuple[str, ...] = ()
    judged: str = "any"
    strength: tuple[float | None, float | None] = (None, None)
    max_bits: int | None = None
    min_cosine: float | None = None
    text: str = ""
    is_sample: bool = False

    def require_known(self, datasets: Sequence[str]) -> None:
        """Raise ConfigError if a name is not known."""
        for what, seen, allowed in (
            *((kind, name, datasets) for kind, name in (("dataset", self.dataset), ("other", self.other)) if name),
            *(("rung", rung, VERDICTS) for rung in self.rungs),
            ("judged", self.judged, JUDGED),
        ):
            if seen not in allowed:
                raise ConfigError(f"{what} {seen!r} is not known; allowed: {', '.join(allowed)}")


def order_pairs(pairs: ListedPairs, order: str) -> NDArray[np.int32]:
    """Return `(m,)` places of the pairs in one of `ORDERS`; raises ConfigError if there is no such order."""
    places = np.arange(len(pairs), dtype=np.int32)
    if order == "listed":
        return places
    if order == "surest":
        return np.lexsort((places, -pairs.strengths, pairs.machine_rungs)).astype(np.int32)
    if order == "doubt":
        return _by_doubt(pairs)
    raise ConfigError(f"order {order!r} is not known; allowed: {', '.join(ORDERS)}")


def _by_doubt(pairs: ListedPairs) -> NDArray[np.int32]:
    rungs, strengths = pairs.machine_rungs.astype(np.int16), pairs.strengths
    is_verified = rungs <= EDITED
    copies, others = np.flatnonzero(is_verified), np.flatnonzero(~is_verified)
    copies = copies[np.lexsort((copies, strengths[copies], -rungs[copies]))]
    others = others[np.lexsort((others, -strengths[others], rungs[others]))]
    turns = np.empty(len(rungs), np.int64)
    turns[copies], turns[others] = 2 * np.arange(len(copies)), 2 * np.arange(len(others)) + 1
    return np.argsort(turns, kind="stable").astype(np.int32)


def select_pairs(images: ImageTable, pairs: ListedPairs, wanted: PairFilter, hash_type: str) -> NDArray[np.bool_]:
    """Return `(m,)` which pairs a filter lets through, but for `judged` and `is_sample`.

    Args:
        images: The images of the run.
        pairs: Its pairs.
        wanted: The filter.
        hash_type: One of `overlens.config.HASH_TYPES`, whose Hamming distance is meant.
    """
    is_wanted = np.ones(len(pairs), np.bool_)
    if wanted.dataset or wanted.other:
        is_wanted &= _joins(images, pairs, wanted.dataset, wanted.other)
    if wanted.rungs:
        is_wanted &= np.isin(pairs.machine_rungs, [VERDICTS.index(rung) for rung in wanted.rungs])
    if wanted.label:
        is_wanted &= _either(pairs, _has_label(images, wanted.label))
    if wanted.text:
        is_wanted &= _either(pairs, images.with_text(wanted.text))
    is_wanted &= _within_bits(pairs.bits[:, HASH_TYPES.index(hash_type)], wanted.max_bits)
    return is_wanted & _within_scores(pairs, wanted)


def is_judged(answers: NDArray[np.uint8], judged: str) -> NDArray[np.bool_]:
    """Return `(m,)` which pairs were judged as one of `JUDGED` says; answers are their codes, or 0."""
    if judged in ("no", "yes"):
        return np.asarray((answers > 0) == (judged == "yes"))
    return np.asarray(answers == code_of(judged)) if judged != "any" else np.ones(len(answers), np.bool_)


def _within_scores(pairs: ListedPairs, wanted: PairFilter) -> NDArray[np.bool_]:
    is_within = np.ones(len(pairs), np.bool_)
    least, most = wanted.strength
    if least is not None:
        is_within &= pairs.strengths >= _nearest(least)
    if most is not None:
        is_within &= pairs.strengths <= _nearest(most)
    if wanted.min_cosine is not None:
        is_within &= pairs.cosines >= _nearest(wanted.min_cosine)
    return is_within


def _within_bits(bits: NDArray[np.int16], most: int | None) -> NDArray[np.bool_]:
    return np.ones(len(bits), np.bool_) if most is None else (bits >= 0) & (bits <= most)


def _nearest(value: float) -> np.float32:
    """Return the float32 that is meant by a number; one beyond all scores stays beyond them."""
    return np.float32(min(max(value, -9.0), 9.0))


def _joins(images: ImageTable, pairs: ListedPairs, dataset: str, other: str) -> NDArray[np.bool_]:
    owners = images.datasets[pairs.left], images.datasets[pairs.right]
    first, second = (images.dataset_names.index(name) if name else None for name in (dataset, other))
    if first is None or second is None:
        number = second if first is None else first
        return np.asarray((owners[0] == number) | (owners[1] == number))
    there, back = ((owners[0] == one) & (owners[1] == another) for one, another in ((first, second), (second, first)))
    return np.asarray(there | back)


def _either(pairs: ListedPairs, is_wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return is_wanted[pairs.left] | is_wanted[pairs.right]


def _has_label(images: ImageTable, label: str) -> NDArray[np.bool_]:
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(images.label_names)}
    return images.labels == numbers[label] if label in numbers else np.zeros(len(images), np.bool_)
