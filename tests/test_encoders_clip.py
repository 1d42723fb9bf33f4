"""An ONNX image tower, from file to unit rows, against a plain rendering of the same tensors."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from overlens.config import EncoderConfig
from overlens.encoders import LoadedEncoder, load_encoder, resolve_model
from overlens.encoders.clip import CLIP_TOWERS
from overlens.encoders.modelfiles import find_onnx
from overlens.encoders.preprocess import CLIP_PREPROCESSING
from overlens.encoders.runtime import LANE, cpu_has_bf16
from overlens.encoders.weights import digest_file, find_cached
from overlens.errors import ConfigError, ModelError

PATCH = 32
PRECISIONS = ["fp32", pytest.param("bf16", marks=pytest.mark.skipif(not cpu_has_bf16(), reason="no bfloat16 here"))]


def tensors(dim: int = 512) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        "patch": rng.normal(0, 0.02, (16, 3, PATCH, PATCH)).astype(np.float32),
        "mix": rng.normal(0, 0.3, (16, 16)).astype(np.float32),
        "project": rng.normal(0, 0.3, (16, dim)).astype(np.float32),
    }


def write_tower(path: Path, dim: int = 512, **changes: object) -> Path:
    """A small tower of patches, as exporters write it: every side of the input is dynamic."""
    names = {"input": "pixel_values", "output": "image_embeds", "shape": ["b", "c", "h", "w"], "rank": 2, **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    nodes = [
        helper.make_node("Conv", [names["input"], "patch"], ["patches"], strides=[PATCH, PATCH]),
        helper.make_node("Relu", ["patches"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "mix"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["bent"]),
        helper.make_node("MatMul", ["bent", "project"], ["row"]),
        helper.make_node("Identity", ["row" if names["rank"] == 2 else "pooled"], [names["output"]]),
    ]
    graph = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info(names["input"], TensorProto.FLOAT, names["shape"])],
        [helper.make_tensor_value_info(names["output"], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in tensors(dim).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


def plain_rows(prepared: np.ndarray, dim: int = 512) -> np.ndarray:
    """The same tower in NumPy, in float64."""
    weights = {name: value.astype(np.float64) for name, value in tensors(dim).items()}
    pixels = CLIP_PREPROCESSING.normalise(prepared).astype(np.float64)
    n, side = len(pixels), pixels.shape[1] // PATCH
    patches = pixels.reshape(n, side, PATCH, side, PATCH, 3)
    maps = np.maximum(np.einsum("nyixjc,ocij->noyx", patches, weights["patch"]), 0)
    rows = np.tanh(maps.mean(axis=(2, 3)) @ weights["mix"]) @ weights["project"]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clip(path: Path, precision: str = "fp32", **options: object) -> LoadedEncoder:
    return load_encoder(EncoderConfig(model="ViT-B/32", weights=path, precision=precision, **options))


def pictures(n: int) -> np.ndarray:
    small = np.random.default_rng(n).integers(0, 256, (n, 14, 14, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(image).resize((224, 224))) for image in small])


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    return write_tower(tmp_path_factory.mktemp("tower") / "vision_model.onnx")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_equal_a_plain_rendering(tower, precision):
    rows, usable = clip(tower, precision).encode(pictures(11))
    expected = plain_rows(pictures(11))
    assert usable.all()
    assert (rows * expected).sum(axis=1).min() > (1 - 1e-6 if precision == "fp32" else 0.999)
    if precision == "fp32":
        np.testing.assert_allclose(rows, expected, atol=2e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_row_does_not_depend_on_batch_size_place_or_neighbours(tower, precision):
    batch = pictures(2 * LANE + 3)
    rows, _ = clip(tower, precision, batch_size=32).encode(batch)
    alone = clip(tower, precision, batch_size=1, n_threads=1)
    assert np.array_equal(rows, np.concatenate([alone.encode(image[None])[0] for image in batch]))
    assert np.array_equal(rows[::-1], alone.encode(batch[::-1])[0])


def test_the_model_is_told_to_the_bit(tower):
    info = resolve_model(EncoderConfig(model="ViT-B/32", weights=tower, precision="fp32"))
    assert info.weights_sha256 == digest_file(tower)
    assert (info.name, info.dim, info.precision, info.is_clip) == ("ViT-B/32", 512, "fp32", True)
    assert info.source == f"local file {tower}"
    assert info.preprocessing == CLIP_PREPROCESSING.describe()


@pytest.mark.parametrize("name", ["onnx/vision_model.onnx", "vision_model.onnx", "model.onnx"])
def test_a_folder_may_hold_the_file(tmp_path, tower, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    shutil.copy(tower, tmp_path / name)
    (tmp_path / "config.json").write_text("{}")
    assert find_onnx(tmp_path) == tmp_path / name
    assert resolve_model(EncoderConfig(model=str(tmp_path))).dim == 512


def test_tensors_beside_the_file_count_in_the_digest(tmp_path, tower):
    copy = Path(shutil.copy(tower, tmp_path / "model.onnx"))
    before = resolve_model(EncoderConfig(model=str(copy))).weights_sha256
    (tmp_path / "model.onnx_data").write_bytes(b"more")
    assert resolve_model(EncoderConfig(model=str(copy))).weights_sha256 != before == digest_file(copy)


def test_settings_beside_a_local_file_are_followed(tmp_path):
    path = write_tower(tmp_path / "onnx" / "model.onnx", output="pooler_output", shape=["b", 3, 64, 64], dim=5)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"size": {"height": 64, "width": 64}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],'
        ' "resample": 2, "image_processor_type": "SiglipImageProcessor"}'
    )
    encoder = load_encoder(EncoderConfig(model=str(path), precision="fp32"))
    assert encoder.prepare(np.zeros((9, 30, 3), np.uint8)).shape == (64, 64, 3)
    assert (encoder.dim, encoder.info.is_clip) == (5, False)
    assert "bilinear, minus (127.5 127.5 127.5)" in encoder.info.preprocessing
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 32, "width": 32}}')
    with pytest.raises(ModelError, match="cannot be followed"):
        resolve_model(EncoderConfig(model=str(path)))


def test_a_tower_of_another_fixed_size_is_followed(tmp_path):
    path = write_tower(tmp_path / "model.onnx", shape=[2, 3, 96, 96])
    encoder = load_encoder(EncoderConfig(model=str(path), precision="fp32"))
    assert (encoder.lane, encoder.prepare(np.zeros((9, 30, 3), np.uint8)).shape) == (2, (96, 96, 3))
    assert encoder.encode(np.ones((3, 96, 96, 3), np.uint8))[0].shape == (3, 512)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "tokens"}, r"takes \['tokens'\]; an image tower takes one input, pixel_values"),
        ({"output": "logits"}, r"gives \['logits'\]; an image tower gives image_embeds or pooler_output"),
        ({"rank": 4}, r"gives image_embeds of shape .*; allowed is \(images, values\)"),
        ({"shape": ["b", 4, 224, 224]}, "cannot be read as an ONNX model"),
        ({"shape": ["b", 3, 224, 192]}, r"allowed is \(images, 3, side, side\)"),
        ({"dim": 768}, "gives vectors of 768 values, and ViT-B/32 has 512"),
    ],
    ids=["input", "output", "rank", "channels", "oblong", "dimensions"],
)
def test_another_network_is_refused(tmp_path, changes, message):
    path = write_tower(tmp_path / "model.onnx", **changes)
    with pytest.raises(ModelError, match=message):
        resolve_model(EncoderConfig(model="ViT-B/32", weights=path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("weights.pt", b"PK", "is a PyTorch file; allowed are an ONNX image tower"),
        ("model.onnx", b"garbage", "cannot be read as an ONNX model"),
        ("model.onnx", b"", "cannot be read as an ONNX model"),
        ("model.txt", b"hello", "does not end in .onnx"),
        ("sub/file", b"", "holds no model; allowed are onnx/vision_model.onnx"),
    ],
    ids=["torch", "garbage", "empty", "text", "empty folder"],
)
def test_another_file_is_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        resolve_model(EncoderConfig(model="ViT-B/32", weights=path.parent if name == "sub/file" else path))
    assert "\n" not in str(caught.value)


def test_a_file_that_does_not_exist_is_wrong_usage(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file or folder .*nothing\.onnx"):
        resolve_model(EncoderConfig(model="ViT-B/32", weights=tmp_path / "nothing.onnx"))


def test_two_local_models_at_once_are_refused(tower):
    with pytest.raises(ConfigError, match="both name a local model"):
        resolve_model(EncoderConfig(model=str(tower), weights=tower))


@pytest.mark.weights
@pytest.mark.parametrize("dataset", ["ArtDL", "ICONCLASS", "wikidata"])
def test_published_vectors_are_reproduced(shared_data, dataset):
    """The published vectors are OpenAI's ViT-B/32 stored in half precision."""
    if find_cached(CLIP_TOWERS["ViT-B/32"].file) is None:
        pytest.skip("the weights of ViT-B/32 are not in the local hub cache")
    import json

    analysis = shared_data / "art_published/dataset" / f"{dataset}-data" / "analysis"
    rows = {name: row for row, name in enumerate(json.loads((analysis / "names.json").read_text()))}
    published = np.load(analysis / "embeddings.npy").astype(np.float32)
    encoder = load_encoder(EncoderConfig(precision="fp32"))
    paths = sorted((shared_data / "art/dataset" / dataset / "JPEGImages").iterdir())
    batch = np.stack([encoder.prepare(np.asarray(Image.open(path).convert("RGB"))) for path in paths])
    expected = published[[rows[path.stem] for path in paths]]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    alike = (encoder.encode(batch)[0] * expected).sum(axis=1)
    assert np.median(alike) > 0.999
    assert alike.min() > 0.98
