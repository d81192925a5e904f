"""Whole trainings of the small experiment, in this process or in others, and what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from train.fit import FitOptions
from train.run_folder import RunFolder

SAME_HOWEVER_SPLIT: dict[str, Any] = {
    # Each process drops paths of its own, and a rounding error may turn a voxel of a simulated
    # round's mask and with it a later click.
    "network": {"drop_path": 0.0},
    "clicks": {"rounds": [1, 1]},
    # Adam makes a rounding error in a gradient near 0 as large a step as any.
    "schedule": {"pretrain_epochs": 1, "epochs": 2, "learning_rate": 1e-5},
}
"""A training that is the same however its batches are divided."""


def fit_options(data: Path, out: Path, *, resume: bool = False) -> FitOptions:
    """To train in this process on the cases that lie in ``data``."""
    return FitOptions(
        config_name="small", manifest=data / "cases.csv", out=out, resume=resume,
        cache=data / "cache", accelerator="cpu", workers=0,
    )  # fmt: skip


def fit_words(data: Path, out: Path, *more: str) -> list[str]:
    """The same on the command line, with the experiment that lies there too."""
    return [
        "fit", "--config", str(data / "small.yaml"), "--manifest", str(data / "cases.csv"),
        "--out", str(out), "--cache", str(data / "cache"), "--accelerator", "cpu",
        "--workers", "0", "--threads", "1", *more,
    ]  # fmt: skip


def run_python(repository: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with one thread."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=repository,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def read(path: Path) -> dict[str, Any]:
    """A saved state, or the best weights."""
    return RunFolder(path.parent).read(path)


def metrics(run: Path) -> list[dict[str, Any]]:
    """What was recorded at the end of each epoch."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if "epoch" in record]
