"""Masks at rest and on the wire: cropped to their bounding box, one bit per voxel, deflated."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caiseg.grids import Shape

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PackedMask:
    """A mask of the display grid in a few kilobytes.

    Attributes:
        shape: Size ``(I, J, K)`` of the grid.
        start: First voxel ``(i, j, k)`` of the bounding box; zeros when the mask is empty.
        size: Size of the bounding box; zeros when the mask is empty.
        voxels: Number of voxels in the mask.
        payload: zlib stream of the box's bits, ``i`` fastest, first voxel in the lowest bit.
    """

    shape: Shape
    start: Shape
    size: Shape
    voxels: int
    payload: bytes

    @classmethod
    def pack(cls, mask: BoolArray) -> PackedMask:
        """Pack a dense boolean mask of shape ``(I, J, K)``."""
        box = _bounding_box(mask)
        crop = mask[box]
        bits = np.packbits(crop.ravel(order="F"), bitorder="little")
        return cls(
            shape=_triple(mask.shape),
            start=_triple([axis.start for axis in box]),
            size=_triple(crop.shape),
            voxels=int(np.count_nonzero(crop)),
            # Level 1: a click waits for this, and more effort saves little on regular shapes.
            payload=zlib.compress(bits.tobytes(), level=1),
        )

    def crop(self) -> BoolArray:
        """The mask inside its bounding box, as a dense array of shape :attr:`size`."""
        bits = np.frombuffer(zlib.decompress(self.payload), dtype=np.uint8)
        count = int(np.prod(self.size))
        flat = np.unpackbits(bits, count=count, bitorder="little").astype(bool)
        return flat.reshape(self.size, order="F")

    def unpack(self) -> BoolArray:
        """The dense mask, of shape ``(I, J, K)``."""
        mask: NDArray[np.bool_] = np.zeros(self.shape, dtype=bool)
        box = tuple(slice(s, s + n) for s, n in zip(self.start, self.size, strict=True))
        mask[box] = self.crop()
        return mask

    def to_json(self) -> dict[str, Any]:
        """What the viewer reads: ``start``, ``size`` and the payload in base64."""
        return {
            "start": list(self.start),
            "size": list(self.size),
            "bits": base64.b64encode(self.payload).decode("ascii"),
        }


def _bounding_box(mask: BoolArray) -> tuple[slice, slice, slice]:
    box = [slice(0, 0)] * 3
    # One axis after the other, each on what the last one left: most of the volume is read once.
    crop = mask
    for axis in (0, 1, 2):
        others = tuple(other for other in range(3) if other != axis)
        occupied = np.flatnonzero(crop.any(axis=others))
        if occupied.size == 0:
            return (slice(0, 0), slice(0, 0), slice(0, 0))
        box[axis] = slice(int(occupied[0]), int(occupied[-1]) + 1)
        crop = mask[tuple(box[: axis + 1])]
    return (box[0], box[1], box[2])


def _triple(values: Any) -> Shape:
    i, j, k = (int(value) for value in values)
    return (i, j, k)
