"""What the report of a run shows, before it is a page: plain records of texts, numbers and pictures.

Everything here is data: no text is markup, and whoever renders it escapes it. A file of results is named by an address
relative to the folder of the page, already quoted for a link; "" where there is none.

Shapes: n images, m shown pairs, t thresholds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset of the run.

    Attributes:
        name: Its name.
        source: Where its images are listed, as the user gave it.
        n_attempted: Images that it names.
        n_kept: Images with features.
        n_failed: Images that could not be used.
        n_low_information: Kept images that are too flat to be told apart; None where nobody looked.
        label_source: Where its labels come from, in words.
        failures: File that lists what failed.
    """

    name: str
    source: str
    n_attempted: int
    n_kept: int
    n_failed: int
    n_low_information: int | None
    label_source: str
    failures: str


@dataclass(frozen=True, slots=True)
class Containment:
    """How many images of each dataset have a match in each other one, by one method.

    Attributes:
        method: "verified", "cosine" or "perceptual".
        title: The method in words.
        criterion: When two images match, in words.
        counts: `counts[a][b]` images of dataset a with a match in b, on the diagonal within a; None if nobody
            looked.
        by_rung: Rung -> the same table for pairs of this rung or a surer one; only for "verified".
        file: Where the numbers are.
    """

    method: str
    title: str
    criterion: str
    counts: tuple[tuple[int | None, ...], ...]
    by_rung: Mapping[str, tuple[tuple[int | None, ...], ...]]
    file: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Overlap against the threshold, by one method.

    Attributes:
        method: "cosine" or "perceptual".
        title: What the threshold is, in words.
        unit: What follows a threshold: "" or "bits".
        is_similarity: Whether pairs at a threshold or above match (else at or below).
        thresholds: `(t,)` ascending.
        at: The threshold of the run; None where it was chosen for each two datasets.
        lines: (place of a, place of b) -> `(t,)` images of a with a match in b at each threshold; b may be a.
        file: Where the numbers are.
    """

    method: str
    title: str
    unit: str
    is_similarity: bool
    thresholds: tuple[float, ...]
    at: float | None
    lines: Mapping[tuple[int, int], tuple[int, ...]]
    file: str


@dataclass(frozen=True, slots=True)
class Images:
    """All images that the page can show or place: columns.

    Attributes:
        datasets: `(n,)` place of the dataset of each.
        names: Name of each.
        labels: `(n,)` place in `label_names`, -1 without a label.
        label_names: Labels as people should read them.
        groups: `(n,)` number of the group of copies, -1 outside of any.
        sizes_px: `(n, 2)` width and height; 0 where not known.
        thumbnails: `(n,)` place in `pictures`, -1 without one.
        pictures: WebP or JPEG files, as they stand in the page.
    """

    datasets: NDArray[np.int16]
    names: tuple[str, ...]
    labels: NDArray[np.int32]
    label_names: tuple[str, ...]
    groups: NDArray[np.int32]
    sizes_px: NDArray[np.int32]
    thumbnails: NDArray[np.int32]
    pictures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ShownPair:
    """One pair of the gallery.

    Attributes:
        left: Place of the first image in `Images`.
        right: Place of the second.
        rung: Code of the rung, such as "same_picture".
        strength: How sure the verdict is within its rung, 0 to 1.
        cosine: Cosine similarity; None where no encoder ran.
        bits: Hamming distance by the hash of the run, as its method measures it; None where it did not run.
        words: What the right picture is compared with the left one, in words, or "".
        evidence: (what was measured, value in words), as many as there are.
        transform: Nine numbers, row by row: places of the left picture, as shares of its width and height, to those of
            the right one; None where the pictures were not laid on one another.
        judged: What a person said of it: "copy", "not a copy", "same scene", "unsure", or "".
    """

    left: int
    right: int
    rung: str
    strength: float
    cosine: float | None
    bits: int | None
    words: str
    evidence: tuple[tuple[str, str], ...]
    transform: tuple[float, ...] | None
    judged: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """The pairs that the page shows, and what it leaves out.

    Attributes:
        pairs: In the order in which they are first shown.
        n_listed: Rung -> pairs that the run lists.
        left_out: Sentences that say what is not shown and where it is.
        file: Where all pairs are.
    """

    pairs: tuple[ShownPair, ...]
    n_listed: Mapping[str, int]
    left_out: tuple[str, ...]
    file: str


@dataclass(frozen=True, slots=True)
class Map:
    """The images on a plane.

    Attributes:
        method: "tsne" or "umap".
        title: The method as people write it.
        images: `(k,)` places in `Images`.
        coordinates: `(k, 2)` float32.
        file: Where the coordinates are.
    """

    method: str
    title: str
    images: NDArray[np.int32]
    coordinates: NDArray[np.float32]
    file: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table for reading: every cell is a text, a number (shown with thousands separators) or None.

    Attributes:
        caption: What it shows.
        head: Name of each column.
        rows: The cells.
        notes: Sentences below it: units, what was left out, how to read it.
        file: Where the numbers are.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
    notes: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that stands in the page.

    Attributes:
        caption: What it shows, a sentence.
        text: What it shows for who cannot see it.
        content: A PNG, JPEG or WebP file.
        kind: "image/png" and so on.
        file: Where the picture is in full.
    """

    caption: str
    text: str
    content: bytes
    kind: str
    file: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page that stands there only where there is something to say.

    Attributes:
        name: Short name, for the way there: "groups", "labels", "splits", "transfer", "scores", "failures".
        title: Its heading.
        lead: What it says, in a sentence or two.
        tables: Its tables.
        pictures: Its pictures.
    """

    name: str
    title: str
    lead: str
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of results: its address, its path below the results for people, what it is, and its size in bytes."""

    address: str
    path: str
    what: str
    size: int


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report.

    Attributes:
        title: "gallery, archive and web".
        version: Of overlens.
        verdict: One sentence: how far the datasets overlap.
        findings: Sentences that follow it: each direction, how sure, what could not be used.
        basis: (what, value) of what it rests on: encoder, thresholds, rule, hash.
        command: The command that gives these results, ready for a shell.
        notices: What the user should know.
        datasets: The datasets in the order of the run.
        rungs: (code, name, meaning) of each rung of the ladder, the surest first; empty where nothing was verified.
        containments: One for each method, "verified" first where there is one.
        overview: Venn diagram, or matrix and UpSet picture; of the surest method.
        curves: One for each method that has a curve.
        images: All images of gallery and maps.
        gallery: None where nothing was verified and no pairs are known.
        maps: None, one or two.
        sections: In the order of the page.
        files: All files of results.
    """

    title: str
    version: str
    verdict: str
    findings: tuple[str, ...]
    basis: tuple[tuple[str, str], ...]
    command: str
    notices: tuple[str, ...]
    datasets: tuple[DatasetRow, ...]
    rungs: tuple[tuple[str, str, str], ...]
    containments: tuple[Containment, ...]
    overview: tuple[Picture, ...]
    curves: tuple[Curve, ...]
    images: Images
    gallery: Gallery | None
    maps: tuple[Map, ...]
    sections: tuple[Section, ...]
    files: tuple[FileEntry, ...]
