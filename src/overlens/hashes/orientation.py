"""The eight ways to flip and rotate a picture, numbered 0 to 7.

A code is three yes-or-no steps, done in this order: 4 swaps rows and columns, 2 turns upside down, 1 mirrors. So the
first four keep the shape of a picture, and the other four are these after its transposition.

Shapes: h rows, w columns, whatever axes follow.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

ORIENTATION_NAMES = (
    "as it is",
    "mirrored",
    "upside down",
    "rotated by 180 degrees",
    "transposed",
    "rotated by 90 degrees clockwise",
    "rotated by 90 degrees counter-clockwise",
    "transposed along the other diagonal",
)
N_ORIENTATIONS = len(ORIENTATION_NAMES)


def orient(pixels: NDArray[Scalar], code: int) -> NDArray[Scalar]:
    """Return a view of `pixels` in the orientation `code`.

    Args:
        pixels: `(h, w, ...)` array of any type.
        code: 0 to 7, see `ORIENTATION_NAMES`.

    Returns:
        `(h, w, ...)`, or `(w, h, ...)` for codes of 4 and more.

    Raises:
        ValueError: There is no such code.
    """
    if not 0 <= code < N_ORIENTATIONS:
        raise ValueError(f"orientation {code} is not known; allowed are 0 to {N_ORIENTATIONS - 1}")
    if code & 4:
        pixels = pixels.swapaxes(0, 1)
    if code & 2:
        pixels = pixels[::-1]
    return pixels[:, ::-1] if code & 1 else pixels
