"""Long names in little room: cut in the middle, as names of datasets differ at both ends, and never made equal.

Where the cut makes two names of one picture alike, the cut moves to the beginning or to the end; where that does not
tell them apart either, each name gets its number in the order in which the picture has them. In sentences names are
whole, and get their numbers where they hold letters that cannot be drawn and look the same without.
"""

from collections.abc import Callable, Sequence

from overlens.report.style import drawable, join_ends, shorten_middle

HEAD_SHARES = (0.5, 0.25, 0.75, 0.0, 1.0)


def distinct_names(names: Sequence[str], width: float, size: float, *, bold: bool = False) -> tuple[str, ...]:
    """Return the names of one picture as drawable texts, none wider than `width` inches at `size` points.

    Names that fit stay whole, and different names stay different.
    """

    def cut(name: str, head_share: float, ending: str) -> str:
        return shorten_middle(name, width, (size, bold), head_share=head_share, ending=ending)

    return keep_distinct(names, cut)


def keep_distinct(names: Sequence[str], cut: Callable[[str, float, str], str]) -> tuple[str, ...]:
    """Return shortened names that are as many as the names.

    Args:
        names: Names of one picture; equal ones are one name.
        cut: Shortens (name, share of the letters that stay in front of the cut, ending that is kept whole).
    """
    n_names = len(set(names))
    for head_share in HEAD_SHARES:
        shown = tuple(cut(name, head_share, "") for name in names)
        if len(set(shown)) == n_names:
            return shown
    numbers = _numbers(names)
    return tuple(cut(name, HEAD_SHARES[0], numbers[name]) for name in names)


def names_in_words(names: Sequence[str]) -> dict[str, str]:
    """Return each name of one picture as its title and sentences write it: whole, with its number where two look alike.

    They are not drawable text yet: what they stand in becomes that.
    """
    numbers = _numbers(names)
    looks_alike = len(set(map(drawable, numbers))) < len(numbers)
    return {name: name + number if looks_alike else name for name, number in numbers.items()}


def _numbers(names: Sequence[str]) -> dict[str, str]:
    return {name: f" ({number})" for number, name in enumerate(dict.fromkeys(names), start=1)}


def cut_characters(name: str, n_most: int, head_share: float, ending: str) -> str:
    """Return `name` cut in the middle to at most `n_most` characters, an ellipsis for what is left out, and the ending.

    For texts whose width nobody can measure here, such as those of a page.
    """
    room = n_most - len(ending)
    if len(name) <= room:
        return name + ending
    return join_ends(name, room - 1, head_share) + ending
