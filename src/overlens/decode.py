"""Turn the bytes of an image file into upright RGB pixels, or say in one phrase why that is impossible.

What every picture goes through, in this order:

* only the first frame of an animation or of a stack of pages is read, at full resolution;
* samples deeper than 8 bit become 8 bit. 16-bit samples lose their low byte (`>> 8`; 12-bit TIFF samples their low four
  bits), so black and white stay where the format puts them. Modes I and F do not say what white is, so the smallest
  usual range that holds every value counts: 0 to 1 (F only), 0 to 255, 0 to 65535; else the lowest value becomes
  black and the highest white. Values that are no number become black;
* transparency is laid over white, as a page or a browser shows it; a palette is resolved, and every other colour mode
  is converted as Pillow does it. Colour profiles are not applied, because perceptual hashes of other tools ignore them;
* the orientation in EXIF or XMP is applied. Unreadable EXIF counts as none: it says nothing about the pixels.

`decode_scaled` reads large JPEGs at 1/2, 1/4 or 1/8 of their size instead: less to transform, to copy, and to compute
from. Its pixels are others, so whoever keeps what comes of them must not mix the two.

A truncated file is a failure, not half a picture. Formats that need an external program (EPS through Ghostscript) or
that Pillow only recognises (MPEG, WMF, BUFR, GRIB, HDF5) are not read.

Pillow's warnings are ignored for the whole process from the first decoded image on. Python's warning filters are
global, and swapping them around each call is not safe while several threads decode; the cost is that an application
which embeds overlens no longer sees warnings that Pillow itself issues. The same holds for what the
libtiff inside Pillow's wheel would write to stderr about damaged files.

Shapes: h rows, w columns.
"""

import ctypes
import logging
import math
import re
import threading
import warnings
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.errors import DecodeError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 178_956_970
"""Most pixels an image may have (512 MiB of RGB); the limit above which Pillow too refuses to open a file."""

SCALED_SIDE_PX = 512
"""No side of a scaled JPEG is shorter: that of a rendition, and what twice as many pixels as a hash looks at need."""
SCALED_NOTICE = (
    "large JPEGs are read at a fraction of their size (--scaled-decode), so some hash bits differ from those in full"
)

_UNREAD_FORMATS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
_16_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_JPEG_FORMATS = frozenset({"JPEG", "MPO"})
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_BITS_PER_SAMPLE = 258

_PILLOW_MODULES = r"PIL(\.|$)"
_IGNORE_PILLOW = ("ignore", None, Warning, re.compile(_PILLOW_MODULES), 0)
_FILTER_LOCK = threading.Lock()


def decode_rgb(data: bytes) -> NDArray[np.uint8]:
    """Return the upright RGB pixels of an image file; safe to call from several threads at once.

    Args:
        data: The whole file.

    Returns:
        `(h, w, 3)` uint8, C-contiguous, h and w at least 1, h × w at most `MAX_PIXELS`. It may be read-only.

    Raises:
        DecodeError: The bytes are no readable image. The message is one phrase that fits behind the name of the file.
        MemoryError: There is not enough memory now, which says nothing about the image.
    """
    return _decode(data, 0)[0]


def decode_scaled(data: bytes) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """As `decode_rgb`, but read a JPEG at 1/2, 1/4 or 1/8 where both sides keep `SCALED_SIDE_PX` or more.

    Returns:
        The pixels, and (width, height) of the upright picture in full.
    """
    return _decode(data, SCALED_SIDE_PX)


def _decode(data: bytes, min_side_px: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    if not data:
        raise DecodeError("the file is empty")
    try:
        return _decode_file(data, min_side_px)
    except (DecodeError, MemoryError):
        raise
    except Exception as error:  # a damaged file can raise anything, from struct.error to RecursionError
        raise DecodeError(_reason(error, data)) from error


@cache
def image_extensions() -> frozenset[str]:
    """Return the file extensions that Pillow reads, lower case with the dot, such as ".jpg"."""
    from PIL import Image

    readable = set(_readable_formats())
    return frozenset(ext.lower() for ext, name in Image.registered_extensions().items() if name in readable)


@cache
def _readable_formats() -> tuple[str, ...]:
    from PIL import Image

    # Without a handler, Python prints what Pillow logs about damaged files to stderr.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    Image.init()
    _hush_libtiff()
    return tuple(name for name in Image.ID if name not in _UNREAD_FORMATS)


def _hush_libtiff() -> None:
    """Take the two handlers away by which the libtiff in Pillow's wheel writes to stderr; what fails is raised anyway.

    A Pillow that was built against the system's libtiff is left alone, as others may use that library too.
    """
    import PIL

    home = Path(PIL.__file__).parent
    for path in (*home.parent.glob("pillow.libs/libtiff*"), *home.glob(".dylibs/libtiff*")):
        with suppress(OSError, AttributeError):  # then it goes on writing
            library = ctypes.CDLL(str(path))
            for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
                handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                handler(None)


def _ignore_pillow_warnings() -> None:
    """Put the filter first if it is not; others, test runners above all, replace the list of filters at will."""
    if _is_filter_first():
        return
    with _FILTER_LOCK:
        if not _is_filter_first():
            warnings.filterwarnings("ignore", module=_PILLOW_MODULES)


def _is_filter_first() -> bool:
    return next(iter(warnings.filters), None) == _IGNORE_PILLOW


def _decode_file(data: bytes, min_side_px: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    from PIL import Image

    formats = _readable_formats()
    _ignore_pillow_warnings()
    with Image.open(BytesIO(data), formats=formats) as image:
        _check_size(*image.size)
        size_px = image.size
        is_scaled = min_side_px > 0 and image.draft(None, (min_side_px, min_side_px)) is not None
        pixels = _read_jpeg(image, data)
        if pixels is None:
            image.load()
            _check_size(*image.size)  # some containers know the size only now
        orientation = _read_orientation(image)
        if pixels is None or orientation != 1:
            picture = _to_rgb(image) if pixels is None else Image.fromarray(pixels)
            pixels = np.asarray(_turn_upright(picture, orientation))
    if pixels.size == 0:
        raise DecodeError("the image has no pixels")
    height, width = pixels.shape[:2]
    if not is_scaled:
        size_px = width, height
    elif orientation in _SIDEWAYS:
        size_px = size_px[::-1]
    return np.ascontiguousarray(pixels), size_px


def _read_jpeg(image: "Image", data: bytes) -> NDArray[np.uint8] | None:
    """Return the pixels of a colour JPEG at the size that `image` has by now, or None for Pillow to read it.

    Where both are libjpeg-turbo they give the same pixels; this way spares Pillow's own storage, through which it hands
    pixels over piece by piece while other threads wait. Whatever is out of order is Pillow's to judge.
    """
    if image.format not in _JPEG_FORMATS or image.mode != "RGB" or not _reads_by_turbo():
        return None
    from simplejpeg import decode_jpeg

    width, height = image.size
    options = {"fastdct": False, "fastupsample": False, "strict": True}
    try:
        pixels: NDArray[np.uint8] = decode_jpeg(data, "RGB", min_height=height, min_width=width, **options)
    except MemoryError:
        raise
    except Exception:
        return None
    return pixels if pixels.shape[:2] == (height, width) else None


@cache
def _reads_by_turbo() -> bool:
    """Whether Pillow reads JPEGs by libjpeg-turbo; others, such as libjpeg 9, upsample colours in another way."""
    from PIL import features

    return bool(features.check_feature("libjpeg_turbo"))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DecodeError(f"the image has {width} x {height} pixels; at most {MAX_PIXELS} are allowed")


def _read_orientation(image: "Image") -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _turn_upright(image: "Image", orientation: int) -> "Image":
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _to_rgb(image: "Image") -> "Image":
    if image.mode in _16_BIT_MODES or image.mode in ("I", "F"):
        image = _to_8_bit(image)
    if image.has_transparency_data:
        return _over_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _over_white(image: "Image") -> "Image":
    from PIL import Image

    layered = image.convert("RGBA")
    page = Image.new("RGB", image.size, "white")
    page.paste(layered.convert("RGB"), mask=layered.getchannel("A"))
    return page


def _to_8_bit(image: "Image") -> "Image":
    from PIL import Image

    values = np.asarray(image)
    if image.mode in _16_BIT_MODES:
        grey = (values >> _surplus_bits(image)).astype(np.uint8)
    else:
        grey = _scale_to_8_bit(values)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _surplus_bits(image: "Image") -> int:
    """Return how far 16-bit samples must be shifted down; only 12-bit TIFF leaves the high bits empty."""
    tags: Any = getattr(image, "tag_v2", None) or {}
    return 4 if tags.get(_BITS_PER_SAMPLE) == (12,) else 8


def _scale_to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale samples of mode I or F by the rule in the module header."""
    numbers = np.asarray(values, np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        raise DecodeError("the image holds no finite value")
    lowest, highest = float(numbers[finite].min()), float(numbers[finite].max())
    black, white = _range_of(lowest, highest, is_float=values.dtype.kind == "f")
    shares = np.where(finite, (numbers - black) / (white - black), 0.0)
    return np.rint(shares.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def _range_of(lowest: float, highest: float, *, is_float: bool) -> tuple[float, float]:
    for white in (1.0, 255.0, 65535.0) if is_float else (255.0, 65535.0):
        if lowest >= 0.0 and highest <= white:
            return 0.0, white
    return lowest, highest if highest > lowest else math.nextafter(lowest, math.inf)


def _reason(error: Exception, data: bytes) -> str:
    """Say in one phrase, free of addresses and line breaks, why an image could not be decoded."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return f"the image has too many pixels; at most {MAX_PIXELS} are allowed"
    if isinstance(error, UnidentifiedImageError):
        return f"not a readable image: {_describe(data)}"
    words = " ".join(str(error).split()) or "no further explanation"
    return f"the image is damaged or not supported: {words} ({type(error).__name__})"


def _describe(data: bytes) -> str:
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for starts, kind in _LOOKS_LIKE:
        if head.startswith(starts):
            return f"it is {kind}"
    if not data.strip(b"\0"):
        return "it holds only zero bytes"
    if _is_text(data[:1024]):
        return "it is text"
    return f"Pillow does not know the format or cannot read its header (first bytes {data[:8].hex(' ')})"


_LOOKS_LIKE = (
    ((b"<!doctype html", b"<html", b"<head", b"<body"), "an HTML page"),
    ((b"<svg", b"<!doctype svg"), "an SVG drawing"),
    ((b"<?xml",), "XML text, perhaps an SVG drawing"),
    ((b"%pdf",), "a PDF document"),
    ((b"%!ps", b"\xc5\xd0\xd3\xc6"), "PostScript, which is not read"),
    ((b"version https://git-lfs",), "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
    ((b"pk\x03\x04",), "a ZIP archive"),
)


def _is_text(head: bytes) -> bool:
    """Whether the bytes read as UTF-8 without control characters; a last character may be cut."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)
