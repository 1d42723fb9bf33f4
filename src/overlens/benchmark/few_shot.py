"""The few-shot splits of a run: drawn and checked for all datasets, then written with their locks, then measured.

No split is written before those of every dataset are drawn, so a class that is too small stops the run without leaving
half of them.
"""

from collections.abc import Sequence
from dataclasses import replace

from overlens.analysis import Analysis
from overlens.atomic import write_json, write_text
from overlens.benchmark.known import certificate_basis, count_held_out, known_copies, tell_cut, why_unknown
from overlens.config import DatasetSpec, FewShotConfig, RunConfig
from overlens.features import KnownImages
from overlens.fewshot.digested import DigestedImages
from overlens.fewshot.draw import draw_splits
from overlens.fewshot.lock import LabelOrigin, make_lock
from overlens.fewshot.pictures import KnownCopies, LabelledImages
from overlens.fewshot.splits import Splits
from overlens.fewshot.variance import SeedVariance, count_trials, measure_variance, variance_csv, variance_json
from overlens.layout import AnalysisLayout
from overlens.notices import tell
from overlens.progress import Progress
from overlens.records import Features
from overlens.split_files import ImageFiles, write_lock, write_splits


def make_splits(
    analysis: Analysis, known: Sequence[KnownImages], progress: Progress
) -> tuple[tuple[Splits, ...], list[str]]:
    """Draw, certify and write the splits of every dataset that is not held out.

    Returns:
        The splits of each dataset, and what the user should know.

    Raises:
        ConfigError: A class is short, and short classes are errors.
        DatasetError: A dataset held out, of which a part was looked at, cannot be listed any more.
        StoreError: A file cannot be written.
    """
    config = analysis.config.few_shot
    if config is None:
        return (), []
    datasets = [features for name, features in analysis.datasets.items() if name not in config.held_out]
    n_listed = count_held_out(analysis)
    basis = certificate_basis(analysis, n_listed)
    images = {one.listing.dataset: one for one in known}
    notices = tell("few-shot splits", list(tell_cut(analysis, n_listed)))
    drawn: list[tuple[Splits, KnownCopies | None]] = []
    with progress.stage("Few-shot splits", len(datasets), "datasets") as stage:
        for features in datasets:
            copies = known_copies(analysis, basis, features.dataset)
            drawn.append((_draw(analysis.config, config, features, copies), copies))
        written: list[Splits] = []
        for features, (splits, copies) in zip(datasets, drawn, strict=True):
            locked, told = _write(analysis.config, features, splits, copies, images.get(features.dataset))
            written.append(locked)
            notices += told
            stage.advance(1)
    return tuple(written), notices


def measure_variances(
    analysis: Analysis, splits: Sequence[Splits], progress: Progress
) -> dict[str, tuple[SeedVariance, ...]]:
    """Measure how much the accuracy of simple probes depends on the seed, for the splits of each dataset."""
    measured: dict[str, tuple[SeedVariance, ...]] = {}
    if not splits:
        return measured
    with progress.stage("Seed variance", sum(map(count_trials, splits)), "splits") as stage:
        for one in splits:
            embeddings = analysis.datasets[one.dataset].require_embeddings()
            measured[one.dataset] = measure_variance(one, embeddings, told=stage.advance)
            layout = AnalysisLayout(analysis.output, one.dataset)
            write_json(layout.seed_variance("json"), variance_json(measured[one.dataset], one.lock_sha256))
            write_text(layout.seed_variance("csv"), variance_csv(measured[one.dataset]))
    return measured


def _draw(run: RunConfig, config: FewShotConfig, features: Features, copies: KnownCopies | None) -> Splits:
    why = why_unknown(run, features.dataset)
    images = LabelledImages(features.dataset, features.keys, features.labels)
    return draw_splits(images, config=config, copies=copies, why_unknown=why)


def _write(
    run: RunConfig, features: Features, splits: Splits, copies: KnownCopies | None, images: KnownImages | None
) -> tuple[Splits, list[str]]:
    """Write the splits of one dataset, and last their lock, which needs images.

    Returns:
        The splits with the digest of their lock, and what the user should know.
    """
    assert run.few_shot is not None
    layout = AnalysisLayout(run.output_root, features.dataset)
    files = None if images is None else _files(run, images)
    written = write_splits(splits, features, layout, files=files, formats=run.few_shot.formats)
    if images is not None and len(splits):
        origin = LabelOrigin(features.label_source, run.use_ground_truth, run.max_images)
        lock = make_lock(splits, DigestedImages.of(images), run.few_shot, origin=origin, copies=copies)
        write_lock(lock, layout)
        splits = replace(splits, lock_sha256=lock.sha256)
    reasons = dict.fromkeys(f"{skipped.k_shot}-shot splits: {skipped.reason}" for skipped in splits.skipped)
    unknown = why_unknown(run, features.dataset)
    none = [] if len(splits) else ["no split could be drawn, so there is none, and no lock"]
    uncertain = [f"no split is certified free of leaks: {unknown}"] if unknown else []
    crossing = [f"groups of copies that cross a border of a split, over all splits: {splits.n_crossing}"]
    leaks = crossing if splits.n_crossing else []
    return splits, tell(features.dataset, [*none, *uncertain, *leaks, *splits.notices, *reasons, *written.notices])


def _files(run: RunConfig, images: KnownImages) -> ImageFiles:
    spec: DatasetSpec = next(spec for spec in run.datasets if spec.name == images.listing.dataset)
    return ImageFiles.of(spec, run.root, (images.listing.paths[row] for row in images.rows))
