"""The records of a report as the scripts of its page read them: plain columns, every text and every picture once.

Shapes: n images, m pairs, t thresholds.
"""

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import numpy as np

from overlens.report.html.records import Curve, Gallery, Images, Map, Report
from overlens.report.style import dataset_colour

COORDINATE_DIGITS = 4
SCORE_DIGITS = 4
_KINDS = ((b"RIFF", "image/webp"), (b"\xff\xd8", "image/jpeg"), (b"\x89PNG", "image/png"))


def page_columns(report: Report) -> dict[str, Any]:
    """Return everything that the scripts of the page need, as values of JSON."""
    return {
        "datasets": [
            {"name": one.name, "size": one.n_kept, "colour": dataset_colour(place)}
            for place, one in enumerate(report.datasets)
        ],
        "rungs": [{"code": code, "name": name, "meaning": meaning} for code, name, meaning in report.rungs],
        "curves": [_curve(one) for one in report.curves],
        "images": _images(report.images),
        "pairs": _pairs(report.gallery) if report.gallery else None,
        "maps": [_map(one) for one in report.maps],
    }


def picture_address(content: bytes, kind: str = "") -> str:
    """Return a picture as an address that holds it; its kind is read from its first bytes unless given."""
    kind = kind or next((name for start, name in _KINDS if content.startswith(start)), "application/octet-stream")
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "method": curve.method,
        "title": curve.title,
        "unit": curve.unit,
        "isSimilarity": curve.is_similarity,
        "thresholds": list(curve.thresholds),
        "at": curve.at,
        "lines": [
            {"left": left, "right": right, "counts": list(counts)} for (left, right), counts in curve.lines.items()
        ],
    }


def _images(images: Images) -> dict[str, Any]:
    sizes = np.asarray(images.sizes_px).reshape(-1, 2)
    return {
        "dataset": images.datasets.tolist(),
        "name": list(images.names),
        "label": images.labels.tolist(),
        "labelNames": list(images.label_names),
        "group": images.groups.tolist(),
        "width": sizes[:, 0].tolist(),
        "height": sizes[:, 1].tolist(),
        "thumbnail": images.thumbnails.tolist(),
        "pictures": [picture_address(content) for content in images.pictures],
    }


def _pairs(gallery: Gallery) -> dict[str, Any]:
    """Return the pairs as columns; the words of evidence, of which most pairs share some, stand once."""
    texts = _Texts()
    return {
        "left": [pair.left for pair in gallery.pairs],
        "right": [pair.right for pair in gallery.pairs],
        "rung": [pair.rung for pair in gallery.pairs],
        "strength": [_rounded(pair.strength) for pair in gallery.pairs],
        "cosine": [_shortest(pair.cosine) for pair in gallery.pairs],
        "bits": [pair.bits for pair in gallery.pairs],
        "words": [texts.place(pair.words) for pair in gallery.pairs],
        "evidence": [texts.places(text for row in pair.evidence for text in row) for pair in gallery.pairs],
        "transform": [pair.transform and [float(f"{value:.6g}") for value in pair.transform] for pair in gallery.pairs],
        "judged": [texts.place(pair.judged) for pair in gallery.pairs],
        "texts": texts.texts,
    }


def _map(one: Map) -> dict[str, Any]:
    points = np.round(one.coordinates.astype(float), COORDINATE_DIGITS)
    return {
        "method": one.method,
        "title": one.title,
        "image": one.images.tolist(),
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
    }


def _shortest(value: float | None) -> float | None:
    """Return a float32 as the shortest number that reads back as it: thresholds are held against all its digits."""
    return None if value is None else float(str(np.float32(value)))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), SCORE_DIGITS)


class _Texts:
    """Different texts in the order of their first use."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    @property
    def texts(self) -> list[str]:
        return list(self._places)

    def place(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    def places(self, texts: Iterable[str]) -> list[int]:
        return [self.place(text) for text in texts]
