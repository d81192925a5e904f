"""Whether a scan looks like those that a checkpoint was trained on."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caiseg import Volume
from caiseg.preprocessing import PreprocessingConfig

MAX_COARSER, MAX_FINER = 2.0, 4.0
"""How many times larger or smaller than the model grid's a voxel may be before it is told.

Finer scans lose nothing that the network was trained to see; coarser ones lack it.
"""

# Enough voxels for a share that nobody can tell from the exact one.
_SAMPLE = 1_000_000


def reservations(volume: Volume, preprocessing: PreprocessingConfig) -> list[str]:
    """What speaks against using a checkpoint on a scan, one sentence each.

    Args:
        volume: The scan.
        preprocessing: The checkpoint's own description of its input.
    """
    found = []
    looks = modality_of(volume.data)
    if looks is not None and looks != preprocessing.modality:
        found.append(
            f"This scan looks like {looks}, but the model was trained on {preprocessing.modality}: "
            "its masks will be poor; choose another model."
        )
    ratios = np.array(volume.spacing) / np.array(preprocessing.spacing)
    if ratios.max() > MAX_COARSER or ratios.min() < 1 / MAX_FINER:
        found.append(
            f"This scan's voxels ({_size(volume.spacing)} mm) are far from those that the model "
            f"was trained on ({_size(preprocessing.spacing)} mm), so its masks may be poor."
        )
    return found


def modality_of(data: NDArray[Any]) -> Literal["CT", "MR"] | None:
    """The modality that intensities speak for, none where they do not speak clearly.

    CT is in Hounsfield units: air at -1000, or, where that was cut off, much that is clearly
    negative beside fat and water around 0. MR has no negative intensities, and a scale that
    differs from scan to scan.

    Args:
        data: Finite intensities of any shape.
    """
    sample = data.ravel()[:: max(1, data.size // _SAMPLE)]
    clearly_negative, around_water = np.mean(sample < -100), np.mean(np.abs(sample) < 150)
    if in_hounsfield_units(sample) or (clearly_negative > 0.02 and around_water > 0.05):
        return "CT"
    return "MR" if sample.min() >= 0 else None


def in_hounsfield_units(sample: NDArray[Any]) -> bool:
    """Air lies at -1000; no other modality has much there."""
    return bool(sample.min() >= -4096 and np.mean(sample < -500) > 0.02)


def _size(spacing: tuple[float, float, float]) -> str:
    return " × ".join(f"{step:.3g}" for step in spacing)
