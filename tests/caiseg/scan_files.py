"""Scans on disk, of every format, for the tests of reading."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scipy.spatial.transform import Rotation

from caiseg.grids import Grid

FloatArray = npt.NDArray[np.float64]


@st.composite
def affines(draw: st.DrawFn) -> FloatArray:
    """Oblique, flipped, permuted and anisotropic affines, as scanners and converters make them."""
    angles = draw(st.tuples(*[st.floats(-40, 40)] * 3))
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    axes = axes[:, draw(st.permutations(range(3)))]
    axes = axes * draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    affine = np.eye(4)
    affine[:3, :3] = axes * draw(st.tuples(*[st.floats(0.3, 7)] * 3))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-400, 400)] * 3))
    return affine


def shapes(largest: int = 9) -> st.SearchStrategy[tuple[int, int, int]]:
    """Small grids of three different lengths, more often than not."""
    return st.tuples(*[st.integers(1, largest)] * 3)


OBLIQUE = np.array(
    [[-0.9, 0.2, 0.1, 80.0], [0.15, 1.1, -1.4, -95.0], [0.1, 0.6, 2.7, -40.0], [0, 0, 0, 1]]
)
"""Far from the axes, flipped, and sheared a little by the choice of round numbers."""


def rotated_affine() -> FloatArray:
    """Oblique, flipped, permuted, anisotropic; with perpendicular axes."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (12, -7, 20), degrees=True).as_matrix()
    affine[:3, :3] = affine[:3, [1, 2, 0]] * (-0.8, 1.2, 3.5)
    affine[:3, 3] = (71.0, -102.0, 33.0)
    return affine


def all_voxels(grid: Grid) -> FloatArray:
    """Coordinates ``(I, J, K, 3)`` of every voxel of a grid."""
    return np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1).astype(float)


def voxels(shape: tuple[int, ...] = (6, 5, 4), dtype: Any = np.int16) -> npt.NDArray[Any]:
    """Values that are all different, so that no flip goes unseen."""
    return np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape).astype(dtype)


def a_mask(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """A mask without any symmetry."""
    return np.random.default_rng(1).random(shape) > 0.6


def write_nifti(
    path: Path,
    data: npt.NDArray[Any] | None = None,
    affine: npt.NDArray[Any] | None = None,
    *,
    header_class: Any = nib.Nifti1Header,
    fields: Mapping[str, Any] | None = None,
) -> Path:
    """Write a NIfTI file; ``fields`` overwrite those of its header just before it is written."""
    data = voxels() if data is None else data
    image_class = nib.Nifti2Image if header_class is nib.Nifti2Header else nib.Nifti1Image
    image = image_class(data, rotated_affine() if affine is None else affine, dtype=data.dtype)
    image.set_qform(image.affine, code=1, strip_shears=True)
    content = bytearray(image.to_bytes())
    header = header_class(bytes(content[: header_class.sizeof_hdr]), check=False)
    for name, value in (fields or {}).items():
        header[name] = value
    content[: header_class.sizeof_hdr] = header.binaryblock
    return write_bytes(path, bytes(content))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write ``content``, compressed where the name says so."""
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def itk_image(data: npt.NDArray[Any] | None = None) -> sitk.Image:
    """An oblique SimpleITK image; its arrays are ordered ``(k, j, i)``, its world axes LPS."""
    data = voxels() if data is None else data
    image = sitk.GetImageFromArray(data.transpose())
    if data.ndim == 3:
        image.SetDirection(
            Rotation.from_euler("xyz", (15, 100, -20), degrees=True).as_matrix().ravel()
        )
        image.SetSpacing((0.7, 1.3, 4.0))
        image.SetOrigin((-33.0, 57.0, 101.0))
    return image


def dicom_slice(index: int, **elements: Any) -> pydicom.Dataset:
    """One image of an oblique CT series with slices 2.5 mm apart; ``elements`` overwrite it."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"1.2.3.4.{index}"
    dataset.SeriesInstanceUID = "1.2.3.4"
    dataset.SeriesDescription = "CT thorax"
    dataset.Modality = "CT"
    dataset.InstanceNumber = index + 1
    row, column = np.array([0.8, 0.6, 0.0]), np.array([0.0, 0.0, -1.0])
    position = np.array([-40.0, 12.5, 300.0]) + 2.5 * index * np.cross(row, column)
    dataset.ImageOrientationPatient = [*row, *column]
    dataset.ImagePositionPatient = [float(value) for value in position]
    dataset.PixelSpacing = [0.9, 0.6]
    dataset.SliceThickness = 2.5
    dataset.Rows, dataset.Columns = 4, 6
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.PixelData = slice_pixels(index).tobytes()
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def slice_pixels(index: int) -> npt.NDArray[np.int16]:
    """Stored values ``(rows, columns)`` of :func:`dicom_slice`."""
    return (np.arange(24).reshape(4, 6) + 100 * index).astype(np.int16)


def dicom_bytes(dataset: pydicom.Dataset) -> bytes:
    """The dataset as a DICOM file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def write_zip(path: Path, members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    """Write a zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def write_series(path: Path, datasets: Iterable[pydicom.Dataset]) -> Path:
    """Write a zip archive of DICOM files in the given order."""
    members = [(f"DICOM/IM{n:04d}", dicom_bytes(dataset)) for n, dataset in enumerate(datasets)]
    return write_zip(path, members)
