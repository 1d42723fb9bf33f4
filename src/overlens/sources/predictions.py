"""Read what models predict: the files of `--predictions`, CSV with the columns image, predicted, maybe score, dataset.

One file is one model, called by the name of the file. `image` is the key of an image, or the key with or without its
image extension where that is one image only; `predicted` a class id or a class name; `score` any finite number, such as
the probability of the class. What a file names beyond the images at hand is counted and passed over, so that one file
serves a cap on the images, too.

Shapes: n images of a dataset.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overlens.class_matching import DatasetClasses, fold_name
from overlens.counted import counted
from overlens.errors import ConfigError, DatasetError
from overlens.records import Features
from overlens.sources.given_tables import read_columns, require_known
from overlens.sources.tree import without_image_extension


@dataclass(frozen=True, slots=True)
class PredictionSpec:
    """One file of predictions.

    Attributes:
        path: The file; its name without the ending is that of the model.
        dataset: The dataset that all its images are of; None: its rows or its images say so.
    """

    path: Path
    dataset: str | None = None

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """One line of a file of predictions: its number, the image and the class as written, the score, the dataset."""

    line: int
    image: str
    predicted: str
    score: float | None
    dataset: str | None


@dataclass(frozen=True, slots=True)
class PredictionTable:
    """What a file of predictions holds; no image of a dataset stands twice as written."""

    spec: PredictionSpec
    rows: tuple[PredictionRow, ...]


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one model predicts for the images of one dataset.

    Attributes:
        model: Name of the model.
        dataset: Name of the dataset.
        predicted: For each of the n images the class id; the text as written where the dataset has no such class; None
            where there is no prediction.
        scores: For each of the n images the score or None.
        n_rows: Rows of the file for this dataset.
        n_not_in_dataset: Those of them whose image is not among the n.
        n_unknown_class: Those of them, of images that are, whose class the dataset does not have.
    """

    model: str
    dataset: str
    predicted: tuple[str | None, ...]
    scores: tuple[float | None, ...]
    n_rows: int
    n_not_in_dataset: int
    n_unknown_class: int

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.predicted):
            raise ValueError(f"{self.model}: {len(self.scores)} scores for {len(self.predicted)} images")
        if self.n_predicted + self.n_not_in_dataset != self.n_rows:
            raise ValueError(f"{self.model}: {self.n_rows} rows, of which {self.n_predicted} are predictions")

    @property
    def n_predicted(self) -> int:
        """Images with a prediction."""
        return len(self.predicted) - self.predicted.count(None)


def parse_predictions(texts: Iterable[str], datasets: Sequence[str]) -> tuple[PredictionSpec, ...]:
    """Return the files that the values of `--predictions` name, `FILE` or `NAME=FILE`.

    Args:
        texts: The values.
        datasets: Names of the datasets of the run; only these are taken for a NAME.

    Raises:
        ConfigError: A file does not exist, or two would give models of one name.
    """
    specs = []
    for text in texts:
        name, separator, path = text.partition("=")
        is_named = bool(separator) and name in datasets
        specs.append(PredictionSpec(Path(path if is_named else text).expanduser(), name if is_named else None))
    of_model: dict[str, Path] = {}
    for spec in specs:
        if not spec.path.is_file():
            raise ConfigError(
                f"--predictions {spec.path} is not a file; give a CSV file, or NAME=FILE with a dataset of this run "
                f"({', '.join(datasets)})"
            )
        other = of_model.setdefault(spec.model.casefold(), spec.path)
        if other is not spec.path:
            raise ConfigError(
                f"--predictions {other} and {spec.path} are both of a model called {spec.model!r}; rename one file"
            )
    return tuple(specs)


def read_predictions(spec: PredictionSpec, datasets: Sequence[str]) -> PredictionTable:
    """Return what a file of predictions holds; no image is needed for it.

    Args:
        spec: The file.
        datasets: Names of the datasets of the run.

    Raises:
        ConfigError: The file cannot be read, lacks a column or a value, has a score that is no finite number, names an
            image twice, or names another dataset than `spec` or one that is not in the run.
    """
    rows = tuple(_read_rows(spec, datasets))
    if not rows:
        raise ConfigError(f"{spec.path} holds no prediction; write one image and its predicted class a row")
    first: dict[tuple[str | None, str], int] = {}
    for row in rows:
        line = first.setdefault((row.dataset, row.image), row.line)
        if line != row.line:
            raise ConfigError(_twice(spec.path, row.image, line, row.line))
    return PredictionTable(spec, rows)


def assign_predictions(
    table: PredictionTable, features: Sequence[Features], extensions: frozenset[str]
) -> tuple[tuple[Predictions, ...], tuple[str, ...]]:
    """Give the rows of a file to the images of the datasets.

    Args:
        table: What the file holds.
        features: The kept images of each dataset, with their classes.
        extensions: Image extensions, lower case with dot.

    Returns:
        The predictions, one record a dataset, in the order of `features`; and what the user should know.

    Raises:
        DatasetError: It cannot be told which dataset or which image is meant, an image is named twice, a name is that
            of several classes, no image of the dataset has a class, or not one predicted class is known.
    """
    finders = {one.dataset: _ImageFinder(one.keys, extensions) for one in features}
    of_dataset: dict[str, list[PredictionRow]] = defaultdict(list)
    open_rows = [row for row in table.rows if row.dataset is None]
    if open_rows:
        of_dataset[_guess_dataset(table.spec.path, open_rows, finders)] += open_rows
    for row in table.rows:
        if row.dataset is not None:
            of_dataset[row.dataset].append(row)
    found: list[Predictions] = []
    notices: list[str] = []
    for one in features:
        if one.dataset in of_dataset:
            predictions = _assign(table.spec, one, finders[one.dataset], of_dataset[one.dataset])
            found.append(predictions)
            notices += _notices(predictions, one, _first_missing(of_dataset[one.dataset], finders[one.dataset]))
    return tuple(found), tuple(notices)


def _read_rows(spec: PredictionSpec, datasets: Sequence[str]) -> Iterator[PredictionRow]:
    for line, row in read_columns(spec.path, ("image", "predicted"), ("score", "dataset")):
        where, dataset = f"{spec.path}: line {line}", row.get("dataset", "")
        if not row["image"] or not row["predicted"]:
            raise ConfigError(
                f"{where} has the image {row['image']!r} and the predicted class {row['predicted']!r}; write both, or "
                "remove the line: an image without a prediction needs none"
            )
        require_known(spec.path, line, dataset, datasets)
        if dataset and spec.dataset not in (None, dataset):
            raise ConfigError(
                f"{where} is of the dataset {dataset!r}, but the file is given for {spec.dataset!r}; leave out "
                f"{spec.dataset}= before its name, or correct the line"
            )
        score = _read_score(where, row.get("score", ""))
        yield PredictionRow(line, row["image"], row["predicted"], score, dataset or spec.dataset)


def _read_score(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ConfigError(f"{where} has the score {text!r}; write a finite number such as 0.93, or leave it blank")
    return score


class _ImageFinder:
    """Look images of one dataset up by their key, or by it with or without its image extension."""

    def __init__(self, keys: Sequence[str], extensions: frozenset[str]) -> None:
        self._row_of = {key: row for row, key in enumerate(keys)}
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._extensions = extensions
        for key in keys:
            stem = without_image_extension(key, extensions)
            if stem != key:
                self._by_stem[stem].append(key)

    def find(self, image: str) -> list[str]:
        """Return the keys that `image` may mean: none, one, or several that differ in their extension."""
        if image in self._row_of:
            return [image]
        stem = without_image_extension(image, self._extensions)
        return [stem] if stem in self._row_of else self._by_stem.get(image, [])

    def row_of(self, key: str) -> int:
        """Return the row of a key."""
        return self._row_of[key]

    def first_key(self) -> str | None:
        """Return the key of the first image, or None without images."""
        return next(iter(self._row_of), None)


class _ClassFinder:
    """Look classes of one dataset up by id, else by name, as written, else in their folded form."""

    def __init__(self, classes: DatasetClasses) -> None:
        known = sorted({*classes.ids, *classes.names})
        named = [(class_id, classes.names[class_id]) for class_id in known if class_id in classes.names]
        folded = [(class_id, fold_name(class_id)) for class_id in known]
        folded_names = [(class_id, fold_name(name)) for class_id, name in named]
        pairs = ([(class_id, class_id) for class_id in known], named, folded, folded_names)
        self._levels = [_invert(level) for level in pairs]

    def find(self, text: str) -> list[str]:
        """Return the class ids that `text` may mean, by the first way that gives any."""
        for level, form in zip(self._levels, (text, text, fold_name(text), fold_name(text)), strict=True):
            if form in level:
                return level[form]
        return []


def _invert(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    inverted: dict[str, list[str]] = defaultdict(list)
    for class_id, form in pairs:
        inverted[form].append(class_id)
    return dict(inverted)


def _guess_dataset(path: Path, rows: Sequence[PredictionRow], finders: Mapping[str, _ImageFinder]) -> str:
    n_known = {name: sum(1 for row in rows if finder.find(row.image)) for name, finder in finders.items()}
    most = max(n_known.values())
    best = [name for name, n in n_known.items() if n == most]
    if most == 0:
        raise DatasetError(
            f"{path} names no image of {' or '.join(finders)} (first: {rows[0].image!r}); the column image holds keys, "
            f"such as {_example(finders)}: correct it, or check --datasets"
        )
    if len(best) > 1:
        raise DatasetError(
            f"{path} fits {' and '.join(best)} alike, with {counted(most, 'image')} in each; say which it is: "
            f"--predictions {best[0]}={path}, or add a column dataset"
        )
    return best[0]


def _example(finders: Mapping[str, _ImageFinder]) -> str:
    return next((repr(key) for finder in finders.values() if (key := finder.first_key())), "none, as no image was kept")


def _assign(
    spec: PredictionSpec, features: Features, images: _ImageFinder, rows: Sequence[PredictionRow]
) -> Predictions:
    ids = sorted({label for label in features.labels if label is not None})
    if not ids:
        raise DatasetError(
            f"{spec.path} is for {features.dataset}, of which no image has a class, so that nothing is right or wrong; "
            "give it labels.json, class folders, or --use-ground-truth"
        )
    row_at = _place_rows(spec.path, images, rows)
    if not row_at:
        raise DatasetError(
            f"{spec.path} names no image of {features.dataset} (first: {rows[0].image!r}); the column image holds its "
            f"keys, such as {_example({features.dataset: images})}"
        )
    classes = _ClassFinder(DatasetClasses.of_features(features))
    class_at = {place: _find_class(spec.path, row, classes) for place, row in row_at.items()}
    n_unknown = sum(class_id is None for class_id in class_at.values())
    if n_unknown == len(row_at):
        raise DatasetError(
            f"{spec.path} predicts no class of {features.dataset} (first: {rows[0].predicted!r}); the column predicted "
            f"holds class ids or names, such as {ids[0]!r}"
        )
    predicted: list[str | None] = [None] * features.n_kept
    scores: list[float | None] = [None] * features.n_kept
    for place, row in row_at.items():
        predicted[place], scores[place] = class_at[place] or row.predicted, row.score
    n_missing = len(rows) - len(row_at)
    return Predictions(spec.model, features.dataset, tuple(predicted), tuple(scores), len(rows), n_missing, n_unknown)


def _place_rows(path: Path, images: _ImageFinder, rows: Sequence[PredictionRow]) -> dict[int, PredictionRow]:
    """Return the row of each image that the dataset has, by the place of the image."""
    row_at: dict[int, PredictionRow] = {}
    for row in rows:
        place = _find_image(path, row, images)
        if place is not None and row_at.setdefault(place, row) is not row:
            raise DatasetError(_twice(path, row.image, row_at[place].line, row.line))
    return row_at


def _find_image(path: Path, row: PredictionRow, images: _ImageFinder) -> int | None:
    found = images.find(row.image)
    if len(found) > 1:
        raise DatasetError(
            f"{path}: the image {row.image!r} in line {row.line} may be {' or '.join(map(repr, found))}; write its "
            "extension"
        )
    return images.row_of(found[0]) if found else None


def _find_class(path: Path, row: PredictionRow, classes: _ClassFinder) -> str | None:
    found = classes.find(row.predicted)
    if len(found) > 1:
        raise DatasetError(
            f"{path}: the class {row.predicted!r} in line {row.line} may be {' or '.join(map(repr, found))}; write the "
            "class id"
        )
    return found[0] if found else None


def _twice(path: Path, image: str, first: int, second: int) -> str:
    return f"{path} names the image {image!r} in line {first} and again in line {second}; keep one"


def _first_missing(rows: Sequence[PredictionRow], images: _ImageFinder) -> str:
    """Return the first image that the dataset lacks, as written; "" where it has all."""
    return next((row.image for row in rows if not images.find(row.image)), "")


def _notices(one: Predictions, features: Features, missing: str) -> Iterator[str]:
    who = f"predictions of {one.model} for {one.dataset}"
    if one.n_not_in_dataset:
        rows = counted(one.n_rows, "row")
        failed = f"; {features.n_failed:,} of its images failed" if features.n_failed else ""
        yield (
            f"{who}: {one.n_not_in_dataset:,} of {rows} name images that the dataset lacks, left out "
            f"(first: {missing!r}{failed})"
        )
    labelled = [label is not None for label in features.labels]
    n_without = sum(has and predicted is None for has, predicted in zip(labelled, one.predicted, strict=True))
    if n_without:
        yield f"{who}: {n_without:,} of {counted(sum(labelled), 'labelled image')} without a prediction, left out"
    n_unlabelled = sum(
        not has and predicted is not None for has, predicted in zip(labelled, one.predicted, strict=True)
    )
    if n_unlabelled:
        yield f"{who}: {n_unlabelled:,} of {counted(one.n_predicted, 'prediction')} for images without a class"
    if one.n_unknown_class:
        n = counted(one.n_predicted, "prediction")
        known = {*features.class_names, *filter(None, features.labels)}
        first = next(text for text in one.predicted if text is not None and text not in known)
        yield (
            f"{who}: {one.n_unknown_class:,} of {n} of a class that the dataset does not have, counted as wrong "
            f"(first: {first!r})"
        )
