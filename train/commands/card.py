"""``python -m train card``: what it asks for on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from train.failure_cases import CardOptions, write_card


def card_command(
    checkpoint: Annotated[Path, typer.Option(help="A .safetensors checkpoint.")],
    results: Annotated[Path, typer.Option(help="Folder of its evaluation.")],
    manifest: Annotated[Path, typer.Option(help="CSV that was evaluated.")],
    cases: Annotated[int, typer.Option(min=1, help="How many of the worst to show.")] = 3,
    tried: Annotated[
        str | None,
        typer.Option(
            help="Document, or FILE#SECTION, on what else was tried; the card links to it."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
) -> None:
    """Write a checkpoint's card anew, with pictures of the cases that it did worst on."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    typer.echo(write_card(CardOptions(checkpoint, results, manifest, cases, device, tried)))
