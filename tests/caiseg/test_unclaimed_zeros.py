"""Zeros that nobody writes to claim no memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from caiseg.unclaimed_zeros import unclaimed_array, unclaimed_zeros

MEASURE = """
import numpy as np
import psutil
from caiseg.unclaimed_zeros import unclaimed_array

def resident():
    return psutil.Process().memory_info().rss / 2**20

before = resident()
zeros = unclaimed_array((1024, 512, 512), np.bool_)
zeros[500:510, 200:210, 200:210] = True
few = resident() - before
zeros[:] = True
print(few, resident() - before)
"""


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(0, 5, 5), (3, 4, 5), (200, 200, 300)])
def test_they_are_zeros_to_write_to(
    dtype: type[np.float32 | np.int64 | np.bool_], shape: tuple[int, int, int]
) -> None:
    zeros = unclaimed_zeros(shape, torch.device("cpu"), dtype)
    assert zeros.shape == shape
    assert zeros.dtype == torch.from_numpy(np.zeros(0, dtype)).dtype
    assert not zeros.any()
    zeros[1:2, 1:3] = 1
    assert int(zeros.sum()) == zeros[1:2, 1:3].numel()


def test_a_part_of_it_keeps_its_values_when_the_rest_is_gone() -> None:
    part = unclaimed_array((300, 300, 300), np.bool_)[100:110, 100:110, 100:110]
    part[:] = True
    other = unclaimed_array((300, 300, 300), np.bool_)
    assert part.all()
    assert not other.any()


def test_more_than_a_system_can_address_is_a_want_of_memory() -> None:
    with pytest.raises(MemoryError, match="no memory"):
        unclaimed_array((1 << 20, 1 << 20, 1 << 20), np.bool_)


def test_only_what_is_written_to_claims_memory() -> None:
    """256 MiB, of which ten planes hold something; a page of memory may be 2 MiB."""
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    few, all_of_it = map(float, done.stdout.split())
    assert few < 24
    assert all_of_it > 250
