"""Where work runs: one seam, and the engines behind it."""

from overlens.engines.base import Engine, Outcome
from overlens.registry import Registry

__all__ = ["ENGINES", "Engine", "Outcome", "make_engine"]

ENGINES: Registry[type[Engine]] = Registry("engine", "overlens.engines")


def _local() -> type[Engine]:
    from overlens.engines.local import LocalEngine

    return LocalEngine


ENGINES.register("local", _local)


def make_engine(name: str) -> Engine:
    """Make the engine registered as `name`; raises ConfigError for an unknown one."""
    return ENGINES.load(name)()
