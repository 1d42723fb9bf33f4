"""What our own exports say of themselves: it is held against the files, and names the encoder and the hash."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overlens.config import DatasetSpec, HashConfig
from overlens.errors import DatasetError
from overlens.layout import AnalysisLayout
from overlens.records import ModelInfo
from overlens.sources import Published, load_published

MODEL = ModelInfo("offline", "a package", "1.0", "ab" * 32, "fp32", 2, "224 x 224", False)
HASHES = {"hash_type": "dhash", "hash_size": 8, "recipe": "ImageHash 4.3.2"}
NAMES = ["a", "b"]


@pytest.fixture
def layout(tmp_path: Path) -> AnalysisLayout:
    """Exports of the dataset X: two rows of embeddings and of hashes, not yet described."""
    layout = AnalysisLayout(tmp_path, "X")
    layout.folder.mkdir(parents=True)
    layout.names.write_text(json.dumps(NAMES) + "\n")
    np.save(layout.embeddings, np.eye(2, dtype=np.float32))
    layout.hashes.write_text(json.dumps(["0" * 16, "f" * 16]))
    return layout


def describe(layout: AnalysisLayout, **other: object) -> None:
    content: dict[str, object] = {
        "n_images": 2,
        "images_sha256": "cd" * 32,
        "names_sha256": hashlib.sha256(layout.names.read_bytes()).hexdigest(),
        "embeddings": asdict(MODEL),
        "hashes": HASHES,
    }
    layout.description.write_text(json.dumps({**content, **other}))


def load(layout: AnalysisLayout, **options: Any) -> Published:
    return load_published(DatasetSpec("X"), layout.root, **options)


def test_the_encoder_and_the_hash_are_known(layout):
    describe(layout)
    published = load(layout)
    assert published.model == MODEL
    assert published.hashing == HashConfig("dhash", 8)
    assert published.notices == ()


def test_data_from_elsewhere_says_nothing(layout):
    published = load(layout)
    assert published.features.embeddings is not None and published.features.hashes is not None
    assert published.model is None
    assert published.hashing is None


def test_a_cap_does_not_disturb_it(layout):
    describe(layout)
    published = load(layout, max_images=1)
    assert published.features.keys == ("a",)
    assert published.model == MODEL


@pytest.mark.parametrize("is_clip", [True, False, None])
def test_whether_an_encoder_is_clip_may_be_unknown(layout, is_clip):
    describe(layout, embeddings={**asdict(MODEL), "is_clip": is_clip})
    assert load(layout).model.is_clip is is_clip


def test_what_a_later_version_adds_is_passed_over(layout):
    describe(layout, hashes={**HASHES, "colour": True}, more=[1])
    assert load(layout).hashing == HashConfig("dhash", 8)


def test_embeddings_that_are_not_listed_are_not_used(layout):
    np.save(layout.embeddings, np.eye(7, dtype=np.float32))  # of another run: it would not even fit
    describe(layout, embeddings=None)
    published = load(layout)
    assert published.features.embeddings is None and published.model is None
    assert published.features.hashes is not None and published.hashing is not None
    assert published.notices == ("embeddings.npy is not used: features.json does not list it, so it is of another run",)


def test_hashes_that_are_not_listed_are_not_used(layout):
    layout.hashes.write_text("[]")
    describe(layout, hashes=None)
    published = load(layout)
    assert published.features.hashes is None and published.hashing is None and published.n_bits is None
    assert published.model == MODEL
    assert published.notices == ("hashes.json is not used: features.json does not list it, so it is of another run",)


def test_a_listed_file_that_is_gone_is_said(layout):
    layout.embeddings.unlink()
    describe(layout)
    published = load(layout)
    assert published.features.embeddings is None and published.model is None
    assert published.notices == ("embeddings.npy is listed in features.json and does not exist",)


def test_all_listed_files_are_gone(layout):
    layout.embeddings.unlink()
    describe(layout, hashes=None)
    with pytest.raises(DatasetError, match=r"neither embeddings\.npy nor hashes\.json that features\.json lists"):
        load(layout)


def test_names_of_another_run_are_refused(layout):
    describe(layout)
    layout.names.write_text(json.dumps(NAMES[::-1]) + "\n")
    with pytest.raises(DatasetError, match=r"an export was cut off.* without --from-embeddings again"):
        load(layout)


def without(name: str) -> Callable[[AnalysisLayout], None]:
    def spoil(layout: AnalysisLayout) -> None:
        describe(layout)
        content = json.loads(layout.description.read_text())
        del content[name]
        layout.description.write_text(json.dumps(content))

    return spoil


def saying(**other: object) -> Callable[[AnalysisLayout], None]:
    return lambda layout: describe(layout, **other)


def text(content: str) -> Callable[[AnalysisLayout], object]:
    return lambda layout: layout.description.write_text(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(text(""), r"features\.json is not JSON", id="empty"),
        pytest.param(text("[]"), r"malformed: the file is \[\]; wanted is an object", id="a list"),
        pytest.param(text("{}"), "the file has no 'n_images'", id="empty object"),
        pytest.param(without("names_sha256"), "the file has no 'names_sha256'", id="no digest"),
        pytest.param(without("hashes"), "the file has no 'hashes'", id="no hashes"),
        pytest.param(saying(n_images=3), r"does not fit the 2 names in names\.json", id="other number"),
        pytest.param(saying(n_images=True), "'n_images' is True; wanted is a whole number", id="boolean number"),
        pytest.param(saying(names_sha256=None), "'names_sha256' is None; wanted is text", id="null digest"),
        pytest.param(saying(embeddings="ViT"), "'embeddings' is 'ViT'; wanted is an object or null", id="text"),
        pytest.param(saying(embeddings=None, hashes=None), "lists neither embeddings nor hashes", id="nothing"),
        pytest.param(saying(embeddings={"name": "x"}), "embeddings has no 'source'", id="part of a model"),
        pytest.param(
            saying(embeddings={**asdict(MODEL), "is_clip": 1}),
            "'is_clip' is 1; wanted is true or false or null",
            id="number for a yes",
        ),
        pytest.param(saying(embeddings={**asdict(MODEL), "dim": 512}), "has 2 dimensions .* says 512", id="other dim"),
        pytest.param(saying(hashes={**HASHES, "hash_size": "8"}), "'hash_size' is '8'", id="text for a number"),
        pytest.param(saying(hashes={**HASHES, "hash_size": 16}), "hashes of 64 bits .* says 256", id="other size"),
        pytest.param(saying(hashes={**HASHES, "hash_type": "md5"}), "hashes: --hash-type 'md5'", id="unknown hash"),
    ],
)
def test_what_does_not_fit_is_refused(layout, spoil, message):
    spoil(layout)
    with pytest.raises(DatasetError, match=message):
        load(layout)
