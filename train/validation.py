"""Validation while training: Dice against simulated clicks, on the model grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from caiseg.clicks import Click
from caiseg.preprocessing import normalise_intensities
from train.click_simulation import Mask, next_click
from train.config import ExperimentConfig
from train.evaluation.metrics import dice_score
from train.methods.patchwise import OpenScan
from train.methods.trainable import Network, open_scan
from train.prepared import PreparedCase
from train.rounds import click_tensors


@dataclass(frozen=True)
class ValidationResult:
    """Means over cases.

    Attributes:
        dice: Dice after 0, 1, 2, ... clicks.
        obeyed: Share of clicks whose own voxel took the clicked label.
        harmful: Share of clicks that lowered Dice.
    """

    dice: list[float]
    obeyed: float
    harmful: float


@dataclass(frozen=True)
class ClickedCase:
    """What came of clicking one case.

    Attributes:
        image: Preprocessed scan ``(I, J, K)``.
        scan: The same, opened by the network.
        clicks: All clicks, on the model grid.
        masks: Mask after 0, 1, 2, ... of them; the last one repeats where no error was left.
    """

    image: Tensor
    scan: OpenScan
    clicks: list[Click]
    masks: list[Mask]


@torch.no_grad()
def click_through(
    network: Network, case: PreparedCase, config: ExperimentConfig, clicks: int
) -> ClickedCase:
    """Click at the centre of the largest error, ``clicks`` times, in a whole scan.

    Args:
        network: In evaluation mode.
        case: A prepared case.
        config: Preprocessing of the experiment.
        clicks: Most clicks.
    """
    device = next(network.parameters()).device
    image = normalise_intensities(case.image, config.preprocessing.modality).to(device)
    scan = open_scan(network, image, case.spacing.to(device), config.preprocessing.patch_size)
    lesion = case.lesion.numpy()
    i, j, k = case.spacing.tolist()
    placed: list[Click] = []
    masks = [_mask(scan, placed, torch.zeros_like(image))]
    for _ in range(clicks):
        click = next_click(masks[-1], lesion, (i, j, k))
        if click is not None:
            placed.append(click)
            previous = torch.from_numpy(masks[-1].astype(np.float32)).to(device)
            masks.append(_mask(scan, placed, previous))
        else:
            masks.append(masks[-1])
    return ClickedCase(image, scan, placed, masks)


def validate(
    network: Network, cases: Sequence[PreparedCase], config: ExperimentConfig, clicks: int
) -> ValidationResult:
    """Dice of all cases by clicks; see :func:`click_through`.

    Args:
        network: Put into evaluation mode for the time.
        cases: Prepared validation cases.
        config: Preprocessing of the experiment.
        clicks: Clicks per case.
    """
    training = network.training
    network.eval()
    curves, obeyed, harmful = [], [], []
    for case in cases:
        clicked = click_through(network, case, config, clicks)
        curve = [dice_score(mask, case.lesion.numpy()) for mask in clicked.masks]
        for count, click in enumerate(clicked.clicks, start=1):
            obeyed.append(bool(clicked.masks[count][click.voxel]) == bool(click.label))
            harmful.append(curve[count] < curve[count - 1])
        curves.append(curve)
    network.train(training)
    return ValidationResult(
        np.mean(curves, axis=0).tolist(),
        float(np.mean(obeyed)) if obeyed else 1.0,
        float(np.mean(harmful)) if harmful else 0.0,
    )


def _mask(scan: OpenScan, clicks: Sequence[Click], previous: Tensor) -> Mask:
    logits = scan.logits(*click_tensors(clicks, previous.device), previous)
    return np.asarray((logits > 0).cpu().numpy())
