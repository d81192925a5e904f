"""``python -m train fit``: from a manifest to a run folder."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import track

from caiseg.errors import InvalidInput
from train.config import ExperimentConfig
from train.dataset import CaseSource, StoredCases
from train.generated import GeneratedCases, validation_cases
from train.loading import check_shares
from train.manifest import Case, read_manifest, select, split_hash
from train.methods.checkpoints import load_network
from train.precision import WITHOUT_BFLOAT16, in_bfloat16
from train.prepared import prepare_case
from train.processes import launch, losing_others_said
from train.progress import training_progress
from train.provenance import fit_command, provenance, started_from
from train.run_folder import SPLIT_HASH, RunFolder
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
        threads: CPU threads of each process; as they are where left out.
        initial: Checkpoint whose weights to start from.
        overrides: Keys of the config that the command line replaced, for the model card.
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
    threads: int | None = None
    initial: Path | None = None
    overrides: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """What repeats this training."""
        return fit_command(
            self.config_name, manifest=self.manifest, initial=self.initial,
            overrides=self.overrides, accelerator=self.accelerator, devices=self.devices,
            nodes=self.nodes,
        )  # fmt: skip


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
        InvalidInput: The manifest, a case or the state to resume cannot be used, the folder holds
            another run, or another process was lost.
    """
    folder = RunFolder(options.out)
    cases = _listed_cases(config, options)
    if options.resume:
        folder.refuse_another_split(split_hash(cases) if cases else None)
    else:
        folder.refuse_a_second_run()
    fabric = launch(options.accelerator, options.devices, options.nodes)
    if options.threads is not None:
        # Fabric sets a number of its own as it starts processes.
        torch.set_num_threads(options.threads)
    with losing_others_said(fabric.world_size):
        _train(config, cases, options, fabric)


def _train(
    config: ExperimentConfig, cases: Sequence[Case], options: FitOptions, fabric: Fabric
) -> None:
    """What every process of a training does."""
    folder = RunFolder(options.out)
    # No process may write before all of them have looked.
    fabric.barrier()
    check_shares(config.schedule, fabric.world_size)
    console = Console(file=sys.stdout, quiet=not fabric.is_global_zero)
    data = _read_data(config, cases, options, console)
    if fabric.is_global_zero:
        if options.resume:
            folder.sweep()
        else:
            folder.clear()
    if not data.val:
        console.print(
            "No case is in the split 'val': nothing is validated, and the last weights are kept "
            "for export."
        )
    if config.schedule.precision == "bf16" and not in_bfloat16(config.schedule, fabric.device):
        console.print(WITHOUT_BFLOAT16)
    with training_progress(console, config.name) as report:
        trainer = Trainer(
            config, data.train, data.val, folder, fabric, workers=options.workers,
            save_every=options.save_every, report=report,
        )  # fmt: skip
        start: str | dict[str, Any] = "random weights"
        if options.resume:
            trainer.resume()
        elif options.initial is not None:
            network, info = load_network(options.initial)
            trainer.start_from(network)
            start = started_from(options.initial, info)
        if fabric.is_global_zero and not (options.resume and folder.provenance_path.is_file()):
            origin = data.origin | {"started from": start}
            folder.write_provenance(provenance(config, options.command, origin, fabric))
        trainer.run()


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
        SPLIT_HASH: split_hash(cases),
    }
    train, val = (
        StoredCases(
            prepare_case(case, config.preprocessing, config.data, options.cache)
            for case in track(chosen, "reading scans", console=console, transient=True)
        )
        for chosen in (select(cases, "train"), [case for case in cases if case.split == "val"])
    )
    return Data(train, val, origin)
