"""Scans as another sequence might show them: intensities through a random curve.

A network that is to outline whatever is clicked meets contrasts that its training scans do not
have. What is bright in one sequence is dark in another, and tissues that one of them parts look
alike in the next; only air stays dark.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

KNOTS = 8
"""Between them the curve is straight."""
BRIGHTEST = 0.999
"""Share of the voxels that the curve spans; what is brighter becomes as bright as its end."""
AIR = 0.1
"""Below this share of the span a curve leaves intensities as they are."""
INVERTED = 0.3
"""Share of the curves that fall where the others rise."""
STRONGEST = 0.8
"""The most that a curve departs from a straight line: 1 would forget it."""


def with_another_contrast(image: Tensor, rng: np.random.Generator) -> Tensor:
    """The scan with other intensities of the same span, air as it was.

    Args:
        image: Intensities ``(I, J, K)``; what is darkest is air.
        rng: Source of every choice.

    Returns:
        Float32 ``(I, J, K)``; the image as it is where it has no contrast.
    """
    values = image.numpy().astype(np.float32)
    low, high = float(values.min()), float(np.quantile(values, BRIGHTEST))
    if high <= low:
        return image
    straight = np.linspace(AIR, 1.0, KNOTS + 1)[1:]
    strength = float(rng.uniform(0, STRONGEST))
    curve = straight + strength * (np.sort(rng.uniform(AIR, 1.0, KNOTS)) - straight)
    if rng.random() < INVERTED:
        curve = curve[::-1]
    places, heights = np.r_[0.0, AIR, straight], np.r_[0.0, AIR, curve]
    changed = np.interp((values - low) / (high - low), places, heights)
    return torch.from_numpy((low + changed * (high - low)).astype(np.float32))
