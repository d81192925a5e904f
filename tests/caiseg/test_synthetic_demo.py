"""The demo scan is what its page says, and appears complete or not at all."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from caiseg.synthetic import BRAIN_FLAIR, demo_scan, generate_scan
from tests.caiseg.lesion_masks import count_components, surroundings


def test_demo_scan_is_a_brain_flair_with_one_bright_lesion(tmp_path: Path) -> None:
    path = demo_scan(tmp_path / "cache" / "demo.nii.gz")
    image = nib.load(path)
    truth = generate_scan(BRAIN_FLAIR, 15)

    assert image.shape == (224, 256, 28)
    assert image.get_data_dtype() == np.int16
    assert image.header.get_zooms() == pytest.approx((0.9375, 0.9375, 5.0))
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    assert nib.affines.obliquity(image.affine).max() > 0.01
    for form, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(form, truth.affine, atol=1e-3)

    voxels = np.asarray(image.dataobj)
    volume = truth.lesion.sum() * np.prod(truth.spacing) / 1000
    assert 30 < volume < 60, "millilitres"
    assert count_components(truth.lesion) == 1
    around = np.median(voxels[surroundings(truth.lesion)])
    assert np.median(voxels[truth.lesion]) > 1.4 * around
    assert (voxels[truth.lesion] < 1.1 * around).mean() > 0.02, "a darker core"
    assert np.median(voxels[:10, :10]) < 0.1 * around, "air"


def test_demo_scan_leaves_nothing_but_itself(tmp_path: Path) -> None:
    path = tmp_path / "demo.nii"
    path.write_bytes(b"half a scan")
    assert demo_scan(path) == path
    assert nib.load(path).shape == (224, 256, 28)
    assert list(tmp_path.iterdir()) == [path]


def test_a_demo_scan_that_cannot_be_finished_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "demo.nii"
    path.write_bytes(b"an older scan")

    def fill_the_disk(_: nib.Nifti1Image, target: Path) -> None:
        target.write_bytes(b"half a scan")
        raise OSError("No space left on device")

    monkeypatch.setattr(nib, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        demo_scan(path)
    assert path.read_bytes() == b"an older scan"
    assert list(tmp_path.iterdir()) == [path]
