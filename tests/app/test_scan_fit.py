"""Warnings about scans unlike those that a checkpoint was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from app.scan_fit import reservations
from caiseg import Volume, load_volume
from caiseg.preprocessing import PreprocessingConfig
from tests.app.stand_in import write_scan

SHAPE = (32, 32, 12)
MR = PreprocessingConfig(modality="MR", spacing=(1.9, 1.9, 4.0), patch_size=(64, 64, 32))
CT = MR.model_copy(update={"modality": "CT"})
OFFERED = {"brain": "MR", "limb": "CT", "all": "CT or MR"}


def ct_like() -> npt.NDArray[np.int16]:
    """Air around a body of soft tissue with a bone, in Hounsfield units."""
    rng = np.random.default_rng(0)
    data = np.full(SHAPE, -1000)
    data[6:26, 6:26] = 40
    data[14:18, 14:18] = 900
    return (data + rng.normal(0, 12, SHAPE)).astype(np.int16)


def mr_like() -> npt.NDArray[np.int16]:
    """Dark air round a bright head, on a scale of its own."""
    rng = np.random.default_rng(0)
    data = np.abs(rng.normal(0, 15, SHAPE))
    data[6:26, 6:26] += 350
    return data.astype(np.int16)


def volume(
    folder: Path, data: npt.NDArray[np.int16], spacing: tuple[float, float, float] = (1.9, 1.9, 4.0)
) -> Volume:
    return load_volume(write_scan(folder / "scan.nii.gz", data, spacing))


def test_ct_for_a_model_of_mr_is_told(tmp_path: Path) -> None:
    (sentence,) = reservations(volume(tmp_path, ct_like()), MR, OFFERED)
    assert "looks like CT" in sentence
    assert "trained on MR" in sentence
    assert "choose limb or all." in sentence
    (alone,) = reservations(volume(tmp_path, ct_like()), MR, {"brain": "MR"})
    assert "choose another model." in alone
    assert reservations(volume(tmp_path, ct_like()), CT, OFFERED) == []


def test_mr_for_a_model_of_ct_is_told(tmp_path: Path) -> None:
    (sentence,) = reservations(volume(tmp_path, mr_like()), CT, OFFERED)
    assert "looks like MR" in sentence
    assert reservations(volume(tmp_path, mr_like()), MR, OFFERED) == []


def test_a_model_of_any_modality_takes_both(tmp_path: Path) -> None:
    anything = MR.model_copy(update={"modality": "any"})
    for data in (ct_like(), mr_like()):
        assert reservations(volume(tmp_path, data), anything, OFFERED) == []


@pytest.mark.parametrize("spacing", [(1.9, 1.9, 8.5), (4.0, 1.9, 4.0), (0.4, 1.9, 4.0)], ids=str)
def test_voxels_far_from_those_of_the_training_are_told(
    tmp_path: Path, spacing: tuple[float, float, float]
) -> None:
    (sentence,) = reservations(volume(tmp_path, mr_like(), spacing), MR, OFFERED)
    assert "1.9 × 1.9 × 4 mm" in sentence


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.1), (1.9, 1.9, 7.5), (0.5, 0.5, 5.0)], ids=str)
def test_voxels_that_are_near_enough_are_not(
    tmp_path: Path, spacing: tuple[float, float, float]
) -> None:
    assert reservations(volume(tmp_path, mr_like(), spacing), MR, OFFERED) == []
