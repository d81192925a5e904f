"""``python -m train fit``: from a manifest to a run folder."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchio
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

from caiseg.checkpoint import file_hash
from train.circumstances import commit
from train.config import ExperimentConfig
from train.dataset import StoredCases
from train.manifest import Case, read_manifest, select, split_hash
from train.methods.checkpoints import load_network
from train.prepared import prepare_case
from train.run_folder import RunFolder
from train.trainer import Trainer


@dataclass(frozen=True)
class FitOptions:
    """Where a training reads and writes, and what it runs on."""

    config_name: str
    manifest: Path
    out: Path
    resume: bool
    cache: Path
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 1
    save_every: float = 120.0
    initial: Path | None = None


def fit(config: ExperimentConfig, options: FitOptions) -> None:
    """Train ``config`` on the ``train`` split, validating on ``val``.

    Raises:
        InvalidInput: The manifest, a case or the state to resume cannot be used.
    """
    cases = read_manifest(options.manifest)
    parallel = options.devices * options.nodes > 1
    fabric = Fabric(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        strategy="ddp_find_unused_parameters_true" if parallel else "auto",
    )
    fabric.launch()
    console = Console(file=sys.stdout, quiet=not fabric.is_global_zero)
    train_cases = _prepare(select(cases, "train"), config, options, console)
    val_cases = [case for case in cases if case.split == "val"]
    folder = RunFolder(options.out)
    with _progress(console) as progress:
        task = progress.add_task(config.name, total=None, loss="")
        trainer = Trainer(
            config,
            train_cases,
            _prepare(val_cases, config, options, console),
            folder,
            fabric,
            workers=options.workers,
            save_every=options.save_every,
            report=lambda record: _show(progress, task, record),
        )
        started_from = None
        if options.resume:
            trainer.resume()
        elif options.initial is not None:
            network, info = load_network(options.initial)
            trainer.start_from(network)
            started_from = f"{info.name}, sha256 {file_hash(options.initial)[:16]}"
        if fabric.is_global_zero and not (options.resume and folder.provenance_path.is_file()):
            folder.write_provenance(provenance(config, options, cases, started_from))
        trainer.run()


def provenance(
    config: ExperimentConfig,
    options: FitOptions,
    cases: Sequence[Case],
    started_from: str | None = None,
) -> dict[str, Any]:
    """What a model card says about a run; names of files without their folders."""
    counts = Counter(case.split for case in cases)
    processes = options.devices * options.nodes
    method = "" if config.method == "caiseg" else f" --method {config.method}"
    return {
        "config": config.name,
        "manifest": options.manifest.name,
        "cases": ", ".join(f"{count} {split}" for split, count in sorted(counts.items())),
        "split hash": split_hash(cases),
        "started from": started_from or "random weights",
        "seed": config.seed,
        "command": f"python -m train fit --config {options.config_name} "
        f"--manifest {options.manifest.name} --out RUN{method}",
        "commit": commit(),
        "hardware": f"{processes} process(es) on {options.accelerator}, {os.cpu_count()} cores",
        "versions": f"torch {torch.__version__}, torchio {torchio.__version__}",
    }


def _prepare(
    cases: Sequence[Case], config: ExperimentConfig, options: FitOptions, console: Console
) -> StoredCases:
    return StoredCases(
        prepare_case(case, config.preprocessing, config.data, options.cache)
        for case in track(cases, "reading scans", console=console, transient=True)
    )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )


def _show(progress: Progress, task: Any, record: dict[str, Any]) -> None:
    if "done" in record:
        progress.update(
            task,
            completed=record["done"],
            total=record["total"],
            loss=f"loss {record['step_loss']:.3f}  rate {record['learning_rate']:.1e}",
        )
        return
    line = f"epoch {record['epoch']:>3}  {record['seconds'] / 60:6.1f} min"
    if "loss" in record:
        line += f"  loss {record['loss']:.4f}"
    if "dice" in record:
        curve = " ".join(f"{value:.3f}" for value in record["dice"])
        line += f"  Dice by clicks {curve}  obeyed {record['obeyed']:.1%}"
        line += f"  harmful {record['harmful']:.1%}"
    progress.console.print(line)
