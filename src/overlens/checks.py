"""Checks of single values: each refuses with what was wrong, the value seen, what is allowed and what to do."""

from collections.abc import Iterable
from numbers import Integral, Real
from types import UnionType

from overlens.errors import ConfigError

Kind = type | UnionType | tuple[type, ...]


def require_choice(option: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise ConfigError unless a value is one of the allowed ones."""
    if not isinstance(value, str) or value not in allowed:
        raise ConfigError(f"{option} {value!r} is not known; allowed: {', '.join(allowed)}")


def require_dataset(name: object, known: Iterable[str]) -> None:
    """Raise ConfigError unless a name is that of one of the datasets at hand."""
    names = tuple(known)
    if name not in names:
        raise ConfigError(f"there is no dataset {name!r} here; known: {', '.join(names)}")


def require_kind(option: str, value: object, kind: Kind, words: str) -> None:
    """Raise ConfigError unless a value is of a type; `words` say which that is, and what to write."""
    if not isinstance(value, kind):
        raise ConfigError(f"{option} is {value!r}; it must be {words}")


def require_choices(option: str, values: object, allowed: tuple[str, ...]) -> None:
    """Raise ConfigError unless values are some of the allowed ones, in a tuple or list."""
    require_kind(option, values, (tuple, list), f"some of {', '.join(allowed)}, in a tuple")
    for value in values:  # type: ignore[attr-defined]  # seen to be a tuple or a list
        require_choice(option, value, allowed)


def require_number(option: str, value: object, least: float, most: float, *, allowed: str) -> None:
    """Raise ConfigError unless a value is a number from `least` to `most`.

    Args:
        option: What the value is given as.
        value: The value.
        least: The smallest number that is allowed.
        most: The largest one.
        allowed: The range in words, with an example, and with a word that is allowed instead of a number.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(f"{option} is {value!r}; it must be a number, {allowed}")
    if not least <= value <= most:  # type: ignore[operator]  # of its numbers, Python's typing knows no order
        raise ConfigError(f"{option} {value:g} is out of range; allowed is {allowed}")


def require_share(option: str, value: object, most: float, *, allowed: str) -> None:
    """Raise ConfigError unless a value is a number from 0 to `most`, which is 1 or nearly so."""
    if isinstance(value, int | float) and 1 < value <= 100:
        allowed += f"; write {value:g}% for a percentage"
    require_number(option, value, 0.0, most, allowed=allowed)


def require_at_least(option: str, value: object, least: int, *, such_as: object = None, or_else: str = "") -> None:
    """Raise ConfigError unless a value is a whole number of at least `least`; `or_else` is a word allowed instead."""
    allowed = f"{least} or more" + f", such as {such_as}" * bool(such_as) + f", or {or_else!r}" * bool(or_else)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ConfigError(f"{option} is {value!r}; it must be a whole number, {allowed}")
    if value < least:
        raise ConfigError(f"{option} {value} is too small; allowed is {allowed}")


def require_distinct_names(names: list[str]) -> None:
    """Raise ConfigError unless datasets have names that give files of their own."""
    if not names:
        raise ConfigError("no dataset is named; give at least one --datasets NAME or NAME=PATH")
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if names.count(name) > 1:
            raise ConfigError(f"dataset {name!r} is named twice; name each dataset once")
        if other != name:
            raise ConfigError(f"datasets {other!r} and {name!r} differ only in case, as would their files; rename one")
    joined: dict[str, tuple[str, str]] = {}
    for first in names:
        for second in names:
            if first != second and joined.setdefault(f"{first}_{second}", (first, second)) != (first, second):
                raise ConfigError(
                    f"datasets {first!r} and {second!r} give the same file name {first}_{second} as "
                    f"{' and '.join(map(repr, joined[f'{first}_{second}']))}; rename one: NAME=PATH"
                )


def name_problem(name: str) -> str:
    """Say why a name cannot be that of a dataset, or ""."""
    if not name.strip():
        return "is empty"
    if name in {"cross"} or name.startswith("."):
        return "is reserved or starts with a dot"
    if any(character in "/\\" or not character.isprintable() for character in name):
        return "holds a slash or an unprintable character"
    if len(name.encode()) > 100:
        return "is longer than 100 bytes"
    return ""
