"""What a reader hands over: the voxels and geometry of a scan exactly as uploaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Format = Literal["nifti", "nrrd", "meta", "dicom"]


@dataclass(frozen=True, eq=False)
class NativeGeometry:
    """The geometry of a scan as uploaded; a mask is written back with it.

    Attributes:
        format: The file format that the scan came in.
        shape: Size of one volume as stored: ``(I, J, K)``, or ``(I, J)`` for a 2-D scan.
        affine: 4x4 matrix from stored voxel to world coordinates, RAS+, in ``units``.
        units: Spatial unit of ``affine``: ``"mm"`` but for unusual NIfTI files.
        sform: The sform matrix of a NIfTI file, whatever its code.
        sform_code: Its code; 0 where the file says nothing.
        qform: The qform matrix of a NIfTI file, or None where it cannot be computed.
        qform_code: Its code; 0 where the file says nothing.
        header: A copy of the NIfTI header, byte for byte; None for other formats.
    """

    format: Format
    shape: tuple[int, ...]
    affine: FloatArray
    units: str = "mm"
    sform: FloatArray | None = None
    sform_code: int = 0
    qform: FloatArray | None = None
    qform_code: int = 0
    header: nib.Nifti1Header | None = None

    @property
    def shape_3d(self) -> tuple[int, int, int]:
        """The stored size as ``(I, J, K)``, with K = 1 for a 2-D scan."""
        i, j, *rest = self.shape
        return (i, j, rest[0] if rest else 1)


@dataclass(frozen=True, eq=False)
class RawScan:
    """One volume of a file, not yet reoriented.

    Attributes:
        data: Voxels ``(I, J, K)`` as stored, scaled as the header says; float32, int16, uint16
            or uint8. May hold NaN and infinities.
        affine: 4x4 matrix from stored voxel to world coordinates in mm, RAS+.
        native: The geometry to write masks with.
        notices: One sentence for each reservation under which the file was accepted.
        volumes: How many volumes the file holds, of which this is one.
    """

    data: npt.NDArray[Any]
    affine: FloatArray
    native: NativeGeometry
    notices: list[str] = field(default_factory=list)
    volumes: int = 1
