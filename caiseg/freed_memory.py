"""What the C library does with memory that is freed: it is kept for the next click."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's ``malloc.h``."""

KEPT_BYTES = 2**28
"""So much freed memory is kept."""
SEPARATE_BYTES = 2**25
"""Larger blocks get memory of their own, which goes back at once; glibc allows no more."""


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory, as ``MALLOC_TRIM_THRESHOLD_`` does; call it at the start.

    What a click computes on its way is some megabytes each, allocated and freed over and over.
    Left to itself glibc may give them back each time, and the kernel hands them out again page by
    page, every page filled with zeros: that can take a third of a click. Whether it does depends
    on what was allocated before, so that the same click is fast one day and slow the next.

    Returns:
        Whether there is something to tell: other C libraries have no such settings.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = ((_M_MMAP_THRESHOLD, SEPARATE_BYTES), (_M_TRIM_THRESHOLD, KEPT_BYTES))
    return all(mallopt(option, size) == 1 for option, size in settings)
