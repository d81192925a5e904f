"""What a model card says about how a training was run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torchio
from lightning.fabric import Fabric

from caiseg.checkpoint import CheckpointInfo, file_hash
from train.circumstances import commit, machine
from train.config import ExperimentConfig
from train.precision import in_bfloat16

HASH_DIGITS = 16
PASSED_ON = (
    "manifest", "cases", "split hash", "command", "epochs done", "training hours", "commit",
    "started from",
)  # fmt: skip
"""What is worth knowing of the training that another one started from."""


def provenance(
    config: ExperimentConfig, command: Sequence[str], origin: dict[str, Any], fabric: Fabric
) -> dict[str, Any]:
    """What a model card says about a run.

    Args:
        config: The experiment.
        command: From :func:`fit_command`.
        origin: What it learns from, and what it started from.
        fabric: Launched.
    """
    device = machine(fabric.device)["device"]
    return {
        "config": config.name,
        **origin,
        "seed": config.seed,
        "command": shlex.join(command),
        "commit": commit(),
        "hardware": f"{fabric.world_size} process(es) on {device}, {os.cpu_count()} cores",
        "precision": "bfloat16" if in_bfloat16(config.schedule, fabric.device) else "32 bits",
        "versions": f"torch {torch.__version__}, torchio {torchio.__version__}",
    }


def fit_command(
    config: str,
    *,
    manifest: Path | None = None,
    initial: Path | None = None,
    overrides: Sequence[str] = (),
    accelerator: str = "auto",
    devices: int | None = None,
    nodes: int | None = None,
) -> list[str]:
    """The command that repeats a training, as words; files are named without their folders."""
    options: list[tuple[str, object]] = [
        ("--config", config),
        ("--manifest", manifest and manifest.name),
        ("--init", initial and initial.name),
        ("--accelerator", None if accelerator == "auto" else accelerator),
        ("--devices", devices),
        ("--nodes", nodes),
        ("--out", "RUN"),
        *(("--set", override) for override in overrides),
    ]
    given = [(option, str(value)) for option, value in options if value is not None]
    return ["python", "-m", "train", "fit", *(word for pair in given for word in pair)]


def started_from(checkpoint: Path, info: CheckpointInfo) -> dict[str, Any]:
    """Which weights a training started from, and how those were made, in short."""
    made = {key: info.provenance[key] for key in PASSED_ON if key in info.provenance}
    return {
        "checkpoint": info.name,
        "sha256": file_hash(checkpoint)[:HASH_DIGITS],
        **made,
    }
