"""Say what models score on a dataset without the images that another dataset holds, too.

An image is *leaked* towards another dataset if its group of verified copies reaches into it, else *clean*. Whoever
trained on the other dataset may have seen it; that a model did is not shown by this. The contamination-adjusted score
is the accuracy on the clean images; what the leaked ones add is the accuracy on all less that.

Its interval comes from a bootstrap over groups of copies (`overlens.transfer.resampling`). It is paired: each draw
gives both accuracies, and the interval holds the middle 95 % of their differences. Images are ordered by their keys
before they are drawn, so that the interval depends on the images and the seed alone.

Models are ranked on the images that all of them predicted. Everything is of labelled images with a prediction.

Shapes: n images of a dataset, k of them scored, c groups of copies or single images, r draws.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from overlens.adjusted_scores import (
    ANY,
    Accuracy,
    Interval,
    ModelScore,
    PredictionScores,
    RankedModel,
    Ranking,
    Swap,
)
from overlens.counted import counted
from overlens.errors import ConfigError
from overlens.groups.find import Groups
from overlens.records import Features
from overlens.sources.predictions import Predictions
from overlens.transfer.inputs import number_clusters
from overlens.transfer.resampling import Bootstrap, divide, interval, mean_of_known

N_RESAMPLES = 2000
SEED = 0

# A file with predictions for a smaller share of the labelled images may be that of another dataset.
_ENOUGH_PREDICTED = 0.5

Mask = NDArray[np.bool_]
Vector = NDArray[np.float64]
Cells = tuple[NDArray[np.int64], NDArray[np.int64], int]
"""Row and column of each 1 in a table of 0 and 1, and how many columns it has."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """Images of one dataset that some models predicted and that have a class, ordered by key.

    Attributes:
        rows: `(k,)` int64 their rows in the dataset.
        classes: `(k,)` int64 place of the class of each.
        clusters: `(k,)` int64 number of the group of copies of each from 0, or a number of its own.
        is_right: Model -> `(k,)` bool.
    """

    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    clusters: NDArray[np.int64]
    is_right: dict[str, Mask]

    @classmethod
    def of(cls, predictions: Sequence[Predictions], features: Features, group_of: NDArray[np.int32]) -> "_Judged":
        columns = [features.labels, *(one.predicted for one in predictions)]
        scored = [row for row, values in enumerate(zip(*columns, strict=True)) if None not in values]
        scored.sort(key=features.keys.__getitem__)
        rows = np.array(scored, np.int64)
        labels = [features.labels[row] for row in scored]
        place = {label: code for code, label in enumerate(sorted({str(label) for label in labels}))}
        classes = np.array([place[str(label)] for label in labels], np.int64)
        is_right = {
            one.model: np.array([one.predicted[row] == features.labels[row] for row in scored], np.bool_)
            for one in predictions
        }
        return cls(rows, classes, number_clusters(group_of[rows], len(rows)), is_right)

    @property
    def n_clusters(self) -> int:
        return int(self.clusters.max(initial=-1)) + 1

    @property
    def n_classes(self) -> int:
        return int(self.classes.max(initial=-1)) + 1


def score_predictions(
    predictions: Sequence[Predictions],
    features: Sequence[Features],
    groups: Groups,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
) -> PredictionScores:
    """Score every model on the images that other datasets hold, and on those that they do not.

    Args:
        predictions: What each model predicts for a dataset, in any order.
        features: Classes and keys of each dataset, in the order of the roster of `groups`.
        groups: The verified groups of copies of all datasets.
        n_resamples: Draws of every interval; with 0 there is none.
        seed: Seed of the draws.

    Raises:
        ConfigError: There is one dataset only, or one is called as `ANY`.
        ValueError: The features are not those that the groups are of.
    """
    names = groups.roster.datasets
    if tuple((one.dataset, one.n_kept) for one in features) != tuple(zip(names, groups.roster.sizes, strict=True)):
        raise ValueError(f"features of {[one.dataset for one in features]} do not fit groups of {groups.roster}")
    if len(names) < 2:
        raise ConfigError(f"--predictions asks what another dataset holds, but there is only {names}; name two or more")
    if ANY in names:
        raise ConfigError(f"dataset {ANY!r} is called as all others together are in the scores; rename it: NAME=PATH")
    bootstrap = Bootstrap(n_resamples, seed)
    scores: list[ModelScore] = []
    rankings: list[Ranking] = []
    asked: list[str] = []
    for one in features:
        own = sorted((each for each in predictions if each.dataset == one.dataset), key=lambda each: each.model)
        leaks = _find_leaks(groups, one.dataset) if own else {}
        group_of = _own_groups(groups, one.dataset)
        for model in own:
            asked += _notice_few(model, one.labels)
            scores += _score(model, one, group_of, leaks, bootstrap)
        if len(own) > 1:
            rankings += _rank(_Judged.of(own, one, group_of), one.dataset, leaks, bootstrap)
    notices = (*asked, *_notices(scores), *_notice_rankings(rankings))
    return PredictionScores(tuple(scores), tuple(rankings), n_resamples, seed, notices)


def _own_groups(groups: Groups, dataset: str) -> NDArray[np.int32]:
    number, offsets = groups.roster.number_of(dataset), groups.roster.offsets
    return groups.group_of[offsets[number] : offsets[number + 1]]


def _find_leaks(groups: Groups, dataset: str) -> dict[str, Mask]:
    """Return other dataset or `ANY` -> `(n,)` whether the group of each image reaches into it."""
    # One row more, without members, stands for images without a group: it is the last, and NO_GROUP is -1.
    counts = groups.count_members()
    reaches = np.concatenate([counts, np.zeros((1, counts.shape[1]), np.int32)])[_own_groups(groups, dataset)] > 0
    others = [(place, name) for place, name in enumerate(groups.roster.datasets) if name != dataset]
    each = {name: reaches[:, place] for place, name in others}
    together = np.asarray(reaches[:, [place for place, _ in others]].any(axis=1))
    return {**each, ANY: together}


def _draw_sums(draws: Bootstrap, judged: _Judged, columns: Cells) -> Iterator[Vector]:
    """Yield the sums of columns over the images drawn, `(b, q)`, until there are `n_resamples` rows of them.

    Args:
        draws: How to draw.
        judged: The images, and which of them are drawn together.
        columns: The `(k, q)` table of what is summed.
    """
    from scipy.sparse import csr_array

    rows, places, width = columns
    shape = judged.n_clusters, width
    table = csr_array((np.ones(len(rows)), (judged.clusters[rows], places)), shape=shape).T.tocsr()
    for weights in draws.draw_weights(judged.n_clusters, width):
        yield (table @ weights.T.astype(np.float64)).T


def _interval(value: float, drawn: Vector) -> Interval | None:
    """Return the middle 95 % of what was drawn and is a number; None where nothing is."""
    ends = interval(drawn)
    return None if ends is None else Interval(value, *ends, int(np.count_nonzero(~np.isnan(drawn))))


def _score(
    predictions: Predictions, features: Features, group_of: NDArray[np.int32], leaks: dict[str, Mask], draws: Bootstrap
) -> Iterator[ModelScore]:
    """Yield the scores of one model: by other dataset, `ANY` last; none if no labelled image has a prediction."""
    judged = _Judged.of([predictions], features, group_of)
    if not len(judged.rows):
        return
    is_right = judged.is_right[predictions.model]
    scores = np.array([np.nan if (one := predictions.scores[row]) is None else one for row in judged.rows.tolist()])
    leaked = {other: mask[judged.rows] for other, mask in leaks.items()}
    everywhere = np.ones(len(is_right), np.bool_)
    subsets = [everywhere, *(~mask for mask in leaked.values())]
    plain, balanced = _draw_accuracies(judged, is_right, subsets, draws)
    on_all = _measure(judged, is_right, scores, everywhere)
    for place, (other, mask) in enumerate(leaked.items(), 1):
        leaky = _measure(judged, is_right, scores, mask) if mask.any() else None
        clean = None if mask.all() else _measure(judged, is_right, scores, ~mask)
        difference = balanced_difference = None
        if clean is not None:
            difference = _interval(on_all.accuracy - clean.accuracy, plain[:, 0] - plain[:, place])
            value = on_all.balanced_accuracy - clean.balanced_accuracy
            balanced_difference = _interval(value, balanced[:, 0] - balanced[:, place])
        names = predictions.model, predictions.dataset, other
        yield ModelScore(*names, on_all, leaky, clean, difference, balanced_difference, judged.n_clusters)


def _measure(judged: _Judged, is_right: Mask, scores: Vector, mask: Mask) -> Accuracy:
    n_of = np.bincount(judged.classes[mask], minlength=judged.n_classes)
    right_of = np.bincount(judged.classes[mask & is_right], minlength=judged.n_classes)
    n, n_right = int(n_of.sum()), int(right_of.sum())
    known = scores[mask & ~np.isnan(scores)]
    return Accuracy(
        n,
        n_right,
        n_classes=int(np.count_nonzero(n_of)),
        accuracy=n_right / n,
        balanced_accuracy=float(np.mean(right_of[n_of > 0] / n_of[n_of > 0])),
        n_with_score=len(known),
        mean_score=float(np.mean(known)) if len(known) else None,
    )


def _draw_accuracies(
    judged: _Judged, is_right: Mask, subsets: Sequence[Mask], draws: Bootstrap
) -> tuple[Vector, Vector]:
    """Return plain and class-balanced accuracy on s subsets of each draw, `(r, s)` twice, nan where one is empty."""
    n_classes, n_subsets = judged.n_classes, len(subsets)
    masks = [mask for subset in subsets for mask in (subset, subset & is_right)]
    rows = [np.flatnonzero(mask) for mask in masks]
    places = [number * n_classes + judged.classes[mask] for number, mask in enumerate(rows)]
    cells = np.concatenate(rows), np.concatenate(places), len(masks) * n_classes
    plain, balanced = [], []
    for sums in _draw_sums(draws, judged, cells):
        n_of, right_of = np.moveaxis(sums.reshape(len(sums), n_subsets, 2, n_classes), 2, 0)
        plain.append(divide(right_of.sum(axis=2), n_of.sum(axis=2)))
        balanced.append(mean_of_known(divide(right_of, n_of).reshape(-1, n_classes)).reshape(-1, n_subsets))
    return np.concatenate(plain), np.concatenate(balanced)


def _rank(judged: _Judged, dataset: str, leaks: dict[str, Mask], draws: Bootstrap) -> Iterator[Ranking]:
    """Yield the ranking towards each other dataset."""
    n = len(judged.rows)
    if not n:
        return
    n_right = {model: int(is_right.sum()) for model, is_right in judged.is_right.items()}
    for other, leaked in leaks.items():
        is_clean = ~leaked[judged.rows]
        n_clean = int(is_clean.sum())
        on_clean = {model: int((is_right & is_clean).sum()) for model, is_right in judged.is_right.items()}
        ranks, clean_ranks = _ranks(n_right), _ranks(on_clean)
        order = sorted(n_right, key=lambda model: (ranks[model], model))
        ranked = tuple(
            RankedModel(model, n_right[model], ranks[model], on_clean[model], clean_ranks[model] if n_clean else None)
            for model in order
        )
        swaps = tuple(_swaps(judged, is_clean, order, draws)) if n_clean else ()
        yield Ranking(dataset, other, n, n_clean, ranked, swaps)


def _ranks(n_right: dict[str, int]) -> dict[str, int]:
    return {model: 1 + sum(more > own for more in n_right.values()) for model, own in n_right.items()}


def _swaps(judged: _Judged, is_clean: Mask, order: Sequence[str], draws: Bootstrap) -> Iterator[Swap]:
    """Yield every two models whose order is another on clean images."""
    right = {model: judged.is_right[model].astype(np.int64) for model in order}
    couples = []
    for one, other in combinations(order, 2):
        lead, clean_lead = right[one] - right[other], (right[one] - right[other])[is_clean]
        if np.sign(lead.sum()) != np.sign(clean_lead.sum()):
            # Of two that tie on all images, the one that loses on clean ones is named first.
            couples.append((other, one) if not lead.sum() and clean_lead.sum() > 0 else (one, other))
    if not couples:
        return
    masks = [is_clean, *(judged.is_right[model] & is_clean for model in order)]
    rows = [np.flatnonzero(mask) for mask in masks]
    places = [np.full(len(chosen), number, np.int64) for number, chosen in enumerate(rows)]
    cells = np.concatenate(rows), np.concatenate(places), len(masks)
    sums = np.concatenate(list(_draw_sums(draws, judged, cells)))
    for ahead, behind in couples:
        lead = right[ahead] - right[behind]
        column = sums[:, 1 + order.index(ahead)] - sums[:, 1 + order.index(behind)]
        clean = _interval(float(lead[is_clean].mean()), divide(column, sums[:, 0]))
        yield Swap(ahead, behind, float(lead.mean()), clean)


def _notice_few(one: Predictions, labels: Sequence[str | None]) -> Iterator[str]:
    """Say where a score is of few images: then the file may be one for another dataset."""
    n_labelled = len(labels) - labels.count(None)
    n_scored = sum(None not in couple for couple in zip(labels, one.predicted, strict=True))
    if n_scored < _ENOUGH_PREDICTED * n_labelled:
        images = counted(n_labelled, "labelled image")
        yield f"{one.model} has predictions for {n_scored:,} of {images} of {one.dataset}; is it the right file?"


def _notices(scores: Sequence[ModelScore]) -> Iterator[str]:
    for one in scores:
        # Where there is one other dataset, what holds for all others has been said.
        if one.other == ANY:
            continue
        who = f"{one.model} on {one.dataset}"
        images = counted(one.on_all.n, "scored image")
        if not one.n_leaked:
            yield f"{who}: none of {images} is held by {one.other}, so 0 were removed and nothing changes"
        elif not one.n_clean:
            yield f"{who}: all of {images} are held by {one.other}, so there is no clean score"
        elif one.on_clean is not None and one.on_clean.n_classes < one.on_all.n_classes:
            n_classes = counted(one.on_all.n_classes, "class has", "classes have")
            yield (
                f"{who}: {one.on_clean.n_classes:,} of {n_classes} images that {one.other} does not hold; "
                "class-balanced accuracies on all and clean are means of other classes"
            )


def _notice_rankings(rankings: Sequence[Ranking]) -> Iterator[str]:
    for one in rankings:
        if one.other == ANY and one.changes:
            models = counted(len(one.swaps), "pair of models changes its order", "pairs of models change their order")
            yield f"{one.dataset}: {models} on the {counted(one.n_clean, 'image')} that no other dataset holds"
