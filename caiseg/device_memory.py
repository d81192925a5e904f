"""Encoding a scan on a device that may have too little memory for it, and not one too large."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from caiseg.boxes import Box
from caiseg.encoded_features import EncodedFeatures
from caiseg.errors import InvalidInput
from caiseg.grids import Shape
from caiseg.network import CAISeg
from caiseg.network_config import NetworkConfig
from caiseg.patches import patch_boxes, scan_size

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

    def features(
        self,
        image: Tensor,
        spacing: Sequence[float],
        progress: Callable[[float], None] | None = None,
        *,
        dense: bool | None = None,
        first: Sequence[float] | None = None,
        reach_mm: float | None = None,
        preview: Callable[[Box, Tensor], None] | None = None,
    ) -> EncodedFeatures:
        """Encode a scan patch by patch; one of several patches is kept in half precision.

        Args:
            image: Preprocessed scan ``(I, J, K)``, on any device.
            spacing: Voxel size ``(i, j, k)`` in mm.
            progress: Called with the share of work done, in (0, 1].
            dense: See :class:`caiseg.encoded_features.EncodedFeatures`.
            first: Voxel in whose neighbourhood to begin.
            reach_mm: How far from itself a click acts; half a patch's size when left out.
            preview: See :class:`caiseg.encoded_features.EncodedFeatures`.
        """
        return EncodedFeatures(
            self.network,
            image.to(self.device),
            torch.tensor(spacing, dtype=torch.float32).to(self.device),
            self.patch_size,
            progress,
            dense=dense,
            storage=_storage(self.network.config, image.shape, self.patch_size),
            first=first,
            reach_mm=reach_mm,
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


def features_bytes(config: NetworkConfig, shape: Shape, patch_size: Shape) -> int:
    """Bytes that an encoded scan holds on the model grid, known before it is encoded.

    Args:
        config: The network.
        shape: Size ``(I, J, K)`` of the model grid.
        patch_size: Largest patch ``(i, j, k)``.
    """
    padded = math.prod(scan_size(shape, patch_size, config.total_stride, config.strides[0]))
    # Of the skip features their share in the last stage is kept, twice as many channels; and two
    # numbers per voxel, the logits and what they tolerate.
    values = _values(config, padded) + config.base_channels * padded
    return _storage(config, shape, patch_size).itemsize * values + 8 * padded


def encoding_bytes(config: NetworkConfig, shape: Shape, patch_size: Shape) -> int:
    """Bytes that are held at most while a scan is encoded.

    That is when patches are blended, the patches' features beside the scan's, or when its skip
    features are followed to what is kept of them.

    Args:
        config: The network.
        shape: Size ``(I, J, K)`` of the model grid.
        patch_size: Largest patch ``(i, j, k)``.
    """
    strides, cell = config.total_stride, config.strides[0]
    size = scan_size(shape, patch_size, strides, cell)
    boxes = patch_boxes(size, patch_size, strides, cell)
    itemsize = _storage(config, shape, patch_size).itemsize
    skip = itemsize * config.base_channels * math.prod(size)
    followed = features_bytes(config, shape, patch_size) + skip
    if len(boxes) == 1:
        return followed
    voxels = sum(math.prod(part.stop - part.start for part in box) for box in boxes)
    return max(followed, followed - 2 * skip + itemsize * _values(config, voxels))


def check_room(config: NetworkConfig, shape: Shape, patch_size: Shape, max_bytes: int) -> None:
    """Refuse a scan that takes too much memory to encode; see :func:`encoding_bytes`.

    Raises:
        InvalidInput: It takes more than ``max_bytes``.
    """
    needed = encoding_bytes(config, shape, patch_size)
    if needed > max_bytes:
        raise InvalidInput(
            f"At this model's voxel size the scan takes {needed / 2**30:.3g} GiB of memory, and "
            f"{max_bytes / 2**30:.3g} GiB may be used for it; check the spacing in the scan's "
            "header, or crop it around the region of interest."
        )


def lacks_memory(error: RuntimeError) -> bool:
    """Whether an error says that a device has too little memory.

    Only PyTorch's own allocator of CUDA has a type for it. MPS, and libraries of CUDA that take
    memory themselves, say it in words.
    """
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in said for words in ("out of memory", "ALLOC_FAILED")
    )


def _values(config: NetworkConfig, voxels: int) -> int:
    """Numbers in the features of so many voxels."""
    cells = voxels // math.prod(config.strides[0])
    return config.base_channels * voxels + config.feature_channels * cells


def _storage(config: NetworkConfig, shape: Sequence[int], patch_size: Sequence[int]) -> torch.dtype:
    """Type that features are kept in: a scan of several patches in half precision."""
    several = len(patch_boxes(shape, patch_size, config.total_stride)) > 1
    return torch.float16 if several else torch.float32


def _next(attempt: Attempt, largest: Shape) -> Attempt:
    """What to try after an attempt that lacked memory on a GPU."""
    i, j, k = (max(size // 2, min(size, SMALLEST_PATCH)) for size in attempt.patch_size)
    if (i, j, k) != attempt.patch_size:
        notice = "The GPU had too little memory for this scan; it was encoded in smaller patches."
        return replace(attempt, patch_size=(i, j, k), notices=(notice,))
    notice = "The GPU had too little memory for this scan; it is computed on the CPU, slower."
    return Attempt(attempt.network.on_cpu(), torch.device("cpu"), largest, (notice,))
