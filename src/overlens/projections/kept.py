"""A projection as bytes and back, so that what was laid out once need not be laid out again."""

import io
import json
from dataclasses import fields

import numpy as np

from overlens.projections.methods import Projection
from overlens.store.fingerprints import made_by

_WORDS = tuple(field.name for field in fields(Projection) if field.name != "coordinates")


def laid_out_by() -> str:
    """Return a digest of the code and the libraries that lay images out on a plane."""
    return made_by(
        ("projections", "search", "stacked.py"), ("numba", "numpy", "openTSNE", "pynndescent", "scipy", "umap-learn")
    )


def pack_projection(projection: Projection) -> bytes:
    """Return a projection as bytes; equal ones give equal bytes."""
    stream = io.BytesIO()
    words = json.dumps({name: getattr(projection, name) for name in _WORDS})
    np.savez(stream, coordinates=projection.coordinates, words=np.array(words))
    return stream.getvalue()


def unpack_projection(content: bytes) -> Projection:
    """Return the projection that was packed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        words = json.loads(str(kept["words"]))
        lists = {name: tuple(words[name]) for name in ("notes", "details")}
        return Projection(words["method"], kept["coordinates"], **lists, parameters=words["parameters"])
