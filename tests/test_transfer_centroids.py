"""Transfer figures equal their definitions, computed the long way."""

import json

import numpy as np
import pytest

from overlens.config import DatasetSpec
from overlens.errors import DatasetError
from overlens.records import Features
from overlens.sources import load_published
from overlens.transfer import centroids
from overlens.transfer.centroids import measure_transfer


def make_features(name: str, labels: list[str | None], *, seed: int = 0, dim: int = 6, **fields: object) -> Features:
    rows = np.random.default_rng(seed).normal(size=(len(labels), dim)) + 1.0
    return from_rows(name, rows / np.linalg.norm(rows, axis=1, keepdims=True), labels, **fields)


def from_rows(name: str, rows: object, labels: list[str | None], **fields: object) -> Features:
    keys = tuple(str(i) for i in range(len(labels)))
    return Features(name, keys, tuple(labels), embeddings=np.asarray(rows, np.float32), **fields)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def rows_of(features: Features, class_id: str) -> np.ndarray:
    return features.embeddings[[label == class_id for label in features.labels]].astype(np.float64)


@pytest.fixture(params=[3, 2048], ids=["tiles of 3", "one tile"])
def pair(request, monkeypatch) -> tuple[Features, Features]:
    """Source with classes a, b, c, d and target with b, c, d, e, both with images without a class."""
    monkeypatch.setattr(centroids, "_ROWS_AT_ONCE", request.param)
    monkeypatch.setattr(centroids, "_CLASSES_AT_ONCE", 2 if request.param == 3 else 256)
    source = make_features("S", ["d", None, "b", "a", "c", "c", "b", "d", "b", None], seed=1, class_names={"b": "Bee"})
    target = make_features("T", ["e", "b", "b", None, "c", "d", "d", "d", "e"], seed=2, class_names={"c": "Sea"})
    return source, target


def test_figures_follow_their_definitions(pair):
    source, target = pair
    result = measure_transfer(source, target)
    centroids = {class_id: rows_of(source, class_id).mean(axis=0) for class_id in "abcd"}
    assert [entry.class_id for entry in result.classes] == ["b", "c", "d"]
    for entry in result.classes:
        there, here = rows_of(source, entry.class_id), rows_of(target, entry.class_id)
        to_each = {class_id: cosine(here.mean(axis=0), centroid) for class_id, centroid in centroids.items()}
        nearest = [max(centroids, key=lambda class_id, row=row: cosine(row, centroids[class_id])) for row in here]
        others = [value for class_id, value in to_each.items() if class_id != entry.class_id]
        assert (entry.n_source, entry.n_target) == (len(there), len(here))
        assert entry.centroid_similarity == pytest.approx(to_each[entry.class_id], abs=1e-12)
        assert entry.mean_similarity == pytest.approx(np.mean([[a @ b for b in here] for a in there]), abs=1e-12)
        assert entry.other_similarity == pytest.approx(np.mean(others), abs=1e-12)
        assert entry.nearest_source_class == max(to_each, key=to_each.get)
        assert entry.n_correct == nearest.count(entry.class_id)


def test_averages_and_sides(pair):
    result = measure_transfer(*pair)
    classes = result.classes
    assert result.n_evaluated == 6
    assert result.class_average.accuracy == pytest.approx(np.mean([entry.accuracy for entry in classes]))
    assert result.image_average.accuracy == pytest.approx(sum(entry.n_correct for entry in classes) / 6)
    weighted = np.average(
        [entry.centroid_similarity for entry in classes], weights=[entry.n_target for entry in classes]
    )
    assert result.image_average.centroid_similarity == pytest.approx(weighted)
    assert (result.source.only_here, result.target.only_here) == (("a",), ("e",))
    assert (result.source.n_unlabelled, result.target.n_unlabelled) == (2, 1)
    assert result.notices == (
        "S: images without a class, left out: 2 of 10",
        "T: images without a class, left out: 1 of 9",
    )
    assert [entry.name for entry in classes] == ["Bee", "Sea", "d"]


def test_tile_size_moves_nothing(monkeypatch):
    source = make_features("S", ["a", "b", "c", None] * 40, seed=3)
    target = make_features("T", ["c", "b", "a", "z"] * 30, seed=4)
    whole = measure_transfer(source, target).to_json()
    monkeypatch.setattr(centroids, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(centroids, "_CLASSES_AT_ONCE", 1)
    assert measure_transfer(source, target).to_json() == whole


def test_listing_order_moves_nothing():
    source = make_features("S", ["a", "b", "c", None] * 40, seed=3)
    target = make_features("T", ["c", "b", "a", "z"] * 30, seed=4)
    order = np.random.default_rng(0).permutation(len(target.keys))
    shuffled = from_rows("T", target.embeddings[order], [target.labels[i] for i in order])
    assert measure_transfer(source, shuffled).to_json() == measure_transfer(source, target).to_json()


def test_a_dataset_transfers_to_itself():
    rows = np.repeat(np.eye(3), 4, axis=0)
    labels = ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    result = measure_transfer(from_rows("S", rows, labels), from_rows("T", rows, labels))
    for average in (result.class_average, result.image_average):
        assert (average.centroid_similarity, average.mean_similarity, average.accuracy) == (1.0, 1.0, 1.0)
        assert average.other_similarity == 0.0


def test_ties_go_to_the_first_class_id():
    source = from_rows("S", [[1, 0], [1, 0]], ["b", "a"])
    result = measure_transfer(source, from_rows("T", [[1, 0], [1, 0]], ["a", "b"]))
    assert [entry.n_correct for entry in result.classes] == [1, 0]
    assert {entry.nearest_source_class for entry in result.classes} == {"a"}


def test_no_common_class():
    result = measure_transfer(make_features("S", ["Cat", "x"]), make_features("T", ["cat"]))
    document = result.to_json()
    assert document["n_common_classes"] == document["n_evaluated_images"] == 0
    assert set(document["class_average"].values()) == {None}
    assert result.notices == ("S and T have no class in common",)


@pytest.mark.parametrize("labels", [[], [None, None]], ids=["no images", "no classes"])
def test_nothing_to_compare(labels):
    empty = make_features("E", labels)
    other = make_features("O", ["a", "b"])
    assert measure_transfer(empty, other).classes == measure_transfer(other, empty).classes == ()


def test_a_mean_vector_of_zero_has_no_direction():
    source = from_rows("S", [[1, 0], [-1, 0], [0, 1], [1, 0]], ["a", "a", "b", "c"])
    result = measure_transfer(source, from_rows("T", [[-1, 0], [0, 1]], ["a", "b"]))
    first, second = result.classes
    assert first.centroid_similarity is None and first.mean_similarity == 0.0
    assert first.other_similarity == pytest.approx(-0.5)
    assert first.nearest_source_class == "b" and first.n_correct == 0
    assert second.other_similarity == pytest.approx(0.0)
    assert result.class_average.centroid_similarity == 1.0
    assert "classes whose mean vector is zero, hence no similarity: 1 (first: 'a')" in result.notices


def test_a_single_source_class_has_no_others():
    result = measure_transfer(make_features("S", ["a", "a"]), make_features("T", ["a"]))
    assert result.classes[0].other_similarity is None
    assert result.classes[0].accuracy == 1.0


def test_json_is_plain_and_rounded(pair):
    document = measure_transfer(*pair).to_json()
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    for entry in document["classes"]:
        assert entry["accuracy"] == round(entry["n_correct"] / entry["n_target"], 6)
        assert entry["centroid_similarity"] == round(entry["centroid_similarity"], 6)


def test_different_encoders_are_refused():
    with pytest.raises(DatasetError, match="'S' have 6 dimensions, those of 'T' 5"):
        measure_transfer(make_features("S", ["a"]), make_features("T", ["a"], dim=5))


def test_embeddings_are_needed():
    with pytest.raises(ValueError, match="T: transfer needs embeddings"):
        measure_transfer(make_features("S", ["a"]), Features("T", ("0",), ("a",)))


def test_published_artworks(shared_data):
    artdl, iconclass = (
        load_published(DatasetSpec(name), shared_data / "art_published").features for name in ("ArtDL", "ICONCLASS")
    )
    result = measure_transfer(artdl, iconclass)
    common = set(artdl.labels) & set(iconclass.labels)
    assert {entry.class_id for entry in result.classes} == common
    assert result.n_evaluated == sum(label in common for label in iconclass.labels)
    for entry in result.classes:
        there, here = rows_of(artdl, entry.class_id), rows_of(iconclass, entry.class_id)
        assert entry.mean_similarity == pytest.approx(float((there @ here.T).mean()), abs=1e-9)
        assert entry.centroid_similarity > entry.mean_similarity
    assert result.image_average.accuracy > 2 / len(set(artdl.labels))


def test_a_frame_has_a_row_a_common_class_with_every_figure(pair):
    result = measure_transfer(*pair)
    frame = result.to_pandas()
    assert list(frame.columns) == [
        *("source", "target", "class_id", "name", "n_source", "n_target", "centroid_similarity", "mean_similarity"),
        *("other_similarity", "nearest_source_class", "n_correct", "accuracy"),
    ]
    assert frame["class_id"].tolist() == ["b", "c", "d"]
    assert set(frame["source"]) == {"S"} and set(frame["target"]) == {"T"}
    for row, entry in zip(frame.itertuples(), result.classes, strict=True):
        assert (row.name, row.n_source, row.n_correct) == (entry.name, entry.n_source, entry.n_correct)
        assert (row.centroid_similarity, row.accuracy) == (entry.centroid_similarity, entry.accuracy)


def test_a_figure_that_cannot_be_had_is_missing_in_the_frame():
    source = from_rows("S", [[1, 0], [-1, 0], [0, 1]], ["a", "a", "b"])
    frame = measure_transfer(source, from_rows("T", [[1, 0], [0, 1]], ["a", "b"])).to_pandas()
    assert frame["centroid_similarity"].isna().tolist() == [True, False]


def test_a_frame_without_common_classes_keeps_its_columns():
    frame = measure_transfer(make_features("S", ["a"]), make_features("T", ["b"])).to_pandas()
    assert frame.empty and "accuracy" in frame.columns
