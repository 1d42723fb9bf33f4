"""How classes carry over between the datasets of a run: matched, measured with and without the overlap, and written."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

from overlens.analysis import Analysis
from overlens.atomic import replaced_text, write_json
from overlens.benchmark.asked import Asked
from overlens.benchmark.known import groups_of
from overlens.class_matching import ClassMatch, DatasetClasses, Side, match_classes
from overlens.counted import counted
from overlens.layout import CrossLayout
from overlens.notices import tell
from overlens.probes import PROBES
from overlens.progress import Progress
from overlens.records import Features
from overlens.transfer.centroids import Transfer, measure_transfer
from overlens.transfer.figures import PairTransfer, rounded
from overlens.transfer.inputs import CommonClasses, Labelled
from overlens.transfer.matrix import TransferMatrix, measure_matrix

Couple = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Carried:
    """How classes carry over, for every ordered pair of datasets.

    Attributes:
        transfers: The documented figures of each pair.
        matrix: All figures with and without the overlap, and within each dataset.
        matches: Which classes of two datasets are one.
    """

    transfers: tuple[Transfer, ...]
    matrix: TransferMatrix
    matches: Mapping[Couple, ClassMatch]


def measure_transfers(analysis: Analysis, asked: Asked, progress: Progress) -> tuple[Carried | None, list[str]]:
    """Measure transfer between all datasets and write it, where that is asked for.

    Returns:
        What was measured, and what the user should know.
    """
    if not analysis.config.evaluate_cross_dataset:
        return None, []
    features = list(analysis.datasets.values())
    classes = {one.dataset: DatasetClasses.of_features(one) for one in features}
    couples = list(permutations(features, 2))
    matches = {
        (one.dataset, other.dataset): match_classes(classes[one.dataset], classes[other.dataset], asked.class_map)
        for one, other in couples
    }
    with progress.stage("Generalization", len(couples) + len(features), "pairs of datasets") as stage:
        transfers = tuple(
            measure_transfer(
                _recode(one, matches[one.dataset, other.dataset], "source"),
                _recode(other, matches[one.dataset, other.dataset], "target"),
            )
            for one, other in couples
        )
        matrix = _measure_matrix(analysis, features, matches)
        stage.advance(len(couples) + len(features))
    carried = Carried(transfers, matrix, matches)
    _write(carried, CrossLayout(analysis.output))
    return carried, _tell(analysis, carried)


def _measure_matrix(
    analysis: Analysis, features: Sequence[Features], matches: Mapping[Couple, ClassMatch]
) -> TransferMatrix:
    labelled = [Labelled.of_features(one, groups_of(analysis.copies, one.dataset)) for one in features]
    labels = {one.dataset: one.labels for one in features}
    common = {
        (source, target): CommonClasses.of_match(match, labels[source], labels[target])
        for (source, target), match in matches.items()
    }
    return measure_matrix(labelled, common)


def _recode(features: Features, match: ClassMatch, side: Side) -> Features:
    """Return a dataset whose common classes are called as in `match`, and its others as nothing else is."""
    places = match.places(side)
    others = match.only_target if side == "source" else match.only_source
    taken = {one.key for one in match.classes} | set(others)
    called = {class_id: match.classes[place].key for class_id, place in places.items()}
    for class_id in match.only_source if side == "source" else match.only_target:
        called[class_id] = class_id if class_id not in taken else f"{class_id} ({features.dataset})"
    names = {called[class_id]: name for class_id, name in features.class_names.items() if class_id in called}
    names |= {one.key: one.name for one in match.classes}
    labels = tuple(None if label is None else called[label] for label in features.labels)
    return replace(features, labels=labels, class_names=names)


def _write(carried: Carried, layout: CrossLayout) -> None:
    for transfer in carried.transfers:
        source, target = transfer.source.dataset, transfer.target.dataset
        figures = carried.matrix.pair(source, target).to_json()
        content = {
            **transfer.to_json(),
            "class_match": carried.matches[source, target].to_json(),
            **{key: figures[key] for key in ("removed_source", "removed_target", "figures")},
        }
        write_json(layout.transfer(source, target, "json"), content)
    write_json(layout.transfer_matrix("json"), carried.matrix.to_json())
    _write_rows(layout.transfer_matrix("csv"), carried.matrix.csv_rows())
    _write_rows(layout.transfer_classes, carried.matrix.class_csv_rows())


def _write_rows(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with replaced_text(path) as stream:
        csv.writer(stream, lineterminator="\n").writerows([rounded(value) for value in row] for row in rows)


def _tell(analysis: Analysis, carried: Carried) -> list[str]:
    """Say what the user should know; how classes were matched only once a couple, and only where no bridge says it."""
    told: list[str] = []
    for transfer in carried.transfers:
        couple = transfer.source.dataset, transfer.target.dataset
        is_first = list(analysis.datasets).index(couple[0]) < list(analysis.datasets).index(couple[1])
        matching = carried.matches[couple].notices if analysis.copies is None and is_first else ()
        told += tell(f"{couple[0]} to {couple[1]}", [*transfer.notices, *matching])
        pair = carried.matrix.pair(*couple)
        told += tell(f"{couple[0]} to {couple[1]}", [*pair.notices, *_tell_lost(pair)])
    for dataset in carried.matrix.datasets:
        told += tell(f"within {dataset}", carried.matrix.pair(dataset, dataset).notices)
    if analysis.config.reference is not None and analysis.copies is not None:
        words = "no copies were looked for within the reference, so its in-domain accuracy may rest on copies"
        told += tell(f"within {analysis.config.reference}", [words])
    if analysis.copies is None:
        told += tell("generalization", ["no copies were verified, so nothing is known of it without the overlap"])
    return told


def _tell_lost(pair: PairTransfer) -> list[str]:
    """Say where classes are lost with the overlap: then both figures are not of the same problem."""
    figure = pair.figure(f"accuracy_{PROBES[0]}")
    n_every, n_without = figure.every.n_classes, None if figure.without is None else figure.without.n_classes
    if n_every is None or n_without is None or n_every == n_without:
        return []
    return [
        f"of {counted(n_every, 'common class', 'common classes')} {n_without} remain without the overlap, so figures "
        "with and without it are of different problems"
    ]
