"""``python -m train compare``: what it asks for on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from train.comparison.compare import CompareOptions, compare, named_folder, named_method
from train.comparison.tables import verdict


def compare_command(
    out: Annotated[Path, typer.Option(help="Folder for the report and its numbers.")],
    results: Annotated[
        list[str] | None,
        typer.Argument(help="Result folders of evaluate, each FOLDER or NAME=FOLDER."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME=CHECKPOINT, whose pictures are drawn; may be repeated."),
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help="CSV with the cases, for pictures.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Whom to test the others against; caiseg by default.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the report.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write Dice against clicks as .png or .svg, too.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
) -> None:
    """Compare methods on the same cases: tables, tests, plots and a report."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    comparison = compare(
        CompareOptions(
            results=[named_folder(text) for text in results or ()],
            out=out, methods=dict(named_method(text) for text in method or ()),
            manifest=manifest, reference=reference, title=title, figure=figure, device=device,
        )
    )  # fmt: skip
    typer.echo(verdict(comparison))
    typer.echo(out / "report.html")
