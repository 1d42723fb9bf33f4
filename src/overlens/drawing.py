"""The maps of a run and the pictures of generalization: views of its records, drawn into the documented files.

Where images lie on a plane takes longest of all to find, so it is kept: a map of the same rows, options and libraries
is not laid out again, and a picture that shows the same is not drawn again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.analysis import Analysis
from overlens.config import ProjectionConfig
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.notices import tell
from overlens.progress import Progress, Stage
from overlens.projections.kept import laid_out_by, pack_projection, unpack_projection
from overlens.projections.methods import (
    METHOD_NAMES,
    MIN_IMAGES,
    Projection,
    ProjectionTable,
    Skipped,
    neighbours_needed,
    project,
)
from overlens.projections.principal import principal_start
from overlens.records import Features
from overlens.report.colouring import shared_colours
from overlens.report.coordinates import coordinates_csv
from overlens.report.figures import draw_projection, draw_transfer
from overlens.report.plotly_page import projection_page
from overlens.report.style import drawn_by
from overlens.report.views import COLOURINGS, ProjectionView, TransferRow, TransferView, describe_encoder
from overlens.search.neighbours import NeighbourGraph, find_nearest
from overlens.stacked import StackedRows
from overlens.store.fingerprints import fingerprint, rows_fingerprint
from overlens.store.results import Results
from overlens.transfer.centroids import Transfer

COMBINED = "combined"


@dataclass(frozen=True, slots=True)
class _Map:
    """The datasets of one map, alone or together, where its files are, and the colours of classes in the run."""

    group: tuple[Features, ...]
    output: Path
    colours: Mapping[str, str]

    @property
    def is_combined(self) -> bool:
        return len(self.group) > 1

    @property
    def name(self) -> str:
        return "all datasets together" if self.is_combined else self.group[0].dataset

    def kept(self, method: str) -> Path:
        """Where its coordinates are kept."""
        if self.is_combined:
            return CrossLayout(self.output).kept_projection(method)
        return AnalysisLayout(self.output, self.group[0].dataset).kept_projection(method)

    def table(self, method: str) -> Path:
        """Where its coordinates are written for people."""
        if self.is_combined:
            return CrossLayout(self.output).coordinates(method)
        return AnalysisLayout(self.output, self.group[0].dataset).projection(method, "csv")

    def picture(self, method: str, coloured_by: str, suffix: str) -> Path:
        """Where a picture of it is written."""
        if self.is_combined:
            return CrossLayout(self.output).projection(method, coloured_by, suffix)
        return AnalysisLayout(self.output, self.group[0].dataset).projection(method, suffix)


def draw_projections(
    analysis: Analysis, results: Results, progress: Progress
) -> tuple[tuple[ProjectionTable, ...], list[str]]:
    """Draw every dataset, and all of them together, by each projection.

    Returns:
        One table a picture that could be made, and what the user should know.
    """
    methods = analysis.config.projections.methods
    if not methods:
        return (), []
    groups: list[tuple[Features, ...]] = [(features,) for features in analysis.datasets.values()]
    if len(groups) > 1:
        groups.append(tuple(analysis.datasets.values()))
    colours = _class_colours(groups)
    tables: list[ProjectionTable] = []
    notices: list[str] = []
    with progress.stage("Projections", len(groups) * len(methods), "maps") as stage:
        for group in groups:
            drawn, told = _draw_group(analysis, _Map(group, analysis.output, colours), results, (progress, stage))
            tables += drawn
            notices += told
    return tuple(tables), notices


def _class_colours(groups: Sequence[tuple[Features, ...]]) -> dict[str, str]:
    """Choose one colour a class for all maps that colour it."""
    return shared_colours([_class_sizes(group) for group in groups])


def _class_sizes(group: Sequence[Features]) -> dict[str, int]:
    """Count the images of each class of a map, in the order of the names that the map shows."""
    names = _class_names(group)
    sizes = Counter(label for features in group for label in features.labels if label is not None)
    return dict(sorted(sizes.items(), key=lambda one: names.get(one[0], one[0])))


def _class_names(group: Sequence[Features]) -> dict[str, str]:
    # A class is one class, though its datasets may call it by different names: the first one's name is shown.
    return {class_id: name for features in reversed(group) for class_id, name in features.class_names.items()}


def _draw_group(
    analysis: Analysis, wanted: _Map, results: Results, shown: tuple[Progress, Stage]
) -> tuple[list[ProjectionTable], list[str]]:
    config, (_, stage) = analysis.config.projections, shown
    rows = StackedRows([features.require_embeddings() for features in wanted.group])
    if neighbours_needed(len(rows), config) == 0:
        stage.advance(len(config.methods))
        return [], tell(wanted.name, [f"no projection of {len(rows)} images: at least {MIN_IMAGES} are needed"])
    tables: list[ProjectionTable] = []
    notices: list[str] = []
    for result in _lay_out(analysis, wanted, rows, results, shown):
        if isinstance(result, Skipped):
            notices += tell(wanted.name, [f"no {METHOD_NAMES[result.method]} picture: {result.reason}"])
        else:
            notices += tell(wanted.name, result.notes)
            tables.append(_draw_map(analysis, wanted, result, results))
    return tables, notices


class _Ground:
    """What all projections of a map begin with, made when the first needs it."""

    def __init__(self, rows: StackedRows, config: ProjectionConfig, progress: Progress) -> None:
        self._rows, self._config, self._progress = rows, config, progress

    @cached_property
    def graph(self) -> NeighbourGraph:
        """The exact neighbours of every image, as many as any method looks at."""
        with self._progress.timed("Neighbours for projections"):
            return find_nearest(self._rows, k=neighbours_needed(len(self._rows), self._config))

    @cached_property
    def start(self) -> NDArray[np.float64]:
        """Where the images start."""
        with self._progress.timed("Neighbours for projections"):
            return principal_start(self._rows, self._config.seed)


def _lay_out(
    analysis: Analysis, wanted: _Map, rows: StackedRows, results: Results, shown: tuple[Progress, Stage]
) -> Iterator[Projection | Skipped]:
    """Yield one result a method: as it was kept, or laid out now, on one neighbour graph for all that are not."""
    config, (progress, stage) = analysis.config.projections, shown
    content = rows_fingerprint([features.require_embeddings() for features in wanted.group])
    ground = _Ground(rows, config, progress)
    for method in config.methods:
        path, made_of = wanted.kept(method), fingerprint(laid_out_by(), content, method, _options(method, config))
        is_held = results.holds(path, made_of)
        if is_held:
            yield unpack_projection(path.read_bytes())
        else:
            graph, start = ground.graph, ground.start
            with progress.timed(METHOD_NAMES[method]):
                result = project(graph, start, method, config, n_threads=analysis.config.workers)
            if isinstance(result, Projection):
                results.write(path, made_of, partial(pack_projection, result))
            yield result
        stage.advance(int(not is_held), cached=int(is_held))


def _options(method: str, config: ProjectionConfig) -> tuple[float, int]:
    """Return the options that a method depends on."""
    return (config.perplexity if method == "tsne" else config.n_neighbors), config.seed


def _draw_map(analysis: Analysis, wanted: _Map, result: Projection, results: Results) -> ProjectionTable:
    group = wanted.group
    names = _class_names(group)
    present = {label for features in group for label in features.labels}
    table = ProjectionTable(
        COMBINED if wanted.is_combined else group[0].dataset,
        result.method,
        tuple(features.dataset for features in group for _ in features.keys),
        tuple(key for features in group for key in features.keys),
        tuple(label for features in group for label in features.shown_labels(names)),
        result.coordinates,
    )
    view = ProjectionView(
        table.method,
        table.coordinates,
        table.keys,
        table.labels,
        table.datasets,
        "; ".join(dict.fromkeys(features.label_source for features in group)),
        describe_encoder(analysis.model),
        (*result.notes, *result.details),
        {names.get(class_id, class_id): colour for class_id, colour in wanted.colours.items() if class_id in present},
    )
    _write_pictures(view, wanted, results)
    return table


def _write_pictures(view: ProjectionView, wanted: _Map, results: Results) -> None:
    shown = fingerprint(drawn_by(), view)
    results.write(wanted.table(view.method), shown, lambda: coordinates_csv(view).encode())
    for colouring in COLOURINGS if wanted.is_combined else ("label",):
        made_of = fingerprint(shown, colouring)
        page, picture = (wanted.picture(view.method, colouring, suffix) for suffix in ("html", "png"))
        results.write(page, made_of, partial(_page, view, colouring))
        results.write(picture, made_of, partial(draw_projection, view, coloured_by=colouring))


def _page(view: ProjectionView, coloured_by: str) -> bytes:
    return projection_page(view, coloured_by=coloured_by).encode()


def draw_transfers(analysis: Analysis, transfers: Sequence[Transfer], results: Results) -> None:
    """Draw how alike the common classes are, for each ordered pair of datasets."""
    layout = CrossLayout(analysis.output)
    for transfer in transfers:
        source, target = transfer.source, transfer.target
        rows = tuple(
            TransferRow(one.name, one.n_source, one.n_target, one.centroid_similarity, one.mean_similarity)
            for one in transfer.classes
        )
        view = TransferView(
            source.dataset,
            target.dataset,
            rows,
            transfer.class_average.centroid_similarity,
            describe_encoder(analysis.model),
            "; ".join(dict.fromkeys((source.label_source, target.label_source))),
        )
        path = layout.transfer(source.dataset, target.dataset, "png")
        results.write(path, fingerprint(drawn_by(), view), partial(draw_transfer, view))
