"""Freed memory stays with the process, but for large blocks."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

MEASURE = """
import sys
import numpy as np
import psutil
from caiseg.freed_memory import keep_freed_memory

def resident():
    return psutil.Process().memory_info().rss / 2**20

def after_freeing(mebibytes, count):
    before = resident()
    blocks = [np.ones(mebibytes << 20, dtype=np.uint8) for _ in range(count)]
    assert resident() - before > 0.9 * mebibytes * count
    del blocks
    return resident() - before

if sys.argv[1] == "keep":
    assert keep_freed_memory()
print(after_freeing(40, 5), after_freeing(24, 10))
"""


def kept(how: str) -> tuple[float, float]:
    """MiB that a new process keeps of 200 MiB in blocks of 40, and of 240 MiB in blocks of 24."""
    command = [sys.executable, "-c", MEASURE, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    large, small = map(float, done.stdout.split())
    return large, small


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_kept_but_for_large_blocks() -> None:
    large, small = kept("keep")
    assert large < 40
    assert small > 200
    assert kept("as it is")[1] < 100
