"""A rough skull strip, to train for scans that come without skull and scalp.

Many data sets of brains are skull-stripped, others are not, and a network that has seen one kind
finds little in the other. Taking skull and scalp away from some training samples shows it both.
Thresholds and distances are enough for that: the outline of a brain in such data sets is no better
than its tool. Nothing here is for measuring brains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu

Mask = npt.NDArray[np.bool_]

SCALP_MM = 10.0
"""Skull and scalp are hardly thinner than this."""
CORE_MM = 6.0
"""Bridges between brain and eyes or muscles are thinner than twice this."""
SULCI_MM = 6.0
"""Gaps within the brain's outline that are closed."""
DARKEST_TISSUE = 0.6
"""Of the median intensity inside the head; skull and air are darker."""


def brain_mask(image: npt.NDArray[np.float32], spacing: Sequence[float]) -> Mask:
    """Outline the brain in a scan of a head.

    Args:
        image: Intensities ``(I, J, K)``, air near 0, with slices along the last axis.
        spacing: Voxel size ``(i, j, k)`` in mm.

    Returns:
        ``(I, J, K)``; empty where nothing like a brain is found.
    """
    if image.min() == image.max():
        return np.zeros(image.shape, dtype=np.bool_)
    head = _filled(image > threshold_otsu(image) / 2)
    inside = _depth(head, spacing) > SCALP_MM
    if not inside.any():
        return inside
    tissue = inside & (image > DARKEST_TISSUE * np.median(image[inside]))
    core = _largest(_depth(tissue, spacing) > CORE_MM)
    if not core.any():
        return core
    # What the core lost to the erosion comes back, and no more than that.
    grown = tissue & (_distance(core, spacing) <= CORE_MM + max(spacing))
    closed = _depth(_distance(grown, spacing) <= SULCI_MM, spacing) > SULCI_MM
    return _filled((closed | grown) & inside)


def _filled(mask: Mask) -> Mask:
    """Without holes in any slice."""
    slices = [ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])]
    filled: Mask = np.stack(slices, axis=2)
    return filled


def _largest(mask: Mask) -> Mask:
    labelled, count = ndimage.label(mask)
    if count == 0:
        return mask
    largest: Mask = labelled == np.bincount(labelled.ravel())[1:].argmax() + 1
    return largest


def _depth(mask: Mask, spacing: Sequence[float]) -> npt.NDArray[np.float64]:
    """Distance of every voxel of a mask from what lies outside, in mm; beyond the scan is inside.

    A scan that ends within the head has no scalp there.
    """
    if mask.all():
        return np.full(mask.shape, np.inf)
    depth: npt.NDArray[np.float64] = ndimage.distance_transform_edt(mask, sampling=spacing)
    return depth


def _distance(mask: Mask, spacing: Sequence[float]) -> npt.NDArray[np.float64]:
    """Distance of every voxel from a mask that is not empty, in mm."""
    distance: npt.NDArray[np.float64] = ndimage.distance_transform_edt(~mask, sampling=spacing)
    return distance
