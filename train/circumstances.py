"""What code computed something, and on what machine: for summaries and model cards."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

LIBRARIES = (
    "torch", "numpy", "scipy", "monai", "nibabel", "torchio", "scikit-image", "PyMaxflow",
)  # fmt: skip


def machine(device: torch.device) -> dict[str, Any]:
    """What computing times depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "device": name,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, of this code and of the libraries that results depend on."""
    return {
        "python": platform.python_version(),
        "commit": commit(),
        **{library: version(library) for library in LIBRARIES},
    }


def commit() -> str:
    """The commit of this code, or ``unknown`` outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def _processor() -> str:
    """The processor's name; Python knows it on some systems, Linux tells it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
