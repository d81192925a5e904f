"""Checkpoints: what is written comes back bit by bit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from caiseg import checkpoint
from caiseg.checkpoint import load_checkpoint, read_checkpoint_info, save_checkpoint
from caiseg.errors import InvalidInput
from caiseg.network_config import NetworkConfig
from tests.caiseg.checkpoint_files import Weights, info_of, rewrite, small_network


def test_half_precision_weights_come_back_bit_by_bit(saved: Path) -> None:
    original = small_network().state_dict()
    loaded = load_checkpoint(saved).network.state_dict()
    assert list(loaded) == list(original)
    for name, tensor in loaded.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, original[name].half().float()), name


def test_full_precision_weights_come_back_bit_by_bit(tmp_path: Path) -> None:
    network = small_network()
    path = tmp_path / "full.safetensors"
    save_checkpoint(path, network, info_of(network), half=False)
    for name, tensor in load_checkpoint(path).network.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_a_second_round_trip_changes_nothing(saved: Path, tmp_path: Path) -> None:
    first = load_checkpoint(saved)
    again = tmp_path / "again.safetensors"
    save_checkpoint(again, first.network, first.info)
    assert again.read_bytes() == saved.read_bytes()
    assert load_checkpoint(again).sha256 == first.sha256


def test_the_description_comes_back(saved: Path) -> None:
    expected = info_of(small_network())
    assert read_checkpoint_info(saved) == expected
    assert load_checkpoint(saved).info == expected


def test_a_loaded_network_is_ready_to_answer(saved: Path) -> None:
    network = load_checkpoint(saved).network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    image = torch.randn(1, 1, 32, 32, 16)
    expected = small_network().half().float().eval()
    torch.testing.assert_close(network.backbone(image), expected.backbone(image).detach())


def test_the_hash_is_of_the_file(saved: Path) -> None:
    before = load_checkpoint(saved).sha256
    assert re.fullmatch("[0-9a-f]{64}", before)
    rewrite(saved, lambda weights, info: info.update(name="other"))
    assert load_checkpoint(saved).sha256 != before


def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full_disk(weights: Weights, path: Path, metadata: dict[str, str]) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    network = small_network()
    with pytest.raises(InvalidInput, match=r"No space left on device.*free some disk space"):
        save_checkpoint(saved, network, info_of(network))
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


def test_whoever_may_read_the_folders_files_may_read_a_checkpoint(
    saved: Path, tmp_path: Path
) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    assert saved.stat().st_mode == usual.stat().st_mode


def test_the_description_must_be_of_the_network(tmp_path: Path) -> None:
    network = small_network()
    other = info_of(network).model_copy(update={"network": NetworkConfig()})
    with pytest.raises(ValueError, match="not the config of the network"):
        save_checkpoint(tmp_path / "x.safetensors", network, other)
