"""Ground truth with some regions relabelled, so that clicks are learned on errors of all sizes.

After some epochs the first mask of a training scan is nearly right and its errors are thin rims,
from which the network learns that a click acts nearby; in a new scan it misses whole parts, and
the person wonders why a click moves so little. A region that changes sides is an error of a new
scan's size: nothing but the clicks can tell of it, so the network has to learn how far each one
reaches.

Arrays are ``(I, J, K)``; spacing is in mm; every random choice comes from the generator that is
passed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from train.click_simulation import NEIGHBOURS_26, Mask, Spacing, random_voxel
from train.config import RelabellingConfig

Image = npt.NDArray[np.float32]
Box = tuple[slice, slice, slice]

STREAM = 1
"""Sets these choices apart from those of the clicks, which have the same seeds."""

LEAST_LEFT = 0.25
"""Share of the lesion that stays: less of it would be another lesion."""
STRETCH_MM = (8.0, 30.0)
"""Over how far an outline drawn anew keeps moving the same way."""
NEAR_SHARE = 0.75
"""Share of added regions that start near the lesion, where first masks are wrong most often."""


def relabelled_batch(
    batch: dict[str, Tensor],
    rounds: int,
    seeds: Sequence[tuple[int, ...]],
    config: RelabellingConfig,
) -> Tensor:
    """The ground truth that a training step clicks towards and learns.

    A single round is learned from the true lesion: its clicks do not follow errors, so nothing
    would tell of a change, or of another object.

    Args:
        batch: Collated samples of :class:`train.dataset.TrainingSamples`.
        rounds: Rounds of the step.
        seeds: Seed of each sample's choices.
        config: How often, how many and how large.

    Returns:
        ``(N, 1, I, J, K)``, 0 or 1.
    """
    if rounds == 1:
        return batch["lesion"]
    if config.share == 0:
        return batch["target"]
    target = batch["target"].clone()
    for sample, seed in enumerate(seeds):
        rng = np.random.default_rng((*seed, STREAM))
        if rng.random() < config.share:
            i, j, k = batch["spacing"][sample].tolist()
            image, before = (batch[name][sample, 0].cpu().numpy() for name in ("image", "target"))
            changed = relabelled(image, before > 0, (i, j, k), config, rng)
            target[sample, 0] = torch.from_numpy(changed)
    return target


def relabelled(
    image: Image,
    lesion: Mask,
    spacing: Spacing,
    config: RelabellingConfig,
    rng: np.random.Generator,
) -> Mask:
    """The lesion with one or more regions taken away from it or added to it, or outlined anew.

    Half of the regions look alike: what lies near a random voxel and is about as bright. The
    others are a stretch of rim, as if another person had drawn the outline there. A share of
    lesions (``config.outline_share``) gets a whole outline by another person: where a border is
    fuzzy, that is most of what separates a first mask from the truth, and one click should then
    move more of the outline than the stretch it lies on.

    Args:
        image: Normalised intensities.
        lesion: Ground truth.
        spacing: Voxel size.
        config: How many regions, how large.
        rng: Source of every choice.

    Returns:
        The changed ground truth; ``lesion`` itself where it is empty.
    """
    if not lesion.any():
        return lesion
    if rng.random() < config.outline_share:
        return _outlined_anew(image, lesion, spacing, config, rng)
    changed = lesion
    for _ in range(int(rng.integers(config.regions[0], config.regions[1] + 1))):
        radius = float(rng.uniform(*config.radius_mm))
        if rng.random() < 0.5:
            candidate = _region_alike(image, changed, spacing, radius, config, rng)
        else:
            candidate = _stretch_of_rim(changed, spacing, radius, config, rng)
        if candidate.sum() >= LEAST_LEFT * lesion.sum():
            changed = candidate
    return changed


def _region_alike(
    image: Image,
    lesion: Mask,
    spacing: Spacing,
    radius: float,
    config: RelabellingConfig,
    rng: np.random.Generator,
) -> Mask:
    """Relabel what is near a random voxel, as bright as it, and connected with it."""
    adds = bool(rng.random() < 0.5)
    places = _mistakable(image, lesion) if adds else lesion
    if adds and rng.random() < NEAR_SHARE:
        box = _box(random_voxel(lesion, rng), lesion.shape, spacing, radius)
        near = np.zeros_like(lesion)
        near[box] = places[box]
        places = near if near.any() else places
    if not places.any():
        return lesion
    seed = random_voxel(places, rng)
    box = _box(seed, lesion.shape, spacing, radius)
    smooth = ndimage.gaussian_filter(image[box], [2.0 / step for step in spacing])
    centre = tuple(index - part.start for index, part in zip(seed, box, strict=True))
    contrast = (smooth - smooth[centre]) / float(rng.uniform(*config.contrast))
    alike = (_distance(box, seed, spacing) / radius) ** 2 + contrast**2 < 1
    region = _connected(alike & (lesion[box] != adds), centre)
    return _flipped(lesion, box, region)


def _stretch_of_rim(
    lesion: Mask,
    spacing: Spacing,
    radius: float,
    config: RelabellingConfig,
    rng: np.random.Generator,
) -> Mask:
    """Move the outline near a random voxel of it, outwards or inwards."""
    adds = bool(rng.random() < 0.5)
    rim = lesion & ~ndimage.binary_erosion(lesion)
    seed = random_voxel(rim, rng)
    box = _box(seed, lesion.shape, spacing, radius)
    side = ~lesion[box] if adds else lesion[box]
    if side.all():
        return lesion
    depth = ndimage.distance_transform_edt(side, sampling=spacing)
    # The shift dies away towards the end of the stretch, as an outline has no steps.
    fading = 1 - (_distance(box, seed, spacing) / radius) ** 2
    shift = float(rng.uniform(*config.rim_mm))
    moved: Mask = side & (depth <= shift * fading)
    return _flipped(lesion, box, moved)


def _outlined_anew(
    image: Image,
    lesion: Mask,
    spacing: Spacing,
    config: RelabellingConfig,
    rng: np.random.Generator,
) -> Mask:
    """Move the whole outline: everywhere alike, by a smooth random field, and along brightness.

    Someone who outlines generously does so all around, and someone else follows another grey level.
    """
    typical = float(rng.uniform(*config.outline_mm))
    box = _around(lesion, spacing, 3 * typical)
    image, before = image[box], lesion[box]
    everywhere, varying, grey_level = rng.standard_normal(3) / np.sqrt(3)
    stretch = float(rng.uniform(*STRETCH_MM))
    noise = rng.standard_normal(before.shape)
    field = ndimage.gaussian_filter(noise, [stretch / step for step in spacing])
    moves = everywhere + varying * field / field.std()
    moves += abs(grey_level) * _likeness(image, before, spacing)
    inside = ndimage.distance_transform_edt(before, sampling=spacing)
    outside = ndimage.distance_transform_edt(~before, sampling=spacing)
    outlined = inside - outside + typical * moves > 0
    labelled, _ = ndimage.label(outlined, structure=NEIGHBOURS_26)
    # What is as bright farther away is another thing, not a part of a generous outline.
    outlined &= np.isin(labelled, np.unique(labelled[before & outlined]))
    if outlined.sum() < LEAST_LEFT * lesion.sum():
        return lesion
    return _flipped(lesion, box, outlined ^ before)


def _likeness(image: Image, lesion: Mask, spacing: Spacing) -> npt.NDArray[np.float32]:
    """1 where it is as bright as inside the lesion, -1 as just around it, at most twice as much."""
    shell = ndimage.binary_dilation(lesion, iterations=2) & ~lesion
    if not shell.any():
        return np.zeros_like(image)
    inner, outer = float(image[lesion].mean()), float(image[shell].mean())
    smooth = ndimage.gaussian_filter(image, [1.5 / step for step in spacing])
    contrast = max(abs(inner - outer), 0.1) * np.sign(inner - outer)
    likeness: npt.NDArray[np.float32] = np.clip((2 * smooth - inner - outer) / contrast, -2, 2)
    return likeness


def _mistakable(image: Image, lesion: Mask) -> Mask:
    """What lies outside the lesion and is about as bright: nobody mistakes air for one."""
    inside = image[lesion]
    limit = 2 * (float(inside.std()) + 0.25)
    mistakable: Mask = (np.abs(image - inside.mean()) < limit) & ~lesion
    return mistakable


def _flipped(lesion: Mask, box: Box, region: Mask) -> Mask:
    changed: Mask = lesion.copy()
    changed[box] ^= region
    return changed


def _connected(region: Mask, centre: tuple[int, ...]) -> Mask:
    labelled, _ = ndimage.label(region, structure=NEIGHBOURS_26)
    connected: Mask = labelled == labelled[centre]
    return connected


def _distance(box: Box, seed: tuple[int, ...], spacing: Spacing) -> npt.NDArray[np.float64]:
    """Distance in mm of every voxel of a box to the seed."""
    squares = [
        ((np.arange(part.start, part.stop) - index) * step) ** 2
        for part, index, step in zip(box, seed, spacing, strict=True)
    ]
    total: npt.NDArray[np.float64] = np.sqrt(sum(np.ix_(*squares)))
    return total


def _box(seed: tuple[int, ...], shape: tuple[int, ...], spacing: Spacing, radius: float) -> Box:
    i, j, k = (
        slice(max(index - int(radius / step), 0), min(index + int(radius / step) + 1, size))
        for index, size, step in zip(seed, shape, spacing, strict=True)
    )
    return i, j, k


def _around(lesion: Mask, spacing: Spacing, margin: float) -> Box:
    """The box of the lesion, and ``margin`` mm more on all sides."""
    (found,) = ndimage.find_objects(lesion.astype(np.uint8))
    i, j, k = (
        slice(max(part.start - int(margin / step) - 1, 0), part.stop + int(margin / step) + 1)
        for part, step in zip(found, spacing, strict=True)
    )
    return i, j, k
