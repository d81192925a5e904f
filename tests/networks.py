"""Small untrained networks and scans that tests of several packages use."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from caiseg import CheckpointInfo, save_checkpoint
from caiseg.guided_filter import GuidedFilterConfig
from caiseg.network import CAISeg
from caiseg.network_config import compact
from caiseg.preprocessing import Intensities, PreprocessingConfig

SMALL = {"base_channels": 2, "attention_heads": (4, 4, 2, 2), "affinity_heads": 2, "alpha": (8.0,)}


def write_small_checkpoint(
    path: Path,
    *,
    spacing: tuple[float, float, float] = (2.0, 2.0, 4.0),
    patch_size: tuple[int, int, int] = (64, 64, 32),
    seed: int = 0,
    guided_filter: GuidedFilterConfig | None = None,
    modality: Intensities = "MR",
    clicked_pieces: bool = False,
    local_changes: bool = False,
) -> Path:
    """Save an untrained network of a few thousand weights."""
    torch.manual_seed(seed)
    network = CAISeg(compact(thick_slices=True, **SMALL))
    info = CheckpointInfo(
        name=path.stem,
        network=network.config,
        preprocessing=PreprocessingConfig(
            modality=modality, spacing=spacing, patch_size=patch_size
        ),
        guided_filter=guided_filter,
        clicked_pieces=clicked_pieces,
        local_changes=local_changes,
    )
    save_checkpoint(path, network, info)
    return path


def write_scan(
    path: Path, shape: tuple[int, int, int] = (40, 48, 12), spacing: float = 1.5, seed: int = 0
) -> Path:
    """Save a scan of smooth noise with thick slices, stored left to right as LPS."""
    rng = np.random.default_rng(seed)
    data = np.cumsum(rng.normal(size=shape), axis=0) * 20 + 300
    affine = np.diag([-spacing, -spacing, 3 * spacing, 1.0])
    affine[:3, 3] = (30, 40, -20)
    nib.save(nib.Nifti1Image(data.astype(np.int16), affine), path)
    return path
