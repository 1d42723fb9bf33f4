"""Where does each image lie on a plane on which like images lie together?

t-SNE and UMAP both start from one exact neighbour graph, made once by the caller, and from one initialisation, the
first two principal components of the embedding rows. Such a start keeps the large-scale arrangement (Kobak and
Linderman, "Initialization is critical for preserving global data structure in both t-SNE and UMAP", Nature
Biotechnology 2021) and needs no eigenvectors of the graph, which a graph in several pieces does not have. The cost: the
rows must be at hand.

The same graph, rows, config and library versions give the same coordinates bit for bit, whatever the number of threads:
t-SNE divides its points among threads but adds up in a fixed order, UMAP optimises in one thread, and the principal
components are computed in one.

Shapes: n images, d dimensions, k neighbours.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.config import PROJECTIONS, ProjectionConfig
from overlens.errors import ConfigError
from overlens.records import FloatRows
from overlens.search.neighbours import NeighbourGraph

METHOD_NAMES = {"tsne": "t-SNE", "umap": "UMAP"}
MIN_IMAGES = (
    5  # with four images t-SNE's perplexity would be 1: every point has one neighbour and the plane says nothing
)
FFT_FROM_IMAGES = 10_000  # openTSNE's own border; below it Barnes-Hut is faster (3,000 images: 9 s against 27 s)
# Threads wait for one another at every step: below this they gain little, and lose much when other work needs the cores
# (1,000 images on two busy cores: 5 s with one thread, 31 s with two; 3,000 on two idle ones: 18 s against 9 s).
THREADS_FROM_IMAGES = 2_000
PCA_TILE_ROWS = 4096
NEIGHBOURS_PER_PERPLEXITY = 3  # van der Maaten, "Accelerating t-SNE using tree-based algorithms", JMLR 2014
UMAP_MIN_DIST = 0.1
TSNE_START = 1e-4  # the usual standard deviation of a start: small enough for the first forces to be linear


@dataclass(frozen=True, slots=True)
class Projection:
    """Images on a plane.

    Attributes:
        method: "tsne" or "umap".
        coordinates: `(n, 2)` float32, finite. Distances mean "more or less alike"; the axes have no unit.
        notes: Sentences about values that had to be adjusted to the number of images.
        parameters: What was used in the end, by name.
    """

    method: str
    coordinates: FloatRows
    notes: tuple[str, ...] = ()
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.coordinates.ndim != 2 or self.coordinates.shape[1] != 2 or self.coordinates.dtype != np.float32:
            shape, dtype = self.coordinates.shape, self.coordinates.dtype
            raise ValueError(f"coordinates must be (n, 2) float32, got {dtype} of shape {shape}")
        if not np.isfinite(self.coordinates).all():
            raise ValueError(f"coordinates of {self.method} must be finite")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A projection that was not made, and why."""

    method: str
    reason: str


def neighbours_needed(n_images: int, config: ProjectionConfig) -> int:
    """Return how many neighbours of each image one graph must hold for every method in `config`.

    t-SNE looks at three times its perplexity, UMAP at `n_neighbors` of which the image itself is one. Never more than
    `n_images - 1`; 0 if there are too few images to project.
    """
    if n_images < MIN_IMAGES or not config.methods:
        return 0
    return max(_neighbours_of(method, n_images, config) for method in config.methods)


def project(
    graph: NeighbourGraph, rows: FloatRows, method: str, config: ProjectionConfig, *, n_threads: int = 0
) -> Projection | Skipped:
    """Lay the images out on a plane.

    Args:
        graph: The exact neighbours of every row, at least `neighbours_needed(n, config)` of them.
        rows: `(n, d)` float32 embedding rows; only the initialisation reads them, tile by tile.
        method: "tsne" or "umap".
        config: Perplexity, number of neighbours and seed.
        n_threads: Cores that t-SNE may use from 2,000 images on, 0 for all; changes the time, not the result.

    Returns:
        The projection, with a note for each value that was adjusted to the number of images; or `Skipped` for fewer
        than five images.

    Raises:
        ConfigError: The method is unknown.
        ValueError: The graph and the rows do not belong together, or the graph has too few neighbours.
    """
    if method not in PROJECTIONS:
        raise ConfigError(f"--projections {method!r} is not known; allowed: {', '.join(PROJECTIONS)}")
    n = len(rows)
    if n < MIN_IMAGES:
        return Skipped(method, f"{METHOD_NAMES[method]} needs at least {MIN_IMAGES} images, there are {n}")
    n_neighbours = _neighbours_of(method, n, config)
    _require_fitting(graph, n, n_neighbours)
    indices = np.ascontiguousarray(graph.indices[:, :n_neighbours])
    # Rounding may leave a similarity just above 1; a distance below 0 would be meaningless to both methods.
    distances = np.maximum(np.float32(0), np.float32(1) - graph.similarities[:, :n_neighbours])
    start = principal_start(rows, config.seed)
    if method == "tsne":
        return _project_tsne(indices, distances, start, config, (n_threads or -1) if n >= THREADS_FROM_IMAGES else 1)
    return _project_umap(indices, distances, start, config)


def principal_start(rows: FloatRows, seed: int) -> NDArray[np.float64]:
    """Return the first two principal components, scaled so that the first has a standard deviation of 1.

    A little noise (standard deviation 0.01) drawn from `seed` sets equal rows apart, because points on one spot push
    each other in no direction. Where all rows are equal, only the noise is left.

    Args:
        rows: `(n, d)` float32.
        seed: Any integer >= 0.

    Returns:
        `(n, 2)` float64.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # the order of additions in BLAS depends on its number of threads
        components = _principal_components(rows)
    spread = components[:, 0].std()
    scaled = components / spread if spread > 1e-6 else np.zeros_like(components)
    return scaled + 0.01 * np.random.default_rng(seed).standard_normal(scaled.shape)


def _principal_components(rows: FloatRows) -> NDArray[np.float64]:
    n, dim = rows.shape
    tiles = [slice(start, start + PCA_TILE_ROWS) for start in range(0, n, PCA_TILE_ROWS)]
    mean = sum((rows[tile].sum(axis=0, dtype=np.float64) for tile in tiles), np.zeros(dim)) / n
    scatter = np.zeros((dim, dim))
    for tile in tiles:
        centred = rows[tile].astype(np.float64) - mean
        scatter += centred.T @ centred
    axes = np.zeros((dim, 2))
    n_axes = min(2, dim)
    axes[:, :n_axes] = np.linalg.eigh(scatter)[1][:, ::-1][:, :n_axes]
    # An eigenvector's sign is arbitrary: let its largest entry be positive.
    signs = np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    return np.concatenate([(rows[tile].astype(np.float64) - mean) @ (axes * signs) for tile in tiles])


def _project_tsne(
    indices: NDArray[np.int32],
    distances: FloatRows,
    start: NDArray[np.float64],
    config: ProjectionConfig,
    n_jobs: int,
) -> Projection:
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    n, k = indices.shape
    perplexity = min(config.perplexity, k / NEIGHBOURS_PER_PERPLEXITY)
    known = PrecomputedNeighbors(indices, distances.astype(np.float64))
    affinities = PerplexityBasedNN(knn_index=known, perplexity=perplexity, n_jobs=n_jobs)
    gradient = "fft" if n >= FFT_FROM_IMAGES else "bh"
    options = {"negative_gradient_method": gradient, "n_jobs": n_jobs}
    embedding = TSNEEmbedding(TSNE_START * start, affinities, **options).optimize(
        n_iter=250, exaggeration=12, momentum=0.5
    )
    notes = []
    if perplexity < config.perplexity:
        notes.append(f"perplexity lowered from {config.perplexity:g} to {perplexity:.3g} for {n} images")
    if np.std(embedding) < TSNE_START:
        embedding = TSNEEmbedding(TSNE_START * start, affinities, **options)
        notes.append("early exaggeration left out, because it drew all images into one point")
    embedding = embedding.optimize(n_iter=500, exaggeration=1, momentum=0.8)
    parameters = {"perplexity": perplexity, "gradient": gradient, "neighbours": k}
    return _finish("tsne", np.asarray(embedding), notes, parameters | _common_parameters(config))


def _project_umap(
    indices: NDArray[np.int32], distances: FloatRows, start: NDArray[np.float64], config: ProjectionConfig
) -> Projection:
    fuzzy_simplicial_set, simplicial_set_embedding, find_ab_params = _load_umap()
    n, k = len(indices), indices.shape[1] + 1
    # UMAP counts an image as its own first neighbour.
    own = np.arange(n, dtype=np.int32)[:, None]
    indices, distances = np.hstack([own, indices]), np.hstack([np.zeros((n, 1), np.float32), distances])
    random = np.random.RandomState(np.random.MT19937(config.seed))  # the kind of generator that UMAP takes
    shape = np.zeros((n, 1), np.float32)  # with given neighbours and a given start UMAP only counts the rows
    strengths = fuzzy_simplicial_set(shape, k, random, "precomputed", knn_indices=indices, knn_dists=distances)[0]
    a, b = find_ab_params(1.0, UMAP_MIN_DIST)
    embedding, _ = simplicial_set_embedding(
        shape,
        strengths,
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=None,
        init=start,
        random_state=random,
        metric="precomputed",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        parallel=False,
    )
    notes = [] if k >= config.n_neighbors else [f"neighbours lowered from {config.n_neighbors} to {k} for {n} images"]
    parameters: dict[str, float | int | str] = {"n_neighbors": k, "min_dist": UMAP_MIN_DIST}
    return _finish("umap", embedding, notes, parameters | _common_parameters(config))


def _load_umap() -> tuple[Any, Any, Any]:
    with warnings.catch_warnings():
        # It says on import that TensorFlow, which only its parametric variant needs, is not installed.
        warnings.simplefilter("ignore", ImportWarning)
        from umap.umap_ import find_ab_params, fuzzy_simplicial_set, simplicial_set_embedding
    return fuzzy_simplicial_set, simplicial_set_embedding, find_ab_params


def _neighbours_of(method: str, n_images: int, config: ProjectionConfig) -> int:
    wanted = math.ceil(NEIGHBOURS_PER_PERPLEXITY * config.perplexity) if method == "tsne" else config.n_neighbors - 1
    return min(n_images - 1, wanted)


def _require_fitting(graph: NeighbourGraph, n: int, k: int) -> None:
    if len(graph.indices) != n:
        raise ValueError(f"the graph has {len(graph.indices)} rows, the embeddings {n}")
    if graph.indices.shape[1] < k:
        raise ValueError(f"the graph has {graph.indices.shape[1]} neighbours, {k} are needed")


def _common_parameters(config: ProjectionConfig) -> dict[str, float | int | str]:
    return {"seed": config.seed, "distance": "1 - cosine, at least 0", "start": "principal components"}


def _finish(
    method: str, embedding: NDArray[np.floating], notes: list[str], parameters: dict[str, float | int | str]
) -> Projection:
    centred = embedding - embedding.mean(axis=0)
    return Projection(method, np.ascontiguousarray(centred, dtype=np.float32), tuple(notes), parameters)
