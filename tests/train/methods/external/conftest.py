"""What all networks of other projects are tried on."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from caiseg import Volume, load_volume
from tests.train.methods.external.stand_ins import SHAPE, SPACING


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    """A scan stored as LPS whose intensities say where a voxel is."""
    i, j, k = np.indices(SHAPE)
    data = (i + 100 * j + 10000 * k).astype(np.float32)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(data, affine), path)
    return load_volume(path)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "fold_0.pth").write_bytes(b"weights")
    return folder
