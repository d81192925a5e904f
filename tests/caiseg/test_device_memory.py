"""A GPU that runs out of memory: smaller patches, then the CPU, and a word about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from caiseg import CAISegPredictor, Click, Label, device_memory, load_volume
from caiseg.device_memory import encode_within_memory
from caiseg.tiling import EncodedTiles
from tests.networks import write_scan, write_small_checkpoint


class StandInImage:
    """A scan on a GPU that this machine does not have."""

    def __init__(self, image: torch.Tensor):
        self.image = image
        self.shape = image.shape
        self.device = SimpleNamespace(type="cuda")

    def cpu(self) -> torch.Tensor:
        return self.image


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, ...]]]:
    """Device and patch size of each attempt; a GPU holds patches of up to 40 voxels a side."""
    tried = []

    def limited(
        network: Any, image: Any, spacing: Any, patch: Sequence[int], *args: Any, **settings: Any
    ) -> EncodedTiles:
        tried.append((image.device.type, tuple(patch)))
        if image.device.type == "cuda":
            if max(patch) > limited.room:  # type: ignore[attr-defined]
                raise torch.OutOfMemoryError("CUDA out of memory.")
            image = image.image
        return EncodedTiles(network, image, spacing, patch, *args, **settings)

    limited.room = 40  # type: ignore[attr-defined]
    monkeypatch.setattr(device_memory, "EncodedTiles", limited)
    monkeypatch.setattr(torch.accelerator, "empty_cache", lambda: None)
    tried.append(limited)  # type: ignore[arg-type]
    return tried


@pytest.fixture
def predictor(tmp_path: Path) -> CAISegPredictor:
    return CAISegPredictor.from_checkpoint(write_small_checkpoint(tmp_path / "small.safetensors"))


def encode(predictor: CAISegPredictor, shape: tuple[int, int, int] = (64, 64, 16)) -> Any:
    image: Any = StandInImage(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    return encode_within_memory(
        predictor.network,
        image,
        torch.ones(3),
        (64, 64, 32),
    )


def test_smaller_patches_are_tried_first(predictor: CAISegPredictor, attempts: list[Any]) -> None:
    tiles, notices = encode(predictor)
    assert attempts[1:] == [("cuda", (64, 64, 32)), ("cuda", (32, 32, 32))]
    assert len(tiles.tiles) > 1
    assert [("smaller patches" in notice) for notice in notices] == [True]


def test_the_cpu_comes_last_with_whole_patches(
    predictor: CAISegPredictor, attempts: list[Any]
) -> None:
    attempts[0].room = 0
    tiles, notices = encode(predictor)
    assert [device for device, _ in attempts[1:]] == ["cuda", "cuda", "cpu"]
    assert attempts[-1] == ("cpu", (64, 64, 32))
    assert tiles.device.type == "cpu"
    assert len(notices) == 1
    assert "CPU" in notices[0]


def test_enough_memory_is_no_news(predictor: CAISegPredictor, attempts: list[Any]) -> None:
    attempts[0].room = 100
    _, notices = encode(predictor)
    assert len(attempts) == 2
    assert notices == ()


def test_a_cpu_without_memory_says_so(
    predictor: CAISegPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(device_memory, "EncodedTiles", full)
    with pytest.raises(torch.OutOfMemoryError):
        encode_within_memory(predictor.network, torch.zeros(8, 8, 8), torch.ones(3), (64, 64, 32))


def test_a_scan_says_how_it_was_encoded(
    predictor: CAISegPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = load_volume(write_scan(tmp_path / "scan.nii.gz"))
    assert predictor.encode(volume).notices == ()
    normal = EncodedTiles
    calls = []

    def once_full(*args: Any, **settings: Any) -> EncodedTiles:
        calls.append(args)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return normal(*args, **settings)

    monkeypatch.setattr(device_memory, "EncodedTiles", once_full)
    monkeypatch.setattr(torch.accelerator, "empty_cache", lambda: None)
    monkeypatch.setattr(device_memory, "_is_last_resort", lambda device: False)
    scan = predictor.encode(volume)
    assert len(scan.notices) == 1
    mask = predictor.segment(scan, [Click((10, 20, 5), Label.FOREGROUND)]).mask
    assert mask.shape == volume.shape
    assert mask.dtype == np.bool_
