"""Numbers of 16 bits with the range of float32: rounding to them, and products of rows that hold them.

A bfloat16 is the upper half of a float32, so its 8 significant bits multiply exactly in float32, where sums are kept.
Processors with instructions for it (AVX-512 BF16, AMX) multiply more of them at once than of float32.

Shapes: n and m rows, w values of a row.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bits = NDArray[np.uint16]

_HALF = np.uint32(16)


def round_to_bfloat16(values: Floats) -> Bits:
    """Return the nearest bfloat16 of finite float32 values below 3e38, a tie to the even one."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> _HALF) & np.uint32(1))) >> _HALF).astype(np.uint16)


def round_up_to_bfloat16(values: Floats) -> Bits:
    """Return the smallest bfloat16 that is not below each finite float32 value; values are at least 0."""
    return ((np.ascontiguousarray(values).view(np.uint32) + np.uint32(0xFFFF)) >> _HALF).astype(np.uint16)


def widen(bits: Bits) -> Floats:
    """Return the float32 of each bfloat16, which are the same numbers."""
    return (bits.astype(np.uint32) << _HALF).view(np.float32)
