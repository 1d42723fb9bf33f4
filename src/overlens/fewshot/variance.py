"""How much accuracy depends on the seed: simple probes trained on each support, measured on each query part.

For each strategy, k and probe: one accuracy a seed, their mean, their standard deviation, a Student-t interval of the
mean over the seeds, and how many seeds an interval of one point to either side would take. A set of episodes is one
seed, whose accuracy is the mean over its episodes; the spread over all episodes, which is what papers report, stands
beside it and is narrower, as it takes episodes of one seed for independent.

The intervals speak of other draws from the same images: the query parts of two seeds may share images, so they do not
say how far the figure is from that of other images. They are symmetric and not cut at 0 and 1.

A deviation of few seeds is rough: its own interval rests on the chi-squared distribution, and the number of seeds is
stated at both its ends. With 3 seeds these are a factor of 145 apart.

Choice: probes see an image only through its products with the training rows, so all rows are turned once into
coordinates in the span of these, by the Cholesky factor of their products; that takes a tenth of the time of the QR
decomposition that a probe would make for itself. What is left is mostly a fit's own Python, so cores help little; a
probe that is fitted step by step is therefore measured on the first 100 episodes of each seed, which n_episodes says.

Shapes: n training rows, m query rows, d dimensions of an embedding.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.cores import map_parts
from overlens.fewshot.lock import LOCK_KEY
from overlens.fewshot.splits import EpisodeSet, Split, Splits
from overlens.fewshot.strategies import EPISODIC, STRATEGIES
from overlens.frames import make_frame
from overlens.probes import predict
from overlens.records import FloatRows
from overlens.tables import csv_text, rounded

if TYPE_CHECKING:
    import pandas

VARIANCE_PROBES = ("nearest_centroid", "logistic")
SLOW_PROBES = ("knn", "logistic")
MOST_SLOW_EPISODES = 100
CONFIDENCE = 0.95
HALF_WIDTH = 0.01
METHOD = (
    "Probes are trained on the support and measured on the query part. low and high bound the mean in a 95 % Student-t "
    "interval over the seeds, or over the episodes of all seeds; it speaks of other draws from the same images. "
    f"The logistic probe is measured on the first {MOST_SLOW_EPISODES} episodes of each seed. "
    "n_needed is the smallest number of them for an interval of 0.01 to either side at this standard deviation; "
    "n_needed_low and n_needed_high are that number at the ends of the deviation's own 95 % interval. All three are "
    "null where there is one value, or all are alike."
)
COLUMNS = (
    *("dataset", "strategy", "k_shot", "probe", "n_classes", "chance", "n_seeds", "n_episodes", "n_query", "accuracy"),
    *("deviation", "low", "high", "seeds_needed", "seeds_needed_low", "seeds_needed_high"),
    *("episode_deviation", "episode_low", "episode_high", "episodes_needed", "not_measured_because"),
)
_Row = tuple[object, ...]
_Set = Split | EpisodeSet
_Rows = NDArray[Any]  # float32 rows, or float64 coordinates: rounded to float32, another fit would come out


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean of `n` accuracies of 0 to 1, and how sure it is.

    Attributes:
        n: Number of accuracies, 1 or more.
        mean: Their mean.
        deviation: Their standard deviation with n - 1 in the denominator; None, as all below, where there is one.
        low: Lower end of the 95 % Student-t interval of the mean, which may lie below 0.
        high: Upper end, which may lie above 1.
        n_needed: Smallest number, 2 or more, for which that interval reaches `HALF_WIDTH` or less to either side; None,
            as the two below, also where all are alike, as that tells nothing of how others would differ.
        n_needed_low: That number at the lower end of the 95 % interval of the deviation.
        n_needed_high: That number at its upper end.
    """

    n: int
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    n_needed: int | None = None
    n_needed_low: int | None = None
    n_needed_high: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return the fields, numbers to six digits."""
        return {name: rounded(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class SeedAccuracy:
    """Accuracy of a probe on the split, or on the episodes, of one seed.

    Attributes:
        seed: Seed of the draw.
        accuracy: Share of the query images whose class the probe found; of episodes, the mean of their shares.
        n_classes: Classes of the split, or of each episode.
        n_support: Images that the probe was trained on; of episodes, their sum, as for `n_query`.
        n_query: Images that it was measured on.
        n_episodes: Episodes that were measured, or None for a split.
    """

    seed: int
    accuracy: float
    n_classes: int
    n_support: int
    n_query: int
    n_episodes: int | None = None


@dataclass(frozen=True, slots=True)
class SeedVariance:
    """How the accuracy of one probe varies over the seeds of one strategy and k.

    Attributes:
        dataset: Name of the dataset.
        strategy: Strategy of the splits.
        k_shot: Support images of each class.
        probe: One of `overlens.probes.PROBES`.
        seeds: Accuracy of each seed that could be measured, by seed.
        spread: Over these seeds; None without any.
        episodes: Over the episodes of all seeds; None for splits.
        why_not: Why each other seed has no accuracy, as (seed, reason).
    """

    dataset: str
    strategy: str
    k_shot: int
    probe: str
    seeds: tuple[SeedAccuracy, ...]
    spread: Spread | None
    episodes: Spread | None
    why_not: tuple[tuple[int, str], ...] = ()

    @property
    def n_classes(self) -> int | None:
        """Classes of the splits, the fewest where seeds differ; None where nothing was measured."""
        return min((one.n_classes for one in self.seeds), default=None)

    @property
    def chance(self) -> float | None:
        """Accuracy of a guess: the mean over the seeds of one over the number of classes."""
        shares = [1 / one.n_classes for one in self.seeds]
        return math.fsum(shares) / len(shares) if shares else None

    @property
    def n_query(self) -> int:
        """Images that were measured, summed over seeds; one that two seeds have counts twice."""
        return sum(one.n_query for one in self.seeds)

    @property
    def n_episodes(self) -> int | None:
        """Episodes of all seeds, or None for splits."""
        return None if self.strategy != EPISODIC else sum(one.n_episodes or 0 for one in self.seeds)

    def to_json(self) -> dict[str, object]:
        """Return everything, accuracies to six digits."""
        return {
            "dataset": self.dataset,
            "strategy": self.strategy,
            "k_shot": self.k_shot,
            "probe": self.probe,
            "chance": rounded(self.chance),
            "over_seeds": None if self.spread is None else self.spread.to_json(),
            "over_episodes": None if self.episodes is None else self.episodes.to_json(),
            "seeds": [{name: rounded(value) for name, value in asdict(one).items()} for one in self.seeds],
            "not_measured": [{"seed": seed, "reason": reason} for seed, reason in self.why_not],
        }

    def to_row(self) -> _Row:
        """Return the values of `COLUMNS`."""
        over = self.spread or Spread(0, math.nan)
        each = self.episodes or Spread(0, math.nan)
        return (
            *(self.dataset, self.strategy, self.k_shot, self.probe, self.n_classes, rounded(self.chance)),
            *(over.n, self.n_episodes, self.n_query, rounded(over.mean) if self.spread else None),
            *map(rounded, (over.deviation, over.low, over.high)),
            *(over.n_needed, over.n_needed_low, over.n_needed_high),
            *map(rounded, (each.deviation, each.low, each.high)),
            *(each.n_needed, "; ".join(f"seed {seed}: {reason}" for seed, reason in self.why_not) or None),
        )

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row a seed: dataset, strategy, k_shot, probe, and the fields of `SeedAccuracy`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        place = (self.dataset, self.strategy, self.k_shot, self.probe)
        columns = ("seed", "accuracy", "n_classes", "n_support", "n_query", "n_episodes")
        rows = [(*place, *(getattr(one, name) for name in columns)) for one in self.seeds]
        return make_frame(rows, ("dataset", "strategy", "k_shot", "probe", *columns), {"n_episodes": "Int64"})


@dataclass(frozen=True, slots=True)
class _Trial:
    """One training and measurement: which set it is of, by which probes, rows of the embeddings, and classes."""

    place: int
    probes: tuple[str, ...]
    support: NDArray[np.int64]
    support_codes: NDArray[np.int64]
    query: NDArray[np.int64]
    query_codes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a trial: which set it is of, images on both sides, and the accuracy of each of its probes."""

    place: int
    n_support: int
    n_query: int
    accuracies: Mapping[str, float]


def measure_variance(
    splits: Splits,
    embeddings: FloatRows,
    *,
    probes: Sequence[str] = VARIANCE_PROBES,
    told: Callable[[int], object] = lambda _: None,
) -> tuple[SeedVariance, ...]:
    """Measure the probes on every split and every episode, on all cores; slow probes on the first of many episodes.

    Args:
        splits: Splits of one dataset.
        embeddings: `(n, d)` float32 unit rows that the splits' rows point into; may be memory-mapped.
        probes: Some of `overlens.probes.PROBES`.
        told: Called with 1 after each of `count_trials` trials, in the thread of the caller. A probe that is fitted
            step by step takes part in the first `MOST_SLOW_EPISODES` episodes of each seed, which its figures say.

    Returns:
        One record for each strategy, k and probe, in the order of the strategies, then of k, then of `probes`.

    Raises:
        ConfigError: A probe is unknown.
        ValueError: A row of the splits is not in the embeddings.
    """
    import scipy.linalg  # noqa: F401 - before cores are shared out, so that its own threads are found and held back

    sets = _sets(splits)
    _require_rows(sets, len(embeddings))
    measured: list[list[_Outcome]] = [[] for _ in sets]
    for outcome in map_parts(partial(_run, embeddings), _trials(sets, tuple(probes))):
        measured[outcome.place].append(outcome)
        told(1)
    return tuple(
        _summarise(splits, (strategy, k, probe), list(zip(sets, measured, strict=True)))
        for strategy, k in _kinds(splits)
        for probe in probes
    )


def count_trials(splits: Splits) -> int:
    """Return on how many splits and episodes `measure_variance` measures, for those who show progress."""
    return sum(1 for _ in _trials(_sets(splits), ()))


def measure_spread(accuracies: Sequence[float]) -> Spread:
    """Return mean, deviation and interval of at least one accuracy; sums are exact, so their order plays no part.

    Raises:
        ValueError: There is no accuracy.
    """
    n = len(accuracies)
    if not n:
        raise ValueError("a spread needs at least one accuracy")
    mean = math.fsum(accuracies) / n
    if n == 1:
        return Spread(1, mean)
    if min(accuracies) == max(accuracies):
        return Spread(n, accuracies[0], 0.0, accuracies[0], accuracies[0])
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in accuracies) / (n - 1))
    reach = _reach(n, deviation)
    needed = (count_needed(deviation), *map(count_needed, _deviation_interval(n, deviation)))
    return Spread(n, mean, deviation, mean - reach, mean + reach, *needed)


def count_needed(deviation: float, half_width: float = HALF_WIDTH) -> int:
    """Return the smallest n of 2 or more with t(n - 1) * deviation / sqrt(n) <= half_width, in a 95 % interval."""
    # t is above the normal quantile, so no smaller number will do, and from there it is a few steps.
    n = max(2, math.floor((1.9599 * deviation / half_width) ** 2))
    while _reach(n, deviation) > half_width:
        n += 1
    return n


def variance_json(variances: Sequence[SeedVariance], lock_sha256: str | None = None) -> dict[str, object]:
    """Return what the JSON file holds: how to read the figures, of which splits they are, and the figures.

    Args:
        variances: The figures.
        lock_sha256: Digest of the lock of the splits that were measured, or None where these have none.
    """
    return {
        "method": METHOD,
        "confidence": CONFIDENCE,
        LOCK_KEY: lock_sha256,
        "results": [one.to_json() for one in variances],
    }


def variance_csv(variances: Sequence[SeedVariance]) -> str:
    """Return a table of `COLUMNS`, one line a record; what is not known is empty. Lines end in a line feed."""
    return csv_text(COLUMNS, (one.to_row() for one in variances))


def variance_frame(variances: Sequence[SeedVariance]) -> "pandas.DataFrame":
    """Return the table of `variance_csv` as a DataFrame.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    nullable = {name: "Int64" for name in COLUMNS if name.startswith(("n_", "seeds_", "episodes_"))}
    floats = {name: "Float64" for name in COLUMNS if name.endswith(("accuracy", "deviation", "low", "high", "chance"))}
    return make_frame([one.to_row() for one in variances], COLUMNS, {**floats, **nullable})


def _reach(n: int, deviation: float) -> float:
    """Return how far the interval of the mean of n values reaches to either side."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * deviation / math.sqrt(n)


def _deviation_interval(n: int, deviation: float) -> tuple[float, float]:
    """Return the 95 % interval of a standard deviation of n normal values."""
    from scipy.special import chdtri

    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = (deviation * math.sqrt((n - 1) / float(chdtri(n - 1, tail))) for tail in tails)
    return low, high


def _sets(splits: Splits) -> list[_Set]:
    return [*splits.drawn, *splits.episodes]


def _require_rows(sets: Sequence[_Set], n: int) -> None:
    for one in sets:
        columns = (one.rows,) if isinstance(one, EpisodeSet) else (one.rows, one.parts["query"].rows)
        for rows in columns:
            if len(rows) and not 0 <= rows.min() <= rows.max() < n:
                raise ValueError(f"{one.dataset}: rows {rows.min()} to {rows.max()} of a split, but {n} embeddings")


def _kinds(splits: Splits) -> list[tuple[str, int]]:
    """Return strategy and k of all splits, also of those that could not be drawn, in a fixed order."""
    order = [*STRATEGIES, EPISODIC]
    kinds = {(one.strategy, one.k_shot) for one in (*_sets(splits), *splits.skipped)}
    return sorted(kinds, key=lambda kind: (order.index(kind[0]), kind[1]))


def _problem(one: _Set) -> str | None:
    """Return why nothing can be measured on a split or on any of its episodes, if so."""
    if one.n_classes < 2:
        return "one class, so there is nothing to tell apart"
    queries = (episode.query for episode in one.episodes) if isinstance(one, EpisodeSet) else (one.parts["query"],)
    if not any(map(len, queries)):
        return "no query images to measure on; give --n-query 1 or more"
    return None


def _trials(sets: Sequence[_Set], probes: tuple[str, ...]) -> Iterator[_Trial]:
    for place, one in enumerate(sets):
        if _problem(one) is not None:
            continue
        if isinstance(one, EpisodeSet):
            yield from _episode_trials(place, one, probes)
        else:
            yield _split_trial(place, one, probes)


def _split_trial(place: int, split: Split, probes: tuple[str, ...]) -> _Trial:
    support, query = split.support, split.parts["query"]
    code_of = {class_id: code for code, class_id in enumerate(sorted(set(support.labels)))}
    codes = [np.array([code_of[class_id] for class_id in part.labels], np.int64) for part in (support, query)]
    return _Trial(place, probes, support.rows, codes[0], query.rows, codes[1])


def _episode_trials(place: int, one: EpisodeSet, probes: tuple[str, ...]) -> Iterator[_Trial]:
    codes, fast = one.codes.astype(np.int64), tuple(probe for probe in probes if probe not in SLOW_PROBES)
    for number, episode in enumerate(one.episodes):
        support, query = episode.support, episode.query
        if len(query):
            chosen = probes if number < MOST_SLOW_EPISODES else fast
            yield _Trial(place, chosen, one.rows[support], codes[support], one.rows[query], codes[query])


def _run(embeddings: FloatRows, trial: _Trial) -> _Outcome:
    train, test = np.asarray(embeddings[trial.support]), np.asarray(embeddings[trial.query])
    if set(trial.probes) & set(SLOW_PROBES):
        train, test = _in_span(train, test)
    found = {probe: predict(probe, train, trial.support_codes, test) for probe in trial.probes}
    n_query = len(trial.query)
    right = {probe: int(np.count_nonzero(codes == trial.query_codes)) / n_query for probe, codes in found.items()}
    return _Outcome(trial.place, len(trial.support), n_query, right)


def _in_span(train: FloatRows, test: FloatRows) -> tuple[_Rows, _Rows]:
    """Return `(n, n)` and `(m, n)` float64 coordinates with the products that the rows have with those of `train`."""
    from scipy.linalg import LinAlgError, cholesky, solve_triangular

    if len(train) >= train.shape[1]:
        return train, test
    rows = train.astype(np.float64)
    try:
        factor = cholesky(rows @ rows.T, lower=True)
    except LinAlgError:  # rows that depend on one another, as those of equal pictures do
        return train, test
    return factor, solve_triangular(factor, rows @ test.T.astype(np.float64), lower=True).T


def _summarise(
    splits: Splits, kind: tuple[str, int, str], measured: Sequence[tuple[_Set, list[_Outcome]]]
) -> SeedVariance:
    """Return the record of one strategy, k and probe."""
    strategy, k, probe = kind
    mine = [
        (one, [outcome for outcome in outcomes if probe in outcome.accuracies])
        for one, outcomes in measured
        if (one.strategy, one.k_shot) == (strategy, k)
    ]
    why_not = [(one.seed, one.reason) for one in splits.skipped if (one.strategy, one.k_shot) == (strategy, k)]
    why_not += [(one.seed, problem) for one, _ in mine if (problem := _problem(one)) is not None]
    seeds = sorted((_of_seed(one, outcomes, probe) for one, outcomes in mine if outcomes), key=lambda one: one.seed)
    every = [outcome.accuracies[probe] for _, outcomes in mine for outcome in outcomes]
    over = measure_spread([one.accuracy for one in seeds]) if seeds else None
    episodes = measure_spread(every) if seeds and strategy == EPISODIC else None
    return SeedVariance(splits.dataset, strategy, k, probe, tuple(seeds), over, episodes, tuple(sorted(why_not)))


def _of_seed(one: _Set, outcomes: Sequence[_Outcome], probe: str) -> SeedAccuracy:
    return SeedAccuracy(
        seed=one.seed,
        accuracy=math.fsum(outcome.accuracies[probe] for outcome in outcomes) / len(outcomes),
        n_classes=one.n_classes,
        n_support=sum(outcome.n_support for outcome in outcomes),
        n_query=sum(outcome.n_query for outcome in outcomes),
        n_episodes=len(outcomes) if isinstance(one, EpisodeSet) else None,
    )
