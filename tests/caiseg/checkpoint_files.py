"""A checkpoint of a small network, and its description."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from caiseg.checkpoint import CheckpointInfo, read_checkpoint_info
from caiseg.network import CAISeg
from caiseg.network_config import THICK_SLICES, NetworkConfig
from caiseg.preprocessing import PreprocessingConfig

Weights = dict[str, Tensor]


def small_network() -> CAISeg:
    torch.manual_seed(0)
    config = NetworkConfig(
        base_channels=2, kernel_size=3, strides=THICK_SLICES, attention_heads=(4, 4, 2, 2),
        affinity_heads=2,
    )  # fmt: skip
    return CAISeg(config)


def info_of(network: CAISeg) -> CheckpointInfo:
    return CheckpointInfo(
        name="small",
        licence="CC0",
        network=network.config,
        preprocessing=PreprocessingConfig(
            modality="MR", spacing=(1.5, 1.5, 4.0), patch_size=(32, 32, 16)
        ),
        provenance={"epochs": 3, "cases": ["a", "b"]},
        figures={"dice": [0.5, 0.75]},
    )


def rewrite(path: Path, change: Callable[[Weights, dict[str, Any]], None]) -> None:
    """Change weights and description of a checkpoint, keeping a valid safetensors file."""
    weights = load_file(path)
    description = json.loads(read_checkpoint_info(path).model_dump_json())
    change(weights, description)
    save_file(weights, path, metadata={"caiseg": json.dumps(description)})
