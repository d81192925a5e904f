"""``medsam``: a 2-D network that is prompted with boxes, slice by slice (Ma et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from caiseg.clicks import Click, Label, check_inside
from caiseg.modality import modality_of
from caiseg.predictor import choose_device
from caiseg.volume import Volume
from train.methods.base import LoadedMethod, Segmentation
from train.methods.external.library import (
    fill_with_weights,
    require_library,
    require_weights,
    weights_hash,
)
from train.methods.region import box_around

NAME = "medsam"
SIDE = 1024
"""Pixels a side of what the network sees."""
SOFT_TISSUE_HU = (-160.0, 240.0)
"""What of a CT is shown, in Hounsfield units."""
MARGIN_MM = 15.0
"""How far the box reaches beyond the outermost foreground clicks."""


class MedSAM:
    """MedSAM behind the interface of all methods.

    It takes boxes alone. The box is the foreground clicks' own, with a margin; each axial slice
    that it meets is segmented with its outline. Before the first foreground click the mask is
    empty, and background clicks have no way to be heard.

    Args:
        model: As ``sam_model_registry`` gives it, in evaluation mode on ``device``.
        device: Where to compute.
    """

    def __init__(self, model: Any, device: torch.device):
        self._model = model
        self._device = device

    def encode(self, volume: Volume) -> MedSAMScan:
        """Find the window of intensities; slices are encoded when a box meets them."""
        return MedSAMScan(volume)

    @torch.inference_mode()
    def segment(
        self,
        scan: MedSAMScan,
        clicks: Sequence[Click],
        previous_mask: npt.NDArray[np.bool_] | None = None,
    ) -> Segmentation:
        """Answer all clicks so far.

        Raises:
            InvalidInput: A click lies outside the scan.
        """
        check_inside(clicks, scan.volume.shape)
        mask = np.zeros(scan.volume.shape, dtype=np.bool_)
        foreground = [click for click in clicks if click.label is Label.FOREGROUND]
        if not foreground:
            return Segmentation(mask)
        i, j, k = box_around(foreground, scan.volume, MARGIN_MM)
        columns, rows = scan.volume.shape[:2]
        # In the picture, columns run to the patient's left and rows to the back: both backwards.
        corners = [columns - i.stop, rows - j.stop, columns - i.start, rows - j.start]
        scale = torch.tensor([SIDE / columns, SIDE / rows] * 2)
        box = (torch.tensor(corners) * scale)[None, None].to(self._device)
        sparse, dense = self._model.prompt_encoder(points=None, boxes=box, masks=None)
        for index in range(k.start, k.stop):
            if index not in scan.embeddings:
                picture = scan.picture(index).to(self._device)
                scan.embeddings[index] = self._model.image_encoder(picture).cpu()
            logits, _ = self._model.mask_decoder(
                image_embeddings=scan.embeddings[index].to(self._device),
                image_pe=self._model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )
            outline = torch.nn.functional.interpolate(logits, size=(rows, columns), mode="bilinear")
            mask[:, :, index] = (outline[0, 0] > 0).cpu().numpy().T[::-1, ::-1]
        return Segmentation(mask)


class MedSAMScan:
    """A scan, the window in which it is shown, and the slices that have been encoded.

    Args:
        volume: The scan.
    """

    def __init__(self, volume: Volume):
        self.volume = volume
        self.embeddings: dict[int, Tensor] = {}
        self._window = _window(volume.data)

    def picture(self, index: int) -> Tensor:
        """An axial slice as MedSAM expects it, ``(1, 3, 1024, 1024)``, from 0 to 1."""
        shown = self.volume.data[::-1, ::-1, index].T.clip(*self._window)
        picture = torch.nn.functional.interpolate(
            torch.from_numpy(shown.astype(np.float32))[None, None], size=(SIDE, SIDE),
            mode="bicubic",
        ).clamp(*self._window)  # fmt: skip
        picture = (picture - picture.min()) / (picture.max() - picture.min()).clamp(min=1e-6)
        return picture.repeat(1, 3, 1, 1)


def _window(data: npt.NDArray[Any]) -> tuple[float, float]:
    """MedSAM's own: soft tissue for CT, all but the extremes of what is above 0 otherwise."""
    if modality_of(data) == "CT":
        return SOFT_TISSUE_HU
    shown = data[data > 0]
    low, high = np.percentile(shown if shown.size else data, (0.5, 99.5))
    return float(low), float(high)


def load_medsam(checkpoint: Path | None, device: str) -> LoadedMethod:
    """MedSAM with its published weights.

    Raises:
        InvalidInput: segment_anything is not installed, or the file is not there or of another
            network.
    """
    module = require_library(
        NAME,
        "segment_anything",
        "pip install git+https://github.com/facebookresearch/segment-anything",
    )
    path = require_weights(NAME, checkpoint, "medsam_vit_b.pth of github.com/bowang-lab/MedSAM")
    chosen = choose_device(device)
    model = module.sam_model_registry["vit_b"]()
    fill_with_weights(NAME, model, path)
    return LoadedMethod(
        NAME, MedSAM(model.to(chosen).eval(), chosen), weights_hash(path), chosen, path.stem
    )
