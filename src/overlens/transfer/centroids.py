"""Say how well the embeddings of one dataset stand for the classes of another.

For every class that both have (the same class id as published): how alike the two are, and how often the source would
recognise the target's images. Three measures, all from class sums, so no pair of images is ever formed:

* centroid similarity: cosine between the mean vectors of the class in source and target.
* mean similarity: mean cosine over all pairs of a source and a target image of the class, which is the dot product of
  the two mean vectors as the rows have length 1. It is lower the more a class varies.
* accuracy: share of the target's images of the class that are nearest, among the centroids of all labelled source
  classes, to that of their own class (nearest class mean classifier: Mensink et al., "Distance-based image
  classification", IEEE TPAMI 35, 2013). Ties go to the first class id.

Two unlike classes can still have centroids with a cosine of 0.7, so each class also tells its similarity to the
centroids of the other source classes. Sums run in float64, one tile of rows at a time: memory is that of one vector a
class.

Shapes: d dimensions, s source classes, c common classes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from math import fsum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.errors import DatasetError
from overlens.frames import make_frame
from overlens.probes import TIE_DIGITS, Vectors, scale_to_unit
from overlens.records import Features
from overlens.tables import rounded

if TYPE_CHECKING:
    import pandas

_ROWS_AT_ONCE = 2048
_CLASSES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class ClassTransfer:
    """One class that both datasets have.

    Attributes:
        class_id: Class id as published.
        name: Name to show.
        n_source: Labelled source images of the class.
        n_target: Labelled target images of the class.
        centroid_similarity: Cosine of the two mean vectors, -1 to 1; None where a mean vector is zero.
        mean_similarity: Mean cosine over all source-target pairs of the class, -1 to 1.
        other_similarity: Mean cosine of the target's mean vector with those of the other source classes; None without.
        nearest_source_class: The source class whose mean vector is nearest to the target's.
        n_correct: Target images whose nearest source centroid is that of their class.
    """

    class_id: str
    name: str
    n_source: int
    n_target: int
    centroid_similarity: float | None
    mean_similarity: float
    other_similarity: float | None
    nearest_source_class: str | None
    n_correct: int

    @property
    def accuracy(self) -> float:
        """Share of target images recognised, 0 to 1."""
        return self.n_correct / self.n_target

    def to_json(self) -> dict[str, object]:
        """Return the fields and the accuracy, floats rounded to 6 digits."""
        return {name: rounded(value) for name, value in [*asdict(self).items(), ("accuracy", self.accuracy)]}


@dataclass(frozen=True, slots=True)
class Average:
    """One mean over the common classes; every figure is None where there is nothing to average."""

    centroid_similarity: float | None
    mean_similarity: float | None
    other_similarity: float | None
    accuracy: float | None

    def to_json(self) -> dict[str, object]:
        """Return the figures rounded to 6 digits."""
        return {name: rounded(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Side:
    """What one dataset brings.

    Attributes:
        dataset: Name of the dataset.
        label_source: Where its classes come from, in words.
        n_images: Images with an embedding.
        n_unlabelled: Those of them without a class, which are left out.
        n_classes: Its classes.
        only_here: Its classes that the other has not, ordered by class id.
    """

    dataset: str
    label_source: str
    n_images: int
    n_unlabelled: int
    n_classes: int
    only_here: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return the fields with the number of classes that only this side has."""
        return {**asdict(self), "only_here": list(self.only_here), "n_only_here": len(self.only_here)}


@dataclass(frozen=True, slots=True)
class Transfer:
    """How the classes of `source` carry over to `target`; `classes` is ordered by class id.

    Attributes:
        source: The dataset whose centroids classify.
        target: The dataset whose images are classified.
        classes: The common classes.
        notices: Sentences that the user should read.
    """

    source: Side
    target: Side
    classes: tuple[ClassTransfer, ...]
    notices: tuple[str, ...]

    @property
    def n_evaluated(self) -> int:
        """Target images of the common classes: what the accuracy is a share of."""
        return sum(entry.n_target for entry in self.classes)

    @property
    def class_average(self) -> Average:
        """Mean over common classes, each counting the same."""
        return self._average(lambda entry: 1)

    @property
    def image_average(self) -> Average:
        """Mean over common classes, each counting as many times as the target has images of it."""
        return self._average(lambda entry: entry.n_target)

    def to_json(self) -> dict[str, object]:
        """Return the content of `cross_dataset_{source}_{target}.json`, floats rounded to 6 digits."""
        return {
            "source": self.source.dataset,
            "target": self.target.dataset,
            "n_common_classes": len(self.classes),
            "n_evaluated_images": self.n_evaluated,
            "n_candidate_classes": self.source.n_classes,
            "class_average": self.class_average.to_json(),
            "image_average": self.image_average.to_json(),
            "classes": [entry.to_json() for entry in self.classes],
            "source_dataset": self.source.to_json(),
            "target_dataset": self.target.to_json(),
            "notices": list(self.notices),
        }

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row a common class: source, target, then the fields of `ClassTransfer` and the accuracy.

        A figure that cannot be had is missing in its column. Nothing is rounded.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        sides = (self.source.dataset, self.target.dataset)
        columns = ["source", "target", *(field.name for field in fields(ClassTransfer)), "accuracy"]
        return make_frame([(*sides, *astuple(entry), entry.accuracy) for entry in self.classes], columns)

    def _average(self, weigh: Callable[[ClassTransfer], int]) -> Average:
        weights = [weigh(entry) for entry in self.classes]
        return Average(
            _mean([entry.centroid_similarity for entry in self.classes], weights),
            _mean([entry.mean_similarity for entry in self.classes], weights),
            _mean([entry.other_similarity for entry in self.classes], weights),
            _mean([entry.accuracy for entry in self.classes], weights),
        )


@dataclass(frozen=True, slots=True)
class _Means:
    """Mean vector of each class of one dataset: `ids` sorted, `counts` `(s,)`, `vectors` `(s, d)`, `codes` `(n,)`.

    `codes[row]` is the position of the row's class in `ids`, or -1.
    """

    ids: tuple[str, ...]
    counts: NDArray[np.int64]
    vectors: Vectors
    codes: NDArray[np.int64]

    def codes_of(self, class_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the position of each class id in `ids`, -1 for one that is not there."""
        position = {class_id: code for code, class_id in enumerate(self.ids)}
        return np.array([position.get(class_id, -1) for class_id in class_ids], np.int64)


def measure_transfer(source: Features, target: Features) -> Transfer:
    """Measure how the classes of `source` carry over to `target`, from their embeddings.

    Args:
        source: Features with embeddings; images without a class are left out.
        target: Likewise, of the same encoder.

    Raises:
        DatasetError: The embeddings differ in dimensions.
        ValueError: One side has no embeddings.
    """
    source_rows, target_rows = _embeddings(source), _embeddings(target)
    if source_rows.shape[1] != target_rows.shape[1]:
        raise DatasetError(
            f"embeddings of {source.dataset!r} have {source_rows.shape[1]} dimensions, those of {target.dataset!r} "
            f"{target_rows.shape[1]}; make both with the same encoder"
        )
    known, wanted = _mean_vectors(source, source_rows), _mean_vectors(target, target_rows)
    common = tuple(sorted(set(known.ids) & set(wanted.ids)))
    n_correct = _count_recognised(target_rows, known, wanted)
    names = {**target.class_names, **source.class_names}
    classes = tuple(_compare(common, known, wanted, n_correct, names))
    sides = _side(source, known, common), _side(target, wanted, common)
    return Transfer(*sides, classes, tuple(_notices(*sides, classes)))


def _embeddings(features: Features) -> NDArray[np.float32]:
    if features.embeddings is None:
        raise ValueError(f"{features.dataset}: transfer needs embeddings")
    return features.embeddings


def _side(features: Features, means: _Means, common: tuple[str, ...]) -> Side:
    only_here = tuple(sorted(set(means.ids) - set(common)))
    n_unlabelled = int(np.count_nonzero(means.codes < 0))
    return Side(features.dataset, features.label_source, features.n_kept, n_unlabelled, len(means.ids), only_here)


def _mean_vectors(features: Features, rows: NDArray[np.float32]) -> _Means:
    ids = tuple(sorted({label for label in features.labels if label is not None}))
    position = {class_id: code for code, class_id in enumerate(ids)}
    codes = np.array([-1 if label is None else position[label] for label in features.labels], np.int64)
    sums = np.zeros((len(ids), rows.shape[1]))
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        _add_to_sums(sums, codes[start : start + _ROWS_AT_ONCE], rows[start : start + _ROWS_AT_ONCE])
    counts = np.bincount(codes[codes >= 0], minlength=len(ids)).astype(np.int64)
    return _Means(ids, counts, sums / counts[:, None], codes)


def _add_to_sums(sums: Vectors, codes: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
    order = np.argsort(codes, kind="stable")
    order = order[np.searchsorted(codes[order], 0) :]
    if len(order):
        present, starts = np.unique(codes[order], return_index=True)
        # reduceat adds row after row, unlike a matrix product, whose order of addition depends on the processor.
        sums[present] += np.add.reduceat(rows[order].astype(np.float64), starts, axis=0)


def _count_recognised(rows: NDArray[np.float32], known: _Means, wanted: _Means) -> NDArray[np.int64]:
    """Return, for each target class, how many of its images have their own class's centroid nearest: `(c,)`."""
    n_correct = np.zeros(len(wanted.ids), np.int64)
    own = known.codes_of(wanted.ids)
    centroids = scale_to_unit(known.vectors)
    usable = np.flatnonzero(wanted.codes >= 0)
    usable = usable[own[wanted.codes[usable]] >= 0]
    for start in range(0, len(usable), _ROWS_AT_ONCE):
        chosen = usable[start : start + _ROWS_AT_ONCE]
        codes = wanted.codes[chosen]
        is_correct = _nearest(rows[chosen].astype(np.float64), centroids) == own[codes]
        n_correct += np.bincount(codes[is_correct], minlength=len(n_correct))
    return n_correct


def _nearest(rows: Vectors, centroids: Vectors) -> NDArray[np.int64]:
    """Return the most similar centroid of each row, the first among equals; a few hundred centroids at a time."""
    nearest = np.zeros(len(rows), np.int64)
    highest = np.full(len(rows), -np.inf)
    for start in range(0, len(centroids), _CLASSES_AT_ONCE):
        tile = centroids[start : start + _CLASSES_AT_ONCE]
        cosines = np.round(rows @ tile.T, TIE_DIGITS)
        cosines[:, ~np.any(tile, axis=1)] = -np.inf
        best = cosines.argmax(axis=1)
        scores = cosines[np.arange(len(rows)), best]
        nearest = np.where(scores > highest, start + best, nearest)
        highest = np.maximum(highest, scores)
    return nearest


def _compare(
    common: tuple[str, ...], known: _Means, wanted: _Means, n_correct: NDArray[np.int64], names: Mapping[str, str]
) -> Iterator[ClassTransfer]:
    centroids = scale_to_unit(known.vectors)
    is_defined = np.any(centroids, axis=1)
    for start in range(0, len(common), _CLASSES_AT_ONCE):
        class_ids = common[start : start + _CLASSES_AT_ONCE]
        here, there = wanted.codes_of(class_ids), known.codes_of(class_ids)
        targets = scale_to_unit(wanted.vectors[here])
        to_own = np.clip((targets * centroids[there]).sum(axis=1), -1.0, 1.0)
        to_others = targets @ centroids.sum(axis=0) - to_own
        means = (wanted.vectors[here] * known.vectors[there]).sum(axis=1)
        nearest = _nearest(targets, centroids)
        n_others = np.count_nonzero(is_defined) - is_defined[there]
        for i, class_id in enumerate(class_ids):
            is_comparable = bool(np.any(targets[i]))
            yield ClassTransfer(
                class_id=class_id,
                name=names.get(class_id, class_id),
                n_source=int(known.counts[there[i]]),
                n_target=int(wanted.counts[here[i]]),
                centroid_similarity=float(to_own[i]) if is_comparable and is_defined[there[i]] else None,
                mean_similarity=float(means[i]),
                other_similarity=float(to_others[i] / n_others[i]) if is_comparable and n_others[i] else None,
                nearest_source_class=known.ids[nearest[i]] if is_comparable and is_defined.any() else None,
                n_correct=int(n_correct[here[i]]),
            )


def _notices(source: Side, target: Side, classes: tuple[ClassTransfer, ...]) -> Iterator[str]:
    for side in (source, target):
        if side.n_unlabelled:
            yield f"{side.dataset}: images without a class, left out: {side.n_unlabelled} of {side.n_images}"
    if not classes:
        yield f"{source.dataset} and {target.dataset} have no class in common"
    undefined = [entry.class_id for entry in classes if entry.centroid_similarity is None]
    if undefined:
        yield f"classes whose mean vector is zero, hence no similarity: {len(undefined)} (first: {undefined[0]!r})"


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    if not known:
        return None
    return fsum(value * weight for value, weight in known) / sum(weight for _, weight in known)
