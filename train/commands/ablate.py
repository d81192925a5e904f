"""``python -m train ablate``: what it asks for on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from train.comparison.ablate import AblateOptions, ablate
from train.comparison.studies import STUDIES
from train.comparison.tables import verdict
from train.evaluation.protocol import EvaluationProtocol


def ablate_command(
    config: Annotated[str, typer.Option(help="Name of a built-in config, or a YAML file.")],
    manifest: Annotated[Path, typer.Option(help="CSV with case,patient,image,mask,split.")],
    out: Annotated[Path, typer.Option(help="Folder for runs, evaluations and the report.")],
    study: Annotated[
        list[str] | None, typer.Option(help="Which study; may be repeated; all by default.")
    ] = None,
    studies: Annotated[Path, typer.Option(help="YAML file with the variants.")] = STUDIES,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value for every variant; may be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each variant.")] = 3,
    split: Annotated[str, typer.Option(help="Which cases are evaluated.")] = "val",
    clicks: Annotated[int, typer.Option(min=0, help="Most clicks per case.")] = 20,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that prepare samples.")] = 1,
    case_workers: Annotated[
        int, typer.Option(min=0, help="Processes that share the cases of an evaluation.")
    ] = 1,
) -> None:
    """Train and evaluate variants of a config with one budget, and compare them."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    comparisons = ablate(
        AblateOptions(
            config=config, manifest=manifest, out=out, overrides=override or (),
            studies=studies, names=study or (), seeds=seeds, split=split,
            protocol=EvaluationProtocol(clicks=clicks), accelerator=accelerator, workers=workers,
            case_workers=case_workers,
        )
    )  # fmt: skip
    for name, comparison in comparisons.items():
        typer.echo(f"{name}: {verdict(comparison)}")
    typer.echo(out / "report.html")
