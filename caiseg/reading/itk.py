"""NRRD and MetaImage scans, read by SimpleITK."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from caiseg.errors import InvalidInput
from caiseg.reading.geometry import check_affine, choose_volume
from caiseg.reading.limits import Limits
from caiseg.reading.scan import FloatArray, Format, NativeGeometry, RawScan
from caiseg.reading.stream import CHUNK, DEFLATE_MAX_RATIO, damaged, truncated
from caiseg.reading.text_headers import Payload, meta_payload, nrrd_payload
from caiseg.reading.voxels import compact, kept_type

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""SimpleITK's world axes point to the left and to posterior, NIfTI's to the right and anterior."""

_TYPES: dict[int, np.dtype[Any]] = {
    sitk.sitkUInt8: np.dtype(np.uint8),
    sitk.sitkInt8: np.dtype(np.int8),
    sitk.sitkUInt16: np.dtype(np.uint16),
    sitk.sitkInt16: np.dtype(np.int16),
    sitk.sitkUInt32: np.dtype(np.uint32),
    sitk.sitkInt32: np.dtype(np.int32),
    sitk.sitkUInt64: np.dtype(np.uint64),
    sitk.sitkInt64: np.dtype(np.int64),
    sitk.sitkFloat32: np.dtype(np.float32),
    sitk.sitkFloat64: np.dtype(np.float64),
}


def read_nrrd(path: Path, *, volume_index: int | None, limits: Limits) -> RawScan:
    """Read one volume of a ``.nrrd`` file.

    Raises:
        InvalidInput: The file is damaged, is no NRRD file, or holds no scan.
    """
    return _read(path, "nrrd", "NrrdImageIO", nrrd_payload(path), volume_index, limits)


def read_meta(path: Path, *, volume_index: int | None, limits: Limits) -> RawScan:
    """Read one volume of a ``.mha`` file, or of a ``.mhd`` file with its voxels beside it.

    Raises:
        InvalidInput: The file is damaged, is no MetaImage file, or holds no scan.
    """
    return _read(path, "meta", "MetaImageIO", meta_payload(path), volume_index, limits)


def ras_affine(
    origin: Sequence[float], spacing: Sequence[float], direction: Sequence[float]
) -> FloatArray:
    """The 4x4 RAS+ affine of a SimpleITK geometry, which is LPS.

    Args:
        origin: World position of voxel 0 in mm, of 2 to 4 dimensions.
        spacing: Voxel size in mm.
        direction: Row-major matrix of the axes' directions.
    """
    dimensions = len(spacing)
    axes = np.asarray(direction, dtype=np.float64).reshape(dimensions, dimensions) * spacing
    used = min(dimensions, 3)
    affine = np.eye(4)
    affine[:used, :used] = axes[:used, :used]
    affine[:used, 3] = origin[:used]
    return LPS_TO_RAS @ affine


def _read(
    path: Path,
    file_format: Format,
    image_io: str,
    payload: Payload,
    volume_index: int | None,
    limits: Limits,
) -> RawScan:
    # ITK tells about damaged files on the terminal too; the sentence that is raised is enough.
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size = reader.GetSize()
    limits.check_size(size)
    dtype = _TYPES.get(reader.GetPixelID())
    if dtype is None or reader.GetNumberOfComponents() != 1:
        raise InvalidInput(
            "The scan's voxels are colours, vectors or complex numbers, not single values; export "
            "it as a grey-scale scan."
        )
    volumes = math.prod(size[3:])
    index = choose_volume(volumes, volume_index)
    affine = ras_affine(reader.GetOrigin(), reader.GetSpacing(), reader.GetDirection())
    notices = check_affine(affine)
    if not payload.has_spacing:
        notices.append("The header does not give the voxel size; 1 mm is assumed.")
    if volumes > 1 and volume_index is None:
        notices.append(f"The file holds {volumes} volumes; the first one is used.")
    stored, kept = math.prod(size) * dtype.itemsize, kept_type(dtype).itemsize
    _verify(payload, stored)
    # SimpleITK holds the whole file, a compressed one beside its voxels, until a volume is copied
    # out; that is held twice while it is brought into the order of the display grid.
    whole = stored + (payload.path.stat().st_size if payload.compressed else 0)
    volume = kept * math.prod(size[:3])
    limits.check_memory(size, max(whole + volume, 2 * volume))
    image = reader.Execute()
    voxels, rounding = compact(_volume(sitk.GetArrayViewFromImage(image), index))
    native = NativeGeometry(format=file_format, shape=tuple(size[:3]), affine=affine)
    return RawScan(voxels, affine, native, notices + rounding.notices, volumes)


def _volume(array: npt.NDArray[Any], index: int) -> npt.NDArray[Any]:
    """One volume ``(I, J, K)`` of an array in SimpleITK's order, the last axis first."""
    if array.ndim == 4:
        array = array[index]
    voxels: npt.NDArray[Any] = array.transpose()
    return voxels if voxels.ndim == 3 else voxels[:, :, np.newaxis]


def _verify(payload: Payload, count: int) -> None:
    """Make sure that the file holds the ``count`` bytes that its header announces, undamaged."""
    stored = payload.path.stat().st_size - payload.offset
    if payload.compressed_bytes is not None:
        stored = min(stored, payload.compressed_bytes)
    if count > stored * (DEFLATE_MAX_RATIO if payload.compressed else 1):
        raise truncated()
    if not payload.compressed:
        return
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    found = 0
    with payload.path.open("rb") as file:
        file.seek(payload.offset)
        data = b""
        while not decoder.eof:
            if not data:
                data = file.read(min(CHUNK, stored))
                stored -= len(data)
                if not data:
                    raise truncated()
            try:
                found += len(decoder.decompress(data, CHUNK))
            except zlib.error:
                raise damaged() from None
            data = decoder.unconsumed_tail
            if found > count:
                break
    if found != count:
        raise damaged()
