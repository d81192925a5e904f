"""What a scan's intensities say about how it was made."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# Enough voxels for a share that nobody can tell from the exact one.
_SAMPLE = 1_000_000


def modality_of(data: npt.NDArray[Any]) -> Literal["CT", "MR"] | None:
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


def in_hounsfield_units(sample: npt.NDArray[Any]) -> bool:
    """Air lies at -1000; no other modality has much there."""
    return bool(sample.min() >= -4096 and np.mean(sample < -500) > 0.02)
