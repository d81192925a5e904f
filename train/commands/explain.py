"""``python -m train explain``: what it asks for on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from train.explanation.explain import ExplainOptions, explain


def explain_command(
    checkpoint: Annotated[Path, typer.Option(help="A .safetensors checkpoint of caiseg.")],
    manifest: Annotated[Path, typer.Option(help="CSV with case,patient,image,mask,split.")],
    case: Annotated[str, typer.Option(help="Name of the case.")],
    out: Annotated[Path, typer.Option(help="Folder for explanation.html.")],
    clicks: Annotated[int, typer.Option(min=0, help="Most clicks.")] = 5,
    label: Annotated[
        list[int] | None,
        typer.Option(help="Mask value that is lesion; may be repeated; all above 0 by default."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
) -> None:
    """Draw the affinity map and the coarse prediction behind every click of one case."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    labels = tuple(label) if label else None
    typer.echo(explain(ExplainOptions(checkpoint, manifest, case, out, clicks, labels, device)))
