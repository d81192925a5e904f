"""Scans of another modality than the weights are named, not measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from caiseg import InvalidInput
from caiseg.preprocessing import Intensities
from tests.train.scripted import HALF, SHAPE, SPACING, Scripted, write_case
from train.evaluation.cases import Evaluation, run_cases
from train.evaluation.modality import check_modality
from train.evaluation.protocol import EvaluationProtocol
from train.manifest import Case, read_manifest, write_manifest


def in_hounsfield_units(folder: Path) -> Case:
    """A scan with air around it."""
    case = write_case(folder, "ct")
    values = np.full(SHAPE, 40, dtype=np.int16)
    values[:3] = -1000
    nib.save(nib.Nifti1Image(values, np.diag([*SPACING, 1.0])), case.image)
    return case


def test_a_ct_scan_is_named_under_weights_for_mr(tmp_path: Path) -> None:
    cases = [in_hounsfield_units(tmp_path), write_case(tmp_path, "mr")]
    evaluation = Evaluation(
        Scripted([HALF]), "scripted", "weights", EvaluationProtocol(clicks=1), tmp_path, "MR"
    )
    outcome = run_cases(evaluation, cases, resume=False, console=Console(quiet=True))
    assert list(outcome.failed) == ["ct"]
    assert "has the intensities of CT, and the weights are for MR" in outcome.failed["ct"]
    assert list(outcome.content) == ["mr"]


@pytest.mark.parametrize(
    ("marked", "weights", "fits"),
    [
        ("MR", "MR", True), ("CT", "MR", False), ("MR", "CT", False), ("CT", None, True),
        (None, "CT", True), (None, "MR", True), ("CT", "any", True), ("MR", "any", True),
    ],
)  # fmt: skip
def test_the_manifest_s_word_counts(
    tmp_path: Path,
    marked: Literal["MR", "CT"] | None,
    weights: Intensities | None,
    fits: bool,
) -> None:
    case = replace(write_case(tmp_path), modality=marked)
    volume, _ = case.load()
    if fits:
        check_modality(case, volume, weights)
    else:
        with pytest.raises(InvalidInput, match=f"is marked {marked}, and the weights are for"):
            check_modality(case, volume, weights)


def test_the_word_of_the_manifest_goes_before_the_intensities(tmp_path: Path) -> None:
    case = replace(in_hounsfield_units(tmp_path), modality="MR")
    check_modality(case, case.load()[0], "MR")


def test_the_modality_survives_a_manifest(tmp_path: Path) -> None:
    case = replace(write_case(tmp_path), modality="CT")
    write_manifest(tmp_path / "cases.csv", [case, replace(case, name="two", modality=None)])
    assert [case.modality for case in read_manifest(tmp_path / "cases.csv")] == ["CT", None]
    text = (tmp_path / "cases.csv").read_text()
    (tmp_path / "cases.csv").write_text(text.replace(",CT", ",PET"))
    with pytest.raises(InvalidInput, match="line 2: the modality 'PET' is neither MR nor CT"):
        read_manifest(tmp_path / "cases.csv")
