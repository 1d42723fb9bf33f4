"""Every option has one default, and every value that cannot work is refused in plain words."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from overlens.config import (
    DatasetSpec,
    EncoderConfig,
    FewShotConfig,
    HashConfig,
    IdentifierConfig,
    PairConfig,
    ProjectionConfig,
    RunConfig,
    VerifyConfig,
)
from overlens.errors import ConfigError
from overlens.run_options import config_from_options, default_options


def test_defaults_are_the_documented_ones():
    documented = {
        "datasets": ("ArtDL", "ICONCLASS", "wikidata"),
        "max_images": None,
        "clip_model": "ViT-B/32",
        "batch_size": 32,
        "method": "both",
        "cosine_threshold": 0.9,
        "hash_threshold": 5,
        "hash_size": 8,
        "hash_type": "phash",
        "projections": "both",
        "tsne_perplexity": 30,
        "umap_neighbors": 15,
        "use_ground_truth": False,
        "generate_few_shot": False,
        "k_shots": (1, 5, 10),
        "n_classes": 10,
        "n_seeds": 3,
        "evaluate_cross_dataset": False,
    }
    defaults = default_options()
    assert {name: defaults[name] for name in documented} == documented


def test_no_options_give_the_default_run():
    assert config_from_options({}) == RunConfig()


@pytest.mark.parametrize("no_verify", [False, True])
def test_pairs_are_verified_unless_told_not_to(no_verify: bool):
    assert config_from_options({"no_verify": no_verify}).verify is not no_verify


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cosine_threshold": 1.5}, "--cosine-threshold 1.5 is out of range"),
        ({"cosine_threshold": float("nan")}, "--cosine-threshold nan is out of range"),
        ({"hash_threshold": -1}, "allowed is 0 or more"),
        ({"cosine_threshold": "automatic"}, "is 'automatic'; it must be a number, -1 to 1, such as 0.9, or 'auto'"),
        ({"hash_threshold": "5"}, "is '5'; it must be a whole number, 0 or more, such as 5, or 'auto'"),
        ({"cosine_threshold": None}, "--cosine-threshold is None; it must be a number or 'auto'"),
        (
            {"cosine_threshold": "auto", "no_verify": True},
            "--cosine-threshold auto learns from verified pairs, and --no",
        ),
        ({"hash_threshold": "auto", "no_verify": True}, "or state a number, such as --hash-threshold 5"),
        ({"hash_threshold": "auto", "from_embeddings": True}, "--from-embeddings reads no image; state a number"),
        ({"cosine_threshold": "auto", "false_discovery_rate": 1}, "--false-discovery-rate 1 is out of range"),
        (
            {"cosine_threshold": "auto", "false_discovery_rate": "few"},
            "--false-discovery-rate is 'few'; it must be a ",
        ),
        (
            {"cosine_threshold": "auto", "method": "perceptual"},
            "--cosine-threshold auto has no effect with --method perceptual, which compares no embeddings; choose --me",
        ),
        (
            {"hash_threshold": "auto", "method": "cosine", "no_verify": True},
            "--hash-threshold auto has no effect with --method cosine, which compares no hashes; choose --method both ",
        ),
        (
            {"false_discovery_rate": "5%"},
            "0.05 has no effect on thresholds that are stated; add --cosine-threshold auto",
        ),
        ({"hash_size": 1}, "--hash-size 1 is too small"),
        ({"hash_type": "xhash"}, "allowed: phash, dhash, whash, ahash"),
        ({"method": "cosin"}, "allowed: cosine, perceptual, both"),
        ({"projections": "pca"}, "allowed: tsne, umap, both, none"),
        ({"batch_size": 0}, "--batch-size 0 is too small"),
        ({"max_images": 0}, "--max-images 0 is too small"),
        ({"cosine_threshold": "auto", "false_discovery_rate": 2}, "0.01 or 1%; write 2% for a percentage"),
        ({"max_failures": 1.2}, "0% to 100%, such as 5%; write 1.2% for a percentage"),
        ({"max_failures": "many"}, "--max-failures is 'many'; it must be a number, 0 to 1 or 0% to 100%, such as 5%"),
        ({"max_failures": "150%"}, "--max-failures is '150%'"),
        ({"max_candidates": "x"}, "--max-candidates is 'x'; it must be a whole number, 1 or more, such as 20"),
        ({"identifier_pattern": 3}, "--identifier-pattern is 3; it must be a regular expression"),
        ({"root": 3}, "--root is 3; it must be a"),
        ({"no_verify": "yes"}, "--no-verify is 'yes'; it must be True or False"),
        ({"k_shots": ("x",)}, "--k-shots is 'x'; it must be a whole number, 1 or more"),
        ({"datasets": "a"}, "datasets is 'a'; give a list of names"),
        ({"datasets": 3}, "datasets is 3; give a list of names"),
        ({"hash_threshold": 64}, "--hash-threshold 64 would match any two images"),
        ({"workers": -2}, "--workers -2 is too small"),
        ({"tsne_perplexity": 0.5}, "--tsne-perplexity 0.5 is out of range; allowed is 1 or more, such as 30"),
        ({"tsne_perplexity": float("inf")}, "--tsne-perplexity inf is out of range"),
        ({"cosine_threshold": "0.9"}, "--cosine-threshold is '0.9'; it must be a number"),
        ({"hash_threshold": 2.5}, "--hash-threshold is 2.5; it must be a whole number"),
        ({"workers": True}, "--workers is True; it must be a whole number"),
        ({"datasets": ("x", "X")}, "'x' and 'X' differ only in case"),
        ({"datasets": (3,)}, "dataset is 3; it must be text; write NAME or NAME=PATH"),
        ({"datasets": ("x",), "evaluate_cross_dataset": True}, "needs two datasets or more"),
        ({"umap_neighbors": 1}, "--umap-neighbors 1 is too small"),
        ({"generate_few_shot": True, "k_shots": (0,)}, "--k-shots 0 is too small"),
        ({"generate_few_shot": True, "n_classes": 0}, "--n-classes 0 is too small"),
        ({"datasets": ()}, "no dataset is named"),
        ({"datasets": ("a", "a")}, "'a' is named twice"),
        ({"datasets": ("a=",)}, "has no path after '='"),
        ({"datasets": ("a/b",)}, "holds a slash"),
        ({"datasets": ("cross",)}, "is reserved"),
        ({"datasets": ("",)}, "is empty"),
        ({"datasets": ("x" * 101,)}, "longer than 100 bytes"),
        ({"datasets": ("a", "b_c", "a_b", "c")}, "give the same file name a_b_c"),
        ({"colour": "red"}, "unknown option 'colour'"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_cannot_work_is_refused(options: dict, message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        config_from_options(options)


RECORDS = (
    RunConfig,
    DatasetSpec,
    EncoderConfig,
    HashConfig,
    PairConfig,
    ProjectionConfig,
    FewShotConfig,
    VerifyConfig,
    IdentifierConfig,
)
# Of each kind of field, what is nearly right.
NEARLY = {str: 3, bool: 1, int: 2.5, Path: "photos", float: "0.5"}


@pytest.mark.parametrize(
    ("record", "name", "kind"),
    [(record, field.name, field.type) for record in RECORDS for field in fields(record)],
    ids=lambda value: value.__name__ if value in RECORDS else str(value),
)
def test_a_value_of_a_wrong_type_is_refused_by_every_field(record: type, name: str, kind: object):
    required = {"name": "a"} if record is DatasetSpec else {}
    nearly = [value for right, value in NEARLY.items() if kind in (right, right | None)]
    for wrong in (object(), 2j, {"x": 1}, [object()], b"x", *nearly):
        with pytest.raises(ConfigError, match=re.escape(repr(wrong)[:40]) if not isinstance(wrong, list) else "object"):
            record(**{**required, name: wrong})


@pytest.mark.parametrize("name", default_options())
def test_a_value_of_a_wrong_type_is_refused_by_every_option(name: str):
    for wrong in (object(), 2j, {object(): 1}, [object()], np.zeros((2, 2))):
        with pytest.raises(ConfigError):
            config_from_options({name: wrong})


def test_numbers_of_numpy_become_those_of_python():
    given = {"max_images": np.int64(7), "cosine_threshold": np.float32(0.5), "k_shots": np.array([1, 2])}
    config = config_from_options({**given, "generate_few_shot": True})
    assert (config.max_images, config.pairs.min_similarity, config.few_shot.k_shots) == (7, 0.5, (1, 2))
    assert {type(config.max_images), type(config.pairs.min_similarity), type(config.few_shot.k_shots[0])} == {
        int,
        float,
    }


def test_a_dataset_may_have_a_path_with_an_equals_sign():
    assert DatasetSpec.parse("a=/data/x=1") == DatasetSpec("a", Path("/data/x=1"))


@pytest.mark.parametrize(
    ("options", "embeddings", "hashes"),
    [
        ({}, True, True),
        ({"method": "perceptual", "projections": "none"}, False, True),
        ({"method": "perceptual"}, True, True),
        ({"method": "cosine", "projections": "none"}, True, False),
        ({"method": "perceptual", "projections": "none", "generate_few_shot": True}, True, True),
        ({"method": "perceptual", "projections": "none", "evaluate_cross_dataset": True}, True, True),
    ],
    ids=["all", "perceptual only", "perceptual and pictures", "cosine only", "few-shot", "transfer"],
)
def test_features_are_computed_only_where_something_needs_them(options: dict, embeddings: bool, hashes: bool):
    config = config_from_options(options)
    assert (config.needs_embeddings, config.needs_hashes) == (embeddings, hashes)


def test_seeds_count_up_from_the_first():
    assert list(FewShotConfig(n_seeds=3, seed=5).seeds) == [5, 6, 7]


def test_one_k_need_not_be_a_list():
    assert config_from_options({"generate_few_shot": True, "k_shots": 5}).few_shot == FewShotConfig((5,))


def test_workers_bound_the_encoder_too():
    assert config_from_options({"workers": 3}).encoder.n_threads == 3


def test_a_share_may_be_written_as_a_percentage():
    assert config_from_options({"max_failures": "7%"}).max_failures == 0.07


@pytest.mark.parametrize(
    ("options", "automatic"),
    [
        ({}, ()),
        ({"cosine_threshold": "auto"}, ("cosine",)),
        ({"cosine_threshold": "auto", "hash_threshold": "auto"}, ("cosine", "perceptual")),
        ({"cosine_threshold": "auto", "method": "cosine"}, ("cosine",)),
        ({"hash_threshold": "auto", "method": "perceptual"}, ("perceptual",)),
    ],
    ids=["none", "cosine", "both", "cosine alone", "perceptual alone"],
)
def test_a_threshold_may_be_left_to_calibration(options: dict, automatic: tuple[str, ...]):
    assert config_from_options(options).pairs.automatic == automatic


def test_the_false_discovery_rate_may_be_written_as_a_percentage():
    options = {"hash_threshold": "auto", "false_discovery_rate": "5%"}
    assert config_from_options(options).pairs.false_discovery_rate == 0.05


def test_none_stands_for_no_projections():
    assert config_from_options({"projections": None}).projections.methods == ()
