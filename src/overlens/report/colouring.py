"""Which colour has each image of a projection, and what does the legend say?

One answer for the PNG and the page. More labels than colours: the most frequent labels are coloured, the rest is grey,
because more than nine colours cannot be told apart, least of all by a colour-blind reader. Images without a label are
paler still. The dataset also shows in the shape of the marker. A class has one colour in all
maps of a run that colour it, as far as the colours go.

Shapes: n images.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.errors import ConfigError
from overlens.report.style import FAINT, LABEL_COLOURS, MARKERS, REST, clean_text, dataset_colour
from overlens.report.views import COLOURINGS, ProjectionView, count_of

UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True)
class ColourGroup:
    """Images of one colour: the text of the legend, the colour, and the rows, ascending."""

    text: str
    colour: str
    rows: NDArray[np.intp]


def colour_groups(view: ProjectionView, coloured_by: str, *, join_rest: bool) -> list[ColourGroup]:
    """Divide the images into groups of one colour, in the order of the legend.

    Args:
        view: The images.
        coloured_by: "dataset" or "label".
        join_rest: Whether the labels that have no colour of their own become one group, or stay one grey group each.

    Returns:
        Groups that hold every image once.

    Raises:
        ConfigError: `coloured_by` is unknown.
    """
    if coloured_by not in COLOURINGS:
        raise ConfigError(f"a projection coloured by {coloured_by!r} is not known; allowed: {', '.join(COLOURINGS)}")
    if coloured_by == "dataset":
        rows_of = _rows_by_value(view.datasets)
        return [_group(name, dataset_colour(place), rows) for place, (name, rows) in enumerate(rows_of.items())]
    return _label_groups(view, join_rest)


def shared_colours(maps: Sequence[Mapping[str, int]]) -> dict[str, str]:
    """Choose colours for the labels that the maps of a run colour, one for each label in all of them.

    The most frequent labels choose first. One that finds every colour taken by labels that some map shows beside it
    gets none here; each map gives it one that it has to spare.

    Args:
        maps: How many images each label has in each map, of equally frequent ones the first to be coloured first; the
            last map says which of them chooses first.
    """
    coloured = [set(_ranked(counts)[: len(LABEL_COLOURS)]) for counts in maps]
    totals: Counter[str] = Counter()
    for counts in reversed(maps):
        totals.update(counts)
    colours: dict[str, str] = {}
    for label in _ranked(totals):
        beside = set().union(*(labels for labels in coloured if label in labels))
        free = [colour for colour in LABEL_COLOURS if colour not in {colours.get(other) for other in beside}]
        if beside and free:
            colours[label] = free[0]
    return colours


def dataset_marker(view: ProjectionView, dataset: str) -> int:
    """Return the number of the marker of `dataset`; all datasets have a marker of their own up to seven."""
    return view.dataset_names.index(dataset) % len(MARKERS)


def split_count(text: str) -> tuple[str, str]:
    """Part "words (12)" of a legend into "words" and " (12)"; a text without a number has an empty second part."""
    words, separator, count = clean_text(text).rpartition(" (")
    return (words, separator + count) if count[:-1].replace(",", "").isdigit() else (clean_text(text), "")


def _label_groups(view: ProjectionView, join_rest: bool) -> list[ColourGroup]:
    rows_of = _rows_by_value(view.labels)
    unlabelled = rows_of.pop(UNLABELLED, None)
    ranked = _ranked({label: len(rows_of[label]) for label in sorted(rows_of)})
    coloured, rest = ranked[: len(LABEL_COLOURS)], ranked[len(LABEL_COLOURS) :]
    given: dict[str, str] = {}
    for label in coloured:
        if label in view.colours and view.colours[label] not in given.values():
            given[label] = view.colours[label]
    spare = iter([colour for colour in LABEL_COLOURS if colour not in given.values()])
    groups = [_group(label, given.get(label) or next(spare), rows_of[label]) for label in coloured]
    if rest and join_rest:
        rows = np.sort(np.concatenate([rows_of[label] for label in rest]))
        groups.append(_group(f"other, {count_of(len(rest), 'class')}", REST, rows))
    elif rest:
        groups += [_group(label, REST, rows_of[label]) for label in rest]
    if unlabelled is not None:
        groups.append(_group(UNLABELLED, FAINT, unlabelled))
    return groups


def _ranked(counts: Mapping[str, int]) -> list[str]:
    """Return the labels, those of most images first, equally frequent ones as they come."""
    return sorted(counts, key=lambda label: -counts[label])


def _rows_by_value(values: tuple[str, ...]) -> dict[str, NDArray[np.intp]]:
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        rows.setdefault(value, []).append(row)
    return {value: np.array(places, np.intp) for value, places in rows.items()}


def _group(text: str, colour: str, rows: NDArray[np.intp]) -> ColourGroup:
    return ColourGroup(f"{text} ({len(rows):,})", colour, rows)
