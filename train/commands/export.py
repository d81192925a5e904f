"""``python -m train export``: what it asks for on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.export import ExportOptions, export, read_figures


def export_command(
    run: Annotated[Path, typer.Option(help="Run folder of a training.")],
    out: Annotated[Path, typer.Option(help="Checkpoint to write, .safetensors.")],
    figures: Annotated[
        Path | None, typer.Option(help="summary.json of an evaluation, for the card.")
    ] = None,
    average: Annotated[
        list[Path] | None,
        typer.Option(help="Another run or checkpoint, to average weights with; may be repeated."),
    ] = None,
    query_scale: Annotated[
        float, typer.Option(min=0.01, max=100, help="Below 1 a click reaches farther.")
    ] = 1.0,
) -> None:
    """Write the best weights of a run as a checkpoint with its model card."""
    measured = None if figures is None else read_figures(figures)
    info = export(run, out, measured, ExportOptions(tuple(average or ()), query_scale))
    typer.echo(f"{out}: {info.name}, {out.stat().st_size / 1e6:.1f} MB")
