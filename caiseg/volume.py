"""A scan on its display grid, and the masks that are saved in its own geometry."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caiseg.errors import InvalidInput
from caiseg.grids import FloatArray, Grid, Reorientation, Shape, Spacing
from caiseg.reading import Limits, read_scan
from caiseg.reading.mask_files import write_mask
from caiseg.reading.scan import NativeGeometry, RawScan
from caiseg.reading.voxels import repair

MAX_VOXELS = 2**28
"""Largest scan, in voxels: 512 × 512 × 1024, or 1 GiB of float32."""


class Volume:
    """One scan, reoriented to closest canonical RAS+ without resampling.

    Attributes:
        data: Voxels ``(I, J, K)`` on the display grid, all finite; float32, int16, uint16 or
            uint8.
        native: The geometry as uploaded.
        reorientation: The exact map between the native grid and the display grid.
        name: File name of the scan.
        notices: One sentence for each reservation under which the scan was accepted.
        volumes: How many volumes the file holds, of which this is one.
    """

    def __init__(self, scan: RawScan, name: str) -> None:
        grid = Grid(scan.native.shape_3d, scan.affine)
        self.reorientation = Reorientation.to_canonical(grid)
        self.data, repairs = repair(self.reorientation.array_to_display(scan.data))
        self.native: NativeGeometry = scan.native
        self.name = name
        self.volumes = scan.volumes
        self.notices = [*scan.notices, *repairs]

    def __repr__(self) -> str:
        spacing = ", ".join(f"{step:g}" for step in self.spacing)
        return f"Volume({self.name!r}, shape={self.shape}, spacing=({spacing}) mm)"

    @property
    def grid(self) -> Grid:
        """The display grid."""
        return self.reorientation.display

    @property
    def shape(self) -> Shape:
        """Size ``(I, J, K)`` of the display grid."""
        return self.grid.shape

    @property
    def affine(self) -> FloatArray:
        """4x4 matrix from display voxel to world coordinates in mm, RAS+."""
        return self.grid.affine

    @property
    def spacing(self) -> Spacing:
        """Voxel size along ``(i, j, k)`` in mm."""
        return self.grid.spacing

    @cached_property
    def content_hash(self) -> str:
        """SHA-256, in hexadecimal, of the voxels and their geometry."""
        digest = hashlib.sha256(f"{self.data.dtype.name} {self.shape}".encode())
        digest.update(self.affine.astype("<f8").tobytes())
        digest.update(np.ascontiguousarray(self.data, self.data.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    def to_native(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Reorder an array from the display grid to the native grid; no voxel value changes.

        Raises:
            InvalidInput: The array does not have the display grid's size.
        """
        return self.reorientation.array_to_native(array)

    def from_native(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The inverse of :meth:`to_native`.

        Raises:
            InvalidInput: The array does not have the native grid's size.
        """
        return self.reorientation.array_to_display(array)

    def save_mask(self, mask: npt.NDArray[Any], path: str | os.PathLike[str]) -> None:
        """Write a mask that overlays this scan, in the geometry that the scan came in.

        The file holds uint8 on the native grid. For a NIfTI scan the affine, sform, qform, their
        codes and the units are those of the upload. The file appears complete or not at all, and
        the same mask gives the same bytes.

        Args:
            mask: Bool or integer array ``(I, J, K)`` on the display grid, values 0 to 255.
            path: Where to write: ``.nii``, ``.nii.gz``, or ``.nrrd`` for a scan that was one.

        Raises:
            InvalidInput: The mask does not fit the scan, or cannot be written there.
        """
        write_mask(self.to_native(np.asarray(mask)), self.native, Path(path))


def load_volume(
    path: str | os.PathLike[str],
    *,
    volume_index: int | None = None,
    series: str | None = None,
    max_voxels: int = MAX_VOXELS,
    max_bytes: int | None = None,
) -> Volume:
    """Read a scan: ``.nii``, ``.nii.gz``, ``.nrrd``, ``.mha``, ``.mhd``, or a ``.zip`` of DICOM.

    Args:
        path: The file.
        volume_index: Which volume of a 4-D scan, from 0; None for the first, with a notice.
        series: UID or description of the DICOM series, where the archive holds several.
        max_voxels: Scans with more voxels are refused before memory is taken for them.
        max_bytes: Scans that take more memory to read are refused too; None for no such limit.

    Returns:
        The scan in closest canonical orientation; ``notices`` lists reservations.

    Raises:
        SeveralSeries: An :class:`InvalidInput` that lists the DICOM series to choose from.
        InvalidInput: The file cannot be used. No other exception escapes, whatever its content.
    """
    path = Path(path)
    try:
        limits = Limits(max_voxels, max_bytes)
        scan = read_scan(path, volume_index=volume_index, series=series, limits=limits)
        return Volume(scan, path.name)
    except InvalidInput:
        raise
    except MemoryError:
        raise InvalidInput(
            f"There is not enough memory for '{path.name}'; crop or resample it, or close other "
            "programs."
        ) from None
    # The readers rest on libraries that meet damaged bytes with exceptions of every kind.
    except Exception as error:
        raise InvalidInput(
            f"'{path.name}' cannot be read, so it is probably damaged; export or download it again."
        ) from error


def load_mask(path: str | os.PathLike[str], like: Volume) -> npt.NDArray[np.bool_]:
    """Read a mask that belongs to a scan; every value above zero is inside.

    Args:
        path: A file of any format that :func:`load_volume` reads.
        like: The scan that the mask must overlay.

    Returns:
        Bool array on the display grid of ``like``.

    Raises:
        InvalidInput: The file cannot be read, or lies on another grid.
    """
    inside: npt.NDArray[np.bool_] = _load_on_grid(path, like) > 0
    return inside


def load_labels(path: str | os.PathLike[str], like: Volume) -> dict[int, npt.NDArray[np.bool_]]:
    """Read a mask of several objects that belongs to a scan.

    Args:
        path: A file of any format that :func:`load_volume` reads.
        like: The scan that the mask must overlay.

    Returns:
        For each label from 1 to 255 in the file, in ascending order, a bool array on the display
        grid of ``like``. A file that holds other values above zero, such as probabilities, is one
        object with label 1, and so is one without any.

    Raises:
        InvalidInput: The file cannot be read, or lies on another grid.
    """
    return dict(read_labels(path, like))


def read_labels(
    path: str | os.PathLike[str], like: Volume, *, max_bytes: int | None = None
) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """The same one by one, for a file of so many objects that their masks fill the memory.

    Args:
        path: A file of any format that :func:`load_volume` reads.
        like: The scan that the mask must overlay.
        max_bytes: See :func:`load_volume`.

    Yields:
        Each label and its mask, as :func:`load_labels` returns them.

    Raises:
        InvalidInput: The file cannot be read, or lies on another grid.
    """
    data = _load_on_grid(path, like, max_bytes)
    values = np.unique(data[data > 0])
    if values.size == 0 or values[-1] > 255 or np.any(values != np.rint(values)):
        yield 1, data > 0
        return
    for value in values:
        yield int(value), data == value


def _load_on_grid(
    path: str | os.PathLike[str], like: Volume, max_bytes: int | None = None
) -> npt.NDArray[Any]:
    mask = load_volume(path, max_bytes=max_bytes)
    if not mask.grid.coincides_with(like.grid):
        raise InvalidInput(
            f"The mask {mask.name} does not lie on the grid of {like.name}, so it belongs to "
            "another scan; choose the mask of this one."
        )
    return mask.data
