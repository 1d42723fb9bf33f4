"""Every encoder is used in one way: unit rows, unusable rows told, no row depending on its neighbours."""

import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from overlens import registry
from overlens.config import EncoderConfig
from overlens.encoders import Encoder, Resolved, load_encoder, resolve_model, wrap_encoder
from overlens.errors import ConfigError, ModelError
from overlens.records import ModelInfo
from overlens.store.shards import FeatureStore
from overlens.testing import FakeEncoder


class Average:
    """A bring-your-own encoder: the mean colour, and whatever the first pixel asks for."""

    name = "average"
    dim = 3

    def encode(self, batch):
        rows = batch.mean(axis=(1, 2))
        rows[batch[:, 0, 0, 0] == 255] = np.nan
        return rows


class Neighbourly(Average):
    """Its rows depend on how many images come at once, as those of a careless library do."""

    def encode(self, batch):
        return np.full((len(batch), 3), len(batch), np.float32) + batch.mean(axis=(1, 2))


NO_INFO = ModelInfo("average", "here", "", "", "fp32", 3, "none", False)


def make_average(config: EncoderConfig) -> Average:
    return Average()


def make_resolved(config: EncoderConfig) -> Resolved:
    return Resolved(replace(NO_INFO, revision="7"), Average)


def store_folder(tmp_path, loaded):
    return FeatureStore.open(tmp_path, "embedding", loaded.fingerprint).folder


def average(**attributes: object) -> Average:
    encoder = Average()
    vars(encoder).update(attributes)
    return encoder


def pictures(n: int, value: int = 10) -> np.ndarray:
    return np.random.default_rng(n).integers(1, 200, (n, 8, 8, 3), dtype=np.uint8) * 0 + np.uint8(value)


def test_a_bring_your_own_encoder_needs_only_three_things():
    loaded = wrap_encoder(Average(), batch_size=4)
    assert isinstance(Average(), Encoder)
    assert (loaded.dim, loaded.batch_size) == (3, 4)
    assert loaded.prepare(np.zeros((30, 50, 3), np.uint8)).shape == (224, 224, 3)
    assert loaded.info.name == "average"
    assert loaded.info.source.endswith("Average")
    assert wrap_encoder(loaded) is loaded


def test_rows_have_length_one_and_unusable_ones_are_told():
    batch = pictures(4)
    batch[1] = 0
    batch[2] = 255
    rows, usable = wrap_encoder(Average()).encode(batch)
    assert rows.dtype == np.float32
    assert usable.tolist() == [True, False, False, True]
    assert not rows[~usable].any()
    np.testing.assert_allclose(np.linalg.norm(rows[usable], axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-38, 1e38], ids=["tiny", "huge"])
def test_very_short_and_very_long_rows_are_usable(scale):
    class Scaled(Average):
        def encode(self, batch):
            return np.full((len(batch), 3), scale, np.float32)

    rows, usable = wrap_encoder(Scaled()).encode(pictures(2))
    assert usable.all()
    np.testing.assert_allclose(rows, 3**-0.5, rtol=1e-6)


def test_a_short_batch_is_filled_up_to_the_fixed_shape():
    loaded = wrap_encoder(Neighbourly(), batch_size=5)
    batch = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    together, _ = loaded.encode(batch)
    alone = np.concatenate([loaded.encode(batch[row : row + 1])[0] for row in range(12)])
    assert np.array_equal(together, alone)


class Ahead(Average):
    """Takes two lanes before it gives the rows of the first, as an encoder with lanes under way does."""

    lane = 4

    def __init__(self):
        self.taken = 0

    def encode_lanes(self, lanes):
        waiting = []
        for lane in lanes:
            self.taken += 1
            waiting.append(self.encode(lane))
            if len(waiting) > 2:
                yield waiting.pop(0)
        yield from waiting


@pytest.mark.parametrize("make", [Average, Ahead])
@pytest.mark.parametrize("sizes", [[], [0], [3], [4, 4], [0, 9, 0, 0, 1], [1, 0, 12, 5, 0]], ids=str)
def test_batches_in_a_stream_give_what_each_gives_alone(make, sizes):
    loaded = wrap_encoder(make())
    rng = np.random.default_rng(len(sizes))
    batches = [rng.integers(1, 255, (n, 8, 8, 3), dtype=np.uint8) for n in sizes]
    answers = list(loaded.encode_batches(iter(batches)))
    assert [len(rows) for rows, _ in answers] == sizes
    for batch, (rows, usable) in zip(batches, answers, strict=True):
        expected = batch.mean(axis=(1, 2))
        assert usable.all()
        np.testing.assert_allclose(rows, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-6)


def test_an_encoder_may_have_lanes_under_way_and_be_left_half_way():
    loaded = wrap_encoder(Ahead())
    answers = loaded.encode_batches(pictures(4) for _ in range(9))
    next(answers)
    assert loaded.encoder.taken == 3
    answers.close()
    assert loaded.encode(pictures(5))[1].tolist() == [True] * 5


@pytest.mark.parametrize(("asked", "expected"), [(1, 4), (4, 4), (9, 12)])
def test_batches_are_whole_lanes(asked, expected):
    assert wrap_encoder(Ahead(), batch_size=asked).batch_size == expected


def test_no_image_gives_no_row():
    rows, usable = wrap_encoder(Average()).encode(np.empty((0, 8, 8, 3), np.uint8))
    assert rows.shape == (0, 3)
    assert usable.shape == (0,)


@pytest.mark.parametrize("batch", [np.zeros((2, 8, 8)), np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8)], ids=str)
def test_other_batches_are_refused(batch):
    with pytest.raises(ValueError, match="a batch must be"):
        wrap_encoder(Average()).encode(batch)


@pytest.mark.parametrize(
    "output",
    [np.zeros((32, 4), np.float32), np.zeros((31, 3), np.float32), np.zeros((32, 3), np.int64)],
    ids=["too wide", "too few", "whole numbers"],
)
def test_an_encoder_that_gives_something_else_is_stopped(output):
    class Wrong(Average):
        def encode(self, batch):
            return output

    with pytest.raises(ModelError, match=r"it must give floating-point numbers of shape \(32, 3\)"):
        wrap_encoder(Wrong()).encode(pictures(3))


@pytest.mark.parametrize(
    "attributes",
    [{"name": 3}, {"dim": 0}, {"dim": "3"}, {"encode": None}, {"version": 2}, {"info": {"revision": "2"}}],
    ids=str,
)
def test_an_object_that_is_no_encoder_is_refused(attributes):
    encoder = type("Bad", (Average,), attributes)()
    with pytest.raises(TypeError, match="encoder"):
        wrap_encoder(encoder)
    with pytest.raises(TypeError, match="lacks some of these"):
        wrap_encoder(object())


def test_the_fingerprint_changes_with_everything_that_changes_values():
    base = {
        "name": "a",
        "source": "b",
        "revision": "c",
        "weights_sha256": "d",
        "precision": "fp32",
        "preprocessing": "e",
    }

    def fingerprint(**changes: object) -> dict[str, str]:
        encoder = Average()
        encoder.info = ModelInfo(**{**base, "dim": 3, "is_clip": False, **changes})
        return dict(wrap_encoder(encoder).fingerprint)

    whole = fingerprint()
    assert set(whole.values()) == {*base.values(), "3"}
    assert all(fingerprint(**{name: "other"}) != whole for name in base)


@pytest.mark.parametrize(
    "attributes",
    [
        {"version": "2024-05"},
        {"info": replace(NO_INFO, revision="3")},
        {"info": replace(NO_INFO, weights_sha256="ab")},
        {"info": NO_INFO, "version": "2024-05"},
    ],
    ids=["version", "revision", "digest", "info and version"],
)
def test_an_encoder_that_names_its_weights_is_stored_under_them(tmp_path, caplog, attributes):
    first, second = wrap_encoder(average(**attributes)), wrap_encoder(average(**attributes))
    assert store_folder(tmp_path, first) == store_folder(tmp_path, second)
    assert (first.notices, caplog.messages) == ((), [])


def test_another_version_is_another_encoder():
    old, new = wrap_encoder(average(version="1")), wrap_encoder(average(version="2"))
    assert old.fingerprint != new.fingerprint
    assert (old.info.revision, new.info.revision) == ("1", "2")
    assert wrap_encoder(FakeEncoder(4)).fingerprint["revision"] != wrap_encoder(FakeEncoder(8)).fingerprint["revision"]


@pytest.mark.parametrize(
    "attributes",
    [{}, {"version": ""}, {"version": "  "}, {"version": None}, {"info": NO_INFO}],
    ids=["nothing", "empty", "blank", "None", "an info that names no weights"],
)
def test_rows_of_an_encoder_without_a_version_are_never_used_again(tmp_path, caplog, attributes):
    encoder = average(**attributes)
    first, again, other = wrap_encoder(encoder), wrap_encoder(encoder), wrap_encoder(average(**attributes))
    assert len({store_folder(tmp_path, loaded) for loaded in (first, again, other)}) == 3
    assert wrap_encoder(first).fingerprint == first.fingerprint
    notice = "encoder 'average' has no version, so its embeddings are computed anew in every run"
    assert first.notices == (notice,)
    assert caplog.messages == [notice] * 3


def test_what_is_told_of_an_encoder_without_a_version_is_the_same_every_time():
    first, second = wrap_encoder(average()), wrap_encoder(average())
    assert first.info == second.info
    assert first.token not in str(asdict(first.info))


def install(monkeypatch, factory: str) -> None:
    point = EntryPoint("mine", f"{__name__}:{factory}", "overlens.encoders")
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]).select(group=group))


def test_an_installed_package_can_bring_an_encoder(monkeypatch):
    install(monkeypatch, "make_average")
    assert resolve_model(EncoderConfig(model="mine")).name == "average"
    rows, _ = load_encoder(EncoderConfig(model="mine", batch_size=2)).encode(pictures(3))
    assert rows.shape == (3, 3)


def test_an_installed_package_can_tell_what_its_encoder_is(monkeypatch):
    install(monkeypatch, "make_resolved")
    loaded = load_encoder(EncoderConfig(model="mine"))
    assert loaded.info == resolve_model(EncoderConfig(model="mine")) == replace(NO_INFO, revision="7")
    assert loaded.notices == ()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown encoder 'ViT-B/99'; allowed are ViT-B/32, .*offline, hf:ORG/NAME"):
        resolve_model(EncoderConfig(model="ViT-B/99"))


def test_importing_the_encoders_loads_no_heavy_library():
    code = (
        "import sys, overlens.encoders, overlens.cli.models; "
        "print([m for m in ('openvino', 'torch', 'transformers', 'huggingface_hub', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys, overlens.cli.models; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
