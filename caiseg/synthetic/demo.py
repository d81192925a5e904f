"""The demo scan: a newcomer without data can click within seconds."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from caiseg.synthetic.config import BRAIN_FLAIR
from caiseg.synthetic.scan import generate_scan

_SEED = 15
# Scanners store small integers; healthy brain then lies near 300.
_UNITS_PER_INTENSITY = 600


def demo_scan(path: Path) -> Path:
    """Write a synthetic brain FLAIR scan with one lesion as int16 NIfTI.

    The file appears whole or not at all, so that two processes may ask for the same
    path at once and a killed one leaves nothing half-written under that name.

    Args:
        path: Where to write, ending in ``.nii`` or ``.nii.gz``; its folder is made if missing.

    Returns:
        ``path``.
    """
    scan = generate_scan(BRAIN_FLAIR, _SEED)
    voxels = np.rint(scan.image * _UNITS_PER_INTENSITY).astype(np.int16)
    image = nib.Nifti1Image(voxels, scan.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(scan.affine, code="scanner")
    image.set_qform(scan.affine, code="scanner")

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        nib.save(image, unfinished)
        os.replace(unfinished, path)
    return path
