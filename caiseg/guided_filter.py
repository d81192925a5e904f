"""The network's mask drawn to the scan's own edges: the guided filter of He, Sun and Tang (2013).

The network sees voxels of about 2 mm, the mask is in the scan's own, often half as large. In a
window around every voxel the filter fits a line from intensity to mask and takes the mean of what
the lines of all windows say there (eqs. 5, 6 and 8 of the article); the mask is where that is above
one half. Windows lie in slices, the way people outline, since across thick slices neighbours say
little.

Near a click the network's answer stands where it agrees with the click, so that the filter smooths
away nothing that somebody pointed at; the clicked voxel itself takes its label.

A voxel's value depends on the mask within two radii and on nothing else, and sums are taken in an
order that depends on the voxel alone. So a part can be filtered without a seam, and the same clicks
give the same mask whatever was filtered before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import pad

from caiseg.boxes import Box, around, grown, hull, meeting, moved, occupied, relative, whole_box
from caiseg.clicks import Click, Label
from caiseg.grids import Shape, Spacing
from caiseg.unclaimed_zeros import unclaimed_array

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Places = tuple[Indices, ...]

_SLICES = 8
"""Slices that are filtered at once, so that memory stays small beside the mask."""
_DARKEST, _BRIGHTEST = -3.0, 4.0
"""Normalised intensities are clipped: an artefact's edge is not worth more than a lesion's."""
_NEARLY = 0.99
"""Slices are axial in scans whose voxels are cubes but for rounding."""


class GuidedFilterConfig(BaseModel):
    """How far and how closely masks follow edges; stored in a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_mm: float = Field(6.0, gt=0, le=20, allow_inf_nan=False)
    """``r``: half the side of a window, in mm."""
    epsilon: float = Field(0.003, gt=0, le=10, allow_inf_nan=False)
    """``ε``: variance of normalised intensity below which a window has no edge."""
    click_mm: float = Field(3.0, ge=0, le=20, allow_inf_nan=False)
    """How near to a click, in mm, the network's answer stands where it agrees with the click."""


class GuidedFilter:
    """Filters masks of one scan.

    Args:
        data: Intensities ``(I, J, K)`` on the display grid, finite.
        spacing: Voxel size ``(i, j, k)`` in mm.
        config: The settings.
        device: Where to compute.
    """

    def __init__(
        self,
        data: npt.NDArray[np.generic],
        spacing: Spacing,
        config: GuidedFilterConfig,
        device: torch.device,
    ):
        self._data = data
        self._spacing = spacing
        self._config = config
        self._device = device
        self._axis = _slice_axis(spacing)
        self._radius = [
            0 if axis == self._axis else round(config.radius_mm / step)
            for axis, step in enumerate(spacing)
        ]
        bright = data[data > data.mean(dtype=np.float64)]
        self._mean = float(bright.mean(dtype=np.float64)) if bright.size else 0.0
        self._sd = float(bright.std(dtype=np.float64)) if bright.size else 0.0

    def on(self, device: torch.device) -> GuidedFilter:
        """The same filter on another device."""
        moved = object.__new__(GuidedFilter)
        moved.__dict__.update(self.__dict__, _device=device)
        return moved

    def needed(self, boxes: Iterable[Box], clicks: Sequence[Click]) -> Box:
        """The part of the scan that :meth:`renew` and :meth:`follow` have to know.

        Beyond it nothing changes.

        Args:
            boxes: Where the network's mask changed.
            clicks: All clicks, at least one.
        """
        shape = self._data.shape
        held = [self._grown(self._grown(box, shape), shape) for box in boxes]
        return hull(
            held + [around(c.voxel, self._config.click_mm, self._spacing, shape) for c in clicks]
        )

    def empty(self) -> Mask:
        """A mask of the scan without a voxel, of the memory layout that is filtered fastest.

        The voxels of a slice lie side by side, and what is not written to claims no memory.
        """
        outer = unclaimed_array(np.moveaxis(self._data, self._axis, 0).shape, np.bool_)
        laid: Mask = np.moveaxis(outer, 0, self._axis)
        return laid

    def whole(self, network_mask: Mask, clicks: Sequence[Click] = ()) -> Mask:
        """A mask, filtered everywhere.

        Args:
            network_mask: ``(I, J, K)`` on the display grid, as the network gave it.
            clicks: The clicks that it answers, on the display grid.
        """
        mask = self.empty()
        held = occupied(network_mask)
        if held is not None:
            self._renew(mask, network_mask, held)
        self.follow(mask, whole_box(mask.shape), network_mask, clicks)
        return mask

    def renew(
        self, mask: Mask, part: Box, before: Mask, network_mask: Mask, boxes: Iterable[Box]
    ) -> None:
        """Filter a part of a mask anew where the network's mask has changed, in place.

        Args:
            mask: The network's mask before, filtered.
            part: Of the display grid, with all that is :meth:`needed`; the masks are of this part.
            before: The network's mask before.
            network_mask: The network's mask now.
            boxes: Of the display grid; outside of them both masks of the network are equal.
        """
        inner = self._in_part(part)
        for box in inner._joined([relative(box, part) for box in boxes], mask.shape):
            for slab in inner._slabs(box):
                changed = occupied(network_mask[slab] != before[slab])
                if changed is not None:
                    inner._renew(mask, network_mask, moved(changed, slab))

    def follow(self, mask: Mask, part: Box, network_mask: Mask, clicks: Sequence[Click]) -> None:
        """Near clicks, take whichever of filter and network agrees with them, in place.

        A clicked voxel takes its label whatever both say. Where clicks of both labels are near, or
        on one voxel, the network's answer stands.

        Args:
            mask: A part of the network's mask, filtered.
            part: Of the display grid, with all that is :meth:`needed`.
            network_mask: The same part of the network's mask.
            clicks: All clicks, on the display grid.
        """
        i, j, k = (axis.start for axis in part)
        inside = [
            Click((click.voxel[0] - i, click.voxel[1] - j, click.voxel[2] - k), click.label)
            for click in clicks
        ]
        near = [self._ball(click.voxel, self._config.click_mm, mask.shape) for click in inside]
        foreground, background, both = _places_by_label(inside, near, mask.shape)
        mask[foreground] |= network_mask[foreground]
        mask[background] &= network_mask[background]
        mask[both] = network_mask[both]
        clicked = [np.array([np.ravel_multi_index(c.voxel, mask.shape)]) for c in inside]
        foreground, background, both = _places_by_label(inside, clicked, mask.shape)
        mask[foreground] = True
        mask[background] = False
        mask[both] = network_mask[both]

    def _in_part(self, part: Box) -> GuidedFilter:
        """The same filter on a part of the scan, right where the rest does not matter."""
        inner = object.__new__(GuidedFilter)
        inner.__dict__.update(self.__dict__, _data=self._data[part])
        return inner

    def _joined(self, boxes: Iterable[Box], shape: Shape) -> list[Box]:
        """Boxes that hold the given ones, those near each other put together.

        What two of them change would else be filtered twice.
        """
        joined: list[Box] = []
        for box in boxes:
            apart = []
            for other in joined:
                if meeting(self._grown(box, shape), self._grown(other, shape)) is None:
                    apart.append(other)
                else:
                    box = hull((box, other))
            joined = [*apart, box]
        return joined

    def _renew(self, mask: Mask, network_mask: Mask, changed: Box) -> None:
        """Filter whatever depends on a box of the network's mask, in place."""
        for slab in self._slabs(self._grown(changed, mask.shape)):
            mask[slab] = False  # as everything farther than two radii from the network's mask
            wide = self._grown(slab, mask.shape)
            held = occupied(network_mask[wide])
            if held is not None:
                near = self._grown(moved(held, wide), mask.shape)
                part = meeting(slab, near)
                if part is not None:
                    mask[part] = self._filtered(network_mask, part)

    @torch.inference_mode()
    def _filtered(self, network_mask: Mask, box: Box) -> Mask:
        """The filter's answer in a box."""
        shape = network_mask.shape
        wide = self._grown(box, shape)
        missing = self._missing(box, shape)
        guide = pad(self._normalised(wide), missing)
        given = pad(torch.from_numpy(network_mask[wide]).to(self._device).float(), missing)
        fields = torch.stack([guide, given, guide * given, guide * guide])
        guide_mean, given_mean, product_mean, square_mean = self._means(fields, box, shape, True)
        covariance = product_mean - guide_mean * given_mean
        variance = square_mean - guide_mean * guide_mean
        slope = covariance / (variance + self._config.epsilon)
        line = torch.stack([slope, given_mean - slope * guide_mean])
        slope_mean, offset_mean = self._means(line, box, shape, False)
        i, j, k = (
            slice(2 * radius, size - 2 * radius)
            for radius, size in zip(self._radius, guide.shape, strict=True)
        )
        answer: Mask = (slope_mean * guide[i, j, k] + offset_mean > 0.5).cpu().numpy()
        return answer

    def _means(self, fields: Tensor, box: Box, shape: Sequence[int], grown: bool) -> Tensor:
        """Means over the windows around the voxels of a box, or of one grown by a radius.

        Outside the scan there is nothing to average, and the mean is 0.

        Args:
            fields: ``(C, I, J, K)``, which holds a radius more on every side, 0 outside the scan.
            box: Of the scan.
            shape: Size of the scan.
            grown: Whether to grow the box.
        """
        share = torch.ones((), device=fields.device)
        for axis, (part, size, radius) in enumerate(zip(box, shape, self._radius, strict=True)):
            if radius == 0:
                continue
            more = radius if grown else 0
            along = _shares(size, radius)[part.start - more + radius : part.stop + more + radius]
            view = [1, 1, 1]
            view[axis] = -1
            share = share * along.to(fields).view(view)
            fields = _window_sums(fields, axis + 1, 2 * radius + 1)
        return fields * share

    def _normalised(self, box: Box) -> Tensor:
        data = torch.from_numpy(self._data[box].astype(np.float32)).to(self._device)
        if self._sd == 0:
            return torch.zeros_like(data)
        return ((data - self._mean) / self._sd).clamp(_DARKEST, _BRIGHTEST)

    def _grown(self, box: Box, shape: Sequence[int]) -> Box:
        """With all that depends on it, and all that it depends on: two radii more."""
        return grown(box, [2 * radius for radius in self._radius], shape)

    def _missing(self, box: Box, shape: Sequence[int]) -> list[int]:
        """What lies outside the scan of a box with two radii more, as ``pad`` wants it."""
        pairs = [
            (max(2 * radius - part.start, 0), max(part.stop + 2 * radius - size, 0))
            for part, radius, size in zip(box, self._radius, shape, strict=True)
        ]
        return [width for pair in reversed(pairs) for width in pair]

    def _slabs(self, box: Box) -> Iterator[Box]:
        """A few slices of a box at a time."""
        whole = box[self._axis]
        for start in range(whole.start, whole.stop, _SLICES):
            parts = list(box)
            parts[self._axis] = slice(start, min(start + _SLICES, whole.stop))
            yield parts[0], parts[1], parts[2]

    def _ball(self, centre: Shape, reach: float, shape: Shape) -> Indices:
        """Flat indices of the voxels within so many mm of one."""
        box = around(centre, reach, self._spacing, shape)
        i, j, k = (np.arange(part.start, part.stop) for part in box)
        away = [
            ((places - place) * step) ** 2
            for places, place, step in zip((i, j, k), centre, self._spacing, strict=True)
        ]
        inside = np.nonzero(np.asarray(sum(np.ix_(*away)) <= reach**2))
        places = tuple(axis[index] for axis, index in zip((i, j, k), inside, strict=True))
        flat: Indices = np.ravel_multi_index(places, shape)
        return flat


def _places_by_label(
    clicks: Sequence[Click], near: Sequence[Indices], shape: Shape
) -> tuple[Places, Places, Places]:
    """Indices of the voxels near foreground clicks, near background clicks, near both.

    Args:
        clicks: The clicks.
        near: Flat indices of what is near each of them. What is near several of a label comes out
            several times.
        shape: Size of the grid.
    """
    foreground, background = (
        np.concatenate(
            [np.zeros(0, dtype=np.intp)]
            + [flat for click, flat in zip(clicks, near, strict=True) if click.label is label]
        )
        for label in (Label.FOREGROUND, Label.BACKGROUND)
    )
    both = np.intersect1d(foreground, background)
    f, b, c = (np.unravel_index(flat, shape) for flat in (foreground, background, both))
    return f, b, c


def _slice_axis(spacing: Spacing) -> int:
    """The axis across slices: the one with the largest voxels, ``k`` among equals."""
    thick = [axis for axis in range(3) if spacing[axis] >= _NEARLY * max(spacing)]
    return thick[-1]


@lru_cache(maxsize=64)
def _shares(size: int, radius: int) -> Tensor:
    """One over the number of voxels in the window round each place of an axis.

    It is 0 for the places up to a radius outside. A click asks many times; nobody writes to them.
    """
    places = torch.arange(-radius, size + radius)
    counts = (places + radius).clamp(max=size - 1) - (places - radius).clamp(min=0) + 1
    inside = (places >= 0) & (places < size)
    return torch.where(inside, 1 / counts, 0.0)


def _window_sums(values: Tensor, axis: int, size: int) -> Tensor:
    """Sums of ``size`` neighbours along an axis, always in the same order.

    Sums of 1, 2, 4, … neighbours are made of one another and put together as the binary digits of
    ``size`` say.
    """
    length = values.shape[axis] - size + 1
    total, begin, step = None, 0, 1
    while True:
        if size & step:
            part = values.narrow(axis, begin, length)
            total = part if total is None else total + part
            begin += step
        if 2 * step > size:
            assert total is not None
            return total
        rest = values.shape[axis] - step
        values = values.narrow(axis, 0, rest) + values.narrow(axis, step, rest)
        step *= 2
