"""An option that was given and changes nothing is told, in the log and in the result; one at work is not."""

from pathlib import Path
from typing import Any

import pytest

import overlens
from overlens.planning import plan_images
from overlens.run_options import PLACES, config_from_options
from overlens.testing import FakeEncoder, write_pictures
from overlens.unused_options import tell_unused

NOT_VERIFIED = "--no-verify leaves verification out, so nothing is verified"
NO_IMAGES = "--from-embeddings reads no images"
NO_ENCODER = {"method": "perceptual", "projections": "none"}


def told(**options: Any) -> list[str]:
    return tell_unused(config_from_options(options))


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        pytest.param(
            {"no_verify": True, "keep": "first", "max_candidates": 3},
            [f"--max-candidates and --keep have no effect: {NOT_VERIFIED}"],
            id="no verify",
        ),
        pytest.param(
            {"from_embeddings": True, "keep": "first", "batch_size": 3, "workers": 2, "projections": "none"},
            [
                "--batch-size has no effect: --from-embeddings runs no encoder",
                f"--keep has no effect: {NO_IMAGES}, so nothing is verified",
                f"--workers has no effect: {NO_IMAGES}",
            ],
            id="from embeddings",
        ),
        pytest.param(
            {"from_embeddings": True, "scaled_decode": True},
            [f"--scaled-decode has no effect: {NO_IMAGES}"],
            id="scaled pixels of no images",
        ),
        pytest.param(
            {**NO_ENCODER, "clip_model": "offline", "precision": "fp32"},
            ["--clip-model and --precision have no effect: nothing that is asked for needs an encoder"],
            id="no encoder",
        ),
        pytest.param(
            {**NO_ENCODER, "cosine_threshold": 0.8},
            ["--cosine-threshold has no effect: no embeddings are compared"],
            id="no cosine",
        ),
        pytest.param(
            {"method": "cosine", "no_verify": True, "hash_type": "ahash", "hash_threshold": 3},
            ["--hash-type and --hash-threshold have no effect: no hashes are compared"],
            id="no hashes",
        ),
        pytest.param(
            {"method": "cosine", "hash_size": 16, "hash_type": "ahash", "hash_threshold": 3},
            [
                "--hash-size and --hash-threshold have no effect: --method cosine leaves hashes to verification, whose "
                "hashes have 64 bits"
            ],
            id="hashes of verification",
        ),
        pytest.param(
            {"projections": "tsne", "tsne_perplexity": 5, "umap_neighbors": 5},
            ["--umap-neighbors has no effect: --projections draws no umap"],
            id="one projection",
        ),
        pytest.param(
            {"projections": "none", "seed": 3},
            ["--seed has no effect: neither projections nor splits are drawn"],
            id="nothing drawn",
        ),
        pytest.param(
            {"k_shots": 3, "n_classes": 2, "n_seeds": 3},
            ["--k-shots and --n-classes have no effect: no few-shot splits are drawn without --generate-few-shot"],
            id="no splits",
        ),
        pytest.param(
            {"datasets": ["a=x"], "root": "y", "output": "z"},
            ["--root has no effect: every dataset has a path of its own, and results go to --output"],
            id="root",
        ),
    ],
)
def test_options_without_effect_are_told(options: dict[str, Any], sentences: list[str]):
    assert told(**options) == [f"options: {sentence}" for sentence in sentences]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"keep": "first", "max_candidates": 3, "clip_model": "offline", "seed": 3}, id="all at work"),
        pytest.param({"no_verify": True, "reference": "ArtDL"}, id="the reference is none of verification alone"),
        pytest.param({"method": "cosine", "hash_type": "ahash", "hash_threshold": 3}, id="hashes list look-alikes"),
        pytest.param({"method": "perceptual", "cosine_threshold": 0.8}, id="embeddings list look-alikes"),
        pytest.param({**NO_ENCODER, "generate_few_shot": True, "k_shots": 3, "seed": 1}, id="splits"),
        pytest.param({"from_embeddings": True, "workers": 2}, id="projections have threads"),
        pytest.param({"datasets": ["a=x", "b"], "root": "y", "output": "z"}, id="one dataset below the root"),
        pytest.param({"datasets": ["a=x"], "root": "y"}, id="results below the root"),
    ],
)
def test_options_at_work_are_not(options: dict[str, Any]):
    assert told(**options) == []


def test_every_option_that_is_told_is_one():
    everything = {
        **NO_ENCODER, "from_embeddings": True, "no_verify": True, "workers": 3, "seed": 3, "keep": "first", "root": "y",
        "max_candidates": 3, "clip_model": "offline", "weights": "w", "precision": "fp32", "batch_size": 3,
        "cosine_threshold": 0.8, "tsne_perplexity": 3, "umap_neighbors": 3, "datasets": ["a=x"], "output": "z",
    }  # fmt: skip
    words = " ".join(told(**everything))
    used = {"method", "projections", "from_embeddings", "no_verify", "datasets", "output"}
    assert all(f"--{option.replace('_', '-')} " in words for option in everything.keys() - used)
    assert everything.keys() - used <= PLACES.keys()


def test_an_encoder_object_takes_the_place_of_options_or_has_no_work():
    config = config_from_options({"clip_model": "offline", "batch_size": 3})
    assert tell_unused(config, has_object=True) == [
        "options: --clip-model has no effect: an encoder object is given instead"
    ]
    config = config_from_options(NO_ENCODER)
    assert tell_unused(config, has_object=True) == [
        "options: the encoder object has no effect: nothing that is asked for needs an encoder"
    ]


def test_a_run_tells_them_from_images_and_from_embeddings(tmp_path: Path):
    write_pictures(tmp_path / "x", range(4))
    options = {"output": tmp_path / "out", "projections": "none", "no_verify": True}
    result = overlens.analyze({"x": tmp_path / "x"}, encoder=FakeEncoder(), keep="first", **options)
    assert f"options: --keep has no effect: {NOT_VERIFIED}" in result.notices
    config = config_from_options({"datasets": [f"x={tmp_path / 'x'}"], **NO_ENCODER, "precision": "fp32"})
    assert any("--precision has no effect" in notice for notice in plan_images(config).notices)
    options |= {"root": tmp_path / "out", "from_embeddings": True, "hash_type": "ahash"}
    result = overlens.analyze(["x"], max_candidates=3, **options)
    assert any("--max-candidates has no effect" in notice for notice in result.notices)
    assert "hashes.json: it holds phash 8, so that is compared, and not ahash 8" in result.notices
