"""The command line: ``python -m train fit | export``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from caiseg.errors import InvalidInput
from train.config import load_config
from train.export import export, read_figures
from train.fit import FitOptions, fit

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="Train and judge checkpoints."
)


@app.callback()
def _commands() -> None:
    """Train and judge checkpoints."""


@app.command("fit")
def fit_command(
    config: Annotated[str, typer.Option(help="Name of a built-in config, or a YAML file.")],
    manifest: Annotated[Path, typer.Option(help="CSV with case,patient,image,mask,split.")],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    resume: Annotated[bool, typer.Option(help="Continue the run in that folder.")] = False,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for preprocessed scans; OUT/cache by default.")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads of the training step.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that prepare samples.")] = 1,
) -> None:
    """Train a network from a manifest of labelled scans."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    fit(
        load_config(config, override or ()),
        FitOptions(
            config_name=Path(config).stem, manifest=manifest, out=out, resume=resume, cache=cache or out / "cache",
            accelerator=accelerator, devices=devices, nodes=nodes, workers=workers,
        ),
    )  # fmt: skip


@app.command("export")
def export_command(
    run: Annotated[Path, typer.Option(help="Run folder of a training.")],
    out: Annotated[Path, typer.Option(help="Checkpoint to write, .safetensors.")],
    figures: Annotated[
        Path | None, typer.Option(help="summary.json of an evaluation, for the card.")
    ] = None,
) -> None:
    """Write the best weights of a run as a checkpoint with its model card."""
    info = export(run, out, None if figures is None else read_figures(figures))
    typer.echo(f"{out}: {info.name}, {out.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    """Run the command line; what a person can cause ends in one sentence, not a traceback."""
    try:
        app()
    except InvalidInput as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(2)
