"""``sam_med3d``: a promptable network of one cube of 192 mm (Wang et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from caiseg.clicks import Click, Label
from caiseg.grids import ScanGrids
from caiseg.predictor import choose_device
from caiseg.resampling import resample_to_display, resample_to_model
from caiseg.volume import Volume
from train.methods.base import LoadedMethod, Segmentation
from train.methods.external.library import (
    fill_with_weights,
    require_library,
    require_weights,
    weights_hash,
)

NAME = "sam_med3d"
SPACING = (1.5, 1.5, 1.5)
CUBE = 128
"""Voxels a side of what the network sees."""
COARSE = CUBE // 4
"""Voxels a side of its mask prompt."""


@dataclass(eq=False)
class ResampledScan:
    """A scan at 1.5 mm; the cube around the first foreground click is encoded when it comes.

    Attributes:
        grids: The scan's grids.
        image: Intensities on the model grid.
        start: First voxel of the cube on the model grid, which may lie outside the scan.
        embedding: Encoded cube.
        answers: Low-resolution logits by the clicks that gave them, the next mask prompt.
    """

    grids: ScanGrids
    image: Tensor
    start: tuple[int, int, int] = (0, 0, 0)
    embedding: Tensor | None = None
    answers: dict[tuple[Click, ...], Tensor] = field(default_factory=dict)


class SAMMed3D:
    """SAM-Med3D behind the interface of all methods.

    The published pipeline centres its cube on the truth; here it is centred on the first
    foreground click, before which the mask is empty. Clicks outside the cube are not seen.

    Args:
        model: As ``medim.create_model`` gives it, in evaluation mode on ``device``.
        device: Where to compute.
    """

    def __init__(self, model: Any, device: torch.device):
        self._model = model
        self._device = device

    def encode(self, volume: Volume) -> ResampledScan:
        """Resample the scan; nothing more can be done without a click."""
        grids = ScanGrids.build(volume.reorientation.native, SPACING)
        return ResampledScan(grids, resample_to_model(volume.data, grids.display, grids.model))

    @torch.inference_mode()
    def segment(
        self,
        scan: ResampledScan,
        clicks: Sequence[Click],
        previous_mask: npt.NDArray[np.bool_] | None = None,
    ) -> Segmentation:
        """Answer all clicks so far."""
        clicks = tuple(clicks)
        first = next((click for click in clicks if click.label is Label.FOREGROUND), None)
        if first is None:
            return Segmentation(np.zeros(scan.grids.display.shape, dtype=np.bool_))
        self._centre(scan, first)
        voxels = scan.grids.nearest_model_voxel([click.voxel for click in clicks]) - scan.start
        seen = ((voxels >= 0) & (voxels < CUBE)).all(axis=1)
        # Its axes are those of SimpleITK's arrays, the last one first.
        points = torch.tensor(voxels[seen][:, ::-1].copy(), dtype=torch.float32)[None]
        labels = torch.tensor([int(click.label) for click in clicks])[torch.from_numpy(seen)][None]
        coarse = scan.answers.get(clicks[:-1], torch.zeros(1, 1, COARSE, COARSE, COARSE))
        sparse, dense = self._model.prompt_encoder(
            points=[points.to(self._device), labels.to(self._device)], boxes=None,
            masks=coarse.to(self._device),
        )  # fmt: skip
        low_resolution, _ = self._model.mask_decoder(
            image_embeddings=scan.embedding,
            image_pe=self._model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        scan.answers[clicks] = low_resolution.cpu()
        cube = torch.nn.functional.interpolate(
            low_resolution.float().cpu(), size=(CUBE, CUBE, CUBE), mode="trilinear"
        )[0, 0].permute(2, 1, 0)
        return Segmentation(_on_display(scan, cube))

    def _centre(self, scan: ResampledScan, click: Click) -> None:
        """Encode the cube around a click, if that has not been done."""
        i, j, k = scan.grids.nearest_model_voxel([click.voxel])[0] - CUBE // 2
        start = (int(i), int(j), int(k))
        if scan.embedding is not None and scan.start == start:
            return
        scan.start, scan.answers = start, {}
        cube = torch.zeros(CUBE, CUBE, CUBE)
        inside, there = _overlap(start, scan.image.shape)
        cube[inside] = scan.image[there]
        normalised = _normalise(cube).permute(2, 1, 0)
        scan.embedding = self._model.image_encoder(normalised[None, None].to(self._device))


def _normalise(cube: Tensor) -> Tensor:
    """Zero mean and unit deviation of the voxels above 0, as SAM-Med3D was trained."""
    shown = cube[cube > 0]
    if shown.numel() < 2 or not float(shown.std()):
        return cube
    return (cube - shown.mean()) / shown.std()


def _on_display(scan: ResampledScan, cube: Tensor) -> npt.NDArray[np.bool_]:
    logits = torch.full(scan.grids.model.shape, -10.0)
    inside, there = _overlap(scan.start, scan.image.shape)
    logits[there] = cube[inside]
    on_display = resample_to_display(logits[None, None], scan.grids.display.shape)[0, 0]
    return (on_display > 0).numpy()


def _overlap(
    start: tuple[int, int, int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What of the cube lies in the scan: its place in the cube, and in the scan."""
    inside, there = [], []
    for begin, size in zip(start, shape, strict=True):
        low, high = max(0, begin), min(size, begin + CUBE)
        there.append(slice(low, high))
        inside.append(slice(low - begin, high - begin))
    return tuple(inside), tuple(there)


def load_sam_med3d(checkpoint: Path | None, device: str) -> LoadedMethod:
    """SAM-Med3D with its published weights.

    Raises:
        InvalidInput: MedIM is not installed, or the file is not there or of another network.
    """
    module = require_library(NAME, "medim", "pip install medim")
    path = require_weights(NAME, checkpoint, "sam_med3d_turbo.pth of huggingface.co/blueyo0")
    chosen = choose_device(device)
    model = module.create_model("SAM-Med3D", pretrained=False)
    fill_with_weights(NAME, model, path, key="model_state_dict")
    return LoadedMethod(
        NAME, SAMMed3D(model.to(chosen).eval(), chosen), weights_hash(path), chosen, path.stem
    )
