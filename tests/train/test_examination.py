"""What ``python -m train prepare`` finds in scans and masks, and which of them it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.train.labelled_scans import SPACING, labels, save, scan, small_config
from tests.train.preparing import empty_mask, pair, prepare_here, split_json
from train.manifest import Case, read_manifest


def spoil_missing(case: Case) -> None:
    case.mask.unlink()


def spoil_content(case: Case) -> None:
    case.image.write_bytes(b"no scan")


def spoil_grid(case: Case) -> None:
    affine = np.diag([*SPACING, 1.0])
    affine[0, 3] = 5.0
    save(case.mask, labels(1), affine)


def spoil_shape(case: Case) -> None:
    save(case.mask, labels(1)[:-1])


def spoil_affine(case: Case) -> None:
    image = nib.Nifti1Image(scan(1), None)
    image.header.set_sform(np.diag([2.0, 0.0, 4.0, 1.0]), code=1)
    nib.save(image, case.image)


def spoil_values(case: Case) -> None:
    save(case.image, np.full_like(scan(1), np.nan))


def spoil_contrast(case: Case) -> None:
    save(case.image, np.full_like(scan(1), 7))


def spoil_labels(case: Case) -> None:
    save(case.mask, labels(1) * np.float32(0.5))


def spoil_size(case: Case) -> None:
    mask = labels(0)
    mask[3, 3, 3] = 1
    fine = np.diag([0.2, 0.2, 0.2, 1.0])
    save(case.image, scan(1), fine)
    save(case.mask, mask, fine)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (spoil_missing, "bad_mask.nii.gz cannot be read: No such file"),
        (spoil_content, "bad.nii.gz: The file is not a NIfTI scan"),
        (spoil_grid, "lies on another grid"),
        (spoil_shape, "lies on another grid"),
        (empty_mask, "bad_mask.nii.gz has no voxel above 0"),
        (spoil_affine, "bad.nii.gz: The scan's orientation matrix is singular"),
        (spoil_values, "bad.nii.gz: The scan holds no finite value"),
        (spoil_contrast, "bad.nii.gz has the same value, 7"),
        (spoil_labels, "holds values between whole numbers"),
        (spoil_size, "fills no voxel of"),
    ],
)
def test_a_case_that_cannot_be_used_is_refused_and_the_rest_goes_on(
    tmp_path: Path, spoil: Callable[[Case], None], why: str
) -> None:
    cases = [pair(tmp_path, "good", 0), pair(tmp_path, "bad", 1), pair(tmp_path, "also", 2)]
    spoil(cases[1])
    out = tmp_path / "out"
    found = prepare_here(cases, out)
    assert why in found["bad"].refusal
    assert [case.name for case in read_manifest(out / "manifest.csv")] == ["good", "also"]
    assert split_json(out)["refused"] == {"bad": found["bad"].refusal}
    assert len(list((out / "cache").iterdir())) == 2


def test_a_label_that_a_mask_lacks_is_named(tmp_path: Path) -> None:
    cases = [pair(tmp_path, "healthy", 0), pair(tmp_path, "ill", 1)]
    save(cases[1].mask, labels(1, 2))
    found = prepare_here(cases, tmp_path / "out", small_config("data.label_values=[2]"))
    assert "has no voxel of the data.label_values 2" in found["healthy"].refusal
    block = 6 * 6 * 4 * np.prod(SPACING) / 1000
    assert found["ill"].lesion_ml == pytest.approx(block)


def test_the_same_scan_under_two_patients_is_refused_the_second_time(tmp_path: Path) -> None:
    cases = [
        pair(tmp_path, "first", 0, "ann"),
        pair(tmp_path, "again", 0, "ann"),
        pair(tmp_path, "copy", 0, "bob"),
    ]
    found = prepare_here(cases, tmp_path / "out")
    assert not found["first"].refusal
    assert not found["again"].refusal
    assert "is the scan of the case first again" in found["copy"].refusal


def test_voxels_that_are_no_numbers_are_reported_and_the_scan_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    case = pair(tmp_path, "case", 0)
    voxels = scan(0)
    voxels[0, 0, :2] = np.nan
    save(case.image, voxels)
    for _ in range(2):
        prepare_here([case], tmp_path / "out")
        assert "2 voxels are not a finite number" in capsys.readouterr().out
