"""A random head as a map of tissues."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caiseg.synthetic.config import SyntheticScanConfig
from caiseg.synthetic.noise import smooth_noise

# Lengths below are shares of the head's smallest half axis, so that a head keeps
# its proportions whatever the field of view.
_SCALP = 0.07
_SKULL = 0.05
_FLUID = 0.03
_FOLD_DEPTH = 0.42
_DEFORMATION = 0.02
_FOLD_WAVELENGTH = 0.34
_TISSUE_WAVELENGTH = 0.5


class Tissue(enum.IntEnum):
    """Labels of a head; the brain's tissues are ``BRAIN``, ``BRAIN + 1`` and so on."""

    AIR = 0
    SCALP = 1
    SKULL = 2
    FLUID = 3
    CORTEX = 4
    BRAIN = 5


@dataclass(frozen=True)
class Anatomy:
    """A head on the thin-slice RAS+ grid.

    Attributes:
        labels: :class:`Tissue` of each voxel, uint8 of shape ``(I, J, K)``.
        room: Where lesions may grow, bool of shape ``(I, J, K)``: the brain with its
            folds, which a lesion fills, but without the ventricles, which it displaces.
    """

    labels: NDArray[np.uint8]
    room: NDArray[np.bool_]


def grow_head(config: SyntheticScanConfig, rng: np.random.Generator) -> Anatomy:
    """Draw a head: scalp, skull, fluid, a folded cortex, tissues and ventricles.

    The shells follow the distance to a deformed ellipsoid, the folds of the cortex are
    the zero sheets of a smooth random field, and the tissues are its level sets.
    """
    x, y, z = _head_coordinates(config, rng)
    half_axes = np.multiply(config.head_size, np.multiply(config.shape, config.spacing))
    scale = float(half_axes.min())

    def draw_field(wavelength: float) -> NDArray[np.float32]:
        return smooth_noise(rng, config.shape, config.spacing, wavelength * scale)

    # First-order distance to the ellipsoid, exact at its surface, where shells are thin.
    radius = np.sqrt(x**2 + y**2 + z**2)
    weights = (scale / half_axes) ** 2
    slope = np.sqrt(weights[0] * x**2 + weights[1] * y**2 + weights[2] * z**2)
    depth = (1 - radius) * radius / np.maximum(slope, 1e-6)
    depth += _DEFORMATION * draw_field(1.0)

    skull_depth = _SCALP * (1 + 0.25 * draw_field(0.7))
    brain_depth = depth - _SCALP - _SKULL - _FLUID
    labels = np.full(config.shape, Tissue.AIR, np.uint8)
    labels[depth > 0] = Tissue.SCALP
    labels[depth > skull_depth] = Tissue.SKULL
    labels[brain_depth > -_FLUID] = Tissue.FLUID

    brain = brain_depth > 0
    tissue_field = draw_field(_TISSUE_WAVELENGTH)
    levels = np.quantile(tissue_field[brain], np.linspace(0, 1, config.tissue_count + 1)[1:-1])
    labels[brain] = Tissue.BRAIN + np.digitize(tissue_field[brain], levels)

    # A fold narrows on its way down and ends at _FOLD_DEPTH.
    shallowness = np.clip(1 - brain_depth / _FOLD_DEPTH, 0, 1)
    fold = np.abs(draw_field(_FOLD_WAVELENGTH))
    labels[brain & ((fold < 0.6 * shallowness) | (brain_depth < 0.05))] = Tissue.CORTEX
    fissure = (np.abs(x + 0.02 * tissue_field) < 0.012) & (radius > 0.5)
    labels[brain & ((fold < 0.18 * shallowness) | fissure)] = Tissue.FLUID

    ventricles = brain & _inside_ventricles(x, y, z, 0.35 * draw_field(0.4))
    labels[ventricles] = Tissue.FLUID
    return Anatomy(labels, room=(brain_depth > 0.02) & ~ventricles)


def _head_coordinates(
    config: SyntheticScanConfig, rng: np.random.Generator
) -> tuple[NDArray[np.float32], ...]:
    """Positions in units of the half axes, one array per axis, shaped to broadcast."""
    centre = np.asarray(config.head_centre) + rng.uniform(-0.02, 0.02, 3)
    size = np.asarray(config.head_size) * rng.uniform(0.95, 1.0, 3)
    axes = [
        (((np.arange(count) + 0.5) / count - middle) / half).astype(np.float32)
        for count, middle, half in zip(config.shape, centre, size, strict=True)
    ]
    return np.ix_(*axes)


def _inside_ventricles(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    z: NDArray[np.float32],
    irregularity: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Two bodies beside the midline whose horns turn outwards and down."""
    across = (np.abs(x) - 0.09 - 0.5 * y**2) / 0.075
    along = y / 0.42
    upward = (z - 0.12 + 0.6 * y**2) / 0.16
    return np.asarray(across**2 + along**2 + upward**2 < 1 + irregularity)
