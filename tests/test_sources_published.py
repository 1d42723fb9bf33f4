"""Features that are already there: what is taken as stored, what is scaled, dropped or refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from overlens.config import DatasetSpec
from overlens.errors import ConfigError, DatasetError
from overlens.sources import Published, load_published

NAMES = ["a", "b", "c"]
ROWS = np.array([[1, 0], [0, 1], [0.6, 0.8]])


@pytest.fixture
def analysis(tmp_path: Path) -> Path:
    """The analysis folder of the dataset X with three named rows."""
    folder = tmp_path / "dataset" / "X-data" / "analysis"
    folder.mkdir(parents=True)
    write(folder, "names", NAMES)
    np.save(folder / "embeddings.npy", ROWS.astype(np.float32))
    return folder


def write(folder: Path, name: str, content: object) -> None:
    (folder / f"{name}.json").write_text(json.dumps(content))


def load_x(analysis: Path, *, use_ground_truth: bool = False, max_images: int | None = None) -> Published:
    root = analysis.parents[2]
    return load_published(DatasetSpec("X"), root, use_ground_truth=use_ground_truth, max_images=max_images)


def test_float32_rows_stay_mapped(analysis):
    features = load_x(analysis).features
    assert isinstance(features.embeddings, np.memmap)
    assert features.keys == ("a", "b", "c")
    assert features.labels == (None, None, None)
    assert features.hashes is None


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_float_type_and_order(analysis, dtype, order):
    np.save(analysis / "embeddings.npy", np.asarray(ROWS, dtype, order=order))
    published = load_x(analysis)
    assert published.features.embeddings.dtype == np.float32
    assert published.features.embeddings.flags.c_contiguous
    np.testing.assert_allclose(published.features.embeddings, ROWS, atol=1e-3)
    assert published.notices == ()


def test_rounded_rows_are_used_as_stored(analysis):
    rounded = (ROWS * [[1.0019], [0.9981], [1]]).astype(np.float32)
    np.save(analysis / "embeddings.npy", rounded)
    published = load_x(analysis)
    np.testing.assert_array_equal(published.features.embeddings, rounded)
    assert published.notices == ()


def test_other_rows_are_all_scaled(analysis):
    np.save(analysis / "embeddings.npy", ROWS * [[3.0], [1.0], [1e-200]])
    published = load_x(analysis)
    np.testing.assert_allclose(published.features.embeddings, ROWS, atol=1e-7)
    assert published.notices == ("embeddings.npy: rows have lengths from 1e-200 to 3; all are scaled to length 1",)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param([0, 0], "its embedding is zero", id="zero"),
        pytest.param([np.nan, 1], "its embedding is not finite", id="nan"),
        pytest.param([np.inf, 0], "its embedding is not finite", id="infinite"),
    ],
)
def test_a_row_that_is_no_direction_is_a_failure(analysis, row, reason):
    np.save(analysis / "embeddings.npy", np.array([ROWS[0], row, ROWS[2]]))
    write(analysis, "labels", ["x", "y", "z"])
    write(analysis, "hashes", ["0000000000000000", "00000000000000ff", "ffffffffffffffff"])
    features = load_x(analysis).features
    assert features.keys == ("a", "c")
    assert features.labels == ("x", "z")
    np.testing.assert_allclose(features.embeddings, ROWS[[0, 2]], atol=1e-7)
    assert features.hashes.tolist() == [[0] * 8, [255] * 8]
    assert [(failure.key, failure.reason) for failure in features.failures] == [("b", reason)]


def test_the_first_rows_stay_mapped(analysis):
    write(analysis, "labels", ["x", "y", "z"])
    write(analysis, "hashes", ["0000000000000000", "00000000000000ff", "ffffffffffffffff"])
    published = load_x(analysis, max_images=2)
    features = published.features
    assert isinstance(features.embeddings, np.memmap)
    np.testing.assert_array_equal(features.embeddings, ROWS[:2].astype(np.float32))
    assert features.keys == ("a", "b")
    assert features.labels == ("x", "y")
    assert features.hashes.tolist() == [[0] * 8, [0] * 7 + [255]]
    assert published.notices == ("--max-images: the first 2 of 3 images are used",)


def test_an_unusable_row_is_one_of_the_first(analysis):
    np.save(analysis / "embeddings.npy", np.array([ROWS[0], [0, 0], [np.nan, 0]]))
    features = load_x(analysis, max_images=2).features
    assert features.keys == ("a",)
    assert [failure.key for failure in features.failures] == ["b"]


@pytest.mark.parametrize("max_images", [3, 4])
def test_a_cap_that_cuts_nothing_is_not_said(analysis, max_images):
    published = load_x(analysis, max_images=max_images)
    assert published.features.n_attempted == 3
    assert published.notices == ()


def test_a_cap_changes_no_class_folder(analysis):
    write(analysis, "names", ["cat/1", "cat/2", "dog/3"])
    features = load_x(analysis, max_images=2).features
    assert features.labels == ("cat", "cat")
    assert features.label_source == "class folders"


def test_hashes_alone_are_enough(analysis):
    (analysis / "embeddings.npy").unlink()
    write(analysis, "hashes", ["0000000000000000"] * 3)
    published = load_x(analysis)
    assert published.features.embeddings is None
    assert published.n_bits == 64


def test_labels_and_class_names(analysis):
    write(analysis, "labels", [1, None, "z"])
    (analysis.parent / "classes.csv").write_text("ID,Label\n1,One\n")
    features = load_x(analysis).features
    assert features.labels == ("1", None, "z")
    assert features.label_source == "labels.json"
    assert features.shown_labels() == ["One", "unlabelled", "z"]


def test_ground_truth(analysis):
    write(analysis, "labels", ["x", "y", "z"])
    write(analysis.parent, "2_ground_truth", [{"item": "c", "class": "T"}])
    features = load_x(analysis, use_ground_truth=True).features
    assert features.labels == (None, None, "T")
    assert features.label_source == "2_ground_truth.json"


def test_asked_for_ground_truth_must_be_there(analysis):
    with pytest.raises(DatasetError, match=r"X-data/2_ground_truth\.json, which does not exist"):
        load_x(analysis, use_ground_truth=True)


@pytest.mark.parametrize("place", ["X-data/analysis", "X-data", "X"])
def test_paths(analysis, place):
    write(analysis.parent, "2_ground_truth", {"a": "T"})
    spec = DatasetSpec("mine", analysis.parents[1] / place)
    features = load_published(spec, Path("/nowhere"), use_ground_truth=True).features
    assert features.dataset == "mine"
    assert features.labels == ("T", None, None)


def test_a_path_without_published_features(analysis):
    with pytest.raises(ConfigError, match=r"no names\.json in .*nothing or .*nothing/analysis or"):
        load_published(DatasetSpec("mine", analysis / "nothing"), Path("/nowhere"))
    (analysis / "names.json").unlink()
    with pytest.raises(ConfigError, match=r"there is no names\.json in"):
        load_x(analysis)


def save(rows: object) -> object:
    return lambda folder: np.save(folder / "embeddings.npy", rows)


def put(name: str, content: object) -> object:
    return lambda folder: write(folder, name, content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(save(np.zeros((2, 2))), r"shape \(2, 2\) and names\.json names 3", id="rows"),
        pytest.param(save(np.zeros(3)), r"shape \(3,\)", id="one dimension"),
        pytest.param(save(np.zeros((3, 0))), r"shape \(3, 0\)", id="no dimension"),
        pytest.param(save(np.zeros((3, 2), int)), "holds int64; wanted is one array of floating", id="integers"),
        pytest.param(save(np.array([[None, 1]] * 3)), "as a NumPy array", id="objects need pickle"),
        pytest.param(lambda f: (f / "embeddings.npy").write_bytes(b""), "as a NumPy array", id="empty file"),
        pytest.param(lambda f: (f / "embeddings.npy").write_text("junk"), "as a NumPy array", id="junk"),
        pytest.param(
            lambda f: (f / "embeddings.npy").write_bytes((f / "embeddings.npy").read_bytes()[:-4]),
            "as a NumPy array",
            id="truncated",
        ),
        pytest.param(lambda f: (f / "embeddings.npy").unlink(), "neither embeddings.* nor hashes", id="neither"),
        pytest.param(put("names", ["a", "b", "a"]), "1 names more than once .*'a'", id="repeated name"),
        pytest.param(put("names", {"a": 1}), "wanted is a list of image names", id="names as object"),
        pytest.param(put("names", ["a", "", "c"]), "entry 2 is ''", id="empty name"),
        pytest.param(put("labels", ["x"]), "1 classes for 3 listed names", id="labels"),
        pytest.param(put("hashes", ["00"]), "1 hashes and names.json names 3", id="hashes"),
        pytest.param(put("hashes", ["00", None, "00"]), "no list of hashes", id="null hash"),
        pytest.param(put("hashes", ["zz" * 8] * 3), "hashes.json: hash 'zz", id="not hexadecimal"),
    ],
)
def test_what_does_not_fit_is_refused(analysis, spoil, message):
    spoil(analysis)
    with pytest.raises(DatasetError, match=message):
        load_x(analysis)


@pytest.mark.parametrize(("name", "count"), [("ArtDL", 1864), ("ICONCLASS", 592), ("wikidata", 718)])
def test_published_artworks(shared_data, name, count):
    published = load_published(DatasetSpec(name), shared_data / "art_published")
    features = published.features
    stored = np.load(shared_data / f"art_published/dataset/{name}-data/analysis/embeddings.npy")
    np.testing.assert_array_equal(features.embeddings, stored.astype(np.float32))
    assert features.embeddings.shape == (count, 512)
    assert features.hashes.shape == (count, 8) and published.n_bits == 64
    assert set(features.labels) <= set(features.class_names)
    assert published.notices == () and features.failures == ()
    truth = load_published(DatasetSpec(name), shared_data / "art_published", use_ground_truth=True).features
    assert truth.labels == features.labels
