"""Values from one grid of a scan to another, where :mod:`caiseg.grids` says that they lie."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torchio as tio

from caiseg.grids import FloatArray, Grid, Shape, Spacing, check_shape

_FILTER_ENDS = 4.0
"""Standard deviations beyond which SciPy's Gaussians, which TorchIO calls, are 0."""


def resample_to_model(
    data: npt.NDArray[Any],
    display: Grid,
    model: Grid,
    interpolation: Literal["linear", "nearest", "bspline"] = "linear",
) -> torch.Tensor:
    """Resample an array from the display grid to the model grid with TorchIO.

    Axes along which voxels become larger are smoothed first, as Cardoso et al. (MICCAI 2015) and
    ``torchio.Resample(antialias=True)`` do, unless ``interpolation`` is ``"nearest"``.

    Args:
        data: Any real array ``(I, J, K)`` on the display grid.
        display: The grid of ``data``.
        model: A grid made by :func:`caiseg.grids.model_grid` from ``display``.
        interpolation: A TorchIO interpolation name.

    Returns:
        Float32 tensor of ``model.shape``.
    """
    check_shape(data, display.shape)
    if model.shape == display.shape:
        return _floats(data).clone()
    # Both grids share their axes, so rotation and origin cannot matter; leaving them out keeps
    # sheared affines, which SimpleITK refuses, usable, and the result free of rounding.
    if interpolation == "nearest":
        values = _floats(data)
    else:
        values = _smoothed(data, display, _antialiasing_std(display, model))
    image = tio.ScalarImage(tensor=values[None], affine=np.diag([*display.spacing, 1.0]))
    target = (model.shape, _axis_aligned(model, display))
    resample = tio.Resample(target, image_interpolation=interpolation, copy=False)
    resampled: torch.Tensor = resample(image).data[0]
    return resampled


def resample_to_display(tensor: torch.Tensor, display_shape: Shape) -> torch.Tensor:
    """Bring a floating tensor ``(N, C, I, J, K)`` from the model grid to the display grid.

    Trilinear interpolation without aligned corners treats grids as edge-aligned, which is how
    :func:`caiseg.grids.model_grid` lays them out.

    Returns:
        Tensor ``(N, C, *display_shape)`` of the same dtype and device.
    """
    if tuple(tensor.shape[2:]) == tuple(display_shape):
        return tensor
    return torch.nn.functional.interpolate(
        tensor, size=display_shape, mode="trilinear", align_corners=False
    )


def _axis_aligned(model: Grid, display: Grid) -> FloatArray:
    """The model grid's affine in the frame whose origin is display voxel 0, axes aligned."""
    affine = np.diag([*model.spacing, 1.0])
    affine[:3, 3] = (np.array(model.spacing) - np.array(display.spacing)) / 2
    return affine


def _floats(data: npt.NDArray[Any]) -> torch.Tensor:
    """The same values in single precision; it may share their memory."""
    return torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))


def _smoothed(data: npt.NDArray[Any], grid: Grid, std: Spacing) -> torch.Tensor:
    """Values ``(I, J, K)`` smoothed by Gaussians, as many slabs at a time as PyTorch has threads.

    Args:
        data: On ``grid``.
        grid: Its spacing counts.
        std: Standard deviations in mm.
    """
    smooth = tio.Blur(std, copy=False)
    affine = np.diag([*grid.spacing, 1.0])
    reach = math.ceil(_FILTER_ENDS * std[0] / grid.spacing[0]) + 1
    planes, rows, columns = data.shape
    # As SimpleITK keeps images, which would else take longer to get it so than to resample it.
    smoothed = np.empty((columns, rows, planes), dtype=np.float32).T
    thickness = max(-(-planes // torch.get_num_threads()), reach)

    def fill(start: int) -> None:
        first, stop = max(start - reach, 0), min(start + thickness, planes)
        around = _floats(data[first : min(stop + reach, planes)])
        image = smooth(tio.ScalarImage(tensor=around[None], affine=affine))
        smoothed[start:stop] = image.data[0, start - first : stop - first].numpy()

    with ThreadPoolExecutor() as threads:
        list(threads.map(fill, range(0, planes, thickness)))
    return torch.from_numpy(smoothed)


def _antialiasing_std(display: Grid, model: Grid) -> Spacing:
    """Gaussian standard deviations in mm, zero along axes that keep or gain resolution."""
    i, j, k = (
        step * math.sqrt(max((n / m) ** 2 - 1, 0) / (8 * math.log(2)))
        for step, n, m in zip(display.spacing, display.shape, model.shape, strict=True)
    )
    return (i, j, k)
