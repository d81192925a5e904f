"""What to do where a training does not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from caiseg.errors import InvalidInput


@contextmanager
def full_memory_said() -> Iterator[None]:
    """Turn an allocation that failed, on a GPU or a CPU, into a sentence.

    Raises:
        InvalidInput: The memory is full.
    """
    try:
        yield
    except RuntimeError as error:
        # The CPU's allocator has no error type of its own.
        if not (isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)):
            raise
        raise InvalidInput(
            "The memory does not hold a training step; compute the batch in parts (--set "
            "schedule.accumulate=2), make schedule.batch_size or data.crop_size smaller, or, on "
            "recent hardware, use --set schedule.precision=bf16."
        ) from error
