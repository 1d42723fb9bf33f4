"""What every compiled kernel has in common: it releases the GIL, stays serial, and is cached on disk where that can be.

numba keeps compiled code beside the module or in the user's cache folder. Where it may write to neither, as in a
read-only container without a home, kernels are compiled anew in each process. Importing this module loads numba, so
only kernel modules import it, and what tells afterwards how long compilation took.

Compilation falls into whichever stage needs a kernel first, so it is told when it happens: numba itself reports it, and
only where it finds nothing in its cache. That holds for the kernels of other packages, too (UMAP has many).
"""

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit
from numba.core.event import Listener, register

LOG = logging.getLogger(__name__)
Function = Callable[..., Any]
KEPT = (
    "compilation: code for this processor is compiled and kept, so this run takes longer than later ones, by up to a "
    "minute"
)
NOT_KEPT = (
    "compilation: numba can keep no compiled code here, so every run takes longer; name a folder for it with "
    "NUMBA_CACHE_DIR"
)


def compiled(signature: Any = None) -> Callable[[Function], Any]:  # noqa: ANN401 - what numba takes
    """Return a decorator that compiles a function, at once for a given signature and else when it is first called."""

    def decorate(function: Function) -> Function:
        try:
            kernel: Function = njit(signature, nogil=True, cache=True)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            _tell_once(NOT_KEPT)
            LOG.debug("%s is compiled for this process only: %s", function.__name__, error)
            kernel = njit(signature, nogil=True)(function)
        return kernel

    return decorate


def compile_seconds() -> float:
    """Return how long this process has compiled since this module was loaded; 0 where all was cached."""
    return _COMPILATIONS.seconds


@cache
def _tell_once(sentence: str) -> None:
    LOG.info(sentence)


class _Compilations(Listener):
    """Hears of each compilation, of which numba runs one at a time; those that others need are inside these."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth, self._start = 0, 0.0

    def on_start(self, event: Any) -> None:  # noqa: ANN401 - numba has no types
        """Tell that it takes a while, once, unless the code is for this process only, as some of UMAP's always is."""
        if not self._depth:
            self._start = time.perf_counter()
        self._depth += 1
        # Loops that numba lifts out of Python code have no cache, and no word of one.
        stats = getattr(event.data["dispatcher"], "stats", None)
        if stats is not None and stats.cache_path is not None:
            _tell_once(KEPT)

    def on_end(self, event: Any) -> None:  # noqa: ANN401 - numba has no types
        """Count the time of one that is inside no other."""
        self._depth -= 1
        if not self._depth:
            self.seconds += time.perf_counter() - self._start


_COMPILATIONS = _Compilations()
register("numba:compile", _COMPILATIONS)  # type: ignore[no-untyped-call]  # numba has no types
