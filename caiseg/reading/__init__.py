"""Reading scans: one file per format, and the checks that every format shares."""

from __future__ import annotations

from pathlib import Path

from caiseg.errors import InvalidInput
from caiseg.reading.dicom import read_dicom_archive
from caiseg.reading.itk import read_meta, read_nrrd
from caiseg.reading.limits import Limits
from caiseg.reading.nifti import read_nifti
from caiseg.reading.scan import NativeGeometry, RawScan

__all__ = ["SUFFIXES", "Limits", "NativeGeometry", "RawScan", "read_scan"]

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".zip")
"""Ends of the file names that can be read, in lower case."""


def read_scan(
    path: Path, *, volume_index: int | None, series: str | None, limits: Limits
) -> RawScan:
    """Read a scan with the reader that its file name calls for.

    Args:
        path: The file.
        volume_index: Which volume of a 4-D scan; None for the first.
        series: UID or description of a DICOM series, where an archive holds several.
        limits: How large it may be.

    Raises:
        InvalidInput: The file is not there, has another suffix, or its reader refuses it.
    """
    if path.is_dir():
        raise InvalidInput(
            f"'{path.name}' is a folder; choose one file, or zip the DICOM images in it."
        )
    if not path.is_file():
        raise InvalidInput(f"There is no file '{path.name}'; check the path.")
    match _suffix(path):
        case ".nii.gz" | ".nii":
            return read_nifti(path, volume_index=volume_index, limits=limits)
        case ".nrrd":
            return read_nrrd(path, volume_index=volume_index, limits=limits)
        case ".mha" | ".mhd":
            return read_meta(path, volume_index=volume_index, limits=limits)
        case ".zip":
            return read_dicom_archive(path, series=series, volume_index=volume_index, limits=limits)
        case _:
            raise InvalidInput(
                f"'{path.name}' is of an unknown type; choose a scan as .nii, .nii.gz, .nrrd, "
                ".mha, .mhd, or a .zip of one DICOM series."
            )


def _suffix(path: Path) -> str | None:
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
