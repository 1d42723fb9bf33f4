"""The order of the stages: list, extract, match, draw, split, measure. Joins configuration, store and engine.

Everything that can be wrong with the request is found before the first image is read: the datasets are listed, the
encoder is found and started, and labels are looked for where splits need them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from overlens.analysis import Analysis
from overlens.atomic import sole_writer, write_json, write_text
from overlens.benchmark.asked import Asked, read_asked, tell_class_map
from overlens.benchmark.few_shot import make_splits, measure_variances
from overlens.benchmark.scores import bridge_labels, score_models
from overlens.benchmark.transfer import measure_transfers
from overlens.benchmark_pictures import draw_benchmarks
from overlens.calibration.edit_scores import EditSources
from overlens.calibration.judged import Judged
from overlens.calibration.thresholds import Thresholds, calibrate_thresholds, given_thresholds
from overlens.config import RunConfig
from overlens.copies import Copies, find_copies
from overlens.counted import counted
from overlens.decisions.store import DecisionStore
from overlens.decode import image_extensions
from overlens.drawing import draw_projections, draw_transfers
from overlens.encoders.base import Encoder
from overlens.engines import Engine, make_engine
from overlens.errors import StoreError
from overlens.export import write_failures
from overlens.features import KnownImages
from overlens.finished import FinishedRun
from overlens.gallery_pictures import draw_galleries
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.leftovers import find_files, old_pages, split_files, tell_leftovers
from overlens.matching import match_datasets
from overlens.notices import tell
from overlens.overlap_pictures import draw_overlaps, draw_threshold_curves
from overlens.pair_tables import tabled_by, write_groups, write_low_information, write_pairs
from overlens.planning import Material, check_failures, plan_images, plan_published
from overlens.prepared import prepared_images
from overlens.progress import Progress
from overlens.recall.identifiers import Identifiers, read_identifiers, tell_identified
from overlens.recall.measure import IdentifierRecall, Verified, measure_recalls, missed_csv
from overlens.records import Features
from overlens.report_contents.write import write_report
from overlens.run_record import forget_record, write_record
from overlens.store.fingerprints import fingerprint
from overlens.store.results import Results


def run(config: RunConfig, progress: Progress | None = None, encoder: Encoder | None = None) -> Analysis:
    """Do everything that `config` asks for and write it in the documented layout.

    Args:
        config: What to do.
        progress: Shows how far the run has come; by default nothing is shown.
        encoder: An encoder object to use instead of the one that `config` names.

    Raises:
        ConfigError: The request cannot work.
        DatasetError: A dataset cannot be listed, or too many of its images failed.
        ModelError: The encoder or its weights cannot be had.
        StoreError: Another run writes to the same place, or stored features are damaged.
    """
    progress = progress or Progress()
    with progress.timed("Everything else"):
        analysis = _run(config, progress, encoder)
    return replace(analysis, seconds=dict(progress.seconds))


def _run(config: RunConfig, progress: Progress, encoder: Encoder | None) -> Analysis:
    engine = make_engine(config.engine)
    with progress.timed("Lists and encoder"):
        plan = plan_published(config, encoder) if config.from_embeddings else plan_images(config, encoder)
        asked = read_asked(config, () if isinstance(plan, Material) else plan.listings)
    with sole_writer(CrossLayout(config.output_root).mark):
        if config.verifies:  # what is damaged is told before hours of work, and before results are replaced
            DecisionStore(CrossLayout(config.output_root).decisions).latest()
        earlier, results = find_files(config), Results.open(config.output_root)
        if isinstance(plan, Material):
            for features in plan.features:
                write_failures(AnalysisLayout(config.output_root, features.dataset).failures, features.failures)
                check_failures(config, features.dataset, features.failures, features.n_attempted)
            config = replace(config, hashing=plan.hashing)
            forget_record(config.output_root)
            thresholds = _choose_thresholds(config, plan, EditSources((), None, results), None, progress)
            found = _match(config, plan, thresholds, None, progress)
            inputs = _Inputs(plan, (), asked)
            analysis = _finish(found, inputs, results, progress)
        else:
            with prepared_images(config, plan, engine, progress) as (known, material):
                forget_record(config.output_root)
                copies = _find_copies(config, material, known, engine, progress)
                with progress.timed("Tables of pairs and groups"):
                    _write_copies(copies, material.features, results)
                sources = EditSources(known, plan.encoder, results)
                thresholds = _choose_thresholds(config, material, sources, copies, progress)
                found = _match(config, material, thresholds, copies, progress)
                inputs = _Inputs(material, known, asked)
                analysis = _finish(found, inputs, results, progress)
        own, left = split_files(config, earlier, results.held)
        write_record(analysis, inputs.known, own)
        left += _report(config, results, progress)
        return replace(analysis, notices=(*analysis.notices, *tell_leftovers(left)))


def _report(config: RunConfig, results: Results, progress: Progress) -> list[Path]:
    """Write the report, if it is wanted; return the pages of earlier runs that are left where it is not."""
    if not config.report:
        return old_pages(config)
    with progress.timed("Report"):
        write_report(FinishedRun.open(config.output_root), results)
    return []


def _find_copies(
    config: RunConfig, material: Material, known: Sequence[KnownImages], engine: Engine, progress: Progress
) -> Copies | None:
    if not config.verifies:
        return None
    return find_copies(config, material.features, known, engine, progress)


def _write_copies(copies: Copies | None, features: Sequence[Features], results: Results) -> None:
    if copies is None:
        return
    layout = CrossLayout(results.root)
    made_of = fingerprint(tabled_by(), copies, [(one.dataset, one.keys) for one in features])
    for path, write in (
        (layout.pairs, partial(write_pairs, layout.pairs, copies, features)),
        (layout.groups, partial(write_groups, layout.groups, copies.groups, features)),
        (layout.low_information, partial(write_low_information, layout.low_information, copies, features)),
    ):
        if not results.holds(path, made_of):
            write()
            results.record(path, made_of)


def _choose_thresholds(
    config: RunConfig,
    material: Material,
    sources: EditSources,
    copies: Copies | None,
    progress: Progress,
) -> Thresholds:
    """Return the thresholds of the run, and write how the automatic ones were chosen."""
    if copies is None:
        return given_thresholds(config.pairs, [features.dataset for features in material.features], config.reference)
    pairs = copies.judged.candidates
    judged = Judged(copies.roster, pairs.left, pairs.right, copies.judged.verdicts, copies.groups.group_of)
    thresholds = calibrate_thresholds(config, material.features, sources, judged, progress=progress)
    if thresholds.calibrations:
        write_json(CrossLayout(config.output_root).calibration, thresholds.calibration_json())
    return thresholds


def _match(
    config: RunConfig, material: Material, thresholds: Thresholds, copies: Copies | None, progress: Progress
) -> Analysis:
    """Find the pairs of the documented methods, and write every number of the overlap."""
    layout = CrossLayout(config.output_root)
    matches = {
        method: match_datasets(method, material.features, thresholds, config.output_root, progress)
        for method in config.pairs.methods
    }
    datasets = {features.dataset: features for features in material.features}
    identifiers, recalls = _measure_recalls(config, material.features, thresholds, copies)
    if any(recall.n_shared for recall in recalls):
        keys = {name: features.keys for name, features in datasets.items()}
        write_text(layout.missed_identifiers, missed_csv(recalls, keys))
    analysis = Analysis(config, material.model, datasets, matches, thresholds, copies, identifiers, recalls)
    write_json(layout.overlap, analysis.to_json())
    return analysis


def _measure_recalls(
    config: RunConfig, datasets: Sequence[Features], thresholds: Thresholds, copies: Copies | None
) -> tuple[tuple[Identifiers, ...], tuple[IdentifierRecall, ...]]:
    identifiers = tuple(
        read_identifiers(
            features.dataset,
            features.keys,
            column=features.identifiers,
            config=config.identifiers,
            extensions=image_extensions(),
        )
        for features in datasets
    )
    verified = None if copies is None else Verified(copies.judged.edges, copies.groups)
    return identifiers, measure_recalls(identifiers, datasets, partial(thresholds.applied, config.pairs), verified)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What the benchmarks and pictures of a run go by: features, images where there are any, and the user's files."""

    material: Material
    known: Sequence[KnownImages]
    asked: Asked


def _finish(analysis: Analysis, inputs: _Inputs, results: Results, progress: Progress) -> Analysis:
    """Make the benchmarks, then the pictures, after every number is written: a picture that fails costs no number."""
    analysis, benchmark_notices = _make_benchmarks(analysis, inputs, progress)
    overlap_notices = draw_overlaps(analysis, results, progress)
    draw_threshold_curves(analysis, results, progress)
    with progress.timed("Pictures of generalization"):
        draw_transfers(analysis, analysis.transfers, results)
    with progress.timed("Pictures of benchmarks"):
        draw_benchmarks(analysis, inputs.known, results)
    gallery_notices = draw_galleries(analysis, inputs.known, results, progress)
    # Neighbours, t-SNE and UMAP are timed inside that stage.
    progress.name_rest("Projections", "Pictures of projections")
    projections, projection_notices = draw_projections(analysis, results, progress)
    told = inputs.material.notices, _tell_basis(analysis), benchmark_notices, overlap_notices, gallery_notices
    return replace(
        analysis,
        projections=tuple(projections),
        notices=(*chain.from_iterable(told), *projection_notices),
        read={images.listing.dataset: images.n_read for images in inputs.known},
    )


def _make_benchmarks(analysis: Analysis, inputs: _Inputs, progress: Progress) -> tuple[Analysis, list[str]]:
    """Draw the splits, measure transfer, compare labels and score models, as far as that is asked for."""
    splits, split_notices = make_splits(analysis, inputs.known, progress)
    variances = measure_variances(analysis, splits, progress)
    carried, transfer_notices = measure_transfers(analysis, inputs.asked, progress)
    labels, label_notices = bridge_labels(analysis, inputs.asked, progress)
    scores, score_notices = score_models(analysis, inputs.asked, progress)
    map_notices = tell_class_map(inputs.asked, list(analysis.datasets.values()))
    analysis = replace(
        analysis,
        few_shot=splits,
        variances=variances,
        transfers=() if carried is None else carried.transfers,
        transfer_matrix=None if carried is None else carried.matrix,
        labels=labels,
        scores=scores,
    )
    return analysis, [*map_notices, *split_notices, *transfer_notices, *label_notices, *score_notices]


def _tell_basis(analysis: Analysis) -> list[str]:
    """Say where thresholds do not keep their rate, where no encoder proposed candidates, and who has no identifier."""
    notices = tell("calibration", analysis.thresholds.warnings)
    notices += tell("decisions", _tell_decisions(analysis))
    is_shared = any(recall.n_shared for recall in analysis.recalls)
    notices += tell("identifiers", tell_identified(analysis.identifiers, is_shared=is_shared))
    if analysis.copies is not None and not analysis.copies.uses_embeddings:
        words = "no encoder ran, so only equal files, equal pixels and hashes proposed pairs; most crops go unseen"
        notices += tell("verification", [words])
    return notices


def _tell_decisions(analysis: Analysis) -> list[str]:
    """Say which decisions of people have no effect, or another one than they would expect."""
    if analysis.copies is not None:
        return [] if analysis.copies.decisions is None else analysis.copies.decisions.warnings()
    store = DecisionStore(CrossLayout(analysis.output).decisions)
    try:
        n_kept = len(store.latest())
    except StoreError as error:
        return [str(error)]  # Nothing is lost but what was not to be used.
    if not n_kept:
        return []
    return [f"{counted(n_kept, 'decision')} in {store.path} not used: nothing was verified, and they are on verdicts"]
