"""What a run prints of its benchmarks: splits and what they leave out, seed variance, transfer, and models' scores."""

from typing import TYPE_CHECKING

from overlens.cli.terminal import add_row, new_table, print_lines, print_table
from overlens.counted import counted
from overlens.layout import AnalysisLayout

if TYPE_CHECKING:
    from rich.table import Table

    from overlens.analysis import Analysis
    from overlens.fewshot.splits import Splits
    from overlens.fewshot.variance import SeedVariance

SHOWN_PROBE = "logistic"


def print_few_shot(analysis: "Analysis") -> None:
    """Print how many splits each dataset has, what is left out of them, and whether any copy crosses a border."""
    if not analysis.few_shot:
        return
    columns = (
        "splits",
        "sets of\nepisodes",
        "without\na class",
        "with other\nclasses",
        "held\nout",
        "copies",
        "crossing\ngroups",
    )
    table = new_table("Few-shot splits, images that are in none, and copies that cross a border", "", *columns)
    for splits in analysis.few_shot:
        out = splits.left_out
        counts = len(splits.drawn), len(splits.episodes), out.unlabelled, out.conflicting, out.held_out, out.copies
        crossing = "not known" if splits.n_crossing is None else f"{splits.n_crossing:,}"
        add_row(table, splits.dataset, *(f"{count:,}" for count in counts), crossing)
    print_table(table)
    print_lines(_few_shot_lines(analysis))
    if any(analysis.variances.values()):
        print_table(_variance_table(analysis))
        print_lines(
            [
                "± is half of a 95% interval over the seeds; n is the number of query images, summed over seeds.",
                "Seeds needed for ±1 point, and the other probe: seed_variance.json beside the splits.",
                "",
            ]
        )


def _few_shot_lines(analysis: "Analysis") -> list[str]:
    config, first = analysis.config.few_shot, analysis.few_shot[0]
    place = AnalysisLayout(analysis.output, first.dataset).few_shot
    lines = [f"Splits with their certificates: {place}{_others(analysis.few_shot)}"]
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
    shown = [one for measured in analysis.variances.values() for one in measured if one.probe == SHOWN_PROBE]
    ks = list(dict.fromkeys(one.k_shot for one in shown))
    n_seeds = max((len(one.seeds) for one in shown), default=0)
    title = f"Accuracy of a {SHOWN_PROBE} probe on the query images, {counted(n_seeds, 'seed')}"
    table = new_table(title, "", *(f"{k}-shot" for k in ks))
    places = dict.fromkeys((one.dataset, one.strategy) for one in shown)
    cells = {(one.dataset, one.strategy, one.k_shot): _variance_cell(one) for one in shown}
    for dataset, strategy in places:
        add_row(table, f"{dataset}, {strategy}", *(cells.get((dataset, strategy, k), "none") for k in ks))
    return table


def _variance_cell(one: "SeedVariance") -> str:
    spread = one.spread
    if spread is None:
        return "none"
    half = "" if spread.high is None else f" ± {100 * (spread.high - spread.mean):.1f}"
    return f"{100 * spread.mean:.1f}%{half} (n {one.n_query:,})"
