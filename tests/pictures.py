"""Grey pictures rich in detail, made from seeds: other seeds give other pictures. And runs that draw none of theirs."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from overlens.report.page import Page
from overlens.report.sheet import Sheet


def make_detailed(seed: int, width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """Return `(height, width)` uint8: blots of many sizes."""
    generator = np.random.Generator(np.random.PCG64(seed))
    values = np.zeros((height, width), np.float32)
    for sigma in (2.0, 4.0, 8.0, 16.0, 32.0):
        noise = generator.standard_normal((height, width)).astype(np.float32)
        layer = cv2.GaussianBlur(noise, (0, 0), sigma)
        values += layer / layer.std()
    values = (values - values.min()) / (values.max() - values.min())
    return (255 * values).astype(np.uint8)


def resize(grey: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return the picture at another size."""
    shrinks = width * height < grey.size
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC))


@contextmanager
def unrendered_pictures() -> Iterator[None]:
    """Lay charts and galleries out but write them empty: to render them is most of the time of a small run."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in (Page, Sheet):
            patch.setattr(kind, "png", lambda picture: b"")
        yield
