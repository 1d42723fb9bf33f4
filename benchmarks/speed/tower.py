"""The data of the cases about embeddings: photographs, the same prepared for the tower, and the tower itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from overlens.decode import decode_rgb
from overlens.encoders.preprocess import CLIP_PREPROCESSING
from speed.photos import write_photos
from speed.race import run_once
from speed.records import MAIN, Side, Workshop
from speed.sides.embedding import CROPS
from speed.sides.images import list_photos

EXPORT = Side("export", "embedding:export_tower", MAIN, libraries=("torch", "transformers", "onnx"))


def write_tower_data(folder: Path, size: Mapping[str, Any], workshop: Workshop) -> None:
    """Write all of it; raises `speed.race.WorkerError` where torch cannot make the tower."""
    write_photos(folder, size, workshop)
    crops = [CLIP_PREPROCESSING(decode_rgb(file.read_bytes())) for file in list_photos(folder, size["photos"])]
    np.save(folder / CROPS, np.stack(crops))
    run_once(workshop, EXPORT, folder)
