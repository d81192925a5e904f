"""``random_walker``: who reaches a seed first (Grady 2006), through scikit-image.

Every voxel gets the label of the click that a random walker, reluctant to cross edges of
intensity, would most probably meet first.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from skimage.segmentation import random_walker

from train.methods.classical import ClassicalMethod
from train.methods.region import FloatArray, Region

BETA = 30000.0
"""How much an edge hinders the walker. scikit-image's default of 130 is for scribbles in pictures:
from single voxels in three dimensions, the border of the box is then met first nearly always."""
TOLERANCE = 1e-3
"""Of the conjugate gradients, relative."""


class RandomWalker(ClassicalMethod):
    """Grady's random walker on the region around the clicks."""

    name: ClassVar[str] = "random_walker"
    settings: ClassVar[str] = f"beta {BETA:g}"

    def solve(self, region: Region, seeds: npt.NDArray[np.int8]) -> FloatArray:
        """Probability to meet a foreground seed first; see :class:`ClassicalMethod`."""
        # How far a probability leaves [0, 1] is all one where the mask is cut at one half.
        probability = random_walker(
            region.image, _walker_labels(seeds), beta=BETA, mode="cg_j", tol=TOLERANCE,
            prob_tol=np.inf, spacing=region.spacing, return_full_prob=True,
        )  # fmt: skip
        foreground: FloatArray = probability[1].astype(np.float32)
        return foreground


def _walker_labels(seeds: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """The labels of scikit-image: 0 unknown, 1 background, 2 foreground."""
    return seeds.astype(np.int32) + 1
