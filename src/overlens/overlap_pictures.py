"""The pictures of the overlap: Venn diagram, matrix or UpSet of each method, and the overlap against its threshold."""

from collections.abc import Callable, Mapping
from functools import partial

from overlens.analysis import Analysis
from overlens.atomic import write_text
from overlens.copies import Copies
from overlens.curves import cosine_curves, curves_csv, distance_curves, rung_curves
from overlens.layout import CrossLayout
from overlens.notices import tell
from overlens.overlap import VERIFIED_METHOD, compared_couples
from overlens.progress import Progress
from overlens.report.curve import draw_curves
from overlens.report.matrix import draw_overlap_matrix
from overlens.report.rungs import draw_rungs
from overlens.report.style import drawn_by
from overlens.report.upset import draw_upset
from overlens.report.venn import draw_venn
from overlens.report.views import CurveView, OverlapText, SharedRegion, describe_encoder
from overlens.search.tiles import count_comparisons
from overlens.store.fingerprints import fingerprint
from overlens.store.results import Results
from overlens.venn_layout import arrange_circles

MAX_VENN_SETS = 3


def describe_criterion(analysis: Analysis, method: str) -> str:
    """Say in words when two images match by `method`."""
    if method == VERIFIED_METHOD:
        return "if they are in one group of verified copies"
    return describe_threshold(analysis, method, analysis.thresholds.words(method))


def describe_threshold(analysis: Analysis, method: str, threshold: str) -> str:
    """Say in words when two images match at a threshold of `method`."""
    if method == "cosine":
        return f"at cosine similarity ≥ {threshold}"
    hashing = analysis.config.hashing
    return f"at {hashing.hash_type} of {hashing.n_bits} bits, Hamming distance ≤ {threshold}"


def draw_overlaps(analysis: Analysis, results: Results, progress: Progress) -> list[str]:
    """Draw the Venn diagram of up to three datasets, or the matrix of more, for each method.

    Returns:
        What the user should know: which diagrams are not to scale, and by how much.
    """
    notices: list[str] = []
    with progress.timed("Pictures of the overlap"):
        for method in analysis.overlaps():
            notices += _draw_overlap(analysis, method, results)
        if analysis.copies is not None and len(analysis.datasets) > MAX_VENN_SETS:
            _draw_upset(analysis, analysis.copies, results)
    return notices


def _draw_overlap(analysis: Analysis, method: str, results: Results) -> list[str]:
    layout, overlap, text = CrossLayout(analysis.output), analysis.overlap(method), _text(analysis, method)
    made_of = fingerprint(drawn_by(), overlap, text)
    if len(overlap.datasets) > MAX_VENN_SETS:
        results.write(layout.matrix(method), made_of, partial(draw_overlap_matrix, overlap, text))
        return []
    results.write(layout.venn(method), made_of, partial(draw_venn, overlap, text))
    return tell(layout.venn(method).name, arrange_circles(overlap).describe_misfit())


def draw_threshold_curves(analysis: Analysis, results: Results, progress: Progress) -> None:
    """Count and draw how the overlap of each method depends on its threshold, or on the evidence asked for."""
    layout = CrossLayout(analysis.output)
    sizes = {name: features.n_kept for name, features in analysis.datasets.items()}
    n_compared = sum(
        count_comparisons(sizes[first], None if first == second else sizes[second])
        for first, second in compared_couples(sizes, analysis.config.reference)
    )
    with progress.stage("Overlap against threshold", n_compared * len(analysis.matches), "comparisons") as stage:
        views = {method: _view_curves(analysis, method, stage.advance) for method in analysis.matches}
    with progress.timed("Pictures of the overlap"):
        for method, view in views.items():
            write_text(layout.curve(method, "csv"), curves_csv(view.curves))
            results.write(layout.curve(method, "png"), fingerprint(drawn_by(), view), partial(draw_curves, view))
        _draw_rungs(analysis, sizes, results)


def _draw_rungs(analysis: Analysis, sizes: Mapping[str, int], results: Results) -> None:
    layout = CrossLayout(analysis.output)
    if analysis.copies is not None:
        curves = rung_curves(sizes, analysis.copies.images_by_rung())
        write_text(layout.curve(VERIFIED_METHOD, "csv"), curves_csv(curves))
        made_of = fingerprint(drawn_by(), curves)
        results.write(layout.curve(VERIFIED_METHOD, "png"), made_of, partial(draw_rungs, curves))


def _view_curves(analysis: Analysis, method: str, advance: Callable[[int], None]) -> CurveView:
    datasets, hashing = analysis.datasets.items(), analysis.config.hashing
    reference = analysis.config.reference
    thresholds = analysis.thresholds.values[method].values()
    if method == "cosine":
        rows = {name: features.require_embeddings() for name, features in datasets}
        curves = cosine_curves(rows, min_similarities=thresholds, reference=reference, progress=advance)
        measure, encoder = "cosine similarity", describe_encoder(analysis.model)
    else:
        hashes = {name: features.require_hashes() for name, features in datasets}
        bits = [int(threshold) for threshold in thresholds]
        curves = distance_curves(
            hashes, n_bits=hashing.n_bits, max_distances=bits, reference=reference, progress=advance
        )
        measure, encoder = f"Hamming distance of {hashing.hash_type}", ""
    own = tuple(analysis.thresholds.of(method, curve.dataset, curve.other) for curve in curves)
    return CurveView(curves, own, measure, encoder)


def _text(analysis: Analysis, method: str) -> OverlapText:
    return OverlapText(
        describe_criterion(analysis, method),
        describe_encoder(analysis.model) if method == "cosine" else "",
        {name: features.n_attempted for name, features in analysis.datasets.items()},
    )


def _draw_upset(analysis: Analysis, copies: Copies, results: Results) -> None:
    overlap = copies.overlap.overlap
    regions = tuple(
        SharedRegion(
            tuple(name for name in overlap.datasets if name in region),
            n_groups,
            sum(overlap.region(name, region - {name}) for name in region),
        )
        for region, n_groups in copies.overlap.pictures.items()
        if len(region) > 1
    )
    text = _text(analysis, VERIFIED_METHOD)
    path, made_of = CrossLayout(analysis.output).upset(VERIFIED_METHOD), fingerprint(drawn_by(), overlap, regions, text)
    results.write(path, made_of, partial(draw_upset, overlap, regions, text))
