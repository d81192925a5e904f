"""How a full memory shows, and what to do where a training does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from caiseg.errors import InvalidInput

MESSAGES = (
    "can't allocate memory",  # PyTorch in main memory
    "not enough memory",  # the same on Windows
    "out of memory",  # Apple's MPS, and CUDA outside of PyTorch's own allocator
    "_ALLOC_FAILED",  # cuBLAS and cuDNN
    "bad_alloc",  # C++, in SimpleITK for instance
)
"""What libraries say in a plain ``RuntimeError``; few of them have a type for it."""


def says_memory_is_full(error: Exception) -> bool:
    """Whether an error means that main memory, or an accelerator's, is full."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in MESSAGES)


@contextmanager
def full_memory_said() -> Iterator[None]:
    """Turn an allocation that failed, on a GPU or a CPU, into a sentence.

    Raises:
        InvalidInput: The memory is full.
    """
    try:
        yield
    except RuntimeError as error:
        if not says_memory_is_full(error):
            raise
        raise InvalidInput(
            "The memory does not hold a training step; compute the batch in parts (--set "
            "schedule.accumulate=2), make schedule.batch_size or data.crop_size smaller, or, on "
            "recent hardware, use --set schedule.precision=bf16."
        ) from error
