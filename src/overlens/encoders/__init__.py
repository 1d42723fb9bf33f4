"""What turns pixels into embeddings: CLIP by ONNX, towers of transformers, the offline encoder, or your own object."""

from overlens.encoders.base import Encoder, LoadedEncoder, Resolved, wrap_encoder
from overlens.encoders.choice import ENCODERS, load_encoder, resolve_model

__all__ = ["ENCODERS", "Encoder", "LoadedEncoder", "Resolved", "load_encoder", "resolve_model", "wrap_encoder"]
