"""The galleries of a run: the most alike pairs by each method, and the verified copies that are least sure.

Galleries show the renditions that extraction kept; without evidence (`--no-verify`), they are made when first shown. A
run that reads no images has no galleries. An image that cannot be shown leaves its frame empty, and is counted; such a
gallery is drawn again by the next run, as it may be shown by then.

Galleries are drawn on all cores. Those of the same datasets follow one another, as they show many images in common.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.analysis import Analysis
from overlens.atomic import write_bytes
from overlens.copies import Copies
from overlens.cores import map_parts
from overlens.errors import DecodeError
from overlens.evidence import read_rendition
from overlens.features import KnownImages
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.matching import EXAMPLES, PairSet
from overlens.notices import tell
from overlens.overlap import VERIFIED_METHOD, compared_couples
from overlens.overlap_pictures import describe_threshold
from overlens.progress import Progress
from overlens.report.gallery import FRAME_PX, draw_gallery
from overlens.report.style import drawn_by
from overlens.report.views import GalleryText, PairCard, ShownImage, count_of, describe_encoder
from overlens.store.fingerprints import fingerprint
from overlens.store.results import Results
from overlens.thumbnails import Thumbnails, fit

_Image = tuple[str, int]
"""Dataset and row of a kept image."""
IMAGES_AT_HAND = 64  # as many as the galleries of two datasets show by all methods, more or less: 20 MB


@dataclass(frozen=True, slots=True)
class _Shown:
    """One pair of a gallery: rows of both images, what was found of it, and how the right image differs."""

    left: int
    right: int
    found: str
    difference: str = ""


class Shelf:
    """Images of one dataset that galleries can show; several threads may ask at once."""

    def __init__(self, analysis: Analysis, known: KnownImages) -> None:
        self.dataset = known.listing.dataset
        self.keys = known.keys
        self.labels = analysis.datasets[self.dataset].shown_labels()
        self._known = known
        self._read = _reader(analysis, known)

    def facts(self, row: int) -> tuple[str, ...]:
        """Return what decides how kept image `row` is shown."""
        evidence = self._known.stores.evidence
        made_by = "thumbnails" if evidence is None else evidence.folder.name
        return self.keys[row], self.labels[row], self._known.digests[row], made_by

    def pixels(self, row: int) -> NDArray[np.uint8] | str:
        """Kept image `row` in the size of galleries, or why it cannot be shown."""
        try:
            return fit(self._read(row), FRAME_PX)
        except DecodeError as error:
            return f"{self.dataset}: {error}"


def _reader(analysis: Analysis, known: KnownImages) -> Callable[[int], NDArray[np.uint8]]:
    """Return a function that reads the pixels of a kept image."""
    if known.stores.evidence is not None:
        renditions = known.renditions()
        return lambda row: read_rendition(renditions.get(row))
    thumbnails = Thumbnails.open(AnalysisLayout(analysis.output, known.listing.dataset).store)
    return lambda row: thumbnails.get(known.digests[row], known.listing.paths[known.rows[row]])


@dataclass(frozen=True, slots=True)
class _Gallery:
    """What one gallery shows, before any picture is read."""

    path: Path
    pairs: tuple[_Shown, ...]
    text: GalleryText


def draw_galleries(analysis: Analysis, known: Sequence[KnownImages], results: Results, progress: Progress) -> list[str]:
    """Draw the most alike pairs of every dataset and of every two; return what the user should know."""
    if not known:
        return tell("galleries", ["left out, as --from-embeddings reads no images"])
    shelves = {images.listing.dataset: Shelf(analysis, images) for images in known}
    pair_sets = [pair_set for matches in analysis.matches.values() for pair_set in matches.pair_sets]
    galleries = [_plan_alike(analysis, pair_set) for pair_set in pair_sets]
    if analysis.copies is not None:
        couples = compared_couples(shelves, analysis.config.reference)
        galleries += [_plan_copies(analysis, analysis.copies, couple) for couple in couples]
    galleries.sort(key=lambda gallery: gallery.text.datasets)
    easel = _Easel(shelves, results)
    unshown: dict[_Image, str] = {}
    with progress.stage("Galleries", len(galleries), "pictures") as stage:
        for is_held, reasons in map_parts(easel.draw, galleries, enough=1):  # each is told when it is drawn
            stage.advance(int(not is_held), cached=int(is_held))
            unshown |= reasons
    if not unshown:
        return []
    first = next(iter(unshown.values()))
    return tell("galleries", [f"{count_of(len(unshown), 'image')} could not be shown (first: {first})"])


def _plan_alike(analysis: Analysis, pair_set: PairSet) -> _Gallery:
    examples, method = pair_set.examples, pair_set.method
    criterion = describe_threshold(analysis, method, f"{pair_set.threshold:g}")
    encoder = describe_encoder(analysis.model) if method == "cosine" else ""
    text = GalleryText(
        (pair_set.first, pair_set.second),
        pair_set.n_pairs,
        what="Alike images",
        order="most alike",
        about=(" · ".join(part for part in (f"two images match {criterion}", encoder) if part),),
        none=f"No pairs match {criterion}.",
    )
    pairs = tuple(
        _Shown(int(i), int(j), _score_text(method, score))
        for i, j, score in zip(examples.left, examples.right, examples.scores, strict=True)
    )
    return _Gallery(_path(analysis, pair_set.first, pair_set.second, method), pairs, text)


def _plan_copies(analysis: Analysis, copies: Copies, couple: tuple[str, str]) -> _Gallery:
    """Choose the least sure verified pairs, which are those that people should look at."""
    places, n_pairs = copies.least_sure(*couple, EXAMPLES)
    lefts = copies.roster.local(copies.judged.candidates.left[places]).tolist()
    rights = copies.roster.local(copies.judged.candidates.right[places]).tolist()
    pairs = []
    for i, j, place in zip(lefts, rights, places.tolist(), strict=True):
        found, _, difference = copies.judged.describe(place).partition(": ")
        found = found.replace(", ", ", strength ")
        pairs.append(_Shown(i, j, found, f"right picture: {difference}" if difference else ""))
    text = _copies_text(couple, len(pairs), n_pairs)
    return _Gallery(_path(analysis, *couple, VERIFIED_METHOD), tuple(pairs), text)


def _copies_text(couple: tuple[str, str], n_shown: int, n_pairs: int) -> GalleryText:
    """Return the words of a gallery of verified copies; how to read what it does not hold is left out."""
    order = "The least sure come first: those to look at. " if n_shown > 1 else ""
    choice = "One pair of each group is shown. " if n_shown < n_pairs else ""
    about = (
        f"{order}Strength: how well both agree once laid on one another, at most 1.",
        f"{choice}Grey: what the right picture is, compared with the left one.",
    )
    return GalleryText(
        couple,
        n_pairs,
        what="Verified copies",
        order="least sure, one of each group,",
        about=about if n_shown else (),
        none="No pairs are verified copies.",
    )


class _Easel:
    """Draws galleries; several threads may ask at once."""

    def __init__(self, shelves: Mapping[str, Shelf], results: Results) -> None:
        self._shelves, self._results = shelves, results
        self._pixels = lru_cache(IMAGES_AT_HAND)(lambda dataset, row: shelves[dataset].pixels(row))

    def draw(self, gallery: _Gallery) -> tuple[bool, dict[_Image, str]]:
        """Draw a gallery unless it is there already; return whether it is, and why images could not be shown."""
        left, right = (self._shelves[name] for name in gallery.text.datasets)
        facts = [
            (left.facts(pair.left), right.facts(pair.right), pair.found, pair.difference) for pair in gallery.pairs
        ]
        made_of = fingerprint(drawn_by(), gallery.text, facts)
        if self._results.holds(gallery.path, made_of):
            return True, {}
        unshown: dict[_Image, str] = {}
        cards = [
            PairCard(
                self._show(left, pair.left, unshown),
                self._show(right, pair.right, unshown),
                pair.found,
                pair.difference,
            )
            for pair in gallery.pairs
        ]
        write_bytes(gallery.path, draw_gallery(cards, gallery.text))
        if not unshown:
            self._results.record(gallery.path, made_of)
        return False, unshown

    def _show(self, shelf: Shelf, row: int, unshown: dict[_Image, str]) -> ShownImage:
        """An image with its name and label, without a picture if it cannot be read any more."""
        pixels = self._pixels(shelf.dataset, row)
        if isinstance(pixels, str):
            unshown[shelf.dataset, row] = pixels
        return ShownImage(shelf.keys[row], shelf.labels[row], None if isinstance(pixels, str) else pixels)


def _path(analysis: Analysis, first: str, second: str, method: str) -> Path:
    if first == second:
        return AnalysisLayout(analysis.output, first).gallery(method)
    return CrossLayout(analysis.output).gallery(first, second, method)


def _score_text(method: str, score: np.float32 | np.int32) -> str:
    if method == "cosine":
        return f"cosine {score:.3f}"
    return f"{score} bit differs" if score == 1 else f"{score} bits differ"
