"""The sets of data that the cases work on."""

from speed.data import write_clusters, write_hashes, write_published_vectors, write_vectors
from speed.photos import write_photos, write_real_photos, write_small_pictures
from speed.records import Data
from speed.tower import write_tower_data

PHOTO_MEGAPIXELS, MUSEUM_MEGAPIXELS = (0.2, 0.64), (4.2, 10)

TOWER_SIZES = {
    "quick": {"n": 8, "photos": 8, "megapixels": PHOTO_MEGAPIXELS},
    "usual": {"n": 128, "photos": 128, "megapixels": PHOTO_MEGAPIXELS},
}

PHOTOS = Data("photos", write_photos, ("photos",))
REAL_PHOTOS = Data("real-photos", write_real_photos, ("photos",))
MUSEUM = Data("museum", write_photos, ("photos",))
TOWER = Data("tower", write_tower_data, ("photos",))
SMALL = Data("small", write_small_pictures, ("small",))
VECTORS = Data("vectors", write_vectors, ("n", "d"))
PUBLISHED = Data("published", write_published_vectors, ("n", "noise"))
HASHES = Data("hashes", write_hashes, ("n",))
CLUSTERS = Data("clusters", write_clusters, ("n", "d"))
