"""Masks at rest and on the wire: cropped to their bounding box, one bit per voxel, deflated."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caiseg.boxes import NOTHING, Box, occupied
from caiseg.errors import InvalidInput
from caiseg.grids import Shape
from caiseg.unclaimed_zeros import unclaimed_array
from caiseg.volume import MAX_VOXELS

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
        return cls.pack_crop(mask, (0, 0, 0), triple(mask.shape))

    @classmethod
    def pack_crop(cls, crop: BoolArray, start: Shape, shape: Shape) -> PackedMask:
        """Pack a mask of which only a part is given; all around it is empty.

        Args:
            crop: The part.
            start: Where its first voxel lies on the grid.
            shape: Size of the grid.
        """
        box = occupied(crop) or NOTHING
        inside = crop[box]
        bits = np.packbits(inside.ravel(order="F"), bitorder="little")
        first = triple(s + axis.start for s, axis in zip(start, box, strict=True))
        return cls(
            shape=shape,
            start=first if inside.size else (0, 0, 0),
            size=triple(inside.shape),
            voxels=int(np.count_nonzero(inside)),
            # Level 1: a click waits for this, and more effort saves little on regular shapes.
            payload=zlib.compress(bits.tobytes(), level=1),
        )

    @classmethod
    def empty(cls, shape: Shape) -> PackedMask:
        """A mask without a voxel."""
        return cls.pack_crop(np.zeros((0, 0, 0), dtype=bool), (0, 0, 0), shape)

    @property
    def box(self) -> Box:
        """The bounding box."""
        i, j, k = (slice(s, s + n) for s, n in zip(self.start, self.size, strict=True))
        return (i, j, k)

    def crop(self) -> BoolArray:
        """The mask inside its bounding box, as a dense array of shape :attr:`size`."""
        bits = np.frombuffer(zlib.decompress(self.payload), dtype=np.uint8)
        count = int(np.prod(self.size))
        flat = np.unpackbits(bits, count=count, bitorder="little").astype(bool)
        return flat.reshape(self.size, order="F")

    def unpack(self) -> BoolArray:
        """The dense mask, of shape ``(I, J, K)``."""
        laid = unclaimed_array(self.shape[::-1], np.bool_)
        mask: BoolArray = laid.transpose()  # in the order of the bits
        mask[self.box] = self.crop()
        return mask

    def part(self, start: Shape, stop: Shape) -> BoolArray:
        """The mask inside a box of the grid, as a dense array.

        Args:
            start: First voxel ``(i, j, k)`` of the box.
            stop: The voxel behind its last one, along each axis.
        """
        part: BoolArray = np.zeros(tuple(np.subtract(stop, start)), dtype=bool)
        low = np.maximum(self.start, start)
        high = np.minimum(np.add(self.start, self.size), stop)
        if np.all(high > low):
            common = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
            part[_shifted(common, start)] = self.crop()[_shifted(common, self.start)]
        return part

    def with_voxels(self, voxels: PackedMask) -> PackedMask:
        """This mask and the voxels of another one of the same grid."""
        if voxels.voxels == 0 or self.voxels == 0:
            return self if voxels.voxels == 0 else voxels
        start = np.minimum(self.start, voxels.start)
        stop = np.maximum(np.add(self.start, self.size), np.add(voxels.start, voxels.size))
        crop: BoolArray = np.zeros(tuple(stop - start), dtype=bool)
        for part in (self, voxels):
            crop[_shifted(part.box, start)] |= part.crop()
        return PackedMask.pack_crop(crop, triple(start), self.shape)

    def without_voxels(self, voxels: PackedMask) -> PackedMask:
        """This mask less the voxels of another one of the same grid."""
        start = np.maximum(self.start, voxels.start)
        stop = np.minimum(np.add(self.start, self.size), np.add(voxels.start, voxels.size))
        if np.any(stop <= start):
            return self
        common = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        crop = self.crop()
        crop[_shifted(common, self.start)] &= ~voxels.crop()[_shifted(common, voxels.start)]
        return PackedMask.pack_crop(crop, self.start, self.shape)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types: ``shape``, ``start``, ``size`` and the payload in base64, ``bits``."""
        return {
            "shape": list(self.shape),
            "start": list(self.start),
            "size": list(self.size),
            "bits": base64.b64encode(self.payload).decode("ascii"),
        }

    @classmethod
    def from_json(cls, document: Any) -> PackedMask:
        """The inverse of :meth:`to_json`.

        Raises:
            InvalidInput: The document is no mask.
        """
        try:
            shape, start, size = (triple(document[key]) for key in ("shape", "start", "size"))
            payload = base64.b64decode(document["bits"], validate=True)
            count = size[0] * size[1] * size[2]
            if not _fits(start, size, shape) or count > MAX_VOXELS:
                raise ValueError("it leaves its scan")
            # Never more than it says: a few bytes can be a stream of gigabytes.
            stream = zlib.decompressobj()
            bits = np.frombuffer(stream.decompress(payload, count // 8 + 2), dtype=np.uint8)
            if bits.size != -(-count // 8) or not stream.eof:
                raise ValueError("its size and its voxels disagree")
        except (
            KeyError,
            TypeError,
            ValueError,
            OverflowError,
            binascii.Error,
            zlib.error,
        ) as error:
            raise InvalidInput(f"A saved mask cannot be read: {error}; save it again.") from error
        flat = np.unpackbits(bits, count=count, bitorder="little").astype(bool)
        return cls.pack_crop(flat.reshape(size, order="F"), start, shape)


def triple(values: Any) -> Shape:
    """Three whole numbers, along ``(i, j, k)``.

    Raises:
        ValueError: There are more or fewer.
    """
    i, j, k = (int(value) for value in values)
    return (i, j, k)


def _fits(start: Shape, size: Shape, shape: Shape) -> bool:
    """Whether a box lies on a grid."""
    return all(
        min(first, count) >= 0 and first + count <= extent
        for first, count, extent in zip(start, size, shape, strict=True)
    )


def _shifted(box: tuple[slice, ...], origin: Any) -> tuple[slice, ...]:
    """A box of the grid in the array whose first voxel lies at ``origin``."""
    return tuple(
        slice(axis.start - int(o), axis.stop - int(o)) for axis, o in zip(box, origin, strict=True)
    )
