"""What a run prints of its benchmarks: splits and what they leave out, seed variance, transfer, and models' scores."""

import textwrap
from typing import TYPE_CHECKING

from overlens.cli.terminal import PLAIN_WIDTH, add_row, new_table, print_lines, print_table, with_places
from overlens.counted import counted
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.tables import DIGITS

if TYPE_CHECKING:
    from rich.table import Table

    from overlens.adjusted_scores import ModelScore
    from overlens.analysis import Analysis
    from overlens.fewshot.splits import Splits
    from overlens.fewshot.variance import SeedVariance
    from overlens.transfer.figures import Estimate, Figure, PairTransfer
    from overlens.transfer.matrix import TransferMatrix

SHOWN_PROBE = "logistic"
CENTROID_NOTE = (
    "Centroid similarity: cosine of the mean embeddings that a class has in both datasets; with other classes: of "
    "its mean in the second and those of the other classes in the first. Nearest centroid: share of the images of "
    "the second that are nearer to the mean of their own class in the first than to that of any other."
)
ACCURACY_NOTE = (
    f"Accuracy of a {SHOWN_PROBE} probe on the images of the columns, each class counting the same; n is how many "
    "were tested. Between two datasets the classes are those that both have; on the diagonal they are all those "
    "of the dataset, by cross-validation."
)
ONE_CLASS = "1 class"  # stands for an accuracy that nothing could lower
MOST_COLUMNS = 6
WIDEST_HALF = 0.5  # a wider interval of a share tells nothing, whatever its number


def print_few_shot(analysis: "Analysis") -> None:
    """Print how many splits each dataset has, what is left out of them, and whether any copy crosses a border."""
    if not analysis.few_shot:
        return
    print_table(_splits_table(analysis))
    print_lines(_few_shot_lines(analysis))
    if _shown_variances(analysis):
        print_table(_variance_table(analysis))
        print_lines(
            [
                "± is half of a 95% interval over the seeds; n is the number of query images, summed over seeds.",
                "Seeds needed for ±1 point, and the other probe: seed_variance.json beside the splits.",
                "",
            ]
        )


def _splits_table(analysis: "Analysis") -> "Table":
    config = analysis.config.few_shot
    holds_out = config is not None and bool(config.held_out)
    left_out = "without\na class", "with other\nclasses", *(("held\nout",) if holds_out else ()), "copies"
    columns = "splits", "sets of\nepisodes", *left_out, "crossing\ngroups"
    table = new_table("Few-shot splits, images that are in none, and copies that cross a border", "", *columns)
    for splits in analysis.few_shot:
        out = splits.left_out
        held_out = (out.held_out,) if holds_out else ()
        counts = len(splits.drawn), len(splits.episodes), out.unlabelled, out.conflicting, *held_out, out.copies
        has_any = bool(splits.drawn or splits.episodes)
        crossing = "not known" if splits.n_crossing is None else f"{splits.n_crossing:,}" if has_any else "no splits"
        add_row(table, splits.dataset, *(f"{count:,}" for count in counts), crossing)
    return table


def _few_shot_lines(analysis: "Analysis") -> list[str]:
    config = analysis.config.few_shot
    drawn = tuple(one for one in analysis.few_shot if one.drawn or one.episodes)
    if not drawn:
        return ["No split could be drawn; the notes above say why.", ""]
    place = AnalysisLayout(analysis.output, drawn[0].dataset).few_shot
    lines = [f"Splits with their certificates: {place}{_others(drawn)}"]
    if config is not None and config.held_out:
        lines.append(f"Held out, so without splits: {', '.join(config.held_out)}.")
    if not analysis.config.from_embeddings:
        lines.append("Whether files still give the same splits: overlens check --splits FOLDER/splits.lock")
    return [*lines, ""]


def _others(few_shot: "tuple[Splits, ...]") -> str:
    n = len(few_shot) - 1
    return f" and in {counted(n, 'other folder', 'other folders')}" if n else ""


def _variance_table(analysis: "Analysis") -> "Table":
    """One row a dataset and strategy, one column a k: the mean accuracy of one probe, and how sure it is."""
    shown = _shown_variances(analysis)
    ks = list(dict.fromkeys(one.k_shot for one in shown))
    n_seeds = max((len(one.seeds) for one in shown), default=0)
    title = f"Accuracy of a {SHOWN_PROBE} probe on the query images, {counted(n_seeds, 'seed')}"
    table = new_table(title, "", *(f"{k}-shot" for k in ks))
    places = dict.fromkeys((one.dataset, one.strategy) for one in shown)
    cells = {(one.dataset, one.strategy, one.k_shot): _variance_cell(one) for one in shown}
    for dataset, strategy in places:
        add_row(table, f"{dataset}, {strategy}", *(cells.get((dataset, strategy, k), "none") for k in ks))
    return table


def _shown_variances(analysis: "Analysis") -> "list[SeedVariance]":
    """Return what is known of one probe; nothing where no split could be measured."""
    shown = [one for measured in analysis.variances.values() for one in measured if one.probe == SHOWN_PROBE]
    return shown if any(one.spread is not None for one in shown) else []


def _variance_cell(one: "SeedVariance") -> str:
    spread = one.spread
    if spread is None:
        return "none"
    half = "" if spread.high is None else f" ± {_half_width(spread.high - spread.mean)}"
    return f"{100 * spread.mean:.1f}%{half} (n {one.n_query:,})"


def _half_width(share: float) -> str:
    return f"{100 * share:.1f}" if share <= WIDEST_HALF else f"over {100 * WIDEST_HALF:.0f}"


def print_transfers(analysis: "Analysis") -> None:
    """Print how classes carry over, what of it is leakage, and which copies have other classes."""
    if any(one.classes for one in analysis.transfers):
        print_table(_transfer_table(analysis))
        print_lines([*textwrap.wrap(CENTROID_NOTE, PLAIN_WIDTH), ""])
    # What two datasets lack they lack in both directions: once is enough.
    apart = (sorted((one.source.dataset, one.target.dataset)) for one in analysis.transfers if not one.classes)
    places = list(dict.fromkeys(map(" and ".join, apart)))
    print_lines([with_places("Generalization: no common class", places), ""] if places else [])
    if analysis.transfer_matrix is not None:
        _print_matrix(analysis, analysis.transfer_matrix)
    _print_labels(analysis)


def _print_matrix(analysis: "Analysis", matrix: "TransferMatrix") -> None:
    pairs = [one for one in matrix.pairs if one.source != one.target and one.n_common_classes]
    if pairs and len(matrix.datasets) <= MOST_COLUMNS:
        print_table(_accuracy_table(matrix))
        print_lines(textwrap.wrap(ACCURACY_NOTE, PLAIN_WIDTH))
    if pairs:
        place = CrossLayout(analysis.output).transfer_matrix("csv")
        print_lines([f"All figures, also without the images that two datasets share: {place}", ""])
        _print_leaks(analysis, pairs)


def _transfer_table(analysis: "Analysis") -> "Table":
    columns = "common\nclasses", "images", "centroid\nsimilarity", "with other\nclasses", "nearest\ncentroid"
    table = new_table("Generalization, mean over the common classes", "", *columns)
    for transfer in (one for one in analysis.transfers if one.classes):
        mean = transfer.class_average
        figures = (mean.centroid_similarity, mean.other_similarity, mean.accuracy)
        cells = ["none" if figure is None else f"{figure:.3f}" for figure in figures]
        if transfer.source.n_classes == 1:
            cells[-1] = ONE_CLASS
        where = f"{transfer.source.dataset} to {transfer.target.dataset}"
        add_row(table, where, len(transfer.classes), f"{transfer.n_evaluated:,}", *cells)
    return table


def _accuracy_table(matrix: "TransferMatrix") -> "Table":
    table = new_table("From the rows to the columns", "", *matrix.datasets)
    for source in matrix.datasets:
        cells = (_accuracy_cell(matrix.pair(source, target)) for target in matrix.datasets)
        add_row(table, f"from {source}", *cells)
    return table


def _accuracy_cell(pair: "PairTransfer") -> str:
    kind = "in_domain" if pair.source == pair.target else "accuracy"
    every = pair.figure(f"{kind}_{SHOWN_PROBE}").every
    return f"{_share(every)} (n {every.n_test:,})" if _tells(every) else _share(every)


def _print_leaks(analysis: "Analysis", pairs: "list[PairTransfer]") -> None:
    """Print each pair of datasets that share images with both figures, and what the difference is."""
    leaking = [one for one in pairs if one.removed_target is not None and one.removed_target.n_removed]
    if analysis.copies is None and pairs:
        print_lines(["What of it is leakage is not known, as nothing was verified.", ""])
    if not leaking:
        return
    columns = "shared\nimages", "classes", "all", "without\nthem", "difference", "95% interval"
    table = new_table(f"What shared images add, {SHOWN_PROBE} probe", "", *columns)
    for one in leaking:
        assert one.removed_target is not None
        figure = one.figure(f"accuracy_{SHOWN_PROBE}")
        n_shared = f"{one.removed_target.n_removed:,} of {one.removed_target.n_images:,}"
        add_row(table, f"{one.source} to {one.target}", n_shared, *_leak_cells(figure))
    print_table(table)


def _leak_cells(figure: "Figure") -> tuple[str, ...]:
    every, without, gap = figure.every, figure.without, figure.difference
    rest = "" if without is None or not _tells(without) else f" (n {without.n_test:,})"
    cells = _classes(figure), _share(every), _share(without) + rest
    if gap is None or gap.value is None or not (_tells(every) and _tells(without)):
        return *cells, "none", ""
    ends = "" if gap.lower is None or gap.upper is None else f"{100 * gap.lower:+.1f} to {100 * gap.upper:+.1f}"
    return *cells, _points(gap.value), ends


def _points(difference: float) -> str:
    """Return a difference in points, rounded as the files and the report round it."""
    return f"{100 * round(difference, DIGITS):+.1f} points"


def _classes(figure: "Figure") -> str:
    """Return over how many classes a figure is, and over how many of them without shared images if these are fewer."""
    n_every = figure.every.n_classes
    n_without = n_every if figure.without is None else figure.without.n_classes
    return f"{n_every}" if n_every == n_without else f"{n_every} -> {n_without}"


def _tells(estimate: "Estimate | None") -> bool:
    """Whether a share of right answers says anything: where there is one class, every answer is right."""
    return estimate is not None and estimate.value is not None and estimate.n_classes != 1


def _share(estimate: "Estimate | None") -> str:
    if estimate is None or estimate.value is None:
        return "none"
    return f"{estimate.value:.1%}" if _tells(estimate) else ONE_CLASS


def _print_labels(analysis: "Analysis") -> None:
    """Say how often copies have one class in both datasets, and where those stand that have not."""
    if analysis.labels is None:
        return
    lines = []
    for bridge in analysis.labels.bridges:
        if bridge.n_with_both_labels:
            pictures = counted(bridge.n_with_both_labels, "picture")
            agreeing = f"{bridge.n_agreeing:,} {'agrees' if bridge.n_agreeing == 1 else 'agree'}"
            lines.append(f"{bridge.dataset_a} and {bridge.dataset_b} share {pictures} with classes; {agreeing}.")
    layout = CrossLayout(analysis.output)
    if lines:
        lines.append(f"Which class there is which class here: {layout.label_bridge('csv')}")
    if n := len(analysis.labels.conflicts):
        conflicts = counted(n, "pair of copies has", "pairs of copies have")
        lines.append(f"{conflicts} classes that do not match: {layout.label_conflicts}")
    elif analysis.copies is not None and len(analysis.copies.groups):
        lines.append("No copies have classes that do not match.")
    print_lines([*lines, ""] if lines else [])


def print_scores(analysis: "Analysis") -> None:
    """Print what models score on all images and on those that no other dataset holds, and whether ranks change."""
    if analysis.scores is None:
        return
    from overlens.adjusted_scores import ANY

    shown = [one for one in analysis.scores.scores if one.other == ANY]
    columns = "all", "n", "leaked", "n", "clean", "n", "all - clean", "95% interval"
    table = new_table("Accuracy of models on all images, and on those that no other dataset holds", "", *columns)
    for one in shown:
        add_row(table, f"{one.dataset}, {one.model}", *_score_cells(one))
    print_table(table)
    lines = []
    for ranking in analysis.scores.rankings:
        if ranking.other == ANY and ranking.changes is not None:
            swapped = "; ".join(f"{swap.ahead} and {swap.behind}" for swap in ranking.swaps)
            change = f"changes on clean images: {swapped}" if ranking.changes else "is the same on clean images"
            images = counted(ranking.n, "image")
            lines.append(f"The order of the models of {ranking.dataset} {change} (over {images} that all predicted).")
    place = CrossLayout(analysis.output).prediction_scores("json")
    print_lines([*lines, f"By each other dataset, class-balanced, and with ranks: {place}", ""])


def _score_cells(one: "ModelScore") -> tuple[str, ...]:
    parts = one.on_all, one.on_leaked, one.on_clean
    cells: list[str] = []
    for part in parts:
        cells += ("none", "0") if part is None else (f"{part.accuracy:.1%}", f"{part.n:,}")
    gap = one.difference
    if gap is None:
        return (*cells, "none", "")
    return (*cells, _points(gap.value), f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f}")
