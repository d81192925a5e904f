"""Masks are written back on the grid that the scan came with, to the last bit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from hypothesis import given, settings

from caiseg.errors import InvalidInput
from caiseg.volume import load_labels, load_mask, load_volume
from tests.caiseg.scan_files import (
    OBLIQUE,
    FloatArray,
    a_mask,
    affines,
    dicom_slice,
    itk_image,
    rotated_affine,
    shapes,
    voxels,
    write_nifti,
    write_series,
)

GEOMETRY_FIELDS = (
    *("srow_x", "srow_y", "srow_z", "sform_code"),
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    "xyzt_units",
)


def read_header(path: Path) -> Any:
    return nib.load(path).header


@settings(max_examples=25, deadline=None)
@given(shape=shapes(), affine=affines())
def test_an_exported_mask_reads_back_the_same_and_overlays_the_scan(
    shape: tuple[int, int, int], affine: FloatArray
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scan, saved = Path(folder, "scan.nii.gz"), Path(folder, "mask.nii.gz")
        volume = load_volume(write_nifti(scan, voxels(shape), affine))
        mask = a_mask(volume.shape)
        volume.save_mask(mask, saved)
        np.testing.assert_array_equal(load_mask(saved, volume), mask)
        in_nibabel = nib.load(saved)
        np.testing.assert_array_equal(in_nibabel.affine, nib.load(scan).affine)
        np.testing.assert_array_equal(in_nibabel.dataobj, volume.to_native(mask))
        in_itk, scan_in_itk = sitk.ReadImage(str(saved)), sitk.ReadImage(str(scan))
    assert in_itk.GetDirection() == scan_in_itk.GetDirection()
    assert in_itk.GetOrigin() == scan_in_itk.GetOrigin()
    assert in_itk.GetSpacing() == scan_in_itk.GetSpacing()
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(in_itk).transpose(), volume.to_native(mask)
    )


@pytest.mark.parametrize("codes", [(0, 0), (0, 1), (1, 0), (2, 1), (4, 4)])
@pytest.mark.parametrize("header_class", [nib.Nifti1Header, nib.Nifti2Header])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_mask_keeps_both_forms_their_codes_and_units_to_the_last_bit(
    tmp_path: Path, codes: tuple[int, int], header_class: Any, name: str
) -> None:
    fields = {"sform_code": codes[0], "qform_code": codes[1], "qoffset_y": 0.1, "xyzt_units": 10}
    scan = write_nifti(tmp_path / name, fields=fields, header_class=header_class)
    volume = load_volume(scan)
    volume.save_mask(a_mask(volume.shape), tmp_path / "mask.nii")
    before, after = read_header(scan), read_header(tmp_path / "mask.nii")
    for field in GEOMETRY_FIELDS:
        assert before[field].tobytes() == after[field].tobytes(), field
    assert before["pixdim"][:4].tobytes() == after["pixdim"][:4].tobytes()
    assert after.sizeof_hdr == header_class.sizeof_hdr
    assert after.get_data_dtype() == np.uint8


@pytest.mark.parametrize("codes", [(0, 0), (0, 1), (1, 0), (2, 1), (4, 4)])
def test_a_mask_lies_where_simpleitk_puts_the_scan_whatever_the_codes(
    tmp_path: Path, codes: tuple[int, int]
) -> None:
    # NIfTI-2 is left out here: SimpleITK does not read it.
    fields = {"sform_code": codes[0], "qform_code": codes[1]}
    scan = write_nifti(tmp_path / "scan.nii", fields=fields)
    volume = load_volume(scan)
    volume.save_mask(a_mask(volume.shape), tmp_path / "mask.nii")
    mask_in_itk, scan_in_itk = (sitk.ReadImage(str(p)) for p in (tmp_path / "mask.nii", scan))
    assert mask_in_itk.GetDirection() == scan_in_itk.GetDirection()
    assert mask_in_itk.GetOrigin() == scan_in_itk.GetOrigin()
    assert mask_in_itk.GetSpacing() == scan_in_itk.GetSpacing()


def test_harmless_faults_of_a_header_are_written_back_as_they_were(tmp_path: Path) -> None:
    # A qfac of 0 means 1, a negative voxel size means its absolute value, and 9 is no form code.
    fields = {"pixdim": [0, -1, 2, 3, 0, 0, 0, 0], "qform_code": 9}
    scan = write_nifti(tmp_path / "scan.nii", fields=fields)
    volume = load_volume(scan)
    volume.save_mask(a_mask(volume.shape), tmp_path / "mask.nii")
    before, after = (p.read_bytes() for p in (scan, tmp_path / "mask.nii"))
    assert before[76:92] == after[76:92]
    assert before[252:328] == after[252:328]


def test_a_big_endian_scan_gets_a_mask_with_the_same_bytes_of_geometry(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(), rotated_affine()).to_bytes()
    header = nib.Nifti1Header(image[:348]).as_byteswapped(">")
    header.set_data_dtype(np.dtype(">i2"))
    path = tmp_path / "scan.nii"
    path.write_bytes(header.binaryblock + bytes(4) + voxels().astype(">i2").tobytes(order="F"))
    volume = load_volume(path)
    np.testing.assert_array_equal(volume.to_native(volume.data), voxels())
    assert volume.data.dtype == np.dtype("=i2")
    volume.save_mask(volume.data > 50, tmp_path / "mask.nii")
    assert (tmp_path / "mask.nii").read_bytes()[280:328] == path.read_bytes()[280:328]
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii", volume), volume.data > 50)


def test_a_sheared_scan_keeps_its_matrix_and_says_so(tmp_path: Path) -> None:
    scan = write_nifti(tmp_path / "scan.nii", affine=OBLIQUE)
    volume = load_volume(scan)
    assert any("shear" in notice for notice in volume.notices)
    volume.save_mask(a_mask(volume.shape), tmp_path / "mask.nii")
    np.testing.assert_array_equal(nib.load(tmp_path / "mask.nii").affine, nib.load(scan).affine)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii", volume), a_mask(volume.shape))


def test_the_scaling_and_remarks_of_a_scan_do_not_reach_its_mask(tmp_path: Path) -> None:
    fields = {
        "scl_slope": 2.5,
        "scl_inter": -7,
        "cal_max": 90,
        "descrip": b"John",
        "intent_code": 3,
    }
    volume = load_volume(write_nifti(tmp_path / "scan.nii", fields=fields))
    np.testing.assert_allclose(volume.to_native(volume.data), voxels() * 2.5 - 7)
    volume.save_mask(a_mask(volume.shape), tmp_path / "mask.nii")
    header = read_header(tmp_path / "mask.nii")
    # nibabel shows a neutral scaling as NaN once it has read it, so the bytes are looked at.
    raw = nib.Nifti1Header((tmp_path / "mask.nii").read_bytes()[:348], check=False)
    assert (float(raw["scl_slope"]), float(raw["scl_inter"])) == (1, 0)
    assert (float(header["cal_min"]), float(header["cal_max"])) == (0, 0)
    assert (header["descrip"].item(), int(header["intent_code"])) == (b"", 0)


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz", "mask.nrrd"])
def test_the_same_mask_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(itk_image(), str(tmp_path / "scan.nrrd"))
    volume = load_volume(tmp_path / "scan.nrrd")
    (tmp_path / "again").mkdir()
    for folder in (tmp_path, tmp_path / "again"):
        volume.save_mask(a_mask(volume.shape), folder / name)
    content = (tmp_path / name).read_bytes()
    assert content == (tmp_path / "again" / name).read_bytes()
    if name.endswith(".gz"):
        assert content[4:8] == bytes(4), "the time of writing is in the file"


def test_labels_of_several_objects_are_kept(tmp_path: Path) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii"))
    labels = np.zeros(volume.shape, dtype=np.int32)
    labels[0, 0, 0], labels[1, 2, 1] = 255, 7
    volume.save_mask(labels, tmp_path / "labels.nii.gz")
    saved = np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj)
    np.testing.assert_array_equal(volume.from_native(saved), labels)


@pytest.mark.parametrize(
    ("mask", "name", "words"),
    [
        (np.zeros((6, 5, 5), bool), "mask.nii", "does not fit"),
        (np.full((4, 6, 5), 256), "mask.nii", "0 to 255"),
        (np.full((4, 6, 5), -1), "mask.nii", "0 to 255"),
        (np.zeros((4, 6, 5)), "mask.nii", "threshold"),
        (np.zeros((4, 6, 5), bool), "mask.png", r"\.nii\.gz"),
        (np.zeros((4, 6, 5), bool), "mask.nrrd", r"\.nii\.gz"),
        (np.zeros((4, 6, 5), bool), "missing/mask.nii", "folder exists"),
    ],
)
def test_what_is_no_mask_of_this_scan_is_refused(
    tmp_path: Path, mask: npt.NDArray[Any], name: str, words: str
) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii"))
    assert volume.shape == (4, 6, 5)
    with pytest.raises(InvalidInput, match=words):
        volume.save_mask(mask, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii"]


def test_a_mask_appears_complete_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii"))
    target = tmp_path / "mask.nii"
    volume.save_mask(a_mask(volume.shape), target)
    before = target.read_bytes()

    def fill_the_disk(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(InvalidInput, match="disk is not full"):
        volume.save_mask(~a_mask(volume.shape), target)
    assert target.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"scan.nii", "mask.nii"}


def test_a_2d_scan_is_one_slice_and_its_mask_is_2d(tmp_path: Path) -> None:
    affine = rotated_affine()
    scan = write_nifti(tmp_path / "scan.nii", voxels((7, 5)), affine)
    volume = load_volume(scan)
    assert sorted(volume.shape) == [1, 5, 7]
    assert any("single slice" in notice for notice in volume.notices)
    mask = a_mask(volume.shape)
    volume.save_mask(mask, tmp_path / "mask.nii")
    assert nib.load(tmp_path / "mask.nii").shape == (7, 5)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii", volume), mask)
    assert sitk.ReadImage(str(tmp_path / "mask.nii")).GetSize() == (7, 5)


def test_the_mask_of_a_4d_scan_is_3d(tmp_path: Path) -> None:
    scan = write_nifti(tmp_path / "scan.nii", voxels((6, 5, 4, 3)))
    volume = load_volume(scan)
    volume.save_mask(a_mask(volume.shape), tmp_path / "mask.nii")
    assert nib.load(tmp_path / "mask.nii").shape == (6, 5, 4)
    np.testing.assert_array_equal(nib.load(tmp_path / "mask.nii").affine, nib.load(scan).affine)


@pytest.mark.parametrize(
    ("name", "mask_name"),
    [("scan.nrrd", "mask.nrrd"), ("scan.nrrd", "mask.nii.gz"), ("scan.mha", "mask.nii.gz")],
)
def test_the_mask_of_an_itk_scan_overlays_it(tmp_path: Path, name: str, mask_name: str) -> None:
    scan, saved = tmp_path / name, tmp_path / mask_name
    sitk.WriteImage(itk_image(), str(scan))
    volume = load_volume(scan)
    volume.save_mask(volume.data > 60, saved)
    np.testing.assert_array_equal(load_mask(saved, volume), volume.data > 60)
    image, mask = sitk.ReadImage(str(scan)), sitk.ReadImage(str(saved))
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(image) > 60, sitk.GetArrayFromImage(mask) > 0
    )
    np.testing.assert_allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(mask.GetSpacing(), image.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection(), atol=1e-6)


def test_the_mask_of_a_dicom_scan_is_a_nifti_file_in_its_place(tmp_path: Path) -> None:
    volume = load_volume(write_series(tmp_path / "ct.zip", [dicom_slice(n) for n in range(3)]))
    volume.save_mask(volume.data > 100, tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (1, 1)
    assert mask.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(mask.affine, volume.native.affine, atol=1e-4)
    np.testing.assert_allclose(mask.header.get_qform(), volume.native.affine, atol=1e-4)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii.gz", volume), volume.data > 100)


def test_a_sheared_dicom_scan_has_no_qform_that_would_place_it_wrongly(tmp_path: Path) -> None:
    slices = [dicom_slice(n) for n in range(3)]
    for n, dataset in enumerate(slices):
        dataset.ImagePositionPatient[2] += 0.8 * n
    volume = load_volume(write_series(tmp_path / "tilted.zip", slices))
    volume.save_mask(volume.data > 100, tmp_path / "mask.nii")
    header = read_header(tmp_path / "mask.nii")
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)


def test_each_label_of_a_mask_file_is_a_mask(tmp_path: Path) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii", affine=OBLIQUE))
    labels = np.zeros(volume.shape, np.uint8)
    labels[0], labels[2:4] = 7, 2
    volume.save_mask(labels, tmp_path / "labels.nii.gz")
    masks = load_labels(tmp_path / "labels.nii.gz", volume)
    assert list(masks) == [2, 7]
    for label, mask in masks.items():
        np.testing.assert_array_equal(mask, labels == label)


@pytest.mark.parametrize("values", [(0.2, 0.9), (300, 1), (0, 0)], ids=str)
def test_values_that_are_no_labels_are_one_mask(
    tmp_path: Path, values: tuple[float, float]
) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii"))
    data = np.zeros(volume.native.shape, np.float32)
    data[0], data[1] = values
    (mask,) = load_labels(write_nifti(tmp_path / "mask.nii", data), volume).values()
    np.testing.assert_array_equal(volume.to_native(mask), data > 0)
