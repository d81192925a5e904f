"""``python -m train compare``: what it asks for on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from train.commands.evaluation_options import (
    CHANNEL_HELP,
    LABEL_HELP,
    RULE_HELP,
    SEEDS_HELP,
    WORKERS_HELP,
)
from train.comparison.compare import CompareOptions, compare, named_folders, named_method
from train.comparison.tables import verdict
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.rules import Rules, chosen_protocols
from train.evaluation.target import AskedTarget


def compare_command(
    out: Annotated[Path, typer.Option(help="Folder for the report and its numbers.")],
    results: Annotated[
        list[str] | None,
        typer.Argument(
            help="Result folders of evaluate: FOLDER, NAME=FOLDER, or one per training, "
            "NAME=FOLDER,FOLDER."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME or NAME=CHECKPOINT: evaluated where no results of that name are given, and "
            "drawn in the pictures; may be repeated."
        ),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="CSV with the cases, for methods and pictures.")
    ] = None,
    split: Annotated[str, typer.Option(help="Cases to evaluate methods on.")] = "val",
    clicks: Annotated[int, typer.Option(min=0, help="Most clicks when evaluating.")] = 20,
    rule: Annotated[Rules | None, typer.Option(help=RULE_HELP)] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help=SEEDS_HELP)] = None,
    label: Annotated[list[int] | None, typer.Option(help=LABEL_HELP)] = None,
    channel: Annotated[int | None, typer.Option(min=0, help=CHANNEL_HELP)] = None,
    reference: Annotated[
        str | None, typer.Option(help="Whom to test the others against; caiseg by default.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the report.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write Dice against clicks as .png or .svg, too.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help=WORKERS_HELP)] = 1,
) -> None:
    """Compare methods on the same cases: tables, tests, plots and a report."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    comparison = compare(
        CompareOptions(
            results=[named_folders(text) for text in results or ()],
            out=out, methods=dict(named_method(text) for text in method or ()),
            manifest=manifest, split=split,
            protocols=chosen_protocols(EvaluationProtocol(clicks=clicks), rule, seeds),
            asked=AskedTarget(label, channel), reference=reference, title=title, figure=figure,
            device=device, workers=workers,
        )
    )  # fmt: skip
    for name, why in comparison.absent.items():
        typer.echo(f"{name} is not compared: {why}")
    typer.echo(verdict(comparison))
    typer.echo(out / "report.html")
