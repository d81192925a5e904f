"""SAM-Med3D sees one cube, wherever it lies."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from caiseg import Volume, load_volume
from tests.train.methods.external.stand_ins import (
    BACKGROUND,
    FOREGROUND,
    SHAPE,
    SPACING,
    WEIGHTS,
    install,
    model_of,
)
from train.methods import load_method


def test_sam_med3d_sees_a_cube_around_the_first_foreground_click(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bright_at_the_points(embedding: Tensor, points: Sequence[Tensor]) -> Tensor:
        low = torch.full((1, 1, 32, 32, 32), -1.0)
        for place, label in zip(points[0][0].long().tolist(), points[1][0].tolist(), strict=True):
            a, b, c = (index // 4 for index in place)
            low[0, 0, a, b, c] = 20.0 * label - 10
        return low

    model = model_of(bright_at_the_points)
    created: list[str] = []

    def create_model(name: str, pretrained: bool = False, checkpoint_path: str = "") -> nn.Module:
        assert not pretrained, "its loader unpickles anything"
        created.append(name)
        return model

    install(monkeypatch, "medim", create_model=create_model)
    content = {"model_state_dict": WEIGHTS, "args": Namespace(lr=1.0), "epoch": 3}
    torch.save(content, weights / "fold_0.pth")
    method = load_method("sam_med3d", weights / "fold_0.pth", "cpu").method
    assert created == ["SAM-Med3D"]
    assert torch.equal(model.state_dict()["image_encoder.weight"], torch.ones(1))
    scan = method.encode(volume)
    assert not method.segment(scan, (BACKGROUND,)).mask.any()
    mask = method.segment(scan, (FOREGROUND,)).mask
    prompts: Any = model.prompt_encoder
    assert prompts.asked[0]["points"][0].tolist() == [[[64, 64, 64]]], "the cube's middle"
    assert prompts.asked[0]["points"][1].tolist() == [[1]]
    assert not prompts.asked[0]["masks"].any()
    centre = np.argwhere(mask).mean(axis=0)
    assert np.abs((centre - FOREGROUND.voxel) * SPACING).max() < 6, "a coarse cell is 6 mm"
    assert mask[FOREGROUND.voxel]

    method.segment(scan, (FOREGROUND, BACKGROUND), mask)
    points, labels = prompts.asked[1]["points"]
    assert labels.tolist() == [[1, 0]]
    offset = (np.array(BACKGROUND.voxel) - FOREGROUND.voxel) * SPACING / 1.5
    assert points[0, 1].numpy()[::-1] - 64 == pytest.approx(offset, abs=1)
    assert prompts.asked[1]["masks"].shape == (1, 1, 32, 32, 32)
    assert prompts.asked[1]["masks"].any(), "the last answer is the next mask prompt"


def test_sam_med3d_sees_air_as_it_is(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(lambda embedding, points: torch.ones(1, 1, 32, 32, 32))
    install(monkeypatch, "medim", create_model=lambda name, pretrained: model)
    torch.save({"model_state_dict": WEIGHTS}, weights / "fold_0.pth")
    data = np.full(SHAPE, -1000, dtype=np.float32)
    nib.save(nib.Nifti1Image(data, np.diag([*SPACING, 1.0])), tmp_path / "air.nii.gz")
    method = load_method("sam_med3d", weights / "fold_0.pth", "cpu").method
    method.segment(method.encode(load_volume(tmp_path / "air.nii.gz")), (FOREGROUND,))
    encoder: Any = model.image_encoder
    assert bool(encoder.image.isfinite().all())
