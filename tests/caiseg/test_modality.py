"""Telling CT from MR by intensities alone."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from caiseg import load_volume
from caiseg.modality import modality_of

SHAPE = (32, 32, 12)


def body(air: float, tissue: float, bone: float) -> np.ndarray:
    """Air around a body of soft tissue with a bone, and some noise."""
    data = np.full(SHAPE, air)
    data[6:26, 6:26] = tissue
    data[14:18, 14:18] = bone
    return data + np.random.default_rng(0).normal(0, 12, SHAPE)


def test_hounsfield_units_are_ct_with_and_without_their_air() -> None:
    scan = body(-1000, 40, 900)
    assert modality_of(scan) == "CT"
    assert modality_of(np.maximum(scan, -250)) == "CT"


def test_a_scale_from_zero_is_mr() -> None:
    assert modality_of(np.abs(body(0, 350, 20))) == "MR"


def test_intensities_that_say_nothing_are_of_no_modality() -> None:
    assert modality_of(np.random.default_rng(0).normal(size=SHAPE)) is None


@pytest.mark.parametrize(("manifest", "modality"), [("sts_ct", "CT"), ("lgg_flair", "MR")])
def test_real_scans_are_taken_for_what_they_are(manifest: str, modality: str) -> None:
    folder = os.environ.get("CAISEG_DATA")
    if not folder:
        pytest.skip("CAISEG_DATA names no folder of real scans")
    with (Path(folder) / f"{manifest}.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    scan = load_volume(Path(folder) / row["image"])
    assert modality_of(scan.data) == modality
