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
from overlens.drawing import draw_galleries, draw_overlaps, draw_projections, draw_transfers
from overlens.encoders.base import Encoder
from overlens.engines import Engine, make_engine
from overlens.export import export_features, export_splits, export_transfer, write_failures
from overlens.extract import Extractor
from overlens.features import KnownImages, Stores, compute_features
from overlens.fewshot import Split, draw_splits
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.matching import match_datasets
from overlens.planning import ImagePlan, Material, check_failures, plan_images, plan_published, tell
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
    plan = plan_published(config) if config.from_embeddings else plan_images(config, encoder)
    with sole_writer(CrossLayout(config.output_root).folder):
        if isinstance(plan, Material):
            return _analyse(config, plan, (), progress)
        known = _extract(config, plan, engine, progress)
        features = tuple(
            export_features(images, AnalysisLayout(config.output_root, images.listing.dataset), config.hashing.n_bits)
            for images in known
        )
        model = plan.encoder.info if plan.encoder else None
        return _analyse(config, Material(features, model, plan.notices), known, progress)


def _extract(config: RunConfig, plan: ImagePlan, engine: Engine, progress: Progress) -> tuple[KnownImages, ...]:
    hashing = config.hashing if config.needs_hashes else None
    known = []
    with Extractor(hashing, plan.encoder, config.workers) as extractor:
        for listing in plan.listings:
            layout = AnalysisLayout(config.output_root, listing.dataset)
            stores = Stores.open(layout.store, hashing, plan.encoder)
            with progress.stage(f"Features of {listing.dataset}", len(listing.keys)) as stage:
                found = compute_features(listing, stores, extractor, engine, stage)
            write_failures(layout.failures, found.failures)
            check_failures(config, listing.dataset, found.failures, listing.n_attempted)
            known.append(found)
    return tuple(known)


def _analyse(config: RunConfig, material: Material, known: Sequence[KnownImages], progress: Progress) -> Analysis:
    root = config.output_root
    matches = {
        method: match_datasets(method, material.features, config.pairs, root, progress)
        for method in config.pairs.methods
    }
    datasets = {features.dataset: features for features in material.features}
    analysis = Analysis(config, material.model, datasets, matches)
    write_json(CrossLayout(root).overlap, analysis.to_json())
    draw_overlaps(analysis)
    notices = [*material.notices, *draw_galleries(analysis, known, progress), *draw_projections(analysis, progress)]
    splits, split_notices = _draw_splits(config, material.features, progress)
    transfers = _measure_transfers(config, material.features, progress)
    draw_transfers(analysis, transfers)
    return replace(
        analysis,
        splits=splits,
        transfers=transfers,
        notices=(*notices, *split_notices),
        seconds=dict(progress.seconds),
        computed={images.listing.dataset: images.n_computed for images in known},
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


def _measure_transfers(config: RunConfig, datasets: Sequence[Features], progress: Progress) -> tuple[Transfer, ...]:
    if not config.evaluate_cross_dataset:
        return ()
    transfers = []
    couples = list(permutations(datasets, 2))
    with progress.stage("Generalization", len(couples), "pairs of datasets") as stage:
        for source, target in couples:
            transfers.append(measure_transfer(source, target))
            export_transfer(transfers[-1], CrossLayout(config.output_root))
            stage.advance(1)
    return tuple(transfers)
