"""How well a mask agrees with the truth, and how many clicks that took (section IV-C).

Masks are boolean arrays ``(I, J, K)`` on one grid; spacing and distances are in mm. Where both
masks are empty they agree completely; where one of them is, they do not agree at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from monai.metrics.utils import get_mask_edges, get_surface_distance
from scipy import ndimage

from train.click_simulation import Mask, Spacing


@dataclass(frozen=True)
class Overlap:
    """Agreement counted in voxels, each in [0, 1].

    Attributes:
        dice: Dice similarity coefficient (DSC).
        jaccard: Intersection over union.
        precision: Share of the predicted voxels that are lesion.
        recall: Share of the lesion that is predicted.
    """

    dice: float
    jaccard: float
    precision: float
    recall: float


@dataclass(frozen=True)
class SurfaceAgreement:
    """Agreement of two surfaces, each the lesion voxels with a face neighbour outside.

    Attributes:
        hd95_mm: Hausdorff distance at the 95th percentile: the larger of the two directions.
        asd_mm: Average distance to the other surface, over the voxels of both.
        nsd: Normalised surface Dice: share of both surfaces' voxels that lie within the tolerance
            of the other one.
    """

    hd95_mm: float
    asd_mm: float
    nsd: float


def overlap(prediction: Mask, lesion: Mask) -> Overlap:
    """Agreement in voxels; all 1 when both masks are empty, all 0 when one is."""
    predicted, true = np.count_nonzero(prediction), np.count_nonzero(lesion)
    common = np.count_nonzero(prediction & lesion)
    if predicted == true == 0:
        return Overlap(1.0, 1.0, 1.0, 1.0)
    if predicted == 0 or true == 0:
        return Overlap(0.0, 0.0, 0.0, 0.0)
    return Overlap(
        dice=2 * common / (predicted + true),
        jaccard=common / (predicted + true - common),
        precision=common / predicted,
        recall=common / true,
    )


def dice_score(prediction: Mask, lesion: Mask) -> float:
    """Dice similarity coefficient; 1 when both masks are empty."""
    return overlap(prediction, lesion).dice


def surface_agreement(
    prediction: Mask, lesion: Mask, spacing: Spacing, tolerance_mm: float = 2.0
) -> SurfaceAgreement:
    """Distances between the surfaces of two masks, measured between voxel centres (MONAI).

    Args:
        prediction: Mask to judge.
        lesion: Ground truth.
        spacing: Voxel size ``(i, j, k)`` in mm.
        tolerance_mm: Deviation that counts as agreement for the normalised surface Dice.

    Returns:
        Distances 0 and surface Dice 1 when both masks are empty; when one is, distances are the
        diagonal of the image and the surface Dice is 0.
    """
    if not prediction.any() and not lesion.any():
        return SurfaceAgreement(0.0, 0.0, 1.0)
    if not prediction.any() or not lesion.any():
        diagonal = image_diagonal(lesion.shape, spacing)
        return SurfaceAgreement(diagonal, diagonal, 0.0)
    (box,) = ndimage.find_objects((prediction | lesion).astype(np.uint8))
    edges = get_mask_edges(prediction[box], lesion[box], crop=False)
    to_lesion = _distances(edges[0], edges[1], spacing)
    to_prediction = _distances(edges[1], edges[0], spacing)
    both = np.concatenate((to_lesion, to_prediction))
    return SurfaceAgreement(
        hd95_mm=float(max(np.percentile(to_lesion, 95), np.percentile(to_prediction, 95))),
        asd_mm=float(both.mean()),
        nsd=float((both <= tolerance_mm).mean()),
    )


def image_diagonal(shape: Sequence[int], spacing: Spacing) -> float:
    """Length in mm of the diagonal of the field of view."""
    return math.hypot(*(size * step for size, step in zip(shape, spacing, strict=True)))


def number_of_clicks(dice_by_clicks: Sequence[float], target: float) -> int | None:
    """NoC: the fewest clicks after which Dice reaches ``target``.

    Args:
        dice_by_clicks: Dice after 0, 1, 2, ... clicks.
        target: In [0, 1].

    Returns:
        ``None`` when no number of clicks reached it.
    """
    for clicks, dice in enumerate(dice_by_clicks):
        if dice >= target:
            return clicks
    return None


def mean_over_clicks(dice_by_clicks: Sequence[float]) -> float:
    """Mean height of the curve of Dice against clicks: its area over the number of clicks.

    Args:
        dice_by_clicks: Dice after 0, 1, 2, ... clicks; a single value is its own mean.
    """
    inner = sum(dice_by_clicks) - (dice_by_clicks[0] + dice_by_clicks[-1]) / 2
    clicks = len(dice_by_clicks) - 1
    return inner / clicks if clicks else dice_by_clicks[0]


def _distances(from_edges: Mask, to_edges: Mask, spacing: Spacing) -> npt.NDArray[np.float64]:
    """Distance in mm of every voxel of one surface to the nearest voxel of the other."""
    distances = get_surface_distance(from_edges, to_edges, spacing=spacing)
    return np.asarray(distances, dtype=np.float64)
