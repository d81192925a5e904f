"""The pixels of DICOM images: plain ones read by pydicom, compressed ones by GDCM in SimpleITK."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, SecondaryCaptureImageStorage, generate_uid

from caiseg.errors import InvalidInput
from caiseg.reading.codestreams import check_codestream
from caiseg.reading.dicom_slices import Slice
from caiseg.reading.rounding import Rounding
from caiseg.reading.stream import truncated
from caiseg.reading.voxels import compact

_PIXEL_TAGS = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
]


def read_pixels(slices: Sequence[Slice]) -> tuple[npt.NDArray[Any], Rounding]:
    """Decode a stack of images and scale them to what they measure.

    Args:
        slices: Images of one size and pixel type; their files may be overwritten.

    Returns:
        Array ``(columns, rows, slices)``: float32 where any slice is scaled, else the type that
        :func:`~caiseg.reading.voxels.compact` keeps; and which values had to be rounded.

    Raises:
        InvalidInput: A file lacks its pixels, or some of them, or its compressed image is another
            than its header says.
    """
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    plain = all(image.scaling == (1.0, 0.0) for image in slices)
    voxels: npt.NDArray[Any] | None = None
    rounding = Rounding()
    for index, image in enumerate(slices):
        pixels, rounded = compact(_stored_pixels(image), None if plain else image.scaling)
        rounding += rounded
        if voxels is None:
            dtype = pixels.dtype if plain else np.float32
            voxels = np.empty((*pixels.shape, len(slices)), dtype=dtype, order="F")
        voxels[:, :, index] = pixels
    assert voxels is not None
    return voxels, rounding


def _stored_pixels(image: Slice) -> npt.NDArray[Any]:
    """Stored values ``(columns, rows)`` of one image."""
    dataset = pydicom.dcmread(image.path, specific_tags=list(_PIXEL_TAGS))
    if "PixelData" not in dataset:
        raise InvalidInput("A DICOM image holds no pixel data; export the series again.")
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if syntax.is_compressed:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        check_codestream(frame, syntax, image.size)
        # One fragment, or a second one could hold an image of its own.
        dataset.PixelData = encapsulate([frame])
        _write_anew(dataset, syntax, image.path)
        decoded = sitk.GetArrayFromImage(sitk.ReadImage(str(image.path), imageIO="GDCMImageIO"))
    else:
        columns, rows = image.size
        if len(dataset.PixelData) < columns * rows * int(dataset.BitsAllocated) // 8:
            raise truncated()
        decoded = dataset.pixel_array
    pixels: npt.NDArray[Any] = decoded.reshape(image.size[::-1]).transpose()
    return pixels


def _write_anew(dataset: pydicom.Dataset, syntax: UID, path: Path) -> None:
    """Write a compressed image with the few elements that decoding needs.

    GDCM takes memory for whatever length a damaged element claims, and knows of scaling rules that
    differ between kinds of images; in a file that pydicom has put together it meets neither.
    """
    clean = pydicom.Dataset()
    clean.file_meta = pydicom.dataset.FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = syntax
    clean.SOPClassUID = SecondaryCaptureImageStorage
    clean.SOPInstanceUID = generate_uid()
    for element in dataset:
        clean.add(element)
    clean.save_as(path, enforce_file_format=True)
