"""`overlens models`: which encoders there are, fetch their weights, verify them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from overlens.config import PRECISIONS, EncoderConfig

if TYPE_CHECKING:
    from overlens.records import ModelInfo


@click.group()
def models() -> None:
    """List, fetch and verify encoders."""


@models.command("list")
def list_models() -> None:
    """List the encoders that `--clip-model` takes, and whether their weights are on this machine."""
    from overlens.encoders.catalogue import list_encoders

    rows = [("NAME", "KIND", "DIM", "WEIGHTS FROM", "HERE")]
    rows += [(row.name, row.kind, row.dim, row.source, row.present) for row in list_encoders()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch the weights of encoder NAME into the local cache and check their digest."""
    _show(_resolve(name, None, "auto"))


@models.command()
@click.argument("name")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Local ONNX file or model folder to use as the weights of NAME.",
)
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(PRECISIONS),
    help="Precision of the test encode; auto takes bf16 where the processor has it.",
)
def verify(name: str, weights: Path | None, precision: str) -> None:
    """Check the digest of encoder NAME (or the model at path NAME) and encode test pictures with it."""
    from overlens.encoders.catalogue import try_encoder

    check = try_encoder(EncoderConfig(model=name, weights=weights, precision=precision))
    _show(check.info)
    click.echo(f"test encode    {check.n_images} pictures, {check.seconds:.2f} s, rows finite and of length 1")


def _resolve(name: str, weights: Path | None, precision: str) -> "ModelInfo":
    from overlens.encoders import resolve_model

    return resolve_model(EncoderConfig(model=name, weights=weights, precision=precision))


def _show(info: "ModelInfo") -> None:
    click.echo(f"name           {info.name}")
    click.echo(f"source         {info.source}")
    click.echo(f"revision       {info.revision or '-'}")
    click.echo(f"sha256         {info.weights_sha256 or '-'}")
    click.echo(f"precision      {info.precision}")
    click.echo(f"dimensions     {info.dim}{'' if info.is_clip else ' (not CLIP)'}")
    click.echo(f"preprocessing  {info.preprocessing}")
