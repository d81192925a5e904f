"""Smooth random fields."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

_DEGREE = 3
# The square integral of the cubic B-spline: the variance that one axis leaves of
# coefficients of variance 1, averaged over positions.
_VARIANCE_PER_AXIS = 151 / 315


def smooth_noise(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    wavelength: float,
) -> NDArray[np.float32]:
    """Draw a twice continuously differentiable random field.

    The field is a tensor-product cubic B-spline with normal coefficients, one every
    ``wavelength / 2``. Being separable, it costs three small matrix products, where
    filtering white noise of the same smoothness would cost seconds on a whole scan.

    Args:
        rng: Source of the coefficients.
        shape: Voxels ``(i, j, k)``.
        spacing: Voxel size ``(i, j, k)`` in mm.
        wavelength: Length in mm over which the field typically rises and falls once.

    Returns:
        Field of shape ``(I, J, K)`` with mean 0 and variance 1 over many draws.
    """
    bases = [
        _spline_basis(size, 2 * step / wavelength, float(rng.random()))
        for size, step in zip(shape, spacing, strict=True)
    ]
    field: NDArray[Any] = rng.standard_normal([basis.shape[1] for basis in bases], np.float32)
    for basis in bases:
        # Contracting the first axis appends the new one last, so that three rounds
        # bring the axes back into their order.
        field = np.tensordot(field, basis, axes=(0, 1))
    return np.ascontiguousarray(field / _VARIANCE_PER_AXIS ** (len(shape) / 2), np.float32)


def _spline_basis(size: int, step: float, phase: float) -> NDArray[np.float32]:
    """Weights of shape ``(size, coefficients)`` of unit-knot cubic splines at voxel positions."""
    positions = phase + step * np.arange(size)
    intervals = math.floor(positions[-1]) + 1
    knots = np.arange(-_DEGREE, intervals + _DEGREE + 1, dtype=float)
    matrix = BSpline.design_matrix(positions, knots, _DEGREE)
    return np.asarray(matrix.toarray(), np.float32)
