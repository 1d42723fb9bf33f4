"""The whole report of a finished run, gathered from its results: nothing is measured anew.

Shapes: n images of all datasets, k of them on a map or in the gallery.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overlens.counted import counted
from overlens.finished import FinishedRun
from overlens.finished_pairs import RUNGS
from overlens.image_table import NO_NUMBER
from overlens.overlap import VERIFIED_METHOD
from overlens.projections.methods import METHOD_NAMES
from overlens.report.html.records import Gallery, Images, Map, Picture, Report, ShownPair
from overlens.report.views import join_names
from overlens.report_contents import MOST_PAIRS
from overlens.report_contents.distances import with_run_distances
from overlens.report_contents.files import address_of, files_of
from overlens.report_contents.numbers import containments_of, curves_of, dataset_rows
from overlens.report_contents.pairs import count_listed, left_out, shown_pairs
from overlens.report_contents.pictures import Album, fill_album
from overlens.report_contents.rows import read_rows
from overlens.report_contents.sections import sections_of
from overlens.report_contents.words import basis_of, findings_of, surest_method, verdict_of
from overlens.tables import valid_text

MOST_POINTS = 50_000
BATCH_ROWS = 65_536


def gather_report(run: FinishedRun, *, most_pairs: int = MOST_PAIRS) -> Report:
    """Return what the report of a run shows.

    Args:
        run: The run.
        most_pairs: Largest number of pairs in the gallery.

    Raises:
        StoreError: A file of the run is gone or damaged.
    """
    pairs = with_run_distances(run, shown_pairs(run, most_pairs))
    of_gallery = np.unique(np.array([side for pair in pairs for side in (pair.left, pair.right)], np.intp))
    maps = _maps(run, of_gallery)
    of_maps = np.unique(np.concatenate([np.zeros(0, np.intp), *(one.images.astype(np.intp) for one in maps)]))
    album = fill_album(run, of_gallery, of_maps)
    shown = np.union1d(of_gallery, of_maps)
    return Report(
        join_names(run.datasets),
        run.version,
        verdict_of(run),
        findings_of(run),
        basis_of(run),
        shlex.join(["overlens", "compute", *run.arguments]),
        run.notices,
        dataset_rows(run),
        tuple((code, *words) for code, words in RUNGS.items()) if VERIFIED_METHOD in run.numbers["methods"] else (),
        containments_of(run),
        _overview(run),
        curves_of(run),
        _images(run, album, shown),
        _gallery(run, _renumbered(pairs, shown), album),
        tuple(replace(one, images=np.searchsorted(shown, one.images).astype(np.int32)) for one in maps),
        sections_of(run),
        files_of(run),
    )


def _gallery(run: FinishedRun, pairs: tuple[ShownPair, ...], album: Album) -> Gallery | None:
    n_listed = count_listed(run)
    if not n_listed:
        return None
    missing = list(left_out(n_listed, pairs))
    if album.n_unreadable:
        images = counted(album.n_unreadable, "image")
        missing.append(f"{images} could not be shown (first: {album.first_reason}).")
    return Gallery(pairs, n_listed, tuple(missing), address_of(run, run.layout.pairs))


def _images(run: FinishedRun, album: Album, shown: NDArray[np.intp]) -> Images:
    """Return the images that the page shows or places, and no others."""
    images = run.images
    return Images(
        images.datasets[shown],
        tuple(images.name(row) for row in shown.tolist()),
        images.labels[shown],
        images.label_names,
        images.groups[shown],
        images.sizes_px[shown],
        album.places[shown],
        tuple(album.pictures),
    )


def _renumbered(pairs: tuple[ShownPair, ...], shown: NDArray[np.intp]) -> tuple[ShownPair, ...]:
    """Return the pairs with the places of their images among those that are shown."""
    sides = np.array([(pair.left, pair.right) for pair in pairs], np.intp).reshape(-1, 2)
    places = np.searchsorted(shown, sides).tolist()
    return tuple(replace(pair, left=left, right=right) for pair, (left, right) in zip(pairs, places, strict=True))


def _overview(run: FinishedRun) -> tuple[Picture, ...]:
    """Return the Venn diagram, or the matrix and the UpSet picture, of the surest method."""
    method, layout = surest_method(run), run.layout
    kinds = (
        (layout.venn(method), "Venn diagram of the images that the datasets share"),
        (layout.upset(method), "UpSet picture of the images that the datasets share"),
        (layout.matrix(method), "Matrix of the images that the datasets share"),
    )
    return tuple(
        Picture(what, f"{what}; the table has the numbers", path.read_bytes(), "image/png", address_of(run, path))
        for path, what in kinds
        if run.made(path)
    )


def _maps(run: FinishedRun, of_gallery: NDArray[np.intp]) -> tuple[Map, ...]:
    """Return the maps of all images, or of the only dataset."""
    maps = []
    for method, title in METHOD_NAMES.items():
        path = run.layout.coordinates(method)
        if len(run.datasets) == 1:
            path = run.of_dataset(run.datasets[0]).projection(method, "csv")
        if run.made(path):
            maps.append(_map(run, method, title, path, of_gallery))
    return tuple(maps)


def _map(run: FinishedRun, method: str, title: str, path: Path, of_gallery: NDArray[np.intp]) -> Map:
    places, parts = [np.zeros(0, np.int32)], [np.zeros((0, 2), np.float32)]
    rows = read_rows(path)
    while batch := list(islice(rows, BATCH_ROWS)):
        found = run.images.rows_of(*([valid_text(one[name]) for one in batch] for name in ("dataset", "name")))
        points = np.array([(one["x"], one["y"]) for one in batch], np.float32)
        places.append(found[found != NO_NUMBER])
        parts.append(points[found != NO_NUMBER])
    images = np.concatenate(places)
    chosen = _choose_points(images, of_gallery)
    return Map(method, title, images[chosen], np.concatenate(parts)[chosen], address_of(run, path))


def _choose_points(images: NDArray[np.int32], of_gallery: Sequence[int] | NDArray[np.intp]) -> NDArray[np.intp]:
    """Return which points are shown: all, or those of the gallery and others spread evenly."""
    if len(images) <= MOST_POINTS:
        return np.arange(len(images))
    is_shown = np.isin(images, np.asarray(of_gallery))
    others = np.flatnonzero(~is_shown)
    n = max(0, MOST_POINTS - int(is_shown.sum()))
    spread = others[np.linspace(0, len(others) - 1, n).round().astype(np.intp)]
    return np.sort(np.concatenate([np.flatnonzero(is_shown), spread]))
