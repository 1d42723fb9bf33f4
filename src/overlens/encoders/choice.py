"""Which encoder a name means.

A name resolves first and starts later: resolving finds and checks the weights, so that a run without them stops before
the first image. There is never a substitute for the model that was named.

The modules of the single encoders are imported here at once; they load OpenVINO or torch only when one is resolved.
"""

from collections.abc import Callable
from pathlib import Path

from overlens.config import EncoderConfig
from overlens.encoders.base import Encoder, LoadedEncoder, Resolved, wrap_encoder
from overlens.encoders.clip import CLIP_TOWERS, resolve_clip, resolve_local
from overlens.encoders.offline import resolve_offline
from overlens.encoders.transformers import HUB_PREFIX, resolve_transformers
from overlens.errors import ConfigError
from overlens.records import ModelInfo
from overlens.registry import Registry

Factory = Callable[[EncoderConfig], Resolved | Encoder]

# Third parties add a function from `EncoderConfig` to an encoder under the entry-point group "overlens.encoders".
ENCODERS: Registry[Factory] = Registry("encoder", "overlens.encoders")
for _name in CLIP_TOWERS:
    ENCODERS.register(_name, lambda: resolve_clip)
ENCODERS.register("offline", lambda: resolve_offline)


def load_encoder(config: EncoderConfig) -> LoadedEncoder:
    """Find, check and start the encoder that `config` names.

    Raises:
        ConfigError: The name is unknown, or the options do not go together.
        ModelError: The weights cannot be had or are not what they should be.
        MissingExtraError: The encoder needs an extra that is not installed.
    """
    found = _find_factory(config)(config)
    if isinstance(found, Resolved):
        return wrap_encoder(found.start(), batch_size=config.batch_size, info=found.info)
    return wrap_encoder(found, batch_size=config.batch_size)


def resolve_model(config: EncoderConfig) -> ModelInfo:
    """Find and check the weights that `config` names, without starting the encoder; raises as `load_encoder` does."""
    found = _find_factory(config)(config)
    return found.info if isinstance(found, Resolved) else wrap_encoder(found).info


def _find_factory(config: EncoderConfig) -> Factory:
    if config.model in ENCODERS:
        return ENCODERS.load(config.model)
    if config.model.startswith(HUB_PREFIX):
        return resolve_transformers
    if Path(config.model).expanduser().exists():
        return resolve_local
    known = ", ".join([*ENCODERS.names(), f"{HUB_PREFIX}ORG/NAME"])
    raise ConfigError(
        f"unknown encoder {config.model!r}; "
        f"allowed are {known}, or the path of an ONNX file or a model folder that exists"
    )
