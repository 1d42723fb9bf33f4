"""The only module that starts OpenVINO: precision, threads, and a fixed shape of work.

Networks are compiled for `LANE` images and always run on that many, so that neither the other images of a batch nor
`--batch-size` can change a bit of an image's vector; the cost is up to `LANE - 1` idle places at the end of a batch.
Lanes of 8 run as fast as longer ones, or faster. Each core runs a lane of its own, so that none waits for another
within a network; rows are the same to the bit for any number of cores, as far as that was tried (1 and 2).

Importing OpenVINO reports the import to a web service and leaves a client number in the home folder, unless the
package `openvino_telemetry` cannot be imported. It is hidden from OpenVINO here, so nothing is ever sent.

Shapes: b images, s pixels along each side of the input, d dimensions.
"""

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, islice
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.cores import available_cores
from overlens.errors import ConfigError, ModelError

# A model, node or port of OpenVINO, which ships no type information.
Graph = Any

LANE = 8
MOST_STREAMS = 8
"""Lanes that run at once; where there are more cores they share these, so that memory does not grow with cores."""
REQUESTS_PER_STREAM = 2
"""One that runs, and one that waits for its place, so that no core is idle while rows are taken."""


def import_openvino() -> ModuleType:
    """Import OpenVINO without its reports to a web service."""
    if "openvino" not in sys.modules:
        with _hidden("openvino_telemetry"):
            import openvino
    import openvino

    module: ModuleType = openvino
    return module


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Make `import name` fail inside the block."""
    loaded = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # None is how Python marks a module that must not be imported
    try:
        yield
    finally:
        del sys.modules[name]
        if loaded is not None:
            sys.modules[name] = loaded


def cpu_has_bf16() -> bool:
    """Whether the processor computes in bfloat16."""
    core = import_openvino().Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def resolve_precision(asked: str) -> str:
    """Turn "auto" into "bf16" where the processor has it, else "fp32"; ConfigError if bf16 is asked for in vain."""
    if asked == "fp32":
        return "fp32"
    has_bf16 = cpu_has_bf16()
    if asked == "bf16" and not has_bf16:
        raise ConfigError("--precision bf16 needs a processor with bfloat16, and this one has none; use auto or fp32")
    return "bf16" if has_bf16 else "fp32"


def last_line(error: Exception) -> str:
    """Return the last line of what OpenVINO says, where it names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


class Tower:
    """A network that takes `(b, s, s, 3)` uint8 of one fixed b and gives `(b, d)` float32.

    It is built and compiled for the first batch, as a run that knows all of its images has none.

    Args:
        build: Returns the network, an `openvino.Model` of that shape.
        precision: "fp32" or "bf16".
        n_threads: Processor cores to use; 0 means all.
    """

    def __init__(self, build: Callable[[], Graph], precision: str, n_threads: int) -> None:
        self._build = build
        self._precision = precision
        self._n_threads = n_threads

    @cached_property
    def _compiled(self) -> Graph:
        n_cores = min(self._n_threads or available_cores(), available_cores())
        options = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[self._precision],
            "INFERENCE_NUM_THREADS": str(n_cores),
            "NUM_STREAMS": str(min(n_cores, MOST_STREAMS)),
            # A stream that is tied to a core waits there while the core decodes images.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            return import_openvino().Core().compile_model(self._build(), "CPU", options)
        except RuntimeError as error:
            raise ModelError(
                f"OpenVINO cannot build the network in {self._precision} for this processor: {last_line(error)}; "
                "try another --precision or another --clip-model"
            ) from error

    @cached_property
    def _requests(self) -> list[Graph]:
        n_streams = int(self._compiled.get_property("NUM_STREAMS"))
        return [self._compiled.create_infer_request() for _ in range(REQUESTS_PER_STREAM * n_streams)]

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode a batch of exactly the compiled shape; not for two threads at once."""
        (rows,) = self.run_all([batch])
        return rows

    def run_all(self, batches: Iterable[NDArray[np.uint8]]) -> Generator[NDArray[np.float32]]:
        """Yield the rows of batch after batch, in order, with some under way; not for two threads at once."""
        batches = iter(batches)
        first = list(islice(batches, 1))
        if not first:
            return
        idle, busy = list(self._requests), deque[tuple[Graph, NDArray[np.uint8]]]()
        shape = tuple(self._compiled.input(0).shape)
        try:
            for batch in chain(first, batches):
                if batch.shape != shape:
                    raise ValueError(f"the network takes uint8 of shape {shape}, got {batch.shape}")
                if not idle:
                    idle.append(busy[0][0])
                    yield _take_rows(busy.popleft()[0])
                # A request reads the batch where it stands and does not keep it from being freed.
                busy.append((idle.pop(), np.ascontiguousarray(batch)))
                busy[-1][0].start_async([busy[-1][1]], share_inputs=True)
            while busy:
                yield _take_rows(busy[0][0])
                busy.popleft()
        finally:
            for request, _ in busy:
                request.wait()


def _take_rows(request: Graph) -> NDArray[np.float32]:
    request.wait()
    return np.array(request.get_output_tensor(0).data, np.float32)
