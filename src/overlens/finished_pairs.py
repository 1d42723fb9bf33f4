"""What is said of a listed pair of a finished run: its rung in words, what was measured, and what the one picture is.

The report and the review desk show the same pair in the same words.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.image_table import NO_NUMBER, ImageTable
from overlens.verdicts import EDITED, VERDICTS, VERIFIED
from overlens.verify.transforms import MOVED_VIEW, SAME_VIEW, describe, describe_transform, from_shares

if TYPE_CHECKING:
    import pyarrow

Places = NDArray[np.int32]

RUNGS = {
    "same_bytes": ("same bytes", "the files are equal"),
    "same_pixels": ("same pixels", "the pictures are equal once decoded"),
    "same_picture": ("same picture", "resized, recompressed or recoloured"),
    "edited": ("edited", "cropped, bordered, overlaid, squashed, flipped or rotated"),
    "same_scene": ("same scene", "another photograph or another version of the same thing: no copy"),
    "look_alike": ("look-alike", "only embedding or hash says so: no copy"),
}
"""Name and meaning of each rung of the ladder, the surest first."""

MEASURED = (
    ("cosine", "cosine similarity", "{:.3f}"),
    ("phash_bits", "phash differs in bits, best of 8 turns", "{:d}"),
    ("dhash_bits", "dhash differs in bits, best of 8 turns", "{:d}"),
    ("whash_bits", "whash differs in bits, best of 8 turns", "{:d}"),
    ("ahash_bits", "ahash differs in bits, best of 8 turns", "{:d}"),
    ("n_inliers", "local features that fit", "{:d}"),
    ("coarse_correlation", "correlation of the aligned pixels", "{:.2f}"),
    ("fine_correlation", "correlation of fine detail", "{:.2f}"),
    ("agreeing_share", "share of neighbourhoods that agree", "{:.2f}"),
)
"""Columns of `pairs.parquet` that the evidence of a pair shows, their names in words, and their digits."""


def sides_of(images: ImageTable, pairs: "pyarrow.Table | pyarrow.RecordBatch") -> tuple[Places, Places]:
    """Return `(k,)` int32 places of the left and of the right images of k rows of `pairs.parquet`.

    Raises:
        ValueError: They name an image that the run does not have.
    """
    left, right = (images.rows_of(*(pairs.column(f"{what}_{side}") for what in ("dataset", "image"))) for side in "ab")
    if (left == NO_NUMBER).any() or (right == NO_NUMBER).any():
        raise ValueError("it names images that the run does not have")
    return left, right


def evidence_of(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return (what was measured, value in words) of a row of `pairs.parquet`, as many as there are."""
    return tuple((name, digits.format(row[key])) for key, name, digits in MEASURED if row[key] is not None)


def words_of(images: ImageTable, row: Mapping[str, Any], places: tuple[int, int]) -> str:
    """Say what the right picture of a row of `pairs.parquet` is, compared with the left one; "" where not known.

    Args:
        images: The images of the run.
        row: The columns decision, machine_verdict, verdict, transform, scale, same_bytes, same_pixels.
        places: Places of the left and the right image.
    """
    if row["decision"] and row["machine_verdict"] not in VERIFIED and row["verdict"] in VERIFIED:
        return ""  # A person saw it; how the pictures were laid on one another is not to be trusted.
    if row["transform"] is None:
        return "equal files" if row["same_bytes"] else "equal pixels" if row["same_pixels"] else ""
    shapes = [(max(1, int(images.sizes_px[place, 1])), max(1, int(images.sizes_px[place, 0]))) for place in places]
    matrix = from_shares(np.reshape(row["transform"], (3, 3)), *shapes)
    words = describe(describe_transform(matrix, *shapes))
    if VERDICTS.index(row["verdict"]) == EDITED and words == SAME_VIEW:
        words = MOVED_VIEW
    scale = row["scale"]
    if scale is not None and math.isfinite(scale) and abs(math.log(scale)) > math.log(1.02):
        words += f", {scale:.3g} times as large"
    return words
