"""Which places of a part of a tile reach a floor: products of heads, in float32 by numpy or in bfloat16 by OpenVINO.

Both are called from several threads at once and work in buffers that are made once for each. A product in bfloat16 is
summed in float32 and rounded to bfloat16 at the end. That rounding goes to one of the two nearest numbers, whatever the
processor, so what reached the floor before it reaches the next bfloat16 below the floor after it.

Products are compared as integers, which is faster: the bits of positive numbers are in the order of the numbers.

Shapes: r and c rows of a part, w values of a head.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from overlens.cores import available_cores
from overlens.search.heads import Split

Places = tuple[NDArray[np.int64], NDArray[np.int64]]
Bits = NDArray[np.signedinteger]
Bench = TypeVar("Bench")

PART_ROWS = 512
"""Rows of a part of a tile, whose product stays in a core's cache."""


class _Benches(Generic[Bench]):
    """Work places, each for one thread at a time, made when all others are taken."""

    def __init__(self, make: Callable[[], Bench]) -> None:
        self._make = make
        self._free: SimpleQueue[Bench] = SimpleQueue()

    def take(self) -> Bench:
        try:
            return self._free.get_nowait()
        except Empty:
            return self._make()

    def leave(self, bench: Bench) -> None:
        self._free.put(bench)


class Products(Protocol):
    """Finds the places of parts whose product of heads reaches a floor."""

    part_rows: int

    def cut(self, values: NDArray[Any]) -> Sequence[Any]:
        """Return the stored values of heads in parts of `part_rows` rows, each as `find` takes it."""
        ...

    def find(self, upper: Any, lower: Any, floor: float, *, is_diagonal: bool) -> Places:  # noqa: ANN401 - as cut
        """Return rows and columns, counted within the part, of places that reach the floor, and perhaps others.

        Args:
            upper: A part of the left side.
            lower: A part of the right side.
            floor: What a product must reach.
            is_diagonal: Whether both are the same, so that only places above the diagonal count.
        """
        ...


class FloatProducts:
    """Products of float32 heads."""

    def __init__(self) -> None:
        self.part_rows = PART_ROWS
        self._benches = _Benches(lambda: np.empty(self.part_rows**2, np.float32))

    def cut(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return parts that stay where they are."""
        return [values[start : start + self.part_rows] for start in range(0, len(values), self.part_rows)]

    @contextmanager
    def multiply(self, upper: NDArray[np.float32], lower: NDArray[np.float32]) -> Iterator[NDArray[np.int32]]:
        """Lend the bits of the products of two parts."""
        bench = self._benches.take()
        products = bench[: len(upper) * len(lower)].reshape(len(upper), len(lower))
        np.matmul(upper, lower.T, out=products)
        yield products.view(np.int32)
        self._benches.leave(bench)

    def find(
        self, upper: NDArray[np.float32], lower: NDArray[np.float32], floor: float, *, is_diagonal: bool
    ) -> Places:
        """See `Products`."""
        from overlens.search.kernels import list_reached

        key = _key(floor)
        with self.multiply(upper, lower) as bits:
            places: Places = list_reached(_ordered(bits, key), key, is_diagonal)
        return places


class NarrowProducts:
    """Products of bfloat16 heads."""

    def __init__(self, n_values: int) -> None:
        self.part_rows = PART_ROWS
        self._network = _compile(self.part_rows, n_values)
        self._benches = _Benches(self._make_bench)

    def cut(self, values: NDArray[np.uint16]) -> list[tuple[Any, int]]:
        """Return parts as tensors, with the number of their rows; rows of zeros fill the last one up."""
        step, n_rows = self.part_rows, len(values)
        whole = n_rows - n_rows % step
        parts = [(_narrow_tensor(values[start : start + step]), step) for start in range(0, whole, step)]
        if whole < n_rows:
            last = np.zeros((step, values.shape[1]), np.uint16)
            last[: n_rows - whole] = values[whole:]
            parts.append((_narrow_tensor(last), n_rows - whole))
        return parts

    @contextmanager
    def multiply(self, upper: tuple[Any, int], lower: tuple[Any, int]) -> Iterator[NDArray[np.int16]]:
        """Lend the bits of the products of two parts."""
        request, products = bench = self._benches.take()
        request.set_input_tensor(0, upper[0])
        request.set_input_tensor(1, lower[0])
        request.infer()
        yield products[: upper[1], : lower[1]]
        self._benches.leave(bench)

    def find(self, upper: tuple[Any, int], lower: tuple[Any, int], floor: float, *, is_diagonal: bool) -> Places:
        """See `Products`."""
        from overlens.search.kernels import list_reached

        key = _narrow_key(floor)
        with self.multiply(upper, lower) as bits:
            places: Places = list_reached(_ordered(bits, key), key, is_diagonal)
        return places

    def _make_bench(self) -> tuple[Any, NDArray[np.int16]]:
        request = self._network.create_infer_request()
        products = np.empty((self.part_rows, self.part_rows), np.uint16)
        request.set_output_tensor(0, _narrow_tensor(products))
        return request, products.view(np.int16)


def make_products(split: Split) -> FloatProducts | NarrowProducts:
    """Return what multiplies heads of a split."""
    return NarrowProducts(split.n_values) if split.is_narrow else FloatProducts()


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16."""
    from overlens.encoders.runtime import cpu_has_bf16

    return cpu_has_bf16()


def _compile(n_rows: int, n_values: int) -> Any:  # noqa: ANN401 - OpenVINO ships no types
    from overlens.encoders.runtime import import_openvino

    openvino = import_openvino()
    sides = [openvino.opset13.parameter([n_rows, n_values], openvino.Type.bf16) for _ in range(2)]
    model = openvino.Model([openvino.opset13.matmul(*sides, False, True)], sides)
    cores = available_cores()
    options = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": cores, "NUM_STREAMS": cores}
    return openvino.Core().compile_model(model, "CPU", options)


def _narrow_tensor(bits: NDArray[np.uint16]) -> Any:  # noqa: ANN401 - OpenVINO ships no types
    from overlens.encoders.runtime import import_openvino

    openvino = import_openvino()
    return openvino.Tensor(bits, openvino.Shape(bits.shape), openvino.Type.bf16)


def _key(floor: float) -> np.int32:
    """Return the integer at or above which stand the bits of float32 products that reach the floor, see `_ordered`."""
    # One step down, because the floor is rounded when it becomes a float32.
    return np.int32(_turn(np.nextafter(np.float32(floor), np.float32(-np.inf)).reshape(1).view(np.int32))[0])


def _narrow_key(floor: float) -> np.int16:
    """Return the same for products that were rounded to bfloat16 when they may have reached the floor."""
    # Cut bits lie below a positive floor and above a negative one; and zero has two signs.
    key = _key(floor)
    return np.int16((key >> np.int32(16)) - np.int32(key <= 0))


def read_down(keys: Bits) -> NDArray[np.float32]:
    """Return numbers that products with these turned bits, int32 or rounded int16, reached for certain."""
    if keys.dtype == np.int32:
        return _turn(keys).view(np.float32)
    below = np.asarray(_turn(keys.astype(np.int16) - np.int16(1)))
    return (below.astype(np.int32) << np.int32(16)).view(np.float32)


def _ordered(bits: Bits, key: np.signedinteger) -> Bits:
    """Return bits in the order of their numbers, as far as it matters to those that look for `key` and above."""
    return bits if key > 0 else _turn(bits)


def _turn(bits: Bits) -> Bits:
    """Turn the order of the bits of negative numbers around."""
    n_bits = bits.dtype.type(8 * bits.itemsize - 1)
    return bits ^ ((bits >> n_bits) & bits.dtype.type(np.iinfo(bits.dtype).max))
