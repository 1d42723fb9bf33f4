"""Choose the threshold of a method for two datasets, or within one, by what verification found among their pairs.

Negatives are not modelled, they are counted: at a threshold t a method reports n(t) pairs, all of which exact search
counts; v(t) of them are of one verified group, so n(t) - v(t) are no verified copies, and that share is the false
discovery rate of exactly the list that the run would write. The most generous threshold whose rate is at most the
stated one is chosen. Copies that verification missed count as false, so the rate is rather over- than understated.

Counts may be small. The choice goes by the share itself; beside it stands the upper end of its one-sided 95 % interval
(C. J. Clopper, E. S. Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial,
Biometrika 26, 1934), which takes pairs for independent. Positives are known edits of the user's own images: their
recall is reported at every threshold and never moves the choice.

Shapes: t thresholds, strictest first; e edits.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.calibration.edit_scores import EditScores
from overlens.calibration.judged import Judged
from overlens.candidates.signals import CHUNK_PAIRS
from overlens.curves import count_alike, count_close
from overlens.records import Features
from overlens.search.counting import count_cosine_pairs, count_hamming_pairs

CONFIDENCE = 0.95
COSINES = (0.999, *(thousandth / 1000 for thousandth in range(995, 499, -5)))
"""Cosine thresholds to choose from. 1 is none: whether equal pictures reach it is a matter of the last bit."""

Counts = NDArray[np.int64]
Rows = tuple[NDArray[np.int32], NDArray[np.int32]]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Grounds:
    """What thresholds are chosen by, the same for every method and couple of datasets.

    Attributes:
        judged: What verification found.
        edits: Dataset -> method -> scores of known edits of its images, the same edits everywhere; empty where no image
            was edited, so that there is no recall to tell.
        rate: The stated false discovery rate, 0 to below 1.
    """

    judged: Judged
    edits: Mapping[str, Mapping[str, EditScores]]
    rate: float

    def edits_of(self, method: str, names: Iterable[str]) -> list[EditScores]:
        """Return the scores of known edits of these datasets by one method; of a dataset named twice once."""
        return [self.edits[name][method] for name in dict.fromkeys(names)] if self.edits else []


@dataclass(frozen=True, slots=True)
class Calibration:
    """The threshold of one method for two datasets, or within one, and what it was chosen from.

    Attributes:
        method: "cosine" or "perceptual".
        first: One dataset.
        second: The other, or the same.
        rate: The stated false discovery rate, 0 to 1.
        thresholds: Cosine similarities or distances in bits that could be chosen, strictest first, t of them.
        n_pairs: Pairs that the method reports at each.
        n_verified: How many of them are verified copies: of one group.
        n_refuted: How many of the others verification has looked at.
        edits: Names of the known edits.
        n_found: For each threshold, how many images of the sample are found by each of their edits, t rows of e.
        n_edited: Images in the sample.
        place: Which of the thresholds is chosen.
    """

    method: str
    first: str
    second: str
    rate: float
    thresholds: tuple[float, ...]
    n_pairs: tuple[int, ...]
    n_verified: tuple[int, ...]
    n_refuted: tuple[int, ...]
    edits: tuple[str, ...]
    n_found: tuple[tuple[int, ...], ...]
    n_edited: int
    place: int

    def __post_init__(self) -> None:
        columns = self.n_pairs, self.n_verified, self.n_refuted, self.n_found
        if any(len(column) != len(self.thresholds) for column in columns) or not 0 <= self.place < len(self.thresholds):
            raise ValueError(f"{len(self.thresholds)} thresholds need as many counts, and one of them to be chosen")
        counts = zip(self.n_pairs, self.n_verified, self.n_refuted, strict=True)
        if any(min(n, v, r) < 0 or v + r > n for n, v, r in counts):
            raise ValueError(f"verified {self.n_verified} and refuted {self.n_refuted} do not fit pairs {self.n_pairs}")

    @property
    def chosen(self) -> float:
        """The threshold: a cosine similarity, or a whole number of bits."""
        return self.thresholds[self.place]

    @property
    def is_kept(self) -> bool:
        """Whether the chosen threshold keeps the stated rate."""
        return _keeps(self.n_false(self.place), self.n_pairs[self.place], self.rate)

    @property
    def has_choice(self) -> bool:
        """Whether any threshold reports a pair: without one there is nothing to choose by, and nothing is estimated."""
        return any(self.n_pairs)

    def n_false(self, place: int) -> int:
        """Return how many of the pairs at a threshold are no verified copies."""
        return self.n_pairs[place] - self.n_verified[place]

    def false_discovery_rate(self, place: int) -> float | None:
        """Return the share of the pairs at a threshold that are no verified copies; None where there is no pair."""
        n = self.n_pairs[place]
        return self.n_false(place) / n if n else None

    def upper_bound(self, place: int) -> float | None:
        """Return the upper end of the one-sided 95 % interval of that share; None where there is no pair."""
        n = self.n_pairs[place]
        return bound_share(self.n_false(place), n) if n else None

    def recall(self, place: int, edit: str | None = None) -> float | None:
        """Return the share of known edits found at a threshold, of all edits or of one; None without a sample."""
        found = self.n_found[place] if edit is None else (self.n_found[place][self.edits.index(edit)],)
        n = len(found) * self.n_edited
        return sum(found) / n if n else None

    @property
    def where(self) -> str:
        """The datasets in words."""
        return f"within {self.first}" if self.first == self.second else f"{self.first} and {self.second}"

    @property
    def reason(self) -> str:
        """Why this threshold: one sentence."""
        n, false = self.n_pairs[self.place], self.n_false(self.place)
        last = ", the loosest of the range" if self.place == len(self.thresholds) - 1 else ""
        share = f"{false:,} of {n:,} pairs are no verified copies"
        if not self.is_kept:
            return f"no threshold keeps a false discovery rate of {self.rate:.3g}: even at the strictest {share}"
        if not self.has_choice:
            return (
                "there was nothing to choose from, as no threshold of the range reports a pair: nothing is estimated, "
                "and the loosest is used"
            )
        if not n and max(self.n_verified):
            return (
                f"the first threshold with no pair: among the {max(self.n_verified):,} verified pairs that looser "
                f"thresholds find there are always more others than a false discovery rate of {self.rate:.3g} allows"
            )
        if not n:
            return f"no pair is a verified copy, so the most generous threshold that reports no pair at all{last}"
        few = "" if false or n * self.rate >= 1 else f", too few to show a rate of {self.rate:.3g}"
        bound = f"at most {bound_share(false, n):.1%} with 95 % confidence"
        return f"the most generous that keeps a false discovery rate of {self.rate:.3g}: {share} ({bound}{few}){last}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `json.dump`, with one entry a threshold under "curve"."""
        return {
            "method": self.method,
            "datasets": [self.first, self.second],
            "threshold": self.chosen,
            "keeps_rate": self.is_kept,
            "reason": self.reason,
            "n_images_edited": self.n_edited,
            "curve": [self._row(place) for place in range(len(self.thresholds))],
        }

    def telling_places(self) -> list[int]:
        """Return the places that tell why: the chosen one, the next looser, and where pairs have halved and doubled."""
        n, last = self.n_pairs[self.place], len(self.thresholds) - 1
        halved = [place for place in range(self.place) if n and self.n_pairs[place] <= n / 2]
        doubled = [place for place in range(self.place + 1, last + 1) if self.n_pairs[place] >= max(2 * n, 1)]
        return sorted({self.place, min(self.place + 1, last), *halved[-1:], *doubled[:1]})

    def _row(self, place: int) -> dict[str, Any]:
        return {
            "threshold": self.thresholds[place],
            "n_pairs": self.n_pairs[place],
            "n_verified": self.n_verified[place],
            "n_refuted": self.n_refuted[place],
            "false_discovery_rate": self.false_discovery_rate(place),
            "upper_bound": self.upper_bound(place),
            "recall": self.recall(place),
            "recall_by_edit": {edit: self.recall(place, edit) for edit in self.edits},
        }


def calibrate(
    method: str, couple: tuple[Features, Features], grounds: Grounds, *, progress: Progress | None = None
) -> Calibration:
    """Count the pairs of two datasets at every threshold and choose one.

    Args:
        method: "cosine" or "perceptual".
        couple: Two datasets, or one twice for the pairs within it.
        grounds: What verification found, the known edits, and the stated rate.
        progress: Called with the number of pairs compared since the last call.

    Raises:
        ValueError: Other images were judged than those of the datasets.
    """
    first, second = (one.dataset for one in couple)
    _require_judged(couple, grounds.judged)
    thresholds = COSINES if method == "cosine" else distance_thresholds(couple[0])
    n_pairs = _count_all(method, couple, thresholds, progress)
    n_verified = _count_blocks(method, couple, grounds.judged.copies(first, second), thresholds)
    n_refuted = _count_blocks(method, couple, _cut(grounds.judged.refuted(first, second)), thresholds)
    edits = grounds.edits_of(method, (first, second))
    return Calibration(
        method,
        first,
        second,
        grounds.rate,
        thresholds,
        n_pairs=n_pairs,
        n_verified=n_verified,
        n_refuted=n_refuted,
        edits=edits[0].edits if edits else (),
        n_found=_count_found(method, edits, thresholds),
        n_edited=sum(map(len, edits)),
        place=choose(n_pairs, n_verified, grounds.rate),
    )


def choose(n_pairs: Sequence[int], n_verified: Sequence[int], rate: float) -> int:
    """Return the place of the most generous threshold that keeps a false discovery rate.

    The rate is that of the whole list reported at a threshold, so one false pair among the very nearest does not
    rule out a looser threshold at which it is one of thousands. A list without a pair keeps every rate.

    Args:
        n_pairs: Pairs at each threshold, strictest first.
        n_verified: How many of them are verified copies.
        rate: The stated rate.

    Returns:
        The place, or 0, the strictest, where no threshold keeps the rate.
    """
    counts = enumerate(zip(n_pairs, n_verified, strict=True))
    return max((place for place, (n, verified) in counts if _keeps(n - verified, n, rate)), default=0)


def bound_share(n_hits: int, n: int) -> float:
    """Return the upper end of the one-sided 95 % Clopper-Pearson interval of a share of `n_hits` of `n`."""
    from scipy.special import betaincinv

    return 1.0 if n_hits == n else float(betaincinv(n_hits + 1, n - n_hits, CONFIDENCE))


def distance_thresholds(features: Features) -> tuple[int, ...]:
    """Return the distances to choose from: 0 to a quarter of the bits; half of them differ between any two pictures."""
    return tuple(range(features.require_hashes().shape[1] * 8 // 4 + 1))


def _keeps(n_false: int, n_pairs: int, rate: float) -> bool:
    return n_false <= rate * n_pairs


def _require_judged(couple: tuple[Features, Features], judged: Judged) -> None:
    for features in couple:
        if len(judged.groups_in(features.dataset)) != features.n_kept:
            raise ValueError(
                f"the pairs of {features.dataset!r} were judged on other images than its {features.n_kept}"
            )


def _count_all(
    method: str, couple: tuple[Features, Features], thresholds: Sequence[float], progress: Progress | None
) -> tuple[int, ...]:
    """Return how many of all pairs reach each threshold, t of them."""
    left, right = couple
    is_within = left is right
    if method == "cosine":
        rows, others = left.require_embeddings(), None if is_within else right.require_embeddings()
        counts = count_cosine_pairs(rows, others, thresholds=thresholds, progress=progress)
    else:
        hashes, other_hashes = left.require_hashes(), None if is_within else right.require_hashes()
        counts = count_hamming_pairs(hashes, other_hashes, progress=progress)[: len(thresholds)]
    return tuple(counts.tolist())


def _cut(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows[0]), CHUNK_PAIRS):
        yield rows[0][start : start + CHUNK_PAIRS], rows[1][start : start + CHUNK_PAIRS]


def _count_blocks(
    method: str, couple: tuple[Features, Features], blocks: Iterable[Rows], thresholds: Sequence[float]
) -> tuple[int, ...]:
    """Return how many of the pairs in all blocks reach each threshold, t of them."""
    counts = np.zeros(len(thresholds), np.int64)
    for rows in blocks:
        counts += _count_named(method, couple, rows, thresholds)
    return tuple(counts.tolist())


def _count_named(method: str, couple: tuple[Features, Features], rows: Rows, thresholds: Sequence[float]) -> Counts:
    """Return how many of the named pairs reach each threshold, `(t,)` int64."""
    left, right = couple
    if method == "perceptual":
        bits = left.require_hashes()[rows[0]] ^ right.require_hashes()[rows[1]]
        distances = np.bitwise_count(bits).sum(axis=1, dtype=np.int32)
        return np.array(count_close(distances, [int(bits) for bits in thresholds], 8 * bits.shape[1]), np.int64)
    from overlens.search.kernels import score_pairs

    sides = left.require_embeddings()[rows[0]], right.require_embeddings()[rows[1]]
    places = np.arange(len(rows[0]))
    scores = score_pairs(*map(np.ascontiguousarray, sides), places, places)
    return np.array(count_alike(scores, thresholds), np.int64)


def _count_found(method: str, edits: Sequence[EditScores], thresholds: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    if not edits:
        return tuple(() for _ in thresholds)
    scores = np.concatenate([part.scores for part in edits])
    limits = np.asarray(thresholds, np.float32)
    found = [scores >= limit if method == "cosine" else scores <= limit for limit in limits]
    return tuple(tuple(hits.sum(axis=0).tolist()) for hits in found)
