"""Every option has one default, and every value that cannot work is refused in plain words."""

from pathlib import Path

import pytest

from overlens.config import DatasetSpec, FewShotConfig, RunConfig
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
        ({"cosine_threshold": "automatic"}, "is 'automatic'; it must be a number, or 'auto'"),
        ({"hash_threshold": "5"}, "is '5'; it must be a whole number, 0 or more, or 'auto'"),
        ({"cosine_threshold": None}, "--cosine-threshold is None; it must be a number or 'auto'"),
        (
            {"cosine_threshold": "auto", "no_verify": True},
            "--cosine-threshold auto learns from verified pairs, and --no",
        ),
        ({"hash_threshold": "auto", "no_verify": True}, "or state a number, such as --hash-threshold 5"),
        ({"hash_threshold": "auto", "from_embeddings": True}, "--from-embeddings reads no image; state a number"),
        ({"cosine_threshold": "auto", "false_discovery_rate": 1}, "--false-discovery-rate 1 is out of range"),
        ({"cosine_threshold": "auto", "false_discovery_rate": "few"}, "--false-discovery-rate 'few' is not a share"),
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
        ({"max_failures": 1.2}, "0% to 100%; write 1.2% for a percentage"),
        ({"max_failures": "many"}, "write it as 5% or 0.05"),
        ({"hash_threshold": 64}, "--hash-threshold 64 would match any two images"),
        ({"workers": -2}, "--workers -2 is too small"),
        ({"tsne_perplexity": 0.5}, "--tsne-perplexity 0.5 cannot work"),
        ({"tsne_perplexity": float("inf")}, "--tsne-perplexity inf cannot work"),
        ({"cosine_threshold": "0.9"}, "--cosine-threshold is '0.9'; it must be a number"),
        ({"hash_threshold": 2.5}, "--hash-threshold is 2.5; it must be a whole number"),
        ({"workers": True}, "--workers is True; it must be a whole number"),
        ({"datasets": ("x", "X")}, "'x' and 'X' differ only in case"),
        ({"datasets": (3,)}, "dataset 3 is no text"),
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
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        config_from_options(options)


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
