"""`overlens compute`: the documented command. Parses, builds the configuration, runs, prints; no numpy here."""

from pathlib import Path
from typing import Any

import click

from overlens.cli.options import REAL, WHOLE, Decorator, GroupedCommand, Number, Share, grouped_option
from overlens.cli.summary import run_and_print
from overlens.config import (
    AUTO,
    BOTH,
    HASH_TYPES,
    KEEP_RULES,
    METHODS,
    PRECISIONS,
    PROJECTIONS,
    SHORT_CLASSES,
    SPLIT_FORMATS,
    STRATEGIES,
)
from overlens.engines import ENGINES
from overlens.run_options import config_from_options, default_options

DATA, PAIRS, MODEL = "Datasets", "Pairs", "Encoder"
DRAW, BENCHMARK, RUN = "Projections", "Few-shot splits and generalization", "Run"

PATH = click.Path(path_type=Path)


def option(heading: str, name: str, *others: str, **settings: Any) -> Decorator:
    """Declare an option of the run; its default is the configuration's own."""
    default = default_options().get(name.removeprefix("--").replace("-", "_"))
    if isinstance(settings.get("type"), Share):
        default = f"{default:.0%}"
    return grouped_option(heading, name, *others, default=default, **settings)


@click.command(cls=GroupedCommand)
@option(
    DATA,
    "--datasets",
    multiple=True,
    metavar="NAME[=PATH]",
    help="Dataset to analyse; repeat it. NAME is in the documented layout under ROOT; NAME=PATH is any folder, "
    "or a manifest (.csv, .tsv, .parquet) with the columns path and label.",
)
@option(DATA, "--root", type=PATH, help="Folder that holds `dataset/`: read from, written to.")
@option(
    DATA,
    "--output",
    type=PATH,
    help="Write below this folder instead, in the same layout; not inside a folder of images.",
)
@option(DATA, "--max-images", type=WHOLE, metavar="N", help="Use at most the first N images of each.")
@option(DATA, "--max-failures", type=Share(), help="Stop when a larger share of a dataset fails.")
@option(DATA, "--use-ground-truth", is_flag=True, help="Take labels from 2_ground_truth.json.")
@option(
    DATA,
    "--from-embeddings",
    is_flag=True,
    help="Read no images: analyse the existing analysis/embeddings.npy and names.json.",
)
@option(
    DATA,
    "--scaled-decode",
    is_flag=True,
    help="Read JPEGs whose sides have 1024 pixels or more at 1/2, 1/4 or 1/8, never below 512: reading and hashing "
    "large ones takes a third less time. Of 83 above 2 megapixels 6% got another phash, of all bits 0.2%; embeddings "
    "kept cosine 0.998.",
)
@option(PAIRS, "--method", type=click.Choice([*METHODS, BOTH]), help="How to find duplicates.")
@option(
    PAIRS,
    "--cosine-threshold",
    type=Number(float, AUTO),
    help="Report pairs whose embeddings have at least this cosine similarity; auto chooses it for each two datasets.",
)
@option(
    PAIRS,
    "--hash-threshold",
    type=Number(int, AUTO),
    help="Report pairs whose hashes differ in at most so many bits; auto chooses it for each two datasets.",
)
@option(
    PAIRS,
    "--false-discovery-rate",
    type=Share(),
    help="With auto: at most this share of the reported pairs may be no verified copies.",
)
@option(PAIRS, "--hash-size", type=WHOLE, help="Side of the perceptual hash: 8 gives 64 bits.")
@option(PAIRS, "--hash-type", type=click.Choice(HASH_TYPES), help="Perceptual hash.")
@option(
    PAIRS,
    "--identifier-column",
    metavar="NAME",
    help="Column of manifests that holds identifiers: report how many of those that two datasets share are found.",
)
@option(
    PAIRS,
    "--identifier-pattern",
    metavar="REGEX",
    help="What identifies an image in that column or in its name, such as 'Q[0-9]+'. Without either, names do that "
    "cannot be equal by chance.",
)
@option(
    PAIRS,
    "--no-verify",
    is_flag=True,
    help="Do not verify which pairs are copies, and keep no evidence for it.",
)
@option(
    PAIRS,
    "--max-candidates",
    type=WHOLE,
    metavar="N",
    help="Candidates for verification that an image keeps.",
)
@option(PAIRS, "--keep", type=click.Choice(KEEP_RULES), help="Which image of a group of copies represents it.")
@option(
    PAIRS,
    "--reference",
    metavar="NAME",
    help="Dataset that is taken as given: its images represent their groups, and pairs inside it are not reported.",
)
@option(
    MODEL,
    "--clip-model",
    help="ViT-B/32, ViT-B/16 or ViT-L/14; hf:ORG/NAME; a path to an ONNX file or model folder; or offline.",
)
@option(MODEL, "--weights", type=PATH, help="Local weights of the model, instead of the model hub's.")
@option(
    MODEL,
    "--precision",
    type=click.Choice(PRECISIONS),
    help="auto is bf16 where the processor has it.",
)
@option(MODEL, "--batch-size", type=WHOLE, help="Images in one pass through the encoder.")
@option(
    DRAW,
    "--projections",
    type=click.Choice([*PROJECTIONS, BOTH, "none"]),
    help="Two-dimensional pictures of the embeddings.",
)
@option(DRAW, "--tsne-perplexity", type=REAL, help="Perplexity of t-SNE.")
@option(DRAW, "--umap-neighbors", type=WHOLE, help="Neighbours in UMAP.")
@option(
    BENCHMARK,
    "--generate-few-shot",
    is_flag=True,
    help="Write few-shot splits in which no verified copy crosses from one part to another.",
)
@option(BENCHMARK, "--k-shots", type=WHOLE, multiple=True, help="Support images of each class; repeat it.")
@option(BENCHMARK, "--n-classes", type=WHOLE, help="Classes in a split, or in an episode.")
@option(BENCHMARK, "--n-seeds", type=WHOLE, help="Splits of each kind, one a seed.")
@option(
    BENCHMARK,
    "--strategies",
    type=click.Choice(STRATEGIES),
    multiple=True,
    help="How classes are chosen; episodic draws them anew for every episode. Repeat it.",
)
@option(
    BENCHMARK,
    "--n-query",
    type=Number(int, AUTO),
    help="Query images of each class; auto takes up to 15 and at least 1, a number is exact.",
)
@option(
    BENCHMARK,
    "--n-validation",
    type=Number(int, AUTO),
    help="Validation images of each class; auto takes up to 5, in episodes none; a number is exact.",
)
@option(BENCHMARK, "--n-episodes", type=WHOLE, help="Episodes of each k and seed.")
@option(
    BENCHMARK,
    "--short-classes",
    type=click.Choice(SHORT_CLASSES),
    help="A class with too few pictures takes no part, takes part with fewer, or stops the run before a split is "
    "written.",
)
@option(
    BENCHMARK,
    "--held-out",
    metavar="NAME",
    multiple=True,
    help="Dataset that must share no picture with any split, and gets no splits itself; repeat it.",
)
@option(BENCHMARK, "--allow-leaks", is_flag=True, help="Draw images as if none had copies; certificates count them.")
@option(
    BENCHMARK,
    "--disjoint-seeds",
    is_flag=True,
    help="Deal the pictures of each class to the seeds, so that the splits of two seeds share none.",
)
@option(
    BENCHMARK,
    "--split-formats",
    type=click.Choice(SPLIT_FORMATS),
    multiple=True,
    help="How splits are written beside JSON and NumPy files, which always are; links are class folders. Repeat it.",
)
@option(
    BENCHMARK,
    "--evaluate-cross-dataset",
    is_flag=True,
    help="Measure how classes carry over between datasets, with and without the images they share.",
)
@option(
    BENCHMARK,
    "--class-map",
    type=PATH,
    metavar="FILE",
    help="CSV with the columns class, name and, if wanted, dataset: classes with one name are one.",
)
@option(
    BENCHMARK,
    "--predictions",
    multiple=True,
    metavar="[NAME=]FILE",
    help="CSV of one model with the columns image, predicted and, if wanted, score: accuracy on all images of a "
    "dataset, and on those that no other dataset shares. Repeat it for several models.",
)
@option(RUN, "--seed", type=WHOLE, help="Seed of projections, and first seed of the splits.")
@option(RUN, "--workers", type=WHOLE, help="Threads that decode, and that the encoder uses; 0 is one a core.")
@option(RUN, "--engine", type=click.Choice(ENGINES.names()), help="Where the work runs.")
@option(RUN, "--no-report", is_flag=True, help="Do not end with the report, dataset/cross/report.html.")
@option(RUN, "--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@option(RUN, "--verbose", is_flag=True, help="Log at DEBUG level; show tracebacks.")
def compute(as_json: bool, verbose: bool, **options: Any) -> None:
    """Find what image datasets share, and write every result.

    Embeddings and perceptual hashes of each image are kept below the output folder, so that a second run reads only
    what is new. Results of one dataset go to dataset/NAME-data/analysis/, results across datasets to dataset/cross/.
    """
    run_and_print(config_from_options(options), as_json=as_json, verbose=verbose)
