"""How classes carry over between the datasets of a run: matched, measured with and without the overlap, and written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from overlens.analysis import Analysis
from overlens.atomic import write_json
from overlens.benchmark.asked import Asked
from overlens.benchmark.known import groups_of, why_unknown
from overlens.class_matching import ClassMatch, DatasetClasses, Side, match_classes
from overlens.counted import counted
from overlens.layout import CrossLayout
from overlens.notices import tell
from overlens.probes import PROBES
from overlens.progress import Progress
from overlens.records import Features
from overlens.tables import rounded, write_csv
from overlens.transfer.centroids import Transfer, measure_transfer
from overlens.transfer.figures import CLASS_COLUMNS, FIGURE_COLUMNS, PairTransfer
from overlens.transfer.inputs import CommonClasses, Labelled
from overlens.transfer.matrix import TransferMatrix, measure_matrix

Couple = tuple[str, str]

MOST_PLACES = 6


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
    labelled = [
        Labelled.of_features(one, groups_of(analysis.copies, one.dataset), why_unknown(analysis.config, one.dataset))
        for one in features
    ]
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
    write_csv(layout.transfer_matrix("csv"), FIGURE_COLUMNS, _rounded_rows(carried.matrix.rows()))
    write_csv(layout.transfer_classes, CLASS_COLUMNS, _rounded_rows(carried.matrix.class_rows()))


def _rounded_rows(rows: Iterable[Sequence[object]]) -> Iterator[list[object]]:
    return ([rounded(value) for value in row] for row in rows)


def _tell(analysis: Analysis, carried: Carried) -> list[str]:
    """Say what the user should know, each sentence once, with all places that it is of."""
    places: dict[str, list[str]] = {}
    for sentence, place in _sentences(analysis, carried):
        known = places.setdefault(sentence, [])
        known += [] if place in known else [place]
    told: list[str] = []
    for sentence, where in places.items():
        more = f" and {len(where) - MOST_PLACES} more" if len(where) > MOST_PLACES else ""
        told += tell(", ".join(where[:MOST_PLACES]) + more, [sentence])
    return told


def _sentences(analysis: Analysis, carried: Carried) -> Iterator[tuple[str, str]]:
    """Yield what there is to say, and of what."""
    order = list(analysis.datasets)
    for transfer in carried.transfers:
        couple = transfer.source.dataset, transfer.target.dataset
        is_first = order.index(couple[0]) < order.index(couple[1])
        for sentence in transfer.notices:
            own = next((name for name in couple if sentence.startswith(f"{name}: ")), None)
            if own is not None:
                yield sentence.removeprefix(f"{own}: "), own
            elif transfer.classes:
                yield sentence, " to ".join(couple)
            elif is_first:
                yield "no class in common", " and ".join(couple)
        # How classes were matched is said once a couple, and only where no bridge says it.
        matching = carried.matches[couple].notices if analysis.copies is None and is_first else ()
        pair = carried.matrix.pair(*couple)
        for sentence in (*matching, *pair.notices, *_tell_lost(pair)):
            yield sentence, " to ".join(couple)
    for dataset in carried.matrix.datasets:
        for sentence in carried.matrix.pair(dataset, dataset).notices:
            yield sentence, f"within {dataset}"
    if analysis.copies is None:
        yield "no copies were verified, so nothing is known of it without the overlap", "generalization"
        return
    for dataset, why in carried.matrix.copies_unknown_within.items():
        yield f"{why}, so in-domain accuracy may rest on copies, and intervals may be too narrow", dataset


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
