"""Prepared scans are kept in the cache, as long as they are what was asked for."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.train.labelled_scans import labels, save, scan, small_config
from tests.train.preparing import pair, prepare_here
from train.manifest import Case
from train.prepared import prepare_case


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
