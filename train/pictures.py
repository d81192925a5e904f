"""A validation case as an image: what the network sees, answers and finds akin to the clicks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from caiseg.clicks import Label
from train.click_simulation import Mask
from train.config import ExperimentConfig
from train.methods.trainable import Network
from train.prepared import PreparedCase
from train.rounds import click_tensors
from train.validation import ClickedCase, click_through

Picture = npt.NDArray[np.uint8]

TRUTH, ANSWER = (255, 255, 255), (255, 200, 60)
FOREGROUND, BACKGROUND = (80, 220, 120), (255, 90, 90)
_SMALLEST_SIDE = 256
"""Pixels; smaller slices are enlarged by a whole factor."""


@torch.no_grad()
def validation_picture(
    network: Network, case: PreparedCase, config: ExperimentConfig, clicks: int
) -> Picture:
    """Side by side: scan, masks with clicks, and affinity to each label's clicks.

    The slice is the axial one with most lesion. Ground truth is outlined in white and the answer
    in yellow; clicks of the slice, and affinity, are green for foreground and red for background.

    Args:
        network: Put into evaluation mode for the time.
        case: A prepared case.
        config: Preprocessing of the experiment.
        clicks: Clicks that the answer has had.

    Returns:
        RGB of shape ``(height, width, 3)``, anterior at the top, the patient's right on the left.
    """
    training = network.training
    network.eval()
    clicked = click_through(network, case, config, clicks)
    affinity = _affinity(clicked)
    network.train(training)
    depth = int(case.lesion.sum(dim=(0, 1)).argmax())
    grey = _grey(clicked.image[:, :, depth].cpu().numpy())
    answer, truth = clicked.masks[-1][:, :, depth], case.lesion[:, :, depth].numpy()
    panels = [grey, grey.copy()]
    panels[1][_outline(answer)] = ANSWER
    panels[1][_outline(truth)] = TRUTH
    for click in clicked.clicks:
        if click.voxel[2] == depth:
            colour = FOREGROUND if click.label is Label.FOREGROUND else BACKGROUND
            panels[1][click.voxel[0], click.voxel[1]] = colour
    if affinity is not None:
        panels.append(_tinted(grey, affinity[:, :, :, depth]))
    return _on_screen(np.concatenate(panels, axis=0))


def _affinity(clicked: ClickedCase) -> npt.NDArray[np.float32] | None:
    """``(2, I, J, K)``; nothing without clicks or from a method without such a map."""
    if not clicked.clicks:
        return None
    device = clicked.image.device
    # The mask that the last answer had been given.
    previous = torch.from_numpy(clicked.masks[len(clicked.clicks) - 1].astype(np.float32))
    voxels, labels = click_tensors(clicked.clicks, device)
    affinity = clicked.scan.affinity(voxels, labels, previous.to(device))
    return None if affinity is None else affinity.cpu().numpy()


def _grey(data: npt.NDArray[np.float32]) -> Picture:
    """``(I, J)`` intensities to ``(I, J, 3)``, the middle 98 % of them from black to white."""
    low, high = np.percentile(data, (1, 99))
    level = np.clip((data - low) / max(float(high - low), 1e-6), 0, 1)
    return np.repeat((255 * level).astype(np.uint8)[..., None], 3, axis=2)


def _tinted(grey: Picture, affinity: npt.NDArray[np.float32]) -> Picture:
    """A slice under the colours of both labels, each as strong as the affinity to its clicks."""
    tinted = 0.5 * grey.astype(np.float32)
    for label, colour in ((Label.BACKGROUND, BACKGROUND), (Label.FOREGROUND, FOREGROUND)):
        strength = np.clip(affinity[int(label)], 0, 1)[..., None]
        tinted += strength * (np.asarray(colour, np.float32) - tinted)
    return tinted.astype(np.uint8)


def _outline(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _on_screen(picture: Picture) -> Picture:
    """From ``(i, j)`` to rows from anterior to posterior and columns from left to right."""
    factor = max(1, -(-_SMALLEST_SIDE // picture.shape[1]))
    rows = np.flip(picture.transpose(1, 0, 2), axis=0)
    return np.ascontiguousarray(rows.repeat(factor, axis=0).repeat(factor, axis=1))
