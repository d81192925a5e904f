"""Encoding a scan on a device that may have too little memory for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from caiseg.interpolation import Box
from caiseg.network import CAISeg
from caiseg.patches import patch_boxes
from caiseg.tiling import EncodedTiles

SMALLEST_PATCH = 32
"""Patches are not made smaller than this before another device is tried."""


def encode_within_memory(
    network: CAISeg,
    image: Tensor,
    spacing: Tensor,
    patch_size: Sequence[int],
    progress: Callable[[float], None] | None = None,
    *,
    dense: bool | None = None,
    first: Sequence[float] | None = None,
    preview: Callable[[Box, Tensor], None] | None = None,
) -> tuple[EncodedTiles, tuple[str, ...]]:
    """Encode a scan; where memory does not suffice in smaller patches, and at last on the CPU.

    A scan of several patches is kept in half precision.

    Args:
        network: In evaluation mode, on the device of ``image``.
        image: Preprocessed scan ``(I, J, K)``.
        spacing: Voxel size ``(3,)`` in mm.
        patch_size: Largest patch ``(i, j, k)``.
        progress: Called with the share of work done, in (0, 1].
        dense: See :class:`caiseg.tiling.EncodedTiles`.
        first: Voxel in whose neighbourhood to begin.
        preview: See :class:`caiseg.tiling.EncodedTiles`; begins anew with smaller patches.

    Returns:
        The tiles, and what a person should know about how they were made.

    Raises:
        torch.OutOfMemoryError: The CPU was asked for, and it reports that as well.
    """
    patch = tuple(patch_size)
    notices: tuple[str, ...] = ()
    while True:
        several = len(patch_boxes(image.shape, patch, network.config.total_stride)) > 1
        storage = torch.float16 if several else torch.float32
        try:
            tiles = EncodedTiles(
                network, image, spacing, patch, progress,
                dense=dense, storage=storage, first=first, preview=preview,
            )  # fmt: skip
        except torch.OutOfMemoryError:
            if _is_last_resort(image.device):
                raise
        else:
            return tiles, notices
        # Beyond the handler, so that the traceback no longer holds on to the memory.
        torch.accelerator.empty_cache()
        smaller = tuple(max(size // 2, min(size, SMALLEST_PATCH)) for size in patch)
        if smaller != patch:
            patch = smaller
            notices = (
                "The GPU had too little memory for this scan; it was encoded in smaller patches.",
            )
        else:
            network, image, spacing = copy.deepcopy(network).cpu(), image.cpu(), spacing.cpu()
            patch = tuple(patch_size)
            notices = (
                "The GPU had too little memory for this scan; it is computed on the CPU, slower.",
            )


def _is_last_resort(device: torch.device) -> bool:
    return device.type == "cpu"
