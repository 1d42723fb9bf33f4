"""Say which class each embedding row has, by a simple classifier trained on other rows: a probe of the embedding.

* nearest_centroid: the class whose mean vector has the highest cosine to the row (Mensink et al., "Distance-based image
  classification", IEEE TPAMI 35, 2013). scikit-learn's NearestCentroid measures Euclidean distance to means that are
  shorter the more a class varies, which favours classes of a middling spread; so means are scaled to length 1 here.
  Cosines equal to 12 digits are a tie, which the lowest code wins.
* knn: vote of the 5 most similar rows, or of all where there are fewer. Of equally similar ones the lowest codes vote,
  and of classes with as many votes the lowest wins, so answers depend neither on the order of the rows nor on the
  processor: scikit-learn's partition orders distances that tie as it pleases. Similarity is the score of the pair
  search, a float64 dot product in one fixed order, rounded to float32. A float32 product of all rows only shows which
  can be among the 5, by a slack that is proven (`overlens.search.rounding`). Memory is some millions of products.
* logistic: scikit-learn's multinomial logistic regression with an L2 penalty, C = 10, on unit rows, which is the
  classifier of Tian et al., "Rethinking few-shot image classification: a good embedding is all you need?", ECCV 2020.

With fewer rows than dimensions, the logistic probe is fitted in the span of its rows: the weights that minimise an
L2-penalised loss lie there (Schölkopf, Herbrich and Smola, "A generalized representer theorem", COLT 2001), and the
intercepts do not change, so the result is the same and hundreds of times as many dimensions cost nothing.

scikit-learn's loss is a mean over rows, so that its usual tolerance of 1e-4 stops a fit of many classes almost at
once, and the figures would tell how early it stopped. The tolerance here is low enough that predictions stay: float32
with as many rows as dimensions, float64 in the span.

Shapes: n training rows, m test rows, d dimensions, c classes.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.cores import serial_products
from overlens.errors import ConfigError
from overlens.records import FloatRows

LOG = logging.getLogger(__name__)

NEIGHBOURS = 5
PENALTY = 10.0
# Steepest slope of the mean loss at which a fit may end. Float32 sums end between this and ten times as much; there, up
# to two predictions in a thousand differ from those of the minimum, on the hardest data tried.
_TOLERANCE = 1e-5
_CONVERGED_SLOPE = 1e-4
_MAX_ITERATIONS = 2000
# Cosines equal to so many digits are a tie: their last bits depend on the processor.
TIE_DIGITS = 12
# Means of opposite vectors of length 1 are shorter than this, and that by rounding alone.
ZERO_LENGTH = 1e-7
_ROWS_AT_ONCE = 2048
_PRODUCTS_AT_ONCE = 1 << 21

Vectors = NDArray[np.float64]
Codes = NDArray[np.int64]
Classify = Callable[[FloatRows], Codes]


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """A probe that has seen its training rows.

    Attributes:
        classify: `(m, d)` float32 unit rows -> `(m,)` int64 codes.
        is_converged: Whether the fit came to its end; False only for a logistic probe that ran out of iterations.
    """

    classify: Classify
    is_converged: bool = True


def predict(probe: str, train: FloatRows, codes: Codes, test: FloatRows) -> Codes:
    """Return the class that a probe trained on `train` gives each row of `test`.

    A fit that did not converge is told through the log; `fit_probe` tells it to the caller.

    Args:
        probe: One of `PROBES`.
        train: `(n, d)` float32 unit rows, at least one.
        codes: `(n,)` int64 class of each, any whole numbers. With one class, every answer is that class.
        test: `(m, d)` float32 unit rows.

    Returns:
        `(m,)` int64, each one of `codes`.

    Raises:
        ConfigError: The probe is unknown.
        ValueError: There is no training row, or the shapes do not fit.
    """
    return fit_probe(probe, train, codes).classify(test)


def fit_probe(probe: str, train: FloatRows, codes: Codes) -> FittedProbe:
    """Return a probe trained on `train`, to classify several sets of rows; see `predict`."""
    if probe not in _FITS:
        raise ConfigError(f"probe {probe!r} is not known; allowed: {', '.join(PROBES)}")
    if train.ndim != 2 or not len(train) or codes.shape != (len(train),):
        raise ValueError(f"{probe}: {train.shape} training rows do not fit {codes.shape} codes; at least one of each")
    classes = np.unique(codes)
    if len(classes) == 1:
        return FittedProbe(lambda test: np.full(len(test), classes[0], np.int64))
    return _FITS[probe](train, codes)


def scale_to_unit(vectors: Vectors) -> Vectors:
    """Return mean vectors scaled to length 1; one that is zero up to rounding has no direction and becomes zero.

    Args:
        vectors: `(c, d)` float64 means of rows of length 1.
    """
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    unit = np.zeros_like(vectors)
    np.divide(vectors, lengths, out=unit, where=lengths > ZERO_LENGTH)
    return unit


def _fit_centroids(train: FloatRows, codes: Codes) -> FittedProbe:
    classes, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    # The sum of a class in float64 row after row: a matrix product adds in an order that depends on the processor.
    sums = np.add.reduceat(train[order].astype(np.float64), np.cumsum(counts) - counts, axis=0)
    centroids = scale_to_unit(sums / counts[:, None])
    has_direction = centroids.any(axis=1)

    def classify(test: FloatRows) -> Codes:
        found = np.zeros(len(test), np.int64)
        for start in range(0, len(test), _ROWS_AT_ONCE):
            cosines = np.round(test[start : start + _ROWS_AT_ONCE].astype(np.float64) @ centroids.T, TIE_DIGITS)
            found[start : start + _ROWS_AT_ONCE] = np.where(has_direction, cosines, -np.inf).argmax(axis=1)
        return classes[found]

    return FittedProbe(classify)


def _fit_neighbours(train: FloatRows, codes: Codes) -> FittedProbe:
    from overlens.search.rounding import largest_norm

    rows, longest = np.ascontiguousarray(train), largest_norm(train)
    at_once = max(1, _PRODUCTS_AT_ONCE // len(rows))

    def classify(test: FloatRows) -> Codes:
        parts = [np.zeros(0, np.int64)]
        for start in range(0, len(test), at_once):
            chosen = np.ascontiguousarray(test[start : start + at_once])
            parts.append(_vote(_neighbour_codes(rows, codes, chosen, longest)))
        return np.concatenate(parts)

    return FittedProbe(classify)


def _neighbour_codes(train: FloatRows, codes: Codes, test: FloatRows, longest: float) -> Codes:
    """Return the codes of the `k` most similar training rows of each test row, `(m, k)`, most similar first.

    Args:
        train: `(n, d)` float32 rows.
        codes: `(n,)` int64 class of each.
        test: `(m, d)` float32 rows.
        longest: Length of the longest training row.
    """
    from overlens.search.kernels import score_pairs
    from overlens.search.rounding import largest_norm, score_slack

    k = min(NEIGHBOURS, len(train))
    products = test @ train.T
    # The k best products have scores that reach the k-th of them less one slack; so has, less another, what beats them.
    slack = score_slack(train.shape[1], longest * largest_norm(test))
    floors = np.partition(products, len(train) - k, axis=1)[:, len(train) - k] - 2 * np.float64(slack)
    rows, places = np.divmod(np.flatnonzero(products >= floors[:, None]), len(train))
    scores = score_pairs(test, train, rows, places)
    order = np.lexsort((codes[places], -scores, rows))
    starts = np.searchsorted(rows, np.arange(len(test)))
    nearest: Codes = codes[places[order[starts[:, None] + np.arange(k)]]]
    return nearest


def _vote(codes: Codes) -> Codes:
    """Return the most frequent code of each row of `(m, k)`, of several the lowest: `(m,)`."""
    ordered = np.sort(codes, axis=1)
    n_votes = np.count_nonzero(ordered[:, :, None] == ordered[:, None, :], axis=2)
    # The first of the most frequent: codes ascend along a row.
    winners: Codes = ordered[np.arange(len(ordered)), n_votes.argmax(axis=1)]
    return winners


def _fit_logistic(train: FloatRows, codes: Codes) -> FittedProbe:
    if len(train) >= train.shape[1]:
        return _regress(train, codes)
    basis = np.linalg.qr(train.astype(np.float64).T)[0]
    fitted = _regress(train @ basis, codes)
    return FittedProbe(lambda test: fitted.classify(test @ basis), fitted.is_converged)


def _regress(train: NDArray[Any], codes: Codes) -> FittedProbe:
    from sklearn.linear_model import LogisticRegression

    # By second derivatives: half the time of scikit-learn's usual solver on thousands of rows, with the same answers.
    model = LogisticRegression(C=PENALTY, tol=_TOLERANCE, max_iter=_MAX_ITERATIONS, solver="newton-cg")
    # A fit is hundreds of small products: two threads for each take longer than one, many times so on a busy machine.
    with serial_products(), _QUIET:
        model.fit(train, codes)
        slope = _steepest_slope(model, train, codes)
    is_converged = slope <= _CONVERGED_SLOPE
    if not is_converged:
        LOG.warning("logistic probe on %d rows did not converge: slope %.1e, not %g", *(len(train), slope, _TOLERANCE))
    return FittedProbe(_in_codes(model), is_converged)


def _steepest_slope(model: Any, train: NDArray[Any], codes: Codes) -> float:  # noqa: ANN401 - no types
    """Return the largest slope of the loss that was minimised, which is 0 at its minimum."""
    excess = model.predict_proba(train)
    excess[np.arange(len(codes)), np.searchsorted(model.classes_, codes)] -= 1
    excess = excess[:, -len(model.coef_) :]  # of two classes, scikit-learn keeps the weights of the second
    slopes = excess.T @ train / len(train) + model.coef_ / (PENALTY * len(train))
    return float(np.abs(slopes).max())


class _Quiet:
    """Keeps scikit-learn's warning of a fit without end from the user, who is told so by the slope.

    Fits run in several threads and the filters of warnings belong to all: the first in sets them, the last out resets.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside, self._filters = Lock(), 0, warnings.catch_warnings()

    def __enter__(self) -> None:
        from sklearn.exceptions import ConvergenceWarning

        with self._lock:
            if not self._n_inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore", ConvergenceWarning)
            self._n_inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                self._filters.__exit__(None, None, None)


_QUIET = _Quiet()


def _in_codes(model: Any) -> Classify:  # noqa: ANN401 - scikit-learn ships no types
    def classify(test: FloatRows) -> Codes:
        parts = [model.predict(test[start : start + _ROWS_AT_ONCE]) for start in range(0, len(test), _ROWS_AT_ONCE)]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    return classify


_FITS: dict[str, Callable[[FloatRows, Codes], FittedProbe]] = {
    "nearest_centroid": _fit_centroids,
    "knn": _fit_neighbours,
    "logistic": _fit_logistic,
}
PROBES = tuple(_FITS)
