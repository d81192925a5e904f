"""Arrays of zeros that claim memory only where something is written to them."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Scalar = TypeVar("Scalar", np.float32, np.int64, np.bool_)

_LEAST_BYTES = 1 << 23
"""Smaller arrays are cleared sooner than the system is asked for memory."""


def unclaimed_array(shape: Sequence[int], dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    """Zeros of which a few boxes will be written to; no others claim memory.

    NumPy's own zeros may be memory that was freed before, which is cleared from end to end.

    Args:
        shape: Size of the array.
        dtype: Its type.

    Raises:
        MemoryError: The system has no such room to give.
    """
    count = math.prod(shape)
    size = count * np.dtype(dtype).itemsize
    if size < _LEAST_BYTES:
        return np.zeros(tuple(shape), dtype)
    try:
        memory = _mapped(size)
    except OSError as error:
        raise MemoryError(f"There is no memory for {size} bytes.") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel that knows no such pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    zeros: npt.NDArray[Scalar] = np.frombuffer(memory, dtype, count).reshape(tuple(shape))
    return zeros


def _mapped(size: int) -> mmap.mmap:
    """So many bytes of 0 that are nobody else's."""
    if hasattr(mmap, "MAP_ANONYMOUS"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


def unclaimed_zeros(
    shape: Sequence[int],
    device: torch.device,
    dtype: type[np.float32 | np.int64 | np.bool_] = np.float32,
) -> Tensor:
    """The same as a tensor; on another device than the CPU all of it is claimed.

    Args:
        shape: Size of the tensor.
        device: Where it lies.
        dtype: Its type.
    """
    if device.type == "cpu":
        return torch.from_numpy(unclaimed_array(shape, dtype))
    like = torch.from_numpy(np.zeros(0, dtype))
    return torch.zeros(tuple(shape), dtype=like.dtype, device=device)
