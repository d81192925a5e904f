"""``nnunet``: a trained nnU-Net v2, which takes no clicks (Isensee et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caiseg.clicks import Click
from caiseg.predictor import choose_device
from caiseg.volume import Volume
from train.methods.base import LoadedMethod, Segmentation
from train.methods.external.library import (
    from_stored,
    require_library,
    require_weights,
    stored_array,
    weights_hash,
)

NAME = "nnunet"


class NNUNet:
    """nnU-Net behind the interface of all methods; clicks change nothing.

    Args:
        predictor: An initialised ``nnUNetPredictor``.
    """

    def __init__(self, predictor: Any):
        self._predictor = predictor

    def encode(self, volume: Volume) -> Segmentation:
        """Segment the scan, which nnU-Net gets as its own reader would give it."""
        properties = {"spacing": list(reversed(volume.reorientation.native.spacing))}
        labels = self._predictor.predict_single_npy_array(stored_array(volume)[None], properties)
        return Segmentation(from_stored(volume, np.asarray(labels) > 0))

    def segment(
        self,
        scan: Segmentation,
        clicks: Sequence[Click],
        previous_mask: npt.NDArray[np.bool_] | None = None,
    ) -> Segmentation:
        """The same mask, whatever was clicked."""
        return scan


def load_nnunet(checkpoint: Path | None, device: str) -> LoadedMethod:
    """A model folder of nnU-Net v2, all its folds together.

    Raises:
        InvalidInput: nnU-Net is not installed, or the folder is not there.
    """
    module = require_library(
        NAME, "nnunetv2.inference.predict_from_raw_data", "pip install nnunetv2"
    )
    folder = require_weights(
        NAME, checkpoint, "the folder of a trained model (…/nnUNetTrainer__nnUNetPlans__3d_fullres)"
    )
    chosen = choose_device(device)
    predictor = module.nnUNetPredictor(
        device=chosen, perform_everything_on_device=chosen.type == "cuda", allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(str(folder), use_folds=None)
    return LoadedMethod(NAME, NNUNet(predictor), weights_hash(folder), chosen, folder.name)
