"""What every compiled kernel has in common: it releases the GIL, stays serial, and is cached on disk where that can be.

numba keeps compiled code beside the module or in the user's cache folder. Where it may write to neither, as in a
read-only container without a home, kernels are compiled anew in each process, a few seconds each time. Importing this
module loads numba, so only kernel modules import it.
"""

import logging
from collections.abc import Callable
from typing import Any

from numba import njit

LOG = logging.getLogger(__name__)
Function = Callable[..., Any]


def compiled(signature: Any = None) -> Callable[[Function], Any]:  # noqa: ANN401 - what numba takes
    """Return a decorator that compiles a function, at once for a given signature and else when it is first called."""

    def decorate(function: Function) -> Function:
        try:
            kernel: Function = njit(signature, nogil=True, cache=True)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            LOG.debug("%s is compiled for this process only: %s", function.__name__, error)
            kernel = njit(signature, nogil=True)(function)
        return kernel

    return decorate
