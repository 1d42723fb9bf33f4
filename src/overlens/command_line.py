"""A configuration as the command that gives it: the inverse of `run_options`, for whoever wants the same run again.

Only options that differ from their defaults are named, in the order of the help. Paths stay as they were given, so a
relative one means the folder that the run was started in.
"""

import shlex
from collections.abc import Iterator
from operator import attrgetter

from overlens.config import AUTO, BOTH, METHODS, PROJECTIONS, RunConfig
from overlens.run_options import FEW_SHOT, PLACES, default_options, parse_share

SHARES = ("max_failures", "false_discovery_rate")


def arguments_of(config: RunConfig) -> tuple[str, ...]:
    """Return the arguments of `overlens compute` that give a configuration.

    An encoder object has no argument; it is the caller's to name.
    """
    values, defaults = options_of(config), default_options()
    arguments = ["--datasets", *_joined("--datasets", values.pop("datasets"))]
    for option, default in defaults.items():
        if option in values and values[option] != default:
            arguments += _spell(f"--{option.replace('_', '-')}", values[option], as_share=option in SHARES)
    return tuple(arguments)


def shell_command(config: RunConfig) -> str:
    """Return the whole command, quoted for a POSIX shell."""
    return shlex.join(["overlens", "compute", *arguments_of(config)])


def options_of(config: RunConfig) -> dict[str, object]:
    """Return the options under their names with underscores, with the values that give a configuration.

    Options of few-shot splits are there only where splits are drawn.
    """
    values: dict[str, object] = {option: attrgetter(place)(config) for option, place in PLACES.items()}
    for option in ("cosine_threshold", "hash_threshold"):
        values[option] = AUTO if values[option] is None else values[option]
    if config.few_shot is not None:
        drawn = {option: getattr(config.few_shot, field) for option, field in FEW_SHOT.items()}
        values |= {option: AUTO if value is None else value for option, value in drawn.items()}
    return {
        **values,
        "datasets": tuple(spec.name if spec.path is None else f"{spec.name}={spec.path}" for spec in config.datasets),
        "method": _chosen(config.pairs.methods, METHODS),
        "projections": _chosen(config.projections.methods, PROJECTIONS),
        "no_verify": not config.verify,
        "no_report": not config.report,
        "generate_few_shot": config.few_shot is not None,
        "predictions": config.predictions,
    }


def _chosen(methods: tuple[str, ...], choices: tuple[str, ...]) -> str:
    if not methods:
        return "none"
    return BOTH if set(methods) == set(choices) else methods[0]


def _spell(option: str, value: object, *, as_share: bool) -> Iterator[str]:
    if value is True:
        yield option
    elif isinstance(value, tuple | list):
        yield option
        yield from _joined(option, value)
    else:
        yield option
        yield _percent(value) if as_share and isinstance(value, float | int) else str(value)


def _percent(share: float) -> str:
    """Return a share as people write it, where that reads back as the same number."""
    text = f"{100 * share:.12g}%"
    return text if parse_share(text) == share else str(share)


def _joined(option: str, values: object) -> Iterator[str]:
    """Yield the values of an option that is repeated, its name before each but the first."""
    assert isinstance(values, tuple | list)
    for place, value in enumerate(values):
        if place:
            yield option
        yield str(value)
