"""From a scan's intensities to the network's input (section IV-A, through TorchIO)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torchio as tio
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from caiseg.grids import Grid
from caiseg.modality import modality_of
from caiseg.resampling import resample_to_model

Millimetres = Annotated[float, Field(ge=0.1, le=50, allow_inf_nan=False)]
PatchSize = Annotated[int, Field(ge=16, le=512)]

Intensities = Literal["MR", "CT", "any"]

SOFT_TISSUE_WINDOW = (-200.0, 300.0)
"""Hounsfield units, from fat to contrast-filled vessels. Beside air and bone, what tells a lesion
from an organ would be a hundredth of the scale."""

FOREGROUND_LIMIT = 8.0
"""Normalised MR intensities are clipped to ± this many standard deviations: a bright artefact
(flow, metal) says nothing beyond being bright, and would stretch every feature map."""


class PreprocessingConfig(BaseModel):
    """How a scan becomes the network's input; stored in every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: Intensities
    """Decides the intensity rule. MR: z-score over the voxels brighter than the mean. CT: clip
    to the 0.5 and 99.5 percentiles, then z-score. any: as MR, Hounsfield units after clipping to
    :data:`SOFT_TISSUE_WINDOW`."""
    spacing: tuple[Millimetres, Millimetres, Millimetres]
    """Voxel size ``(i, j, k)`` of the model grid, in mm."""
    patch_size: tuple[PatchSize, PatchSize, PatchSize]
    """Largest block ``(i, j, k)``, in model voxels, that is encoded at once."""

    @property
    def modality_in_words(self) -> str:
        """Which scans these are, for people to read."""
        return "CT or MR" if self.modality == "any" else self.modality


def windowed(data: Tensor, modality: Intensities) -> Tensor:
    """Clip what a network for any modality should not see, where intensities are Hounsfield units.

    Args:
        data: Intensities as the scanner gave them, ``(I, J, K)``, finite.
        modality: See :class:`PreprocessingConfig`; for ``MR`` and ``CT`` nothing is clipped here.
    """
    if modality == "any" and modality_of(data.numpy()) == "CT":
        return data.clamp(*SOFT_TISSUE_WINDOW)
    return data


def normalise_intensities(data: Tensor, modality: Intensities) -> Tensor:
    """Apply the intensity rule of a modality.

    Args:
        data: Intensities ``(I, J, K)``, finite, after :func:`windowed`.
        modality: See :class:`PreprocessingConfig`.

    Returns:
        Float32 tensor of the same shape; all zeros for a scan without contrast.
    """
    if float(data.max()) == float(data.min()):
        return torch.zeros_like(data, dtype=torch.float32)
    image = tio.ScalarImage(tensor=data[None].float())
    if modality == "CT":
        clipped = tio.Clamp(*_percentiles(data, (0.5, 99.5)))(image)
        if float(clipped.data.max()) == float(clipped.data.min()):
            clipped = image
        return tio.ZNormalization()(clipped).data[0]
    foreground = data > data.float().mean()
    if float(data[foreground].float().std(correction=0)) == 0:
        return tio.ZNormalization()(image).data[0]
    normalised = tio.ZNormalization(masking_method=tio.ZNormalization.mean)(image)
    return tio.Clamp(-FOREGROUND_LIMIT, FOREGROUND_LIMIT)(normalised).data[0]


def preprocess(
    data: npt.NDArray[np.generic], display: Grid, model: Grid, modality: Intensities
) -> Tensor:
    """Resample a scan to the model grid and normalise its intensities.

    Args:
        data: Intensities on the display grid, ``(I, J, K)``, finite.
        display: The grid of ``data``.
        model: The grid to resample to, from :func:`caiseg.grids.model_grid`.
        modality: See :class:`PreprocessingConfig`.

    Returns:
        Float32 tensor of ``model.shape``.
    """
    image = windowed(resample_to_model(data, display, model), modality)
    return normalise_intensities(image, modality)


def _percentiles(data: Tensor, points: tuple[float, float]) -> tuple[float, float]:
    low, high = np.percentile(data.numpy(), points)
    return float(low), float(high)
