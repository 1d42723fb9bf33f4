"""How alike are images and their own known edits, by the encoder and the hash of a run?

Copies by construction, made of the user's own images: what share of them a threshold finds needs no labelling. The
pictures come from the renditions in the store (512 pixels at most), so no original is opened; an edit is compared with
the stored embedding and hash of its image, as a copy in another dataset would be. Images with hardly anything to see
are passed over. Time is that of encoding twelve edits of each image; memory is a few images and their edits.

Shapes: k images, e edits.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from overlens.calibration.edits import EDITS, edit_image
from overlens.config import HashConfig
from overlens.cores import available_cores
from overlens.encoders.base import LoadedEncoder
from overlens.evidence import read_rendition
from overlens.features import KnownImages
from overlens.hashes.compute import compute_hash, hash_recipe
from overlens.layout import AnalysisLayout
from overlens.progress import Stage
from overlens.records import Features
from overlens.sampler import draw
from overlens.store.fingerprints import fingerprint, made_by, rows_fingerprint
from overlens.store.results import Results

SAMPLE_IMAGES = 50  # of each dataset: the share of a couple, among 100, is then known within 10 percentage points
SEED = 0  # of the sample and the edits; fixed, so that a threshold does not depend on the seed of the pictures
_AT_ONCE = 8
_CODE = ("calibration/edits.py", "calibration/edit_scores.py"), ("numpy", "opencv-python-headless", "pillow")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EditScores:
    """Scores of k images with their own edits.

    Attributes:
        edits: Name of each edit, e of them.
        scores: `(k, e)` float32 cosine similarities or Hamming distances in bits; nan where an edit has no embedding.
    """

    edits: tuple[str, ...]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.scores.shape[1] != len(self.edits) or self.scores.dtype != np.float32:
            raise ValueError(
                f"scores must be float32, a column for each of {len(self.edits)} edits, got {self.scores.dtype} of "
                f"shape {self.scores.shape}"
            )

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class EditProbe:
    """With what images are compared with their edits.

    Attributes:
        encoder: The encoder of the run, or None to measure no cosine.
        hashing: The hash of the run, or None to measure no distance.
        workers: Threads that decode and edit; 0 means one for each core this process may use.
        edits: Names of the edits.
    """

    encoder: LoadedEncoder | None
    hashing: HashConfig | None
    workers: int = 0
    edits: tuple[str, ...] = tuple(EDITS)


@dataclass(frozen=True, slots=True)
class _Edited:
    """What is measured of the e edits of one image: inputs of the encoder, packed hashes."""

    crops: tuple[Pixels, ...]
    hashes: tuple[Pixels, ...]


@dataclass(frozen=True, slots=True)
class EditSources:
    """What known edits are made of and compared with.

    Attributes:
        known: The images of every dataset, with evidence.
        encoder: The encoder of the run, or None.
        results: Which scores are kept from earlier runs, and where.
    """

    known: Sequence[KnownImages]
    encoder: LoadedEncoder | None
    results: Results


def sample_rows(known: KnownImages, n_images: int = SAMPLE_IMAGES) -> NDArray[np.intp]:
    """Return rows of at most `n_images` kept images with something to see, ascending; a draw by their names alone."""
    keys = known.keys
    rows = {keys[row]: int(row) for row in np.flatnonzero(~known.evidence().low_information)}
    return np.array(sorted(rows[key] for key in draw(rows, n_images, SEED, "known edits")), np.intp)


def known_edits(
    sample: tuple[KnownImages, NDArray[np.intp]], features: Features, probe: EditProbe, results: Results, stage: Stage
) -> Mapping[str, EditScores]:
    """Compare images of one dataset with their own edits as `measure_edits` does, unless that was measured before.

    Scores are kept with the features of the dataset: nothing is edited while its images, the edits, the encoder and the
    hash stay the same.

    Args:
        sample: The images, and which of them are edited.
        features: Their embeddings and hashes.
        probe: With what to compare.
        results: Which scores are kept.
        stage: Counts the images.
    """
    known, rows = sample
    layout = AnalysisLayout(results.root, features.dataset)
    kept = {
        method: (layout.kept_edit_scores(method), made_of)
        for method, made_of in _made_of(known, features, rows, probe).items()
    }
    found = {
        method: EditScores(probe.edits, np.load(path, allow_pickle=False))
        for method, (path, made_of) in kept.items()
        if results.holds(path, made_of)
    }
    missing = replace(
        probe,
        encoder=None if "cosine" in found else probe.encoder,
        hashing=None if "perceptual" in found else probe.hashing,
    )
    if found.keys() == kept.keys():
        stage.advance(cached=len(rows))
        return found
    for method, scores in measure_edits(known, features, rows, missing, stage).items():
        results.write(*kept[method], partial(_pack, scores.scores))
        found[method] = scores
    return found


def measure_edits(
    known: KnownImages, features: Features, rows: NDArray[np.intp], probe: EditProbe, stage: Stage
) -> Mapping[str, EditScores]:
    """Compare images of one dataset with their own edits.

    Args:
        known: The images, with evidence.
        features: Their embeddings and hashes, row by row as in `known`.
        rows: Which images, `(k,)`, such as `sample_rows` gives.
        probe: With what to compare.
        stage: Counts the images.

    Returns:
        "cosine" and "perceptual", as far as the probe measures them, to the scores.

    Raises:
        StoreError: A rendition is damaged.
    """
    renditions, keys = known.renditions(), known.keys

    def edit(row: int) -> _Edited:
        return _edit(read_rendition(renditions.get(row)), keys[row], probe)

    cosines: list[NDArray[np.float32]] = []
    distances: list[NDArray[np.float32]] = []
    with ThreadPoolExecutor(probe.workers or available_cores(), thread_name_prefix="overlens-edits") as pool:
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            edited = list(pool.map(edit, part.tolist()))
            if probe.encoder is not None:
                cosines.append(_cosines(features.require_embeddings()[part], edited, probe.encoder))
            if probe.hashing is not None:
                distances.append(_distances(features.require_hashes()[part], edited))
            stage.advance(len(part))
    found = {"cosine": (probe.encoder, cosines), "perceptual": (probe.hashing, distances)}
    return {
        method: EditScores(probe.edits, _stack(blocks, len(probe.edits)))
        for method, (tool, blocks) in found.items()
        if tool is not None
    }


def _made_of(known: KnownImages, features: Features, rows: NDArray[np.intp], probe: EditProbe) -> dict[str, str]:
    """Return by method what its scores are made of."""
    images = [(known.keys[row], known.digests[row]) for row in rows.tolist()]
    renditions = None if known.stores.evidence is None else known.stores.evidence.folder.name
    edited = fingerprint(made_by(*_CODE), probe.edits, images, renditions)
    found = {}
    if probe.encoder is not None:
        facts = probe.encoder.fingerprint, rows_fingerprint([features.require_embeddings()[rows]])
        found["cosine"] = fingerprint(edited, *facts)
    if probe.hashing is not None:
        found["perceptual"] = fingerprint(edited, probe.hashing, hash_recipe(), features.require_hashes()[rows])
    return found


def _pack(scores: NDArray[np.float32]) -> bytes:
    stream = BytesIO()
    np.save(stream, scores, allow_pickle=False)
    return stream.getvalue()


def _edit(pixels: Pixels, key: str, probe: EditProbe) -> _Edited:
    pictures = [edit_image(pixels, name, key=key, seed=SEED) for name in probe.edits]
    encoder, hashing = probe.encoder, probe.hashing
    return _Edited(
        tuple(encoder.prepare(picture) for picture in pictures) if encoder else (),
        tuple(compute_hash(picture, hashing.hash_type, hashing.hash_size) for picture in pictures) if hashing else (),
    )


def _cosines(rows: NDArray[np.float32], edited: Sequence[_Edited], encoder: LoadedEncoder) -> NDArray[np.float32]:
    from overlens.search.kernels import score_pairs

    encoded, usable = encoder.encode(np.stack([crop for one in edited for crop in one.crops]))
    n_edits = len(encoded) // len(rows)
    owners = np.repeat(np.arange(len(rows)), n_edits)
    scores = score_pairs(np.ascontiguousarray(rows), encoded, owners, np.arange(len(encoded)))
    scores[~usable] = np.nan
    return np.asarray(scores.reshape(len(rows), n_edits), np.float32)


def _distances(rows: NDArray[np.uint8], edited: Sequence[_Edited]) -> NDArray[np.float32]:
    hashes = np.stack([np.stack(one.hashes) for one in edited])
    return np.asarray(np.bitwise_count(hashes ^ rows[:, None]).sum(axis=2), np.float32)


def _stack(blocks: Sequence[NDArray[np.float32]], n_edits: int) -> NDArray[np.float32]:
    return np.concatenate([np.empty((0, n_edits), np.float32), *blocks])
