"""Prepared scans lie on the model grid, and are kept as long as they are what was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caiseg.errors import InvalidInput
from tests.train import small_experiment
from tests.train.labelled_scans import labels, save, scan, small_config
from tests.train.preparing import pair, prepare_here
from train.config import DataConfig
from train.manifest import Case, read_manifest
from train.prepared import PreparedCase, prepare_case


def first_case(folder: Path) -> Case:
    return read_manifest(small_experiment.write_manifest(folder, train=1, val=0))[0]


def prepare(case: Case, folder: Path, **data: Any) -> PreparedCase:
    settings = DataConfig(crop_size=(16, 16, 16), **data)
    preprocessing = small_experiment.small_config().preprocessing
    return prepare_case(case, preprocessing, settings, folder / "cache")


def test_a_prepared_case_lies_on_the_model_grid(tmp_path: Path) -> None:
    case = first_case(tmp_path)
    prepared = prepare(case, tmp_path)
    volume, lesion = case.load()
    assert prepared.name == case.name
    assert prepared.image.shape == prepared.lesion.shape == (32, 32, 16)
    assert prepared.spacing.tolist() == pytest.approx([5, 5, 10])
    assert torch.equal(prepared.lesion, torch.from_numpy(lesion))
    assert float(prepared.image.min()) == 0
    assert float(prepared.image.std()) == pytest.approx(1, rel=1e-4)
    assert np.corrcoef(prepared.image.flatten(), volume.data.ravel())[0, 1] > 0.999


def test_a_second_preparation_reads_the_first_one_s_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = first_case(tmp_path)
    first = prepare(case, tmp_path)

    def never(*_: object) -> None:
        raise AssertionError("the scan was read again")

    monkeypatch.setattr(Case, "load", never)
    second = prepare(case, tmp_path)
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.lesion, second.lesion)
    assert torch.equal(first.spacing, second.spacing)


def test_a_changed_file_or_setting_is_prepared_again(tmp_path: Path) -> None:
    case = first_case(tmp_path)
    prepare(case, tmp_path)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    with pytest.raises(InvalidInput, match=f"Case {case.name}"):
        prepare(case, tmp_path, label_values=(7,))
    case.mask.write_bytes(b"no mask any more")
    with pytest.raises(InvalidInput, match=f"Case {case.name}"):
        prepare(case, tmp_path)


def test_a_scan_of_another_modality_is_refused_whenever_it_was_prepared(tmp_path: Path) -> None:
    case = first_case(tmp_path)
    prepare(case, tmp_path)
    with pytest.raises(InvalidInput, match="is marked CT, and the config is for MR; train a conf"):
        prepare(replace(case, modality="CT"), tmp_path)
    prepare(replace(case, modality="MR"), tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    case = first_case(tmp_path)
    case.image.unlink()
    with pytest.raises(InvalidInput, match=r"scan0.nii.gz"):
        prepare(case, tmp_path)


def test_another_channel_or_label_is_prepared_again(tmp_path: Path) -> None:
    image = save(tmp_path / "scan.nii.gz", scan(0, volumes=2) ** 3)
    mask = save(tmp_path / "mask.nii.gz", labels(1, 2))
    case = Case("case", "case", image, mask, "train")

    def prepared(*overrides: str) -> tuple[torch.Tensor, torch.Tensor]:
        config = small_config(*overrides)
        result = prepare_case(case, config.preprocessing, config.data, tmp_path / "cache")
        return result.image, result.lesion

    first, second = prepared("data.channel=0"), prepared("data.channel=1")
    assert not torch.equal(first[0], second[0])
    tumour = prepared("data.channel=0", "data.label_values=[2]")
    assert int(tumour[1].sum()) * 2 == int(first[1].sum())
    torch.testing.assert_close(prepared("data.channel=1"), second)
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_a_damaged_cache_file_is_prepared_again(tmp_path: Path) -> None:
    case = pair(tmp_path, "case", 0)
    prepare_here([case], tmp_path / "out")
    (cached,) = (tmp_path / "out" / "cache").iterdir()
    # Read tensors lie in the file itself, so that a copy has to outlive the damage.
    before = {name: tensor.clone() for name, tensor in load_file(cached).items()}
    cached.write_bytes(cached.read_bytes()[: cached.stat().st_size // 2])
    prepare_here([case], tmp_path / "out")
    torch.testing.assert_close(load_file(cached), before)
