"""Where training crops lie, and cutting them out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.config import DataConfig

Window = tuple[slice, slice, slice]

_DRAWS = 64
"""Voxels looked at to find one of the body, which fills more than a few hundredths of a scan."""


@dataclass(frozen=True)
class CropFacts:
    """What choosing a crop asks of the part of a scan that crops lie in.

    Attributes:
        mean: Mean intensity of that part, a float32 scalar.
        lesion: Places of its lesion voxels ``(n,)``, counted in memory order.
    """

    mean: Tensor
    lesion: Tensor

    @classmethod
    def of(cls, image: Tensor, lesion: Tensor, config: DataConfig) -> CropFacts:
        """Read that part of a scan; see :func:`choose_crop` for the arguments."""
        part = _part(_limits(image.shape, config), image.shape)
        return cls(image[part].mean(), lesion[part].flatten().nonzero()[:, 0])


def choose_crop(
    image: Tensor, facts: CropFacts, config: DataConfig, rng: np.random.Generator
) -> Window:
    """A window of ``crop_size`` that contains a random lesion voxel or lies anywhere in the body.

    The window stays within ``scan_size`` around the scan's centre, or within the scan where that
    is left out; it reaches beyond the scan where that is smaller.

    Args:
        image: ``(I, J, K)``; few of its voxels are read.
        facts: Of the scan, with the same ``config``.
        config: Sizes, and the share of crops with a lesion voxel.
        rng: Source of the choice.
    """
    wanted = rng.random() < config.lesion_centred_share
    limits = _limits(image.shape, config)
    inside = _part(limits, image.shape)
    anchor = _place(image[inside], facts, wanted, rng)
    starts = []
    for place, part, crop, (low, high) in zip(
        anchor, inside, config.crop_size, limits, strict=True
    ):
        voxel = place + part.start
        first, last = max(low, voxel - crop + 1), min(voxel, high - crop)
        starts.append(int(rng.integers(first, last + 1)))
    i, j, k = (
        slice(start, start + crop) for start, crop in zip(starts, config.crop_size, strict=True)
    )
    return i, j, k


def cut(array: Tensor, window: Window, fill: float) -> Tensor:
    """A window of ``(I, J, K)``, filled where it reaches beyond."""
    parts, padding = [], []
    for part, size in zip(window, array.shape, strict=True):
        parts.append(slice(max(part.start, 0), min(part.stop, size)))
        padding.append((max(-part.start, 0), max(part.stop - size, 0)))
    flat = [amount for pair in reversed(padding) for amount in pair]
    return torch.nn.functional.pad(array[tuple(parts)], flat, value=fill)


def random_crop(
    image: Tensor, lesion: Tensor, config: DataConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut what :func:`choose_crop` chooses; beyond the scan lies its darkest value."""
    window = choose_crop(image, CropFacts.of(image, lesion, config), config, rng)
    return cut(image, window, float(image.min())), cut(lesion, window, False)


def with_margin(
    window: Window, spacing: Sequence[float], degrees: float, smallest_scale: float
) -> Window:
    """The window whose voxels can come to lie in ``window`` when the scan is turned and scaled.

    Args:
        window: What is wanted.
        spacing: Voxel size in mm.
        degrees: Largest rotation about each axis, around the window's centre.
        smallest_scale: Least factor that the scan is scaled by.
    """
    half = [(part.stop - part.start) * step / 2 for part, step in zip(window, spacing, strict=True)]
    # No entry beside the diagonal of a product of three such rotations is larger.
    sine = math.sin(math.radians(min(degrees, 90)))
    lean = min(1.0, sine + sine**2)
    grown = []
    for axis, (part, step) in enumerate(zip(window, spacing, strict=True)):
        reach = (half[axis] + lean * (sum(half) - half[axis])) / smallest_scale
        extra = math.ceil((reach - half[axis]) / step) + 1
        grown.append(slice(part.start - extra, part.stop + extra))
    return grown[0], grown[1], grown[2]


def middle(window: Window, size: Sequence[int]) -> Window:
    """The window of ``size`` in the middle of a window, counted from that one's start."""
    starts = [(part.stop - part.start - n) // 2 for part, n in zip(window, size, strict=True)]
    i, j, k = (slice(start, start + n) for start, n in zip(starts, size, strict=True))
    return i, j, k


def _limits(shape: Sequence[int], config: DataConfig) -> list[tuple[int, int]]:
    """First voxel, and first one after, that crops may have, along each axis."""
    limits = []
    for axis, (size, crop) in enumerate(zip(shape, config.crop_size, strict=True)):
        wanted = max(size, crop) if config.scan_size is None else config.scan_size[axis]
        low = int((size - wanted) / 2)
        limits.append((low, low + wanted))
    return limits


def _part(limits: Sequence[tuple[int, int]], shape: Sequence[int]) -> Window:
    """What lies in a scan of these limits."""
    i, j, k = (
        slice(max(low, 0), min(high, size)) for (low, high), size in zip(limits, shape, strict=True)
    )
    return i, j, k


def _place(
    image: Tensor, facts: CropFacts, wanted: bool, rng: np.random.Generator
) -> tuple[int, int, int]:
    """A random lesion voxel, or one brighter than the mean; any voxel where there is none."""
    if wanted and len(facts.lesion):
        place = int(facts.lesion[int(rng.integers(len(facts.lesion)))])
    else:
        drawn = rng.integers(image.numel(), size=_DRAWS)
        voxels = tuple(torch.from_numpy(n) for n in np.unravel_index(drawn, image.shape))
        bright = (image[voxels] > facts.mean).nonzero()[:, 0]
        place = int(drawn[int(bright[0]) if len(bright) else 0])
    i, j, k = np.unravel_index(place, image.shape)
    return int(i), int(j), int(k)
