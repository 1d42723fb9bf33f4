"""What the user asked for, checked before the first image is read.

One record per stage. A record raises ConfigError when it is made with a value that cannot work, so every door (the
command line, `overlens.analyze`, a test) meets the same checks and the same words.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from overlens.checks import (
    name_problem,
    require_at_least,
    require_choice,
    require_choices,
    require_distinct_names,
    require_kind,
    require_number,
    require_share,
)
from overlens.errors import ConfigError

METHODS = ("cosine", "perceptual")
PROJECTIONS = ("tsne", "umap")
BOTH = "both"
AUTO = "auto"
MIN_SIMILARITY, MAX_DISTANCE_BITS = 0.9, 5
PRECISIONS = ("auto", "fp32", "bf16")
HASH_TYPES = ("phash", "dhash", "whash", "ahash")
DEFAULT_DATASETS = ("ArtDL", "ICONCLASS", "wikidata")
PATH_OPTIONS = ("root", "output", "weights", "class_map")
STRATEGIES = ("random", "stratified", "long_tail", "episodic")
SHORT_CLASSES = ("skip", "fewer", "error")
SPLIT_FORMATS = ("json", "csv", "coop", "links")
LARGEST, BELOW_ONE = math.nextafter(math.inf, 0), math.nextafter(1.0, 0.0)
KEEP_RULES = ("resolution", "first", "dataset-order", "centroid")


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """One dataset: in the documented layout under its name, or at `path` (folder or manifest file)."""

    name: str
    path: Path | None = None

    def __post_init__(self) -> None:
        require_kind("dataset", self.name, str, "a name in text; write NAME or NAME=PATH")
        require_kind(f"path of {self.name!r}", self.path, Path | None, "a pathlib.Path, or None")
        problem = name_problem(self.name)
        if problem:
            raise ConfigError(
                f"dataset name {self.name!r} {problem}; it becomes part of file names. Rename it: NAME=PATH"
            )

    @classmethod
    def parse(cls, text: str) -> "DatasetSpec":
        """Read `NAME` or `NAME=PATH`."""
        require_kind("dataset", text, str, "text; write NAME or NAME=PATH")
        name, separator, path = text.partition("=")
        if separator and not path:
            raise ConfigError(f"dataset {text!r} has no path after '='; write NAME or NAME=PATH")
        return cls(name, Path(path).expanduser() if separator else None)


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Which encoder makes the embeddings, and how.

    Attributes:
        model: "ViT-B/32", "ViT-B/16", "ViT-L/14", "offline", "hf:ORG/NAME", a path, or a registered name.
        weights: Local weights to use instead of the hub's.
        precision: "auto" (bf16 where the processor has it), "fp32" or "bf16".
        batch_size: Images in one pass through the encoder, at least 1.
        n_threads: Processor cores the encoder may use; 0 means all.
    """

    model: str = "ViT-B/32"
    weights: Path | None = None
    precision: str = "auto"
    batch_size: int = 32
    n_threads: int = 0

    def __post_init__(self) -> None:
        require_kind("--clip-model", self.model, str, "text, such as 'ViT-B/32' or 'offline'")
        require_kind("--weights", self.weights, Path | None, "a pathlib.Path, or None")
        require_choice("--precision", self.precision, PRECISIONS)
        require_at_least("--batch-size", self.batch_size, 1, such_as=32)
        require_at_least("--workers", self.n_threads, 0)


@dataclass(frozen=True, slots=True)
class HashConfig:
    """Which perceptual hash; the hash itself checks which sizes it can have."""

    hash_type: str = "phash"
    hash_size: int = 8

    def __post_init__(self) -> None:
        require_choice("--hash-type", self.hash_type, HASH_TYPES)
        require_at_least("--hash-size", self.hash_size, 2, such_as=8)

    @property
    def n_bits(self) -> int:
        """Length of the hash in bits."""
        return self.hash_size**2


@dataclass(frozen=True, slots=True)
class PairConfig:
    """Which pairs to report: cosine similarity >= `min_similarity`, Hamming distance <= `max_distance_bits`.

    Attributes:
        methods: Some of `METHODS`.
        min_similarity: -1 to 1; None is chosen by calibration, for each two datasets and within each.
        max_distance_bits: 0 or more; None likewise.
        false_discovery_rate: What calibration keeps to: largest share of the reported pairs that are no verified
            copies, 0 to below 1.
    """

    methods: tuple[str, ...] = METHODS
    min_similarity: float | None = MIN_SIMILARITY
    max_distance_bits: int | None = MAX_DISTANCE_BITS
    false_discovery_rate: float = 0.01

    def __post_init__(self) -> None:
        require_choices("--method", self.methods, METHODS)
        if self.min_similarity is not None:
            allowed = f"-1 to 1, such as {MIN_SIMILARITY}, or {AUTO!r}"
            require_number("--cosine-threshold", self.min_similarity, -1.0, 1.0, allowed=allowed)
        if self.max_distance_bits is not None:
            bits = self.max_distance_bits
            require_at_least("--hash-threshold", bits, 0, such_as=MAX_DISTANCE_BITS, or_else=AUTO)
        allowed = "0 to below 1, such as 0.01 or 1%"
        require_share("--false-discovery-rate", self.false_discovery_rate, BELOW_ONE, allowed=allowed)

    @property
    def automatic(self) -> tuple[str, ...]:
        """The methods in use whose threshold is chosen by calibration."""
        stated = {"cosine": self.min_similarity, "perceptual": self.max_distance_bits}
        return tuple(method for method in self.methods if stated[method] is None)


@dataclass(frozen=True, slots=True)
class ProjectionConfig:
    """Which two-dimensional projections to draw."""

    methods: tuple[str, ...] = PROJECTIONS
    perplexity: float = 30
    n_neighbors: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        require_choices("--projections", self.methods, PROJECTIONS)
        require_number("--tsne-perplexity", self.perplexity, 1.0, LARGEST, allowed="1 or more, such as 30")
        require_at_least("--umap-neighbors", self.n_neighbors, 2, such_as=15)
        require_at_least("--seed", self.seed, 0)


@dataclass(frozen=True, slots=True)
class FewShotConfig:
    """Which few-shot splits to draw: every strategy x k x seed.

    Attributes:
        k_shots: Support images of each class, at least 1.
        n_classes: Classes of each split or episode, at least 1.
        n_seeds: Number of seeds, at least 1.
        seed: The first seed.
        strategies: Some of `STRATEGIES`.
        n_query: Query images of each class, at least 1; None takes up to 15.
        n_validation: Validation images of each class, at least 0; None takes up to 5, and in episodes none.
        n_episodes: Episodes of each k and seed, at least 1.
        short_classes: What becomes of a class with too few pictures, one of `SHORT_CLASSES`.
        held_out: Datasets that share no picture with any split, and get no splits themselves.
        allow_leaks: Draw images as if none had copies.
        disjoint_seeds: Deal the pictures of each class to the seeds, so that none is in the splits of two seeds.
        formats: Some of `SPLIT_FORMATS`; "json" is always written.
    """

    k_shots: tuple[int, ...] = (1, 5, 10)
    n_classes: int = 10
    n_seeds: int = 3
    seed: int = 0
    strategies: tuple[str, ...] = STRATEGIES
    n_query: int | None = None
    n_validation: int | None = None
    n_episodes: int = 600
    short_classes: str = "skip"
    held_out: tuple[str, ...] = ()
    allow_leaks: bool = False
    disjoint_seeds: bool = False
    formats: tuple[str, ...] = ("json", "csv", "coop")

    def __post_init__(self) -> None:
        require_kind("--k-shots", self.k_shots, (tuple, list), "whole numbers in a tuple, such as (1, 5, 10)")
        for k in self.k_shots:
            require_at_least("--k-shots", k, 1, such_as=5)
        require_at_least("--n-classes", self.n_classes, 1, such_as=10)
        require_at_least("--n-seeds", self.n_seeds, 1, such_as=3)
        require_at_least("--n-episodes", self.n_episodes, 1, such_as=600)
        require_at_least("--seed", self.seed, 0)
        require_choices("--strategies", self.strategies, STRATEGIES)
        require_choices("--split-formats", self.formats, SPLIT_FORMATS)
        require_choice("--short-classes", self.short_classes, SHORT_CLASSES)
        if self.n_query is not None:
            require_at_least("--n-query", self.n_query, 1, such_as=15, or_else=AUTO)
        if self.n_validation is not None:
            require_at_least("--n-validation", self.n_validation, 0, such_as=5, or_else=AUTO)
        require_kind("--held-out", self.held_out, (tuple, list), "names of datasets in a tuple")
        for dataset in self.held_out:
            require_kind("--held-out", dataset, str, "the name of a dataset")
        for name in ("allow_leaks", "disjoint_seeds"):
            require_kind(f"--{name.replace('_', '-')}", getattr(self, name), bool, "True or False")
        for option, values in (("--strategies", self.strategies), ("--k-shots", self.k_shots)):
            if not values:
                raise ConfigError(f"{option} names none; name at least one, or leave it out for the usual ones")

    @property
    def seeds(self) -> range:
        """The seeds, one split each: `seed`, `seed + 1`, ..."""
        return range(self.seed, self.seed + self.n_seeds)


@dataclass(frozen=True, slots=True)
class VerifyConfig:
    """How copies are verified and grouped.

    Attributes:
        max_candidates: Candidates that an image keeps by hash and embedding, at least 1.
        keep: Which image of a group represents it, one of `KEEP_RULES`.
        reference: Dataset that is taken as given: its images are never removed, pairs inside it are not reported.
    """

    max_candidates: int = 20
    keep: str = "resolution"
    reference: str | None = None

    def __post_init__(self) -> None:
        require_at_least("--max-candidates", self.max_candidates, 1, such_as=20)
        require_choice("--keep", self.keep, KEEP_RULES)
        require_kind("--reference", self.reference, str | None, "the name of a dataset")


@dataclass(frozen=True, slots=True)
class IdentifierConfig:
    """What tells which images of two datasets are expected to be one: nothing stated means names, where they can.

    Attributes:
        column: Column of the manifests that holds identifiers; a dataset without it is identified by its names.
        pattern: Regular expression that is searched for in the column's value or the image's name; its group, or all
            that it finds, is the identifier.
    """

    column: str | None = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        require_kind("--identifier-column", self.column, str | None, "the name of a column, or None")
        require_kind("--identifier-pattern", self.pattern, str | None, "a regular expression, such as 'Q[0-9]+'")
        if self.column is not None and not self.column.strip():
            raise ConfigError("--identifier-column is empty; name a column of a manifest")
        regex = self.regex()
        if regex is not None and regex.groups > 1:
            raise ConfigError(
                f"--identifier-pattern {self.pattern!r} has {regex.groups} groups; allowed is one, others are (?:...)"
            )
        if regex is not None and regex.fullmatch(""):
            raise ConfigError(f"--identifier-pattern {self.pattern!r} also finds empty text; such as 'Q[0-9]+' works")

    def regex(self) -> "re.Pattern[str] | None":
        """Return the compiled pattern, if there is one."""
        try:
            return None if self.pattern is None else re.compile(self.pattern)
        except re.error as error:
            raise ConfigError(
                f"--identifier-pattern {self.pattern!r} is no regular expression: {error}; such as 'Q[0-9]+' works"
            ) from None


_RECORDS = {
    "encoder": EncoderConfig,
    "hashing": HashConfig,
    "pairs": PairConfig,
    "projections": ProjectionConfig,
    "few_shot": FewShotConfig | None,
    "verification": VerifyConfig,
    "identifiers": IdentifierConfig,
}


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything one run of the documented command does."""

    datasets: tuple[DatasetSpec, ...] = field(default_factory=lambda: tuple(map(DatasetSpec, DEFAULT_DATASETS)))
    root: Path = Path()
    output: Path | None = None
    max_images: int | None = None
    max_failures: float = 0.05
    use_ground_truth: bool = False
    from_embeddings: bool = False
    scaled_decode: bool = False
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    hashing: HashConfig = field(default_factory=HashConfig)
    pairs: PairConfig = field(default_factory=PairConfig)
    projections: ProjectionConfig = field(default_factory=ProjectionConfig)
    few_shot: FewShotConfig | None = None
    evaluate_cross_dataset: bool = False
    class_map: Path | None = None
    predictions: tuple[str, ...] = ()
    """Files of predictions as given: `FILE`, or `NAME=FILE` where NAME is one of the datasets."""
    verify: bool = True
    verification: VerifyConfig = field(default_factory=VerifyConfig)
    identifiers: IdentifierConfig = field(default_factory=IdentifierConfig)
    report: bool = True
    """Whether the run ends with a report: one page of all that it found."""
    workers: int = 0
    engine: str = "local"
    ignored: tuple[str, ...] = ()
    """Options that were given and that no field holds, because they have no effect; the run tells them."""

    def __post_init__(self) -> None:
        self._require_kinds()
        require_distinct_names([dataset.name for dataset in self.datasets])
        self._require_some_difference()
        self._require_evidence()
        self._require_others()
        self._require_benchmarks()
        if self.from_embeddings and self.identifiers.column is not None:
            raise ConfigError(
                f"--identifier-column {self.identifiers.column!r} is read from a manifest, and --from-embeddings reads "
                "none; leave it out, or state where names hold identifiers: --identifier-pattern 'Q[0-9]+'"
            )
        if self.max_images is not None:
            require_at_least("--max-images", self.max_images, 1, such_as=1000)
        require_share("--max-failures", self.max_failures, 1.0, allowed="0 to 1 or 0% to 100%, such as 5%")
        require_at_least("--workers", self.workers, 0)

    def _require_kinds(self) -> None:
        require_kind("--datasets", self.datasets, (tuple, list), "a tuple of DatasetSpec")
        for dataset in self.datasets:
            require_kind("a dataset", dataset, DatasetSpec, "a DatasetSpec")
        require_kind("--root", self.root, Path, "a pathlib.Path")
        require_kind("--output", self.output, Path | None, "a pathlib.Path, or None")
        for name in (
            "use_ground_truth",
            "from_embeddings",
            "scaled_decode",
            "evaluate_cross_dataset",
            "verify",
            "report",
        ):
            require_kind(f"--{name.replace('_', '-')}", getattr(self, name), bool, "True or False")
        for name, kind in _RECORDS.items():
            require_kind(name, getattr(self, name), kind, f"a record of type {getattr(kind, '__name__', kind)}")
        require_kind("--engine", self.engine, str, "the name of an engine, such as 'local'")
        require_kind("--class-map", self.class_map, Path | None, "a pathlib.Path, or None")
        require_kind("--predictions", self.predictions, (tuple, list), "a tuple of FILE or NAME=FILE")
        for given in self.predictions:
            require_kind("--predictions", given, str, "FILE or NAME=FILE")
        require_kind("ignored", self.ignored, tuple, "a tuple of names of options, such as ('k_shots',)")

    def _require_others(self) -> None:
        """Where a dataset is to be held against others, there must be some."""
        if self.reference is not None and len(self.datasets) < 2:
            raise ConfigError(
                f"--reference {self.reference!r} is taken as given, so another dataset is needed to compare with it; "
                "name one with --datasets"
            )
        if self.reference is not None:
            require_choice("--reference", self.reference, tuple(dataset.name for dataset in self.datasets))
        if self.evaluate_cross_dataset and len(self.datasets) < 2:
            raise ConfigError("--evaluate-cross-dataset needs two datasets or more; name another with --datasets")

    def _require_benchmarks(self) -> None:
        """Leaks are told by verified copies, and those by the images of another dataset."""
        names = tuple(dataset.name for dataset in self.datasets)
        held_out = self.few_shot.held_out if self.few_shot is not None else ()
        for name in held_out:
            require_choice("--held-out", name, names)
        if held_out and set(names) <= set(held_out):
            raise ConfigError("--held-out names every dataset, so none is left to draw splits from; name another one")
        if self.few_shot is not None and self.from_embeddings and "links" in self.few_shot.formats:
            raise ConfigError("--split-formats links makes links to images, and --from-embeddings reads none; drop one")
        for option, is_given in (("--held-out", bool(held_out)), ("--predictions", bool(self.predictions))):
            if is_given and not self.verifies:
                why = "--from-embeddings reads no images" if self.from_embeddings else "--no-verify leaves these out"
                raise ConfigError(f"{option} goes by verified copies, and {why}; leave out one of them")
        if self.predictions and len(names) < 2:
            raise ConfigError("--predictions needs a dataset that may overlap; name another with --datasets")

    def _require_some_difference(self) -> None:
        most = self.pairs.max_distance_bits
        if self.needs_hashes and most is not None and most >= self.hashing.n_bits:
            raise ConfigError(
                f"--hash-threshold {most} would match any two images: a hash of size "
                f"{self.hashing.hash_size} has {self.hashing.n_bits} bits; allowed is less, such as 5"
            )

    def _require_evidence(self) -> None:
        """Thresholds are calibrated by verified pairs and by edits of the images themselves."""
        if not self.pairs.automatic:
            if self.pairs.false_discovery_rate != PairConfig().false_discovery_rate:
                raise ConfigError(
                    f"--false-discovery-rate {self.pairs.false_discovery_rate:g} has no effect on thresholds that are "
                    f"stated; add --cosine-threshold {AUTO} or --hash-threshold {AUTO}, or leave it out"
                )
            return
        option = "--cosine-threshold" if "cosine" in self.pairs.automatic else "--hash-threshold"
        number = f"state a number, such as {option} {MIN_SIMILARITY if 'cosine' in option else MAX_DISTANCE_BITS}"
        if self.from_embeddings:
            raise ConfigError(
                f"{option} {AUTO} learns from verified pairs and from edits of the images, and --from-embeddings reads "
                f"no image; {number}"
            )
        if not self.verify:
            raise ConfigError(
                f"{option} {AUTO} learns from verified pairs, and --no-verify leaves these out; drop --no-verify or "
                f"{number}"
            )

    @property
    def needs_embeddings(self) -> bool:
        """Whether any asked-for result needs an encoder."""
        wants = "cosine" in self.pairs.methods, self.projections.methods, self.few_shot, self.evaluate_cross_dataset
        return any(bool(want) for want in wants)

    @property
    def needs_hashes(self) -> bool:
        """Whether any asked-for result needs perceptual hashes."""
        return "perceptual" in self.pairs.methods

    @property
    def verifies(self) -> bool:
        """Whether copies are verified: always, unless turned off, or there are no images to look at."""
        return self.verify and not self.from_embeddings

    @property
    def reference(self) -> str | None:
        """The dataset that is taken as given, if there is one."""
        return self.verification.reference

    @property
    def output_root(self) -> Path:
        """Where the results go: `output` if given, else `root`."""
        return self.root if self.output is None else self.output
