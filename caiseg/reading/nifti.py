"""NIfTI-1 and NIfTI-2 scans in one file, ``.nii`` or ``.nii.gz``."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from caiseg.errors import InvalidInput
from caiseg.grids import Grid
from caiseg.reading.geometry import check_affine, choose_volume
from caiseg.reading.limits import Limits
from caiseg.reading.rounding import Rounding
from caiseg.reading.scan import FloatArray, NativeGeometry, RawScan
from caiseg.reading.stream import CHUNK, ScanStream, open_stream, truncated
from caiseg.reading.voxels import compact, kept_type

MAX_DATA_OFFSET = 1 << 26
"""Header extensions may stand before the voxels; 64 MiB of them is already generous."""
_HEADERS: dict[int, Any] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_UNITS = {1: "meter", 2: "mm", 3: "micron"}
_MM_PER_UNIT = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
_KINDS = {"V": "colours", "c": "complex numbers", "b": "single bits"}
_SILENT = logging.Logger("caiseg.nifti", level=logging.CRITICAL + 1)


@dataclass(frozen=True)
class _Layout:
    """Where the voxels of one volume lie in the file."""

    shape: tuple[int, ...]
    volumes: int
    dtype: np.dtype[Any]
    scaling: tuple[float, float] | None
    offset: int

    @property
    def volume_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_nifti(path: Path, *, volume_index: int | None, limits: Limits) -> RawScan:
    """Read one volume of a NIfTI file.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file; which of them is found out from its content.
        volume_index: Which volume of a 4-D file; None for the first.
        limits: How large the file may be.

    Raises:
        InvalidInput: The file is damaged, is no NIfTI file, or holds no scan.
    """
    with open_stream(path) as stream:
        raw, consumed = _read_header(stream)
        header = _checked(raw)
        layout = _layout(header, limits)
        index = choose_volume(layout.volumes, volume_index)
        stream.skip(layout.offset - consumed + index * layout.volume_bytes)
        voxels, rounding = _read_voxels(stream, layout)
        stream.skip((layout.volumes - index - 1) * layout.volume_bytes)
        stream.finish()
    native, affine, notices = _geometry(raw, header, layout.shape)
    if layout.volumes > 1 and volume_index is None:
        notices.append(f"The file holds {layout.volumes} volumes; the first one is used.")
    data = voxels.reshape(native.shape_3d, order="F")
    return RawScan(data, affine, native, notices + rounding.notices, layout.volumes)


def _read_voxels(stream: ScanStream, layout: _Layout) -> tuple[npt.NDArray[Any], Rounding]:
    """Voxels of one volume in the file's order, in the type that they are kept in."""
    stream.expect(layout.volume_bytes)
    voxels = np.empty(math.prod(layout.shape), kept_type(layout.dtype, layout.scaling))
    rounding, step = Rounding(), max(1, CHUNK // layout.dtype.itemsize)
    for start in range(0, voxels.size, step):
        part = voxels[start : start + step]
        stored = stream.read_exactly(part.size * layout.dtype.itemsize)
        part[:], rounded = compact(np.frombuffer(stored, layout.dtype), layout.scaling)
        rounding += rounded
    return voxels, rounding


def _read_header(stream: ScanStream) -> tuple[nib.Nifti1Header, int]:
    """The header as it stands in the file, and the number of bytes read."""
    start = stream.read_up_to(4)
    if not start:
        raise InvalidInput("The file is empty; export or download it again.")
    for order in ("little", "big"):
        header_class = _HEADERS.get(int.from_bytes(start, order))
        if header_class is not None:
            block = start + stream.read_up_to(header_class.sizeof_hdr - 4)
            if len(block) < header_class.sizeof_hdr:
                raise truncated()
            return header_class(block, endianness=order, check=False), len(block)
    raise InvalidInput(
        "The file is not a NIfTI scan, whatever its name says; choose a .nii or .nii.gz file."
    )


def _checked(raw: nib.Nifti1Header) -> nib.Nifti1Header:
    """A copy with harmless faults put right by nibabel's own header checks."""
    if not np.isfinite(raw["pixdim"][:4]).all():
        raise InvalidInput(
            "The header's voxel size is not a number; correct the spacing and export it again."
        )
    header: nib.Nifti1Header = raw.copy()
    try:
        header.check_fix(logger=_SILENT, error_level=40)
    except HeaderDataError as error:
        raise InvalidInput(
            f"The NIfTI header is damaged ({error}); export the scan again."
        ) from error
    if header["magic"].item() != header.single_magic:
        raise InvalidInput(
            "The file is the header of a NIfTI pair and holds no voxels; save the scan as one "
            ".nii or .nii.gz file."
        )
    return header


def _layout(header: nib.Nifti1Header, limits: Limits) -> _Layout:
    dimensions = int(header["dim"][0])
    if not 2 <= dimensions <= 7:
        raise InvalidInput(
            f"The header announces {dimensions} dimensions, but a scan has 3 (or 2 or 4); "
            "export it again."
        )
    sizes = [int(size) for size in header["dim"][1 : dimensions + 1]]
    limits.check_size(sizes)
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise InvalidInput(
            f"The scan's voxels are {_KINDS.get(dtype.kind, 'of an unknown type')}, not single "
            "real values; export it as a grey-scale scan."
        )
    offset = float(header["vox_offset"]) or float(header.single_vox_offset)
    if not offset <= MAX_DATA_OFFSET:
        raise InvalidInput("The header says that the voxels begin far beyond it; export it again.")
    scaling = _scaling(header)
    # As it is read, and again in the order of the display grid.
    limits.check_memory(sizes[:3], 2 * kept_type(dtype, scaling).itemsize * math.prod(sizes[:3]))
    return _Layout(tuple(sizes[:3]), math.prod(sizes[3:]), dtype, scaling, int(offset))


def _scaling(header: nib.Nifti1Header) -> tuple[float, float] | None:
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError:
        raise InvalidInput(
            "The header's intensity offset is not a number; export the scan again."
        ) from None
    return None if slope is None else (slope, intercept)


def _geometry(
    raw: nib.Nifti1Header, header: nib.Nifti1Header, shape: tuple[int, ...]
) -> tuple[NativeGeometry, FloatArray, list[str]]:
    """What to write back, the affine in mm, and what is unusual about them."""
    notices = []
    used = raw["pixdim"][1 : len(shape) + 1]
    if (used == 0).any():
        notices.append(
            "The header gives a voxel size of zero; 1 mm is assumed where nothing else tells it."
        )
    units = _spatial_unit(header)
    qform = _qform(header)
    sform = header.get_sform()
    affine = _best_affine(header, sform, qform)
    affine_mm = affine.copy()
    affine_mm[:3] *= _MM_PER_UNIT[units]
    if units in ("meter", "micron"):
        notices.append(f"The header gives lengths in {units}s; they were converted to mm.")
    notices += check_affine(affine_mm)
    native = NativeGeometry(
        format="nifti",
        shape=shape,
        affine=affine,
        units=units,
        sform=sform,
        sform_code=int(raw["sform_code"]),
        qform=qform,
        qform_code=int(raw["qform_code"]),
        header=raw,
    )
    if header["sform_code"] > 0 and header["qform_code"] > 0 and not _agree(native):
        notices.append(
            "The scan's two orientation matrices (sform and qform) differ: the sform is used, and "
            "masks keep both."
        )
    return native, affine_mm, notices


def _best_affine(
    header: nib.Nifti1Header, sform: FloatArray, qform: FloatArray | None
) -> FloatArray:
    """The sform if it is set, else the qform, else nibabel's default from the voxel size."""
    if header["sform_code"] > 0:
        return sform
    if header["qform_code"] > 0:
        if qform is None:
            raise InvalidInput(
                "The scan's orientation (its qform) is not a rotation; export it again with a "
                "valid orientation."
            )
        return qform
    affine: FloatArray = header.get_base_affine()
    return affine


def _qform(header: nib.Nifti1Header) -> FloatArray | None:
    try:
        qform: FloatArray = header.get_qform()
    except (HeaderDataError, ValueError):
        return None
    return qform


def _agree(native: NativeGeometry) -> bool:
    if native.sform is None or native.qform is None:
        return False
    sform, qform = Grid(native.shape_3d, native.sform), Grid(native.shape_3d, native.qform)
    return sform.coincides_with(qform, tolerance=0.05)


def _spatial_unit(header: nib.Nifti1Header) -> str:
    """What its bits say; those of the unit of time beside them may be anything."""
    return _UNITS.get(int(header["xyzt_units"]) & 7, "unknown")
