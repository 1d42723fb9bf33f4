"""Which threshold each method has for each two datasets and within each: as given, or calibrated where `auto` is asked.

Shapes: none; plain numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from overlens.calibration.choice import CONFIDENCE, Calibration, Grounds, calibrate
from overlens.calibration.edit_scores import EditProbe, EditScores, EditSources, known_edits, sample_rows
from overlens.calibration.judged import Judged
from overlens.checks import require_dataset
from overlens.config import PairConfig, RunConfig
from overlens.errors import ConfigError
from overlens.overlap import compared_couples, is_compared
from overlens.progress import Progress
from overlens.records import Features
from overlens.search.tiles import count_comparisons

Couple = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The threshold of each method for every couple of datasets; a couple of one dataset twice is within it.

    Attributes:
        values: Method -> couple in the order of the run -> cosine similarity or distance in bits, inclusive. The
            reference twice is no couple.
        calibrations: How the automatic ones were chosen.
        reference: Dataset that is taken as given, so that pairs within it are not looked for; None if there is none.
    """

    values: Mapping[str, Mapping[Couple, float]]
    calibrations: tuple[Calibration, ...] = ()
    reference: str | None = None

    def compares(self, first: str, second: str) -> bool:
        """Whether pairs of these two datasets, or within the one, are looked for."""
        return is_compared(first, second, self.reference)

    def of(self, method: str, first: str, second: str) -> float:
        """Return the threshold for two datasets in either order, or within one for its name twice.

        Returns:
            The least cosine similarity, or the largest distance in bits, at which a pair is reported.

        Raises:
            ConfigError: The run compares nothing by this method, there is no dataset of such a name, or it is the
                reference twice.
        """
        values = self._by(method)
        for name in (first, second):
            require_dataset(name, dict.fromkeys(name for couple in values for name in couple))
        if not self.compares(first, second):
            raise ConfigError(not_looked_for(first))
        return values[(first, second) if (first, second) in values else (second, first)]

    def applied(self, config: PairConfig, first: str, second: str) -> PairConfig:
        """Return `config` with the thresholds that hold for two datasets."""
        stated = {"cosine": config.min_similarity, "perceptual": config.max_distance_bits}
        cosine, bits = (
            self.of(method, first, second) if method in self.values else stated[method] for method in stated
        )
        return replace(config, min_similarity=cosine, max_distance_bits=None if bits is None else int(bits))

    def words(self, method: str) -> str:
        """Return the thresholds of a method in words: "0.9", or "0.58 to 0.81" where couples have their own."""
        least, most = min(self._by(method).values()), max(self._by(method).values())
        return f"{least:g}" if least == most else f"{least:g} to {most:g}"

    def is_automatic(self, method: str) -> bool:
        """Whether the thresholds of a method were calibrated."""
        return any(calibration.method == method for calibration in self.calibrations)

    def to_json(self, method: str) -> dict[str, Any]:
        """Return `{"within": {A: threshold}, "across": {A: {B: threshold}}}`, datasets in alphabetical order.

        Within the reference there is None, as nothing is looked for there.
        """
        couples = self._by(method)
        names = sorted({name for couple in couples for name in couple})
        return {
            "within": {name: couples.get((name, name)) for name in names},
            "across": {
                name: {other: self.of(method, name, other) for other in names if other != name} for name in names
            },
        }

    def calibration_json(self) -> dict[str, Any]:
        """Return what `calibration.json` holds: every automatic threshold with the curve it was chosen from."""
        return {
            "false_discovery_rate": self.calibrations[0].rate if self.calibrations else None,
            "confidence": CONFIDENCE,
            "calibrations": [calibration.to_json() for calibration in self.calibrations],
        }

    def _by(self, method: str) -> Mapping[Couple, float]:
        if method not in self.values:
            known = ", ".join(self.values) or "no method"
            raise ConfigError(f"there is no threshold by {method!r}; there are thresholds by {known}")
        return self.values[method]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know: where no threshold keeps the stated rate."""
        return tuple(
            f"{one.method}, {one.where}: {one.reason}; {one.chosen:g} is used, and its pairs are not to be taken for "
            "copies"
            for one in self.calibrations
            if not one.is_kept
        )


def not_looked_for(reference: str) -> str:
    """Say why there is nothing to be had within the dataset that is taken as given."""
    return (
        f"pairs within {reference!r} were not looked for, as it is the reference; leave out --reference to compare it"
    )


def given_thresholds(config: PairConfig, datasets: Sequence[str], reference: str | None = None) -> Thresholds:
    """Return the stated thresholds, the same for every couple; methods whose threshold is automatic are left out."""
    stated = {"cosine": config.min_similarity, "perceptual": config.max_distance_bits}
    couples = compared_couples(datasets, reference)
    return Thresholds(
        {
            method: dict.fromkeys(couples, value)
            for method, value in stated.items()
            if method in config.methods and value is not None
        },
        reference=reference,
    )


def calibrate_thresholds(
    config: RunConfig,
    features: Sequence[Features],
    sources: EditSources,
    judged: Judged,
    *,
    progress: Progress,
) -> Thresholds:
    """Return the thresholds of a run: the given ones, and for `auto` those that calibration chooses.

    Args:
        config: The run; `config.pairs` says which thresholds are automatic, and the rate they must keep.
        features: Every dataset, in the order of the run.
        sources: The images of every dataset in the same order, the encoder of the run, and what is kept of it.
        judged: What verification found.
        progress: Shows how far it has come.

    Raises:
        StoreError: A stored rendition is damaged.
    """
    given = given_thresholds(config.pairs, [one.dataset for one in features], config.reference)
    automatic = config.pairs.automatic
    if not automatic:
        return given
    edits = _measure_all(config, features, sources, progress)
    grounds = Grounds(judged, edits, config.pairs.false_discovery_rate)
    couples = compared_couples([one.dataset for one in features], config.reference)
    chosen = [one for method in automatic for one in _calibrate(method, features, couples, grounds, progress)]
    values: dict[str, dict[Couple, float]] = {method: {} for method in automatic}
    for one in chosen:
        values[one.method][one.first, one.second] = one.chosen
    return Thresholds({**given.values, **values}, tuple(chosen), config.reference)


def _measure_all(
    config: RunConfig,
    features: Sequence[Features],
    sources: EditSources,
    progress: Progress,
) -> Mapping[str, Mapping[str, EditScores]]:
    """Return dataset -> method -> scores of known edits."""
    automatic = config.pairs.automatic
    probe = EditProbe(
        sources.encoder if "cosine" in automatic else None,
        config.hashing if "perceptual" in automatic else None,
        config.workers,
    )
    samples = [sample_rows(images) for images in sources.known]
    with progress.stage("Known edits", sum(map(len, samples))) as stage:
        return {
            one.dataset: known_edits((images, rows), one, probe, sources.results, stage)
            for images, one, rows in zip(sources.known, features, samples, strict=True)
        }


def _calibrate(
    method: str, features: Sequence[Features], couples: Sequence[Couple], grounds: Grounds, progress: Progress
) -> Iterator[Calibration]:
    by_name = {one.dataset: one for one in features}
    sides = [(by_name[first], by_name[second]) for first, second in couples]
    total = sum(count_comparisons(left.n_kept, None if left is right else right.n_kept) for left, right in sides)
    with progress.stage(f"Calibration by {method}", total, "comparisons") as stage:
        for couple in sides:
            yield calibrate(method, couple, grounds, progress=stage.advance)
