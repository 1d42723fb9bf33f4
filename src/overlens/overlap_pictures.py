"""The pictures of the overlap: Venn diagram, matrix or UpSet of each method, and the overlap against its threshold."""

from collections.abc import Callable

from overlens.analysis import Analysis
from overlens.atomic import write_bytes, write_text
from overlens.copies import Copies
from overlens.curves import OverlapCurve, cosine_curves, curves_csv, distance_curves, rung_curves
from overlens.layout import CrossLayout
from overlens.overlap import VERIFIED_METHOD
from overlens.progress import Progress
from overlens.report.curve import draw_curves
from overlens.report.matrix import draw_overlap_matrix
from overlens.report.upset import draw_upset
from overlens.report.venn import draw_venn
from overlens.report.views import CurveView, OverlapText, SharedRegion, describe_encoder
from overlens.search.tiles import count_comparisons
from overlens.verdicts import VERIFIED

MAX_VENN_SETS = 3
_OWN_THRESHOLDS = (
    "Every two datasets have a threshold of their own, told in the summary; marked is the most generous of them, "
    "which is not that of every line."
)


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


def draw_overlaps(analysis: Analysis) -> None:
    """Draw the Venn diagram of up to three datasets, or the matrix of more, for each method."""
    layout = CrossLayout(analysis.output)
    for method, overlap in analysis.overlaps().items():
        text = _text(analysis, method)
        if len(overlap.datasets) <= MAX_VENN_SETS:
            write_bytes(layout.venn(method), draw_venn(overlap, text))
        else:
            write_bytes(layout.matrix(method), draw_overlap_matrix(overlap, text))
    if analysis.copies is not None and len(analysis.datasets) > MAX_VENN_SETS:
        _draw_upset(analysis, analysis.copies)


def draw_threshold_curves(analysis: Analysis, progress: Progress) -> None:
    """Count and draw how the overlap of each method depends on its threshold."""
    sizes = [features.n_kept for features in analysis.datasets.values()]
    n_compared = sum(
        count_comparisons(left, None if first == second else right)
        for first, left in enumerate(sizes)
        for second, right in enumerate(sizes[first:], first)
    )
    with progress.stage("Overlap against threshold", n_compared * len(analysis.matches), "comparisons") as stage:
        views = [_curves(analysis, method, stage.advance) for method in analysis.matches]
    if analysis.copies is not None:
        curves = rung_curves(analysis.copies.overlap.overlap.sizes, analysis.copies.images_by_rung())
        views.append(CurveView(_reported(analysis, curves), VERIFIED[-1], "rung of evidence"))
    layout = CrossLayout(analysis.output)
    for view in views:
        if view.curves:
            method = view.curves[0].method
            write_text(layout.curve(method, "csv"), curves_csv(view.curves))
            write_bytes(layout.curve(method, "png"), draw_curves(view))


def _curves(analysis: Analysis, method: str, advance: Callable[[int], None]) -> CurveView:
    datasets, hashing = analysis.datasets.items(), analysis.config.hashing
    limit = analysis.thresholds.most_generous(method)
    is_own = analysis.thresholds.is_automatic(method)
    notes, mark = ((_OWN_THRESHOLDS,), "most generous") if is_own else ((), "this run")
    if method == "cosine":
        rows = {name: features.require_embeddings() for name, features in datasets}
        curves = cosine_curves(rows, min_similarity=limit, progress=advance)
        return CurveView(
            _reported(analysis, curves), limit, "cosine similarity", describe_encoder(analysis.model), notes
        )
    hashes = {name: features.require_hashes() for name, features in datasets}
    found = distance_curves(hashes, n_bits=hashing.n_bits, max_distance_bits=int(limit), progress=advance)
    return CurveView(
        _reported(analysis, found), int(limit), f"Hamming distance of {hashing.hash_type}", "", notes, mark
    )


def _reported(analysis: Analysis, curves: tuple[OverlapCurve, ...]) -> tuple[OverlapCurve, ...]:
    return tuple(curve for curve in curves if analysis.thresholds.compares(curve.dataset, curve.other))


def _text(analysis: Analysis, method: str) -> OverlapText:
    return OverlapText(
        describe_criterion(analysis, method),
        describe_encoder(analysis.model) if method == "cosine" else "",
        {name: features.n_attempted for name, features in analysis.datasets.items()},
    )


def _draw_upset(analysis: Analysis, copies: Copies) -> None:
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
    picture = draw_upset(overlap, regions, _text(analysis, VERIFIED_METHOD))
    write_bytes(CrossLayout(analysis.output).upset(VERIFIED_METHOD), picture)
