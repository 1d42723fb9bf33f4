"""Every option reaches its own field of the configuration, and no other."""

import re
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from overlens.config import FewShotConfig
from overlens.errors import ConfigError
from overlens.run_options import PLACES, config_from_options, default_options, parse_share

# For every option something other than its default, and what else it takes for it to be allowed.
OTHERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "root": (Path("elsewhere"), {}),
    "output": (Path("out"), {}),
    "max_images": (7, {}),
    "max_failures": (0.25, {}),
    "use_ground_truth": (True, {}),
    "from_embeddings": (True, {}),
    "scaled_decode": (True, {}),
    "cosine_threshold": (0.75, {}),
    "hash_threshold": (3, {}),
    "false_discovery_rate": (0.125, {"cosine_threshold": "auto"}),
    "hash_size": (16, {}),
    "hash_type": ("dhash", {}),
    "clip_model": ("ViT-B/16", {}),
    "weights": (Path("model.onnx"), {}),
    "precision": ("fp32", {}),
    "batch_size": (4, {}),
    "tsne_perplexity": (12.5, {}),
    "umap_neighbors": (6, {}),
    "evaluate_cross_dataset": (True, {}),
    "class_map": (Path("classes.csv"), {}),
    "identifier_column": ("wikidata", {}),
    "identifier_pattern": ("Q[0-9]+", {}),
    "max_candidates": (5, {}),
    "keep": ("first", {}),
    "reference": ("wikidata", {}),
    "seed": (9, {}),
    "workers": (3, {}),
    "engine": ("mine", {}),
}


def fields_of(options: dict[str, Any]) -> dict[str, Any]:
    config = config_from_options(options)
    return {option: attrgetter(place)(config) for option, place in PLACES.items()}


@pytest.mark.parametrize("option", PLACES)
def test_an_option_sets_its_own_field_and_no_other(option: str):
    value, needed = OTHERS[option]
    assert value != default_options()[option]
    before = fields_of(needed if option != "false_discovery_rate" else {**needed, option: 0.5})
    after = fields_of({**needed, option: value})
    assert after[option] == value
    assert {other for other in PLACES if after[other] != before[other]} == {option}


def test_every_option_given_with_its_default_is_the_default_run():
    assert config_from_options(default_options()) == config_from_options({})


def test_an_automatic_threshold_is_none_and_leaves_the_other_as_it_is():
    pairs = config_from_options({"hash_threshold": "auto"}).pairs
    assert (pairs.max_distance_bits, pairs.min_similarity) == (None, default_options()["cosine_threshold"])


@pytest.mark.parametrize(
    ("written", "read"),
    [("5%", 0.05), (" 5 % ", 0.05), ("0.05", 0.05), ("100%", 1.0), (0.3, 0.3), ("101%", "101%"), ("-1%", "-1%")],
    ids=str,
)
def test_a_share_is_read_as_written_and_what_is_none_is_left_to_be_refused(written: object, read: object):
    assert parse_share(written) == read


def test_the_words_for_many_mean_all_of_them_and_none():
    both, none = config_from_options({"projections": "both"}), config_from_options({"projections": "none"})
    assert (both.projections.methods, none.projections.methods) == (("tsne", "umap"), ())
    assert both.pairs.methods == ("cosine", "perceptual")


def test_few_shot_options_set_the_fields_of_splits():
    given = {
        "strategies": ("episodic",),
        "n_query": 3,
        "n_validation": 0,
        "n_episodes": 50,
        "short_classes": "fewer",
        "held_out": "wikidata",
        "allow_leaks": True,
        "disjoint_seeds": True,
        "split_formats": ["json", "links"],
    }
    config = config_from_options({"generate_few_shot": True, **given}).few_shot
    assert config == FewShotConfig(
        strategies=("episodic",),
        n_query=3,
        n_validation=0,
        n_episodes=50,
        short_classes="fewer",
        held_out=("wikidata",),
        allow_leaks=True,
        disjoint_seeds=True,
        formats=("json", "links"),
    )
    assert set(config_from_options(given).ignored) == set(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"held_out": ("Louvre",)}, "--held-out 'Louvre' is not known; allowed: ArtDL, ICONCLASS, wikidata"),
        ({"held_out": ("ArtDL", "ICONCLASS", "wikidata")}, "--held-out names every dataset"),
        (
            {"held_out": ("ArtDL=art/images",)},
            "--held-out 'ArtDL=art/images' has a path, and takes the name alone of one of the datasets (ArtDL, "
            "ICONCLASS, wikidata); write --held-out ArtDL",
        ),
        ({"held_out": ("new=small",)}, "; give --datasets new=small, and --held-out new"),
        ({"held_out": ("ArtDL",), "no_verify": True}, "--held-out goes by verified copies, and --no-verify"),
        ({"n_query": 0}, "--n-query 0 is too small; allowed is 1 or more, such as 15, or 'auto'"),
        ({"n_validation": -1}, "--n-validation -1 is too small"),
        ({"short_classes": "drop"}, "--short-classes 'drop' is not known; allowed: skip, fewer, error"),
        ({"strategies": ()}, "--strategies names none"),
        ({"split_formats": "pickle"}, "--split-formats 'pickle' is not known; allowed: json, csv, coop, links"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_splits_that_cannot_be_drawn_are_refused(given: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=re.escape(words)):
        config_from_options({"generate_few_shot": True, **given})


def test_predictions_are_files_or_files_of_a_dataset():
    config = config_from_options({"predictions": ["wikidata=clip.csv", "b=c.csv", Path("resnet.csv")]})
    assert config.predictions == ("wikidata=clip.csv", "b=c.csv", "resnet.csv")
    with pytest.raises(ConfigError, match="--predictions goes by verified copies, and --from-embeddings"):
        config_from_options({"predictions": "a.csv", "from_embeddings": True})
    with pytest.raises(ConfigError, match="--predictions needs a dataset that may overlap"):
        config_from_options({"predictions": "a.csv", "datasets": ["wikidata"]})
