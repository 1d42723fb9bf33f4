"""Who owns the cores: how many this process may use, and that libraries start no threads beside those of a pool."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


Part = TypeVar("Part")
Result = TypeVar("Result")

PARTS_AT_ONCE = 16


def available_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_parts(function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
    """Yield what a function that releases the GIL gives for each part, in their order, on all cores.

    At most `PARTS_AT_ONCE` results for each core wait to be taken, and nothing runs while they are.
    """
    n_cores, waiting = available_cores(), iter(parts)
    with ThreadPoolExecutor(n_cores, thread_name_prefix="overlens-part") as pool:
        while wave := list(islice(waiting, PARTS_AT_ONCE * n_cores)):
            with serial_products():
                found = list(pool.map(function, wave))
            yield from found


@contextmanager
def serial_products() -> Iterator[None]:
    """Keep matrix products in the thread that asks for them, while a pool of threads has the cores."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> "ThreadpoolController":
    # Looking for the libraries takes some milliseconds, setting their threads takes none. numpy's is there by now.
    import numpy  # noqa: F401 - loads the library that is looked for
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
