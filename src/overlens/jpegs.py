"""Tell from its header whether a JPEG file can stand for its pixels wherever it is read.

Only what every decoder reads alike is plain: Huffman-coded, 8 bits a sample, grey or YCbCr, and no metadata that could
ask for the picture to be turned or for other colours (EXIF, XMP, Adobe's marker). Nothing is decoded here.

The markers are those of ITU-T T.81, annex B.
"""

_START, _SCAN, _ADOBE, _EXIF_OR_XMP = 0xD8, 0xDA, 0xEE, 0xE1
_PLAIN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_OTHER_FRAMES = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_REFUSED = _OTHER_FRAMES | {_ADOBE, _EXIF_OR_XMP}
_JFIF = 0xE0


def is_plain_jpeg(data: bytes, width: int, height: int) -> bool:
    """Whether `data` is a plain JPEG file of `width` x `height` pixels."""
    if data[:3] != bytes((0xFF, _START, 0xFF)):
        return False
    place, has_frame, has_jfif = 2, False, False
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place + 4 : place + 2 + length]
        if marker == _SCAN:
            return has_frame and has_jfif
        if marker in _REFUSED or length < 2 or (marker in _PLAIN_FRAMES and has_frame):
            return False
        if marker in _PLAIN_FRAMES:
            has_frame = _fits(segment, width, height)
            if not has_frame:
                return False
        has_jfif |= marker == _JFIF and segment.startswith(b"JFIF\0")
        place += 2 + length
    return False


def _fits(frame: bytes, width: int, height: int) -> bool:
    """Whether a frame header states 8 bits, this size, and one or three components."""
    if len(frame) < 6:
        return False
    stated = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
    return frame[0] == 8 and stated == (width, height) and frame[5] in (1, 3)
