"""Mask files: labels written in the geometry of the scan that they belong to."""

from __future__ import annotations

import gzip
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from caiseg.errors import InvalidInput
from caiseg.reading.geometry import is_sheared
from caiseg.reading.itk import LPS_TO_RAS
from caiseg.reading.scan import NativeGeometry


def write_mask(mask: npt.NDArray[Any], native: NativeGeometry, path: Path) -> None:
    """Write labels as uint8, complete or not at all.

    Args:
        mask: Bool or integer array ``(I, J, K)`` on the native grid, values 0 to 255.
        native: The geometry to write it in.
        path: A ``.nii`` or ``.nii.gz`` file; ``.nrrd`` for a scan that came as one.

    Raises:
        InvalidInput: The values are no labels, the suffix is another, or the disk refuses.
    """
    labels = _as_labels(mask).reshape(native.shape)
    name = path.name.lower()
    if name.endswith(".nii.gz"):
        # Neither time nor name go into the file, so that the same mask gives the same bytes.
        content = gzip.compress(nifti_bytes(labels, native), compresslevel=6, mtime=0)
        with _replacing(path) as partial:
            partial.write_bytes(content)
    elif name.endswith(".nii"):
        with _replacing(path) as partial:
            partial.write_bytes(nifti_bytes(labels, native))
    elif name.endswith(".nrrd") and native.format == "nrrd":
        with _replacing(path) as partial:
            sitk.WriteImage(_itk_image(labels, native), str(partial), imageIO="NrrdImageIO")
    else:
        raise InvalidInput(f"A mask cannot be saved as '{path.name}'; end its name in .nii.gz.")


def nifti_bytes(labels: npt.NDArray[np.uint8], native: NativeGeometry) -> bytes:
    """A NIfTI file of ``labels``, in the native geometry to the last bit."""
    header = _new_header(native) if native.header is None else native.header.copy()
    _forget_intensities(header)
    header.set_data_dtype(np.uint8)
    sizes = np.ones(8, dtype=np.int64)
    sizes[: labels.ndim + 1] = labels.ndim, *labels.shape
    header["dim"] = sizes
    no_extension = bytes(4)
    return bytes(header.binaryblock) + no_extension + labels.tobytes(order="F")


def _forget_intensities(header: nib.Nifti1Header) -> None:
    """Leave the geometry and units, and reset what described the scan's values or its person."""
    header["magic"] = header.single_magic
    header["vox_offset"] = header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0
    for field in ("cal_min", "cal_max", "intent_code", "intent_p1", "intent_p2", "intent_p3"):
        header[field] = 0
    for field in ("descrip", "aux_file", "intent_name"):
        header[field] = b""
    if "db_name" in header:
        header["db_name"], header["data_type"] = b"", b""


def _new_header(native: NativeGeometry) -> nib.Nifti1Header:
    """A header for a scan that did not come as NIfTI."""
    header = nib.Nifti1Header()
    header.set_data_shape(native.shape)
    header.set_sform(native.affine, code="scanner")
    # A qform cannot hold shear, and a wrong one is worse than none.
    code = "unknown" if is_sheared(native.affine) else "scanner"
    header.set_qform(native.affine, code=code, strip_shears=True)
    header.set_xyzt_units("mm")
    return header


def _itk_image(labels: npt.NDArray[np.uint8], native: NativeGeometry) -> sitk.Image:
    """The labels as a SimpleITK image, whose world axes are LPS."""
    dimensions = labels.ndim
    affine = (LPS_TO_RAS @ native.affine)[:3]
    axes, origin = affine[:dimensions, :dimensions], affine[:dimensions, 3]
    spacing = np.linalg.norm(axes, axis=0)
    image = sitk.GetImageFromArray(labels.transpose())
    image.SetOrigin(origin.tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((axes / spacing).flatten().tolist())
    return image


def _as_labels(mask: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if mask.dtype.kind not in "biu":
        raise InvalidInput(
            f"A mask holds whole numbers or true and false, not {mask.dtype.name}; threshold it."
        )
    if mask.min() < 0 or mask.max() > 255:
        raise InvalidInput("A mask file holds labels from 0 to 255; number the objects anew.")
    return mask.astype(np.uint8)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path`` for a file that takes its place once it is written completely."""
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        raise InvalidInput(
            f"The mask cannot be written to '{path}'; check that the folder exists, that you may "
            "write to it, and that the disk is not full."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
