"""The only module that knows output folder and file names.

The documented layout, under ROOT (read) and under OUTPUT, or ROOT if none is given (written):

    dataset/{name}/JPEGImages/                       images
    dataset/{name}-data/                             2_test.txt, 2_ground_truth.json, classes.csv, labels.json
    dataset/{name}-data/analysis/                    results of one dataset, and `store/`, its feature store
    dataset/{name}-data/analysis/{name}_few_shot_splits/
    dataset/cross/                                   results across datasets, and `store/`, verdicts and records
    dataset/cross/decisions.sqlite                   what people said of pairs, which no run writes or removes
    dataset/cross/cleaned/                           what remains of the datasets without copies
    dataset/cross/failed-audit/                      what `cleaned` would have been, where an audit failed
"""

import re
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

RUN_MARK = ".lock"
SPLITS_LOCK = "splits.lock"
SEED_VARIANCE_FILES = ("json", "csv", "png")
_SPLIT_NAME = re.compile(r"[a-z_]+_\d+shot_\d+classes_seed\d+\.json")


@dataclass(frozen=True, slots=True)
class InputLayout:
    """Where the documented layout keeps the images and labels of one dataset."""

    root: Path
    dataset: str

    @property
    def images(self) -> Path:
        """Folder of the images."""
        return self.root / "dataset" / self.dataset / "JPEGImages"

    @property
    def data(self) -> Path:
        """Folder of lists and labels."""
        return self.root / "dataset" / f"{self.dataset}-data"

    @property
    def names(self) -> Path:
        """List of image names, one a line, without extension."""
        return self.data / "2_test.txt"

    @property
    def ground_truth(self) -> Path:
        """List of `{"item": name, "class": id}`."""
        return self.data / "2_ground_truth.json"

    @property
    def classes(self) -> Path:
        """Table with the columns ID and Label."""
        return self.data / "classes.csv"

    @property
    def labels(self) -> Path:
        """Labels of the images."""
        return self.data / "labels.json"


@dataclass(frozen=True, slots=True)
class AnalysisLayout:
    """Results of one dataset."""

    root: Path
    dataset: str

    @property
    def folder(self) -> Path:
        """The `analysis` folder."""
        return self.root / "dataset" / f"{self.dataset}-data" / "analysis"

    @property
    def store(self) -> Path:
        """Feature shards."""
        return self.folder / "store"

    def kept_projection(self, method: str) -> Path:
        """Places of the images on a plane, as they were computed."""
        return self.store / f"{method}.npz"

    def kept_edit_scores(self, method: str) -> Path:
        """How alike images are to their known edits."""
        return self.store / f"edits_{method}.npy"

    @property
    def embeddings(self) -> Path:
        """Embedding rows."""
        return self.folder / "embeddings.npy"

    @property
    def names(self) -> Path:
        """Image names, one a row of the embeddings."""
        return self.folder / "names.json"

    @property
    def labels(self) -> Path:
        """Class ids, one a row."""
        return self.folder / "labels.json"

    @property
    def hashes(self) -> Path:
        """Perceptual hashes in hexadecimal, one a row."""
        return self.folder / "hashes.json"

    @property
    def description(self) -> Path:
        """What the exports of this dataset hold, written last."""
        return self.folder / "features.json"

    @property
    def failures(self) -> Path:
        """Images that could not be used, with the reason."""
        return self.folder / "failures.csv"

    def projection(self, method: str, suffix: str) -> Path:
        """Projection of this dataset; `suffix` is html, png or csv."""
        return self.folder / f"{method}.{suffix}"

    def duplicates(self, method: str) -> Path:
        """Pairs within this dataset."""
        return self.folder / f"{method}_duplicates.json"

    def gallery(self, method: str) -> Path:
        """Picture of the most alike pairs within this dataset."""
        return self.folder / f"{self.dataset}_duplicate_examples_{method}.png"

    @property
    def few_shot(self) -> Path:
        """Folder of few-shot splits."""
        return self.folder / f"{self.dataset}_few_shot_splits"

    @property
    def splits_lock(self) -> Path:
        """What the few-shot splits were drawn from, to check them by, written last."""
        return self.few_shot / SPLITS_LOCK

    def seed_variance(self, suffix: str) -> Path:
        """How much the accuracy of simple probes depends on the seed; `suffix` is one of `SEED_VARIANCE_FILES`."""
        return self.few_shot / f"seed_variance.{suffix}"

    def split(self, strategy: str, k_shot: int, n_classes: int, seed: int) -> Path:
        """One few-shot split, or one set of episodes."""
        return self.few_shot / f"{_split_name(strategy, k_shot, n_classes, seed)}.json"

    def split_embeddings(self, strategy: str, k_shot: int, n_classes: int, seed: int) -> Path:
        """Embedding rows of the support of one few-shot split."""
        return self.few_shot / f"{_split_name(strategy, k_shot, n_classes, seed)}_embeddings.npy"

    def split_part_embeddings(self, part: str, strategy: str, k_shot: int, n_classes: int, seed: int) -> Path:
        """Embedding rows of another part of one few-shot split."""
        return self.few_shot / f"{_split_name(strategy, k_shot, n_classes, seed)}_{part}_embeddings.npy"

    def episode_rows(self, part: str, strategy: str, k_shot: int, n_classes: int, seed: int) -> Path:
        """Rows of one part of every episode of a set."""
        return self.few_shot / f"{_split_name(strategy, k_shot, n_classes, seed)}_{part}_rows.npy"

    def split_table(self, strategy: str, k_shot: int, n_classes: int, seed: int) -> Path:
        """One few-shot split, or one set of episodes, as a table."""
        return self.few_shot / f"{_split_name(strategy, k_shot, n_classes, seed)}.csv"

    def split_coop(self, strategy: str, k_shot: int, n_classes: int, seed: int) -> Path:
        """One few-shot split in the form that CoOp and its descendants read."""
        return self.few_shot / "coop" / f"{_split_name(strategy, k_shot, n_classes, seed)}.json"

    @property
    def split_links_folder(self) -> Path:
        """Folder of the class folders of links of all few-shot splits."""
        return self.few_shot / "links"

    def split_links(self, strategy: str, k_shot: int, n_classes: int, seed: int) -> Path:
        """Class folders of links to the images of one few-shot split, replaced as a whole."""
        return self.split_links_folder / _split_name(strategy, k_shot, n_classes, seed)


@dataclass(frozen=True, slots=True)
class LinksLayout:
    """Class folders of links to the images of one few-shot split, `AnalysisLayout.split_links`."""

    folder: Path

    @property
    def earlier(self) -> Path:
        """Where these folders wait while new ones take their place; gone when a run ends."""
        return self.folder.with_name(f".earlier-{self.folder.name}")

    @property
    def classes(self) -> Path:
        """Table of which class a folder is."""
        return self.folder / "classes.csv"

    def of_class(self, part: str, class_folder: str) -> Path:
        """Folder of the links to the images that one class has in one part."""
        return self.folder / part / class_folder


@dataclass(frozen=True, slots=True)
class CrossLayout:
    """Results across datasets."""

    root: Path

    @property
    def folder(self) -> Path:
        """The `cross` folder."""
        return self.root / "dataset" / "cross"

    @property
    def store(self) -> Path:
        """Verdicts on pairs of images."""
        return self.folder / "store"

    @property
    def results(self) -> Path:
        """What the outputs of a run were made of."""
        return self.store / "results"

    def kept_projection(self, method: str) -> Path:
        """Places of the images of all datasets on a plane, as they were computed."""
        return self.store / f"combined_{method}.npz"

    @property
    def overlap(self) -> Path:
        """Every number of the overlap, with its threshold, method and model."""
        return self.folder / "overlap.json"

    @property
    def run(self) -> Path:
        """What the run was: its command, its datasets and its files, written last but for the report."""
        return self.folder / "run.json"

    @property
    def images(self) -> Path:
        """Every kept image: its name, its file and where its rendition is."""
        return self.store / "images.parquet"

    @property
    def decisions(self) -> Path:
        """What people said of pairs: no result, but what they gave."""
        return self.folder / "decisions.sqlite"

    @property
    def of_decisions(self) -> tuple[Path, ...]:
        """That file, and what SQLite keeps beside it while it is in use."""
        return self.decisions, *(self.decisions.with_name(f"{self.decisions.name}-{part}") for part in ("wal", "shm"))

    @property
    def report(self) -> Path:
        """The report of the run, one page."""
        return self.folder / "report.html"

    @property
    def index(self) -> Path:
        """A page that lists all results."""
        return self.folder / "index.html"

    @property
    def pairs(self) -> Path:
        """Every judged pair with its verdict and signals."""
        return self.folder / "pairs.parquet"

    @property
    def groups(self) -> Path:
        """Every image that has a copy, with its group."""
        return self.folder / "groups.parquet"

    @property
    def low_information(self) -> Path:
        """Images that are too flat to be told apart."""
        return self.folder / "low_information.csv"

    @property
    def calibration(self) -> Path:
        """How automatic thresholds were chosen."""
        return self.folder / "calibration.json"

    @property
    def missed_identifiers(self) -> Path:
        """Identifiers that two datasets share and nothing found."""
        return self.folder / "missed_identifiers.csv"

    @property
    def cleaned(self) -> Path:
        """Folder of the datasets without copies, replaced as a whole."""
        return self.folder / "cleaned"

    @property
    def earlier_cleaned(self) -> Path:
        """Where that folder waits while a new one takes its place; gone when a run ends."""
        return self.folder / ".earlier-cleaned"

    @property
    def failed_audit(self) -> Path:
        """Folder of the audit that failed last, until one passes; beside `cleaned`, which may be of an earlier run."""
        return self.folder / "failed-audit"

    @property
    def earlier_failed_audit(self) -> Path:
        """Where that folder waits while a new one takes its place; gone when a run ends."""
        return self.folder / ".earlier-failed-audit"

    @property
    def of_dedupe(self) -> tuple[Path, ...]:
        """The folders that removing copies writes, and only that."""
        return self.cleaned, self.earlier_cleaned, self.failed_audit, self.earlier_failed_audit

    @property
    def mark(self) -> Path:
        """File that every run leaves and holds while it writes."""
        return self.folder / RUN_MARK

    @property
    def spool(self) -> Path:
        """Pairs on their way to their files; gone when a run ends."""
        return self.folder / ".spool"

    def duplicates(self, first: str, second: str, method: str) -> Path:
        """Pairs between two datasets."""
        return self.folder / f"{first}_{second}_{method}_duplicates.json"

    def gallery(self, first: str, second: str, method: str) -> Path:
        """Picture of the most alike pairs between two datasets."""
        return self.folder / f"{first}_{second}_duplicate_examples_{method}.png"

    def projection(self, method: str, coloured_by: str, suffix: str) -> Path:
        """Combined projection, coloured by `dataset` or `label`; `suffix` is html or png."""
        return self.folder / f"combined_{method}_by_{coloured_by}.{suffix}"

    def coordinates(self, method: str) -> Path:
        """Coordinates of the combined projection."""
        return self.folder / f"combined_{method}.csv"

    def venn(self, method: str) -> Path:
        """Venn diagram of two or three datasets."""
        return self.folder / f"venn_diagram_{method}.png"

    def matrix(self, method: str) -> Path:
        """Overlap matrix of more than three datasets."""
        return self.folder / f"overlap_matrix_{method}.png"

    def upset(self, method: str) -> Path:
        """UpSet picture of more than three datasets."""
        return self.folder / f"upset_{method}.png"

    def curve(self, method: str, suffix: str) -> Path:
        """Overlap against the threshold; `suffix` is png or csv."""
        return self.folder / f"overlap_curve_{method}.{suffix}"

    def label_bridge(self, suffix: str) -> Path:
        """Which class of one dataset is which class of another, by their copies; `suffix` is json or csv."""
        return self.folder / f"label_bridge.{suffix}"

    @property
    def label_conflicts(self) -> Path:
        """Copies of one picture whose classes differ."""
        return self.folder / "label_conflicts.csv"

    def conflict_gallery(self, first: str, second: str) -> Path:
        """Picture of copies whose classes differ, between two datasets or within the one named twice."""
        names = first if first == second else f"{first}_{second}"
        return self.folder / f"{names}_label_conflicts.png"

    def prediction_scores(self, suffix: str) -> Path:
        """What models score with and without the images that other datasets hold; `suffix` is json or csv."""
        return self.folder / f"prediction_scores.{suffix}"

    def transfer_matrix(self, suffix: str) -> Path:
        """Figures of transfer for all ordered pairs of datasets; `suffix` is json or csv."""
        return self.folder / f"transfer_matrix.{suffix}"

    def transfer_picture(self, probe: str) -> Path:
        """Picture of the accuracies of one probe for all ordered pairs of datasets."""
        return self.folder / f"transfer_matrix_{probe}.png"

    @property
    def transfer_classes(self) -> Path:
        """The same figures for each common class."""
        return self.folder / "transfer_classes.csv"

    def transfer(self, source: str, target: str, suffix: str) -> Path:
        """Generalization from `source` to `target`; `suffix` is json or png."""
        return self.folder / f"cross_dataset_{source}_{target}.{suffix}"


@dataclass(frozen=True, slots=True)
class CleanedLayout:
    """Datasets without copies, below `folder`; those in the documented layout have it as their root."""

    folder: Path

    @property
    def removed(self) -> Path:
        """The removal list."""
        return self.folder / "removed.csv"

    @property
    def audit(self) -> Path:
        """What was looked at, what was removed, and what is left."""
        return self.folder / "audit.json"

    def manifest(self, dataset: str, name: str) -> Path:
        """What remains of a manifest that is called `name`."""
        return self.folder / "manifests" / dataset / name

    def folder_manifest(self, dataset: str) -> Path:
        """What remains of a folder, as a manifest."""
        return self.manifest(dataset, "images.csv")

    def folder_keys(self, dataset: str) -> Path:
        """What remains of a folder, as paths below it, one a line."""
        return self.manifest(dataset, "keep.txt")


def _split_name(strategy: str, k_shot: int, n_classes: int, seed: int) -> str:
    return f"{strategy}_{k_shot}shot_{n_classes}classes_seed{seed}"


def is_split_name(name: str) -> bool:
    """Return whether a file of this name can be the JSON of a split, `AnalysisLayout.split`; it then leads nowhere."""
    return _SPLIT_NAME.fullmatch(name) is not None


def find_results(path: Path) -> Path | None:
    """Return the folder of results that `path` lies in, if it lies in one that a run has written.

    Such a folder is `dataset/cross` or `dataset/{name}-data/analysis` of a place whose `dataset/cross` holds the mark
    that every run leaves there. What a run made is not its input.
    """
    parts = Path(normpath(path.absolute())).parts
    for depth in range(1, len(parts) - 2):
        if parts[depth] == "dataset":
            inner = 2 if parts[depth + 1] == "cross" else 3
            is_analysis = parts[depth + 1].endswith("-data") and parts[depth + 2] == "analysis"
            if (inner == 2 or is_analysis) and Path(*parts[: depth + 1], "cross", RUN_MARK).exists():
                return Path(*parts[: depth + inner])
    return None
