"""Image towers of transformers: tiny random ones, saved, found, run, and compared with the library's own result."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

from overlens.config import EncoderConfig
from overlens.encoders import load_encoder, resolve_model
from overlens.encoders import transformers as module
from overlens.encoders.runtime import cpu_has_bf16
from overlens.encoders.weights import digest_file
from overlens.errors import ConfigError, MissingExtraError, ModelError

SIDE = 32
HAS_TORCH = find_spec("torch") is not None and find_spec("transformers") is not None
needs_torch = [
    pytest.mark.torch,
    pytest.mark.skipif(not HAS_TORCH, reason='needs the extra "torch"'),
    # The libraries' own deprecations are not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
SMALL = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}
SETTINGS = {
    "clip": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": SIDE},
        "crop_size": {"height": SIDE, "width": SIDE},
        "do_center_crop": True,
        "resample": 3,
        "image_mean": [0.48, 0.45, 0.40],
        "image_std": [0.26, 0.26, 0.27],
    },
    "siglip": {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": SIDE, "width": SIDE},
        "resample": 3,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    },
}


def build(kind):
    """A tiny random model of each kind, and the tensor of its output that overlens should take."""
    import torch
    import transformers as library

    torch.manual_seed(0)
    if kind == "clip":
        text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = library.CLIPConfig(vision_config=SMALL, text_config=text, projection_dim=20)
        return library.CLIPModel(config), "image_embeds", 20
    if kind == "clip vision":
        config = library.CLIPVisionConfig(**SMALL, projection_dim=20)
        return library.CLIPVisionModelWithProjection(config), "image_embeds", 20
    if kind == "clip without projection":
        return library.CLIPVisionModel(library.CLIPVisionConfig(**SMALL)), "pooler_output", 24
    if kind == "siglip":
        return library.SiglipVisionModel(library.SiglipVisionConfig(**SMALL)), "pooler_output", 24
    if kind == "dinov2":
        return library.Dinov2Model(library.Dinov2Config(**SMALL)), "pooler_output", 24
    if kind == "vit classifier":
        return library.ViTForImageClassification(library.ViTConfig(**SMALL)), "mean", 24

    config = library.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    return library.ResNetModel(config), "pooler_output", 16


KINDS = ["clip", "clip vision", "clip without projection", "siglip", "dinov2", "vit classifier", "resnet"]


def save(folder, kind):
    model, output, dim = build(kind)
    model.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(SETTINGS["siglip" if kind == "siglip" else "clip"]))
    return model, output, dim


def library_rows(folder, kind, output, prepared):
    """The rows as a user of the library would compute them."""
    import torch
    import transformers as library

    settings = SETTINGS["siglip" if kind == "siglip" else "clip"]
    values = (prepared / 255 - np.array(settings["image_mean"])) / np.array(settings["image_std"])
    pixels = torch.tensor(values.transpose(0, 3, 1, 2), dtype=torch.float32)
    special = {"clip": "CLIPModel", "clip vision": "CLIPVisionModelWithProjection"}
    special |= {"clip without projection": "CLIPVisionModel", "siglip": "SiglipVisionModel"}
    model = getattr(library, special.get(kind, "AutoModel")).from_pretrained(folder).eval()
    with torch.no_grad():
        if kind == "clip":
            found = model.get_image_features(pixel_values=pixels)
            result = {"image_embeds": getattr(found, "pooler_output", found)}
        else:
            result = model(pixel_values=pixels)
    rows = result["last_hidden_state"].mean(1) if output == "mean" else result[output].flatten(1)
    return (rows / rows.norm(dim=1, keepdim=True)).numpy()


def pictures(n):
    return np.random.default_rng(n).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)


def torch_test(function):
    for mark in needs_torch:
        function = mark(function)
    return function


@torch_test
@pytest.mark.parametrize("kind", KINDS)
def test_a_local_folder_gives_what_the_library_gives(tmp_path, kind, capfd):
    _, output, dim = save(tmp_path, kind)
    capfd.readouterr()
    encoder = load_encoder(EncoderConfig(model=str(tmp_path), precision="fp32"))
    rows, usable = encoder.encode(pictures(11))
    assert usable.all()
    assert rows.shape == (11, dim)
    assert encoder.info.is_clip == kind.startswith("clip")
    assert capfd.readouterr().err == ""
    np.testing.assert_allclose(rows, library_rows(tmp_path, kind, output, pictures(11)), atol=2e-5)


@torch_test
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_does_not_depend_on_batch_size_place_or_neighbours(tmp_path, precision):
    if precision == "bf16" and not cpu_has_bf16():
        pytest.skip("no bfloat16 here")
    save(tmp_path, "clip vision")
    encoder = load_encoder(EncoderConfig(model=f"hf:{tmp_path}", precision=precision))
    batch = pictures(13)
    rows, _ = encoder.encode(batch)
    assert np.array_equal(rows, np.concatenate([encoder.encode(image[None])[0] for image in batch]))
    assert np.array_equal(rows[::-1], encoder.encode(batch[::-1])[0])


@torch_test
def test_lanes_under_way_do_not_touch_one_another(tmp_path):
    save(tmp_path, "clip vision")
    encoder = load_encoder(EncoderConfig(model=str(tmp_path), precision="fp32"))
    lanes = [pictures(encoder.lane) + np.uint8(place) for place in range(5)]
    alone = [encoder.encoder.encode(lane) for lane in lanes]
    rows = encoder.encoder.encode_lanes(iter(lanes))
    assert np.array_equal(next(rows), alone[0])
    rows.close()  # left half way, with lanes under way
    together = list(encoder.encoder.encode_lanes(lane.copy() for lane in lanes))
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))


@torch_test
def test_the_model_is_told_to_the_bit(tmp_path):
    save(tmp_path, "siglip")
    info = resolve_model(EncoderConfig(model=f"hf:{tmp_path}", precision="fp32"))
    assert info.weights_sha256 == digest_file(tmp_path / "model.safetensors")
    assert info.revision == f"config.json {digest_file(tmp_path / 'config.json')[:16]}"
    assert (info.precision, info.dim, info.is_clip) == ("fp32", 24, False)
    assert "whole picture to 32 x 32 px, Pillow bicubic" in info.preprocessing


@torch_test
def test_weights_may_be_a_folder(tmp_path):
    save(tmp_path, "clip vision")
    with pytest.raises(ModelError, match="gives vectors of 20 values, and ViT-B/32 has 512"):
        resolve_model(EncoderConfig(model="ViT-B/32", weights=tmp_path, precision="fp32"))
    assert resolve_model(EncoderConfig(model="hf:org/name", weights=tmp_path, precision="fp32")).dim == 20


@torch_test
def test_a_model_with_missing_tensors_is_refused_not_filled_with_random_ones(tmp_path):
    from safetensors.numpy import load_file, save_file

    save(tmp_path, "clip vision")
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 tensors of .*visual_projection.weight; .* partly random"):
        resolve_model(EncoderConfig(model=str(tmp_path)))


@torch_test
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", None, "only safetensors are read"),
        ("model.safetensors", "garbage", "cannot be loaded"),
        ("preprocessor_config.json", None, "cannot be read as JSON"),
        ("preprocessor_config.json", "[]", "allowed is one JSON object"),
        ("config.json", '{"model_type": "bert"}', "cannot be loaded|lacks|gives no vector"),
        ("config.json", '{"model_type": "no-such-model"}', "cannot be loaded"),
    ],
)
def test_a_broken_folder_is_told_in_one_line(tmp_path, name, content, message):
    save(tmp_path, "dinov2")
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=message) as caught:
        resolve_model(EncoderConfig(model=f"hf:{tmp_path}"))
    assert "\n" not in str(caught.value)


@torch_test
def test_torch_uses_the_cores_it_may_and_gives_the_same(tmp_path):
    import torch

    save(tmp_path, "clip vision")
    before = torch.get_num_threads()
    try:
        whole = load_encoder(EncoderConfig(model=str(tmp_path), precision="fp32"))
        assert torch.get_num_threads() == before
        rows, _ = whole.encode(pictures(9))
        single = load_encoder(EncoderConfig(model=str(tmp_path), precision="fp32", n_threads=1))
        assert torch.get_num_threads() == (before if torch.cuda.is_available() else 1)
        assert single.fingerprint == whole.fingerprint
        np.testing.assert_allclose(single.encode(pictures(9))[0], rows, atol=1e-6)
    finally:
        torch.set_num_threads(before)


@torch_test
def test_code_from_a_repository_is_never_run(tmp_path):
    save(tmp_path, "dinov2")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelError, match="cannot be loaded"):
        resolve_model(EncoderConfig(model=str(tmp_path)))
    assert not (tmp_path / "ran").exists()


@torch_test
@pytest.mark.parametrize("name", ["hf:./nothing", "hf:one", "hf:a/b/c", "hf:/no/such/folder"])
def test_a_name_that_cannot_be_on_the_hub_is_refused(name):
    with pytest.raises(ConfigError, match="after hf: comes ORG/NAME or a folder that exists"):
        resolve_model(EncoderConfig(model=name))


@torch_test
def test_a_model_that_cannot_be_fetched_shows_the_ways_out(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"the weights of hf:org/name .*--clip-model offline"):
        resolve_model(EncoderConfig(model="hf:org/name"))


@torch_test
@pytest.mark.gpu
def test_cuda_runs_in_half_precision(tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    save(tmp_path, "clip vision")
    exact = load_encoder(EncoderConfig(model=str(tmp_path), precision="fp32"))
    coarse = load_encoder(EncoderConfig(model=str(tmp_path)))
    assert (exact.info.precision, coarse.info.precision) == ("fp32", "fp16")
    batch = pictures(3 * module.CUDA_LANE + 5)
    assert (exact.encode(batch)[0] * coarse.encode(batch)[0]).sum(axis=1).min() > 0.999
    assert "cuda, 128 at once" in coarse.info.source


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "overlens\[torch\]"'):
        resolve_model(EncoderConfig(model="hf:org/name"))
