"""The offline encoder reads its published tensors rightly, safely, and tells copies from other pictures."""

import json
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overlens.config import EncoderConfig
from overlens.encoders import LoadedEncoder, load_encoder, resolve_model
from overlens.encoders import offline as module
from overlens.encoders.checkpoint import read_checkpoint
from overlens.encoders.runtime import cpu_has_bf16
from overlens.encoders.weights import digest_file
from overlens.errors import ConfigError, ModelError

PRECISIONS = ["fp32", pytest.param("bf16", marks=pytest.mark.skipif(not cpu_has_bf16(), reason="no bfloat16 here"))]


# The largest values of the synthetic picture's row, made with OpenVINO 2026.4.1, NumPy 2.4 and Pillow 13.0.
GOLDEN = {113: 0.2907, 400: 0.2440, 468: 0.2166, 287: 0.2155, 621: 0.1817, 1157: 0.1759, 455: 0.1652, 423: 0.1635}


def offline(precision: str = "fp32", **options: object) -> LoadedEncoder:
    return load_encoder(EncoderConfig(model="offline", precision=precision, **options))


def synthetic_picture() -> np.ndarray:
    """Discs and stripes, the same on every machine: whole numbers only."""
    y, x = np.mgrid[0:300, 0:400]
    disc = (x - 150) ** 2 + (y - 120) ** 2 < 80**2
    stripes = (x // 25 + y // 40) % 2 == 0
    return np.stack([x * 255 // 399, np.where(disc, 230, 40), np.where(stripes, 200, 60)], axis=-1).astype(np.uint8)


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)


def test_golden_vector():
    encoder = offline()
    rows, usable = encoder.encode(encoder.prepare(synthetic_picture())[None])
    assert usable.all()
    assert rows.shape == (1, 1280)
    np.testing.assert_allclose(rows[0, list(GOLDEN)], list(GOLDEN.values()), atol=2e-4)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_row_does_not_depend_on_batch_size_place_or_neighbours(precision):
    batch = noise(13)
    rows, _ = offline(precision, batch_size=32).encode(batch)
    alone = offline(precision, batch_size=1, n_threads=1)
    assert np.array_equal(rows[:3], np.concatenate([alone.encode(image[None])[0] for image in batch[:3]]))
    assert np.array_equal(rows[::-1], alone.encode(batch[::-1])[0])


@pytest.mark.skipif(not cpu_has_bf16(), reason="no bfloat16 here")
def test_bf16_stays_close_to_fp32():
    batch = noise(4)
    batch[0] = Image.fromarray(synthetic_picture()).resize((224, 224))
    exact, coarse = offline("fp32").encode(batch)[0], offline("bf16").encode(batch)[0]
    assert (exact * coarse).sum(axis=1).min() > 0.99
    assert not np.array_equal(exact, coarse)


def test_known_copies_are_told_from_other_pictures(shared_data):
    encoder = offline()
    first, second = (encode_folder(encoder, shared_data, dataset) for dataset in ("ArtDL", "wikidata"))
    published = shared_data / "art_published/dataset/cross/ArtDL_wikidata_perceptual_duplicates.json"
    known = {(a, b) for a, b, _ in json.loads(published.read_text()) if a in first and b in second}
    alike = {(a, b): float(first[a] @ second[b]) for a in first for b in second}
    copies = np.array([alike[pair] for pair in known])
    others = np.array([value for pair, value in alike.items() if pair not in known])
    assert len(known) == 42
    assert np.median(copies) > 0.98 > 0.5 > np.median(others)
    assert ((copies >= 0.9).sum(), (others >= 0.9).sum()) == (31, 0)
    assert (copies[:, None] > others).mean() > 0.998


def encode_folder(encoder: LoadedEncoder, shared_data: Path, dataset: str) -> dict[str, np.ndarray]:
    paths = sorted((shared_data / "art/dataset" / dataset / "JPEGImages").iterdir())
    batch = np.stack([encoder.prepare(np.asarray(Image.open(path).convert("RGB"))) for path in paths])
    rows, usable = encoder.encode(batch)
    assert usable.all()
    return {path.stem: row for path, row in zip(paths, rows, strict=True)}


def test_the_model_is_told_to_the_bit():
    info = resolve_model(EncoderConfig(model="offline", precision="fp32"))
    assert info.weights_sha256 == module.WEIGHTS_SHA256 == digest_file(module.find_weights()[0])
    assert (info.name, info.precision, info.dim, info.is_clip) == ("offline", "fp32", 1280, False)
    assert "whole picture to 224 x 224 px" in info.preprocessing


def test_the_number_of_threads_is_no_part_of_the_fingerprint():
    assert offline(n_threads=1).fingerprint == offline(n_threads=2, batch_size=3).fingerprint


def test_weights_do_not_go_with_the_offline_encoder():
    with pytest.raises(ConfigError, match="which brings its own"):
        resolve_model(EncoderConfig(model="offline", weights=Path("x.onnx")))


def test_changed_weights_are_refused(monkeypatch, tmp_path):
    changed = tmp_path / "weights.pth"
    content = bytearray(module.find_weights()[0].read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    monkeypatch.setattr(module, "find_weights", lambda: (changed, "0.1.0"))
    with pytest.raises(ModelError, match="damaged or was changed: its SHA-256 is"):
        resolve_model(EncoderConfig(model="offline"))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no-such-package")
    with pytest.raises(ModelError, match="the offline encoder needs the package no-such-package"):
        module.find_weights()


def test_batch_norm_is_folded_exactly():
    rng = np.random.default_rng(0)
    tensors = {"c.weight": rng.normal(size=(4, 3, 1, 1)), "n.running_var": rng.uniform(0.1, 2, 4)}
    tensors |= {f"n.{name}": rng.normal(size=4) for name in ("weight", "bias", "running_mean")}
    weight, bias = module.fold_batch_norm(tensors, "c", "n")
    x = rng.normal(size=3)
    plain = tensors["c.weight"][:, :, 0, 0] @ x
    normed = (plain - tensors["n.running_mean"]) / np.sqrt(tensors["n.running_var"] + 1e-3)
    expected = normed * tensors["n.weight"] + tensors["n.bias"]
    np.testing.assert_allclose(weight[:, :, 0, 0] @ x + bias, expected, rtol=1e-5)


# --- the reader of checkpoints


def checkpoint(views: list[tuple], storages: dict[str, bytes], counts: dict[str, int]) -> bytes:
    """Write a legacy checkpoint by hand; a view is (name, storage key, announced values, offset, shape, strides)."""
    body = b"\x80\x02ccollections\nOrderedDict\n)R("
    for name, key, n_values, offset, shape, strides in views:
        body += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n("
        body += b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu")
        body += _number(n_values) + b"NtQ" + _number(offset) + _tuple(shape) + _tuple(strides)
        body += b"\x89ccollections\nOrderedDict\n)RtR"
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    tail = pickle.dumps(list(storages), 2)
    return head + body + b"u." + tail + b"".join(struct.pack("<q", counts[k]) + v for k, v in storages.items())


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _tuple(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"


VALUES = np.arange(6, dtype="<f4")


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return path


def test_tensors_are_read_in_any_order_of_memory(tmp_path):
    views = [
        ("rows", "0", 6, 0, (2, 3), (3, 1)),
        ("columns", "0", 6, 0, (2, 3), (1, 2)),
        ("end", "0", 6, 4, (2,), (1,)),
    ]
    tensors = read_checkpoint(write(tmp_path, checkpoint(views, {"0": VALUES.tobytes()}, {"0": 6})))
    assert tensors["rows"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["columns"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert tensors["end"].tolist() == [4, 5]
    assert all(tensor.flags.c_contiguous for tensor in tensors.values())


@pytest.mark.parametrize(
    ("view", "n_bytes", "count"),
    [
        (("a", "0", 6, 0, (7,), (1,)), 24, 6),
        (("a", "0", 6, 1, (2, 3), (3, 1)), 24, 6),
        (("a", "0", 6, -1, (2,), (1,)), 24, 6),
        (("a", "0", 6, 5, (2,), (-1,)), 24, 6),
        (("a", "0", 6, 0, (6,), (1,)), 20, 6),
        (("a", "0", 6, 0, (6,), (1,)), 24, 5),
        (("a", "1", 6, 0, (6,), (1,)), 24, 6),
        (("a", "0", 6, 0, (2, 3), (3,)), 24, 6),
    ],
    ids=["too long", "beyond the end", "before the start", "backwards", "cut", "other count", "other key", "strides"],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path, view, n_bytes, count):
    path = write(tmp_path, checkpoint([view], {"0": VALUES.tobytes()[:n_bytes]}, {"0": count}))
    with pytest.raises(ModelError, match="cannot be read as a checkpoint of plain tensors"):
        read_checkpoint(path)


class Attack:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("touched",)


@pytest.mark.parametrize("place", range(4))
def test_no_code_of_a_checkpoint_runs(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, OrderedDict()]
    parts[place] = Attack()
    path = write(tmp_path, b"".join(pickle.dumps(part, 2) for part in parts))
    with pytest.raises(ModelError, match=r"the name \w+\.mkdir is not allowed"):
        read_checkpoint(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x80\x02K\x01.", b"garbage"], ids=str)
def test_another_file_is_refused(tmp_path, content):
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        read_checkpoint(write(tmp_path, content))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    path = write(tmp_path, checkpoint([("a", "0", 6, 0, (6,), (1,))], {"0": VALUES.tobytes()}, {"0": 6}))
    with pytest.raises(ModelError, match="holds 1 tensors; EfficientNet-Lite0 has 296"):
        module.read_tensors(path)


# --- the same tensors, read and run by torch


@pytest.mark.torch
def test_openvino_gives_what_torch_gives():
    torch = pytest.importorskip("torch", reason='needs the extra "torch"')
    path = module.find_weights()[0]
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    for name, ours in module.read_tensors(path).items():
        assert np.array_equal(ours, tensors[name].numpy()), name
    batch = noise(4)
    batch[0] = Image.fromarray(synthetic_picture()).resize((224, 224))
    with torch.inference_mode():
        expected = torch_network(torch, tensors, torch.from_numpy(batch)).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    rows, _ = offline("fp32").encode(batch)
    assert (rows * expected).sum(axis=1).min() > 0.99999
    assert np.abs(rows - expected).max() < 1e-5


def torch_network(torch, tensors, batch):
    """EfficientNet-Lite0 in plain torch, with batch normalisation as published (not folded)."""
    functional = torch.nn.functional

    def convolve(x, conv, norm, stride=1, groups=1):
        weight = tensors[f"{conv}.weight"]
        pads = []
        for length in (x.shape[3], x.shape[2]):
            missing = max((-(-length // stride) - 1) * stride + weight.shape[2] - length, 0)
            pads += [missing // 2, missing - missing // 2]
        x = functional.conv2d(functional.pad(x, pads), weight, stride=stride, groups=groups)
        parts = (tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, eps=1e-3)

    x = (batch.permute(0, 3, 1, 2).float() - 127) / 128
    x = functional.relu6(convolve(x, "_conv_stem", "_bn0", 2))
    for index, (expansion, stride) in enumerate(
        (expansion, 1 if repeat else stride)
        for expansion, _, stride, _, repeats in module.STAGES
        for repeat in range(repeats)
    ):
        name, before = f"_blocks.{index}.", x
        if expansion > 1:
            x = functional.relu6(convolve(x, f"{name}_expand_conv", f"{name}_bn0"))
        x = functional.relu6(convolve(x, f"{name}_depthwise_conv", f"{name}_bn1", stride, x.shape[1]))
        x = convolve(x, f"{name}_project_conv", f"{name}_bn2")
        x = x + before if x.shape == before.shape else x
    return functional.relu6(convolve(x, "_conv_head", "_bn1")).mean(dim=(2, 3))
