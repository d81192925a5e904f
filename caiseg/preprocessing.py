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
from caiseg.resampling import resample_to_model

Millimetres = Annotated[float, Field(ge=0.1, le=50, allow_inf_nan=False)]
PatchSize = Annotated[int, Field(ge=16, le=512)]

FOREGROUND_LIMIT = 8.0
"""Normalised MR intensities are clipped to ± this many standard deviations: a bright artefact
(flow, metal) says nothing beyond being bright, and would stretch every feature map."""


class PreprocessingConfig(BaseModel):
    """How a scan becomes the network's input; stored in every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: Literal["MR", "CT"]
    """Decides the intensity rule. MR: z-score over the voxels brighter than the mean. CT: clip
    to the 0.5 and 99.5 percentiles, then z-score."""
    spacing: tuple[Millimetres, Millimetres, Millimetres]
    """Voxel size ``(i, j, k)`` of the model grid, in mm."""
    patch_size: tuple[PatchSize, PatchSize, PatchSize]
    """Largest block ``(i, j, k)``, in model voxels, that is encoded at once."""


def normalise_intensities(data: Tensor, modality: Literal["MR", "CT"]) -> Tensor:
    """Apply the intensity rule of a modality.

    Args:
        data: Intensities ``(I, J, K)``, finite.
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
    data: npt.NDArray[np.generic], display: Grid, model: Grid, modality: Literal["MR", "CT"]
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
    return normalise_intensities(resample_to_model(data, display, model), modality)


def _percentiles(data: Tensor, points: tuple[float, float]) -> tuple[float, float]:
    low, high = np.percentile(data.numpy(), points)
    return float(low), float(high)
