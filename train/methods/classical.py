"""Methods that need no training: clicks and intensities in a region, and nothing learned.

Each brings only its own way to solve a region of which some voxels' labels are known; what
surrounds that is the same for all. They work in a box around the clicks on a bounded grid
(:mod:`train.methods.region`), whose border counts as background. Before the first foreground click
the mask is empty. The previous mask is not used: the clicks alone decide.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from caiseg.clicks import Click, Label
from caiseg.errors import InvalidInput
from caiseg.volume import Volume
from train.methods.base import LoadedMethod, Segmentation
from train.methods.region import MARGIN_MM, MAX_VOXELS, FloatArray, Region


class ClassicalMethod(ABC):
    """A method without weights, behind the interface of all methods.

    Attributes:
        name: Its key in :data:`train.methods.METHODS`.
        settings: The values that its answers depend on, for the identity of its results.
        seed_radius_mm: How far around a click its label is taken as known.
    """

    name: ClassVar[str]
    settings: ClassVar[str]
    seed_radius_mm: ClassVar[float] = 0.0

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
        seeds = region.seeds(clicks, self.seed_radius_mm)
        if (seeds == int(Label.BACKGROUND)).any():
            foreground = self.solve(region, seeds)
        else:
            foreground = np.ones(region.image.shape, dtype=np.float32)
        return Segmentation(region.to_display(foreground, clicks))

    @abstractmethod
    def solve(self, region: Region, seeds: npt.NDArray[np.int8]) -> FloatArray:
        """Label the unknown voxels of a region.

        Args:
            region: Image and voxel size.
            seeds: Known labels ``(I, J, K)``, some of each: -1 unknown, 0 background, 1 foreground.

        Returns:
            Share of foreground ``(I, J, K)`` in [0, 1]; the mask is where it is above one half.
        """


def load_classical(
    method: type[ClassicalMethod], checkpoint: Path | None, device: str
) -> LoadedMethod:
    """A classical method; it computes on the CPU, whatever the device.

    Raises:
        InvalidInput: A checkpoint was given.
    """
    if checkpoint is not None:
        raise InvalidInput(f"The method {method.name} has no weights; leave --checkpoint out.")
    settings = f"{method.settings}, margin {MARGIN_MM:g} mm, {MAX_VOXELS} voxels"
    return LoadedMethod(method.name, method(), settings, torch.device("cpu"))
