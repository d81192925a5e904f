"""MedSAM sees slices, and is asked with boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from caiseg import Volume
from tests.train.methods.external.stand_ins import (
    BACKGROUND,
    FOREGROUND,
    SHAPE,
    WEIGHTS,
    install,
    model_of,
)
from train.evaluation.simulated_session import Method
from train.methods import load_method


def medsam(model: nn.Module, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Method[Any]:
    """The method with a model that its weights have been read into."""
    registry = {"vit_b": lambda checkpoint=None: model}
    install(monkeypatch, "segment_anything", sam_model_registry=registry)
    torch.save(WEIGHTS, weights / "fold_0.pth")
    method = load_method("medsam", weights / "fold_0.pth", "cpu").method
    assert torch.equal(model.state_dict()["image_encoder.weight"], torch.ones(1))
    return method


def test_medsam_fills_a_box_around_the_foreground_clicks(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(lambda embedding, points: torch.ones(1, 1, 256, 256))
    method = medsam(model, weights, monkeypatch)
    scan = method.encode(volume)
    assert not method.segment(scan, (BACKGROUND,)).mask.any()
    mask = method.segment(scan, (FOREGROUND, BACKGROUND)).mask
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == list(range(1, 8)), "15 mm up and down"
    prompts: Any = model.prompt_encoder
    left, top, right, bottom = prompts.asked[0]["boxes"][0, 0].tolist()
    # 12 voxels and 9 from the right and the back edge of the box's far side, seen from below.
    assert (left, right) == pytest.approx(((30 - 21) * 1024 / 30, (30 - 4) * 1024 / 30))
    assert (top, bottom) == pytest.approx(((24 - 15) * 1024 / 24, (24 - 4) * 1024 / 24))


def test_medsam_sees_slices_as_radiologists_do(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def right_anterior_quarter(embedding: Tensor, points: Any) -> Tensor:
        logits = torch.full((1, 1, 256, 256), -1.0)
        logits[:, :, :128, :128] = 1
        return logits

    model = model_of(right_anterior_quarter)
    method = medsam(model, weights, monkeypatch)
    mask = method.segment(method.encode(volume), (FOREGROUND,)).mask
    places = np.argwhere(mask)
    assert places[:, 0].min() == SHAPE[0] // 2, "the picture's left is the patient's right"
    assert places[:, 1].min() == SHAPE[1] // 2, "the picture's top is the front"
    encoder: Any = model.image_encoder
    picture = encoder.image[0, 0]
    assert (float(picture.min()), float(picture.max())) == (0, 1), "of every slice"
    assert float(picture[0, 0]) < 0.01, "intensities rise to the left"
    assert float(picture[-1, -1]) > 0.99, "and to the back"
