"""Other things to outline than the lesion, so that a click is learned to mean whatever it lies in.

A network that has only seen one kind of lesion outlined answers a click on anything else with
little or nothing. An annotator clicks on many things. Parts of a scan that look alike, and blobs
of other intensities set into it, are as unlike each other as organs and lesions are, and what is
to be outlined follows from the clicks alone.

Arrays are ``(I, J, K)``; spacing is in mm; every random choice comes from the generator that is
passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from caiseg.synthetic.lesions import draw_blob, grow_at
from caiseg.synthetic.noise import smooth_noise
from train.click_simulation import Mask, Spacing, random_voxel
from train.config import OtherObjectsConfig

Image = npt.NDArray[np.float32]

ATTEMPTS = 5
"""Places tried before the lesion stays what is outlined."""
LEAST_ML = 0.1
LEAST_VOXELS = 12
LEAST_KEPT = 0.5
"""Of a blob, within the body; less of it looks cut off."""
ALIKE = (0.25, 0.8)
"""How far a part that looks alike may differ from the voxel it starts at, in normalised
intensities."""
NOISE_MM = 2.0
"""What varies over less is noise, and goes on inside an object that is set in."""
SHARP_MM = 0.5
"""A border that fades over less is as sharp as the voxels show it."""
TWINS = 2
"""Most blobs of the same kind that are set in beside the one to outline: a click means its own."""


def with_another_object(
    image: Tensor,
    lesion: Tensor,
    spacing: Sequence[float],
    config: OtherObjectsConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """A crop in which something else is to be outlined.

    Args:
        image: Normalised intensities ``(I, J, K)``.
        lesion: Ground truth ``(I, J, K)`` bool.
        spacing: Voxel size.
        config: Kinds and sizes.
        rng: Source of every choice.

    Returns:
        Image, what is left of the lesion in it, and the object to outline; image and lesion as
        given, and the lesion as the object, where no place was found.
    """
    before = image.numpy()
    i, j, k = spacing
    step: Spacing = (i, j, k)
    body = before > before.mean()
    if not body.any():
        return image, lesion, lesion
    implanted = rng.random() < config.implanted_share
    for _ in range(ATTEMPTS):
        radius = float(np.exp(rng.uniform(*np.log(config.radius_mm))))
        if implanted:
            changed, found, covered = _implanted(before, body, step, radius, config, rng)
        else:
            found = _part_alike(before, body, step, radius, rng)
            changed, covered = before, np.zeros_like(found)
        if found.sum() >= max(LEAST_VOXELS, LEAST_ML * 1000 / np.prod(step)):
            left = lesion & ~torch.from_numpy(covered)
            return torch.from_numpy(changed), left, torch.from_numpy(found)
    return image, lesion, lesion


def _part_alike(
    image: Image, body: Mask, spacing: Spacing, radius: float, rng: np.random.Generator
) -> Mask:
    """What is connected with a random voxel, about as bright and not too far away."""
    seed = random_voxel(body, rng)
    squares = [
        ((np.arange(size) - index) * step / radius) ** 2
        for size, index, step in zip(image.shape, seed, spacing, strict=True)
    ]
    distance = sum(np.ix_(*squares))
    smooth = ndimage.gaussian_filter(image, [1.5 / step for step in spacing])
    contrast = (smooth - smooth[seed]) / float(rng.uniform(*ALIKE))
    labelled, _ = ndimage.label(distance + contrast**2 < 1)
    part: Mask = ndimage.binary_fill_holes(labelled == labelled[seed])
    return part


@dataclass(frozen=True)
class _Look:
    """What blobs of one kind look like, in normalised intensities and mm."""

    shift: float
    border: float
    texture: float
    wavelength: float
    core: float

    @classmethod
    def draw(cls, config: OtherObjectsConfig, rng: np.random.Generator) -> _Look:
        return cls(
            shift=float(rng.uniform(*config.contrast)) * (1 if rng.random() < 0.5 else -1),
            border=float(rng.uniform(0, 2.5)),
            texture=float(rng.uniform(0, 0.4)),
            wavelength=float(rng.uniform(4, 20)),
            core=float(rng.uniform(-1, 1)) if rng.random() < 0.3 else 1.0,
        )


def _implanted(
    image: Image,
    body: Mask,
    spacing: Spacing,
    radius: float,
    config: OtherObjectsConfig,
    rng: np.random.Generator,
) -> tuple[Image, Mask, Mask]:
    """Set one or more blobs of one kind into the body; the first is the one to outline.

    Returns:
        Image, the first blob, and all of them; nothing of both where it found no room.
    """
    look = _Look.draw(config, rng)
    changed, target, covered = image.copy(), np.zeros_like(body), np.zeros_like(body)
    for number in range(1 + int(rng.integers(TWINS + 1))):
        size = radius if number == 0 else radius * float(rng.uniform(0.5, 1.5))
        blob = draw_blob(size, spacing, float(rng.uniform(0.1, 0.45)), rng)
        room = body & ~_beside(target)
        placed = _placed(blob, room, rng) if room.any() else room
        if placed.sum() >= LEAST_KEPT * blob.sum():
            _paint(changed, image, placed, look, spacing, rng)
            covered |= placed
            if number == 0:
                target = placed
        elif number == 0:
            break
    return changed, target, covered


def _paint(
    changed: Image,
    image: Image,
    blob: Mask,
    look: _Look,
    spacing: Spacing,
    rng: np.random.Generator,
) -> None:
    """Give a blob its intensities: a shift from what lay there, a texture, and the scan's noise."""
    depth = ndimage.distance_transform_edt(blob, sampling=spacing)
    profile = np.where(depth > 0.5 * depth.max(), look.core, 1.0)
    grain = smooth_noise(rng, image.shape, spacing, look.wavelength)
    noise = image - ndimage.gaussian_filter(image, [NOISE_MM / step for step in spacing])
    inside = np.median(image[blob]) + look.shift * (profile + look.texture * grain) + noise
    opacity = blob.astype(np.float32)
    if look.border > SHARP_MM:
        opacity = ndimage.gaussian_filter(opacity, [look.border / step for step in spacing])
    changed += opacity * (inside.astype(np.float32) - changed)


def _placed(blob: Mask, room: Mask, rng: np.random.Generator) -> Mask:
    """A blob round a random voxel of the room, as far as it lies there in one piece."""
    grown = grow_at(random_voxel(room, rng), blob, room)
    placed = np.zeros_like(room)
    placed[grown.window] = grown.mask
    return placed


def _beside(mask: Mask) -> Mask:
    grown: Mask = ndimage.binary_dilation(mask, iterations=3)
    return grown
