"""The part of a scan that classical methods look at: a box around the clicks, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from caiseg.clicks import Click, Label, check_inside
from caiseg.grids import Shape, Spacing, map_voxels
from caiseg.volume import Volume
from train.click_simulation import NEIGHBOURS_26

FloatArray = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

MARGIN_MM = 60.0
"""How far the box reaches beyond the outermost clicks."""
MAX_VOXELS = 2**18
"""Voxels of the region's grid; a larger box is looked at in coarser voxels."""


@dataclass(frozen=True, eq=False)
class Region:
    """A box of the display grid around all clicks, resampled to at most :data:`MAX_VOXELS`.

    Attributes:
        box: Where it lies on the display grid.
        display_shape: The whole display grid.
        image: Intensities ``(I, J, K)`` of the region's grid, of zero mean and unit deviation.
        spacing: Its voxel size in mm.
    """

    box: tuple[slice, slice, slice]
    display_shape: Shape
    image: FloatArray
    spacing: Spacing

    @classmethod
    def around(cls, volume: Volume, clicks: Sequence[Click]) -> Region:
        """The region of a set of clicks, at least one.

        Raises:
            InvalidInput: A click lies outside the scan.
        """
        check_inside(clicks, volume.shape)
        box = box_around(clicks, volume, MARGIN_MM)
        part = np.ascontiguousarray(volume.data[box], dtype=np.float32)
        shape = _grid(part.shape, volume.spacing)
        coarse = torch.nn.functional.adaptive_avg_pool3d(torch.from_numpy(part)[None], shape)[0]
        image = coarse.numpy()
        image = (image - image.mean()) / max(float(image.std()), 1e-6)
        i, j, k = (
            size * step / count
            for size, step, count in zip(part.shape, volume.spacing, shape, strict=True)
        )
        return cls(box, volume.shape, image, (i, j, k))

    def seeds(self, clicks: Sequence[Click], radius_mm: float = 0.0) -> npt.NDArray[np.int8]:
        """Labels ``(I, J, K)`` that are known: -1 unknown, 0 background, 1 foreground.

        Clicks are known, and so is the border of the box, which lies far from all of them; where
        the box ends because the scan does, its border says nothing, unless it does on all sides.
        Of two clicks in one voxel the later one counts.

        Args:
            clicks: On the display grid.
            radius_mm: How far around a click its label is known as well; between two clicks, that
                of the nearer one.
        """
        seeds = np.full(self.image.shape, -1, dtype=np.int8)
        faces = self._faces(inner=True) or self._faces(inner=False)
        for face in faces:
            seeds[face] = int(Label.BACKGROUND)
        clicked = np.full_like(seeds, -1)
        for click in clicks:
            clicked[self._voxel(click)] = int(click.label)
        if clicks and radius_mm > 0:
            distance, nearest = ndimage.distance_transform_edt(
                clicked < 0, sampling=self.spacing, return_indices=True
            )
            clicked = np.where(distance <= radius_mm, clicked[tuple(nearest)], clicked)
        return np.where(clicked >= 0, clicked, seeds)

    def to_display(self, foreground: FloatArray, clicks: Sequence[Click]) -> Mask:
        """Bring a foreground share ``(I, J, K)`` in [0, 1] to the display grid as a mask.

        The clicked voxels get their label, which a coarser grid may have lost, and only what
        hangs together with a foreground click stays: nobody asked for other bright places.
        """
        mask = np.zeros(self.display_shape, dtype=np.bool_)
        size = mask[self.box].shape
        share = torch.nn.functional.interpolate(
            torch.from_numpy(np.ascontiguousarray(foreground, dtype=np.float32))[None, None],
            size=size, mode="trilinear",
        )  # fmt: skip
        mask[self.box] = share[0, 0].numpy() > 0.5
        for click in clicks:
            mask[click.voxel] = bool(click.label)
        pieces, _ = ndimage.label(mask[self.box], structure=NEIGHBOURS_26)
        start = [part.start for part in self.box]
        clicked = {
            int(pieces[tuple(np.subtract(click.voxel, start))])
            for click in clicks
            if click.label is Label.FOREGROUND
        }
        mask[self.box] = np.isin(pieces, sorted(clicked))
        return mask

    def _voxel(self, click: Click) -> tuple[int, int, int]:
        start = np.array([part.start for part in self.box])
        size = [part.stop - part.start for part in self.box]
        place = map_voxels(np.array(click.voxel) - start, size, self.image.shape)
        i, j, k = np.clip(np.floor(place + 0.5), 0, np.array(self.image.shape) - 1).astype(int)
        return int(i), int(j), int(k)

    def _faces(self, *, inner: bool) -> list[tuple[slice | int, ...]]:
        """Index of each face of the box; only those inside the scan where ``inner``."""
        faces: list[tuple[slice | int, ...]] = []
        for axis, (part, size) in enumerate(zip(self.box, self.display_shape, strict=True)):
            before: tuple[slice | int, ...] = (slice(None),) * axis
            if part.start > 0 or not inner:
                faces.append((*before, 0))
            if part.stop < size or not inner:
                faces.append((*before, -1))
        return faces


def box_around(
    clicks: Sequence[Click], volume: Volume, margin_mm: float
) -> tuple[slice, slice, slice]:
    """The box of the display grid that reaches so many mm beyond the outermost clicks."""
    voxels = np.array([click.voxel for click in clicks])
    i, j, k = (
        slice(
            max(0, int(voxels[:, axis].min()) - math.ceil(margin_mm / step)),
            min(size, int(voxels[:, axis].max()) + math.ceil(margin_mm / step) + 1),
        )
        for axis, (size, step) in enumerate(zip(volume.shape, volume.spacing, strict=True))
    )
    return i, j, k


def _grid(shape: Sequence[int], spacing: Spacing) -> Shape:
    """A grid of at most :data:`MAX_VOXELS`, made coarser along its finest axes first."""
    coarsest = min(spacing)
    while True:
        i, j, k = (
            max(1, round(size * min(1.0, step / coarsest)))
            for size, step in zip(shape, spacing, strict=True)
        )
        if i * j * k <= MAX_VOXELS:
            return i, j, k
        coarsest *= 1.1
