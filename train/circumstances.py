"""What code computed something, and on what machine: for summaries and model cards."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

CODE = Path(__file__).parent
LIBRARIES = (
    "torch", "numpy", "scipy", "monai", "nibabel", "torchio", "scikit-image", "PyMaxflow",
)  # fmt: skip


def machine(device: torch.device) -> dict[str, Any]:
    """What computing times depend on."""
    return {
        "device": device_name(device),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def device_name(device: torch.device) -> str:
    """What a device is called: the model of a GPU, else its kind."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    """Versions of Python, of this code and of the libraries that results depend on."""
    return {
        "python": platform.python_version(),
        "commit": commit(),
        **libraries(),
    }


def libraries() -> dict[str, str]:
    """Versions of the libraries that results depend on."""
    return {library: version(library) for library in LIBRARIES}


@functools.cache
def code_hash() -> str:
    """SHA-256 of this code as it lies on the disk, committed or not."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in ("caiseg", "train"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def commit(folder: Path = CODE) -> str:
    """The commit of this code, ``-dirty`` where it was changed since.

    Args:
        folder: In the checkout.

    Returns:
        ``unknown`` outside a checkout.
    """
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*"]
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
