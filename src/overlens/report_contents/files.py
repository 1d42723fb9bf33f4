"""The files of a run: where they are as seen from the report, and what each is."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from overlens.finished import FinishedRun
from overlens.report.html.records import FileEntry
from overlens.report.views import count_of
from overlens.tables import valid_text

KINDS = (
    (r"cross/overlap\.json", "every number of the overlap"),
    (r"cross/pairs\.parquet", "every judged pair with its verdict and evidence"),
    (r"cross/groups\.parquet", "every image that has a copy, with its group"),
    (r"cross/low_information\.csv", "images that are too flat to be told apart"),
    (r"cross/calibration\.json", "how automatic thresholds were chosen"),
    (r"cross/missed_identifiers\.csv", "identifiers that two datasets share and nothing found"),
    (r"cross/venn_diagram_.*\.png", "Venn diagram"),
    (r"cross/overlap_matrix_.*\.png", "matrix of the overlap"),
    (r"cross/upset_.*\.png", "UpSet picture of the overlap"),
    (r"cross/overlap_curve_.*", "overlap against the threshold"),
    (r"cross/combined_.*\.html", "map of all images, to zoom and hover"),
    (r"cross/combined_.*\.png", "map of all images"),
    (r"cross/combined_.*\.csv", "coordinates of a map of all images"),
    (r"cross/label_bridge\..*", "which class of one dataset is which class of another"),
    (r"cross/label_conflicts\.csv", "copies whose classes differ"),
    (r"cross/.*_label_conflicts\.png", "copies whose classes differ, as pictures"),
    (r"cross/prediction_scores\..*", "scores of models with and without what leaked"),
    (r"cross/transfer_matrix.*", "how classes carry over between datasets"),
    (r"cross/transfer_classes\.csv", "the same for each class"),
    (r"cross/cross_dataset_.*", "how classes carry over from one dataset to another"),
    (r".*_duplicate_examples_.*\.png", "the most telling pairs as pictures"),
    (r".*_duplicates\.json", "pairs that a method reports"),
    (r".*/splits\.lock", "what the splits were drawn from, to check them by"),
    (r".*/seed_variance\..*", "how much accuracy depends on the seed"),
    (r".*_few_shot_splits/.*", "few-shot split"),
    (r".*/analysis/embeddings\.npy", "embedding rows"),
    (r".*/analysis/names\.json", "image names, one a row"),
    (r".*/analysis/labels\.json", "class ids, one a row"),
    (r".*/analysis/hashes\.json", "perceptual hashes, one a row"),
    (r".*/analysis/features\.json", "what the feature files hold"),
    (r".*/analysis/failures\.csv", "images that could not be used, with the reason"),
    (r".*/analysis/(tsne|umap)\.html", "map of this dataset, to zoom and hover"),
    (r".*/analysis/(tsne|umap)\.png", "map of this dataset"),
    (r".*/analysis/(tsne|umap)\.csv", "coordinates of a map of this dataset"),
)
"""What files are, by their path below `dataset/`; the first pattern that fits counts."""


def address_of(run: FinishedRun, path: Path) -> str:
    """Return the address of a file as the report links to it, quoted; "" where the run did not make it."""
    if not run.made(path):
        return ""
    relative = Path(os.path.relpath(path, run.layout.folder)).as_posix()
    # A scheme such as "a:" would make a name an address of its own.
    return "./" + quote(relative, errors="surrogateescape")


def files_of(run: FinishedRun) -> tuple[FileEntry, ...]:
    """Return every file of the run in the order of its path, those across datasets first."""
    base, across = run.root / "dataset", f"{run.layout.folder}{os.sep}"
    links = {name: run.of_dataset(name).split_links_folder for name in run.datasets}
    inside = tuple(f"{folder}{os.sep}" for folder in links.values())
    paths = {path for path in run.files if not str(path).startswith(inside)}
    entries = [
        FileEntry(address_of(run, path), name, _what(name), path.lstat().st_size)
        for path in sorted(paths, key=lambda path: (not str(path).startswith(across), path))
        if path.is_symlink() or path.is_file()
        for name in [valid_text(path.relative_to(base).as_posix())]
    ]
    return (*entries, *_link_entries(run, links))


def _link_entries(run: FinishedRun, links: Mapping[str, Path]) -> Iterator[FileEntry]:
    """Yield one entry for all the links to images of a dataset, of which there may be thousands."""
    for folder in links.values():
        own = [path for path in run.files if str(path).startswith(f"{folder}{os.sep}")]
        if own:
            relative = Path(os.path.relpath(folder, run.layout.folder)).as_posix()
            name = valid_text(folder.relative_to(run.root / "dataset").as_posix())
            what = f"class folders of links to images: {count_of(len(own), 'file')}"
            size = sum(path.lstat().st_size for path in own if path.is_symlink() or path.is_file())
            yield FileEntry("./" + quote(relative, errors="surrogateescape"), name, what, size)


def _what(name: str) -> str:
    return next((what for pattern, what in KINDS if re.fullmatch(pattern, name)), "")
