"""Images made ready for the analysis: features of every dataset computed, written and opened.

Both a run and the removal of copies begin like this. Embeddings of an encoder that nothing names serve one run and are
deleted when it ends.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from overlens.config import RunConfig
from overlens.engines import Engine
from overlens.export import export_features, write_failures
from overlens.extract import Extractor
from overlens.features import KnownImages, Stores, compute_features
from overlens.layout import AnalysisLayout
from overlens.planning import ImagePlan, Material, check_failures
from overlens.progress import Progress

Prepared = tuple[tuple[KnownImages, ...], Material]


@contextmanager
def prepared_images(config: RunConfig, plan: ImagePlan, engine: Engine, progress: Progress) -> Iterator[Prepared]:
    """Compute what the stores miss, write the documented feature files, and hand on the images with their features.

    Raises:
        DatasetError: Too many images of a dataset failed.
        StoreError: Stored features are damaged, or cannot be written.
    """
    try:
        known = _extract(config, plan, engine, progress)
        yield known, _export(config, plan, known)
    finally:
        _forget_unnamed(config, plan)


def _extract(config: RunConfig, plan: ImagePlan, engine: Engine, progress: Progress) -> tuple[KnownImages, ...]:
    hashing = config.hashing if config.needs_hashes else None
    known = []
    with Extractor(hashing, plan.encoder, config.workers, scaled=config.scaled_decode) as extractor:
        for listing in plan.listings:
            layout = AnalysisLayout(config.output_root, listing.dataset)
            stores = Stores.open(
                layout.store, hashing, plan.encoder, evidence=config.verifies, scaled=config.scaled_decode
            )
            with progress.stage(f"Features of {listing.dataset}", listing.n_attempted) as stage:
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


def _forget_unnamed(config: RunConfig, plan: ImagePlan) -> None:
    """Delete stored embeddings that no later run can use, as nothing names the encoder that made them."""
    if plan.encoder is None or not plan.encoder.token:
        return
    for listing in plan.listings:
        folder = AnalysisLayout(config.output_root, listing.dataset).store
        store = Stores.open(folder, None, plan.encoder, scaled=config.scaled_decode).embeddings
        if store is not None:
            store.remove()
