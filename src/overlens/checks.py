"""Checks of single values: each refuses with what was wrong, the value seen, what is allowed and what to do."""

from collections.abc import Iterable
from numbers import Integral, Real

from overlens.errors import ConfigError


def require_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigError unless a value is one of the allowed ones."""
    if value not in allowed:
        raise ConfigError(f"{option} {value!r} is not known; allowed: {', '.join(allowed)}")


def require_dataset(name: object, known: Iterable[str]) -> None:
    """Raise ConfigError unless a name is that of one of the datasets at hand."""
    names = tuple(known)
    if name not in names:
        raise ConfigError(f"there is no dataset {name!r} here; known: {', '.join(names)}")


def require_number(option: str, value: object, *, or_else: str = "") -> None:
    """Raise ConfigError unless a value is a number; `or_else` is a word that is allowed too."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(f"{option} is {value!r}; it must be a number{_or(or_else)}")


def require_at_least(option: str, value: int, least: int, *, or_else: str = "") -> None:
    """Raise ConfigError unless a value is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ConfigError(f"{option} is {value!r}; it must be a whole number, {least} or more{_or(or_else)}")
    if value < least:
        raise ConfigError(f"{option} {value} is too small; allowed is {least} or more{_or(or_else)}")


def _or(word: str) -> str:
    return f", or {word!r}" if word else ""


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
