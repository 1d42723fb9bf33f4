"""`overlens demo`: three small datasets with known overlap, the whole analysis, and what of the overlap it found."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from overlens.cli.summary import print_summary
from overlens.cli.terminal import add_row, new_table, print_lines, print_table, run_with_progress
from overlens.config import DatasetSpec, EncoderConfig, FewShotConfig, RunConfig

if TYPE_CHECKING:
    from overlens.analysis import Analysis
    from overlens.demo import Recovery


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("overlens-demo"))
@click.option("--verbose", is_flag=True, help="Log at DEBUG level; show tracebacks.")
def demo(folder: Path, verbose: bool) -> None:
    """Make three small datasets of real photographs in FOLDER, with known overlap, and run the whole analysis on them.

    Uses the offline encoder, so it needs no network and no GPU. FOLDER is overlens-demo by default.
    """
    from overlens.demo import DATASETS, make_pictures, measure_recovery, planted_pairs, verified_pairs, write_datasets

    pictures = make_pictures()
    write_datasets(pictures, folder)
    config = RunConfig(
        datasets=tuple(map(DatasetSpec, DATASETS)),
        root=folder,
        encoder=EncoderConfig(model="offline"),
        use_ground_truth=True,
        few_shot=FewShotConfig(k_shots=(1, 5), n_classes=3),
        evaluate_cross_dataset=True,
    )
    analysis = run_with_progress(config, verbose=verbose)
    print_summary(analysis)
    planted = planted_pairs(pictures)
    found = {method: _found_pairs(analysis, method) for method in analysis.matches}
    if analysis.copies is not None:
        found["verified"] = verified_pairs(analysis.copies, analysis.datasets)
    known = {frozenset((pair.first, pair.second)) for pair in planted}
    others = {method: len(pairs - known) for method, pairs in found.items()}
    _print_recovery(measure_recovery(planted, found), others)
    print_lines(_what_to_open(folder))


def _found_pairs(analysis: "Analysis", method: str) -> set[frozenset[tuple[str, str]]]:
    """Pairs of images of different datasets, each image as (dataset, name)."""
    return {
        frozenset(((pair_set.first, one), (pair_set.second, two)))
        for pair_set in analysis.matches[method].pair_sets
        if not pair_set.is_within
        for one, two, _ in analysis.pairs(method, pair_set.first, pair_set.second).rows
    }


def _print_recovery(lines: "list[Recovery]", others: dict[str, int]) -> None:
    table = new_table("Planted copies across datasets, and what was found of them", "copy", "planted", *others)
    for line in lines:
        add_row(table, line.edit, line.n_planted, *(line.n_found[method] for method in others))
    add_row(table, "found, but not planted", "", *others.values())
    print_table(table)
    print_lines(
        [
            "A perceptual hash sees pixels: it finds resized and recompressed copies and misses mirrored ones.",
            "An embedding sees subjects: it finds mirrored copies, and also pictures that are only alike.",
            "Verification lays every pair that either suggests over one another, and keeps what agrees in detail.",
            "What it finds of the grass was not planted, and is real: that photograph repeats a patch of itself.",
            "",
        ]
    )


def _program() -> str:
    """How this command is called here: by its name where it is on the path."""
    if shutil.which("overlens"):
        return "overlens"
    return "python -m overlens" if Path(sys.argv[0]).name == "__main__.py" else os.path.relpath(sys.argv[0])


def _what_to_open(folder: Path) -> list[str]:
    cross = folder / "dataset" / "cross"
    return [
        "Open this first:",
        f"  {cross / 'report.html'}   the whole story in one page",
        "or its pictures:",
        f"  {cross / 'venn_diagram_verified.png'}   what the three datasets share",
        f"  {cross / 'gallery_archive_duplicate_examples_verified.png'}   the copies themselves, the least sure first",
        f"  {cross / 'combined_tsne_by_dataset.html'}   every image on a plane; hover for names",
        f"Judge doubtful pairs by eye: {_program()} review {folder}",
        f"Run it again yourself: {_program()} compute --root {folder} --clip-model offline --use-ground-truth "
        "--datasets gallery --datasets archive --datasets web",
    ]
