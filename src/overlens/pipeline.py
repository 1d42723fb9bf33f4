"""The order of the stages: list, extract, match, draw, split, measure. Joins configuration, store and engine.

Everything that can be wrong with the request is found before the first image is read: the datasets are listed, the
encoder is found and started, and labels are looked for where splits need them.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

from overlens.analysis import Analysis
from overlens.atomic import sole_writer, write_json
from overlens.config import RunConfig
from overlens.copies import Copies, find_copies
from overlens.drawing import draw_galleries, draw_projections, draw_transfers
from overlens.encoders.base import Encoder
from overlens.engines import Engine, make_engine
from overlens.export import export_features, export_splits, export_transfer, write_failures
from overlens.extract import Extractor
from overlens.features import KnownImages, Stores, compute_features
from overlens.fewshot import Split, draw_splits
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.leftovers import find_files, tell_leftovers
from overlens.matching import match_datasets
from overlens.notices import tell
from overlens.overlap_pictures import draw_overlaps, draw_threshold_curves
from overlens.pair_tables import write_groups, write_pairs
from overlens.planning import ImagePlan, Material, check_failures, plan_images, plan_published
from overlens.progress import Progress
from overlens.records import Features
from overlens.transfer import Transfer, measure_transfer


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
    engine = make_engine(config.engine)
    plan = plan_published(config, encoder) if config.from_embeddings else plan_images(config, encoder)
    with sole_writer(CrossLayout(config.output_root).mark):
        earlier = find_files(config)
        if isinstance(plan, Material):
            for features in plan.features:
                write_failures(AnalysisLayout(config.output_root, features.dataset).failures, features.failures)
                check_failures(config, features.dataset, features.failures, features.n_attempted)
            analysis = _analyse(replace(config, hashing=plan.hashing), plan, (), progress)
        else:
            try:
                known = _extract(config, plan, engine, progress)
                material = _export(config, plan, known)
                copies = _find_copies(config, material, known, engine, progress)
            finally:
                _forget_unnamed(config, plan)
            analysis = _analyse(config, material, known, progress, copies)
        return replace(analysis, notices=(*analysis.notices, *tell_leftovers(config, earlier)))


def _extract(config: RunConfig, plan: ImagePlan, engine: Engine, progress: Progress) -> tuple[KnownImages, ...]:
    hashing = config.hashing if config.needs_hashes else None
    known = []
    with Extractor(hashing, plan.encoder, config.workers) as extractor:
        for listing in plan.listings:
            layout = AnalysisLayout(config.output_root, listing.dataset)
            stores = Stores.open(layout.store, hashing, plan.encoder, evidence=config.verifies)
            with progress.stage(f"Features of {listing.dataset}", len(listing.keys)) as stage:
                found = compute_features(listing, stores, extractor, engine, stage)
            write_failures(layout.failures, found.failures)
            check_failures(config, listing.dataset, found.failures, listing.n_attempted)
            known.append(found)
    return tuple(known)


def _export(config: RunConfig, plan: ImagePlan, known: Sequence[KnownImages]) -> Material:
    model = plan.encoder.info if plan.encoder else None
    features = tuple(
        export_features(images, AnalysisLayout(config.output_root, images.listing.dataset), model, config.hashing)
        for images in known
    )
    return Material(features, model, config.hashing, plan.notices)


def _find_copies(
    config: RunConfig, material: Material, known: Sequence[KnownImages], engine: Engine, progress: Progress
) -> Copies | None:
    if not config.verifies:
        return None
    copies = find_copies(config, material.features, known, engine, progress)
    layout = CrossLayout(config.output_root)
    write_pairs(layout.pairs, copies, material.features)
    write_groups(layout.groups, copies.groups, material.features)
    return copies


def _forget_unnamed(config: RunConfig, plan: ImagePlan) -> None:
    """Delete stored embeddings that no later run can use, as nothing names the encoder that made them."""
    if plan.encoder is None or not plan.encoder.token:
        return
    for listing in plan.listings:
        store = Stores.open(AnalysisLayout(config.output_root, listing.dataset).store, None, plan.encoder).embeddings
        if store is not None:
            store.remove()


def _analyse(
    config: RunConfig,
    material: Material,
    known: Sequence[KnownImages],
    progress: Progress,
    copies: Copies | None = None,
) -> Analysis:
    """Compute and write every number first, then draw: a picture that fails costs no number."""
    matches = {
        method: match_datasets(method, material.features, config.pairs, config.output_root, progress)
        for method in config.pairs.methods
    }
    datasets = {features.dataset: features for features in material.features}
    analysis = Analysis(config, material.model, datasets, matches, copies)
    write_json(CrossLayout(config.output_root).overlap, analysis.to_json())
    splits, split_notices = _draw_splits(config, material.features, progress)
    transfers, transfer_notices = _measure_transfers(config, material.features, progress)
    draw_overlaps(analysis)
    draw_threshold_curves(analysis, progress)
    draw_transfers(analysis, transfers)
    gallery_notices = draw_galleries(analysis, known, progress)
    projections, projection_notices = draw_projections(analysis, progress)
    return replace(
        analysis,
        splits=splits,
        transfers=transfers,
        projections=tuple(projections),
        notices=(*material.notices, *split_notices, *transfer_notices, *gallery_notices, *projection_notices),
        seconds=dict(progress.seconds),
        read={images.listing.dataset: images.n_read for images in known},
    )


def _draw_splits(
    config: RunConfig, datasets: Sequence[Features], progress: Progress
) -> tuple[tuple[Split, ...], list[str]]:
    drawn: list[Split] = []
    notices: list[str] = []
    if config.few_shot is None:
        return (), []
    with progress.stage("Few-shot splits", len(datasets), "datasets") as stage:
        for features in datasets:
            splits = draw_splits(features.dataset, features.keys, features.labels, config=config.few_shot)
            export_splits(splits.drawn, features, AnalysisLayout(config.output_root, features.dataset))
            reasons = dict.fromkeys(f"{skipped.k_shot}-shot splits: {skipped.reason}" for skipped in splits.skipped)
            notices += tell(features.dataset, [*splits.notices, *reasons])
            drawn += splits.drawn
            stage.advance(1)
    return tuple(drawn), notices


def _measure_transfers(
    config: RunConfig, datasets: Sequence[Features], progress: Progress
) -> tuple[tuple[Transfer, ...], list[str]]:
    if not config.evaluate_cross_dataset:
        return (), []
    transfers: list[Transfer] = []
    notices: list[str] = []
    couples = list(permutations(datasets, 2))
    with progress.stage("Generalization", len(couples), "pairs of datasets") as stage:
        for source, target in couples:
            transfers.append(measure_transfer(source, target))
            export_transfer(transfers[-1], CrossLayout(config.output_root))
            notices += tell(f"{source.dataset} to {target.dataset}", transfers[-1].notices)
            stage.advance(1)
    return tuple(transfers), notices
