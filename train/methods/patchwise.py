"""Whole scans for networks that take clicks as input: CAISeg's patches, a full pass per click."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from caiseg.click_answer import ClickAnswer
from caiseg.encoded_features import EncodedFeatures
from caiseg.network import CAISeg
from caiseg.patches import blending_window, pad_to_strides, patch_boxes
from train.methods.click_maps import ClickPoints
from train.methods.click_network import ClickNetwork


class OpenScan(Protocol):
    """A scan on the model grid, ready to be clicked; what validation needs of a network."""

    def logits(self, voxels: Tensor, labels: Tensor, previous_mask: Tensor) -> Tensor:
        """Answer all clicks so far.

        Args:
            voxels: Click voxels ``(n_c, 3)`` int64.
            labels: ``(n_c,)`` int64, 0 for background and 1 for foreground.
            previous_mask: ``(I, J, K)`` in [0, 1].

        Returns:
            Foreground logits ``(I, J, K)``.
        """

    def affinity(self, voxels: Tensor, labels: Tensor, previous_mask: Tensor) -> Tensor | None:
        """Affinity to the best background and foreground click, ``(2, I, J, K)`` in [0, 1].

        ``None`` from a method that has no such map.
        """


class PatchwiseScan:
    """A scan that a :class:`ClickNetwork` answers patch by patch.

    Patches are CAISeg's. Their logits are blended, and a click runs again only the patches that
    contain it; the others keep their answer without clicks.

    Args:
        network: In evaluation mode.
        image: Preprocessed scan ``(I, J, K)`` on the network's device.
        spacing: Voxel size ``(3,)`` in mm.
        patch_size: Largest patch ``(i, j, k)``; rounded up to the network's total stride.
    """

    def __init__(
        self, network: ClickNetwork, image: Tensor, spacing: Tensor, patch_size: Sequence[int]
    ):
        self.network = network
        self.image = image
        self.spacing = spacing
        self.shape = (image.shape[0], image.shape[1], image.shape[2])
        self.boxes = patch_boxes(self.shape, patch_size, network.config.total_stride)
        self._windows = [blending_window(box, self.shape).to(image.device) for box in self.boxes]
        nothing = torch.zeros_like(image)
        none = ClickPoints.none(image.device)
        self._first = [self._answer(box, none, nothing) for box in self.boxes]

    @torch.inference_mode()
    def logits(self, voxels: Tensor, labels: Tensor, previous_mask: Tensor) -> Tensor:
        """Answer all clicks so far; see :class:`OpenScan`."""
        total = torch.zeros_like(self.image)
        weights = torch.zeros_like(self.image)
        for box, window, first in zip(self.boxes, self._windows, self._first, strict=True):
            start = torch.tensor([part.start for part in box], device=voxels.device)
            stop = torch.tensor([part.stop for part in box], device=voxels.device)
            inside = ((voxels >= start) & (voxels < stop)).all(dim=1)
            answer = first
            if self.network.takes_clicks and bool(inside.any()):
                points = ClickPoints(voxels[inside] - start, labels[inside])
                answer = self._answer(box, points, previous_mask)
            total[box] += window * answer
            weights[box] += window
        return total / weights

    def affinity(self, voxels: Tensor, labels: Tensor, previous_mask: Tensor) -> None:
        """There is none; see :class:`OpenScan`."""

    @torch.inference_mode()
    def _answer(
        self, box: tuple[slice, slice, slice], points: ClickPoints, previous_mask: Tensor
    ) -> Tensor:
        part, mask = self.image[box], previous_mask[box].float()
        strides = self.network.config.total_stride
        padded = pad_to_strides(part, strides, float(part.min()))[None, None]
        logits = self.network(
            padded, [points], pad_to_strides(mask, strides, 0.0)[None, None], self.spacing[None]
        )
        i, j, k = part.shape
        return logits[0, 0, :i, :j, :k].float()  # type: ignore[no-any-return]


class EncodedOnce:
    """The same for CAISeg, which encodes a scan once.

    Args:
        network: In evaluation mode.
        image: Preprocessed scan ``(I, J, K)`` on the network's device.
        spacing: Voxel size ``(3,)`` in mm.
        patch_size: Largest patch ``(i, j, k)``.
    """

    def __init__(self, network: CAISeg, image: Tensor, spacing: Tensor, patch_size: Sequence[int]):
        self._features = EncodedFeatures(network, image, spacing, patch_size)

    def logits(self, voxels: Tensor, labels: Tensor, previous_mask: Tensor) -> Tensor:
        """Answer all clicks so far; see :class:`OpenScan`."""
        return self._features.logits(self._answer(voxels, labels, previous_mask))

    def affinity(self, voxels: Tensor, labels: Tensor, previous_mask: Tensor) -> Tensor:
        """Clustered affinity of all clicks so far; see :class:`OpenScan`."""
        return self._features.affinity(self._answer(voxels, labels, previous_mask))

    def _answer(self, voxels: Tensor, labels: Tensor, previous_mask: Tensor) -> ClickAnswer | None:
        return self._features.answer(voxels, labels, previous_mask) if len(labels) else None
