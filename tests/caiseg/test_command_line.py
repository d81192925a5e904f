from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from caiseg import CAISegPredictor, Click, Label, load_volume, replay_clicks
from tests.networks import write_scan, write_small_checkpoint


def run(repository: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "caiseg", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=repository,
        check=False,
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_small_checkpoint(tmp_path / "small.safetensors")


def test_the_terminal_writes_the_mask_that_the_library_gives(
    repository: Path, checkpoint: Path, tmp_path: Path
) -> None:
    scan, out = write_scan(tmp_path / "scan.nii.gz"), tmp_path / "mask.nii.gz"
    answer = run(
        repository, scan, "--checkpoint", checkpoint, "--device", "cpu", "--out", out,
        "--click", "10,20,5,fg", "--click", "30,12,7,bg",
    )  # fmt: skip

    assert answer.returncode == 0, answer.stderr
    volume, predictor = load_volume(scan), CAISegPredictor.from_checkpoint(checkpoint)
    clicks = [Click((10, 20, 5), Label.FOREGROUND), Click((30, 12, 7), Label.BACKGROUND)]
    *_, expected = replay_clicks(predictor, predictor.encode(volume), clicks)
    saved = nib.load(out)
    np.testing.assert_array_equal(volume.from_native(np.asarray(saved.dataobj)) > 0, expected.mask)
    np.testing.assert_array_equal(saved.affine, nib.load(scan).affine)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--click", "1,2,fg"), "'1,2,fg' is not a click"),
        (("--click", "1,2,3,maybe"), "'maybe' is not a click label"),
        (("--click", "900,2,3,fg"), "outside the scan"),
        (("--device", "abacus"), "is not a device"),
    ],
)
def test_what_cannot_be_used_ends_in_one_sentence(
    repository: Path, checkpoint: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    scan, out = write_scan(tmp_path / "scan.nii.gz"), tmp_path / "mask.nii.gz"
    answer = run(repository, scan, "--checkpoint", checkpoint, "--out", out, *arguments)

    assert answer.returncode == 2
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not out.exists()
