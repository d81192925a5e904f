"""``python -m train amend``: what it asks for on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.amend import amend
from train.export import read_figures


def amend_command(
    checkpoint: Annotated[Path, typer.Option(help="A .safetensors checkpoint.")],
    out: Annotated[Path, typer.Option(help="Checkpoint to write; may be the same file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="guided_filter.radius_mm=6, say, click_reach_mm=40, or description=…"
        ),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="summary.json of its evaluation, for the card.")
    ] = None,
) -> None:
    """Change what stands around a checkpoint's weights, without training."""
    measured = None if figures is None else read_figures(figures)
    info = amend(checkpoint, out, overrides or (), measured)
    typer.echo(f"{out}: {info.name}, {out.stat().st_size / 1e6:.1f} MB")
