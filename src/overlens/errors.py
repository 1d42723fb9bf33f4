"""The one tree of errors: everything overlens raises on purpose is an `OverlensError`.

A message says what was wrong, the value seen, what is allowed and the next step. The command line turns any of
these into one line and an exit status, 2 for a `ConfigError` and 1 for the others; programming mistakes stay plain
`TypeError` or `ValueError`.
"""


class OverlensError(Exception):
    """Base class of every error that overlens raises on purpose."""


class ConfigError(OverlensError, ValueError):
    """An option or argument is not usable, or names what does not exist; raised before the first image is read."""


class DatasetError(OverlensError):
    """A dataset cannot be listed, or too many of its images failed."""


class DecodeError(OverlensError):
    """One image cannot be turned into pixels; becomes a failure row."""


class StoreError(OverlensError):
    """Stored features are missing, damaged or do not fit together."""


class EngineError(OverlensError):
    """A task failed for good after its retries."""


class ModelError(OverlensError):
    """The named encoder or its weights cannot be had."""


class MissingExtraError(OverlensError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f'{what} is not installed. Install it with: pip install "overlens[{extra}]" (in a clone: ".[{extra}]")'
        )
        self.extra = extra
