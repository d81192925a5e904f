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
from rich.progress import track

from caiseg.checkpoint import file_hash
from caiseg.errors import InvalidInput
from train.circumstances import commit, machine
from train.config import ExperimentConfig
from train.dataset import CaseSource, StoredCases
from train.generated import GeneratedCases, validation_cases
from train.manifest import Case, read_manifest, select, split_hash
from train.methods.checkpoints import load_network
from train.prepared import prepare_case
from train.processes import launch
from train.progress import training_progress
from train.run_folder import RunFolder
from train.trainer import Trainer


@dataclass(frozen=True)
class FitOptions:
    """Where a training reads and writes, and what it runs on.

    Attributes:
        config_name: As given on the command line, for the model card.
        out: Run folder.
        manifest: Labelled scans; ``None`` where the config generates its own.
        resume: Whether to go on with the run in ``out``.
        cache: Prepared cases.
        accelerator: See :func:`train.processes.launch`, as for the next two.
        devices: Processes on this machine.
        nodes: Machines.
        workers: Processes that prepare samples.
        save_every: Seconds between two saved states.
        initial: Checkpoint whose weights to start from.
    """

    config_name: str
    out: Path
    cache: Path
    manifest: Path | None = None
    resume: bool = False
    accelerator: str = "auto"
    devices: int | None = None
    nodes: int | None = None
    workers: int = 1
    save_every: float = 120.0
    initial: Path | None = None


@dataclass(frozen=True)
class Data:
    """What a training learns from and is validated on.

    Attributes:
        train: Where training samples come from.
        val: Validation cases; may be empty.
        origin: What a model card says about them.
    """

    train: CaseSource
    val: StoredCases
    origin: dict[str, Any]


def fit(config: ExperimentConfig, options: FitOptions) -> None:
    """Train ``config`` on the ``train`` split of a manifest, or on scans that it generates.

    Raises:
        InvalidInput: The manifest, a case or the state to resume cannot be used, or the folder
            holds another run.
    """
    folder = RunFolder(options.out)
    if not options.resume:
        folder.refuse_a_second_run()
    cases = _listed_cases(config, options)
    fabric = launch(options.accelerator, options.devices, options.nodes)
    # No process may write before all of them have looked.
    fabric.barrier()
    console = Console(file=sys.stdout, quiet=not fabric.is_global_zero)
    data = _read_data(config, cases, options, console)
    if fabric.is_global_zero and not options.resume:
        folder.clear()
    if not data.val:
        console.print(
            "No case is in the split 'val': nothing is validated, and the last weights are kept "
            "for export."
        )
    with training_progress(console, config.name) as report:
        trainer = Trainer(
            config, data.train, data.val, folder, fabric, workers=options.workers,
            save_every=options.save_every, report=report,
        )  # fmt: skip
        started_from = "random weights"
        if options.resume:
            trainer.resume()
        elif options.initial is not None:
            network, info = load_network(options.initial)
            trainer.start_from(network)
            started_from = f"{info.name}, sha256 {file_hash(options.initial)[:16]}"
        if fabric.is_global_zero and not (options.resume and folder.provenance_path.is_file()):
            origin = data.origin | {"started from": started_from}
            folder.write_provenance(provenance(config, options, origin, fabric))
        trainer.run()


def provenance(
    config: ExperimentConfig, options: FitOptions, origin: dict[str, Any], fabric: Fabric
) -> dict[str, Any]:
    """What a model card says about a run; names of files without their folders.

    Args:
        config: The experiment.
        options: The command.
        origin: What it learns from.
        fabric: Launched.
    """
    manifest = "" if options.manifest is None else f" --manifest {options.manifest.name}"
    method = "" if config.method == "caiseg" else f" --method {config.method}"
    device = machine(fabric.device)["device"]
    return {
        "config": config.name,
        **origin,
        "seed": config.seed,
        "command": f"python -m train fit --config {options.config_name}{manifest} --out RUN"
        f"{method}",
        "commit": commit(),
        "hardware": f"{fabric.world_size} process(es) on {device}, {os.cpu_count()} cores",
        "versions": f"torch {torch.__version__}, torchio {torchio.__version__}",
    }


def _listed_cases(config: ExperimentConfig, options: FitOptions) -> list[Case]:
    if options.manifest is not None:
        if config.synthetic is not None:
            raise InvalidInput(
                f"The config {options.config_name} generates its scans; leave --manifest out, or "
                "take its synthetic section out."
            )
        return read_manifest(options.manifest)
    if config.synthetic is None:
        raise InvalidInput(
            f"The config {options.config_name} needs labelled scans; name their --manifest, or "
            "train with --config synthetic, which generates its own."
        )
    return []


def _read_data(
    config: ExperimentConfig, cases: Sequence[Case], options: FitOptions, console: Console
) -> Data:
    synthetic = config.synthetic
    if synthetic is not None:
        made = f"generated, {synthetic.cases} an epoch to train on, {synthetic.val_cases} val"
        generated = GeneratedCases(config, synthetic)
        return Data(generated, validation_cases(config, synthetic), {"cases": made})
    assert options.manifest is not None
    counts = Counter(case.split for case in cases)
    origin = {
        "manifest": options.manifest.name,
        "cases": ", ".join(f"{count} {split}" for split, count in sorted(counts.items())),
        "split hash": split_hash(cases),
    }
    train, val = (
        StoredCases(
            prepare_case(case, config.preprocessing, config.data, options.cache)
            for case in track(chosen, "reading scans", console=console, transient=True)
        )
        for chosen in (select(cases, "train"), [case for case in cases if case.split == "val"])
    )
    return Data(train, val, origin)
