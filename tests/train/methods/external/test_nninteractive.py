"""nnInteractive is led through a dialogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from caiseg import Volume
from tests.train.methods.external.stand_ins import BACKGROUND, FOREGROUND, SHAPE, install
from train.methods import load_method


class NNInteractiveSession:
    """Remembers what it was told; every point leaves its label in the target buffer."""

    def __init__(
        self,
        device: torch.device,
        use_torch_compile: bool = False,
        verbose: bool = False,
        torch_n_threads: int = 8,
        do_autozoom: bool = True,
    ):
        """What versions 1 and 2 both take."""
        self.calls: list[Any] = []

    def initialize_from_trained_model_folder(self, folder: str) -> None:
        self.folder = folder

    def set_image(self, image: Any) -> None:
        self.image = image

    def set_target_buffer(self, buffer: Tensor) -> None:
        self.target_buffer = buffer

    def reset_interactions(self) -> None:
        self.target_buffer.zero_()
        self.calls.append("reset")

    def add_point_interaction(self, place: tuple[int, int, int], include_interaction: bool) -> None:
        self.target_buffer[place] = include_interaction
        self.calls.append((place, include_interaction))


def test_nninteractive_is_told_each_click_once(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        monkeypatch,
        "nnInteractive.inference.inference_session",
        nnInteractiveInferenceSession=NNInteractiveSession,
    )
    loaded = load_method("nninteractive", weights, "cpu")
    method: Any = loaded.method
    session = method._session
    scan = method.encode(volume)
    assert session.image.shape == (1, *reversed(SHAPE))
    assert session.image[0, 0, 0, :3].tolist() == [0, 1, 2], "the order of the file"
    assert not method.segment(scan, ()).mask.any()
    mask = method.segment(scan, (FOREGROUND,)).mask
    assert np.argwhere(mask).tolist() == [list(FOREGROUND.voxel)]
    method.segment(scan, (FOREGROUND, BACKGROUND), mask)
    # The file is stored as LPS, the first two axes of the display grid backwards.
    foreground, background = (4, 24 - 1 - 9, 30 - 1 - 12), (7, 24 - 1 - 14, 30 - 1 - 20)
    assert session.calls == [(foreground, True), (background, False)]
    assert not method.segment(scan, (BACKGROUND,)).mask.any(), "another session from the start"
    assert session.calls[2:] == ["reset", (background, False)]

    other = method.encode(volume)
    method.segment(other, (FOREGROUND,))
    assert method.segment(scan, (BACKGROUND,)).mask.sum() == 0, "scans do not mix"
