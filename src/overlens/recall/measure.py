"""What share of the pairs that ought to be found was found, where identifiers say which: recall without labelling.

Counted are identifiers, not pairs: one that stands on three images here and four there is one thing to be found, and
is found as soon as any of its images here is a copy of any there. So a much photographed work weighs as much as any
other. A shared identifier is a reason to expect a copy and no proof: one painting has two photographs, one catalogue
number two views. What was not found is therefore told by how verification judged it, and listed to be looked at.

The documented methods are measured on the same identifiers, each by its best pair of images.

Memory: a few columns over the images and the judged pairs.

Shapes: k shared identifiers.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from overlens.config import PairConfig
from overlens.edges import Edges
from overlens.groups.find import NO_GROUP, Groups
from overlens.overlap import VERIFIED_METHOD
from overlens.recall.expected_pairs import best_cosines, best_distances, first_rows
from overlens.recall.identifiers import NO_IDENTIFIER, Identifiers, SharedIdentifiers, share_identifiers
from overlens.records import Features
from overlens.roster import Roster
from overlens.tables import csv_text, rounded
from overlens.verdicts import EDITED, LOOK_ALIKE, VERDICTS, VERIFIED

SAME_GROUP, REFUTED, NO_CANDIDATE = "same_group", "refuted", "no_candidate"
OUTCOMES = (*VERIFIED, SAME_GROUP, *VERDICTS[EDITED + 1 :], REFUTED, NO_CANDIDATE)
"""What can have become of an identifier, the best first; it counts by the best of its pairs. `same_group`: no pair of
its images was judged a copy, but two of them are in one group of copies."""
N_FOUND = OUTCOMES.index(SAME_GROUP) + 1
"""How many of `OUTCOMES`, from the first on, count as found."""

_CSV_HEAD = (
    *("dataset_a", "image_a", "dataset_b", "image_b", "identifier"),
    *("n_images_a", "n_images_b", "verdict", "cosine", "hash_distance"),
)

Ranks = NDArray[np.uint8]
Places = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class MethodRecall:
    """How many shared identifiers one method finds.

    Attributes:
        method: "verified", "cosine" or "perceptual".
        threshold: Least cosine similarity or largest distance in bits, inclusive; None for "verified".
        n_found: Identifiers of which a pair of images is found.
        n_shared: Shared identifiers.
    """

    method: str
    threshold: float | int | None
    n_found: int
    n_shared: int

    def __post_init__(self) -> None:
        if not 0 <= self.n_found <= self.n_shared:
            raise ValueError(f"{self.method}: {self.n_found} found of {self.n_shared}")

    @property
    def share_found(self) -> float | None:
        """Share of the identifiers that is found, 0 to 1; None if there are none."""
        return self.n_found / self.n_shared if self.n_shared else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the share, 0 to 1."""
        return wilson_interval(self.n_found, self.n_shared)

    def to_json(self) -> dict[str, object]:
        """Return a plain dictionary for `json.dump`."""
        return {
            "method": self.method,
            "threshold": self.threshold,
            "n_found": self.n_found,
            "share_found": self.share_found,
            "interval_95": list(self.interval),
        }


@dataclass(frozen=True, slots=True)
class MissedIdentifier:
    """One shared identifier that was not found, with the pair of images that came nearest to it.

    Attributes:
        identifier: The identifier as the first image of the first dataset that has it writes it.
        left: Row of the image in the first dataset; of the best judged pair, else the first with this identifier.
        right: Row of the image in the second dataset.
        n_left: Images of the first dataset with this identifier.
        n_right: Images of the second dataset with it.
        outcome: The best that became of its pairs, one of `OUTCOMES`; None where nothing was verified.
        cosine: Best cosine similarity of its pairs; None without embeddings.
        distance: Smallest Hamming distance of its pairs in bits; None without hashes.
    """

    identifier: str
    left: int
    right: int
    n_left: int
    n_right: int
    outcome: str | None
    cosine: float | None
    distance: int | None


@dataclass(frozen=True, slots=True)
class IdentifierRecall:
    """How many of the identifiers that two datasets share were found.

    Attributes:
        dataset_a: The first dataset.
        dataset_b: The second dataset.
        source: Where the identifiers come from, in words.
        n_shared: Identifiers that both datasets have.
        n_refused: Names that both have and that are not taken for identifiers.
        by_outcome: Each of `OUTCOMES` -> number of identifiers; sums to `n_shared`. None where nothing was verified.
        methods: What each method finds; "verified" first if there is one.
        missed: Identifiers that verification did not find; where nothing was verified, that no method found.
    """

    dataset_a: str
    dataset_b: str
    source: str
    n_shared: int
    n_refused: int
    by_outcome: Mapping[str, int] | None
    methods: tuple[MethodRecall, ...]
    missed: tuple[MissedIdentifier, ...]

    def __post_init__(self) -> None:
        if self.by_outcome is not None and sum(self.by_outcome.values()) != self.n_shared:
            raise ValueError(f"{dict(self.by_outcome)} do not sum to {self.n_shared} shared identifiers")

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries and lists for `json.dump`; the missed ones are for `missed_csv`."""
        return {
            "datasets": [self.dataset_a, self.dataset_b],
            "source": self.source,
            "n_shared_identifiers": self.n_shared,
            "n_names_refused": self.n_refused,
            "by_outcome": None if self.by_outcome is None else dict(self.by_outcome),
            "methods": [method.to_json() for method in self.methods],
            "n_missed": len(self.missed),
        }


@dataclass(frozen=True, slots=True)
class Verified:
    """What verification found: every judged pair, and the groups they made."""

    edges: Edges
    groups: Groups


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """Outcome of each identifier, `(k,)` places in `OUTCOMES`, and its best pair of local rows, `(k,)` each."""

    ranks: Ranks
    left: Places
    right: Places


@dataclass(frozen=True, slots=True)
class _Scores:
    """Best score of each identifier by each method, `(k,)` float32 or int32, and who reaches its threshold."""

    best: Mapping[str, NDArray[np.float64]]
    thresholds: Mapping[str, float | int]

    def found(self, method: str) -> NDArray[np.bool_]:
        best, threshold = self.best[method], self.thresholds[method]
        return best >= np.float32(threshold) if method == "cosine" else best <= threshold


def measure_recalls(
    identifiers: Sequence[Identifiers],
    features: Sequence[Features],
    pairs: Callable[[str, str], PairConfig],
    verified: Verified | None = None,
) -> tuple[IdentifierRecall, ...]:
    """Return the recall of every two datasets that share an identifier, or a name that was not taken for one.

    Where identifiers are stated, every two datasets have one: those that share nothing are the ones to know of.

    Args:
        identifiers: Identifiers of the kept images of each dataset, in the order of the run.
        features: Features of the same datasets.
        pairs: Tells the methods and their thresholds for two datasets; a method without a threshold is left out.
        verified: What verification found, if it ran.
    """
    recalls = []
    for first, second in combinations(range(len(features)), 2):
        couple = identifiers[first], identifiers[second]
        shared = share_identifiers(*couple)
        if len(shared) or shared.n_refused or any(one.is_stated for one in couple):
            both = features[first], features[second]
            recalls.append(measure_recall(shared, both, pairs(both[0].dataset, both[1].dataset), verified))
    return tuple(recalls)


def measure_recall(
    shared: SharedIdentifiers,
    features: tuple[Features, Features],
    pairs: PairConfig,
    verified: Verified | None = None,
) -> IdentifierRecall:
    """Return how many of the identifiers that two datasets share were found, and by what."""
    outcomes = None if verified is None else _judge(shared, verified)
    scores = _score(shared, features, pairs)
    methods = [
        MethodRecall(method, scores.thresholds[method], int(scores.found(method).sum()), len(shared))
        for method in scores.best
    ]
    if outcomes is None:
        found = np.zeros(len(shared), np.bool_)
        for method in scores.best:
            found |= scores.found(method)
    else:
        found = outcomes.ranks < N_FOUND
        methods.insert(0, MethodRecall(VERIFIED_METHOD, None, int(found.sum()), len(shared)))
    return IdentifierRecall(
        dataset_a=shared.dataset_a,
        dataset_b=shared.dataset_b,
        source=shared.source,
        n_shared=len(shared),
        n_refused=shared.n_refused,
        by_outcome=None if outcomes is None else _count(outcomes.ranks),
        methods=tuple(methods),
        missed=tuple(_list_missed(shared, np.flatnonzero(~found), outcomes, scores)),
    )


def wilson_interval(n_found: int, n_tried: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the confidence interval of a share, 95 % by default; (0, 1) if nothing was tried.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
    """
    if n_tried == 0:
        return 0.0, 1.0
    share, slack = n_found / n_tried, z * z / n_tried
    middle = (share + slack / 2) / (1 + slack)
    reach = z * math.sqrt(share * (1 - share) / n_tried + slack / (4 * n_tried)) / (1 + slack)
    # At the ends the formula gives exactly 0 and 1, but for the rounding.
    return 0.0 if n_found == 0 else middle - reach, 1.0 if n_found == n_tried else middle + reach


def missed_csv(recalls: Sequence[IdentifierRecall], keys: Mapping[str, Sequence[str]]) -> str:
    """Return the identifiers that were not found as CSV, for people to look at.

    Args:
        recalls: What was measured.
        keys: Dataset -> keys of its images in the order of their rows.
    """
    return csv_text(_CSV_HEAD, (_missed_row(recall, one, keys) for recall in recalls for one in recall.missed))


def _missed_row(
    recall: IdentifierRecall, one: MissedIdentifier, keys: Mapping[str, Sequence[str]]
) -> tuple[object, ...]:
    left = recall.dataset_a, keys[recall.dataset_a][one.left]
    right = recall.dataset_b, keys[recall.dataset_b][one.right]
    return *left, *right, one.identifier, one.n_left, one.n_right, one.outcome, rounded(one.cosine), one.distance


def _judge(shared: SharedIdentifiers, verified: Verified) -> _Outcomes:
    roster = verified.groups.roster
    starts = [int(roster.offsets[roster.number_of(name)]) for name in (shared.dataset_a, shared.dataset_b)]
    ranks = np.full(len(shared), OUTCOMES.index(NO_CANDIDATE), np.uint8)
    left, right = first_rows(shared.left, len(shared)), first_rows(shared.right, len(shared))
    chosen, numbers = _edges_between(shared, verified.edges, roster)
    # By identifier, the best pair first; of equal ones the lowest rows.
    order = np.lexsort((chosen.right, chosen.left, -chosen.strengths, _rank(chosen.verdicts), numbers))
    which, first = np.unique(numbers[order], return_index=True)
    best = order[first]
    ranks[which] = _rank(chosen.verdicts[best])
    left[which], right[which] = chosen.left[best] - starts[0], chosen.right[best] - starts[1]
    grouped = _found_by_group(shared, verified.groups.group_of, starts)
    ranks[grouped] = np.minimum(ranks[grouped], OUTCOMES.index(SAME_GROUP))
    return _Outcomes(ranks, left, right)


def _edges_between(shared: SharedIdentifiers, edges: Edges, roster: Roster) -> tuple[Edges, Places]:
    """Return the pairs of images with one identifier, that of the first dataset left, and their identifiers."""
    a, b = roster.number_of(shared.dataset_a), roster.number_of(shared.dataset_b)
    owners = roster.dataset_of(edges.left), roster.dataset_of(edges.right)
    is_turned = (owners[0] == b) & (owners[1] == a)
    places = np.flatnonzero(is_turned | ((owners[0] == a) & (owners[1] == b)))
    turned = is_turned[places]
    left = np.where(turned, edges.right[places], edges.left[places])
    right = np.where(turned, edges.left[places], edges.right[places])
    numbers = shared.left[roster.local(left)]
    is_shared = (numbers != NO_IDENTIFIER) & (numbers == shared.right[roster.local(right)])
    kept = places[is_shared]
    return Edges(left[is_shared], right[is_shared], edges.verdicts[kept], edges.strengths[kept]), numbers[is_shared]


def _rank(verdicts: NDArray[np.uint8]) -> Ranks:
    """Return the place in `OUTCOMES` of each verdict; what lies beyond the ladder is refuted."""
    ladder = np.array([OUTCOMES.index(verdict) for verdict in VERDICTS] + [OUTCOMES.index(REFUTED)], np.uint8)
    return ladder[np.minimum(verdicts, LOOK_ALIKE + 1)]


def _found_by_group(shared: SharedIdentifiers, group_of: Places, starts: Sequence[int]) -> NDArray[np.int64]:
    """Return the identifiers of which an image of either dataset is in one group."""
    keys = []
    for numbers, start in zip((shared.left, shared.right), starts, strict=True):
        groups = group_of[start : start + len(numbers)]
        is_both = (numbers != NO_IDENTIFIER) & (groups != NO_GROUP)
        keys.append(numbers[is_both].astype(np.int64) << 32 | groups[is_both])
    return np.unique(np.intersect1d(*keys) >> 32)


def _count(ranks: Ranks) -> dict[str, int]:
    counts = np.bincount(ranks, minlength=len(OUTCOMES)).tolist()
    return dict(zip(OUTCOMES, counts, strict=True))


def _score(shared: SharedIdentifiers, features: tuple[Features, Features], pairs: PairConfig) -> _Scores:
    left, right = features
    thresholds = {"cosine": pairs.min_similarity, "perceptual": pairs.max_distance_bits}
    used = {name: limit for name in pairs.methods if (limit := thresholds[name]) is not None}
    best: dict[str, NDArray[np.float64]] = {}
    if "cosine" in used and left.embeddings is not None and right.embeddings is not None:
        best["cosine"] = best_cosines(shared, left.embeddings, right.embeddings)
    if "perceptual" in used and left.hashes is not None and right.hashes is not None:
        best["perceptual"] = best_distances(shared, left.hashes, right.hashes)
    return _Scores(best, used)


def _list_missed(
    shared: SharedIdentifiers, numbers: NDArray[np.int64], outcomes: _Outcomes | None, scores: _Scores
) -> Iterator[MissedIdentifier]:
    k = len(shared)
    left = first_rows(shared.left, k) if outcomes is None else outcomes.left
    right = first_rows(shared.right, k) if outcomes is None else outcomes.right
    n_left, n_right = (Counter(column[column != NO_IDENTIFIER].tolist()) for column in (shared.left, shared.right))
    cosine, distance = scores.best.get("cosine"), scores.best.get("perceptual")
    for number in numbers.tolist():
        yield MissedIdentifier(
            shared.values[number],
            int(left[number]),
            int(right[number]),
            n_left[number],
            n_right[number],
            None if outcomes is None else OUTCOMES[outcomes.ranks[number]],
            None if cosine is None else float(cosine[number]),
            None if distance is None else int(distance[number]),
        )
