"""Perceptual hashes of RGB pixels: phash, dhash, whash and ahash, bit for bit those of ImageHash 4.3.2.

The time goes into turning pixels grey and resizing them, so those two run in compiled loops that repeat Pillow's
integer arithmetic (`kernels`, `overlens.resizing`); the cosine transform is scipy's own, because its rounding decides
ties. For the wavelet hash, blocks are compared by their exact integer sums; only where the two middle sums are equal
does rounding decide in ImageHash, and there PyWavelets' float arithmetic is repeated. `reference` holds the same hashes
without compiled code. The cost: numba is loaded at the first hash, and compiles for a few seconds on a machine's first
run.

Pillow 13 resizes tall images in another order than older versions, which moves single bits. The installed version is
followed, so that ImageHash beside overlens always agrees, and `hash_recipe` tells the two apart.

A packed hash holds the bits of the s × s matrix row by row, highest bit of a byte first, zeros at the end. Its text is
the hexadecimal number that ImageHash prints, which for sizes such as 3 has its zeros at the front.

ahash, phash and dhash follow N. Krawetz, "Looks Like It" (2011) and "Kind of Like That" (2013), hackerfactor.com.

Shapes: h rows, w columns, s × s bits, b = ceil(s·s / 8) bytes, n hashes.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens import resizing
from overlens.config import HASH_TYPES
from overlens.errors import ConfigError, StoreError
from overlens.hashes.orientation import N_ORIENTATIONS, orient
from overlens.resizing import resize, transpose

MIN_HASH_SIZE = 2
MAX_HASH_SIZE = 128
"""Largest size: 16,384 bits, beyond which a hash is no longer smaller than a thumbnail."""

ORIENTED_SIZE = 8
"""Size of the hashes that are made of all orientations: 64 bits each."""

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")

Plane = NDArray[np.uint8]
Bits = NDArray[np.bool_]


def check_hash_size(hash_type: str, hash_size: int) -> None:
    """Do nothing if a hash of this type can have this size.

    Raises:
        ConfigError: Unknown type, or a size outside 2 to 128, or for whash a size that is no power of two.
    """
    if hash_type not in HASH_TYPES:
        raise ConfigError(f"--hash-type {hash_type!r} is not known; allowed: {', '.join(HASH_TYPES)}")
    if hash_type == "whash" and hash_size not in _POWERS_OF_TWO:
        allowed = ", ".join(map(str, _POWERS_OF_TWO))
        raise ConfigError(f"--hash-size {hash_size} is not possible for whash; allowed are {allowed}")
    if not MIN_HASH_SIZE <= hash_size <= MAX_HASH_SIZE:
        raise ConfigError(
            f"--hash-size {hash_size} is out of range for {hash_type}; "
            f"allowed is {MIN_HASH_SIZE} to {MAX_HASH_SIZE}, such as 8"
        )


def compute_hash(pixels: NDArray[np.uint8], hash_type: str, hash_size: int) -> NDArray[np.uint8]:
    """Return one packed perceptual hash.

    Args:
        pixels: `(h, w, 3)` uint8 RGB, h and w at least 1.
        hash_type: One of `overlens.config.HASH_TYPES`.
        hash_size: Side s of the bit matrix; `check_hash_size` says which are valid.

    Returns:
        `(b,)` uint8.

    Raises:
        ConfigError: No such hash.
        ValueError: The pixels have another shape or type.
    """
    return compute_hashes(pixels, (hash_type,), hash_size)[hash_type]


def compute_hashes(
    pixels: NDArray[np.uint8], hash_types: Iterable[str], hash_size: int
) -> dict[str, NDArray[np.uint8]]:
    """Return several packed hashes of one image as `compute_hash` makes them, from one set of grey pixels."""
    hash_types = tuple(hash_types)
    for hash_type in hash_types:
        check_hash_size(hash_type, hash_size)
    grey = _make_grey(pixels)
    turned = transpose(grey) if len(hash_types) > 1 else None
    return {hash_type: np.packbits(_BITS_OF[hash_type](grey, turned, hash_size)) for hash_type in hash_types}


def compute_oriented_hashes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the four 64-bit hashes of one image in all its eight orientations, from one set of grey pixels.

    Each is bit for bit what `compute_hash` gives for `orient(pixels, code)`. Pillow's weights are symmetric, so a
    flipped plane shrinks to the flipped result, and only the transposed plane is shrunk once more, as the order of the
    two passes is another one there. The cosine transforms, whose rounding decides ties, are done eight times.

    Args:
        pixels: `(h, w, 3)` uint8 RGB, h and w at least 1.

    Returns:
        `(8, 4, 8)` uint8: [orientation code, hash type in the order of `overlens.config.HASH_TYPES`, packed byte].

    Raises:
        ValueError: The pixels have another shape or type.
    """
    grey = _make_grey(pixels)
    turned = transpose(grey)
    bits = np.stack([_ORIENTED_BITS_OF[hash_type](grey, turned) for hash_type in HASH_TYPES], axis=1)
    return np.packbits(bits.reshape(N_ORIENTATIONS, len(HASH_TYPES), ORIENTED_SIZE**2), axis=2)


def hash_recipe() -> str:
    """Return a short text that changes when the same pixels may get another hash; it belongs in fingerprints."""
    return f"ImageHash 4.3.2, {'larger shrink' if resizing.is_height_ever_first() else 'width'} first"


def hashes_to_hex(rows: NDArray[np.uint8], n_bits: int) -> list[str]:
    """Return the texts of packed hashes, as `str` of an ImageHash: `ceil(n_bits / 4)` lower-case digits each.

    Args:
        rows: `(n, b)` uint8 with b = ceil(n_bits / 8).
        n_bits: Length of a hash in bits.

    Raises:
        ValueError: The rows have another length.
    """
    n_bytes = math.ceil(n_bits / 8)
    if rows.ndim != 2 or rows.shape[1] != n_bytes or n_bits < 1:
        raise ValueError(f"{n_bits} bits need rows of {n_bytes} bytes, got shape {rows.shape}")
    digits = _move_bits(rows, n_bits, to_end=True).tobytes().hex()
    n_digits, width = math.ceil(n_bits / 4), 2 * n_bytes
    return [digits[end - n_digits : end] for end in range(width, len(digits) + 1, width)]


def hashes_from_hex(texts: Sequence[str]) -> tuple[NDArray[np.uint8], int]:
    """Return the packed hashes that texts stand for, and their length in bits.

    The side s of the bit matrix is the one number of 2 or more whose s·s bits fill exactly so many digits.

    Args:
        texts: n ≥ 1 hexadecimal numbers of one length, in upper or lower case.

    Returns:
        `(n, b)` uint8 and s·s.

    Raises:
        StoreError: No text, texts of several lengths, something that is not hexadecimal, or a length no hash has.
    """
    n_bits = _common_length(texts)
    for row, text in enumerate(texts):
        if not _HEX_DIGITS.issuperset(text) or int(text, 16) >> n_bits:
            raise StoreError(
                f"hash {text!r} in place {row + 1} is no hexadecimal number of {n_bits} bits; recompute the hashes"
            )
    n_bytes = math.ceil(n_bits / 8)
    joined = "".join(text.rjust(2 * n_bytes, "0") for text in texts)
    rows = np.frombuffer(bytes.fromhex(joined), np.uint8).reshape(len(texts), n_bytes)
    return _move_bits(rows, n_bits, to_end=False), n_bits


def _common_length(texts: Sequence[str]) -> int:
    if not texts:
        raise StoreError("there is no hash, so its length is not known; recompute the hashes")
    n_digits = len(texts[0])
    for row, text in enumerate(texts):
        if len(text) != n_digits:
            raise StoreError(
                f"hash {text!r} in place {row + 1} has {len(text)} digits where the first has {n_digits}; "
                "hashes of one size are needed, so recompute them"
            )
    size = math.isqrt(4 * n_digits)
    if size < MIN_HASH_SIZE or math.ceil(size * size / 4) != n_digits:
        raise StoreError(
            f"no hash size gives {n_digits} digits such as {texts[0]!r}; size 8 gives 16; recompute the hashes"
        )
    return size * size


def _move_bits(rows: NDArray[np.uint8], n_bits: int, *, to_end: bool) -> NDArray[np.uint8]:
    """Shift the bits of each row between the front (packed) and the end (number) of its bytes."""
    if n_bits % 8 == 0:
        return rows
    bits = np.unpackbits(rows, axis=1)
    spare = bits.shape[1] - n_bits
    used = bits[:, :n_bits] if to_end else bits[:, spare:]
    return np.packbits(np.pad(used, ((0, 0), (spare, 0) if to_end else (0, spare))), axis=1)


def _make_grey(pixels: NDArray[np.uint8]) -> Plane:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        raise ValueError(f"pixels must be (h, w, 3) of uint8, got {pixels.dtype} of shape {pixels.shape}")
    from overlens.hashes.kernels import grey_from_rgb

    grey: Plane = grey_from_rgb(np.ascontiguousarray(pixels))
    return grey


def _resize(grey: Plane, n_rows: int, n_columns: int, turned: Plane | None = None) -> Plane:
    """Return `(n_rows, n_columns)`; `turned` is the transposed plane, where it is at hand."""
    return resize(grey, (n_rows, n_columns), "lanczos", turned=turned)


def _ahash_bits(grey: Plane, turned: Plane | None, size: int) -> Bits:
    pixels = _resize(grey, size, size, turned)
    return np.asarray(pixels > pixels.mean())


def _dhash_bits(grey: Plane, turned: Plane | None, size: int) -> Bits:
    pixels = _resize(grey, size, size + 1, turned)
    return np.asarray(pixels[:, 1:] > pixels[:, :-1])


def _phash_bits(grey: Plane, turned: Plane | None, size: int) -> Bits:
    from scipy.fftpack import dct

    pixels = _resize(grey, 4 * size, 4 * size, turned)
    low = dct(dct(pixels, axis=0), axis=1)[:size, :size]
    return np.asarray(low > _median(low))


def _whash_bits(grey: Plane, turned: Plane | None, size: int) -> Bits:
    from overlens.hashes.kernels import sum_blocks

    n_side = _whash_side(grey, size)
    pixels = _resize(grey, n_side, n_side, turned)
    sums = sum_blocks(pixels, size)
    below, above = np.partition(sums.ravel(), (sums.size // 2 - 1, sums.size // 2))[sums.size // 2 - 1 :][:2]
    if below < above:
        # Whole numbers differ by 1 at least, far above any rounding in the wavelet: the median parts them exactly.
        return np.asarray(sums >= above)
    return _tied_whash_bits(pixels, size)


def _whash_side(grey: Plane, size: int) -> int:
    largest_power: int = 1 << (min(grey.shape).bit_length() - 1)
    return max(largest_power, size)


def _tied_whash_bits(pixels: Plane, size: int) -> Bits:
    from overlens.hashes.kernels import low_haar_band

    low = low_haar_band(np.ascontiguousarray(pixels), size)
    return np.asarray(low > _median(low))


def _median(values: NDArray[np.float64]) -> np.float64:
    """Return what `np.median` does, which takes longer than the transform before it."""
    ordered = np.sort(values, axis=None)
    middle = ordered.size // 2
    median: np.float64 = (ordered[middle - 1 + ordered.size % 2] + ordered[middle]) / 2
    return median


def _shrink_all(grey: Plane, turned: Plane, n_rows: int, n_columns: int) -> NDArray[np.uint8]:
    """Return `(8, n_rows, n_columns)`: the plane in all orientations, resized."""
    return _orient_all(_resize(grey, n_rows, n_columns, turned), _resize(turned, n_rows, n_columns, grey))


def _orient_all(upright: NDArray[Any], turned: NDArray[Any]) -> NDArray[Any]:
    """Stack the four flips of what became of the plane, and those of what became of its transposition."""
    return np.stack([orient(plane, code) for plane in (upright, turned) for code in range(4)])


def _oriented_ahash_bits(grey: Plane, turned: Plane) -> Bits:
    pixels = _shrink_all(grey, turned, ORIENTED_SIZE, ORIENTED_SIZE)
    return np.asarray(pixels > pixels.mean(axis=(1, 2), keepdims=True))


def _oriented_dhash_bits(grey: Plane, turned: Plane) -> Bits:
    pixels = _shrink_all(grey, turned, ORIENTED_SIZE, ORIENTED_SIZE + 1)
    return np.asarray(pixels[:, :, 1:] > pixels[:, :, :-1])


def _oriented_phash_bits(grey: Plane, turned: Plane) -> Bits:
    from scipy.fftpack import dct

    size = ORIENTED_SIZE
    pixels = _shrink_all(grey, turned, 4 * size, 4 * size)
    low = dct(dct(pixels, axis=1)[:, :size], axis=2)[:, :, :size]
    below, above = _middle_two(low)
    return np.asarray(low > (below + above) / 2)


def _oriented_whash_bits(grey: Plane, turned: Plane) -> Bits:
    from overlens.hashes.kernels import sum_blocks

    size = ORIENTED_SIZE
    n_side = _whash_side(grey, size)
    upright, transposed = (_resize(a, n_side, n_side, b) for a, b in ((grey, turned), (turned, grey)))
    sums = _orient_all(sum_blocks(upright, size), sum_blocks(transposed, size))
    below, above = _middle_two(sums)
    bits = np.asarray(sums >= above)
    for code in np.flatnonzero(below == above):
        bits[code] = _tied_whash_bits(orient(upright if code < 4 else transposed, int(code) % 4), size)
    return bits


def _middle_two(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the two middle values of each of the 8 matrices, `(8, 1, 1)` each; their mean is the median."""
    middle = values[0].size // 2
    ordered = np.partition(values.reshape(len(values), -1), (middle - 1, middle), axis=1)
    return ordered[:, middle - 1, np.newaxis, np.newaxis], ordered[:, middle, np.newaxis, np.newaxis]


_POWERS_OF_TWO = tuple(2**exponent for exponent in range(1, 8))
_BITS_OF: dict[str, Callable[[Plane, Plane | None, int], Bits]] = {
    "phash": _phash_bits,
    "dhash": _dhash_bits,
    "whash": _whash_bits,
    "ahash": _ahash_bits,
}
_ORIENTED_BITS_OF: dict[str, Callable[[Plane, Plane], Bits]] = {
    "phash": _oriented_phash_bits,
    "dhash": _oriented_dhash_bits,
    "whash": _oriented_whash_bits,
    "ahash": _oriented_ahash_bits,
}
