"""Encoding a scan on a device that may have too little memory for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from caiseg.grids import Shape
from caiseg.interpolation import Box
from caiseg.network import CAISeg
from caiseg.patches import patch_boxes
from caiseg.tiling import EncodedTiles

T = TypeVar("T")

SMALLEST_PATCH = 32
"""Patches are not made smaller than this before another device is tried."""


@dataclass(frozen=True)
class Attempt:
    """How a scan is encoded this time.

    Attributes:
        network: In evaluation mode, on ``device``.
        device: Where to compute.
        patch_size: Largest patch ``(i, j, k)``.
        notices: What a person should know about it.
    """

    network: CAISeg
    device: torch.device
    patch_size: Shape
    notices: tuple[str, ...] = ()

    def tiles(
        self,
        image: Tensor,
        spacing: Sequence[float],
        progress: Callable[[float], None] | None = None,
        *,
        dense: bool | None = None,
        first: Sequence[float] | None = None,
        preview: Callable[[Box, Tensor], None] | None = None,
    ) -> EncodedTiles:
        """Encode a scan patch by patch; one of several patches is kept in half precision.

        Args:
            image: Preprocessed scan ``(I, J, K)``, on any device.
            spacing: Voxel size ``(i, j, k)`` in mm.
            progress: Called with the share of work done, in (0, 1].
            dense: See :class:`caiseg.tiling.EncodedTiles`.
            first: Voxel in whose neighbourhood to begin.
            preview: See :class:`caiseg.tiling.EncodedTiles`.
        """
        boxes = patch_boxes(image.shape, self.patch_size, self.network.config.total_stride)
        return EncodedTiles(
            self.network,
            image.to(self.device),
            torch.tensor(spacing, dtype=torch.float32).to(self.device),
            self.patch_size,
            progress,
            dense=dense,
            storage=torch.float16 if len(boxes) > 1 else torch.float32,
            first=first,
            preview=preview,
        )


def encode_within_memory(attempt: Attempt, encode: Callable[[Attempt], T]) -> T:
    """Encode; where memory does not suffice in smaller patches, and at last on the CPU.

    Args:
        attempt: What to try first.
        encode: All that takes memory on the device; begins anew in every attempt.

    Raises:
        RuntimeError: The CPU has too little memory as well.
    """
    largest = attempt.patch_size
    while True:
        try:
            return encode(attempt)
        except RuntimeError as error:
            if attempt.device.type == "cpu" or not lacks_memory(error):
                raise
        # Beyond the handler, so that the traceback no longer holds on to the memory.
        torch.accelerator.empty_cache()
        attempt = _next(attempt, largest)


def lacks_memory(error: RuntimeError) -> bool:
    """Whether an error says that a device has too little memory.

    Only PyTorch's own allocator of CUDA has a type for it. MPS, and libraries of CUDA that take
    memory themselves, say it in words.
    """
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in said for words in ("out of memory", "ALLOC_FAILED")
    )


def _next(attempt: Attempt, largest: Shape) -> Attempt:
    """What to try after an attempt that lacked memory on a GPU."""
    i, j, k = (max(size // 2, min(size, SMALLEST_PATCH)) for size in attempt.patch_size)
    if (i, j, k) != attempt.patch_size:
        notice = "The GPU had too little memory for this scan; it was encoded in smaller patches."
        return replace(attempt, patch_size=(i, j, k), notices=(notice,))
    notice = "The GPU had too little memory for this scan; it is computed on the CPU, slower."
    return Attempt(attempt.network.on_cpu(), torch.device("cpu"), largest, (notice,))
