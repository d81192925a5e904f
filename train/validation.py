"""Validation while training: Dice against simulated clicks, on the model grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from caiseg.clicks import Click
from caiseg.preprocessing import normalise_intensities
from train.click_simulation import next_click
from train.config import ExperimentConfig
from train.evaluation.metrics import dice_score
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


def validate(
    network: Network, cases: Sequence[PreparedCase], config: ExperimentConfig, clicks: int
) -> ValidationResult:
    """Click at the centre of the largest error, ``clicks`` times, in whole scans.

    Args:
        network: Put into evaluation mode for the time.
        cases: Prepared validation cases.
        config: Preprocessing of the experiment.
        clicks: Clicks per case.
    """
    training = network.training
    network.eval()
    device = next(network.parameters()).device
    curves, obeyed, harmful = [], [], []
    for case in cases:
        image = normalise_intensities(case.image, config.preprocessing.modality).to(device)
        scan = open_scan(network, image, case.spacing.to(device), config.preprocessing.patch_size)
        lesion = case.lesion.numpy()
        i, j, k = case.spacing.tolist()
        placed: list[Click] = []
        mask = (
            (scan.logits(*click_tensors(placed, device), torch.zeros_like(image)) > 0).cpu().numpy()
        )
        curve = [dice_score(mask, lesion)]
        for _ in range(clicks):
            click = next_click(mask, lesion, (i, j, k))
            if click is not None:
                placed.append(click)
                previous = torch.from_numpy(mask.astype(np.float32)).to(device)
                logits = scan.logits(*click_tensors(placed, device), previous)
                mask = (logits > 0).cpu().numpy()
                obeyed.append(bool(mask[click.voxel]) == bool(click.label))
                harmful.append(dice_score(mask, lesion) < curve[-1])
            curve.append(dice_score(mask, lesion))
        curves.append(curve)
    network.train(training)
    return ValidationResult(
        np.mean(curves, axis=0).tolist(),
        float(np.mean(obeyed)) if obeyed else 1.0,
        float(np.mean(harmful)) if harmful else 0.0,
    )
