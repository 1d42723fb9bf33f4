"""What extraction keeps of each image, so that pairs can be verified later without opening an original again.

One fixed row: digests of the file and of its pixels, the four hashes in all eight orientations, how much there is to
see, and the size. Beside it a rendition: the picture at 512 pixels at most, which verification and galleries read. All
of it comes from the one decode that extraction does anyway. A small JPEG file that decodes the same everywhere is its
own rendition, which costs nothing and loses nothing; any other picture is shrunk and written as JPEG.

Shapes: n images, h rows, w columns, v = `ROW_BYTES` values of a packed row.
"""

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from overlens.columns import Column, require_columns
from overlens.config import HASH_TYPES
from overlens.decode import decode_rgb
from overlens.errors import DecodeError, StoreError
from overlens.hashes.compute import ORIENTED_SIZE, compute_oriented_hashes, hash_recipe
from overlens.hashes.orientation import N_ORIENTATIONS
from overlens.jpegs import is_plain_jpeg

Pixels = NDArray[np.uint8]

MIN_DETAIL = 2.5
"""Images with less detail, in grey levels, are low information: blank pages, flat colours, plain gradients.

Blank pages under uneven light have about 2, the emptiest sketches and 32-pixel photographs met so far 7 and more."""

RENDITION_PX = 512
RENDITION_QUALITY = 90

_DETAIL_SIDE = 32
_MAX_FILE_BYTES_PER_PIXEL = 1.0
_HASH_BYTES = ORIENTED_SIZE**2 // 8
_ROW = np.dtype(
    [
        ("byte_digests", "u1", 32),
        ("pixel_digests", "u1", 16),
        ("hashes", "u1", (N_ORIENTATIONS, len(HASH_TYPES), _HASH_BYTES)),
        ("detail", "<f4"),
        ("sizes_px", "<i4", 2),
    ]
)
ROW_BYTES = _ROW.itemsize


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence columns of one dataset, row by row beside its kept images.

    Attributes:
        byte_digests: `(n, 32)` uint8, SHA-256 of each file.
        pixel_digests: `(n, 16)` uint8, SHA-256, cut, of height, width and the decoded, upright RGB pixels.
        hashes: `(n, 8, 4, 8)` uint8 packed 64-bit hashes: [orientation code, hash type in the order of
            `overlens.config.HASH_TYPES`, byte]; `hashes[i, c, t]` is the hash of `orient(image i, c)`.
        detail: `(n,)` float32, how much there is to see, in grey levels, see `measure_detail`.
        sizes_px: `(n, 2)` int32, width and height of the upright image, in full where it was decoded at a fraction.
    """

    byte_digests: NDArray[np.uint8]
    pixel_digests: NDArray[np.uint8]
    hashes: NDArray[np.uint8]
    detail: NDArray[np.float32]
    sizes_px: NDArray[np.int32]

    def __post_init__(self) -> None:
        require_columns(self, len(self), {name: _column_of(name) for name in _ROW.names or ()})

    def __len__(self) -> int:
        return len(self.byte_digests)

    @property
    def low_information(self) -> NDArray[np.bool_]:
        """`(n,)`: whether the image is flat or nearly so (`detail < MIN_DETAIL`), so that only digests tell it."""
        return np.asarray(self.detail < MIN_DETAIL)

    @classmethod
    def from_rows(cls, rows: NDArray[np.uint8]) -> "Evidence":
        """Unpack `(n, v)` uint8 rows of a store.

        Raises:
            ValueError: The rows have another shape or type.
        """
        if rows.ndim != 2 or rows.shape[1] != ROW_BYTES or rows.dtype != np.uint8:
            raise ValueError(f"rows must be (n, {ROW_BYTES}) of uint8, got {rows.dtype} of shape {rows.shape}")
        fields = np.ascontiguousarray(rows).view(_ROW)[:, 0]
        return cls(*(np.ascontiguousarray(fields[name], _column_of(name)[0]) for name in _ROW.names or ()))

    def to_rows(self) -> NDArray[np.uint8]:
        """Pack as `(n, v)` uint8, one row an image."""
        fields = np.empty(len(self), _ROW)
        for name in _ROW.names or ():
            fields[name] = getattr(self, name)
        return fields.view(np.uint8).reshape(len(self), ROW_BYTES)


def make_evidence(pixels: Pixels, data_sha256: str, size_px: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the packed row of one image.

    Args:
        pixels: `(h, w, 3)` uint8, decoded, upright RGB.
        data_sha256: SHA-256 of the file in hexadecimal.
        size_px: Width and height of the picture in full, where the pixels are scaled.

    Returns:
        `(v,)` uint8, for `Evidence.from_rows`.
    """
    row = np.empty(1, _ROW)
    row["byte_digests"] = np.frombuffer(bytes.fromhex(data_sha256), np.uint8)
    row["pixel_digests"] = np.frombuffer(_digest_pixels(pixels), np.uint8)
    row["hashes"] = compute_oriented_hashes(pixels)
    row["detail"] = measure_detail(pixels)
    row["sizes_px"] = size_px or pixels.shape[1::-1]
    packed: NDArray[np.uint8] = row.view(np.uint8)
    return packed


def upright_hash(row: NDArray[np.uint8], hash_type: str) -> NDArray[np.uint8]:
    """Return `(8,)` uint8: the 64-bit hash of the image as it is, out of its packed row `(v,)`."""
    packed: NDArray[np.uint8] = row.view(_ROW)["hashes"][0, 0, HASH_TYPES.index(hash_type)]
    return packed


def evidence_fingerprint() -> dict[str, str]:
    """Return everything that changes the evidence of an image, apart from its pixels and file."""
    import cv2

    return {
        "evidence": "1",
        "hashes": f"{' '.join(HASH_TYPES)} of size {ORIENTED_SIZE}, {hash_recipe()}",
        "rendition": f"{RENDITION_PX} px, JPEG {RENDITION_QUALITY} 4:4:4, or the file",
        "opencv": str(cv2.__version__),
    }


def measure_detail(pixels: Pixels) -> float:
    """Return how much there is to see in `(h, w, 3)` uint8 pixels, in grey levels; 0 is flat.

    The picture is reduced by area to 32 x 32 cells, or as many as it has pixels, the plane that fits each channel best
    is taken out, and what remains is measured by its root mean square; the largest of the three channels counts. So
    plain gradients are near 0 too, and fine noise counts for little.
    """
    from overlens.hashes.kernels import mean_cells

    n_rows, n_columns = (min(side, _DETAIL_SIDE) for side in pixels.shape[:2])
    cells = mean_cells(np.ascontiguousarray(pixels), n_rows, n_columns).reshape(-1, 3)
    planes = _planes(n_rows, n_columns)
    rest = cells - planes @ (planes.T @ cells)
    return float(np.sqrt((rest**2).mean(axis=0)).max())


def make_rendition(pixels: Pixels) -> bytes:
    """Return a JPEG (quality 90, 4:4:4) of `(h, w, 3)` uint8 pixels, shrunk to 512 pixels a side at most."""
    import cv2

    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, RENDITION_QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    blue_first = cv2.cvtColor(_shrink(pixels), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", blue_first, settings)
    return encoded.tobytes()


def keep_rendition(pixels: Pixels, data: bytes) -> bytes:
    """Return the rendition of an image: its file if that serves as it is, else one made of its pixels.

    A file serves if it is a small plain JPEG whose pixels need no turning; one that holds more than a byte a pixel is
    made anew, as it would fill the store.

    Args:
        pixels: `(h, w, 3)` uint8, decoded from `data`.
        data: The whole file.
    """
    height, width = pixels.shape[:2]
    is_small = max(height, width) <= RENDITION_PX and len(data) <= _MAX_FILE_BYTES_PER_PIXEL * height * width
    if is_small and is_plain_jpeg(data, width, height):
        return data
    return make_rendition(pixels)


def read_rendition(data: bytes, *, grey: bool = False) -> Pixels:
    """Return the pixels of a rendition: `(h, w, 3)` uint8 RGB, or `(h, w)` uint8 luma if `grey`, which costs half.

    Pillow decodes it: OpenCV, a little faster and bit for bit the same, prints to stderr what it dislikes in a file.

    Raises:
        StoreError: The rendition is damaged.
    """
    try:
        return _decode_grey(data) if grey else decode_rgb(data)
    except (DecodeError, OSError, SyntaxError, ValueError) as error:
        raise StoreError(f"a stored rendition is damaged ({error}); delete the store and run again") from error


def _decode_grey(data: bytes) -> Pixels:
    from PIL import Image

    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        image.draft("L", None)
        return np.asarray(image.convert("L"), np.uint8)


def _shrink(pixels: Pixels) -> Pixels:
    """Shrink by a whole factor by area, and by what remains, less than 2, linearly: many times faster than all by area.

    Up to a pixel of the rendition is cut off on the right and below where the whole factor does not divide a side.
    """
    import cv2

    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer <= RENDITION_PX:
        return pixels
    size = max(1, round(width * RENDITION_PX / longer)), max(1, round(height * RENDITION_PX / longer))
    factor = longer // RENDITION_PX
    if min(height, width) < factor:
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    if factor > 1:
        whole = width // factor, height // factor
        pixels = pixels[: whole[1] * factor, : whole[0] * factor]
        pixels = np.asarray(cv2.resize(pixels, whole, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _digest_pixels(pixels: Pixels) -> bytes:
    # Processors have instructions for SHA-256, which make it more than twice as fast as BLAKE2b.
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(struct.pack("<qq", height, width))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()[:16]


@lru_cache(maxsize=64)
def _planes(n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """Return `(n_rows * n_columns, 3)`: orthonormal columns that span all planes over a grid of cells."""
    y, x = np.mgrid[:n_rows, :n_columns]
    columns = np.stack([np.ones(x.size), (x - x.mean()).ravel(), (y - y.mean()).ravel()], axis=1)
    lengths = np.linalg.norm(columns, axis=0)
    return np.asarray(columns / np.where(lengths > 0, lengths, 1))


def _column_of(name: str) -> Column:
    """Return the type of a column's values, in the order of this machine's bytes, and the shape behind n."""
    field = _ROW.fields[name][0] if _ROW.fields else _ROW
    return field.base.newbyteorder("="), field.shape
