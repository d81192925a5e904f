"""nnU-Net gets what it asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caiseg import Volume
from tests.train.methods.external.stand_ins import FOREGROUND, SHAPE, SPACING, install
from train.methods import load_method


def test_nnunet_gets_the_scan_as_its_reader_would_give_it(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Predictor:
        def __init__(self, **settings: Any):
            assert settings["device"] == torch.device("cpu")

        def initialize_from_trained_model_folder(self, folder: str, use_folds: Any) -> None:
            assert folder == str(weights)
            assert use_folds is None

        def predict_single_npy_array(self, image: Any, properties: Any) -> Any:
            self.image, self.properties = image, properties
            return (image[0] >= 30000).astype(np.uint8)

    install(monkeypatch, "nnunetv2.inference.predict_from_raw_data", nnUNetPredictor=Predictor)
    loaded = load_method("nnunet", weights, "cpu")
    encoded = loaded.method.encode(volume)
    predictor = loaded.method._predictor  # type: ignore[attr-defined]
    assert predictor.image.shape == (1, *reversed(SHAPE))
    assert predictor.properties == {"spacing": list(reversed(SPACING))}
    assert predictor.image[0, 0, 0, :3].tolist() == [0, 1, 2], "the order of the file"
    mask = loaded.method.segment(encoded, (FOREGROUND,)).mask
    assert np.array_equal(mask, volume.data >= 30000)
