"""Simulated clicks: the training strategy (section III-F) and the evaluation's next click.

Masks are boolean arrays ``(I, J, K)``; spacing is in mm; every random choice comes from the
generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from caiseg.clicks import Click, Label
from train.config import ClickConfig

Mask = npt.NDArray[np.bool_]
Spacing = tuple[float, float, float]

NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)


def first_round(
    lesion: Mask, spacing: Spacing, config: ClickConfig, rng: np.random.Generator
) -> list[Click]:
    """Foreground clicks away from the lesion's edge, background clicks in a band around it.

    Without a lesion there is no foreground click, and background clicks lie anywhere.
    """
    inside = _eroded(lesion, spacing, config.erosion_mm)
    around = _band(lesion, spacing, config.band_mm)
    foreground = int(rng.integers(config.foreground[0], config.foreground[1] + 1))
    background = int(rng.integers(config.background[0], config.background[1] + 1))
    return [
        *_sample(inside, foreground, Label.FOREGROUND, rng),
        *_sample(around, background, Label.BACKGROUND, rng),
    ]


def later_round(
    prediction: Mask,
    lesion: Mask,
    spacing: Spacing,
    config: ClickConfig,
    rng: np.random.Generator,
    *,
    largest_only: bool = False,
) -> list[Click]:
    """One click in every error component larger than a share of the lesion.

    Args:
        prediction: Mask of the previous round.
        lesion: Ground truth.
        spacing: Voxel size in mm.
        config: Threshold and the share of clicks at component centres.
        rng: Source of every choice.
        largest_only: Click the largest component alone, whatever its size.
    """
    threshold = config.component_share * int(lesion.sum())
    clicks = []
    for component, box in error_components(prediction, lesion):
        if not largest_only and component.sum() <= threshold:
            break
        if rng.random() < config.centre_share:
            place = innermost_voxel(component, spacing)
        else:
            place = random_voxel(component, rng)
        clicks.append(_labelled(place, box, lesion))
        if largest_only:
            break
    return clicks


def next_click(prediction: Mask, lesion: Mask, spacing: Spacing) -> Click | None:
    """The evaluation's click: the innermost voxel of the largest error component.

    Deterministic: of equally large components a missed one counts before a wrongly outlined one,
    then the first in memory order; of equally deep voxels likewise the first.

    Returns:
        The click, or ``None`` when the prediction has no error.
    """
    for component, box in error_components(prediction, lesion):
        return _labelled(innermost_voxel(component, spacing), box, lesion)
    return None


def next_random_click(prediction: Mask, lesion: Mask, rng: np.random.Generator) -> Click | None:
    """The paper's validation click: a random voxel of the largest error component."""
    for component, box in error_components(prediction, lesion):
        return _labelled(random_voxel(component, rng), box, lesion)
    return None


def error_components(
    prediction: Mask, lesion: Mask
) -> Iterator[tuple[Mask, tuple[slice, slice, slice]]]:
    """26-connected components of missed and of wrongly outlined voxels, largest first.

    Yields:
        The component, cut to its bounding box, and that box.
    """
    found: list[tuple[int, int, int, npt.NDArray[np.int32], tuple[slice, slice, slice]]] = []
    for kind, error in enumerate((lesion & ~prediction, prediction & ~lesion)):
        labelled, count = ndimage.label(error, structure=NEIGHBOURS_26)
        sizes = np.bincount(labelled.ravel(), minlength=count + 1)
        boxes = ndimage.find_objects(labelled)
        for index in range(1, count + 1):
            found.append((-int(sizes[index]), kind, index, labelled, boxes[index - 1]))
    for _, _, index, labelled, box in sorted(found, key=lambda item: item[:3]):
        yield labelled[box] == index, box


def innermost_voxel(component: Mask, spacing: Spacing) -> tuple[int, int, int]:
    """Index of the voxel that lies farthest, in mm, from everything outside the component."""
    depth = ndimage.distance_transform_edt(np.pad(component, 1), sampling=spacing)
    i, j, k = np.unravel_index(int(depth[1:-1, 1:-1, 1:-1].argmax()), component.shape)
    return int(i), int(j), int(k)


def random_voxel(mask: Mask, rng: np.random.Generator) -> tuple[int, int, int]:
    """Index of any voxel of a mask that has some."""
    places = np.flatnonzero(mask)
    i, j, k = np.unravel_index(int(places[rng.integers(len(places))]), mask.shape)
    return int(i), int(j), int(k)


def _labelled(place: tuple[int, int, int], box: tuple[slice, slice, slice], lesion: Mask) -> Click:
    i, j, k = (int(part.start) + index for part, index in zip(box, place, strict=True))
    return Click((i, j, k), Label(int(lesion[i, j, k])))


def _sample(region: Mask, count: int, label: Label, rng: np.random.Generator) -> list[Click]:
    places = np.flatnonzero(region)
    chosen = rng.choice(places, size=min(count, len(places)), replace=False)
    voxels = np.stack(np.unravel_index(chosen, region.shape), axis=-1)
    return [Click((int(i), int(j), int(k)), label) for i, j, k in voxels]


def _eroded(lesion: Mask, spacing: Spacing, depth_mm: float) -> Mask:
    """The part of the lesion deeper than ``depth_mm``; for small lesions, their deepest half."""
    box = _bounding_box(lesion, margin=(0, 0, 0))
    if box is None:
        return lesion
    depth = ndimage.distance_transform_edt(np.pad(lesion[box], 1), sampling=spacing)
    depth = depth[1:-1, 1:-1, 1:-1]
    eroded = np.zeros_like(lesion)
    eroded[box] = depth > min(depth_mm, 0.5 * float(depth.max()))
    return eroded


def _band(lesion: Mask, spacing: Spacing, width_mm: float) -> Mask:
    """Background voxels nearer than ``width_mm`` to the lesion; all of them without one."""
    margin = tuple(int(np.ceil(width_mm / step)) for step in spacing)
    box = _bounding_box(lesion, margin)
    if box is None:
        return ~lesion
    band = np.zeros_like(lesion)
    distance = ndimage.distance_transform_edt(~lesion[box], sampling=spacing)
    band[box] = (distance > 0) & (distance <= width_mm)
    return band


def _bounding_box(mask: Mask, margin: tuple[int, ...]) -> tuple[slice, ...] | None:
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes:
        return None
    return tuple(
        slice(max(part.start - extra, 0), part.stop + extra)
        for part, extra in zip(boxes[0], margin, strict=True)
    )
