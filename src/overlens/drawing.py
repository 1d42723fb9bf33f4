"""The pictures of a run: views are made from its records, the report draws them, the files get the documented names.

Galleries show the renditions that extraction kept; without evidence (`--no-verify`), they are made when first shown. A
run that reads no images has no galleries. An image that cannot be shown leaves its frame empty, and is counted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.analysis import Analysis
from overlens.atomic import write_bytes, write_text
from overlens.errors import DecodeError
from overlens.evidence import read_rendition
from overlens.features import KnownImages
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.matching import EXAMPLES, PairSet
from overlens.notices import tell
from overlens.overlap import VERIFIED_METHOD, compared_couples
from overlens.overlap_pictures import describe_threshold
from overlens.progress import Progress, Stage
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
from overlens.report.coordinates import coordinates_csv
from overlens.report.figures import draw_projection, draw_transfer
from overlens.report.gallery import draw_gallery
from overlens.report.plotly_page import projection_page
from overlens.report.views import (
    COLOURINGS,
    GalleryText,
    PairCard,
    ProjectionView,
    ShownImage,
    TransferRow,
    TransferView,
    count_of,
    describe_encoder,
)
from overlens.search.neighbours import find_nearest
from overlens.stacked import Rows, StackedRows
from overlens.thumbnails import Thumbnails
from overlens.transfer import Transfer

COMBINED = "combined"
_COPIES_ABOUT = (
    "The least sure come first: those to look at. Strength: how well both agree once laid on one another, at most 1.",
    "Grey: what the right picture is, compared with the left one.",
)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Images of one dataset that galleries can show; `unshown` gathers why a kept image could not be."""

    dataset: str
    keys: Sequence[str]
    labels: Sequence[str]
    read: Callable[[int], NDArray[np.uint8]]
    unshown: dict[int, str] = field(default_factory=dict)

    def show(self, row: int) -> ShownImage:
        """Kept image `row` with its name and label, without a picture if it cannot be read any more."""
        return ShownImage(self.keys[row], self.labels[row], self.pixels(row))

    def pixels(self, row: int) -> NDArray[np.uint8] | None:
        """Rendition of the kept image `row`, or None if the image cannot be read any more."""
        try:
            return self.read(row)
        except DecodeError as error:
            self.unshown[row] = f"{self.dataset}: {error}"
            return None


def _shelve(analysis: Analysis, known: KnownImages) -> _Shelf:
    dataset = known.listing.dataset
    return _Shelf(
        dataset, known.keys, analysis.datasets[dataset].shown_labels(), _picture_reader(analysis.output, known)
    )


def _picture_reader(output: Path, known: KnownImages) -> Callable[[int], NDArray[np.uint8]]:
    if known.stores.evidence is not None:
        renditions = known.renditions()
        return lambda row: read_rendition(renditions.get(row))
    thumbnails = Thumbnails.open(AnalysisLayout(output, known.listing.dataset).store)
    return lambda row: thumbnails.get(known.digests[row], known.listing.paths[known.rows[row]])


def draw_galleries(analysis: Analysis, known: Sequence[KnownImages], progress: Progress) -> list[str]:
    """Draw the most alike pairs of every dataset and of every two; return what the user should know."""
    if not known:
        return tell("galleries", ["left out, as --from-embeddings reads no images"])
    shelves = {images.listing.dataset: _shelve(analysis, images) for images in known}
    pair_sets = [pair_set for matches in analysis.matches.values() for pair_set in matches.pair_sets]
    couples = compared_couples(shelves, analysis.config.reference) if analysis.copies is not None else []
    with progress.stage("Galleries", len(pair_sets) + len(couples), "pictures") as stage:
        for pair_set in pair_sets:
            _draw_gallery(analysis, pair_set, shelves)
            stage.advance(1)
        for first, second in couples:
            _draw_copies(analysis, shelves[first], shelves[second])
            stage.advance(1)
    unshown = [reason for shelf in shelves.values() for reason in shelf.unshown.values()]
    if not unshown:
        return []
    return tell("galleries", [f"{count_of(len(unshown), 'image')} could not be shown (first: {unshown[0]})"])


def _draw_gallery(analysis: Analysis, pair_set: PairSet, shelves: Mapping[str, _Shelf]) -> None:
    left, right = shelves[pair_set.first], shelves[pair_set.second]
    examples, method = pair_set.examples, pair_set.method
    criterion = describe_threshold(analysis, method, f"{pair_set.threshold:g}")
    cards = [
        PairCard(left.show(int(i)), right.show(int(j)), _score_text(method, score))
        for i, j, score in zip(examples.left, examples.right, examples.scores, strict=True)
    ]
    encoder = describe_encoder(analysis.model) if method == "cosine" else ""
    text = GalleryText(
        (pair_set.first, pair_set.second),
        pair_set.n_pairs,
        what="Alike images",
        order="most alike",
        about=(" · ".join(part for part in (f"two images match {criterion}", encoder) if part),),
        none=f"No pairs match {criterion}.",
    )
    write_bytes(_gallery_path(analysis, pair_set.first, pair_set.second, method), draw_gallery(cards, text))


def _draw_copies(analysis: Analysis, left: _Shelf, right: _Shelf) -> None:
    """Draw the least sure verified pairs, which are those that people should look at."""
    copies = analysis.copies
    if copies is None:
        return
    places, n_pairs = copies.least_sure(left.dataset, right.dataset, EXAMPLES)
    lefts = copies.roster.local(copies.judged.candidates.left[places]).tolist()
    rights = copies.roster.local(copies.judged.candidates.right[places]).tolist()
    cards = []
    for i, j, place in zip(lefts, rights, places.tolist(), strict=True):
        found, _, difference = copies.judged.describe(place).partition(": ")
        found = found.replace(", ", ", strength ")
        cards.append(PairCard(left.show(i), right.show(j), found, f"right picture: {difference}" if difference else ""))
    text = GalleryText(
        (left.dataset, right.dataset),
        n_pairs,
        what="Verified copies",
        order="least sure, one of each group,",
        about=_COPIES_ABOUT,
        none="No pairs are verified copies.",
    )
    write_bytes(_gallery_path(analysis, left.dataset, right.dataset, VERIFIED_METHOD), draw_gallery(cards, text))


def _gallery_path(analysis: Analysis, first: str, second: str, method: str) -> Path:
    if first == second:
        return AnalysisLayout(analysis.output, first).gallery(method)
    return CrossLayout(analysis.output).gallery(first, second, method)


def _score_text(method: str, score: np.float32 | np.int32) -> str:
    if method == "cosine":
        return f"cosine {score:.3f}"
    return f"{score} bit differs" if score == 1 else f"{score} bits differ"


def draw_projections(analysis: Analysis, progress: Progress) -> tuple[tuple[ProjectionTable, ...], list[str]]:
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
    tables: list[ProjectionTable] = []
    notices: list[str] = []
    with progress.stage("Projections", len(groups) * len(methods), "maps") as stage:
        for group in groups:
            drawn, told = _draw_group(analysis, group, stage)
            tables += drawn
            notices += told
    return tuple(tables), notices


def _draw_group(
    analysis: Analysis, group: tuple[Features, ...], stage: Stage
) -> tuple[list[ProjectionTable], list[str]]:
    config = analysis.config.projections
    rows: Rows = StackedRows([features.require_embeddings() for features in group])
    name = group[0].dataset if len(group) == 1 else "all datasets together"
    k = neighbours_needed(len(rows), config)
    if k == 0:
        stage.advance(len(config.methods))
        return [], tell(name, [f"no projection of {len(rows)} images: at least {MIN_IMAGES} are needed"])
    graph = find_nearest(rows, k=k)
    start = principal_start(rows, config.seed)
    tables: list[ProjectionTable] = []
    notices: list[str] = []
    for method in config.methods:
        result = project(graph, start, method, config, n_threads=analysis.config.workers)
        if isinstance(result, Skipped):
            notices += tell(name, [f"no {METHOD_NAMES[method]} picture: {result.reason}"])
        else:
            notices += tell(name, result.notes)
            tables.append(_write_projection(analysis, group, result))
        stage.advance(1)
    return tables, notices


def _write_projection(analysis: Analysis, group: tuple[Features, ...], result: Projection) -> ProjectionTable:
    # A class is one class, though its datasets may call it by different names: the first one's name is shown.
    names = {class_id: name for features in reversed(group) for class_id, name in features.class_names.items()}
    table = ProjectionTable(
        group[0].dataset if len(group) == 1 else COMBINED,
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
    )
    _write_pictures(view, group, analysis.output)
    return table


def _write_pictures(view: ProjectionView, group: tuple[Features, ...], output: Path) -> None:
    if len(group) == 1:
        own = AnalysisLayout(output, group[0].dataset)
        write_text(own.projection(view.method, "csv"), coordinates_csv(view))
        write_text(own.projection(view.method, "html"), projection_page(view, coloured_by="label"))
        write_bytes(own.projection(view.method, "png"), draw_projection(view, coloured_by="label"))
        return
    cross = CrossLayout(output)
    write_text(cross.coordinates(view.method), coordinates_csv(view))
    for colouring in COLOURINGS:
        write_text(cross.projection(view.method, colouring, "html"), projection_page(view, coloured_by=colouring))
        write_bytes(cross.projection(view.method, colouring, "png"), draw_projection(view, coloured_by=colouring))


def draw_transfers(analysis: Analysis, transfers: Sequence[Transfer]) -> None:
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
        write_bytes(layout.transfer(source.dataset, target.dataset, "png"), draw_transfer(view))
