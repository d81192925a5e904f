"""Values from one grid of a scan to another, where :mod:`caiseg.grids` says that they lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchio as tio

from caiseg.boxes import whole_box
from caiseg.grids import Grid, Shape, Spacing, check_shape
from caiseg.interpolation import interpolate_box

_PLANES = 8
"""Planes of a scan that are resampled at once."""
_FEW_VOXELS = 1 << 20
"""A smaller scan is not worth threads, each of which keeps memory of its own."""


def resample_to_model(data: npt.NDArray[Any], display: Grid, model: Grid) -> torch.Tensor:
    """Resample an array from the display grid to the model grid.

    Axes along which voxels become larger are smoothed first, as Cardoso et al. (MICCAI 2015) and
    ``torchio.Resample(antialias=True)`` do. Smoothing and linear interpolation act on every axis by
    itself, so that they take turns, and each axis leaves fewer voxels to the next.

    Both grids share their axes, so that rotation and origin cannot matter.

    Args:
        data: Any real array ``(I, J, K)`` on the display grid.
        display: The grid of ``data``.
        model: A grid made by :func:`caiseg.grids.model_grid` from ``display``.

    Returns:
        Float32 tensor of ``model.shape``.
    """
    check_shape(data, display.shape)
    if model.shape == display.shape:
        return _floats(data).clone()
    std = _antialiasing_std(display, model)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        run = map if data.size < _FEW_VOXELS else threads.map
        for axis in sorted(range(3), key=lambda n: model.shape[n] / display.shape[n]):
            if data.shape[axis] != model.shape[axis]:
                size, step = model.shape[axis], display.spacing[axis]
                data = _resampled(data, axis, size, std[axis], step, run)
    return torch.from_numpy(data)


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


def _floats(data: npt.NDArray[Any]) -> torch.Tensor:
    """The same values in single precision; it may share their memory."""
    return torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))


def _resampled(
    data: npt.NDArray[Any],
    axis: int,
    size: int,
    std: float,
    step: float,
    run: Callable[[Callable[[int], None], range], Iterable[None]],
) -> npt.NDArray[np.float32]:
    """Smooth along one axis and interpolate, a few planes at a time, which the cache holds.

    Args:
        data: ``(I, J, K)``.
        axis: Which axis.
        size: Voxels that it shall have.
        std: Standard deviation of the Gaussian in mm; 0 to smooth nothing.
        step: Voxel size along the axis in mm.
        run: Does something for each of some numbers, in threads or in none.
    """
    i, j, k = (std if n == axis else 0.0 for n in range(3))
    smooth, affine = tio.Blur((i, j, k), copy=False), np.diag([step, step, step, 1.0])
    across = 1 if axis == 0 else 0
    resampled = np.empty((*data.shape[:axis], size, *data.shape[axis + 1 :]), dtype=np.float32)

    def fill(start: int) -> None:
        part = [slice(None)] * 3
        part[across] = slice(start, start + _PLANES)
        values, wanted = _floats(data[tuple(part)]), resampled[tuple(part)]
        if std > 0:
            values = smooth(tio.ScalarImage(tensor=values[None], affine=affine)).data[0]
        box = whole_box(wanted.shape)
        wanted[:] = interpolate_box(values, box, values.shape, wanted.shape).numpy()

    list(run(fill, range(0, data.shape[across], _PLANES)))
    return resampled


def _antialiasing_std(display: Grid, model: Grid) -> Spacing:
    """Gaussian standard deviations in mm, zero along axes that keep or gain resolution."""
    i, j, k = (
        step * math.sqrt(max((n / m) ** 2 - 1, 0) / (8 * math.log(2)))
        for step, n, m in zip(display.spacing, display.shape, model.shape, strict=True)
    )
    return (i, j, k)
