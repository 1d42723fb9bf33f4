"""Named choices that third parties may extend.

Three rules: a name registers once, lookup is case-exact, an unknown name lists the known ones. An entry is a loader,
called at lookup, so that a heavy library loads only when its entry is asked for.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from overlens.errors import ConfigError

T = TypeVar("T")


class Registry(Generic[T]):
    """Map names to loaders of one kind of thing.

    Args:
        kind: What the entries are, in the singular, for messages ("perceptual hash").
        entry_point_group: Third parties add entries under this entry-point group, if given.
    """

    def __init__(self, kind: str, entry_point_group: str | None = None) -> None:
        self._kind = kind
        self._group = entry_point_group
        self._loaders: dict[str, Callable[[], T]] = {}

    def register(self, name: str, loader: Callable[[], T]) -> None:
        """Add `name`; a second registration of one name raises ValueError."""
        if name in self._loaders:
            raise ValueError(f"{self._kind} {name!r} is already registered")
        self._loaders[name] = loader

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> tuple[str, ...]:
        """All known names, own ones first, in order of registration."""
        own = tuple(self._loaders)
        return own + tuple(name for name in self._plugins() if name not in self._loaders)

    def load(self, name: str) -> T:
        """Return what `name` stands for; raises ConfigError that lists the known names."""
        if name in self._loaders:
            return self._loaders[name]()
        plugins = self._plugins()
        if name in plugins:
            return plugins[name]()
        raise ConfigError(f"unknown {self._kind} {name!r}; known: {', '.join(self.names())}")

    def _plugins(self) -> dict[str, Callable[[], T]]:
        if self._group is None:
            return {}
        return {point.name: point.load for point in entry_points(group=self._group)}
