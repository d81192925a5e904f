"""``random_walker``: who reaches a seed first (Grady 2006), through scikit-image.

Every voxel gets the label of the click that a random walker, reluctant to cross edges of
intensity, would most probably meet first. It works in a box around the clicks on a bounded grid
(:mod:`train.methods.region`), whose border counts as background. Before the first foreground click
the mask is empty. The previous mask is not used: the clicks alone decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from skimage.segmentation import random_walker

from caiseg.clicks import Click, Label
from caiseg.errors import InvalidInput
from caiseg.volume import Volume
from train.methods.base import LoadedMethod, Segmentation
from train.methods.region import MARGIN_MM, MAX_VOXELS, Region

BETA = 30000.0
"""How much an edge hinders the walker. scikit-image's default of 130 is for scribbles in pictures:
from single voxels in three dimensions, the border of the box is then met first nearly always."""
TOLERANCE = 1e-3
"""Of the conjugate gradients, relative."""


class RandomWalker:
    """Grady's random walker on the region around the clicks."""

    def encode(self, volume: Volume) -> Volume:
        """Nothing of a scan can be computed ahead."""
        return volume

    def segment(
        self,
        scan: Volume,
        clicks: Sequence[Click],
        previous_mask: npt.NDArray[np.bool_] | None = None,
    ) -> Segmentation:
        """Answer all clicks so far.

        Raises:
            InvalidInput: A click lies outside the scan.
        """
        if not any(click.label is Label.FOREGROUND for click in clicks):
            return Segmentation(np.zeros(scan.shape, dtype=np.bool_))
        region = Region.around(scan, clicks)
        seeds = region.seeds(clicks)
        # Its labels are 0 for unknown, then 1 and 2.
        labels = seeds.astype(np.int32) + 1
        if not (seeds == int(Label.BACKGROUND)).any():
            foreground = np.ones(region.image.shape, dtype=np.float32)
        else:
            # How far a probability leaves [0, 1] is all one where the mask is cut at one half.
            probability = random_walker(
                region.image, labels, beta=BETA, mode="cg_j", tol=TOLERANCE, prob_tol=np.inf,
                spacing=region.spacing, return_full_prob=True,
            )  # fmt: skip
            foreground = probability[1].astype(np.float32)
        return Segmentation(region.to_display(foreground, clicks))


def load_random_walker(checkpoint: Path | None, device: str) -> LoadedMethod:
    """The method; it has no weights and computes on the CPU.

    Raises:
        InvalidInput: A checkpoint was given.
    """
    if checkpoint is not None:
        raise InvalidInput("The method random_walker has no weights; leave --checkpoint out.")
    settings = f"beta {BETA:g}, margin {MARGIN_MM:g} mm, {MAX_VOXELS} voxels"
    return LoadedMethod("random_walker", RandomWalker(), settings, torch.device("cpu"))
