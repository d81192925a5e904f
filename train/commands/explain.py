"""``python -m train explain``: what it asks for on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from train.commands.evaluation_options import CHANNEL_HELP, LABEL_HELP
from train.evaluation.target import AskedTarget
from train.explanation.explain import ExplainOptions, explain


def explain_command(
    checkpoint: Annotated[Path, typer.Option(help="A .safetensors checkpoint of caiseg.")],
    manifest: Annotated[Path, typer.Option(help="CSV with case,patient,image,mask,split.")],
    case: Annotated[str, typer.Option(help="Name of the case.")],
    out: Annotated[Path, typer.Option(help="Folder for explanation.html.")],
    clicks: Annotated[int, typer.Option(min=0, help="Most clicks.")] = 5,
    label: Annotated[list[int] | None, typer.Option(help=LABEL_HELP)] = None,
    channel: Annotated[int | None, typer.Option(min=0, help=CHANNEL_HELP)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
) -> None:
    """Draw the affinity map and the coarse prediction behind every click of one case."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    asked = AskedTarget(label, channel)
    typer.echo(explain(ExplainOptions(checkpoint, manifest, case, out, clicks, asked, device)))
