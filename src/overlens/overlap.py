"""Count how many images of each dataset have a match elsewhere: what the Venn diagrams and `overlap.json` show.

An overlap counts images, not pairs, and each direction is its own number: ten images of A may match one image of B, so
"A in B" is 10 and "B in A" is 1. Where several datasets meet, every image of A is counted in exactly one region, named
by the set of other datasets it has a match in; a triple overlap is therefore counted, never guessed from pairwise
numbers.
A match is as its method defines it. By cosine similarity or Hamming distance it is a pair within the threshold, which
is not transitive, and nothing here makes it so. By the method "verified" two images match if they are in one group, so
that there may be fewer pairs than images that match.

Within a dataset that is taken as given (`--reference`) nobody looks for matches. What was not looked for is None and
never 0, which would say that there are none.

Shapes: n kept images of one dataset.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overlens.checks import require_dataset
from overlens.errors import ConfigError
from overlens.frames import make_frame

if TYPE_CHECKING:
    import pandas

Flags = NDArray[np.bool_]

VERIFIED_METHOD = "verified"
"""The method whose matches follow from groups of verified pairs (`overlens.groups.measure`)."""


def is_compared(first: str, second: str, reference: str | None) -> bool:
    """Whether matches between two datasets, or within one for its name twice, are looked for at all."""
    return first != second or first != reference


def compared_couples(datasets: Iterable[str], reference: str | None) -> list[tuple[str, str]]:
    """Return every two datasets, and each twice for what is within it, in the order given, but for the reference twice.

    Args:
        datasets: Their names.
        reference: Dataset that is taken as given, or None.
    """
    couples = combinations_with_replacement(datasets, 2)
    return [couple for couple in couples if is_compared(*couple, reference)]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far any number of datasets overlap by one method.

    Attributes:
        method: "cosine", "perceptual" or "verified".
        sizes: Dataset -> number of its kept images.
        contained: A -> B -> number of images of A that have a match in B, for A other than B.
        within: A -> number of images of A that have a match in A other than themselves; None where none was looked for.
        regions: A -> set of other datasets -> number of images of A that have a match in exactly these; regions that
            hold no image are absent, the numbers of one dataset sum to its size.
        pairs_within: A -> number of pairs of images within A; None where `within` is.
        pairs_across: A -> B -> number of pairs between A and B, the same number from both sides.
    """

    method: str
    sizes: Mapping[str, int]
    contained: Mapping[str, Mapping[str, int]]
    within: Mapping[str, int | None]
    regions: Mapping[str, Mapping[frozenset[str], int]]
    pairs_within: Mapping[str, int | None]
    pairs_across: Mapping[str, Mapping[str, int]]

    def __post_init__(self) -> None:
        for dataset, size in self.sizes.items():
            self._check_counts(dataset, size)
            self._check_regions(dataset, size)
            self._check_pairs(dataset)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets, in the order given."""
        return tuple(self.sizes)

    def count(self, dataset: str, other: str) -> int | None:
        """Return how many images of `dataset` have a match in `other`, or within it for the same name twice.

        Returns:
            A number of images; None where no match was looked for.

        Raises:
            ConfigError: There is no dataset of such a name; the message names those there are.
        """
        for name in (dataset, other):
            require_dataset(name, self.datasets)
        return self.within[dataset] if dataset == other else self.contained[dataset][other]

    def share(self, dataset: str, other: str) -> float | None:
        """Return the share of the images of `dataset` that have a match in `other`, or within it for one name twice.

        Returns:
            0 to 1, and 0 for an empty dataset; None where no match was looked for.

        Raises:
            ConfigError: There is no dataset of such a name; the message names those there are.
        """
        n_matched = self.count(dataset, other)
        if n_matched is None:
            return None
        return n_matched / self.sizes[dataset] if self.sizes[dataset] else 0.0

    def region(self, dataset: str, others: Iterable[str]) -> int:
        """Return how many images of `dataset` have a match in each of `others` and in no other dataset.

        Raises:
            ConfigError: There is no dataset of such a name, or `others` is one name instead of several or none.
        """
        if isinstance(others, str):
            raise ConfigError(f"others is the text {others!r}; give the names in a list, such as [{others!r}]")
        named = frozenset(others)
        for name in (dataset, *named):
            require_dataset(name, self.datasets)
        if dataset in named:
            raise ConfigError(f"others names {dataset!r} itself; a region is made by matches in other datasets")
        return self.regions[dataset].get(named, 0)

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries and lists for `json.dump`, datasets in alphabetical order.

        A region is `{"datasets": [...], "n_images": n}`, fewest datasets first.
        """
        names = sorted(self.sizes)
        return {
            "sizes": {name: self.sizes[name] for name in names},
            "contained": {
                name: {other: self.contained[name][other] for other in _others(names, name)} for name in names
            },
            "within": {name: self.within[name] for name in names},
            "regions": {name: _regions_to_json(self.regions[name]) for name in names},
            "n_pairs": {
                "within": {name: self.pairs_within[name] for name in names},
                "across": {
                    name: {other: self.pairs_across[name][other] for other in _others(names, name)} for name in names
                },
            },
        }

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row a direction: dataset, other, n_images, n_matched, share, n_pairs; within has other = dataset.

        What was not looked for is missing (`pandas.NA`); the types of the last three columns can hold that.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        rows = [self._describe(dataset, other) for dataset in self.sizes for other in self.sizes]
        nullable = {"n_matched": "Int64", "share": "Float64", "n_pairs": "Int64"}
        return make_frame(rows, ["dataset", "other", "n_images", *nullable], nullable)

    def _describe(self, dataset: str, other: str) -> tuple[object, ...]:
        n_pairs = self.pairs_within[dataset] if dataset == other else self.pairs_across[dataset][other]
        return dataset, other, self.sizes[dataset], self.count(dataset, other), self.share(dataset, other), n_pairs

    def _check_counts(self, dataset: str, size: int) -> None:
        others = set(self.sizes) - {dataset}
        for name, table in (("contained", self.contained), ("pairs_across", self.pairs_across)):
            if set(table.get(dataset, {})) != others:
                raise ValueError(
                    f"{name}[{dataset!r}] must name {sorted(others)}, got {sorted(table.get(dataset, {}))}"
                )
        for count in (self.within.get(dataset, -1), *self.contained[dataset].values()):
            if count is not None and not 0 <= count <= size:
                raise ValueError(f"{dataset!r} has {size} images, of which {count} cannot have a match")

    def _check_regions(self, dataset: str, size: int) -> None:
        regions = self.regions.get(dataset, {})
        if sum(regions.values()) != size or min(regions.values(), default=0) < 0:
            raise ValueError(f"regions of {dataset!r} sum to {sum(regions.values())}, but it has {size} images")
        for other, count in self.contained[dataset].items():
            in_regions = sum(n for others, n in regions.items() if other in others)
            if in_regions != count:
                raise ValueError(f"{count} images of {dataset!r} match {other!r}, but its regions say {in_regions}")

    def _check_pairs(self, dataset: str) -> None:
        # In a group, images match through others too, so nothing follows for the number of pairs.
        is_direct = self.method != VERIFIED_METHOD
        n_matched, n_within = self.within[dataset], self.pairs_within.get(dataset, -1)
        if n_matched is None or n_within is None:
            if n_matched is not n_within:
                raise ValueError(f"{n_within} pairs within {dataset!r}, but {n_matched} images: one was not looked for")
        elif n_within < 0 or (is_direct and 2 * n_within < n_matched):
            raise ValueError(f"pairs within {dataset!r} do not fit its {n_matched} images that match")
        for other, n_pairs in self.pairs_across[dataset].items():
            is_short = n_pairs < 0 or (is_direct and n_pairs < self.contained[dataset][other])
            if n_pairs != self.pairs_across.get(other, {}).get(dataset) or is_short:
                raise ValueError(f"{n_pairs} pairs between {dataset!r} and {other!r} do not fit the images that match")


def measure_overlap(
    method: str,
    *,
    within: Mapping[str, Flags],
    across: Mapping[tuple[str, str], Flags],
    pairs_within: Mapping[str, int | None],
    pairs_across: Mapping[tuple[str, str], int],
) -> Overlap:
    """Return the overlap of the datasets that `within` names, in its order.

    Args:
        method: "cosine", "perceptual" or "verified".
        within: A -> `(n,)` bool, whether each kept image of A has a match in A.
        across: (A, B) -> `(n,)` bool over the images of A, whether each has a match in B; both directions of every two
            datasets are needed.
        pairs_within: A -> number of pairs within A; None where they were not looked for, and then the flags of A within
            itself say nothing but its size.
        pairs_across: (A, B) -> number of pairs between A and B; one order of the names is enough.

    Raises:
        ValueError: Flags are missing, or are not one bool for each image.
    """
    names = list(within)
    _require_flags(within, across)
    flags = {name: {other: across[name, other] for other in _others(names, name)} for name in names}
    counts = {**pairs_across, **{(second, first): n for (first, second), n in pairs_across.items()}}
    for first, second in combinations(names, 2):
        if (first, second) not in counts:
            raise ValueError(f"pairs_across must count the pairs between {first!r} and {second!r}")
    return Overlap(
        method=method,
        sizes={name: len(within[name]) for name in names},
        contained={name: {other: int(found.sum()) for other, found in flags[name].items()} for name in names},
        within={name: None if pairs_within[name] is None else int(within[name].sum()) for name in names},
        regions={name: _count_regions(len(within[name]), flags[name]) for name in names},
        pairs_within={name: None if (n := pairs_within[name]) is None else int(n) for name in names},
        pairs_across={name: {other: int(counts[name, other]) for other in _others(names, name)} for name in names},
    )


def _require_flags(within: Mapping[str, Flags], across: Mapping[tuple[str, str], Flags]) -> None:
    for name, own in within.items():
        for other in _others(within, name):
            if (name, other) not in across:
                raise ValueError(f"across must say which images of {name!r} have a match in {other!r}")
        columns = [own, *(across[name, other] for other in _others(within, name))]
        for column in columns:
            if column.dtype != np.bool_ or column.shape != (len(own),):
                raise ValueError(f"flags of {name!r} must be {len(own)} bool, got {column.dtype} of {column.shape}")


def _count_regions(n_images: int, flags: Mapping[str, Flags]) -> dict[frozenset[str], int]:
    """Group the images of one dataset by the exact set of other datasets they match."""
    if not n_images:
        return {}
    names = list(flags)
    table = np.stack([flags[name] for name in names], axis=1) if names else np.zeros((n_images, 0), np.bool_)
    packed = np.packbits(np.pad(table, ((0, 0), (0, 1))), axis=1)  # one spare column: a lone dataset has none
    _, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
    found = [frozenset(name for name, hit in zip(names, table[row], strict=True) if hit) for row in first]
    return dict(zip(found, counts.tolist(), strict=True))


def _regions_to_json(regions: Mapping[frozenset[str], int]) -> list[dict[str, object]]:
    ordered = sorted(regions, key=lambda others: (len(others), sorted(others)))
    return [{"datasets": sorted(others), "n_images": regions[others]} for others in ordered]


def _others(names: Iterable[str], name: str) -> list[str]:
    return [other for other in names if other != name]
