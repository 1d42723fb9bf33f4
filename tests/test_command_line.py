"""A configuration as a command: read back by the command line itself, it gives the same configuration."""

import shlex
from pathlib import Path

import pytest

from overlens.cli.compute import compute
from overlens.command_line import arguments_of, shell_command
from overlens.config import RunConfig
from overlens.run_options import config_from_options

CASES = {
    "usual": {},
    "paths": {"datasets": ["a=/some place/x", "b=it's.csv"], "root": Path("here"), "output": Path("a b")},
    "thresholds": {"cosine_threshold": 0.1 + 0.2, "hash_threshold": 3, "hash_size": 16, "hash_type": "dhash"},
    "calibrated": {"cosine_threshold": "auto", "hash_threshold": "auto", "false_discovery_rate": 0.025},
    "one method": {"method": "perceptual", "projections": "none", "no_verify": True},
    "one map": {"projections": "umap", "umap_neighbors": 7, "seed": 5, "tsne_perplexity": 12.5},
    "splits": {
        "generate_few_shot": True,
        "k_shots": (1, 5),
        "strategies": ("random", "episodic"),
        "n_query": 4,
        "n_validation": 0,
        "held_out": ("wikidata",),
        "disjoint_seeds": True,
        "split_formats": ("json", "links"),
        "seed": 3,
    },
    "benchmarks": {
        "evaluate_cross_dataset": True,
        "class_map": Path("map.csv"),
        "predictions": ("ArtDL=p.csv", "q.csv"),
        "reference": "ArtDL",
        "max_failures": 1 / 3,
    },
    "identifiers": {
        "identifier_pattern": "Q[0-9]+",
        "max_images": 10,
        "use_ground_truth": True,
        "workers": 2,
        "no_report": True,
    },
    "embeddings": {"from_embeddings": True, "method": "cosine", "clip_model": "hf:a/b"},
}


def parsed(arguments: tuple[str, ...]) -> RunConfig:
    """Return the configuration that the command line makes of some arguments."""
    options = dict(compute.make_context("compute", list(arguments)).params)
    del options["as_json"], options["verbose"]
    return config_from_options(options)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_the_arguments_give_the_configuration(options: dict[str, object]):
    config = config_from_options(options)
    assert parsed(arguments_of(config)) == config


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_a_shell_reads_the_command_as_the_arguments(options: dict[str, object]):
    config = config_from_options(options)
    assert shlex.split(shell_command(config)) == ["overlens", "compute", *arguments_of(config)]


def test_what_is_usual_is_not_named():
    assert arguments_of(config_from_options({"datasets": ["a", "b"]})) == ("--datasets", "a", "--datasets", "b")
