"""Which places of a part of a tile reach a floor, found on a GPU by torch; `products` does the same on the processor.

Heads arrive as bfloat16, so they multiply exactly in float32, and what a place is allowed for their rounding is in the
floor already (`heads`). Only the sums differ: the matrix units of a GPU cut where a processor rounds. The scores that
decide are computed on the host, so pairs are the same wherever they were proposed.

The slack of the sums. A matrix unit adds k <= 32 products and the sum so far at once: each is cut at 23 bits below the
largest, and so is their sum (M. Fasi, N. J. Higham, M. Mikaitis and S. Pranesh, Numerical behavior of NVIDIA tensor
cores, PeerJ Computer Science 7:e330, 2021). No addend exceeds S = sum |a_i| |b_i| by more than the errors themselves,
so with v = 2^-23 a step is off by (k + 2) v S at most. The w / k steps, rounded up, and at most as many sums of parts
that were split off, are off by (w + 3 w / k + k + 2) v S <= 4 (w + 8) v S. That is 8 (w + 8) u S with u = 2^-24, and
S <= |a| |b|. A product of the processor, which rounds each of its w sums, stays within that too.

Shapes: r and c rows of a part, w values of a head.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.search.rounding import gamma

LOG = logging.getLogger(__name__)
Tensor = Any

PART_ROWS = 4096
"""Rows of a part of a tile: enough work for a GPU, and at worst 16 million places that reach the floor."""
PARTS_AT_ONCE = 2
"""Parts on the device at once: the next is multiplied while the places of one are copied back."""
WORKING_BYTES = 2 * 2**30
BYTES_PER_VALUE = 2


@dataclass(frozen=True, slots=True)
class DevicePart:
    """Some heads on a device: `(r, w)` bfloat16, and the length of the longest of all heads they were cut from."""

    values: Tensor
    longest: float


class DeviceProducts:
    """Products of bfloat16 heads on a device of torch; see `overlens.search.products.Products`."""

    def __init__(self, device: str) -> None:
        import torch

        self.part_rows = PART_ROWS
        self._torch, self._device = torch, device
        self._turns = BoundedSemaphore(PARTS_AT_ONCE)
        version = tuple(int(number) for number in torch.__version__.split(".")[:2])
        self._sums_kept = device.startswith("cuda") and version >= (2, 8)

    def cut(self, values: NDArray[np.uint16]) -> Sequence[DevicePart]:
        """Copy the bits of `(n, w)` bfloat16 to the device; return them in parts."""
        if not len(values):
            return []
        bits = self._torch.from_numpy(np.ascontiguousarray(values).view(np.int16)).to(self._device)
        heads = bits.view(self._torch.bfloat16)
        lengths = self._torch.linalg.vector_norm(heads, dim=1, dtype=self._torch.float32)
        longest = float(lengths.max()) * (1 + 2.0**-10)  # more than float32 can have lost of it
        return [DevicePart(part, longest) for part in heads.split(self.part_rows)]

    def find(
        self, upper: DevicePart, lower: DevicePart, floor: float, *, is_diagonal: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows and columns, counted within the part, of places that reach the floor, and perhaps others.

        Args:
            upper: A part of the left side.
            lower: A part of the right side.
            floor: What an exact product of the stored heads must reach, less what rounding to float32 may cost.
            is_diagonal: Whether both are the same, so that only places above the diagonal count.
        """
        slack = sum_slack(upper.values.shape[1], upper.longest * lower.longest)
        # One step down, because the floor is rounded when it becomes a float32.
        least = float(np.nextafter(np.float32(floor - slack), np.float32(-np.inf)))
        with self._turns, self._torch.inference_mode():
            products = self._multiply(upper.values, lower.values)
            hits = (products.amax(dim=1) >= least).nonzero()[:, 0]  # rows are few that reach it anywhere
            places = (products[hits] >= least).nonzero()
            rows, columns = hits[places[:, 0]], places[:, 1]
            if is_diagonal:
                above = columns > rows
                rows, columns = rows[above], columns[above]
            return rows.cpu().numpy(), columns.cpu().numpy()

    def _multiply(self, upper: Tensor, lower: Tensor) -> Tensor:
        """Return `(r, c)` float32 products, summed in float32."""
        if self._sums_kept:
            return self._torch.mm(upper, lower.T, out_dtype=self._torch.float32)
        # Whatever float32 is cut to before it is multiplied (TF32, bfloat16), these numbers stay whole.
        return upper.float() @ lower.float().T


def sum_slack(n_values: int, norm_product: float) -> float:
    """Return how far a sum of exact products on a device can stand from the true one (see the head of this module).

    Args:
        n_values: Terms of each sum.
        norm_product: Product of the largest lengths on both sides.
    """
    return 1.1 * gamma(8 * (n_values + 8)) * norm_product


def device_in_use(n_bytes: int) -> str | None:
    """Return the GPU on which this process computes already, as its encoder does, or None; loads no library.

    Args:
        n_bytes: What the parts of both sides will take on it; None is returned where it has no room for them.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    free, needed = torch.cuda.mem_get_info()[0], n_bytes + WORKING_BYTES
    if free < needed:
        gibibytes = f"{free / 2**30:.1f} GiB free, and {needed / 2**30:.1f} GiB are needed"
        LOG.info("the GPU has %s to search pairs, which the processor does instead", gibibytes)
        return None
    return "cuda"
