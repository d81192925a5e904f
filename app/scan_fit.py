"""Whether a scan looks like those that a checkpoint was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from caiseg import Volume
from caiseg.modality import modality_of
from caiseg.preprocessing import PreprocessingConfig

MAX_COARSER, MAX_FINER = 2.0, 4.0
"""How many times larger or smaller than the model grid's a voxel may be before it is told.

Finer scans lose nothing that the network was trained to see; coarser ones lack it.
"""


def reservations(
    volume: Volume, preprocessing: PreprocessingConfig, offered: Mapping[str, str]
) -> list[str]:
    """What speaks against using a checkpoint on a scan, one sentence each.

    Args:
        volume: The scan.
        preprocessing: The checkpoint's own description of its input.
        offered: Names of the checkpoints to choose from, and the modality of each in words.
    """
    found = []
    looks = modality_of(volume.data)
    if looks is not None and preprocessing.modality not in ("any", looks):
        fitting = [name for name, modality in offered.items() if looks in modality.split()]
        found.append(
            f"This scan looks like {looks}, but the model was trained on {preprocessing.modality}: "
            f"its masks will be poor; choose {' or '.join(fitting) or 'another model'}."
        )
    ratios = np.array(volume.spacing) / np.array(preprocessing.spacing)
    if ratios.max() > MAX_COARSER or ratios.min() < 1 / MAX_FINER:
        found.append(
            f"This scan's voxels ({_size(volume.spacing)} mm) are far from those that the model "
            f"was trained on ({_size(preprocessing.spacing)} mm), so its masks may be poor."
        )
    return found


def _size(spacing: tuple[float, float, float]) -> str:
    return " × ".join(f"{step:.3g}" for step in spacing)
