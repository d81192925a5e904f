"""``python -m train prepare``: what it asks for on the command line."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from caiseg.errors import InvalidInput
from train.config import load_config
from train.prepare import PrepareOptions, prepare
from train.sources import Source, read_csv_manifest, read_decathlon, read_nnunet


def prepare_command(
    config: Annotated[str, typer.Option(help="Name of a built-in config, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder for manifest.csv, split.json and cache.")],
    msd: Annotated[
        Path | None, typer.Option(help="Task folder of the Medical Segmentation Decathlon.")
    ] = None,
    nnunet: Annotated[Path | None, typer.Option(help="Raw data set of nnU-Net v2.")] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV with case,patient,image,mask and, where given, split and channel."),
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides who is in which split.")] = 0,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that read scans; 0 for none beside this one.")
    ] = 1,
) -> None:
    """Check labelled scans, split their patients, and preprocess them for training."""
    sources: list[tuple[Source, Path | None]] = [
        (read_decathlon, msd), (read_nnunet, nnunet), (read_csv_manifest, manifest),
    ]  # fmt: skip
    named = [(read, place) for read, place in sources if place is not None]
    if len(named) != 1:
        raise InvalidInput("Name one source of scans: --msd, --nnunet or --manifest.")
    read, place = named[0]
    experiment = load_config(config, override or ())
    options = PrepareOptions(out, seed, workers)
    prepare(experiment, read(place, experiment.data), options)
    again = "".join(f" --set {shlex.quote(item)}" for item in override or ())
    typer.echo(
        f"Next: python -m train fit --config {config}{again} --manifest {options.manifest} "
        f"--cache {options.cache} --out RUN"
    )
