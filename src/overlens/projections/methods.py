"""Where does each image lie on a plane on which like images lie together?

t-SNE and UMAP both start from one exact neighbour graph, made once by the caller, and from one initialisation, the
first two principal components of the embedding rows. Such a start keeps the large-scale arrangement (Kobak and
Linderman, "Initialization is critical for preserving global data structure in both t-SNE and UMAP", Nature
Biotechnology 2021) and needs no eigenvectors of the graph, which a graph in several pieces does not have. The cost: the
rows must be read once more.

The same graph, start, config and library versions give the same coordinates bit for bit, whatever the number of
threads: t-SNE divides its points among threads but adds up in a fixed order, and UMAP optimises in one thread.

Shapes: n images, d dimensions, k neighbours.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.config import PROJECTIONS, ProjectionConfig
from overlens.errors import ConfigError
from overlens.frames import make_frame
from overlens.projections.fuzzy_graph import weigh_neighbours
from overlens.records import FloatRows
from overlens.search.neighbours import NeighbourGraph

if TYPE_CHECKING:
    import pandas

METHOD_NAMES = {"tsne": "t-SNE", "umap": "UMAP"}
# With four images t-SNE's perplexity would be 1: every point has one neighbour and the plane says nothing.
MIN_IMAGES = 5
FFT_FROM_IMAGES = 10_000  # openTSNE's own border; below it Barnes-Hut is faster (3,000 images: 9 s against 27 s)
# Threads wait for one another at every step: below this they gain little, and lose much when other work needs the cores
# (1,000 images on two busy cores: 5 s with one thread, 31 s with two; 3,000 on two idle ones: 18 s against 9 s).
THREADS_FROM_IMAGES = 2_000
NEIGHBOURS_PER_PERPLEXITY = 3  # van der Maaten, "Accelerating t-SNE using tree-based algorithms", JMLR 2014
UMAP_MIN_DIST = 0.1
UMAP_OPTIONS: dict[str, Any] = {
    "n_components": 2,
    "initial_alpha": 1.0,
    "gamma": 1.0,
    "negative_sample_rate": 5,
    "n_epochs": None,
    "metric": "precomputed",
    "metric_kwds": {},
    "densmap": False,
    "densmap_kwds": {},
    "output_dens": False,
    "parallel": False,
}
TSNE_START = 1e-4  # the usual standard deviation of a start: small enough for the first forces to be linear


@dataclass(frozen=True, slots=True)
class Projection:
    """Images on a plane.

    Attributes:
        method: "tsne" or "umap".
        coordinates: `(n, 2)` float32, finite. Distances mean "more or less alike"; the axes have no unit.
        notes: Sentences about options of the user that had to be adjusted to the number of images.
        details: Sentences about steps that the method left out; they belong below the picture, not before the user.
        parameters: What was used in the end, by name.
    """

    method: str
    coordinates: FloatRows
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
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


@dataclass(frozen=True, slots=True)
class ProjectionTable:
    """Where each image of a picture lies; row i of every column is one image.

    Attributes:
        scope: Name of the dataset, or "combined" for all of them.
        method: "tsne" or "umap".
        datasets: Dataset of each image.
        keys: Name of each image.
        labels: Label of each image as people should read it.
        coordinates: `(n, 2)` float32.
    """

    scope: str
    method: str
    datasets: tuple[str, ...]
    keys: tuple[str, ...]
    labels: tuple[str, ...]
    coordinates: FloatRows

    def __post_init__(self) -> None:
        lengths = {len(self.datasets), len(self.keys), len(self.labels), len(self.coordinates)}
        if len(lengths) > 1:
            raise ValueError(f"the columns of a projection must be equally long, got lengths {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.keys)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the columns `dataset, name, label, x, y`; raises MissingExtraError if pandas is not installed."""
        rows = zip(self.datasets, self.keys, self.labels, *self.coordinates.T.tolist(), strict=True)
        return make_frame(rows, ["dataset", "name", "label", "x", "y"])


def neighbours_needed(n_images: int, config: ProjectionConfig) -> int:
    """Return how many neighbours of each image one graph must hold for every method in `config`.

    t-SNE looks at three times its perplexity, UMAP at `n_neighbors` of which the image itself is one. Never more than
    `n_images - 1`; 0 if there are too few images to project.
    """
    if n_images < MIN_IMAGES or not config.methods:
        return 0
    return max(_neighbours_of(method, n_images, config) for method in config.methods)


def project(
    graph: NeighbourGraph, start: NDArray[np.float64], method: str, config: ProjectionConfig, *, n_threads: int = 0
) -> Projection | Skipped:
    """Lay the images out on a plane.

    Args:
        graph: The exact neighbours of every image, at least `neighbours_needed(n, config)` of them.
        start: `(n, 2)` float64 places to start from, as `overlens.projections.principal.principal_start` gives them.
        method: "tsne" or "umap".
        config: Perplexity, number of neighbours and seed.
        n_threads: Cores that t-SNE may use from 2,000 images on, 0 for all; changes the time, not the result.

    Returns:
        The projection, with a note for each value that was adjusted to the number of images; or `Skipped` for fewer
        than five images.

    Raises:
        ConfigError: The method is unknown.
        ValueError: The graph and the start do not belong together, or the graph has too few neighbours.
    """
    if method not in PROJECTIONS:
        raise ConfigError(f"--projections {method!r} is not known; allowed: {', '.join(PROJECTIONS)}")
    n = len(start)
    if n < MIN_IMAGES:
        return Skipped(method, f"{METHOD_NAMES[method]} needs at least {MIN_IMAGES} images, there are {n}")
    n_neighbours = _neighbours_of(method, n, config)
    _require_fitting(graph, n, n_neighbours)
    indices = np.ascontiguousarray(graph.indices[:, :n_neighbours])
    # Rounding may leave a similarity just above 1; a distance below 0 would be meaningless to both methods.
    distances = np.maximum(np.float32(0), np.float32(1) - graph.similarities[:, :n_neighbours])
    if method == "tsne":
        return _project_tsne(indices, distances, start, config, (n_threads or -1) if n >= THREADS_FROM_IMAGES else 1)
    return _project_umap(indices, distances, start, config)


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
    details = []
    if np.std(embedding) < TSNE_START:
        embedding = TSNEEmbedding(TSNE_START * start, affinities, **options)
        details.append("early exaggeration left out, because it drew all images into one point")
    embedding = embedding.optimize(n_iter=500, exaggeration=1, momentum=0.8)
    notes = []
    if perplexity < config.perplexity:
        notes.append(f"perplexity lowered from {config.perplexity:g} to {perplexity:.3g} for {n} images")
    parameters = {"perplexity": perplexity, "gradient": gradient, "neighbours": k} | _common_parameters(config)
    return Projection("tsne", _centred(embedding), tuple(notes), tuple(details), parameters)


def _project_umap(
    indices: NDArray[np.int32], distances: FloatRows, start: NDArray[np.float64], config: ProjectionConfig
) -> Projection:
    optimise, find_ab_params = _load_umap()
    n, k = len(indices), indices.shape[1] + 1  # UMAP counts an image as its own first neighbour
    random = np.random.RandomState(np.random.MT19937(config.seed))  # the kind of generator that UMAP takes
    a, b = find_ab_params(1.0, UMAP_MIN_DIST)
    weights = weigh_neighbours(indices, distances)
    # With a given start it never looks at the data that it asks for first.
    embedding, _ = optimise(None, weights, a=a, b=b, init=start, random_state=random, **UMAP_OPTIONS)
    notes = [] if k >= config.n_neighbors else [f"neighbours lowered from {config.n_neighbors} to {k} for {n} images"]
    parameters: dict[str, float | int | str] = {"n_neighbors": k, "min_dist": UMAP_MIN_DIST}
    return Projection("umap", _centred(embedding), tuple(notes), (), parameters | _common_parameters(config))


def _load_umap() -> tuple[Any, Any]:
    with warnings.catch_warnings():
        # It says on import that TensorFlow, which only its parametric variant needs, is not installed.
        warnings.simplefilter("ignore", ImportWarning)
        from umap.umap_ import find_ab_params, simplicial_set_embedding
    return simplicial_set_embedding, find_ab_params


def _neighbours_of(method: str, n_images: int, config: ProjectionConfig) -> int:
    wanted = math.ceil(NEIGHBOURS_PER_PERPLEXITY * config.perplexity) if method == "tsne" else config.n_neighbors - 1
    return min(n_images - 1, wanted)


def _require_fitting(graph: NeighbourGraph, n: int, k: int) -> None:
    if len(graph.indices) != n:
        raise ValueError(f"the graph has {len(graph.indices)} rows, the start {n}")
    if graph.indices.shape[1] < k:
        raise ValueError(f"the graph has {graph.indices.shape[1]} neighbours, {k} are needed")


def _common_parameters(config: ProjectionConfig) -> dict[str, float | int | str]:
    return {"seed": config.seed, "distance": "1 - cosine, at least 0", "start": "principal components"}


def _centred(embedding: NDArray[np.floating]) -> FloatRows:
    points = np.asarray(embedding)
    return np.ascontiguousarray(points - points.mean(axis=0), dtype=np.float32)
