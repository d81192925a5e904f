"""``python -m train evaluate``: what it asks for on the command line."""

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
from train.evaluation.choice import choose_methods, target_of
from train.evaluation.evaluate import EvaluateOptions, evaluate
from train.evaluation.machines import launch
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.rules import Rules, chosen_protocols, folders
from train.evaluation.target import AskedTarget
from train.methods import METHODS


def evaluate_command(
    manifest: Annotated[Path, typer.Option(help="CSV with case,patient,image,mask,split.")],
    out: Annotated[
        Path,
        typer.Option(help="Folder for results.csv and summary.json; one in it for each method."),
    ],
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(help="A .safetensors checkpoint, or METHOD=PATH; may be repeated."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(METHODS)}; may be repeated; the checkpoints' by default."),
    ] = None,
    split: Annotated[str, typer.Option(help="Which cases of the manifest.")] = "val",
    clicks: Annotated[int, typer.Option(min=0, help="Most clicks per case.")] = 20,
    rule: Annotated[Rules | None, typer.Option(help=RULE_HELP)] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help=SEEDS_HELP)] = None,
    surface_round: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            help="Measure surface distances after that many clicks; may be repeated; "
            "0, 5 and the last by default.",
        ),
    ] = None,
    label: Annotated[list[int] | None, typer.Option(help=LABEL_HELP)] = None,
    channel: Annotated[int | None, typer.Option(min=0, help=CHANNEL_HELP)] = None,
    resume: Annotated[bool, typer.Option(help="Keep the cases that are finished.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help=WORKERS_HELP)] = 1,
    devices: Annotated[int, typer.Option(min=1, help="Fabric processes on this machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
) -> None:
    """Judge methods on labelled scans with simulated clicks, the same for each of them."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    protocol = EvaluationProtocol(
        clicks=clicks, surface_rounds=tuple(surface_round) if surface_round else None
    )
    protocols = chosen_protocols(protocol, rule, seeds)
    chosen = choose_methods(method or (), checkpoint or ())
    target = target_of(chosen, AskedTarget(label, channel))
    fabric = launch(device, devices, nodes)
    for name, weights in chosen:
        own = out / name if len(chosen) > 1 else out
        for folder, protocol in folders(own, protocols):
            evaluate(
                EvaluateOptions(
                    weights, manifest, split, folder, protocol.aimed_at(target), resume, device,
                    name, workers, devices, nodes,
                ),
                fabric,
            )  # fmt: skip
            typer.echo(f"{folder / 'results.csv'} and {folder / 'summary.json'}")
