"""A scan is shown in canonical order and knows its place; a mask is known by its own."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings

from caiseg.errors import InvalidInput
from caiseg.volume import load_mask, load_volume
from tests.caiseg.scan_files import (
    FloatArray,
    a_mask,
    affines,
    rotated_affine,
    shapes,
    voxels,
    write_nifti,
)


@settings(max_examples=25, deadline=None)
@given(shape=shapes(), affine=affines())
def test_a_scan_is_read_as_nibabel_reads_it_in_closest_canonical_order(
    shape: tuple[int, int, int], affine: FloatArray
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_nifti(Path(folder, "scan.nii"), voxels(shape), affine)
        reference = nib.as_closest_canonical(nib.load(path))
        volume = load_volume(path)
        np.testing.assert_array_equal(volume.data, reference.get_fdata())
    np.testing.assert_allclose(volume.affine, reference.affine, atol=1e-4)
    np.testing.assert_allclose(volume.spacing, reference.header.get_zooms(), rtol=1e-5)
    assert volume.shape == volume.data.shape
    assert volume.name == "scan.nii"


def test_the_hash_tells_scans_apart_by_voxels_and_by_place(tmp_path: Path) -> None:
    changed, moved = voxels(), rotated_affine()
    changed[0, 0, 0] += 1
    moved[0, 3] += 1
    paths = [
        write_nifti(tmp_path / "scan.nii"),
        write_nifti(tmp_path / "changed.nii", changed),
        write_nifti(tmp_path / "moved.nii", affine=moved),
    ]
    hashes = {load_volume(path).content_hash for path in paths}
    assert len(hashes) == 3
    assert all(len(content_hash) == 64 for content_hash in hashes)
    copied = write_nifti(tmp_path / "copy.nii.gz")
    assert load_volume(copied).content_hash in hashes


def test_lengths_in_other_units_become_millimetres_and_masks_keep_the_unit(
    tmp_path: Path,
) -> None:
    microns = rotated_affine()
    microns[:3] *= 1000
    scan = write_nifti(tmp_path / "scan.nii", affine=microns, fields={"xyzt_units": 3})
    volume = load_volume(scan)
    expected = load_volume(write_nifti(tmp_path / "mm.nii"))
    np.testing.assert_allclose(volume.affine, expected.affine, rtol=1e-5)
    assert any("micron" in notice for notice in volume.notices)
    volume.save_mask(a_mask(volume.shape), tmp_path / "mask.nii")
    assert nib.load(tmp_path / "mask.nii").header.get_xyzt_units()[0] == "micron"
    np.testing.assert_array_equal(nib.load(tmp_path / "mask.nii").affine, nib.load(scan).affine)
    # SimpleITK converts the unit as well, so it agrees with the volume.
    spacing = sitk.ReadImage(str(tmp_path / "mask.nii")).GetSpacing()
    assert math.isclose(min(spacing), min(volume.spacing), rel_tol=1e-5)


def test_the_mask_of_another_scan_is_refused(tmp_path: Path) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii"))
    moved = rotated_affine()
    moved[0, 3] += 3
    write_nifti(tmp_path / "moved.nii", affine=moved)
    write_nifti(tmp_path / "larger.nii", voxels((6, 5, 5)))
    for name in ("moved.nii", "larger.nii"):
        with pytest.raises(InvalidInput, match="another scan"):
            load_mask(tmp_path / name, volume)


def test_a_mask_stored_in_another_order_is_recognised(tmp_path: Path) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii"))
    mask = a_mask(volume.shape)
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), volume.affine), tmp_path / "canonical.nii")
    np.testing.assert_array_equal(load_mask(tmp_path / "canonical.nii", volume), mask)


def test_real_scans_survive_the_round_trip(data_folder: Path, tmp_path: Path) -> None:
    scans = sorted(data_folder.glob("*/*/image.nii.gz"))[::40]
    assert scans, "CAISEG_DATA holds no scan"
    for path in scans:
        volume = load_volume(path)
        mask = volume.data > volume.data.mean()
        volume.save_mask(mask, tmp_path / "mask.nii.gz")
        np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii.gz", volume), mask)
        image, saved = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / "mask.nii.gz"))
        assert saved.GetDirection() == image.GetDirection()
        assert saved.GetOrigin() == image.GetOrigin()
        assert saved.GetSpacing() == image.GetSpacing()
