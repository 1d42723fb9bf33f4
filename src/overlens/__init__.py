"""Which images do these datasets share, by how much in each direction, and on what evidence.

`analyze` is the documented command as a function; what it needs loads when it is first asked for.
"""

from typing import TYPE_CHECKING

from overlens.version import __version__

__all__ = ["Analysis", "OverlensError", "__version__", "analyze"]

if TYPE_CHECKING:
    from overlens.analysis import Analysis
    from overlens.api import analyze
    from overlens.errors import OverlensError

_HOMES = {"Analysis": "overlens.analysis", "OverlensError": "overlens.errors", "analyze": "overlens.api"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'overlens' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
