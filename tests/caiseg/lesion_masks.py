"""What tests ask of the masks of lesions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def count_components(mask: NDArray[np.bool_]) -> int:
    """Separate lesions, voxels that touch at a corner being one."""
    number: int = ndimage.label(mask, np.ones((3, 3, 3)))[1]
    return number


def surroundings(lesion: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels close to a lesion that do not touch it."""
    near = ndimage.binary_dilation(lesion, iterations=3)
    return near & ~ndimage.binary_dilation(lesion)
