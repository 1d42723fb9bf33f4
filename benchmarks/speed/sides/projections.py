"""Rows to maps on the plane: t-SNE and UMAP from one exact graph of neighbours, and each library by its defaults."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from speed.records import Answer

Job = Callable[[], Answer]

WARM_ROWS = 600


def project_overlens(folder: Path, *, own: str, **_: Any) -> Job:
    """Find the neighbours once and draw both maps, as `overlens compute` does."""
    from overlens.config import ProjectionConfig
    from overlens.projections.methods import neighbours_needed, project
    from overlens.projections.principal import principal_start
    from overlens.search import find_nearest

    all_rows = np.load(folder / "rows.npy")
    config = ProjectionConfig()

    def job(rows: np.ndarray = all_rows) -> Answer:
        graph = find_nearest(rows, k=neighbours_needed(len(rows), config))
        start = principal_start(rows, config.seed)
        files = {}
        for method, name in (("tsne", "t-SNE"), ("umap", "UMAP")):
            found = project(graph, start, method, config)
            np.save(Path(own) / f"{method}.npy", found.coordinates)
            files[name] = f"{method}.npy"
        return Answer("both maps", files=files)

    job(all_rows[:WARM_ROWS])
    return job


def project_apart(folder: Path, *, own: str, **_: Any) -> Job:
    """Draw UMAP by umap-learn's defaults; of openTSNE count only the optimisation, not its neighbours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP
    from openTSNE import TSNEEmbedding, affinity, initialization

    all_rows = np.load(folder / "rows.npy")

    def job(rows: np.ndarray = all_rows) -> Answer:
        start = time.perf_counter()
        np.save(Path(own) / "umap.npy", UMAP(metric="cosine").fit_transform(rows))
        umap_s = time.perf_counter() - start
        near = affinity.PerplexityBasedNN(rows, perplexity=30, metric="cosine", n_jobs=-1)
        begin = initialization.pca(rows)
        start = time.perf_counter()
        gradient = "fft" if len(rows) >= 10_000 else "bh"  # the library's own choice
        embedding = TSNEEmbedding(begin, near, negative_gradient_method=gradient, n_jobs=-1)
        embedding = embedding.optimize(n_iter=250, exaggeration=12, momentum=0.5).optimize(n_iter=500, momentum=0.8)
        tsne_s = time.perf_counter() - start
        np.save(Path(own) / "tsne.npy", np.asarray(embedding))
        numbers = {"umap_s": umap_s, "tsne_s": tsne_s}
        return Answer("both maps", numbers, {"t-SNE": "tsne.npy", "UMAP": "umap.npy"}, seconds=umap_s + tsne_s)

    job(all_rows[:WARM_ROWS])
    return job
