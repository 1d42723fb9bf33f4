"""The summary of a run, for people or as JSON: what the datasets hold and share, how sure that is, where it is written.

It stays short whatever the number of datasets: combinations in which nothing was found are told in one line, and of
the curves of calibrated thresholds only the rows around the chosen one are shown; the files hold all of it.
"""

import json
import shlex
from itertools import combinations
from typing import TYPE_CHECKING, Any

import click

from overlens.cli.benchmark_summary import print_few_shot, print_scores, print_transfers
from overlens.cli.terminal import (
    add_row,
    new_table,
    print_failures,
    print_lines,
    print_table,
    run_with_progress,
    with_places,
)
from overlens.config import METHODS, RunConfig
from overlens.counted import counted
from overlens.layout import CrossLayout

if TYPE_CHECKING:
    from rich.table import Table

    from overlens.analysis import Analysis
    from overlens.calibration.choice import Calibration
    from overlens.copies import Copies
    from overlens.overlap import Overlap

MAX_DATASETS_WITH_EMPTY_ROWS = 3
"""Up to so many datasets the table of matches has a row for every combination, also for those without a match."""


def run_and_print(config: RunConfig, *, as_json: bool, verbose: bool) -> "Analysis":
    """Run the analysis with live progress, then print its summary."""
    analysis = run_with_progress(config, verbose=verbose)
    if as_json:
        click.echo(json.dumps(summarise(analysis), ensure_ascii=False, indent=2))
    else:
        print_summary(analysis)
    return analysis


def summarise(analysis: "Analysis") -> dict[str, Any]:
    """Return the numbers of a run as plain values: those of `overlap.json`, and how the run went."""
    return {
        **analysis.to_json(),
        "read": dict(analysis.read),
        "n_few_shot_splits": sum(map(len, analysis.few_shot)),
        "n_generalizations": len(analysis.transfers),
        "notices": list(analysis.notices),
        "seconds": {stage: round(seconds, 3) for stage, seconds in analysis.seconds.items()},
        "output": str(analysis.output),
    }


def print_summary(analysis: "Analysis") -> None:
    """Print what the datasets hold, what they share, and where the results are."""
    print_table(_datasets_table(analysis))
    print_failures({name: features.n_failed for name, features in analysis.datasets.items()}, analysis.output)
    _print_matches(analysis)
    if analysis.copies is not None:
        _print_evidence(analysis, analysis.copies)
    else:
        print_lines(["Nothing was verified: a match is a reason to look, and not yet a copy.", ""])
    print_lines(_recall_lines(analysis))
    _print_calibrations(analysis)
    print_few_shot(analysis)
    print_transfers(analysis)
    print_scores(analysis)
    print_lines([_model_line(analysis), *_file_lines(analysis)])


def _datasets_table(analysis: "Analysis") -> "Table":
    table = new_table("Datasets", "dataset", "attempted", "kept", "failed", "read in\nthis run", "labels")
    table.columns[-1].no_wrap = False  # Words, not a number: they go on in a new line before a name does.
    for name, features in analysis.datasets.items():
        read = analysis.read.get(name, 0)
        counts = (f"{n:,}" for n in (features.n_attempted, features.n_kept, features.n_failed, read))
        add_row(table, name, *counts, features.label_source)
    return table


def _print_matches(analysis: "Analysis") -> None:
    """Print how many images have a match: one row for each dataset within itself and in every other."""
    overlaps = analysis.overlaps()
    heads = [head for method in overlaps for head in _criterion(analysis, method)]
    table = new_table("Images with a match", "", "images", *heads)
    n_silent = 0
    for name in analysis.datasets:
        for other in sorted(analysis.datasets, key=lambda one: one != name):
            counts = [overlap.count(name, other) for overlap in overlaps.values()]
            if None in counts:
                continue  # What is taken as given is not compared with itself.
            if len(analysis.datasets) > MAX_DATASETS_WITH_EMPTY_ROWS and not any(counts):
                n_silent += 1
                continue
            where = f"within {name}" if other == name else f"{name} in {other}"
            cells = [cell for method in overlaps for cell in _match_cells(analysis, method, (name, other))]
            add_row(table, where, f"{analysis.datasets[name].n_kept:,}", *cells)
    if table.row_count:
        print_table(table)
    if n_silent:
        others = "the other " if table.row_count else ""
        print_lines([f"In {others}{counted(n_silent, 'combination')} of datasets no image has a match."])
    if reference := analysis.config.reference:
        print_lines([f"Within {reference} no match was looked for: it is the reference."])
    if n_silent or reference:
        print_lines([""])


def _criterion(analysis: "Analysis", method: str) -> list[str]:
    """Return the heads of the columns of a method; where each couple has its own threshold, that is a column, too."""
    hashing = analysis.config.hashing
    if method not in METHODS:
        return ["verified\ncopies"]
    name, sign, unit = "cosine", "≥", ""
    if method != "cosine":
        name, sign, unit = hashing.hash_type, "≤", f" of {hashing.n_bits} bits"
    if analysis.thresholds.is_automatic(method):
        return [f"{name}\n{sign}{unit}", "with a\nmatch"]
    return [f"{name}\n{sign} {analysis.thresholds.words(method)}{unit}"]


def _match_cells(analysis: "Analysis", method: str, couple: tuple[str, str]) -> list[str]:
    n_matched, n_images = analysis.overlaps()[method].count(*couple), analysis.datasets[couple[0]].n_kept
    cell = f"{n_matched:,} ({_percent(n_matched or 0, n_images)})"
    if method not in METHODS or not analysis.thresholds.is_automatic(method):
        return [cell]
    return [_threshold(method, analysis.thresholds.of(method, *couple)), cell]


def _threshold(method: str, chosen: float) -> str:
    return f"{chosen:.3f}" if method == "cosine" else f"{chosen:g}"


def _percent(n: int, n_all: int) -> str:
    """Return a share with one decimal; what is not none and not all does not look so."""
    share = n / n_all if n_all else 0.0
    if 0 < share < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= share < 1 else f"{share:.1%}"


def _print_evidence(analysis: "Analysis", copies: "Copies") -> None:
    """Print the judged pairs by kind, how much the datasets have in common, and what became of the candidates."""
    from overlens.verdicts import VERDICTS

    table = new_table("Pairs by evidence", "", *(verdict.replace("_", "\n") for verdict in VERDICTS), "Jaccard\nindex")
    silent = []
    for (name, other), counts in copies.overlap.pairs_by_verdict.items():
        where = f"within {name}" if name == other else f"{name} and {other}"
        # By way of a third dataset two may share pictures of which no pair was looked at.
        jaccard = copies.overlap.jaccard.get((name, other), 0.0)
        if jaccard or any(counts[verdict] for verdict in VERDICTS):
            shared = "" if name == other else f"{jaccard:.3f}" if jaccard >= 0.0005 or not jaccard else "<0.001"
            add_row(table, where, *(f"{counts[verdict]:,}" for verdict in VERDICTS), shared)
        else:
            silent.append(where)
    if table.row_count:
        print_table(table)
    if silent:
        print_lines([with_places("No pair of any kind", silent)])
    print_lines([*_verification_lines(analysis, copies), ""])


def _verification_lines(analysis: "Analysis", copies: "Copies") -> list[str]:
    found, cross = copies.overlap, CrossLayout(analysis.output)
    lines = _looked_at_lines(copies)
    if found.n_groups:
        images, groups = counted(found.n_grouped, "image"), counted(found.n_groups, "group")
        lines.append(f"The first four kinds are copies: {images} in {groups}, each of one picture.")
        if joined := _joined_by_groups(found.overlap):
            lines.append(with_places("Fewer pairs than verified images, as copies of one image join them", joined))
        if len(analysis.datasets) > 1:
            lines.append("Jaccard index: pictures that both have, as a share of those that either has.")
    else:
        lines.append("No copies were found.")
    if copies.decisions is not None:
        lines.append(copies.decisions.summary())
    if n_flat := sum(copies.n_low_information.values()):
        flat = counted(n_flat, "image is", "images are")
        lines.append(f"{flat} too flat to be told apart; only equal bytes or pixels count: {cross.low_information}")
    if n_capped := copies.judged.candidates.n_capped:
        limit = counted(analysis.config.verification.max_candidates, "candidate")
        capped = counted(n_capped, "image")
        lines.append(f"{capped} had more than {limit} (--max-candidates); the best were looked at.")
    return lines


def _joined_by_groups(overlap: "Overlap") -> list[str]:
    """Return where more images have a verified copy than pairs can tell: groups join the others."""
    names = overlap.datasets
    joined = [f"within {name}" for name in names if (overlap.within[name] or 0) > 2 * (overlap.pairs_within[name] or 0)]
    for name, other in combinations(names, 2):
        n_images = max(overlap.contained[name][other], overlap.contained[other][name])
        joined += [f"{name} and {other}"] * (n_images > overlap.pairs_across[name][other])
    return joined


def _looked_at_lines(copies: "Copies") -> list[str]:
    """Say how many pairs were compared by their pixels, and how many are listed without that."""
    from overlens.candidates.copies import MOST_FULL

    lines = ["No two different images are alike enough to be looked at."]
    if copies.n_looked_at:
        refuted = counted(copies.n_refuted, "was refuted and is", "were refuted and are")
        lines = [f"Pairs looked at: {copies.n_looked_at:,}; of these {refuted} not listed."]
    if copies.n_equal:
        lines.append(f"Pairs of equal bytes or pixels, which need no look: {copies.n_equal:,}.")
    if copies.n_inferred:
        lines.append(f"Pairs that follow from one of these, as their images equal its images: {copies.n_inferred:,}.")
    if copies.n_large_classes:
        large = f"{counted(copies.n_large_classes, 'class', 'classes')} of more than {MOST_FULL} equal images"
        lines.append(f"{large}: of each, one image is paired with all others, and no further pairs are listed.")
    return lines


def _recall_lines(analysis: "Analysis") -> list[str]:
    """Say what share of the identifiers that two datasets share was found, by each method."""
    lines = []
    for recall in analysis.recalls:
        if not recall.n_shared:
            continue
        shared = counted(recall.n_shared, "identifier")
        where = f"{recall.dataset_a} and {recall.dataset_b} share {shared} ({recall.source})"
        found = (f"{one.method} {one.n_found:,} ({one.share_found:.0%})" for one in recall.methods)
        lines.append(f"{where}. Found: {', '.join(found)}.")
    if any(recall.missed for recall in analysis.recalls):
        lines.append(f"Those that were not found: {CrossLayout(analysis.output).missed_identifiers}")
    return [*lines, ""] if lines else []


def _print_calibrations(analysis: "Analysis") -> None:
    """Print the calibrated thresholds, each between the rows of its curve that tell most."""
    calibrations = analysis.thresholds.calibrations
    if not calibrations:
        return
    columns = "threshold", "pairs", "verified\ncopies", "others", "at most", "edits\nfound", ""
    rate = f"{100 * calibrations[0].rate:.3g}%"
    table = new_table(f"Thresholds chosen so that at most {rate} of the pairs are no verified copies", "", *columns)
    for one in calibrations:
        for row, place in enumerate(one.telling_places()):
            add_row(table, f"{one.method}, {one.where}" if row == 0 else "", *_calibration_cells(one, place))
    print_table(table)
    whole = CrossLayout(analysis.output).calibration
    nothing = "No pair at all: nothing to choose from, so nothing is estimated, and the loosest of the range is used."
    print_lines([nothing] * (not all(one.has_choice for one in calibrations)))
    print_lines(
        [
            "Others: share of the pairs that are no verified copies; at most: its upper end with 95% confidence.",
            "Edits found: share of known edits (crops, mirrorings, ...) of your images that pass the threshold.",
            f"Whole curves, reasons, and edits one by one: {whole}",
            "",
        ]
    )


def _calibration_cells(one: "Calibration", place: int) -> list[str]:
    shares = one.false_discovery_rate(place), one.upper_bound(place), one.recall(place)
    texts = ["" if share is None else f"{share:.1%}" for share in shares]
    mark = "" if place != one.place else _mark(one)
    return [
        _threshold(one.method, one.thresholds[place]),
        f"{one.n_pairs[place]:,}",
        f"{one.n_verified[place]:,}",
        *texts,
        mark,
    ]


def _mark(one: "Calibration") -> str:
    """Say what became of the threshold that is used."""
    if not one.has_choice:
        return "no pair at all"
    return "chosen" if one.is_kept else "not kept"


def _model_line(analysis: "Analysis") -> str:
    model = analysis.model
    if model is None:
        return "No encoder was needed."
    not_clip = " It is not CLIP: its similarities mean something else." if model.is_clip is False else ""
    precision = "" if model.precision == "unknown" else f"{model.precision}, "
    return f"Encoder: {model.name} ({model.source}, {precision}{model.dim} dimensions).{not_clip}"


def _file_lines(analysis: "Analysis") -> list[str]:
    from overlens.venn_layout import MAX_SETS

    cross = CrossLayout(analysis.output)
    lines = [f"The whole story in one page: {cross.report}"] if analysis.config.report else []
    lines.append(f"Every number with what it rests on: {cross.overlap}")
    if analysis.copies is not None:
        lines.append(f"Every pair with its evidence: {cross.pairs}; the groups: {cross.groups.name}")
        lines.append(f"To judge doubtful pairs by eye: overlens review {shlex.quote(str(analysis.output))}")
    drawing = cross.venn if len(analysis.datasets) <= MAX_SETS else cross.matrix
    drawn = [drawing(method).name for method in analysis.overlaps()]
    return [*lines, f"Pictures and lists are beside it, such as {drawn[-1]}"]
