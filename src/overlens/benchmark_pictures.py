"""The pictures of the benchmarks of a run: transfer as a matrix, accuracy over the seeds, copies of two classes."""

from collections.abc import Sequence
from functools import partial
from itertools import combinations_with_replacement

from overlens.analysis import Analysis
from overlens.atomic import write_bytes
from overlens.bridge import LabelComparison
from overlens.features import KnownImages
from overlens.fewshot.variance import SeedVariance, Spread
from overlens.gallery_pictures import Shelf
from overlens.label_conflicts import Conflict
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.matching import EXAMPLES
from overlens.probes import PROBES
from overlens.report.benchmark_views import (
    CleanAccuracy,
    ConflictCard,
    ConflictView,
    DistanceCell,
    SeedPoint,
    SeedVarianceView,
    TransferCell,
    TransferMatrixView,
)
from overlens.report.conflicts import draw_conflicts
from overlens.report.seed_variance import draw_seed_variance
from overlens.report.style import drawn_by
from overlens.report.transfer_matrix import draw_transfer_matrix
from overlens.report.views import ShownImage, describe_encoder
from overlens.store.fingerprints import fingerprint
from overlens.store.results import Results
from overlens.transfer.figures import Estimate, Figure, PairTransfer
from overlens.transfer.matrix import TransferMatrix

SHOWN_DISTANCE, SHOWN_AVERAGE = "mmd_squared", "class"


def draw_benchmarks(analysis: Analysis, known: Sequence[KnownImages], results: Results) -> None:
    """Draw what there is of transfer, seed variance and label conflicts."""
    if analysis.transfer_matrix is not None:
        _draw_matrix(analysis, analysis.transfer_matrix, results)
    for dataset, variances in analysis.variances.items():
        if variances:
            view = _variance_view(analysis, dataset, variances)
            path = AnalysisLayout(analysis.output, dataset).seed_variance("png")
            results.write(path, fingerprint(drawn_by(), view), partial(draw_seed_variance, view))
    if analysis.labels is not None and known:
        _draw_conflicts(analysis, analysis.labels, known, results)


def _draw_matrix(analysis: Analysis, matrix: TransferMatrix, results: Results) -> None:
    for probe in PROBES:
        view = TransferMatrixView(
            matrix.datasets,
            probe,
            {(pair.source, pair.target): _transfer_cell(matrix, pair, probe) for pair in matrix.pairs},
            is_verified=analysis.copies is not None,
            distances=_distances(matrix),
            distance=SHOWN_DISTANCE,
            average=SHOWN_AVERAGE,
            encoder=describe_encoder(analysis.model),
            label_source="; ".join(dict.fromkeys(one.label_source for one in analysis.datasets.values())),
            unknown_within=matrix.copies_unknown_within,
        )
        path = CrossLayout(analysis.output).transfer_picture(probe)
        results.write(path, fingerprint(drawn_by(), view), partial(draw_transfer_matrix, view))


def _transfer_cell(matrix: TransferMatrix, pair: PairTransfer, probe: str) -> TransferCell:
    is_own = pair.source == pair.target
    figure = pair.figure(f"{'in_domain' if is_own else 'accuracy'}_{probe}", SHOWN_AVERAGE)
    if not pair.n_common_classes:
        return TransferCell(None, 0, 0, why_not="they have no class in common")
    in_domain = None
    if not is_own and pair.n_common_classes != matrix.pair(pair.target, pair.target).n_common_classes:
        in_domain = pair.figure(f"in_domain_{probe}", SHOWN_AVERAGE).every.value
    every, shares = figure.every, _shares_images(pair)
    return TransferCell(
        every.value,
        every.n_test,
        pair.n_common_classes,
        in_domain,
        _clean(figure) if shares else None,
        "" if every.value is not None else "no class has images enough",
    )


def _shares_images(pair: PairTransfer) -> bool:
    return pair.removed_target is not None and pair.removed_target.n_removed > 0


def _clean(figure: Figure) -> CleanAccuracy | None:
    """Return the accuracy without the overlap, and what the overlap adds."""
    if figure.without is None:
        return None
    gap = figure.difference or Estimate(None, None, None, 0, 0, None)
    without = figure.without
    return CleanAccuracy(without.value, without.n_test, gap.value, gap.lower, gap.upper, without.n_classes)


def _distances(matrix: TransferMatrix) -> dict[tuple[str, str], DistanceCell]:
    """Return the distance of every two datasets, and of each the mean noise floor beside the others."""
    cells: dict[tuple[str, str], DistanceCell] = {}
    floors: dict[str, list[Estimate]] = {name: [] for name in matrix.datasets}
    for pair in matrix.pairs:
        if pair.source != pair.target:
            every = pair.figure(SHOWN_DISTANCE, "").every
            cells[pair.source, pair.target] = DistanceCell(every.value, every.n_test)
            floors[pair.source].append(pair.figure(f"{SHOWN_DISTANCE}_source_floor", "").every)
    for name, found in floors.items():
        values = [one.value for one in found if one.value is not None]
        n_images = min((one.n_test for one in found), default=0)
        cells[name, name] = DistanceCell(sum(values) / len(values) if values else None, n_images)
    return cells


def _variance_view(analysis: Analysis, dataset: str, variances: Sequence[SeedVariance]) -> SeedVarianceView:
    points = tuple(map(_seed_point, variances))
    label_source = analysis.datasets[dataset].label_source
    return SeedVarianceView(dataset, points, describe_encoder(analysis.model), label_source)


def _seed_point(one: SeedVariance) -> SeedPoint:
    spread = one.spread
    return SeedPoint(
        one.strategy,
        one.k_shot,
        one.probe,
        tuple(seed.accuracy for seed in one.seeds),
        None if spread is None else spread.mean,
        None if spread is None or spread.low is None or spread.high is None else (spread.low, spread.high),
        one.n_classes or 0,
        one.n_query,
        one.n_episodes,
        _needed(spread),
        None if one.episodes is None else one.episodes.n_needed,
        "; ".join(dict.fromkeys(reason for _, reason in one.why_not)),
    )


def _needed(spread: Spread | None) -> tuple[int, int, int] | None:
    if spread is None or spread.n_needed is None or spread.n_needed_low is None or spread.n_needed_high is None:
        return None
    return spread.n_needed, spread.n_needed_low, spread.n_needed_high


def _draw_conflicts(
    analysis: Analysis, labels: LabelComparison, known: Sequence[KnownImages], results: Results
) -> None:
    """Draw the surest conflicts of every two datasets, and within each, that have any."""
    shelves = {images.listing.dataset: Shelf(analysis, images) for images in known}
    compared = {(one.dataset_a, one.dataset_b): one.n_with_both_labels for one in labels.bridges}
    for couple in combinations_with_replacement(shelves, 2):
        found = labels.conflicts.between(*couple)
        if not found:
            continue
        shown, sides = found[:EXAMPLES], (shelves[couple[0]], shelves[couple[1]])
        facts = [[shelf.facts(row) for shelf, row in zip(sides, rows, strict=True)] for rows in shown.local_rows()]
        path = CrossLayout(analysis.output).conflict_gallery(*couple)
        made_of = fingerprint(drawn_by(), list(shown), facts, len(found), compared.get(couple))
        if not results.holds(path, made_of):
            cards = tuple(_card(one, rows, sides) for one, rows in zip(shown, shown.local_rows(), strict=True))
            write_bytes(path, draw_conflicts(ConflictView(couple, cards, len(found), compared.get(couple))))
            results.record(path, made_of)


def _card(one: Conflict, rows: tuple[int, int], sides: tuple[Shelf, Shelf]) -> ConflictCard:
    pixels = [shelf.pixels(row) for shelf, row in zip(sides, rows, strict=True)]
    left, right = (
        ShownImage(key, name, None if isinstance(picture, str) else picture)
        for key, name, picture in zip((one.image_1, one.image_2), (one.name_1, one.name_2), pixels, strict=True)
    )
    verdict = None if one.verdict is None else one.verdict.replace("_", " ")
    return ConflictCard(left, right, verdict, one.strength)
