"""The sets of data that the cases work on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speed.data import write_clusters, write_hashes, write_published_vectors, write_vectors
from speed.photos import write_photos, write_small_pictures
from speed.race import make_data
from speed.records import Data, Workshop
from speed.sides.images import list_photos
from speed.tower import write_tower_data

PHOTO_MEGAPIXELS, MUSEUM_MEGAPIXELS = (0.2, 0.64), (4.2, 10)

TOWER_SIZES = {
    "quick": {"n": 8, "photos": 8, "megapixels": PHOTO_MEGAPIXELS},
    "usual": {"n": 128, "photos": 128, "megapixels": PHOTO_MEGAPIXELS},
}


def _link_first_photos(folder: Path, size: Mapping[str, Any], workshop: Workshop) -> None:
    """Fill a folder with the first n of the photographs, without another copy of them."""
    whole = make_data(PHOTOS, size, workshop)
    for file in list_photos(whole, size["n"]):
        link = folder / file.relative_to(whole)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.hardlink_to(file)
    (folder / "planted.json").write_text((whole / "planted.json").read_text())


PHOTOS = Data("photos", write_photos, ("photos",))
FIRST_PHOTOS = Data("first-photos", _link_first_photos, ("n",))
MUSEUM = Data("museum", write_photos, ("photos",))
TOWER = Data("tower", write_tower_data, ("photos",))
SMALL = Data("small", write_small_pictures, ("small",))
VECTORS = Data("vectors", write_vectors, ("n", "d"))
PUBLISHED = Data("published", write_published_vectors, ("n", "noise"))
HASHES = Data("hashes", write_hashes, ("n",))
CLUSTERS = Data("clusters", write_clusters, ("n", "d"))
