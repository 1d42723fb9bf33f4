import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from overlens.config import ProjectionConfig
from overlens.errors import ConfigError
from overlens.projections.methods import (
    MIN_IMAGES,
    Projection,
    ProjectionTable,
    Skipped,
    neighbours_needed,
    project,
)
from overlens.projections.principal import principal_start
from overlens.search.neighbours import NeighbourGraph, find_nearest

CONFIG = ProjectionConfig(seed=3)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def graph_of(rows: np.ndarray, config: ProjectionConfig = CONFIG) -> NeighbourGraph:
    return find_nearest(rows, k=neighbours_needed(len(rows), config))


def lay_out(rows: np.ndarray, method: str, config: ProjectionConfig = CONFIG, **options) -> Projection | Skipped:
    return project(graph_of(rows, config), principal_start(rows, config.seed), method, config, **options)


def clusters(n_each: int, n_clusters: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return unit_rows(
        np.repeat(np.eye(16)[:n_clusters], n_each, axis=0) + 0.05 * rng.standard_normal((n_each * n_clusters, 16))
    )


@pytest.mark.parametrize(
    ("n", "config", "expected"),
    [
        (1000, ProjectionConfig(), 90),
        (1000, ProjectionConfig(methods=("umap",)), 14),
        (1000, ProjectionConfig(perplexity=30.5), 92),
        (1000, ProjectionConfig(perplexity=2, n_neighbors=40), 39),
        (60, ProjectionConfig(), 59),
        (4, ProjectionConfig(), 0),
        (1000, ProjectionConfig(methods=()), 0),
    ],
    ids=["tsne rules", "umap only", "fraction rounds up", "umap rules", "all others", "too few", "no method"],
)
def test_neighbours_needed_serve_every_method(n, config, expected):
    assert neighbours_needed(n, config) == expected


@pytest.mark.parametrize("method", ["tsne", "umap"])
@pytest.mark.parametrize("n", range(1, MIN_IMAGES))
def test_too_few_images_are_a_stated_skip(method, n):
    rows = unit_rows(np.ones((n, 4)))
    graph = NeighbourGraph(np.zeros((n, 0), np.int32), np.zeros((n, 0), np.float32))
    result = project(graph, principal_start(rows, 0), method, CONFIG)
    assert isinstance(result, Skipped)
    assert f"at least {MIN_IMAGES} images, there are {n}" in result.reason


def small_sets() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    random = rng.standard_normal((20, 8))
    return {
        "five": random[:5],
        "twenty": random,
        "identical": np.ones((7, 8)),
        "duplicates": random[rng.integers(0, 4, 18)],
        "pieces": np.repeat(np.eye(8)[:4], 5, axis=0),
        "one dimension": np.ones((6, 1)),
        "line": np.outer(np.arange(1, 9), np.ones(8)) + np.eye(8)[0],
    }


@pytest.mark.parametrize("method", ["tsne", "umap"])
@pytest.mark.parametrize("rows", small_sets().values(), ids=small_sets().keys())
def test_small_and_degenerate_sets_give_finite_coordinates(method, rows):
    rows = unit_rows(rows)
    result = lay_out(rows, method)
    assert isinstance(result, Projection)
    assert result.coordinates.shape == (len(rows), 2)
    assert np.isfinite(result.coordinates).all()


def test_equal_images_lie_together_while_different_ones_do_not():
    rows = unit_rows(small_sets()["twenty"])
    result = lay_out(rows, "tsne")
    assert np.ptp(result.coordinates, axis=0).min() > 1


def test_lowered_values_are_stated():
    rows = clusters(4)
    tsne, umap = (lay_out(rows, method) for method in ("tsne", "umap"))
    assert "perplexity lowered from 30 to 3.67 for 12 images" in tsne.notes
    assert "neighbours lowered from 15 to 12 for 12 images" in umap.notes
    assert tsne.parameters["perplexity"] == pytest.approx(11 / 3)


def test_a_step_that_was_left_out_is_a_detail_and_no_note():
    result = lay_out(unit_rows(small_sets()["twenty"]), "tsne")
    assert any("early exaggeration" in detail for detail in result.details)
    assert not any("early exaggeration" in note for note in result.notes)


def test_a_table_has_a_row_an_image():
    points = np.array([[0.5, -1], [2, 3]], np.float32)
    frame = ProjectionTable(
        "combined", "umap", ("a", "b"), ("x.jpg", "y.jpg"), ("cat", "unlabelled"), points
    ).to_pandas()
    assert list(frame.columns) == ["dataset", "name", "label", "x", "y"]
    assert frame.to_numpy().tolist() == [["a", "x.jpg", "cat", 0.5, -1.0], ["b", "y.jpg", "unlabelled", 2.0, 3.0]]


def test_a_table_without_images_keeps_its_columns():
    frame = ProjectionTable("a", "tsne", (), (), (), np.zeros((0, 2), np.float32)).to_pandas()
    assert list(frame.columns) == ["dataset", "name", "label", "x", "y"] and frame.empty


def test_a_table_of_unequal_columns_is_refused():
    with pytest.raises(ValueError, match=r"equally long, got lengths \[1, 2\]"):
        ProjectionTable("a", "tsne", ("a",), ("x",), ("cat",), np.zeros((2, 2), np.float32))


def test_enough_images_need_no_note():
    rows = clusters(40)
    config = ProjectionConfig(perplexity=10)
    assert all(lay_out(rows, method, config).notes == () for method in ("tsne", "umap"))


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_the_same_input_gives_the_same_bytes(method):
    rows = clusters(10)
    first, again = (lay_out(rows, method).coordinates for _ in range(2))
    assert first.tobytes() == again.tobytes()


@pytest.mark.slow  # two threads on busy cores wait for one another
def test_coordinates_do_not_depend_on_threads(monkeypatch):
    monkeypatch.setattr("overlens.projections.methods.THREADS_FROM_IMAGES", 10)
    rows = clusters(10)
    one, two = (lay_out(rows, "tsne", n_threads=n).coordinates for n in (1, 2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_seed_changes_coordinates(method):
    rows = clusters(10)
    first, second = (lay_out(rows, method, ProjectionConfig(seed=seed)) for seed in (0, 1))
    assert not np.array_equal(first.coordinates, second.coordinates)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_clusters_stay_apart(method):
    rows = clusters(40)
    config = ProjectionConfig(perplexity=10)
    points = lay_out(rows, method, config).coordinates
    group = np.repeat(np.arange(3), 40)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (group[distances.argmin(axis=1)] == group).mean() > 0.98


def test_extra_neighbours_change_nothing():
    rows = clusters(30)
    config = ProjectionConfig(perplexity=5)
    start = principal_start(rows, 0)
    exact = project(find_nearest(rows, k=15), start, "tsne", config)
    more = project(find_nearest(rows, k=40), start, "tsne", config)
    assert np.array_equal(exact.coordinates, more.coordinates)


def test_a_graph_with_too_few_neighbours_is_refused():
    rows = clusters(30)
    with pytest.raises(ValueError, match="has 3 neighbours, 89 are needed"):
        project(find_nearest(rows, k=3), principal_start(rows, 0), "tsne", CONFIG)


def test_a_graph_of_other_rows_is_refused():
    rows = clusters(5)
    with pytest.raises(ValueError, match="graph has 15 rows, the start 14"):
        project(graph_of(rows), principal_start(rows[:14], 0), "umap", CONFIG)


def test_an_unknown_method_lists_the_known_ones():
    rows = clusters(5)
    with pytest.raises(ConfigError, match="'pca' is not known; allowed: tsne, umap"):
        lay_out(rows, "pca")


def test_import_loads_no_heavy_library():
    heavy = ["numba", "openTSNE", "umap", "sklearn", "scipy", "matplotlib", "plotly"]
    code = "import sys, json, overlens.projections.methods, overlens.report.plotly_page, overlens.report.venn\n"
    code += f"print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    assert json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) == []


@pytest.mark.slow
def test_real_artworks_keep_their_neighbourhoods(shared_data: Path):
    folder = shared_data / "art_published" / "dataset" / "wikidata-data" / "analysis"
    rows = unit_rows(np.load(folder / "embeddings.npy").astype(np.float32))
    graph = graph_of(rows)
    for method in ("tsne", "umap"):
        points = lay_out(rows, method).coordinates
        distances = np.linalg.norm(points[:, None] - points[None], axis=2)
        np.fill_diagonal(distances, np.inf)
        near = np.argsort(distances, axis=1)[:, :10]
        kept = np.mean([len(np.intersect1d(near[i], graph.indices[i, :10])) for i in range(len(rows))]) / 10
        assert kept > 0.3, method  # by chance it would be 0.014
