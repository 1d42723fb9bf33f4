"""Find which images of two datasets carry the same identifier: pairs that are expected without anybody labelling them.

An identifier is the value of a stated column of the manifest, or what a stated pattern finds in that value or in the
name of the image; else it is the name itself, without folders and image extension. Letter case, spaces around it and
ways of composing a character make no difference.

A stated column or pattern is taken at its word. Plain names are taken for identifiers only where they can be one,
because `0001.jpg` in two datasets means nothing. Such a name

* stands once in each dataset;
* holds a letter and at least five digits, or nine digits (leading zeros not counted); and
* is no running number. Among the names that differ only in their last number, or only in their longest, move all
  numbers of one dataset by 1, by 2, to 50, up or down: if at any one distance more than a fifth as many names are found
  in the other dataset as are equal unmoved, equal ones may be chance. Catalogue numbers are sparse, counters are not.

The cost: a collection that is numbered through (`img_00001` to `img_99999`) is never recognised by its names. State a
pattern where they do identify the images.

Shapes: n and m images of two datasets, k identifiers that both have.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.config import IdentifierConfig
from overlens.same_number import NO_NUMBER

NO_IDENTIFIER = NO_NUMBER
NAMES = "names"
MIN_DIGITS, MIN_BARE_DIGITS = 5, 9
COUNTER_REACH = 50
"""Largest difference of two numbers that still count as neighbours."""
MIN_SURPLUS = 5
"""How many times as many equal names as neighbours at any one distance it takes for equality to mean something."""

_NUMBER = re.compile(r"[0-9]{1,15}(?![0-9])")
_ROWS_AT_ONCE = 65_536

Numbers = NDArray[np.int64]
Template = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The identifiers of one dataset, row by row.

    Attributes:
        dataset: Name of the dataset.
        values: Identifier of each image as it is written in the data, or None for an image without one.
        source: Where they come from, in words: "names", "column NAME", either "by pattern REGEX".
        is_stated: Whether the user said so; else they are plain names.
    """

    dataset: str
    values: tuple[str | None, ...]
    source: str
    is_stated: bool

    @property
    def n_identified(self) -> int:
        """Number of images that have an identifier. A plain name is one of sorts, though few of them count."""
        return len(self.values) - self.values.count(None)

    def compared(self) -> list[str | None]:
        """Return the identifiers in the form in which they are compared."""
        return [None if value is None else _normalise(value) for value in self.values]


@dataclass(frozen=True, slots=True)
class SharedIdentifiers:
    """The identifiers that two datasets share, numbered in the order of the first dataset's images.

    Attributes:
        dataset_a: The first dataset.
        dataset_b: The second dataset.
        source: Where the identifiers come from, in words; both sources where they differ.
        values: The k identifiers, each as the first image of the first dataset that has it writes it.
        left: `(n,)` int32, for each image of the first dataset the number of its identifier, or `NO_IDENTIFIER`.
        right: `(m,)` int32, the same for the second.
        n_refused: Names that both datasets have and that are not taken for identifiers.
    """

    dataset_a: str
    dataset_b: str
    source: str
    values: tuple[str, ...]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    n_refused: int = 0

    def __post_init__(self) -> None:
        wanted = np.arange(len(self.values))
        for name, column in (("left", self.left), ("right", self.right)):
            found = np.unique(column[column != NO_IDENTIFIER])
            if column.dtype != np.int32 or not np.array_equal(found, wanted):
                raise ValueError(f"{name} must be int32 and name each of {len(wanted)} identifiers, got {found!r:.80}")

    def __len__(self) -> int:
        return len(self.values)


def read_identifiers(
    dataset: str,
    keys: Sequence[str],
    *,
    column: Sequence[str | None] | None,
    config: IdentifierConfig,
    extensions: frozenset[str],
) -> Identifiers:
    """Return the identifier of each image of one dataset.

    Args:
        dataset: Name of the dataset.
        keys: Key of each image.
        column: Value of the stated column for each image; None: the dataset has no such column, so names serve.
        config: The column and the pattern that the user states, if any.
        extensions: Image extensions, lower case with dot, which are no part of a name.
    """
    pattern = config.regex()
    if column is not None:
        texts: Iterable[str | None] = column
        source = f"column {config.column}"
    else:
        names = (_without_extension(key, extensions) for key in keys)
        # A pattern may look at folders; a name alone is meant without.
        texts = names if pattern else (name.rpartition("/")[2] for name in names)
        source = NAMES
    if pattern is not None:
        source += f" by pattern {pattern.pattern}"
        texts = (_find(pattern, text) for text in texts)
    values = tuple((text.strip() or None) if text else None for text in texts)
    return Identifiers(dataset, values, source, is_stated=column is not None or pattern is not None)


def share_identifiers(left: Identifiers, right: Identifiers) -> SharedIdentifiers:
    """Return the identifiers that two datasets share.

    Where the identifiers of either dataset are stated, every equal one counts, on however many images it stands. Else
    only names count that can be identifiers, see above.
    """
    firsts, seconds = left.compared(), right.compared()
    common = set(firsts).intersection(seconds) - {None}
    shared = [value for value in dict.fromkeys(firsts) if value in common and value is not None]
    kept = shared if left.is_stated or right.is_stated else _telling_names(shared, firsts, seconds)
    number_of = {value: number for number, value in enumerate(kept)}
    # Of equal ones the first is written last, and stays.
    written = {value: text for value, text in zip(reversed(firsts), reversed(left.values), strict=True)}
    return SharedIdentifiers(
        dataset_a=left.dataset,
        dataset_b=right.dataset,
        source=" and ".join(dict.fromkeys((left.source, right.source))),
        values=tuple(str(written[value]) for value in kept),
        left=_number(firsts, number_of),
        right=_number(seconds, number_of),
        n_refused=len(shared) - len(kept),
    )


def tell_identified(identifiers: Sequence[Identifiers], *, is_shared: bool) -> list[str]:
    """Say how many images a stated column or pattern identifies, unless it is all of them and some are shared.

    Args:
        identifiers: Identifiers of each dataset.
        is_shared: Whether any two datasets share one.

    Returns:
        Sentences for the user; none where no column or pattern is stated.
    """
    if not any(one.is_stated for one in identifiers):
        return []
    told = [
        f"{one.dataset}: {one.n_identified:,} of {len(one.values):,} images have an identifier ({one.source})"
        for one in identifiers
        if one.n_identified < len(one.values) or not is_shared
    ]
    if not is_shared and len(identifiers) > 1:
        told.append("no two datasets share an identifier, so there is no recall to measure")
    return told


def can_identify(name: str) -> bool:
    """Whether a name holds a letter and five digits or more, or nine digits; leading zeros of a number do not count."""
    n_digits = sum(len(run.lstrip("0")) for run in re.findall(r"[0-9]+", name))
    return n_digits >= (MIN_DIGITS if any(map(str.isalpha, name)) else MIN_BARE_DIGITS)


def find_counters(shared: Sequence[str], left: Iterable[str | None], right: Iterable[str | None]) -> set[str]:
    """Return those of the `shared` names that are running numbers in the two datasets.

    Args:
        shared: Names that both datasets have.
        left: All names of the first dataset.
        right: All names of the second dataset.
    """
    names_by_template: dict[Template, list[str]] = defaultdict(list)
    for name in shared:
        for template, _ in _templates(name):
            names_by_template[template].append(name)
    here, there = (_numbers_by_template(names, names_by_template) for names in (left, right))
    counters: set[str] = set()
    for template, names in names_by_template.items():
        if MIN_SURPLUS * count_neighbours(here[template], there[template]) > len(names):
            counters.update(names)
    return counters


def count_neighbours(left: Sequence[int], right: Sequence[int], reach: int = COUNTER_REACH) -> int:
    """Return how many numbers of the one side are in the other when moved by d, the most for d = ±1 to ±reach."""
    if len(left) == len(right) == 1:  # the same number, as the template is that of a shared name
        return 0
    firsts, seconds = np.unique(np.asarray(left, np.int64)), np.unique(np.asarray(right, np.int64))
    counts = np.zeros(2 * reach + 1, np.int64)
    for start in range(0, len(firsts), _ROWS_AT_ONCE):
        counts += _count_differences(firsts[start : start + _ROWS_AT_ONCE], seconds, reach)
    counts[reach] = 0
    return int(counts.max())


def _count_differences(firsts: Numbers, seconds: Numbers, reach: int) -> Numbers:
    starts = np.searchsorted(seconds, firsts - reach)
    lengths = np.searchsorted(seconds, firsts + reach, side="right") - starts
    # Both are distinct, so no number has more than 2 * reach + 1 neighbours.
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    differences = seconds[np.repeat(starts, lengths) + within] - np.repeat(firsts, lengths)
    return np.bincount(differences + reach, minlength=2 * reach + 1)


def _telling_names(shared: Sequence[str], left: Sequence[str | None], right: Sequence[str | None]) -> list[str]:
    n_left, n_right = Counter(left), Counter(right)
    single = [name for name in shared if n_left[name] == n_right[name] == 1 and can_identify(name)]
    counters = find_counters(single, left, right) if single else set()
    return [name for name in single if name not in counters]


def _templates(name: str) -> Iterator[tuple[Template, int]]:
    """Yield what is left of a name without its last and without its longest number, and that number.

    A counter is one of the two; taking out every number of a digest in hexadecimal would cost much and tell nothing.
    """
    matches = list(_NUMBER.finditer(name))
    if not matches:
        return
    longest = max(matches, key=lambda match: len(match[0]))
    for match in {matches[-1].start(): matches[-1], longest.start(): longest}.values():
        yield (name[: match.start()], name[match.end() :]), int(match[0])


def _numbers_by_template(names: Iterable[str | None], wanted: Mapping[Template, object]) -> dict[Template, list[int]]:
    numbers: dict[Template, list[int]] = {template: [] for template in wanted}
    for name in names:
        for template, number in _templates(name) if name else ():
            if template in numbers:
                numbers[template].append(number)
    return numbers


def _number(values: Sequence[str | None], number_of: Mapping[str, int]) -> NDArray[np.int32]:
    numbers = (NO_IDENTIFIER if value is None else number_of.get(value, NO_IDENTIFIER) for value in values)
    return np.fromiter(numbers, np.int32, len(values))


def _find(pattern: re.Pattern[str], text: str | None) -> str | None:
    """Return the group of the pattern where it is first found, or all of what is found if it has no group."""
    match = pattern.search(text) if text else None
    return match[min(pattern.groups, 1)] if match else None


def _normalise(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _without_extension(key: str, extensions: frozenset[str]) -> str:
    stem, _, extension = key.rpartition(".")
    return stem if stem and f".{extension.lower()}" in extensions else key
